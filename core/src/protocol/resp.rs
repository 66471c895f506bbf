//! RESP requests: an array of bulk strings, `*2\r\n$3\r\nGET\r\n$1\r\nk\r\n`.
//!
//! As in Redis, the end of a header is a CR and whatever byte follows it, and the two bytes behind a bulk string are
//! not looked at. Unlike Redis, which reads a whole line first, a byte that cannot be right is refused at once.

use alloc::vec::Vec;

use super::{Dialect, Parsed, Parser, ProtocolError, Request, RequestLimits, Span, offset};
use crate::number;

/// A header line without CR in this many bytes is an error, as in Redis (`PROTO_INLINE_MAX_SIZE`).
const MAX_HEADER: usize = 64 << 10;

/// Spans of a request in parts are kept for the next one up to this number (1 KiB); a longer list is given back.
const KEEP: usize = 128;

/// A request whose array header was read and whose arguments have not all arrived.
///
/// A request that lies completely in the buffer, which is nearly every one, never touches this.
#[derive(Debug, Default)]
pub(super) struct Begun {
    progress: Progress,
    /// The arguments that are complete, relative to the start of the request.
    done: Vec<Span>,
}

/// How far a request was read. Offsets are relative to its start.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    /// Arguments that are missing; 0 where no request is begun.
    missing: usize,
    /// Where it goes on: at the next `$`, or at the bytes of `bulk`.
    at: usize,
    /// The length of the bulk string whose header was read last.
    bulk: Option<usize>,
}

impl Begun {
    pub(super) const fn memory(&self) -> usize {
        self.done.capacity() * size_of::<Span>()
    }
}

/// What became of a line `*number` or `$number`.
enum Header {
    Number { value: i64, end: usize },
    NoNumber,
    Incomplete,
    TooBig,
    TooLong,
}

impl Parser {
    /// The request at `self.at`, where a `*` stands; `None` where it was an empty array.
    #[inline]
    pub(super) fn next_resp(
        &mut self,
        buf: &[u8],
        spans: &mut Vec<Span>,
        limits: RequestLimits,
    ) -> Option<Parsed> {
        // The request alone, so that all offsets here are relative to its start.
        let bytes = &buf[self.at..];
        if self.begun.progress.missing > 0 {
            return Some(self.resume(bytes, spans, limits));
        }
        let error = match header(bytes, 0, &mut self.searched, limits.bytes) {
            Header::Number { value, end } if value <= 0 => {
                self.advance(self.at + end);
                return None;
            }
            Header::Number { value, end } => match usize::try_from(value) {
                Ok(count) if count <= limits.args => {
                    return Some(self.start(bytes, spans, limits, count, end));
                }
                _ => ProtocolError::InvalidMultibulkLength,
            },
            Header::Incomplete => return Some(Parsed::Incomplete),
            Header::NoNumber => ProtocolError::InvalidMultibulkLength,
            Header::TooBig => ProtocolError::TooBigMultibulkHeader,
            Header::TooLong => ProtocolError::TooLong,
        };
        Some(self.fail(error, Dialect::Resp))
    }

    /// A request that lies completely in the buffer, has one to nine arguments of at most 99 bytes, and is written as
    /// everyone writes it. `None`, with nothing changed, for every other: a third of the instructions of the general
    /// way, for nearly every request that there is.
    #[inline]
    pub(super) fn quick(
        &mut self,
        buf: &[u8],
        spans: &mut Vec<Span>,
        limits: RequestLimits,
    ) -> Option<Request> {
        let bytes = buf.get(self.at..)?;
        let [b'*', digit @ b'1'..=b'9', b'\r', _, ..] = *bytes else {
            return None;
        };
        let count = usize::from(digit - b'0');
        // A request that was begun is not begun again, and a connection that failed stays so.
        if self.begun.progress.missing > 0 || self.failed.is_some() || count > limits.args {
            return None;
        }
        let bytes = &bytes[..bytes.len().min(limits.bytes)];
        let first = spans.len();
        let mut at = 4;
        for _ in 0..count {
            let header =
                short_header(bytes, at).filter(|(len, start)| start + len + 2 <= bytes.len());
            let Some((len, start)) = header else {
                spans.truncate(first);
                return None;
            };
            spans.push(Span {
                start: offset(self.at + start),
                len: offset(len),
            });
            at = start + len + 2;
        }
        let end = self.at + at;
        self.advance(end);
        Some(Request {
            dialect: Dialect::Resp,
            first: offset(first),
            count: offset(count),
            end: offset(end),
        })
    }

    /// Reads the arguments of a request of which only the array header was read so far, straight into `spans`.
    #[inline]
    fn start(
        &mut self,
        bytes: &[u8],
        spans: &mut Vec<Span>,
        limits: RequestLimits,
        count: usize,
        header: usize,
    ) -> Parsed {
        let first = spans.len();
        let mut progress = Progress {
            missing: count,
            at: header,
            bulk: None,
        };
        self.searched = 0;
        match arguments(
            bytes,
            self.at,
            &mut progress,
            &mut self.searched,
            spans,
            limits.bytes,
        ) {
            Ok(()) if progress.missing == 0 => self.request(first, count, progress.at),
            Ok(()) => {
                self.keep(progress, spans, first);
                Parsed::Incomplete
            }
            Err(error) => {
                spans.truncate(first);
                self.fail(error, Dialect::Resp)
            }
        }
    }

    /// Takes the spans of a request that has not fully arrived.
    #[cold]
    fn keep(&mut self, progress: Progress, spans: &mut Vec<Span>, first: usize) {
        let base = offset(self.at);
        self.begun.progress = progress;
        self.begun
            .done
            .extend(spans.drain(first..).map(|span| Span {
                start: span.start - base,
                len: span.len,
            }));
    }

    /// Goes on with a request that was begun.
    #[cold]
    fn resume(&mut self, bytes: &[u8], spans: &mut Vec<Span>, limits: RequestLimits) -> Parsed {
        let Begun { progress, done } = &mut self.begun;
        match arguments(bytes, 0, progress, &mut self.searched, done, limits.bytes) {
            Ok(()) if progress.missing == 0 => {
                let end = progress.at;
                let (base, first, count) = (offset(self.at), spans.len(), done.len());
                spans.extend(done.iter().map(|span| Span {
                    start: span.start + base,
                    len: span.len,
                }));
                if count > KEEP {
                    *done = Vec::new();
                } else {
                    done.clear();
                }
                self.request(first, count, end)
            }
            Ok(()) => Parsed::Incomplete,
            Err(error) => self.fail(error, Dialect::Resp),
        }
    }

    /// The request from `self.at`, `len` bytes long.
    #[inline]
    fn request(&mut self, first: usize, count: usize, len: usize) -> Parsed {
        let end = self.at + len;
        self.advance(end);
        Parsed::Request(Request {
            dialect: Dialect::Resp,
            first: offset(first),
            count: offset(count),
            end: offset(end),
        })
    }
}

/// The length that a header `$d\r\n` or `$dd\r\n` at `at` gives, and the offset behind it.
#[inline]
fn short_header(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let header = bytes.get(at..)?.first_chunk::<5>()?;
    let tens = usize::from(header[1].wrapping_sub(b'0'));
    if header[0] != b'$' || tens > 9 {
        return None;
    }
    if header[2] == b'\r' {
        return Some((tens, at + 4));
    }
    let ones = usize::from(header[2].wrapping_sub(b'0'));
    if tens == 0 || ones > 9 || header[3] != b'\r' {
        return None;
    }
    Some((tens * 10 + ones, at + 5))
}

/// Reads arguments until none is missing or the bytes end; their spans, moved by `base`, are appended to `spans`.
#[inline(always)]
fn arguments(
    bytes: &[u8],
    base: usize,
    progress: &mut Progress,
    searched: &mut usize,
    spans: &mut Vec<Span>,
    limit: usize,
) -> Result<(), ProtocolError> {
    while progress.missing > 0 {
        let len = match progress.bulk {
            Some(len) => len,
            None => match bulk_header(bytes, &mut progress.at, searched, limit)? {
                Some(len) => len,
                None => return Ok(()),
            },
        };
        let end = progress.at + len + 2;
        if end > bytes.len() {
            progress.bulk = Some(len);
            return Ok(());
        }
        spans.push(Span {
            start: offset(base + progress.at),
            len: offset(len),
        });
        progress.at = end;
        progress.bulk = None;
        progress.missing -= 1;
    }
    Ok(())
}

/// Reads `$len\r\n` at `at` and moves `at` behind it; nothing where it has not fully arrived. What is announced fits in
/// the limit of the request.
#[inline(always)]
fn bulk_header(
    bytes: &[u8],
    at: &mut usize,
    searched: &mut usize,
    limit: usize,
) -> Result<Option<usize>, ProtocolError> {
    // An argument is missing, and there is no room for its first byte.
    if *at >= limit {
        return Err(ProtocolError::TooLong);
    }
    match bytes.get(*at) {
        None => return Ok(None),
        Some(b'$') => {}
        Some(&other) => return Err(ProtocolError::ExpectedDollar(other)),
    }
    match header(bytes, *at, searched, limit) {
        Header::Number { value, end } => match usize::try_from(value) {
            Ok(len) if len <= limit => {
                if end + len + 2 > limit {
                    return Err(ProtocolError::TooLong);
                }
                *at = end;
                *searched = 0;
                Ok(Some(len))
            }
            _ => Err(ProtocolError::InvalidBulkLength),
        },
        Header::Incomplete => Ok(None),
        Header::NoNumber => Err(ProtocolError::InvalidBulkLength),
        Header::TooBig => Err(ProtocolError::TooBigBulkHeader),
        Header::TooLong => Err(ProtocolError::TooLong),
    }
}

/// Reads the line at `at`, a byte that is known and then a number. It must end before `limit`.
#[inline(always)]
fn header(bytes: &[u8], at: usize, searched: &mut usize, limit: usize) -> Header {
    let digit = |byte: u8| i64::from(byte - b'0');
    let rest = bytes.get(at + 1..).unwrap_or_default();
    // Nearly every header is one of these; a longer number stands before so many bytes that its cost does not show.
    let (value, end) = match *rest {
        [a @ b'0'..=b'9', b'\r', _, ..] => (digit(a), at + 4),
        [a @ b'1'..=b'9', b @ b'0'..=b'9', b'\r', _, ..] => (10 * digit(a) + digit(b), at + 5),
        [
            a @ b'1'..=b'9',
            b @ b'0'..=b'9',
            c @ b'0'..=b'9',
            b'\r',
            _,
            ..,
        ] => (100 * digit(a) + 10 * digit(b) + digit(c), at + 6),
        _ => return unusual_header(bytes, at, searched, limit),
    };
    if end > limit {
        return unusual_header(bytes, at, searched, limit);
    }
    Header::Number { value, end }
}

/// The same for every header: long, negative, wrong or incomplete ones too.
///
/// Whatever the outcome, it depends only on the bytes and not on how they were split: an error about a length is given
/// where that many bytes have arrived without an end, or where the end lies further back.
#[cold]
fn unusual_header(bytes: &[u8], at: usize, searched: &mut usize, limit: usize) -> Header {
    let latest = limit.min(at + MAX_HEADER);
    let over = if limit <= at + MAX_HEADER {
        Header::TooLong
    } else {
        Header::TooBig
    };
    let window = &bytes[..bytes.len().min(latest)];
    let from = (at + (*searched).max(1)).min(window.len());
    let Some(cr) = memchr::memchr(b'\r', &window[from..]).map(|found| from + found) else {
        *searched = window.len() - at;
        return if bytes.len() >= latest {
            over
        } else {
            Header::Incomplete
        };
    };
    *searched = cr - at;
    if cr + 2 > latest {
        return over;
    }
    if cr + 2 > bytes.len() {
        return Header::Incomplete;
    }
    match number::parse_i64(&bytes[at + 1..cr]) {
        Some(value) => Header::Number { value, end: cr + 2 },
        None => Header::NoNumber,
    }
}
