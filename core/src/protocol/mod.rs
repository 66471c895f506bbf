//! From bytes to requests: both dialects, one request after the other, resumable at every byte.

mod resp;
mod text;

use alloc::vec::Vec;

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
        &buf[self.start as usize..self.start as usize + self.len as usize]
    }
}

/// One complete request.
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
    /// Bytes that are no request. With `fatal` the connection cannot go on; else the line was skipped.
    Error {
        /// What was wrong.
        error: ProtocolError,
        /// The language to answer in.
        dialect: Dialect,
        /// Whether the connection must close after the answer.
        fatal: bool,
        /// Offset behind the bytes that were skipped.
        end: u32,
    },
}

/// Why bytes are no request. The messages for RESP are those of Redis 7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProtocolError {
    /// Text: a quote was opened and not closed before the end of the line (not fatal).
    UnbalancedQuotes,
    /// A request longer than the limit.
    TooLong,
    /// RESP: the number behind `*` is no number or over the limit of arguments.
    InvalidMultibulkLength,
    /// RESP: the number behind `$` is no number, negative or over the limit.
    InvalidBulkLength,
    /// RESP: another byte where `$` must stand.
    ExpectedDollar(u8),
    /// Text: more arguments than the limit.
    TooManyArguments,
    /// RESP: a header line without end.
    TooBigHeader,
}

/// Limits of one request; they depend on whether the connection has authenticated.
#[derive(Clone, Copy, Debug)]
pub struct RequestLimits {
    /// Bytes on the wire.
    pub bytes: usize,
    /// Arguments, the command's name included.
    pub args: usize,
}

/// A resumable parser. It remembers how far it has searched, so that a slow sender costs O(n) in all.
///
/// All offsets are relative to the start of the slice it is given, which always begins at the same wire byte until
/// [`Parser::consumed`] says that bytes were taken off its front.
#[derive(Debug, Default)]
pub struct Parser {
    /// Where the next (or the begun) request starts.
    at: usize,
    // … the helper's state
}

impl Parser {
    /// Looks for the next request in `buf`.
    pub fn next(&mut self, buf: &mut [u8], spans: &mut Vec<Span>, limits: RequestLimits) -> Parsed {
        let _ = (buf, spans, limits);
        Parsed::Incomplete
    }

    /// Offset behind the last request that was returned: so many bytes can be consumed.
    #[must_use]
    pub fn position(&self) -> usize {
        self.at
    }

    /// Says that `n` bytes, at most [`position`](Self::position), were taken off the front.
    pub fn consumed(&mut self, n: usize) {
        self.at -= n;
    }
}
