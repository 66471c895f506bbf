//! Numbers as text, to the byte as Redis reads and writes them.

use core::fmt::{self, Write};

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
