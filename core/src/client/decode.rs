//! Replies to values, from pieces of any size.
//!
//! The decoder takes bytes as they come and keeps what it has built so far, so a reply that dribbles in byte by byte
//! costs no more than one that comes whole, and the caller need not keep the bytes. Nesting is a stack of its own,
//! not recursion: the depth of a hostile reply is a limit, not a stack overflow. Memory is taken only for what has
//! arrived, never for what a header announces.

use super::header::{Follows, header};
use super::{DecodeError, Kind, Value};
use crate::number::parse_i64;
use alloc::vec::Vec;
use core::mem;
use memchr::memchr;

/// How much of a server's reply a client accepts.
#[derive(Clone, Copy, Debug)]
pub struct ReplyLimits {
    /// Memory of one reply in bytes: its strings and 32 bytes a value. Default 1 GiB.
    pub bytes: usize,
    /// Arrays in arrays. Default 64.
    pub depth: usize,
    /// Bytes of one line: a status, an error, a number, a header. Default 64 KiB.
    pub line: usize,
}

impl Default for ReplyLimits {
    fn default() -> Self {
        Self {
            bytes: 1 << 30,
            depth: 64,
            line: 64 << 10,
        }
    }
}

/// Builds values from the bytes of a connection. One decoder serves one connection for its life.
#[derive(Debug, Default)]
pub struct Decoder {
    limits: ReplyLimits,
    /// The begun line.
    line: Vec<u8>,
    /// The begun string, if the last header announced one.
    bulk: Option<Bulk>,
    /// The begun aggregates, the outermost first.
    stack: Vec<Aggregate>,
    /// Memory of the begun reply.
    spent: usize,
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

#[derive(Debug)]
struct Aggregate {
    kind: Kind,
    attribute: bool,
    /// Values still to come.
    left: u64,
    /// The values, or a map's keys and values in turn.
    items: Vec<Value>,
}

impl Decoder {
    /// A decoder with limits of its own.
    #[must_use]
    pub fn new(limits: ReplyLimits) -> Self {
        Self {
            limits,
            ..Self::default()
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
        !self.line.is_empty() || self.bulk.is_some() || !self.stack.is_empty()
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
            if let Some(whole) = value.and_then(|value| self.add(value)) {
                self.spent = 0;
                return Ok(Some(whole));
            }
        }
    }

    /// A string of less than 100 bytes that lies in `input` as a whole, as most do: nothing is looked for.
    #[inline]
    fn short_string(&mut self, input: &mut &[u8]) -> Result<Option<Value>, DecodeError> {
        let (len, rest) = match **input {
            [b'$', ones @ b'0'..=b'9', b'\r', b'\n', ref rest @ ..] => (ones - b'0', rest),
            [
                b'$',
                tens @ b'1'..=b'9',
                ones @ b'0'..=b'9',
                b'\r',
                b'\n',
                ref rest @ ..,
            ] => (10 * (tens - b'0') + ones - b'0', rest),
            _ => return Ok(None),
        };
        let Some((bytes, [b'\r', b'\n', rest @ ..])) = rest.split_at_checked(len.into()) else {
            return Ok(None);
        };
        if !self.line.is_empty() {
            return Ok(None);
        }
        self.spend(size_of::<Value>() + bytes.len())?;
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
        if end >= self.limits.line {
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
        if self.line.len() + taken.len() > self.limits.line {
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
        self.spend(size_of::<Value>())?;
        match follows {
            Follows::Nothing => {
                self.spend(line.len())?;
                scalar(kind, &line[1..]).map(Some)
            }
            Follows::Bytes(len) => {
                self.spend(len)?;
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
            Follows::Values(left) => self.aggregate(kind, left, false),
            Follows::Attribute(left) => self.aggregate(kind, left, true),
        }
    }

    fn aggregate(
        &mut self,
        kind: Kind,
        left: u64,
        attribute: bool,
    ) -> Result<Option<Value>, DecodeError> {
        if self.stack.len() >= self.limits.depth {
            return Err(DecodeError::TooDeep);
        }
        // What is announced is not allocated, but a reply that cannot be accepted is not waited for.
        let room = self.limits.bytes - self.spent;
        if left > (room / size_of::<Value>()) as u64 {
            return Err(DecodeError::TooBig);
        }
        let begun = Aggregate {
            kind,
            attribute,
            left,
            items: Vec::new(),
        };
        if left == 0 {
            return Ok(begun.finish());
        }
        self.stack.push(begun);
        Ok(None)
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
            Kind::Verbatim => verbatim(bytes)?,
            _ => Value::Bulk(bytes),
        }))
    }

    /// Puts a complete value where it belongs; the outermost is returned.
    fn add(&mut self, mut value: Value) -> Option<Value> {
        while let Some(top) = self.stack.last_mut() {
            top.items.push(value);
            top.left -= 1;
            if top.left > 0 {
                return None;
            }
            value = self.stack.pop().and_then(Aggregate::finish)?;
        }
        Some(value)
    }

    fn spend(&mut self, bytes: usize) -> Result<(), DecodeError> {
        if bytes > self.limits.bytes - self.spent {
            return Err(DecodeError::TooBig);
        }
        self.spent += bytes;
        Ok(())
    }
}

impl Aggregate {
    /// The value of a complete aggregate; nothing for an attribute.
    fn finish(self) -> Option<Value> {
        if self.attribute {
            return None;
        }
        Some(match self.kind {
            Kind::Map => Value::Map(pairs(self.items)),
            Kind::Set => Value::Set(self.items),
            Kind::Push => Value::Push(self.items),
            _ => Value::Array(self.items),
        })
    }
}

fn pairs(items: Vec<Value>) -> Vec<(Value, Value)> {
    let mut pairs = Vec::with_capacity(items.len() / 2);
    let mut items = items.into_iter();
    while let (Some(key), Some(value)) = (items.next(), items.next()) {
        pairs.push((key, value));
    }
    pairs
}

/// A value that is complete with its line.
fn scalar(kind: Kind, text: &[u8]) -> Result<Value, DecodeError> {
    match kind {
        Kind::Null => Ok(Value::Null),
        Kind::Status => Ok(Value::Status(text.to_vec())),
        Kind::Error => Ok(Value::Error(text.to_vec())),
        Kind::Integer => parse_i64(text)
            .map(Value::Integer)
            .ok_or(DecodeError::InvalidNumber),
        Kind::Double => double(text)
            .map(Value::Double)
            .ok_or(DecodeError::InvalidNumber),
        Kind::Bool if text == b"t" => Ok(Value::Bool(true)),
        Kind::Bool if text == b"f" => Ok(Value::Bool(false)),
        Kind::BigNumber if is_big_number(text) => Ok(Value::BigNumber(text.to_vec())),
        _ => Err(DecodeError::InvalidNumber),
    }
}

/// `1.5`, `-2e10`, `inf`, `-inf`, `nan`.
fn double(text: &[u8]) -> Option<f64> {
    core::str::from_utf8(text).ok()?.parse().ok()
}

fn is_big_number(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

/// `txt:` and the text.
fn verbatim(mut bytes: Vec<u8>) -> Result<Value, DecodeError> {
    match bytes[..] {
        [a, b, c, b':', ..] => {
            bytes.drain(..4);
            Ok(Value::Verbatim {
                format: [a, b, c],
                text: bytes,
            })
        }
        _ => Err(DecodeError::InvalidNumber),
    }
}

#[cfg(test)]
pub(super) mod tests;
