//! A connection to a server that may be killed at any time.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use super::super::child::Server;

/// What a server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Status(String),
    Error(String),
    Integer(i64),
    /// `None` for what does not exist.
    Bulk(Option<Vec<u8>>),
    Array(Vec<Self>),
}

impl Reply {
    pub(super) fn integer(self) -> i64 {
        match self {
            Self::Integer(number) => number,
            other => panic!("expected a number, found {other:?}"),
        }
    }

    pub(super) fn text(self) -> String {
        match self {
            Self::Status(text) | Self::Error(text) => text,
            Self::Bulk(Some(bytes)) => String::from_utf8(bytes).unwrap(),
            other => panic!("expected text, found {other:?}"),
        }
    }

    pub(super) fn array(self) -> Vec<Self> {
        match self {
            Self::Array(items) => items,
            other => panic!("expected an array, found {other:?}"),
        }
    }
}

/// Appends a request in RESP.
pub(super) fn encode(words: &[&[u8]], to: &mut Vec<u8>) {
    to.extend(format!("*{}\r\n", words.len()).bytes());
    for word in words {
        to.extend(format!("${}\r\n", word.len()).bytes());
        to.extend(*word);
        to.extend(b"\r\n");
    }
}

pub(super) struct Connection(BufReader<TcpStream>);

impl Connection {
    pub(super) fn new(server: &Server) -> Self {
        Self(BufReader::new(server.connect()))
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.get_mut().write_all(bytes)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        let line = line
            .strip_suffix('\n')
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
    }

    pub(super) fn read(&mut self) -> io::Result<Reply> {
        let line = self.line()?;
        let (kind, rest) = line.split_at(1);
        Ok(match kind {
            "+" => Reply::Status(rest.to_owned()),
            "-" => Reply::Error(rest.to_owned()),
            ":" => Reply::Integer(rest.parse().unwrap()),
            "$" if rest == "-1" => Reply::Bulk(None),
            "$" => {
                let mut bytes = vec![0; rest.parse::<usize>().unwrap() + 2];
                self.0.read_exact(&mut bytes)?;
                bytes.truncate(bytes.len() - 2);
                Reply::Bulk(Some(bytes))
            }
            "*" => {
                let count = 0..rest.parse().unwrap();
                Reply::Array(count.map(|_: u64| self.read()).collect::<io::Result<_>>()?)
            }
            _ => panic!("no reply begins with {line:?}"),
        })
    }

    /// The answer to a request in RESP.
    pub(super) fn ask<W: AsRef<[u8]>>(&mut self, words: &[W]) -> Reply {
        let words: Vec<&[u8]> = words.iter().map(AsRef::as_ref).collect();
        let mut request = Vec::new();
        encode(&words, &mut request);
        self.write(&request).unwrap();
        self.read().unwrap()
    }

    /// The answer to a request of words without spaces.
    pub(super) fn tell(&mut self, request: &str) -> Reply {
        self.ask(&request.split(' ').collect::<Vec<_>>())
    }

    /// The line that answers a line of the text dialect.
    pub(super) fn say(&mut self, line: &str) -> String {
        self.write(format!("{line}\n").as_bytes()).unwrap();
        self.line().unwrap()
    }

    /// Whether the server closes the connection without another word.
    pub(super) fn is_closed(&mut self) -> bool {
        self.line().is_err()
    }

    /// A field of INFO persistence; `None` where it is not there.
    pub(super) fn info(&mut self, field: &str) -> Option<String> {
        let text = self.tell("INFO persistence").text();
        let mut lines = text.lines().filter_map(|line| line.split_once(':'));
        lines
            .find(|(name, _)| *name == field)
            .map(|(_, value)| value.to_owned())
    }
}
