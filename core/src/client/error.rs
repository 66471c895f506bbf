//! Why bytes are no reply.

use core::error::Error;
use core::fmt::{Display, Formatter, Result};

/// Why the bytes of a server are no RESP reply. After any of these the two sides are out of step: the connection
/// must be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// A reply begins with a byte that names no type.
    UnknownType(u8),
    /// A length, count, integer, boolean or double is none, or out of range.
    InvalidNumber,
    /// Something other than CR LF where a line or a bulk string must end.
    MissingCrLf,
    /// A header line goes on past [`ReplyLimits::line`](super::ReplyLimits::line).
    LineTooLong,
    /// Arrays in arrays, deeper than [`ReplyLimits::depth`](super::ReplyLimits::depth).
    TooDeep,
    /// A reply takes, or announces, more memory than [`ReplyLimits::bytes`](super::ReplyLimits::bytes).
    TooBig,
    /// A streamed string or aggregate (`$?`, `*?`): no server sends these, and they are not understood here.
    Streamed,
}

impl Display for DecodeError {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::UnknownType(byte) => {
                write!(
                    f,
                    "reply begins with '{}', which names no type",
                    byte.escape_ascii()
                )
            }
            Self::InvalidNumber => f.write_str("reply with an invalid number or length"),
            Self::MissingCrLf => f.write_str("reply without CR LF where it must end"),
            Self::LineTooLong => f.write_str("reply with a line over the limit"),
            Self::TooDeep => f.write_str("reply nested deeper than the limit"),
            Self::TooBig => f.write_str("reply larger than the limit"),
            Self::Streamed => f.write_str("reply of a streamed type, which is not supported"),
        }
    }
}

impl Error for DecodeError {}
