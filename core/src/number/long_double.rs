//! C's `long double` of x86-64, in which Redis counts INCRBYFLOAT.
//!
//! 64 bits of mantissa and 17 decimals make `0.1 + 0.2` read `0.3` where 53 bits read `0.30000000000000004`, and
//! `1000.1` read `1000.09999999999999998`. Only the same arithmetic gives the same replies, so it is done here in
//! integers: a number is `mantissa × 2^exponent`, and every operation is exact up to one rounding at its end.

use alloc::vec::Vec;
use core::fmt::{self, Write};

/// The exponent of the least bit of the smallest number.
const MIN_EXPONENT: i32 = -16_445;

/// Numbers have at most this many bits before the point.
const MAX_BITS: i32 = 16_384;

/// Redis refuses longer text (`MAX_LONG_DOUBLE_CHARS`).
const MAX_TEXT: usize = 5 * 1024;

/// Significant digits that are read; of those behind it matters only whether there are any.
const MAX_DIGITS: usize = 80;

/// A number in 80-bit extended precision, as INCRBYFLOAT reads, adds and writes it.
///
/// ```
/// use ant_cache_core::number::LongDouble;
/// let sum = |a: &[u8], b| LongDouble::parse(a)?.checked_add(LongDouble::parse(b)?);
/// assert_eq!(sum(b"10.5", b"0.1").unwrap().to_string(), "10.6");
/// assert_eq!(sum(b"5.0e3", b"2.0e2").unwrap().to_string(), "5200");
/// assert_eq!(sum(b"inf", b"1"), None);
/// assert_eq!(LongDouble::parse(b" 1"), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongDouble {
    negative: bool,
    /// Zero, or with its highest bit set unless the exponent is the least.
    mantissa: u64,
    /// `None` is infinity.
    exponent: Option<i32>,
}

impl LongDouble {
    /// Reads a decimal number as Redis does: digits with or without a point, an exponent, a sign, or `inf`; no spaces,
    /// and no NaN. `None` for everything else, for numbers too large, and for those that are so small that they would
    /// become zero. (Redis also reads C's hexadecimal floats; this does not.)
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.len() >= MAX_TEXT {
            return None;
        }
        let (negative, unsigned) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        if unsigned.eq_ignore_ascii_case(b"inf") || unsigned.eq_ignore_ascii_case(b"infinity") {
            return Some(Self {
                negative,
                mantissa: 0,
                exponent: None,
            });
        }
        let decimal = Decimal::parse(unsigned)?;
        if decimal.digits.is_empty() {
            return Some(Self::zero(negative));
        }
        // Past these the result is known, and the powers of ten below stay small.
        let magnitude = decimal.exponent + decimal.digits.len() as i64;
        if !(-5000..=5000).contains(&magnitude) {
            return None;
        }
        let mut numerator = Natural::from_digits(&decimal.digits);
        let mut denominator = Natural::from_digits(&[1]);
        if decimal.exponent < 0 {
            denominator.multiply_by_ten_to(decimal.exponent.unsigned_abs());
        } else {
            numerator.multiply_by_ten_to(decimal.exponent.unsigned_abs());
        }
        let (quotient, exponent, inexact) = divide(numerator, denominator);
        let number = Self::round(negative, quotient, exponent, inexact || decimal.cut);
        (number.exponent.is_some() && number.mantissa != 0).then_some(number)
    }

    /// The sum; `None` where it is not finite.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        // A guard of 63 bits below leaves one above for the carry.
        const GUARD: i32 = 63;
        let (a, b) = (
            (self.exponent?, self.mantissa),
            (other.exponent?, other.mantissa),
        );
        let (large, small, negative) = if a >= b {
            (a, b, self.negative)
        } else {
            (b, a, other.negative)
        };
        let shift = large.0.abs_diff(small.0).min(127);
        let (large_bits, small_bits) = (u128::from(large.1) << GUARD, u128::from(small.1) << GUARD);
        let kept = small_bits >> shift;
        // What is shifted out only matters as "a bit more", which the lowest bit of the guard can say.
        let kept = kept | u128::from(kept << shift != small_bits);
        let sum = if self.negative == other.negative {
            large_bits + kept
        } else {
            large_bits - kept
        };
        if sum == 0 {
            return Some(Self::zero(self.negative && other.negative));
        }
        let sum = Self::round(negative, sum, large.0 - GUARD, false);
        sum.exponent.map(|_| sum)
    }

    const fn zero(negative: bool) -> Self {
        Self {
            negative,
            mantissa: 0,
            exponent: Some(MIN_EXPONENT),
        }
    }

    /// `bits × 2^exponent`, where `more` says that the number is a bit larger, to the nearest number; to the even one
    /// of two. `bits` is not 0, and with `more` it has over 64.
    fn round(negative: bool, bits: u128, exponent: i32, more: bool) -> Self {
        let length = 128 - bits.leading_zeros() as i32;
        let drop = (length - 64).max(MIN_EXPONENT - exponent);
        let (mantissa, exponent) = match u32::try_from(drop) {
            Err(_) => (bits << drop.unsigned_abs(), exponent + drop),
            Ok(drop) => (
                shift_right_to_nearest(bits, drop, more),
                exponent + drop as i32,
            ),
        };
        // Rounding up may have carried into a 65th bit, and then all others are 0.
        let (mantissa, exponent) = match u64::try_from(mantissa) {
            Ok(mantissa) => (mantissa, exponent),
            Err(_) => (1 << 63, exponent + 1),
        };
        let exponent = (exponent <= MAX_BITS - 64).then_some(exponent);
        Self {
            negative,
            mantissa,
            exponent,
        }
    }
}

/// As C's `%.17Lf`, without trailing zeros, and without the sign of zero.
impl fmt::Display for LongDouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DECIMALS: u128 = 100_000_000_000_000_000;
        let sign = if self.negative { "-" } else { "" };
        let Some(exponent) = self.exponent else {
            return write!(f, "{sign}inf");
        };
        if let Ok(shift) = usize::try_from(exponent) {
            f.write_str(sign)?;
            return Natural::shifted(self.mantissa, shift).fmt(f);
        }
        // At most 64 + 57 bits.
        let scaled = u128::from(self.mantissa) * DECIMALS;
        let scaled = shift_right_to_nearest(scaled, exponent.unsigned_abs(), false);
        let (whole, mut fraction) = (scaled / DECIMALS, scaled % DECIMALS);
        if scaled != 0 {
            f.write_str(sign)?;
        }
        write!(f, "{whole}")?;
        if fraction != 0 {
            let mut places = 17;
            while fraction % 10 == 0 {
                fraction /= 10;
                places -= 1;
            }
            write!(f, ".{fraction:0places$}")?;
        }
        Ok(())
    }
}

/// `bits / 2^shift` to the nearest, to the even one of two; `more` says that `bits` stands for a bit more.
fn shift_right_to_nearest(bits: u128, shift: u32, more: bool) -> u128 {
    if shift == 0 {
        return bits;
    }
    let Some(kept) = bits.checked_shr(shift) else {
        // Less than half in the lowest place: callers have at most 127 bits.
        return 0;
    };
    let lost = bits - (kept << shift);
    let half = 1 << (shift - 1);
    kept + u128::from(lost > half || (lost == half && (more || kept % 2 == 1)))
}

/// What stands in a decimal text: `digits × 10^exponent`.
struct Decimal {
    /// From the first that is not 0.
    digits: Vec<u8>,
    exponent: i64,
    /// Whether digits that are not all 0 were cut off.
    cut: bool,
}

impl Decimal {
    fn parse(text: &[u8]) -> Option<Self> {
        let mut decimal = Self {
            digits: Vec::new(),
            exponent: 0,
            cut: false,
        };
        let (whole, rest) = split_digits(text);
        let (fraction, rest) = match rest {
            [b'.', rest @ ..] => split_digits(rest),
            _ => (&rest[..0], rest),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        whole.iter().for_each(|digit| decimal.push(digit - b'0', 0));
        fraction
            .iter()
            .for_each(|digit| decimal.push(digit - b'0', -1));
        decimal.exponent += match rest {
            [] => 0,
            [b'e' | b'E', b'-', digits @ ..] => -exponent(digits)?,
            [b'e' | b'E', b'+', digits @ ..] | [b'e' | b'E', digits @ ..] => exponent(digits)?,
            _ => return None,
        };
        Some(decimal)
    }

    /// Appends a digit, which changes the exponent by `step` where it stands behind the point.
    fn push(&mut self, digit: u8, step: i64) {
        self.exponent += step;
        if self.digits.len() == MAX_DIGITS {
            self.exponent += 1;
            self.cut |= digit != 0;
        } else if digit != 0 || !self.digits.is_empty() {
            self.digits.push(digit);
        }
    }
}

fn split_digits(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().take_while(|byte| byte.is_ascii_digit()).count())
}

/// At least one digit and nothing else. Very large ones are all the same.
fn exponent(text: &[u8]) -> Option<i64> {
    let (digits @ [_, ..], []) = split_digits(text) else {
        return None;
    };
    Some(digits.iter().fold(0, |value: i64, digit| {
        (value * 10 + i64::from(digit - b'0')).min(1 << 40)
    }))
}

/// The quotient of two positive numbers as bits (66 or 67 of them) and an exponent, and whether that is not all.
fn divide(mut numerator: Natural, mut denominator: Natural) -> (u128, i32, bool) {
    const STEPS: i32 = 67;
    let (n, d) = (numerator.bits(), denominator.bits());
    // To the same length: then the quotient lies between 1/2 and 2, and each step gives one bit of it.
    if n < d {
        numerator.shift_left(d - n);
    } else {
        denominator.shift_left(n - d);
    }
    let mut quotient = 0;
    for _ in 0..STEPS {
        quotient <<= 1;
        if numerator.subtract_if_not_less(&denominator) {
            quotient |= 1;
        }
        numerator.shift_left(1);
    }
    (
        quotient,
        n as i32 - d as i32 - (STEPS - 1),
        numerator.bits() > 0,
    )
}

/// A number of any size, in words from the lowest on, without zeros at the high end.
struct Natural(Vec<u32>);

impl Natural {
    const TEN_TO_9: u32 = 1_000_000_000;

    fn from_digits(digits: &[u8]) -> Self {
        let mut number = Self(Vec::new());
        digits
            .iter()
            .for_each(|digit| number.multiply_and_add(10, u32::from(*digit)));
        number
    }

    fn shifted(value: u64, shift: usize) -> Self {
        let mut number = Self(Vec::from([value as u32, (value >> 32) as u32]));
        number.trim();
        number.shift_left(shift);
        number
    }

    fn multiply_and_add(&mut self, factor: u32, summand: u32) {
        let mut carry = u64::from(summand);
        for word in &mut self.0 {
            carry += u64::from(*word) * u64::from(factor);
            *word = carry as u32;
            carry >>= 32;
        }
        if carry > 0 {
            self.0.push(carry as u32);
        }
    }

    fn multiply_by_ten_to(&mut self, exponent: u64) {
        (0..exponent / 9).for_each(|_| self.multiply_and_add(Self::TEN_TO_9, 0));
        (0..exponent % 9).for_each(|_| self.multiply_and_add(10, 0));
    }

    /// Divides and gives the remainder.
    fn divide_by(&mut self, divisor: u32) -> u32 {
        let mut rest = 0;
        for word in self.0.iter_mut().rev() {
            let value = rest << 32 | u64::from(*word);
            *word = (value / u64::from(divisor)) as u32;
            rest = value % u64::from(divisor);
        }
        self.trim();
        rest as u32
    }

    fn bits(&self) -> usize {
        self.0
            .last()
            .map_or(0, |high| self.0.len() * 32 - high.leading_zeros() as usize)
    }

    fn shift_left(&mut self, bits: usize) {
        if !bits.is_multiple_of(32) {
            self.multiply_and_add(1 << (bits % 32), 0);
        }
        if !self.0.is_empty() {
            self.0.splice(0..0, core::iter::repeat_n(0, bits / 32));
        }
    }

    fn subtract_if_not_less(&mut self, other: &Self) -> bool {
        let order = self.0.len().cmp(&other.0.len());
        if order
            .then_with(|| self.0.iter().rev().cmp(other.0.iter().rev()))
            .is_lt()
        {
            return false;
        }
        let mut borrow = false;
        for (i, word) in self.0.iter_mut().enumerate() {
            let (first, under) = word.overflowing_sub(other.0.get(i).copied().unwrap_or(0));
            let (second, under_again) = first.overflowing_sub(u32::from(borrow));
            *word = second;
            borrow = under || under_again;
        }
        self.trim();
        true
    }

    fn trim(&mut self) {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
    }
}

impl fmt::Display for Natural {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = Self(self.0.clone());
        let mut groups = Vec::new();
        while !rest.0.is_empty() {
            groups.push(rest.divide_by(Self::TEN_TO_9));
        }
        let Some((first, others)) = groups.split_last() else {
            return f.write_char('0');
        };
        write!(f, "{first}")?;
        others
            .iter()
            .rev()
            .try_for_each(|group| write!(f, "{group:09}"))
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::{String, ToString};

    use proptest::prelude::*;

    use super::*;

    fn sum(a: &str, b: &str) -> Option<String> {
        let sum = LongDouble::parse(a.as_bytes())?.checked_add(LongDouble::parse(b.as_bytes())?)?;
        Some(sum.to_string())
    }

    /// Replies of redis-server 7.0.15 on x86-64 to `SET a FIRST`, `INCRBYFLOAT a SECOND`.
    #[test]
    fn sums_are_those_of_redis() {
        for (a, b, expected) in [
            ("0.1", "0.2", "0.3"),
            ("10.5", "0.1", "10.6"),
            ("5.0e3", "200", "5200"),
            ("1000.1", "0", "1000.09999999999999998"),
            ("123456789.123456789", "0", "123456789.12345678899873747"),
            ("1e20", "1", "100000000000000000000"),
            ("1e17", "0.5", "100000000000000000.5"),
            ("99999999999999999999.5", "0", "100000000000000000000"),
            ("4503599627370496.5", "0.25", "4503599627370496.75"),
            ("0.000000000000000005", "0", "0"),
            ("-0.000000000000000001", "0", "0"),
            ("-0", "-0", "0"),
            ("1", "-1", "0"),
            ("1.", "1", "2"),
            (".5", "1", "1.5"),
            ("+5", "1", "6"),
            ("1e-4950", "1", "1"),
            ("0e999999999999", "1", "1"),
        ] {
            assert_eq!(sum(a, b).as_deref(), Some(expected), "{a} + {b}");
        }
        let large = sum("1e400", "1").unwrap();
        assert!(
            large.starts_with(
                "1000000000000000000028188068394758651458645343362905203862591069353968"
            )
        );
        assert_eq!(large.len(), 401);
        assert_eq!(sum("1e4931", "0").unwrap().len(), 4932);
    }

    #[test]
    fn what_redis_refuses_is_refused() {
        for text in [
            "", " 1", "1 ", ".", "-", "1e", "1e+", "e5", "1_0", "nan", "1e4933", "1e-4951",
            "1e-5000", "--1",
        ] {
            assert_eq!(LongDouble::parse(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(LongDouble::parse(&[b'1'; MAX_TEXT]), None);
        for infinite in ["inf", "-Infinity"] {
            assert!(LongDouble::parse(infinite.as_bytes()).is_some());
            assert_eq!(sum(infinite, "1"), None);
        }
        assert_eq!(sum("1e4932", "1e4932"), None);
    }

    /// A number in units of 10^-6, as text.
    fn millionths(value: i64) -> String {
        let sign = if value < 0 { "-" } else { "" };
        let (whole, fraction) = (
            value.unsigned_abs() / 1_000_000,
            value.unsigned_abs() % 1_000_000,
        );
        let text = format!("{sign}{whole}.{fraction:06}");
        text.trim_end_matches('0').trim_end_matches('.').to_string()
    }

    proptest! {
        /// Below 16, 64 bits hold 17 decimals and a rest that rounding removes.
        #[test]
        fn small_decimals_add_up(a in -7_999_999i64..8_000_000, b in -7_999_999i64..8_000_000) {
            let expected = if a + b == 0 { "0".to_string() } else { millionths(a + b) };
            prop_assert_eq!(sum(&millionths(a), &millionths(b)), Some(expected));
        }

        #[test]
        fn whole_numbers_add_up(a in any::<i64>(), b in any::<i64>()) {
            let expected = i128::from(a) + i128::from(b);
            prop_assume!(expected.unsigned_abs() < 1 << 64);
            prop_assert_eq!(sum(&a.to_string(), &b.to_string()), Some(expected.to_string()));
        }

        /// A double fits, and what is printed of its integer part is exact.
        #[test]
        fn doubles_survive(value in proptest::num::f64::NORMAL) {
            let whole = value.trunc();
            let expected = if whole == 0.0 { "0".to_string() } else { format!("{whole:.0}") };
            prop_assert_eq!(sum(&format!("{whole:.0}"), "0"), Some(expected));
        }

        #[test]
        fn nothing_panics(text in "[-+]?[0-9]{0,30}[.]?[0-9]{0,30}([eE][-+]?[0-9]{1,5})?", other in "[-+]?[0-9]{1,25}") {
            sum(&text, &other);
            sum(&other, &text);
        }
    }
}
