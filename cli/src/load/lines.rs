//! Lines of the text dialect, as words.

use std::io::{self, BufRead};

use ant_cache_core::limits::{MAX_ARGS, MAX_REQUEST};
use ant_cache_core::protocol::{Parsed, Parser, RequestLimits, Span};

use super::Request;

/// The longest line: each byte of the longest request as an escape of four.
const MAX_LINE: usize = 4 * MAX_REQUEST;

/// Reads a file line by line.
pub(super) struct Lines<R> {
    input: R,
    line: Vec<u8>,
    spans: Vec<Span>,
    number: u64,
    offset: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) const fn new(input: R) -> Self {
        Self {
            input,
            line: Vec::new(),
            spans: Vec::new(),
            number: 0,
            offset: 0,
        }
    }

    /// The number of the line that was read last, from 1 on.
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    /// Bytes that were read.
    pub(super) const fn offset(&self) -> u64 {
        self.offset
    }

    /// The words of the next line, or what is wrong with it; nothing at the end of the file.
    pub(super) fn next(&mut self) -> io::Result<Option<Result<Request, String>>> {
        self.line.clear();
        let fits = self.read_line()?;
        if self.line.is_empty() && fits {
            return Ok(None);
        }
        self.number += 1;
        Ok(Some(if fits {
            self.words()
        } else {
            Err(format!("the line is longer than {MAX_LINE} bytes"))
        }))
    }

    /// Reads up to a line's end; false where it is too long to be kept.
    fn read_line(&mut self) -> io::Result<bool> {
        let mut fits = true;
        loop {
            let piece = match self.input.fill_buf() {
                Ok(piece) => piece,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let end = memchr::memchr(b'\n', piece).map(|at| at + 1);
            let taken = end.unwrap_or(piece.len());
            fits &= self.line.len() + taken <= MAX_LINE;
            if fits {
                self.line.extend_from_slice(&piece[..taken]);
            }
            self.input.consume(taken);
            self.offset += taken as u64;
            if end.is_some() || taken == 0 {
                return Ok(fits);
            }
        }
    }

    fn words(&mut self) -> Result<Request, String> {
        // The server would take it, and what follows, for RESP.
        if self.line.starts_with(b"*") {
            return Err("a line of the text dialect does not begin with *".into());
        }
        if !self.line.ends_with(b"\n") {
            self.line.push(b'\n');
        }
        let limits = RequestLimits {
            bytes: MAX_LINE + 1,
            args: MAX_ARGS,
        };
        self.spans.clear();
        let words: Request = match Parser::default().next(&mut self.line, &mut self.spans, limits) {
            Parsed::Request(_) => {
                let words = self.spans.iter().map(|span| span.of(&self.line));
                words.map(<[u8]>::to_vec).collect()
            }
            Parsed::Error { error, .. } => return Err(error.to_string()),
            // An empty line.
            Parsed::Incomplete => Vec::new(),
        };
        // It would close the connection on all who follow.
        if encoded_len(&words) > MAX_REQUEST {
            return Err(format!("the request is longer than {MAX_REQUEST} bytes"));
        }
        Ok(words)
    }
}

/// How long a request is on the wire, at most.
fn encoded_len(words: &[Vec<u8>]) -> usize {
    /// Room for the longest length, two ends of lines and the marks.
    const HEADER: usize = 16;
    HEADER + words.iter().map(|word| HEADER + word.len()).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ant_cache_core::client::encode_line;
    use proptest::prelude::*;

    fn all(text: &[u8]) -> Vec<Result<Vec<String>, String>> {
        let mut lines = Lines::new(text);
        let mut all = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            let show = |word: Vec<u8>| word.escape_ascii().to_string();
            all.push(line.map(|words| words.into_iter().map(show).collect()));
        }
        assert_eq!(lines.number(), all.len() as u64);
        assert_eq!(lines.offset(), text.len() as u64);
        all
    }

    fn words(words: &[&str]) -> Result<Vec<String>, String> {
        Ok(words.iter().map(|word| (*word).into()).collect())
    }

    #[test]
    fn lines_with_every_ending() {
        let lines = all(b"SET a 1\r\n\n  \nGET \"b c\"\nGET 'last'");
        let expected = [
            words(&["SET", "a", "1"]),
            words(&[]),
            words(&[]),
            words(&["GET", "b c"]),
            words(&["GET", "last"]),
        ];
        assert_eq!(lines, expected);
        assert_eq!(all(b""), []);
    }

    #[test]
    fn wrong_lines_are_only_wrong_themselves() {
        let lines = all(b"SET a \"open\n*2\r\n$3\n*\nGET a\n");
        assert_eq!(lines.len(), 5);
        assert_eq!(lines[0], Err("unbalanced quotes in request".into()));
        assert!(lines[1].is_err() && lines[3].is_err(), "{lines:?}");
        assert_eq!(lines[4], words(&["GET", "a"]));
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over() {
        for (len, what) in [(MAX_LINE + 1, "line"), (MAX_REQUEST, "request")] {
            let mut text = vec![b'x'; len];
            text.extend_from_slice(b"\nGET a\n");
            let lines = all(&text);
            let error = lines[0].as_ref().unwrap_err();
            assert!(
                error.starts_with(&format!("the {what} is longer than ")),
                "{error}"
            );
            assert_eq!(lines[1], words(&["GET", "a"]));
        }
    }

    proptest! {
        /// What [`encode_line`] writes, as a dump does, is read as it was.
        #[test]
        fn encoded_lines_come_back(requests in proptest::collection::vec(
            proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..8), 1..5), 0..5)
        ) {
            let mut text = Vec::new();
            requests.iter().for_each(|request| encode_line(request, &mut text));
            let mut lines = Lines::new(&text[..]);
            for request in requests {
                prop_assert_eq!(lines.next().unwrap(), Some(Ok(request)));
            }
            prop_assert_eq!(lines.next().unwrap(), None);
        }
    }
}
