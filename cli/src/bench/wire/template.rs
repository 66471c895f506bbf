//! Requests and replies with places for keys and values.

use ant_cache_core::client::encode_line;

use super::Dialect;
use crate::bench::workload::Op;

#[derive(Debug)]
pub(super) enum Expect {
    /// `prefix`, then `count` times `element` or `missing` with `separator` between, then `suffix`.
    Elements {
        prefix: Vec<u8>,
        element: Template,
        missing: &'static [u8],
        separator: &'static [u8],
        count: u64,
        suffix: &'static [u8],
    },
    /// Any integer between these.
    Integer {
        prefix: &'static [u8],
        suffix: &'static [u8],
    },
}

/// Bytes with places for keys and values.
#[derive(Debug, Default)]
pub(super) struct Template(pub(super) Vec<Piece>);

#[derive(Debug)]
pub(super) enum Piece {
    Bytes(Vec<u8>),
    /// The digits of the key that comes so many after the request's own.
    Key(u64),
    /// The value of that key.
    Value(u64),
}

impl Template {
    fn bytes(mut self, bytes: &[u8]) -> Self {
        match self.0.last_mut() {
            Some(Piece::Bytes(last)) => last.extend_from_slice(bytes),
            _ => self.0.push(Piece::Bytes(bytes.to_vec())),
        }
        self
    }

    fn key(mut self, nth: u64) -> Self {
        self.0.push(Piece::Key(nth));
        self
    }

    fn value(mut self, nth: u64) -> Self {
        self.0.push(Piece::Value(nth));
        self
    }
}

/// An argument of a request.
#[derive(Clone, Copy, Debug)]
enum Arg<'a> {
    Word(&'a str),
    /// The name of a key that comes so many after the request's own.
    Key(u64),
    /// The name of a counter.
    Counter(u64),
    /// The value of a key.
    Value(u64),
}

/// Names of keys and counters: as long as those of redis-benchmark, and never the same.
const KEY: &str = "key:";
const COUNTER: &str = "ctr:";
const NAME_LEN: usize = KEY.len() + 12;

/// The request for an operation.
pub(super) fn request(dialect: Dialect, op: Op, value_size: usize, password: &str) -> Template {
    let many = || 0..Op::MANY;
    let args: Vec<Arg<'_>> = match op {
        Op::Auth => vec![Arg::Word("AUTH"), Arg::Word(password)],
        Op::Ping => vec![Arg::Word("PING")],
        Op::Set => vec![Arg::Word("SET"), Arg::Key(0), Arg::Value(0)],
        Op::Get => vec![Arg::Word("GET"), Arg::Key(0)],
        Op::Incr => vec![Arg::Word("INCR"), Arg::Counter(0)],
        Op::MSet => {
            let pairs = many().flat_map(|nth| [Arg::Key(nth), Arg::Value(nth)]);
            core::iter::once(Arg::Word("MSET")).chain(pairs).collect()
        }
        Op::MGet => core::iter::once(Arg::Word("MGET"))
            .chain(many().map(Arg::Key))
            .collect(),
    };
    match dialect {
        Dialect::Resp => resp_request(&args, value_size),
        Dialect::Text => text_request(&args),
        Dialect::Memcached if op == Op::Set => {
            let header = Template::default()
                .bytes(b"set ")
                .bytes(KEY.as_bytes())
                .key(0);
            header
                .bytes(format!(" 0 0 {value_size}\r\n").as_bytes())
                .value(0)
                .bytes(b"\r\n")
        }
        Dialect::Memcached => Template::default()
            .bytes(b"get ")
            .bytes(KEY.as_bytes())
            .key(0)
            .bytes(b"\r\n"),
    }
}

fn resp_request(args: &[Arg<'_>], value_size: usize) -> Template {
    let mut template = Template::default().bytes(format!("*{}\r\n", args.len()).as_bytes());
    for &arg in args {
        let len = match arg {
            Arg::Word(word) => word.len(),
            Arg::Key(_) | Arg::Counter(_) => NAME_LEN,
            Arg::Value(_) => value_size,
        };
        template = template.bytes(format!("${len}\r\n").as_bytes());
        template = place(template, arg).bytes(b"\r\n");
    }
    template
}

fn text_request(args: &[Arg<'_>]) -> Template {
    let mut template = Template::default();
    for (index, &arg) in args.iter().enumerate() {
        template = template.bytes(if index > 0 { b" " } else { b"" });
        template = match arg {
            // A password may need quotes.
            Arg::Word(word) => {
                let mut line = Vec::new();
                encode_line(&[word], &mut line);
                template.bytes(line.trim_ascii_end())
            }
            arg => place(template, arg),
        };
    }
    template.bytes(b"\n")
}

fn place(template: Template, arg: Arg<'_>) -> Template {
    match arg {
        Arg::Word(word) => template.bytes(word.as_bytes()),
        Arg::Key(nth) => template.bytes(KEY.as_bytes()).key(nth),
        Arg::Counter(nth) => template.bytes(COUNTER.as_bytes()).key(nth),
        Arg::Value(nth) => template.value(nth),
    }
}

/// The reply that must come.
pub(super) fn reply(dialect: Dialect, op: Op, value_size: usize) -> Expect {
    match dialect {
        Dialect::Resp => resp_reply(op, value_size),
        Dialect::Text => text_reply(op),
        Dialect::Memcached if op == Op::Set => always(b"STORED\r\n"),
        Dialect::Memcached => {
            let header = Template::default()
                .bytes(b"VALUE ")
                .bytes(KEY.as_bytes())
                .key(0);
            let header = header.bytes(format!(" 0 {value_size}\r\n").as_bytes());
            elements(
                b"",
                header.value(0).bytes(b"\r\nEND\r\n"),
                b"END\r\n",
                b"",
                1,
                b"",
            )
        }
    }
}

fn resp_reply(op: Op, value_size: usize) -> Expect {
    let bulk = || {
        let header = format!("${value_size}\r\n");
        Template::default()
            .bytes(header.as_bytes())
            .value(0)
            .bytes(b"\r\n")
    };
    match op {
        Op::Auth | Op::Set | Op::MSet => always(b"+OK\r\n"),
        Op::Ping => always(b"+PONG\r\n"),
        Op::Incr => Expect::Integer {
            prefix: b":",
            suffix: b"\r\n",
        },
        Op::Get => elements(b"", bulk(), b"$-1\r\n", b"", 1, b""),
        Op::MGet => {
            let header = format!("*{}\r\n", Op::MANY);
            elements(header.as_bytes(), bulk(), b"$-1\r\n", b"", Op::MANY, b"")
        }
    }
}

fn text_reply(op: Op) -> Expect {
    match op {
        Op::Auth => always(b"OK authenticated\n"),
        Op::Set | Op::MSet => always(b"OK\n"),
        Op::Ping => always(b"PONG\n"),
        Op::Incr => Expect::Integer {
            prefix: b"",
            suffix: b"\n",
        },
        Op::Get => elements(
            b"",
            Template::default().value(0).bytes(b"\n"),
            b"NULL\n",
            b"",
            1,
            b"",
        ),
        Op::MGet => {
            let string = Template::default().bytes(b"\"").value(0).bytes(b"\"");
            elements(b"[", string, b"null", b",", Op::MANY, b"]\n")
        }
    }
}

/// A reply that is always the same.
fn always(reply: &[u8]) -> Expect {
    elements(reply, Template::default(), b"", b"", 0, b"")
}

fn elements(
    prefix: &[u8],
    element: Template,
    missing: &'static [u8],
    separator: &'static [u8],
    count: u64,
    suffix: &'static [u8],
) -> Expect {
    Expect::Elements {
        prefix: prefix.to_vec(),
        element,
        missing,
        separator,
        count,
        suffix,
    }
}
