//! Numbers as text.

/// A decimal number as Redis reads it: digits without leading zeros, a `-` before any but 0, nothing else. `None` for
/// everything else, and outside the range of the type.
///
/// ```
/// use ant_cache_core::number::parse_i64;
/// assert_eq!(parse_i64(b"-17"), Some(-17));
/// for wrong in [&b""[..], b"+1", b"01", b"-0", b" 1", b"1.0", b"9223372036854775808"] {
///     assert_eq!(parse_i64(wrong), None);
/// }
/// ```
#[must_use]
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let magnitude = parse_u64(digits)?;
    if !negative {
        return i64::try_from(magnitude).ok();
    }
    if magnitude == 0 {
        return None;
    }
    0i64.checked_sub_unsigned(magnitude)
}

/// The same for numbers that cannot be negative.
#[must_use]
pub fn parse_u64(text: &[u8]) -> Option<u64> {
    match text {
        [] | [b'0', _, ..] => None,
        digits => digits.iter().try_fold(0u64, |value, &byte| {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return None;
            }
            value.checked_mul(10)?.checked_add(u64::from(digit))
        }),
    }
}

/// The same for counts and offsets.
#[must_use]
pub fn parse_usize(text: &[u8]) -> Option<usize> {
    usize::try_from(parse_u64(text)?).ok()
}
