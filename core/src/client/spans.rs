//! Replies to values that hold no bytes, but say where they lie.
//!
//! For who has received whole replies before anything is made of them: no string is allocated, however many there are.

use super::build::{Builder, ReplyLimits, scalar, short_header, verbatim};
use super::header::{Follows, header, line_end};
use super::{DecodeError, Kind, Value};
use core::ops::Range;

/// Finds the replies in a buffer that grows, and where in it their bytes lie.
///
/// ```
/// use ant_cache_core::client::{SpanDecoder, Value};
///
/// let mut decoder = SpanDecoder::default();
/// let mut buffer = b"$5\r\nhel".to_vec();
/// assert_eq!(decoder.decode(&buffer), Ok(None));
/// buffer.extend_from_slice(b"lo\r\n:1\r\n");
/// let value = decoder.decode(&buffer)?.expect("a whole reply");
/// assert_eq!(value.map(&|span| &buffer[span]), Value::Bulk(&b"hello"[..]));
/// assert_eq!(decoder.decode(&buffer), Ok(Some(Value::Integer(1))));
/// assert!(decoder.is_at(buffer.len()));
/// # Ok::<(), ant_cache_core::client::DecodeError>(())
/// ```
#[derive(Debug)]
pub struct SpanDecoder {
    builder: Builder<Range<usize>>,
    /// Where the next header line begins: what is in front of it is understood.
    at: usize,
    /// How far that line has been searched for its end, so that one that dribbles in costs no more.
    searched: usize,
    /// The begun string, if the last header announced one.
    begun: Option<(Kind, Range<usize>)>,
}

/// What one line, or one string, has brought.
enum Step {
    /// A value, in itself complete.
    Value(Value<Range<usize>>),
    /// Only the beginning of one.
    Begun,
    /// Nothing: it is not all there.
    Wait,
}

impl Default for SpanDecoder {
    fn default() -> Self {
        Self::new(ReplyLimits::default())
    }
}

impl SpanDecoder {
    /// A decoder with limits of its own, for a new buffer.
    #[must_use]
    pub const fn new(limits: ReplyLimits) -> Self {
        Self {
            builder: Builder::new(limits),
            at: 0,
            searched: 0,
            begun: None,
        }
    }

    /// The next reply, if all of it is in `buf`. Call again with the same bytes and more behind them, or for the reply
    /// behind it. Attributes and pushes are as in [`Decoder::decode`](super::Decoder::decode).
    ///
    /// # Errors
    /// Bytes that are no reply, or one over the limits; the decoder is of no use afterwards.
    #[inline]
    pub fn decode(&mut self, buf: &[u8]) -> Result<Option<Value<Range<usize>>>, DecodeError> {
        loop {
            let step = match self.short_string(buf)? {
                Some(string) => Step::Value(string),
                None => self.step(buf)?,
            };
            match step {
                Step::Value(value) => {
                    if let Some(whole) = self.builder.add(value) {
                        return Ok(Some(whole));
                    }
                }
                Step::Begun => {}
                Step::Wait => return Ok(None),
            }
        }
    }

    /// Whether everything in front of `end` belongs to replies that were returned.
    #[must_use]
    pub const fn is_at(&self, end: usize) -> bool {
        self.at == end && self.begun.is_none() && !self.builder.is_inside()
    }

    #[inline]
    fn short_string(&mut self, buf: &[u8]) -> Result<Option<Value<Range<usize>>>, DecodeError> {
        if self.begun.is_some() {
            return Ok(None);
        }
        let Some((len, rest)) = buf.get(self.at..).and_then(short_header) else {
            return Ok(None);
        };
        let Some([b'\r', b'\n', ..]) = rest.get(len..) else {
            return Ok(None);
        };
        self.builder.spend(size_of::<Value>() + len)?;
        let start = buf.len() - rest.len();
        self.string(Kind::Bulk, start..start + len, buf).map(Some)
    }

    /// A string that lies in `buf` as a whole.
    #[inline]
    fn string(
        &mut self,
        kind: Kind,
        span: Range<usize>,
        buf: &[u8],
    ) -> Result<Value<Range<usize>>, DecodeError> {
        self.at = span.end + 2;
        self.searched = self.at;
        Ok(match kind {
            Kind::Error => Value::Error(span),
            Kind::Verbatim => {
                let (format, front) = verbatim(&buf[span.clone()])?;
                let text = span.start + front..span.end;
                Value::Verbatim { format, text }
            }
            _ => Value::Bulk(span),
        })
    }

    /// The next line, or the begun string.
    fn step(&mut self, buf: &[u8]) -> Result<Step, DecodeError> {
        if let Some((kind, span)) = self.begun.clone() {
            return match buf.get(span.end..span.end + 2) {
                None => Ok(Step::Wait),
                Some(b"\r\n") => {
                    self.begun = None;
                    self.string(kind, span, buf).map(Step::Value)
                }
                Some(_) => Err(DecodeError::MissingCrLf),
            };
        }
        let Some(end) = line_end(buf, self.at, &mut self.searched, self.builder.limits.line)?
        else {
            return Ok(Step::Wait);
        };
        let line = self.at..end - 2;
        let (kind, follows) = header(&buf[line.clone()])?;
        (self.at, self.searched) = (end, end);
        self.builder.spend(size_of::<Value>())?;
        let value = match follows {
            Follows::Nothing => {
                self.builder.spend(line.len())?;
                let text = line.start + 1..line.end;
                Some(scalar(kind, &buf[text.clone()], |_| text)?)
            }
            Follows::Bytes(len) => {
                self.builder.spend(len)?;
                self.begun = Some((kind, end..end + len));
                None
            }
            Follows::Values(left) => self.builder.begin(kind, left, false)?,
            Follows::Attribute(left) => self.builder.begin(kind, left, true)?,
        };
        Ok(value.map_or(Step::Begun, Step::Value))
    }
}
