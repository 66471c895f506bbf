//! A decoded reply.

use alloc::vec::Vec;

/// One reply of RESP 2 or 3.
///
/// Bytes stay bytes: keys, values and even error messages need not be UTF-8. `B` is how they are held: owned, or as a part
/// of what was received ([`SpanDecoder`](super::SpanDecoder)).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value<B = Vec<u8>> {
    /// Nothing: RESP 3's null, and RESP 2's null bulk string and null array.
    Null,
    /// A status such as `OK` or `PONG`.
    Status(B),
    /// An error; the message begins with a code in capitals (`ERR`, `WRONGTYPE`, `NOAUTH`, …).
    Error(B),
    /// An integer.
    Integer(i64),
    /// A string of bytes.
    Bulk(B),
    /// An array.
    Array(Vec<Self>),
    /// RESP 3: a map, in the order in which it was sent; a key may come twice.
    Map(Vec<(Self, Self)>),
    /// RESP 3: a set, in the order in which it was sent.
    Set(Vec<Self>),
    /// RESP 3: a double.
    Double(f64),
    /// RESP 3: a boolean.
    Bool(bool),
    /// RESP 3: an integer of any size, as decimal digits with an optional sign.
    BigNumber(B),
    /// RESP 3: a string with a note of how to show it.
    Verbatim {
        /// Three characters: `txt` or `mkd`.
        format: [u8; 3],
        /// The string itself.
        text: B,
    },
    /// RESP 3: something that the server sends by itself; it answers no request.
    Push(Vec<Self>),
}

impl<B> Value<B> {
    /// The same value, its bytes held in another way.
    pub fn map<C>(self, hold: &impl Fn(B) -> C) -> Value<C> {
        let each = |items: Vec<Self>| items.into_iter().map(|item| item.map(hold)).collect();
        match self {
            Self::Null => Value::Null,
            Self::Status(text) => Value::Status(hold(text)),
            Self::Error(message) => Value::Error(hold(message)),
            Self::Integer(number) => Value::Integer(number),
            Self::Bulk(bytes) => Value::Bulk(hold(bytes)),
            Self::Array(items) => Value::Array(each(items)),
            Self::Map(pairs) => Value::Map(
                pairs
                    .into_iter()
                    .map(|(key, value)| (key.map(hold), value.map(hold)))
                    .collect(),
            ),
            Self::Set(items) => Value::Set(each(items)),
            Self::Double(number) => Value::Double(number),
            Self::Bool(flag) => Value::Bool(flag),
            Self::BigNumber(digits) => Value::BigNumber(hold(digits)),
            Self::Verbatim { format, text } => Value::Verbatim {
                format,
                text: hold(text),
            },
            Self::Push(items) => Value::Push(each(items)),
        }
    }
}

impl<B: AsRef<[u8]>> Value<B> {
    /// The bytes of a string of any kind (bulk, status, verbatim, big number); nothing for all other types.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bulk(bytes) | Self::Status(bytes) | Self::BigNumber(bytes) => {
                Some(bytes.as_ref())
            }
            Self::Verbatim { text, .. } => Some(text.as_ref()),
            _ => None,
        }
    }

    /// The message of an error reply.
    #[must_use]
    pub fn error(&self) -> Option<&[u8]> {
        match self {
            Self::Error(message) => Some(message.as_ref()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_no_larger_than_a_vector_and_a_tag() {
        // An array of millions of keys holds one of these for each.
        assert!(size_of::<Value<Vec<u8>>>() <= 32);
    }
}
