//! A line as a person types it, to arguments: the rules of redis-cli.

use core::fmt::{Display, Formatter, Result as FmtResult};

/// A line that is not a list of arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SplitError {
    /// A quote is opened and not closed.
    Unbalanced,
    /// Something stands directly behind a closing quote.
    BehindQuote,
}

impl Display for SplitError {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        f.write_str(match self {
            Self::Unbalanced => "unbalanced quotes",
            Self::BehindQuote => "a closing quote must be followed by a space",
        })
    }
}

/// Splits at white space. `"…"` groups and knows `\n \r \t \b \a \xHH`, and a backslash before anything else means that
/// itself; `'…'` groups and knows only `\'`.
pub(super) fn split(line: &[u8]) -> Result<Vec<Vec<u8>>, SplitError> {
    let mut args = Vec::new();
    let mut rest = line.trim_ascii_start();
    while !rest.is_empty() {
        let (arg, behind) = argument(rest)?;
        args.push(arg);
        rest = behind.trim_ascii_start();
    }
    Ok(args)
}

/// Takes one argument off the front of `rest`, which begins with none but it.
fn argument(mut rest: &[u8]) -> Result<(Vec<u8>, &[u8]), SplitError> {
    let mut arg = Vec::new();
    loop {
        match rest {
            [b'"', behind @ ..] => return quoted(arg, behind, b'"'),
            [b'\'', behind @ ..] => return quoted(arg, behind, b'\''),
            [byte, behind @ ..] if !byte.is_ascii_whitespace() => {
                arg.push(*byte);
                rest = behind;
            }
            _ => return Ok((arg, rest)),
        }
    }
}

/// The rest of an argument from behind its opening quote on: the closing one must end it.
fn quoted(mut arg: Vec<u8>, mut rest: &[u8], mark: u8) -> Result<(Vec<u8>, &[u8]), SplitError> {
    loop {
        rest = match rest {
            [] => return Err(SplitError::Unbalanced),
            [byte, behind @ ..] if *byte == mark => {
                return match behind.first() {
                    Some(next) if !next.is_ascii_whitespace() => Err(SplitError::BehindQuote),
                    _ => Ok((arg, behind)),
                };
            }
            [b'\\', b'\'', behind @ ..] if mark == b'\'' => {
                arg.push(b'\'');
                behind
            }
            [b'\\', b'x', high, low, behind @ ..] if mark == b'"' && is_hex(*high, *low) => {
                arg.push(hex(*high) << 4 | hex(*low));
                behind
            }
            [b'\\', escaped, behind @ ..] if mark == b'"' => {
                arg.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'a' => 0x07,
                    other => *other,
                });
                behind
            }
            [byte, behind @ ..] => {
                arg.push(*byte);
                behind
            }
        };
    }
}

fn is_hex(high: u8, low: u8) -> bool {
    high.is_ascii_hexdigit() && low.is_ascii_hexdigit()
}

/// The value of a hexadecimal digit.
fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::format::quote;
    use proptest::prelude::*;

    fn args(line: &str) -> Vec<Vec<u8>> {
        split(line.as_bytes()).unwrap()
    }

    #[test]
    fn quotes_and_escapes() {
        assert_eq!(args(" set\tk  v "), [&b"set"[..], b"k", b"v"]);
        assert_eq!(
            args(r#""a b" 'c d' "" ''"#),
            [&b"a b"[..], b"c d", b"", b""]
        );
        assert_eq!(
            args(r#""\n\r\t\b\a\x00\xfF\"\\\q""#),
            [b"\n\r\t\x08\x07\x00\xff\"\\q"]
        );
        assert_eq!(args(r"'it\'s' '\n'"), [&b"it's"[..], b"\\n"]);
        assert_eq!(
            args(r#"a"b c" \x41 "\x4""#),
            [&b"ab c"[..], b"\\x41", b"x4"]
        );
        assert!(args("  ").is_empty());
    }

    #[test]
    fn what_is_refused() {
        for (line, error) in [
            ("\"a", SplitError::Unbalanced),
            ("'a", SplitError::Unbalanced),
            ("\"a\\\"", SplitError::Unbalanced),
            ("\"a\"b", SplitError::BehindQuote),
            ("'a''b'", SplitError::BehindQuote),
        ] {
            assert_eq!(split(line.as_bytes()), Err(error), "{line}");
        }
    }

    proptest! {
        #[test]
        fn what_the_shell_prints_in_quotes_can_be_typed_again(bytes in proptest::collection::vec(any::<u8>(), 0..30)) {
            let mut line = Vec::new();
            quote(&bytes, &mut line);
            prop_assert_eq!(split(&line), Ok(vec![bytes]));
        }
    }
}
