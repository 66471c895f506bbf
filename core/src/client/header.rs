//! The line that every RESP reply begins with: one byte of type, the rest up to CR LF.

use super::DecodeError;

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
    match integer(digits).ok_or(DecodeError::InvalidNumber)? {
        -1 => Ok(None),
        n if n < 0 => Err(DecodeError::InvalidNumber),
        n if n > MAX_LENGTH => Err(DecodeError::TooBig),
        n => Ok(Some(n.unsigned_abs())),
    }
}

/// A decimal integer: an optional sign and digits.
pub(super) fn integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    // Built below zero, where the range reaches one further.
    let below = digits.iter().try_fold(0i64, |sum, &byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit < 10).then_some(())?;
        sum.checked_mul(10)?.checked_sub(i64::from(digit))
    })?;
    if negative {
        Some(below)
    } else {
        below.checked_neg()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_to_both_ends_of_their_range() {
        assert_eq!(integer(b"9223372036854775807"), Some(i64::MAX));
        assert_eq!(integer(b"-9223372036854775808"), Some(i64::MIN));
        assert_eq!(integer(b"9223372036854775808"), None);
        assert_eq!(integer(b"-9223372036854775809"), None);
        assert_eq!(integer(b"+7"), Some(7));
        for none in [&b""[..], b"-", b"+", b"1x", b" 1", b"--1"] {
            assert_eq!(integer(none), None, "{none:?}");
        }
    }

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
