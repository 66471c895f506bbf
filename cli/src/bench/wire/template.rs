//! Requests and replies with places for what depends on the key.

use ant_cache_core::client::encode_line;

use super::{Contents, Dialect};
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
    /// One of two, each as good as the other.
    Either(&'static [u8], &'static [u8]),
}

/// Bytes with places.
#[derive(Debug, Default)]
pub(super) struct Template(pub(super) Vec<Piece>);

#[derive(Debug)]
pub(super) enum Piece {
    Bytes(Vec<u8>),
    /// The digits of the key that comes so many after the request's own.
    Key(u64),
    /// The value of that key.
    Value(u64),
    Number(Number),
    /// The number of digits of a number, and so many more.
    DigitsOf(Number, usize),
}

/// A number that depends on the key.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    /// The length of the value of the key that comes so many after the request's own.
    Size(u64),
    /// The time to live in milliseconds.
    Millis,
    /// The time to live in seconds, rounded up.
    Seconds,
}

impl Template {
    fn bytes(mut self, bytes: &[u8]) -> Self {
        match self.0.last_mut() {
            Some(Piece::Bytes(last)) => last.extend_from_slice(bytes),
            _ => self.0.push(Piece::Bytes(bytes.to_vec())),
        }
        self
    }

    fn piece(mut self, piece: Piece) -> Self {
        self.0.push(piece);
        self
    }

    fn key(self, prefix: &str, nth: u64) -> Self {
        self.bytes(prefix.as_bytes()).piece(Piece::Key(nth))
    }

    fn value(self, nth: u64) -> Self {
        self.piece(Piece::Value(nth))
    }

    /// A number, written once and for all where it is the same for all keys.
    fn number(self, number: Number, contents: &Contents) -> Self {
        match contents.fixed(number) {
            Some(fixed) => self.bytes(fixed.to_string().as_bytes()),
            None => self.piece(Piece::Number(number)),
        }
    }

    fn digits_of(self, number: Number, more: usize, contents: &Contents) -> Self {
        match contents.fixed(number) {
            Some(fixed) => {
                let digits = fixed.to_string().len() + more;
                self.bytes(digits.to_string().as_bytes())
            }
            None => self.piece(Piece::DigitsOf(number, more)),
        }
    }
}

/// An argument of a request.
#[derive(Clone, Copy, Debug)]
enum Arg<'a> {
    Word(&'a str),
    /// The name of the key that comes so many after the request's own.
    Key(&'static str, u64),
    /// The value of a key.
    Value(u64),
    /// The time to live in milliseconds, and a unit.
    Ttl(&'static str),
}

/// What names of keys begin with: as long as those of redis-benchmark, and a kind of value each.
const KEY: &str = "key:";
const COUNTER: &str = "ctr:";
const ARRAY: &str = "arr:";
const OBJECT: &str = "obj:";
const NAME_LEN: usize = KEY.len() + 12;

/// Names of the fields of an object.
const FIELDS: [&str; Op::ELEMENTS as usize] = ["f0", "f1", "f2", "f3", "f4"];

/// The request for an operation.
pub(super) fn request(dialect: Dialect, op: Op, contents: &Contents) -> Template {
    match dialect {
        Dialect::Resp => resp_request(&args(dialect, op, contents), contents),
        Dialect::Text => text_request(&args(dialect, op, contents), contents),
        Dialect::Memcached => memcached_request(op, contents),
    }
}

fn args(dialect: Dialect, op: Op, contents: &Contents) -> Vec<Arg<'_>> {
    let ttl = op.takes_ttl() && contents.ttl.is_some();
    // Ant-Cache's own way to say it, behind the key; `PX` is what every server of RESP knows of SET.
    let behind_key: &[Arg<'_>] = match (ttl, dialect, op) {
        (false, ..) | (true, Dialect::Resp, Op::Set) => &[],
        _ => &[Arg::Word("-t"), Arg::Ttl("ms")],
    };
    let setter = |name, prefix, values: Vec<Arg<'static>>| {
        let front = [Arg::Word(name), Arg::Key(prefix, 0)];
        [&front, behind_key, &values].concat()
    };
    let elements = || 0..Op::ELEMENTS;
    let many = || 0..Op::MANY;
    match op {
        Op::Auth => vec![Arg::Word("AUTH"), Arg::Word(&contents.password)],
        Op::Ping => vec![Arg::Word("PING")],
        Op::Set if ttl && dialect == Dialect::Resp => {
            let value = [Arg::Value(0), Arg::Word("PX"), Arg::Ttl("")];
            setter("SET", KEY, value.to_vec())
        }
        Op::Set => setter("SET", KEY, vec![Arg::Value(0)]),
        Op::SetNx => setter("SETNX", KEY, vec![Arg::Value(0)]),
        Op::Sets => setter("SETS", ARRAY, elements().map(Arg::Value).collect()),
        Op::SetX => {
            let fields = FIELDS.into_iter().zip(elements());
            let pairs = fields.flat_map(|(field, nth)| [Arg::Word(field), Arg::Value(nth)]);
            setter("SETX", OBJECT, pairs.collect())
        }
        Op::Get => vec![Arg::Word("GET"), Arg::Key(KEY, 0)],
        Op::Incr => vec![Arg::Word("INCR"), Arg::Key(COUNTER, 0)],
        Op::MSet => {
            let pairs = many().flat_map(|nth| [Arg::Key(KEY, nth), Arg::Value(nth)]);
            core::iter::once(Arg::Word("MSET")).chain(pairs).collect()
        }
        Op::MGet => core::iter::once(Arg::Word("MGET"))
            .chain(many().map(|nth| Arg::Key(KEY, nth)))
            .collect(),
    }
}

fn resp_request(args: &[Arg<'_>], contents: &Contents) -> Template {
    let mut template = Template::default().bytes(format!("*{}\r\n", args.len()).as_bytes());
    for &arg in args {
        template = template.bytes(b"$");
        template = match arg {
            Arg::Word(word) => template.bytes(word.len().to_string().as_bytes()),
            Arg::Key(..) => template.bytes(NAME_LEN.to_string().as_bytes()),
            Arg::Value(nth) => template.number(Number::Size(nth), contents),
            Arg::Ttl(unit) => template.digits_of(Number::Millis, unit.len(), contents),
        };
        template = match arg {
            Arg::Word(word) => template.bytes(b"\r\n").bytes(word.as_bytes()),
            arg => place(template.bytes(b"\r\n"), arg, contents),
        };
        template = template.bytes(b"\r\n");
    }
    template
}

fn text_request(args: &[Arg<'_>], contents: &Contents) -> Template {
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
            arg => place(template, arg, contents),
        };
    }
    template.bytes(b"\n")
}

fn memcached_request(op: Op, contents: &Contents) -> Template {
    if op != Op::Set {
        return Template::default()
            .bytes(b"get ")
            .key(KEY, 0)
            .bytes(b"\r\n");
    }
    let mut header = Template::default().bytes(b"set ").key(KEY, 0).bytes(b" 0 ");
    header = match contents.ttl {
        Some(_) => header.number(Number::Seconds, contents),
        None => header.bytes(b"0"),
    };
    let header = header.bytes(b" ").number(Number::Size(0), contents);
    header.bytes(b"\r\n").value(0).bytes(b"\r\n")
}

fn place(template: Template, arg: Arg<'_>, contents: &Contents) -> Template {
    match arg {
        Arg::Word(word) => template.bytes(word.as_bytes()),
        Arg::Key(prefix, nth) => template.key(prefix, nth),
        Arg::Value(nth) => template.value(nth),
        Arg::Ttl(unit) => template
            .number(Number::Millis, contents)
            .bytes(unit.as_bytes()),
    }
}

/// The reply that must come.
pub(super) fn reply(dialect: Dialect, op: Op, contents: &Contents) -> Expect {
    match dialect {
        Dialect::Resp => resp_reply(op, contents),
        Dialect::Text => text_reply(op),
        Dialect::Memcached if op == Op::Set => always(b"STORED\r\n"),
        Dialect::Memcached => {
            let header = Template::default().bytes(b"VALUE ").key(KEY, 0);
            let header = header.bytes(b" 0 ").number(Number::Size(0), contents);
            let item = header.bytes(b"\r\n").value(0).bytes(b"\r\nEND\r\n");
            elements(b"", item, b"END\r\n", b"", 1, b"")
        }
    }
}

fn resp_reply(op: Op, contents: &Contents) -> Expect {
    let bulk = || {
        let header = Template::default().bytes(b"$");
        let header = header.number(Number::Size(0), contents);
        header.bytes(b"\r\n").value(0).bytes(b"\r\n")
    };
    match op {
        Op::Auth | Op::Set | Op::Sets | Op::SetX | Op::MSet => always(b"+OK\r\n"),
        Op::Ping => always(b"+PONG\r\n"),
        Op::SetNx => Expect::Either(b":1\r\n", b":0\r\n"),
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
        Op::Set | Op::Sets | Op::SetX | Op::MSet => always(b"OK\n"),
        Op::Ping => always(b"PONG\n"),
        Op::SetNx => Expect::Either(b"OK\n", b"NOT_SET\n"),
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
