//! Which known name was probably meant.

/// The one of `known` that is most like `word`; the empty text where nothing is known.
///
/// Names with dots are compared both whole and by their last part, so that `port`, `sever.port` and `limits.port` all
/// lead to `server.port`.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> &'a str {
    let distance = |name: &str| {
        let whole = strsim::damerau_levenshtein(word, name);
        let last = strsim::damerau_levenshtein(last_part(word), last_part(name));
        // A match of the last part alone counts less than the same match of the whole name.
        whole.min(last + 1)
    };
    known
        .into_iter()
        .min_by_key(|name| distance(name))
        .unwrap_or_default()
}

fn last_part(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(_, last)| last)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn finds_what_was_meant() {
        let known = [
            "server",
            "server.port",
            "server.host",
            "limits",
            "limits.max_connections",
            "auth.password",
        ];
        let cases = [
            ("server.prot", "server.port"),
            ("sever.port", "server.port"),
            ("port", "server.port"),
            ("limits.port", "server.port"),
            ("sever", "server"),
            ("server.max_connections", "limits.max_connections"),
            ("auth.pasword", "auth.password"),
        ];
        for (word, meant) in cases {
            assert_eq!(nearest(word, known), meant, "{word}");
        }
    }
}
