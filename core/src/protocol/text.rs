//! Text requests: one line of tokens, ended by LF or CRLF.
//!
//! The end of the line is searched first; only a complete line is taken apart. Its tokens are unescaped in place: what
//! is written never overtakes what is read, since an escape only shrinks and every separator is at least one byte. A
//! line without quotes and with single separators is rewritten with itself, that is, nothing moves.

use alloc::vec::Vec;

use super::{Dialect, Eol, Parsed, Parser, ProtocolError, Request, RequestLimits, Span, offset};

impl Parser {
    /// The line at `self.at`; `None` where it was empty.
    #[inline]
    pub(super) fn next_text(
        &mut self,
        buf: &mut [u8],
        spans: &mut Vec<Span>,
        limits: RequestLimits,
    ) -> Option<Parsed> {
        let start = self.at;
        let window = buf.len().min(start + limits.bytes);
        let from = start + self.searched;
        // (A limit may shrink below what was searched: then the line is too long.)
        let Some(lf) = buf
            .get(from..window)
            .and_then(|rest| memchr::memchr(b'\n', rest))
        else {
            if window - start >= limits.bytes {
                // The end was not seen, so how the line would have ended is not known.
                return Some(self.fail(ProtocolError::TooLong, Dialect::Text(Eol::Lf)));
            }
            self.searched = window - start;
            return Some(Parsed::Incomplete);
        };
        let lf = from + lf;
        let (end, eol) = match buf[start..lf] {
            [.., b'\r'] => (lf - 1, Eol::CrLf),
            _ => (lf, Eol::Lf),
        };
        let dialect = Dialect::Text(eol);
        let first = spans.len();
        let split = tokens(buf, start, end, spans, limits.args);
        if let Err(error) = split {
            spans.truncate(first);
            if error == ProtocolError::TooManyArguments {
                return Some(self.fail(error, dialect));
            }
            self.advance(lf + 1);
            return Some(Parsed::Error {
                error,
                dialect,
                fatal: false,
                end: offset(lf + 1),
            });
        }
        self.advance(lf + 1);
        let count = spans.len() - first;
        if count == 0 {
            return None;
        }
        Some(Parsed::Request(Request {
            dialect,
            first: offset(first),
            count: offset(count),
            end: offset(lf + 1),
        }))
    }
}

/// Takes the line `buf[start..end]` apart; behind it stands its CR or LF.
fn tokens(
    buf: &mut [u8],
    start: usize,
    end: usize,
    spans: &mut Vec<Span>,
    limit: usize,
) -> Result<(), ProtocolError> {
    let mut room = limit;
    let mut read = skip_separators(buf, start, end);
    let mut write = read;
    while read < end {
        if room == 0 {
            return Err(ProtocolError::TooManyArguments);
        }
        room -= 1;
        let token = write;
        (read, write) = self::token(buf, read, write, end)?;
        spans.push(Span {
            start: offset(token),
            len: offset(write - token),
        });
        read = skip_separators(buf, read, end);
        if read < end {
            buf[write] = b' ';
            write += 1;
        }
    }
    Ok(())
}

/// Moves the token at `read` to `write`; both, behind the token.
#[inline]
fn token(
    buf: &mut [u8],
    mut read: usize,
    mut write: usize,
    end: usize,
) -> Result<(usize, usize), ProtocolError> {
    loop {
        let piece = read;
        read = plain_end(buf, read, end);
        shift(buf, piece, read, write);
        write += read - piece;
        if read == end {
            return Ok((read, write));
        }
        match buf[read] {
            quote @ (b'"' | b'\'') => (read, write) = unquote(buf, read + 1, write, end, quote)?,
            _ => return Ok((read, write)),
        }
    }
}

/// Moves what stands from `read` up to the closing quote to `write`, unescaped; both, behind it.
fn unquote(
    buf: &mut [u8],
    mut read: usize,
    mut write: usize,
    end: usize,
    quote: u8,
) -> Result<(usize, usize), ProtocolError> {
    loop {
        let piece = read;
        let Some(found) = memchr::memchr2(quote, b'\\', &buf[read..end]) else {
            return Err(ProtocolError::UnbalancedQuotes);
        };
        read += found;
        shift(buf, piece, read, write);
        write += read - piece;
        if buf[read] == quote {
            return Ok((read + 1, write));
        }
        let (byte, len) = match buf[read + 1..end] {
            [b'n', ..] => (b'\n', 2),
            [b'r', ..] => (b'\r', 2),
            [b't', ..] => (b'\t', 2),
            [b'x', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                (hex(high) << 4 | hex(low), 4)
            }
            [byte @ (b'\\' | b'"' | b'\''), ..] => (byte, 2),
            // Before anything else the backslash stays.
            _ => (b'\\', 1),
        };
        buf[write] = byte;
        write += 1;
        read += len;
    }
}

/// The value of a hexadecimal digit.
const fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

/// Moves `buf[from..to]` to `at`, which is not behind `from`.
#[inline]
fn shift(buf: &mut [u8], from: usize, to: usize, at: usize) {
    if at != from {
        buf.copy_within(from..to, at);
    }
}

const fn is_separator(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

#[inline]
fn skip_separators(buf: &[u8], mut at: usize, end: usize) -> usize {
    while at < end && is_separator(buf[at]) {
        at += 1;
    }
    at
}

/// Where the part of a token that begins at `at` and has no quote ends.
///
/// Space, tab, both quotes and the line's own end, which stands at `end`, are all below `(`, and little else in text
/// is. So eight bytes are compared with `(` at once, and only a byte below is looked at.
#[inline]
fn plain_end(buf: &[u8], mut at: usize, end: usize) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    while at < end {
        if let Some(word) = buf[at..].first_chunk::<8>() {
            let word = u64::from_le_bytes(*word);
            // The lowest bit that is set is right; one above may be a borrow from it.
            let below = word.wrapping_sub(ONES * b'(' as u64) & !word & (ONES << 7);
            if below == 0 {
                at += 8;
                continue;
            }
            at += below.trailing_zeros() as usize / 8;
        }
        if at == end || is_separator(buf[at]) || matches!(buf[at], b'"' | b'\'') {
            break;
        }
        at += 1;
    }
    at
}
