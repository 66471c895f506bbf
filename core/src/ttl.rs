//! Times to live as the text dialect writes them: `30`, `500ms`, `5m`, `1y`.

use core::fmt::{self, Write};

use crate::Millis;

/// The last moment that a TTL may reach, so that every moment is also a positive integer of the protocol.
const LAST: u64 = i64::MAX as u64;

/// The moment at which `token`, a time from `now` on, has passed.
///
/// A token is a positive whole number and a unit in any case, `ms`, `s`, `m`, `h`, `d` or `y` (365 days); without a
/// unit it counts seconds.
///
/// ```
/// use ant_cache_core::{Millis, ttl};
/// assert_eq!(ttl::parse(b"2m", Millis(500)), Ok(Millis(120_500)));
/// let error = ttl::parse(b"soon", Millis(500)).unwrap_err();
/// assert_eq!(error.to_string(), "invalid ttl value: invalid TTL format: soon");
/// ```
///
/// # Errors
/// For everything else: zero, a sign, a fraction, an unknown unit, and a moment past the signed 64-bit milliseconds.
pub fn parse(token: &[u8], now: Millis) -> Result<Millis, TtlError<'_>> {
    moment(token, now).ok_or(TtlError(token))
}

fn moment(token: &[u8], now: Millis) -> Option<Millis> {
    let digits = token
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let (number, unit) = token.split_at(digits);
    let number = number.iter().try_fold(0u64, |value, digit| {
        value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
    })?;
    let millis = number.checked_mul(unit_millis(unit)?)?;
    let moment = now.0.checked_add(millis)?;
    (millis > 0 && moment <= LAST).then_some(Millis(moment))
}

fn unit_millis(unit: &[u8]) -> Option<u64> {
    const SECOND: u64 = 1000;
    const DAY: u64 = 24 * 60 * 60 * SECOND;
    let (letter, rest) = match unit {
        [] => return Some(SECOND),
        [letter, rest @ ..] => (letter.to_ascii_lowercase(), rest),
    };
    match (letter, rest) {
        (b'm', [b's' | b'S']) => Some(1),
        (b's', []) => Some(SECOND),
        (b'm', []) => Some(60 * SECOND),
        (b'h', []) => Some(60 * 60 * SECOND),
        (b'd', []) => Some(DAY),
        (b'y', []) => Some(365 * DAY),
        _ => None,
    }
}

/// A token that is no TTL. It shows the token, with `�` for what is not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TtlError<'a>(&'a [u8]);

impl fmt::Display for TtlError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invalid ttl value: invalid TTL format: ")?;
        for chunk in self.0.utf8_chunks() {
            f.write_str(chunk.valid())?;
            if !chunk.invalid().is_empty() {
                f.write_char(char::REPLACEMENT_CHARACTER)?;
            }
        }
        Ok(())
    }
}

impl core::error::Error for TtlError<'_> {}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_unit_in_any_case() {
        const DAY: u64 = 86_400_000;
        for (token, millis) in [
            ("1", 1000),
            ("1ms", 1),
            ("1S", 1000),
            ("2m", 120_000),
            ("2M", 120_000),
            ("3h", 10_800_000),
            ("1D", DAY),
            ("1y", 365 * DAY),
            ("250MS", 250),
            ("250mS", 250),
            ("007s", 7000),
        ] {
            assert_eq!(
                parse(token.as_bytes(), Millis(5)),
                Ok(Millis(5 + millis)),
                "{token}"
            );
        }
    }

    #[test]
    fn everything_else_is_an_error() {
        for token in [
            "",
            "0",
            "0ms",
            "00",
            "-1",
            "+1",
            "1.5",
            "1.0s",
            "s",
            "ms",
            "1 s",
            " 1",
            "1 ",
            "1ss",
            "1mss",
            "1w",
            "1min",
            "abc",
            "0x10",
            "1e3",
            "99999999999999999999",
            "9223372036854775807",
            "١s",
        ] {
            let message = format!("invalid ttl value: invalid TTL format: {token}");
            assert_eq!(
                parse(token.as_bytes(), Millis(0)).map_err(|error| error.to_string()),
                Err(message)
            );
        }
        assert_eq!(
            TtlError(b"a\xffb").to_string(),
            "invalid ttl value: invalid TTL format: a\u{fffd}b"
        );
    }

    #[test]
    fn the_clock_has_an_end() {
        let last = Millis(i64::MAX as u64);
        assert_eq!(parse(b"9223372036854775807ms", Millis(0)), Ok(last));
        assert_eq!(parse(b"9223372036854775806ms", Millis(1)), Ok(last));
        assert!(parse(b"9223372036854775807ms", Millis(1)).is_err());
        assert!(parse(b"1ms", Millis(u64::MAX)).is_err());
    }

    proptest! {
        #[test]
        fn whole_numbers_of_seconds_are_read(seconds in 1u64..1 << 50, now in 0u64..1 << 50) {
            let expected = Ok(Millis(now + seconds * 1000));
            for token in [format!("{seconds}"), format!("{seconds}s")] {
                prop_assert_eq!(parse(token.as_bytes(), Millis(now)), expected);
            }
        }

        #[test]
        fn any_token_is_read_or_refused(token in proptest::collection::vec(any::<u8>(), 0..12), now: u64) {
            if let Ok(moment) = parse(&token, Millis(now)) {
                prop_assert!(moment > Millis(now));
            }
        }
    }
}
