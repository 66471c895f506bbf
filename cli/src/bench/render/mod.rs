//! What was found, for people: a page, a document, pictures.

mod html;
mod markdown;
mod plot;

use super::suite::Plot;

pub(super) use html::page;
pub(super) use markdown::{picture, update};

/// A plot as a file of its own.
pub(super) fn svg(plot: &Plot) -> String {
    plot::svg(plot)
}

/// Text inside HTML and SVG, in attributes too.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            other => out.push(other),
        }
    }
    out
}

/// The day of a moment, in seconds since 1970, as `2026-11-25`.
fn day(seconds: u64) -> String {
    // Years are counted from March, so that the day that comes every four years is the last of its year.
    let days = seconds / 86_400 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    format!("{:04}-{month:02}-{date:02}", era * 400 + year + carry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_of_the_calendar() {
        let cases = [
            (0, "1970-01-01"),
            (951_782_400, "2000-02-29"),
            (951_868_800, "2000-03-01"),
            (1_767_225_599, "2025-12-31"),
            (1_795_564_800, "2026-11-25"),
            (4_107_542_400, "2100-03-01"),
        ];
        for (seconds, text) in cases {
            assert_eq!(day(seconds), text);
        }
    }
}
