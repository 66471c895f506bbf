//! Where a reply ends and what it is, without building it.
//!
//! The reply stays in the caller's buffer and nothing is allocated. An aggregate needs no stack here: one number, the
//! values still to come on all levels together, says when the outermost has ended.

use super::header::{Follows, header, line_end};
use super::{DecodeError, Kind};
use core::ops::Range;

/// A reply in the caller's buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its type.
    pub kind: Kind,
    /// Of a line: the text behind the type byte. Of a string: its bytes. Of an aggregate: all its values, encoded.
    pub body: Range<usize>,
    /// Offset just behind it.
    pub end: usize,
}

/// Finds the end of one reply after the other. It remembers how far it has looked, so that a slow sender costs O(n)
/// in all.
///
/// ```
/// use ant_cache_core::client::{Kind, Scanner};
///
/// let mut scanner = Scanner::default();
/// assert_eq!(scanner.scan(b"$5\r\nhel"), Ok(None));
/// let frame = scanner.scan(b"$5\r\nhello\r\n+OK\r\n").unwrap().unwrap();
/// assert_eq!((frame.kind, frame.body, frame.end), (Kind::Bulk, 4..9, 11));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Scanner {
    /// Where the next header line starts: behind everything that is understood. It may lie behind the bytes there
    /// are, while the rest of a string is awaited.
    at: usize,
    /// How far that line has been searched for its end.
    searched: usize,
    /// Whether `at` is behind a string whose CR LF is not yet checked.
    unchecked: bool,
    /// Values to come before the reply is complete, beyond the one that is looked at.
    pending: u64,
    /// The reply's own type and the start of its body, once known.
    outer: Option<(Kind, usize, usize)>,
}

impl Scanner {
    /// The longest line: a status, an error, a number or a header.
    pub const MAX_LINE: usize = 64 << 10;

    /// Looks for the end of the reply at the start of `buf`. While nothing is returned, call again with the same
    /// bytes and more behind them; when a frame is, call next with what follows [`Frame::end`].
    ///
    /// Attributes count to the reply behind them, and are no part of its body if they stand at its front.
    ///
    /// # Errors
    /// Bytes that are no reply; the scanner is of no use afterwards.
    #[inline]
    pub fn scan(&mut self, buf: &[u8]) -> Result<Option<Frame>, DecodeError> {
        loop {
            if self.unchecked {
                if buf.len() < self.at {
                    return Ok(None);
                }
                if &buf[self.at - 2..self.at] != b"\r\n" {
                    return Err(DecodeError::MissingCrLf);
                }
                self.unchecked = false;
                if let Some(frame) = self.value_ended() {
                    return Ok(Some(frame));
                }
            }
            let Some(line_end) = line_end(buf, self.at, &mut self.searched, Self::MAX_LINE)? else {
                return Ok(None);
            };
            let start = self.at;
            let (kind, follows) = header(&buf[start..line_end - 2])?;
            self.at = line_end;
            self.searched = line_end;
            // What describes the reply, in an attribute before it, is not yet the reply.
            let is_outer = self.outer.is_none()
                && self.pending == 0
                && !matches!(follows, Follows::Attribute(_));
            let body = match follows {
                Follows::Nothing => (start + 1, line_end - 2),
                Follows::Bytes(len) => {
                    self.at += len + 2;
                    self.searched = self.at;
                    self.unchecked = true;
                    (line_end, line_end + len)
                }
                Follows::Values(count) => {
                    self.wait_for(count)?;
                    (line_end, line_end)
                }
                Follows::Attribute(count) => {
                    // The value behind it is still to come, too.
                    self.wait_for(count + 1)?;
                    (line_end, line_end)
                }
            };
            if is_outer {
                self.outer = Some((kind, body.0, body.1));
            }
            if !self.unchecked
                && let Some(frame) = self.value_ended()
            {
                return Ok(Some(frame));
            }
        }
    }

    fn wait_for(&mut self, values: u64) -> Result<(), DecodeError> {
        self.pending = self
            .pending
            .checked_add(values)
            .ok_or(DecodeError::TooBig)?;
        Ok(())
    }

    /// Notes that a value (or the header of an aggregate) is complete; the last one completes the frame.
    fn value_ended(&mut self) -> Option<Frame> {
        if self.pending > 0 {
            self.pending -= 1;
            return None;
        }
        let end = self.at;
        let (kind, start, stop) = self.outer?;
        *self = Self::default();
        let stop = match kind {
            Kind::Array | Kind::Map | Kind::Set | Kind::Push => end,
            _ => stop,
        };
        Some(Frame {
            kind,
            body: start..stop,
            end,
        })
    }
}
