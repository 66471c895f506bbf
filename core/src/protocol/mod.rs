//! From bytes to requests: both dialects, one request after the other, resumable at every byte.
//!
//! The first byte of a request decides its dialect: `*` begins a RESP array of bulk strings, anything else a line of
//! the text dialect. Arguments are never copied: a [`Span`] says where each one lies in the bytes that were given.

mod resp;
mod text;

use alloc::vec::Vec;
use core::fmt;

/// How a text line ended; its reply ends the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eol {
    /// `\n`
    Lf,
    /// `\r\n`
    CrLf,
}

/// The language of a request, and so of its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// A line of words.
    Text(Eol),
    /// A RESP array of bulk strings.
    Resp,
}

/// Where an argument lies in the bytes that the parser was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Length in bytes.
    pub len: u32,
}

impl Span {
    /// The bytes of this span in `buf`.
    #[must_use]
    #[inline]
    pub fn of<'a>(&self, buf: &'a [u8]) -> &'a [u8] {
        &buf[self.start as usize..self.end() as usize]
    }

    /// Offset just behind the last byte.
    #[must_use]
    #[inline]
    pub const fn end(&self) -> u32 {
        self.start + self.len
    }

    /// The span from the start of `self` to the end of `last`, which stands behind it in the same request. For tokens
    /// of a text request, that is all of them joined by one space.
    #[must_use]
    #[inline]
    pub const fn through(&self, last: Self) -> Self {
        Self {
            start: self.start,
            len: last.end() - self.start,
        }
    }
}

/// One complete request.
///
/// The arguments of a text request lie one space apart: `spans[i + 1].start == spans[i].start + spans[i].len + 1`, and
/// the byte between is a space, whatever separated them on the wire. So "the rest of the line as one value" is the
/// slice from the first token of the rest to the end of the last ([`Span::through`]), without a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its language.
    pub dialect: Dialect,
    /// Index of its first span in the list that the parser appended to.
    pub first: u32,
    /// Number of its spans, the command's name included; never 0.
    pub count: u32,
    /// Offset just behind the request's last byte on the wire.
    pub end: u32,
}

/// What a look at the bytes gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A request; its spans were appended.
    Request(Request),
    /// The bytes end inside a request (or there are none); nothing was appended. Call again when more have arrived.
    Incomplete,
    /// Bytes that are no request. With `fatal` the connection cannot go on, and every further call says the same; else
    /// the line was skipped.
    Error {
        /// What was wrong.
        error: ProtocolError,
        /// The language to answer in.
        dialect: Dialect,
        /// Whether the connection must close after the answer.
        fatal: bool,
        /// Offset behind the bytes that were skipped; where it is fatal, the start of the bad request.
        end: u32,
    },
}

/// Why bytes are no request.
///
/// The displayed text follows `-ERR ` in RESP, where it is Redis's to the byte, and `ERROR ` in the text dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProtocolError {
    /// Text: a quote was opened and not closed before the end of the line (not fatal).
    UnbalancedQuotes,
    /// A request longer than the limit.
    TooLong,
    /// Text: more arguments than the limit.
    TooManyArguments,
    /// RESP: what follows `*` is no number, or over the limit of arguments.
    InvalidMultibulkLength,
    /// RESP: what follows `$` is no number, negative, or over the limit of a request.
    InvalidBulkLength,
    /// RESP: another byte where `$` must stand.
    ExpectedDollar(u8),
    /// RESP: no end of the line that begins with `*`.
    TooBigMultibulkHeader,
    /// RESP: no end of a line that begins with `$`.
    TooBigBulkHeader,
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnbalancedQuotes => "unbalanced quotes in request",
            Self::TooLong => "request too long",
            Self::TooManyArguments => "too many arguments in request",
            Self::InvalidMultibulkLength => "Protocol error: invalid multibulk length",
            Self::InvalidBulkLength => "Protocol error: invalid bulk length",
            Self::ExpectedDollar(got) => {
                // A line end is shown as a space, as in Redis. A byte that is no ASCII is shown as the Latin-1
                // character: Redis repeats it raw, and clients that decode the line as UTF-8 then fail on it.
                let got = if matches!(got, b'\r' | b'\n') {
                    ' '
                } else {
                    char::from(*got)
                };
                return write!(f, "Protocol error: expected '$', got '{got}'");
            }
            Self::TooBigMultibulkHeader => "Protocol error: too big mbulk count string",
            Self::TooBigBulkHeader => "Protocol error: too big bulk count string",
        })
    }
}

impl core::error::Error for ProtocolError {}

/// Limits of one request; they depend on whether the connection has authenticated.
#[derive(Clone, Copy, Debug)]
pub struct RequestLimits {
    /// Bytes on the wire, at most 1 GiB (a larger limit counts as that).
    pub bytes: usize,
    /// Arguments, the command's name included.
    pub args: usize,
}

/// Offsets are kept in 32 bits. With twice the longest request the sum of any two of them does not overflow.
const MAX_BYTES: usize = 1 << 30;

/// A resumable parser. It remembers how far it has searched, so that a slow sender costs O(n) in all, and allocates by
/// what has arrived, never by what a header announced.
///
/// All offsets are relative to the start of the slice it is given, which always begins at the same wire byte until
/// [`Parser::consumed`] says that bytes were taken off its front. What it is given is what it was given before, with
/// or without more bytes behind.
///
/// ```
/// use ant_cache_core::protocol::{Dialect, Eol, Parsed, Parser, RequestLimits};
///
/// let mut bytes = *b"SET greeting \"hello  you\"\r\n*1\r\n$4\r\nPING\r\n";
/// let (mut parser, mut spans) = (Parser::default(), Vec::new());
/// let limits = RequestLimits { bytes: 1 << 20, args: 1 << 10 };
///
/// let Parsed::Request(set) = parser.next(&mut bytes, &mut spans, limits) else { panic!("a request is there") };
/// assert_eq!((set.dialect, set.count), (Dialect::Text(Eol::CrLf), 3));
/// assert_eq!(spans[2].of(&bytes), b"hello  you");
///
/// let Parsed::Request(ping) = parser.next(&mut bytes, &mut spans, limits) else { panic!("another one is there") };
/// assert_eq!(spans[ping.first as usize].of(&bytes), b"PING");
/// assert_eq!(parser.next(&mut bytes, &mut spans, limits), Parsed::Incomplete);
/// assert_eq!(parser.position(), bytes.len());
/// ```
#[derive(Debug, Default)]
pub struct Parser {
    /// Where the next (or the begun) request starts. Everything else that is remembered is relative to this, so
    /// nothing has to be moved when bytes are consumed.
    at: usize,
    /// How far the end of the current line (of text, or a RESP header) was searched in vain, relative to its start.
    searched: usize,
    /// The RESP request that was begun and has not fully arrived.
    begun: resp::Begun,
    /// The fatal error, once there was one.
    failed: Option<(ProtocolError, Dialect)>,
}

impl Parser {
    /// Looks for the next request in `buf`. Tokens of a text line are unescaped in place.
    #[inline]
    pub fn next(&mut self, buf: &mut [u8], spans: &mut Vec<Span>, limits: RequestLimits) -> Parsed {
        match self.quick(buf, spans, limits) {
            Some(request) => Parsed::Request(request),
            None => self.general(buf, spans, limits),
        }
    }

    fn general(&mut self, buf: &mut [u8], spans: &mut Vec<Span>, limits: RequestLimits) -> Parsed {
        let len = buf.len().min(2 * MAX_BYTES);
        let buf = &mut buf[..len];
        let limits = RequestLimits {
            bytes: limits.bytes.min(MAX_BYTES),
            args: limits.args,
        };
        if let Some((error, dialect)) = self.failed {
            return self.failure(error, dialect);
        }
        loop {
            let parsed = match buf.get(self.at) {
                None => return Parsed::Incomplete,
                Some(b'*') => self.next_resp(buf, spans, limits),
                Some(_) => self.next_text(buf, spans, limits),
            };
            // Nothing: an empty line or an empty array was skipped.
            if let Some(parsed) = parsed {
                return parsed;
            }
        }
    }

    /// Offset behind the last request that was returned or the last bytes that were skipped: so many bytes can be
    /// consumed.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.at
    }

    /// Says that `n` bytes were taken off the front.
    ///
    /// # Panics
    /// If they are more than [`position`](Self::position).
    pub const fn consumed(&mut self, n: usize) {
        assert!(n <= self.at, "more consumed than was parsed");
        self.at -= n;
    }

    /// Bytes of memory held besides the parser itself.
    #[must_use]
    pub const fn memory(&self) -> usize {
        self.begun.memory()
    }

    /// The end of a request at `end`: the next one starts there, with nothing known of it.
    const fn advance(&mut self, end: usize) {
        self.at = end;
        self.searched = 0;
    }

    /// Fails for good.
    #[cold]
    fn fail(&mut self, error: ProtocolError, dialect: Dialect) -> Parsed {
        self.failed = Some((error, dialect));
        self.failure(error, dialect)
    }

    #[cold]
    const fn failure(&self, error: ProtocolError, dialect: Dialect) -> Parsed {
        Parsed::Error {
            error,
            dialect,
            fatal: true,
            end: offset(self.at),
        }
    }
}

/// An offset in the 32 bits of a span. [`Parser::next`] looks at no more bytes than they can count.
#[inline]
const fn offset(at: usize) -> u32 {
    at as u32
}
