//! Replies to values, from pieces of any size.
//!
//! The decoder takes bytes as they come and keeps what it has built so far, so a reply that dribbles in byte by byte
//! costs no more than one that comes whole, and the caller need not keep the bytes. Memory is taken
//! only for what has arrived, never for what a header announces.

use super::build::{Builder, ReplyLimits, scalar, short_header, verbatim};
use super::header::{Follows, header};
use super::{DecodeError, Kind, Value};
use alloc::vec::Vec;
use core::mem;
use memchr::memchr;

/// Builds values from the bytes of a connection. One decoder serves one connection for its life.
#[derive(Debug)]
pub struct Decoder {
    /// The begun reply.
    builder: Builder<Vec<u8>>,
    /// The begun line.
    line: Vec<u8>,
    /// The begun string, if the last header announced one.
    bulk: Option<Bulk>,
    failed: Option<DecodeError>,
}

#[derive(Debug)]
struct Bulk {
    kind: Kind,
    /// Announced length.
    len: usize,
    /// What has arrived, the CR LF behind the string included.
    bytes: Vec<u8>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(ReplyLimits::default())
    }
}

impl Decoder {
    /// A decoder with limits of its own.
    #[must_use]
    pub const fn new(limits: ReplyLimits) -> Self {
        Self {
            builder: Builder::new(limits),
            line: Vec::new(),
            bulk: None,
            failed: None,
        }
    }

    /// Takes bytes off the front of `input` up to the end of one reply. Nothing is returned where the reply has not
    /// ended; then `input` is empty. Call again with what comes next, or with the rest for the next reply.
    ///
    /// Attributes (RESP 3's notes about a reply) are read and dropped. A [`Value::Push`] is returned like a reply
    /// but answers no request.
    ///
    /// # Errors
    /// Bytes that are no reply, or one over the limits. From then on every call fails the same way.
    pub fn decode(&mut self, input: &mut &[u8]) -> Result<Option<Value>, DecodeError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let result = self.step(input);
        self.failed = result.as_ref().err().copied();
        result
    }

    /// Whether a reply has begun and not ended.
    #[must_use]
    pub fn is_inside(&self) -> bool {
        !self.line.is_empty() || self.bulk.is_some() || self.builder.is_inside()
    }

    fn step(&mut self, input: &mut &[u8]) -> Result<Option<Value>, DecodeError> {
        loop {
            let value = if self.bulk.is_some() {
                match self.bulk_bytes(input)? {
                    Some(value) => Some(value),
                    None => return Ok(None),
                }
            } else if let Some(string) = self.short_string(input)? {
                Some(string)
            } else {
                match self.whole_line(input)? {
                    Some(line) => self.header_line(line, input)?,
                    None if !self.find_line(input)? => return Ok(None),
                    None => {
                        let line = mem::take(&mut self.line);
                        let value = self.header_line(&line[..line.len() - 2], input)?;
                        // Keep the memory of the line for the next one.
                        self.line = line;
                        self.line.clear();
                        value
                    }
                }
            };
            if let Some(whole) = value.and_then(|value| self.builder.add(value)) {
                return Ok(Some(whole));
            }
        }
    }

    /// A string of less than 100 bytes that lies in `input` as a whole, as most do: nothing is looked for.
    #[inline]
    fn short_string(&mut self, input: &mut &[u8]) -> Result<Option<Value>, DecodeError> {
        let Some((len, rest)) = short_header(input) else {
            return Ok(None);
        };
        let Some((bytes, [b'\r', b'\n', rest @ ..])) = rest.split_at_checked(len) else {
            return Ok(None);
        };
        if !self.line.is_empty() {
            return Ok(None);
        }
        self.builder.spend(size_of::<Value>() + bytes.len())?;
        *input = rest;
        Ok(Some(Value::Bulk(bytes.to_vec())))
    }

    /// A line that lies in `input` as a whole, without its CR LF: most do, and are not copied.
    fn whole_line<'i>(&self, input: &mut &'i [u8]) -> Result<Option<&'i [u8]>, DecodeError> {
        if !self.line.is_empty() {
            return Ok(None);
        }
        let Some(end) = memchr(b'\n', input) else {
            return Ok(None);
        };
        if end >= self.builder.limits.line {
            return Err(DecodeError::LineTooLong);
        }
        let (line, rest) = input.split_at(end + 1);
        *input = rest;
        match line.strip_suffix(b"\r\n") {
            Some(line) => Ok(Some(line)),
            None => Err(DecodeError::MissingCrLf),
        }
    }

    /// Completes `self.line` with its CR LF, or takes all there is and says false.
    fn find_line(&mut self, input: &mut &[u8]) -> Result<bool, DecodeError> {
        let end = memchr(b'\n', input);
        let (taken, rest) = input.split_at(end.map_or(input.len(), |end| end + 1));
        if self.line.len() + taken.len() > self.builder.limits.line {
            return Err(DecodeError::LineTooLong);
        }
        self.line.extend_from_slice(taken);
        *input = rest;
        if end.is_some() && !self.line.ends_with(b"\r\n") {
            return Err(DecodeError::MissingCrLf);
        }
        Ok(end.is_some())
    }

    /// Acts on a header; a value that is complete with its line is returned.
    fn header_line(
        &mut self,
        line: &[u8],
        input: &mut &[u8],
    ) -> Result<Option<Value>, DecodeError> {
        let (kind, follows) = header(line)?;
        self.builder.spend(size_of::<Value>())?;
        match follows {
            Follows::Nothing => {
                self.builder.spend(line.len())?;
                scalar(kind, &line[1..], <[u8]>::to_vec).map(Some)
            }
            Follows::Bytes(len) => {
                self.builder.spend(len)?;
                // Most strings lie in the input as a whole.
                if let (Kind::Bulk, Some((bytes, rest))) = (kind, input.split_at_checked(len))
                    && let Some(rest) = rest.strip_prefix(b"\r\n")
                {
                    *input = rest;
                    return Ok(Some(Value::Bulk(bytes.to_vec())));
                }
                self.bulk = Some(Bulk {
                    kind,
                    len,
                    bytes: Vec::new(),
                });
                Ok(None)
            }
            Follows::Values(left) => self.builder.begin(kind, left, false),
            Follows::Attribute(left) => self.builder.begin(kind, left, true),
        }
    }

    /// Takes bytes for the begun string.
    fn bulk_bytes(&mut self, input: &mut &[u8]) -> Result<Option<Value>, DecodeError> {
        let Some(bulk) = &mut self.bulk else {
            return Ok(None);
        };
        let whole = bulk.len + 2;
        let (taken, rest) = input.split_at((whole - bulk.bytes.len()).min(input.len()));
        if bulk.bytes.is_empty() {
            bulk.bytes.reserve_exact(taken.len());
        }
        bulk.bytes.extend_from_slice(taken);
        *input = rest;
        if bulk.bytes.len() < whole {
            return Ok(None);
        }
        let (kind, mut bytes) = (bulk.kind, mem::take(&mut bulk.bytes));
        self.bulk = None;
        if !bytes.ends_with(b"\r\n") {
            return Err(DecodeError::MissingCrLf);
        }
        bytes.truncate(whole - 2);
        // One that came in many pieces has grown by doubling, and may be half empty.
        bytes.shrink_to(whole);
        Ok(Some(match kind {
            Kind::Error => Value::Error(bytes),
            Kind::Verbatim => {
                let (format, front) = verbatim(&bytes)?;
                bytes.drain(..front);
                Value::Verbatim {
                    format,
                    text: bytes,
                }
            }
            _ => Value::Bulk(bytes),
        }))
    }
}

#[cfg(test)]
pub(super) mod tests;
