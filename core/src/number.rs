//! Numbers as text, to the byte as Redis reads and writes them.

mod long_double;

use core::fmt::{self, Write};

pub use long_double::LongDouble;

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

/// A floating-point number as C's `%.17g` prints it: 17 significant digits without trailing zeros.
///
/// ```
/// use ant_cache_core::number::General;
/// assert_eq!(General::new(0.1).as_bytes(), b"0.10000000000000001");
/// assert_eq!(General::new(3.0).as_bytes(), b"3");
/// assert_eq!(General::new(1e21).as_bytes(), b"1e+21");
/// assert_eq!(General::new(f64::NEG_INFINITY).as_bytes(), b"-inf");
/// ```
#[derive(Clone, Debug)]
pub struct General {
    /// A sign, `0.0000`, 17 digits, or a sign, 17 digits with a point, and `e-308`.
    text: [u8; 32],
    len: usize,
}

impl General {
    /// Formats `value`.
    #[must_use]
    pub fn new(value: f64) -> Self {
        let mut general = Self {
            text: [0; 32],
            len: 0,
        };
        // The text fits in any case; where it did not, it would be cut, not wrong memory.
        let _ = if value.is_finite() {
            general.finite(value)
        } else {
            // Rust says NaN.
            general.write_str(if value.is_nan() {
                "nan"
            } else if value > 0.0 {
                "inf"
            } else {
                "-inf"
            })
        };
        general
    }

    /// The text.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.text[..self.len]
    }

    /// Rust's own exponential form has the right digits; C only sets them out otherwise.
    fn finite(&mut self, value: f64) -> fmt::Result {
        let mut scientific = Self {
            text: [0; 32],
            len: 0,
        };
        write!(scientific, "{value:.16e}")?;
        let text = core::str::from_utf8(scientific.as_bytes()).map_err(|_| fmt::Error)?;
        let (mantissa, exponent) = text.split_once('e').ok_or(fmt::Error)?;
        let exponent: i32 = exponent.parse().map_err(|_| fmt::Error)?;
        let (sign, mantissa) = mantissa
            .strip_prefix('-')
            .map_or(("", mantissa), |rest| ("-", rest));
        let (first, rest) = mantissa.split_once('.').ok_or(fmt::Error)?;
        let rest = rest.trim_end_matches('0');
        self.write_str(sign)?;
        match exponent {
            0..=16 => {
                let whole = usize::try_from(exponent).unwrap_or(0);
                let (inside, fraction) = rest.split_at(rest.len().min(whole));
                write!(self, "{first}{inside:0<whole$}")?;
                if fraction.is_empty() {
                    Ok(())
                } else {
                    write!(self, ".{fraction}")
                }
            }
            -4..0 => {
                let zeros = usize::try_from(-exponent - 1).unwrap_or(0);
                write!(self, "0.{:0<zeros$}{first}{rest}", "")
            }
            _ => {
                self.write_str(first)?;
                if !rest.is_empty() {
                    write!(self, ".{rest}")?;
                }
                let exponent_sign = if exponent < 0 { '-' } else { '+' };
                write!(self, "e{exponent_sign}{:02}", exponent.unsigned_abs())
            }
        }
    }
}

impl Write for General {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self
            .text
            .get_mut(self.len..self.len + text.len())
            .ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.len += text.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::{String, ToString};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn integers_are_read_strictly() {
        for (text, expected) in [
            ("0", Some(0)),
            ("-1", Some(-1)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("-9223372036854775809", None),
            ("18446744073709551616", None),
            ("", None),
            ("-", None),
            ("-0", None),
            ("00", None),
            ("-01", None),
            ("+1", None),
            (" 1", None),
            ("1 ", None),
            ("1a", None),
            ("--1", None),
        ] {
            assert_eq!(parse_i64(text.as_bytes()), expected, "{text:?}");
        }
        assert_eq!(parse_u64(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(parse_u64(b"-1"), None);
    }

    fn general(value: f64) -> String {
        String::from_utf8(General::new(value).as_bytes().to_vec()).unwrap()
    }

    /// What C's printf gives for `%.17g`.
    #[test]
    fn doubles_are_written_as_c_does() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-2.5, "-2.5"),
            (0.1, "0.10000000000000001"),
            (100.0, "100"),
            (120.5, "120.5"),
            (0.0001, "0.0001"),
            (0.00001, "1.0000000000000001e-05"),
            (1e16, "10000000000000000"),
            (1e17, "1e+17"),
            (123_456_789_012_345_680.0, "1.2345678901234568e+17"),
            (5e-324, "4.9406564584124654e-324"),
            (-f64::MAX, "-1.7976931348623157e+308"),
            (-1.000_000_000_000_000_2e-4, "-0.00010000000000000002"),
            (f64::NAN, "nan"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(general(value), expected);
        }
    }

    proptest! {
        #[test]
        fn integers_round_trip(value: i64) {
            prop_assert_eq!(parse_i64(value.to_string().as_bytes()), Some(value));
        }

        #[test]
        fn doubles_round_trip(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            prop_assert_eq!(general(value).parse::<f64>(), Ok(value));
        }
    }
}
