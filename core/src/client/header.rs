//! The line that every RESP reply begins with: one byte of type, the rest up to CR LF.

use super::DecodeError;
use crate::number::parse_i64;
use memchr::memchr;

/// The type of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Null of any form: `_`, `$-1`, `*-1`.
    Null,
    /// `+`
    Status,
    /// `-` or `!`
    Error,
    /// `:`
    Integer,
    /// `$`
    Bulk,
    /// `*`
    Array,
    /// `%`
    Map,
    /// `~`
    Set,
    /// `,`
    Double,
    /// `#`
    Bool,
    /// `(`
    BigNumber,
    /// `=`
    Verbatim,
    /// `>`
    Push,
}

/// What follows a header line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Follows {
    /// Nothing: the line was all.
    Nothing,
    /// So many bytes, then CR LF.
    Bytes(usize),
    /// So many values; a pair counts two.
    Values(u64),
    /// So many values that describe the value behind them.
    Attribute(u64),
}

/// The longest length or count: below it no sum or product of the decoders can overflow.
const MAX_LENGTH: i64 = 1 << 40;

/// Offset behind the CR LF of the line at `at`, of at most `most` bytes; nothing where its end is not there. `searched` is how
/// far was looked, so that a line that dribbles in costs no more.
pub(super) fn line_end(
    buf: &[u8],
    at: usize,
    searched: &mut usize,
    most: usize,
) -> Result<Option<usize>, DecodeError> {
    let found = memchr(b'\n', &buf[*searched..]);
    let end = found.map_or(buf.len(), |found| *searched + found + 1);
    if end - at > most {
        return Err(DecodeError::LineTooLong);
    }
    *searched = end;
    match found {
        None => Ok(None),
        Some(_) if buf[at..end].ends_with(b"\r\n") => Ok(Some(end)),
        Some(_) => Err(DecodeError::MissingCrLf),
    }
}

/// Reads a header line, which comes without its CR LF and with its type byte.
pub(super) fn header(line: &[u8]) -> Result<(Kind, Follows), DecodeError> {
    let Some((&kind, rest)) = line.split_first() else {
        return Err(DecodeError::UnknownType(b'\r'));
    };
    Ok(match kind {
        b'+' => (Kind::Status, Follows::Nothing),
        b'-' => (Kind::Error, Follows::Nothing),
        b':' => (Kind::Integer, Follows::Nothing),
        b',' => (Kind::Double, Follows::Nothing),
        b'#' => (Kind::Bool, Follows::Nothing),
        b'(' => (Kind::BigNumber, Follows::Nothing),
        b'_' => (Kind::Null, Follows::Nothing),
        b'$' => bytes(Kind::Bulk, rest)?,
        b'=' => bytes(Kind::Verbatim, rest)?,
        b'!' => bytes(Kind::Error, rest)?,
        b'*' => values(Kind::Array, rest, 1)?,
        b'~' => values(Kind::Set, rest, 1)?,
        b'>' => values(Kind::Push, rest, 1)?,
        b'%' => values(Kind::Map, rest, 2)?,
        b'|' => (
            Kind::Map,
            Follows::Attribute(2 * length(rest)?.ok_or(DecodeError::InvalidNumber)?),
        ),
        other => return Err(DecodeError::UnknownType(other)),
    })
}

fn bytes(kind: Kind, rest: &[u8]) -> Result<(Kind, Follows), DecodeError> {
    Ok(match length(rest)? {
        Some(n) => (
            kind,
            Follows::Bytes(usize::try_from(n).map_err(|_| DecodeError::TooBig)?),
        ),
        None => (Kind::Null, Follows::Nothing),
    })
}

fn values(kind: Kind, rest: &[u8], each: u64) -> Result<(Kind, Follows), DecodeError> {
    Ok(match length(rest)? {
        Some(n) => (kind, Follows::Values(each * n)),
        None => (Kind::Null, Follows::Nothing),
    })
}

/// A length or count; nothing for −1, which stands for null.
fn length(digits: &[u8]) -> Result<Option<u64>, DecodeError> {
    if digits == b"?" {
        return Err(DecodeError::Streamed);
    }
    match parse_i64(digits).ok_or(DecodeError::InvalidNumber)? {
        -1 => Ok(None),
        n if n < 0 => Err(DecodeError::InvalidNumber),
        n if n > MAX_LENGTH => Err(DecodeError::TooBig),
        n => Ok(Some(n.unsigned_abs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_that_are_none() {
        assert_eq!(header(b"$-1"), Ok((Kind::Null, Follows::Nothing)));
        assert_eq!(header(b"*-1"), Ok((Kind::Null, Follows::Nothing)));
        assert_eq!(header(b"$-2"), Err(DecodeError::InvalidNumber));
        assert_eq!(header(b"|-1"), Err(DecodeError::InvalidNumber));
        assert_eq!(header(b"%9223372036854775807"), Err(DecodeError::TooBig));
        assert_eq!(header(b"*?"), Err(DecodeError::Streamed));
        assert_eq!(header(b""), Err(DecodeError::UnknownType(b'\r')));
        assert_eq!(header(b"OK"), Err(DecodeError::UnknownType(b'O')));
    }
}
