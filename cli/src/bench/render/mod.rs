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
