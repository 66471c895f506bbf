//! The words of the command line, before clap sees them.
//!
//! The flags of the original server have one dash (`-server pooled-goroutine -port=8891`). clap would read a bundle of
//! short flags there, so a long name of the server behind one dash gets its second dash here. Only whole, known names
//! are touched: `-h` and `-V` stay short flags, and the other subcommands keep their words as they are.

use std::ffi::OsString;

/// Long flags of the server: the name, and whether a value follows.
pub(crate) struct Flag {
    pub(crate) name: &'static str,
    pub(crate) takes_value: bool,
}

/// Gives known long names behind one dash their second one. The first of `words` is the program's name.
pub(crate) fn double_dashes(
    words: impl IntoIterator<Item = OsString>,
    flags: &[Flag],
) -> Vec<OsString> {
    let mut words = words.into_iter();
    let mut out: Vec<OsString> = words.next().into_iter().collect();
    while let Some(word) = words.next() {
        let text = word.to_str().unwrap_or_default();
        // Another subcommand, or the end of the flags.
        if text == "--" || (!text.starts_with('-') && text != "serve") {
            out.push(word);
            break;
        }
        let dashes = text.len() - text.trim_start_matches('-').len();
        let (name, value) = match text[dashes..].split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (&text[dashes..], None),
        };
        let flag = flags.iter().find(|flag| flag.name == name);
        let doubled = dashes == 1 && flag.is_some();
        out.push(if doubled {
            format!("-{text}").into()
        } else {
            word.clone()
        });
        // What follows is a value, whatever it looks like.
        if value.is_none() && flag.is_some_and(|flag| flag.takes_value) {
            out.extend(words.next());
        }
    }
    out.extend(words);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doubled(line: &str) -> String {
        let flags = [("server", true), ("port", true), ("print-config", false)]
            .map(|(name, takes_value)| Flag { name, takes_value });
        let words = line.split_whitespace().map(OsString::from);
        let out = double_dashes(words, &flags);
        out.iter()
            .map(|word| word.to_str().unwrap())
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn known_long_names_get_their_second_dash() {
        let cases = [
            (
                "x -server pooled -port 8891",
                "x --server pooled --port 8891",
            ),
            ("x -port=8891 -print-config", "x --port=8891 --print-config"),
            ("x serve -port 1", "x serve --port 1"),
            ("x --port 1 -server single", "x --port 1 --server single"),
        ];
        for (line, meant) in cases {
            assert_eq!(doubled(line), meant);
            assert_eq!(doubled(meant), meant);
        }
    }

    #[test]
    fn everything_else_stays() {
        for line in [
            "x",
            "x -h",
            "x -V",
            "x -por 1",
            "x -ports 1",
            "x - -port",
            "x --- 1",
            "x --port -server",
            "x -- -port 1",
            "x cli -port 1",
            "x bench -server pooled",
            "x help -port",
        ] {
            let meant = line.replace("x - -port", "x - --port");
            assert_eq!(doubled(line), meant);
        }
        assert_eq!(
            doubled("x -print-config cli -port 1"),
            "x --print-config cli -port 1"
        );
    }
}
