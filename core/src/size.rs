//! Sizes as people write them: `512mb`, `64k`, `1GiB`.

use alloc::format;
use alloc::string::{String, ToString};

/// The units in bytes, largest first, each with all its names. A kilobyte is always 1024 bytes.
const UNITS: [([&str; 3], u64); 4] = [
    (["gb", "g", "gib"], 1 << 30),
    (["mb", "m", "mib"], 1 << 20),
    (["kb", "k", "kib"], 1 << 10),
    (["b", "", ""], 1),
];

/// Reads a whole number of bytes with a unit in either case, or without one; `None` where it is not one of 64 bits.
///
/// ```
/// use ant_cache_core::size;
///
/// assert_eq!(size::parse("64k"), Some(65_536));
/// assert_eq!(size::parse("2GiB"), Some(2 << 30));
/// assert_eq!(size::parse("1.5mb"), None);
/// ```
#[must_use]
pub fn parse(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    // `u64::from_str` would take a plus sign.
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let name = &text[digits.len()..];
    let mut units = UNITS.iter();
    let (_, unit) = units.find(|(names, _)| names.iter().any(|n| n.eq_ignore_ascii_case(name)))?;
    digits.parse::<u64>().ok()?.checked_mul(*unit)
}

/// Writes a number of bytes exactly, in the largest unit that divides it, so that [`parse`] reads it back.
#[must_use]
pub fn exact(bytes: u64) -> String {
    let fits = |(_, unit): &&([&str; 3], u64)| bytes > 0 && bytes.is_multiple_of(*unit);
    UNITS.iter().find(fits).map_or_else(
        || bytes.to_string(),
        |(names, unit)| format!("{}{}", bytes / unit, names[0]),
    )
}

/// Writes a number of bytes for people, with two decimals, as Redis does.
#[must_use]
pub fn human(bytes: u64) -> String {
    const UNITS: [char; 6] = ['K', 'M', 'G', 'T', 'P', 'E'];
    if bytes < 1024 {
        return format!("{bytes}B");
    }
    let power = bytes.ilog2() / 10;
    format!(
        "{:.2}{}",
        bytes as f64 / (1u64 << (10 * power)) as f64,
        UNITS[power as usize - 1]
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("1", 1),
            ("0", 0),
            ("5b", 5),
            ("64mb", 64 << 20),
            ("64MB", 64 << 20),
            ("64M", 64 << 20),
            ("64MiB", 64 << 20),
            ("1Gb", 1 << 30),
            ("128k", 128 << 10),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(parse(text), Some(bytes), "{text}");
        }
        for text in [
            "",
            "mb",
            "-1kb",
            "+1",
            "1.5mb",
            "1 mb",
            "1tb",
            "18446744073709551615gb",
            "18446744073709551616",
            "1mb1",
            "é",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(exact(0), "0");
        assert_eq!((exact(3 << 19), exact(1)), ("1536kb".into(), "1b".into()));
        assert_eq!(
            (human(1023), human(3 << 19)),
            ("1023B".into(), "1.50M".into())
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(bytes in any::<u64>(), shift in 0..50) {
            let bytes = bytes >> shift << (shift / 2);
            prop_assert_eq!(parse(&exact(bytes)), Some(bytes));
        }

        #[test]
        fn any_text_is_taken_or_refused(text in any::<String>()) {
            let _ = parse(&text);
        }
    }
}
