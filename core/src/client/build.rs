//! Values put together from their parts, and the limits that they are held to: what the decoders share.

use super::{DecodeError, Kind, Value};
use crate::number::parse_i64;
use alloc::vec::Vec;

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

/// A reply that has begun.
///
/// Nesting is a stack of its own, not recursion: the depth of a hostile reply is a limit, not a stack overflow.
#[derive(Debug)]
pub(super) struct Builder<B> {
    pub(super) limits: ReplyLimits,
    /// The begun aggregates, the outermost first.
    stack: Vec<Aggregate<B>>,
    /// Memory of the begun reply.
    spent: usize,
}

#[derive(Debug)]
struct Aggregate<B> {
    kind: Kind,
    attribute: bool,
    /// Values still to come.
    left: u64,
    /// The values, or a map's keys and values in turn.
    items: Vec<Value<B>>,
}

impl<B> Builder<B> {
    pub(super) const fn new(limits: ReplyLimits) -> Self {
        Self {
            limits,
            stack: Vec::new(),
            spent: 0,
        }
    }

    /// Whether an aggregate has begun and not ended.
    pub(super) const fn is_inside(&self) -> bool {
        !self.stack.is_empty()
    }

    /// For how many values the outermost begun aggregate has room by now.
    #[cfg(test)]
    pub(super) fn announced_room(&self) -> usize {
        self.stack[0].items.capacity()
    }

    /// Counts memory that the begun reply takes.
    #[inline]
    pub(super) fn spend(&mut self, bytes: usize) -> Result<(), DecodeError> {
        if bytes > self.limits.bytes - self.spent {
            return Err(DecodeError::TooBig);
        }
        self.spent += bytes;
        Ok(())
    }

    /// Begins an aggregate of `left` values, or an attribute of so many; one without any is complete with that.
    pub(super) fn begin(
        &mut self,
        kind: Kind,
        left: u64,
        attribute: bool,
    ) -> Result<Option<Value<B>>, DecodeError> {
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

    /// Puts a complete value where it belongs; a whole reply is returned.
    #[inline]
    pub(super) fn add(&mut self, mut value: Value<B>) -> Option<Value<B>> {
        while let Some(top) = self.stack.last_mut() {
            top.items.push(value);
            top.left -= 1;
            if top.left > 0 {
                return None;
            }
            value = self.stack.pop().and_then(Aggregate::finish)?;
        }
        self.spent = 0;
        Some(value)
    }
}

impl<B> Aggregate<B> {
    /// The value of a complete aggregate; nothing for an attribute.
    fn finish(self) -> Option<Value<B>> {
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

fn pairs<B>(items: Vec<Value<B>>) -> Vec<(Value<B>, Value<B>)> {
    let mut pairs = Vec::with_capacity(items.len() / 2);
    let mut items = items.into_iter();
    while let (Some(key), Some(value)) = (items.next(), items.next()) {
        pairs.push((key, value));
    }
    pairs
}

/// A value that is complete with its line. `hold` makes of the line's text what the value holds.
pub(super) fn scalar<B>(
    kind: Kind,
    text: &[u8],
    hold: impl FnOnce(&[u8]) -> B,
) -> Result<Value<B>, DecodeError> {
    match kind {
        Kind::Null => Ok(Value::Null),
        Kind::Status => Ok(Value::Status(hold(text))),
        Kind::Error => Ok(Value::Error(hold(text))),
        Kind::Integer => parse_i64(text)
            .map(Value::Integer)
            .ok_or(DecodeError::InvalidNumber),
        Kind::Double => double(text)
            .map(Value::Double)
            .ok_or(DecodeError::InvalidNumber),
        Kind::Bool if text == b"t" => Ok(Value::Bool(true)),
        Kind::Bool if text == b"f" => Ok(Value::Bool(false)),
        Kind::BigNumber if is_big_number(text) => Ok(Value::BigNumber(hold(text))),
        _ => Err(DecodeError::InvalidNumber),
    }
}

/// The format in front of a verbatim string, `txt:`; what is behind it is the text.
pub(super) fn verbatim(bytes: &[u8]) -> Result<([u8; 3], usize), DecodeError> {
    match *bytes {
        [a, b, c, b':', ..] => Ok(([a, b, c], 4)),
        _ => Err(DecodeError::InvalidNumber),
    }
}

/// The length of a string of less than 100 bytes whose header stands at the front of `input`, as most do, and what is
/// behind that: nothing is looked for.
#[inline]
pub(super) fn short_header(input: &[u8]) -> Option<(usize, &[u8])> {
    match input {
        [b'$', ones @ b'0'..=b'9', b'\r', b'\n', rest @ ..] => Some(((ones - b'0').into(), rest)),
        [
            b'$',
            tens @ b'1'..=b'9',
            ones @ b'0'..=b'9',
            b'\r',
            b'\n',
            rest @ ..,
        ] => Some(((10 * (tens - b'0') + ones - b'0').into(), rest)),
        _ => None,
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
