//! The text dialect: one request a line, one reply a line.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::error::Error;
use core::fmt::{Display, Formatter, Result as FmtResult};
use memchr::memchr;

/// Appends one request as a line, ended by LF. Arguments are sent bare where they can be, else quoted, so that the
/// server reads exactly the bytes that were given.
///
/// An empty `args` appends nothing: an empty line is no request.
///
/// ```
/// use ant_cache_core::client::encode_line;
///
/// let mut out = Vec::new();
/// encode_line(&["SET", "greeting", "two words\n"], &mut out);
/// assert_eq!(out, b"SET greeting \"two words\\n\"\n");
/// ```
pub fn encode_line<A: AsRef<[u8]>>(args: &[A], out: &mut Vec<u8>) {
    for (index, arg) in args.iter().enumerate() {
        let arg = arg.as_ref();
        if index > 0 {
            out.push(b' ');
        }
        // A line whose first byte is `*` would be taken for RESP.
        if needs_quotes(arg) || (index == 0 && arg.starts_with(b"*")) {
            quote(arg, out);
        } else {
            out.extend_from_slice(arg);
        }
    }
    if !args.is_empty() {
        out.push(b'\n');
    }
}

fn needs_quotes(arg: &[u8]) -> bool {
    arg.is_empty()
        || arg
            .iter()
            .any(|&byte| matches!(byte, b' ' | b'"' | b'\'' | 0x7f) || byte.is_ascii_control())
}

fn quote(arg: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    for &byte in arg {
        match byte {
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            _ if byte.is_ascii_control() => {
                let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
                out.extend_from_slice(&[b'\\', b'x', high, low]);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// Finds the end of one reply line after the other, remembering how far it has looked.
#[derive(Clone, Debug, Default)]
pub struct LineScanner {
    searched: usize,
}

impl LineScanner {
    /// Looks for the line at the start of `buf`: its length without its end (LF or CR LF), and the offset behind
    /// that. While nothing is returned, call again with the same bytes and more behind them; else call next with what
    /// follows.
    pub fn scan(&mut self, buf: &[u8]) -> Option<(usize, usize)> {
        let Some(found) = memchr(b'\n', &buf[self.searched..]) else {
            self.searched = buf.len();
            return None;
        };
        let feed = self.searched + found;
        self.searched = 0;
        let line = &buf[..feed];
        Some((line.strip_suffix(b"\r").unwrap_or(line).len(), feed + 1))
    }
}

/// A reply that begins with a quote and does not end with one, or goes on behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuoteError;

impl Display for QuoteError {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        f.write_str("reply with unbalanced quotes")
    }
}

impl Error for QuoteError {}

/// The string that a reply line (without its end) stands for: a server quotes one that contains CR or LF, or begins
/// with a quote, and sends all others as they are.
///
/// # Errors
/// Where the line begins with a quote and is no quoted string.
pub fn unquote(line: &[u8]) -> Result<Cow<'_, [u8]>, QuoteError> {
    let Some(quoted) = line.strip_prefix(b"\"") else {
        return Ok(Cow::Borrowed(line));
    };
    let mut out = Vec::with_capacity(quoted.len());
    let mut rest = quoted;
    loop {
        rest = match rest {
            [b'"'] => return Ok(Cow::Owned(out)),
            [] | [b'"', ..] => return Err(QuoteError),
            [b'\\', b'x', high, low, behind @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                out.push(hex(*high) << 4 | hex(*low));
                behind
            }
            [
                b'\\',
                escape @ (b'n' | b'r' | b't' | b'\\' | b'"' | b'\''),
                behind @ ..,
            ] => {
                out.push(match escape {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    other => *other,
                });
                behind
            }
            [byte, behind @ ..] => {
                out.push(*byte);
                behind
            }
        }
    }
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
    use proptest::prelude::*;

    /// Splits a line as the protocol page says, byte by byte.
    fn split(line: &[u8]) -> Vec<Vec<u8>> {
        let mut tokens: Vec<Vec<u8>> = Vec::new();
        let (mut open, mut quote, mut at) = (false, None, 0);
        while at < line.len() {
            let byte = line[at];
            at += 1;
            if !open && !matches!(byte, b' ' | b'\t') {
                tokens.push(Vec::new());
                open = true;
            }
            match (quote, byte) {
                (None, b' ' | b'\t') => open = false,
                (None, b'"' | b'\'') => quote = Some(byte),
                (Some(mark), _) if mark == byte => quote = None,
                (Some(_), b'\\') => {
                    let (bytes, used): (Vec<u8>, usize) = match &line[at..] {
                        [b'x', h, l, ..] if h.is_ascii_hexdigit() && l.is_ascii_hexdigit() => {
                            let digits = core::str::from_utf8(&line[at + 1..at + 3]).unwrap();
                            ([u8::from_str_radix(digits, 16).unwrap()].into(), 3)
                        }
                        [b'n', ..] => (b"\n"[..].into(), 1),
                        [b'r', ..] => (b"\r"[..].into(), 1),
                        [b't', ..] => (b"\t"[..].into(), 1),
                        [same @ (b'\\' | b'"' | b'\''), ..] => ([*same].into(), 1),
                        _ => (b"\\"[..].into(), 0),
                    };
                    tokens.last_mut().unwrap().extend(bytes);
                    at += used;
                }
                _ => tokens.last_mut().unwrap().push(byte),
            }
        }
        assert_eq!(quote, None, "unbalanced");
        tokens
    }

    proptest! {
        #[test]
        fn a_request_is_read_as_it_was_given(
            args in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..12), 1..6)
        ) {
            let mut line = Vec::new();
            encode_line(&args, &mut line);
            prop_assert_eq!(line.pop(), Some(b'\n'));
            prop_assert!(!line.contains(&b'\n') && !line.contains(&b'\r') && line[0] != b'*');
            prop_assert_eq!(split(&line), args);
        }

        #[test]
        fn a_quoted_reply_is_read_as_it_was_stored(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut line = Vec::new();
            quote(&bytes, &mut line);
            prop_assert_eq!(unquote(&line).unwrap(), bytes);
        }

        #[test]
        fn a_line_is_found_however_it_is_cut(cut in 0usize..7) {
            let bytes = b"a\rb\r\nc\n";
            let mut lines = LineScanner::default();
            let first = lines.scan(&bytes[..cut]).or_else(|| lines.scan(bytes));
            prop_assert_eq!(first, Some((3, 5)));
            prop_assert_eq!(lines.scan(&bytes[5..]), Some((1, 2)));
        }
    }

    #[test]
    fn plain_words_stay_bare() {
        let mut line = Vec::new();
        encode_line(
            &[&b"SET"[..], b"k\\1", b"[a{b}*]", "é".as_bytes()],
            &mut line,
        );
        assert_eq!(line, "SET k\\1 [a{b}*] é\n".as_bytes());
        line.clear();
        encode_line::<&[u8]>(&[], &mut line);
        assert!(line.is_empty());
    }

    #[test]
    fn replies_that_are_not_quoted_strings() {
        assert_eq!(
            unquote(b"plain \"x\""),
            Ok(Cow::Borrowed(&b"plain \"x\""[..]))
        );
        assert_eq!(unquote(b"\"\\q\\x1\""), Ok(Cow::Borrowed(&b"\\q\\x1"[..])));
        for bad in [&b"\""[..], b"\"a", b"\"a\"b", b"\"a\\\""] {
            assert_eq!(unquote(bad), Err(QuoteError), "{bad:?}");
        }
    }
}
