//! A decoded reply.

use alloc::vec::Vec;

/// One reply of RESP 2 or 3.
///
/// Bytes stay bytes: keys, values and even error messages need not be UTF-8.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// Nothing: RESP 3's null, and RESP 2's null bulk string and null array.
    Null,
    /// A status such as `OK` or `PONG`.
    Status(Vec<u8>),
    /// An error; the message begins with a code in capitals (`ERR`, `WRONGTYPE`, `NOAUTH`, …).
    Error(Vec<u8>),
    /// An integer.
    Integer(i64),
    /// A string of bytes.
    Bulk(Vec<u8>),
    /// An array.
    Array(Vec<Value>),
    /// RESP 3: a map, in the order in which it was sent; a key may come twice.
    Map(Vec<(Value, Value)>),
    /// RESP 3: a set, in the order in which it was sent.
    Set(Vec<Value>),
    /// RESP 3: a double.
    Double(f64),
    /// RESP 3: a boolean.
    Bool(bool),
    /// RESP 3: an integer of any size, as decimal digits with an optional sign.
    BigNumber(Vec<u8>),
    /// RESP 3: a string with a note of how to show it.
    Verbatim {
        /// Three characters: `txt` or `mkd`.
        format: [u8; 3],
        /// The string itself.
        text: Vec<u8>,
    },
    /// RESP 3: something that the server sends by itself; it answers no request.
    Push(Vec<Value>),
}

impl Value {
    /// The bytes of a string of any kind (bulk, status, verbatim, big number); nothing for all other types.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bulk(bytes) | Self::Status(bytes) | Self::BigNumber(bytes) => Some(bytes),
            Self::Verbatim { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The message of an error reply.
    #[must_use]
    pub fn error(&self) -> Option<&[u8]> {
        match self {
            Self::Error(message) => Some(message),
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
        assert!(size_of::<Value>() <= 32);
    }
}
