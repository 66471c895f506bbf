//! Times on the command line.

use core::time::Duration;

/// Reads a number of seconds, with or without a fraction, from 0 to a day.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let number = text
        .parse()
        .ok()
        .filter(|seconds| (0.0..=86_400.0).contains(seconds));
    let seconds = number.ok_or_else(|| "not a number of seconds from 0 to 86400".to_owned())?;
    Ok(Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_and_broken_numbers() {
        assert_eq!(seconds("2"), Ok(Duration::from_secs(2)));
        assert_eq!(seconds("0.25"), Ok(Duration::from_millis(250)));
        for wrong in ["", "-1", "NaN", "inf", "1s", "86401"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
