//! Requests and replies as the model sees them, and their bytes.

use ant_cache_core::client::{encode, encode_line};

pub(crate) type Bytes = Vec<u8>;

/// How a request is written, and its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tongue {
    Text { crlf: bool },
    Resp2,
    Resp3,
}

impl Tongue {
    pub(crate) const fn is_text(self) -> bool {
        matches!(self, Self::Text { .. })
    }
}

/// A stored value. None of its bytes needs quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Text(Bytes),
    List(Vec<Bytes>),
    /// No field comes twice.
    Object(Vec<(Bytes, Bytes)>),
}

#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// The six setters.
    Set {
        key: Bytes,
        value: Value,
        /// Milliseconds.
        ttl: Option<u64>,
        only_new: bool,
    },
    Get(Bytes),
    /// RESP only, like the next three.
    Fetch(Bytes),
    Range(Bytes),
    Fields(Bytes),
    Rename {
        from: Bytes,
        to: Bytes,
        only_new: bool,
    },
    GetSet(Bytes, Bytes),
    GetDel(Bytes),
    Mget(Vec<Bytes>),
    Mset {
        pairs: Vec<(Bytes, Bytes)>,
        only_new: bool,
    },
    Del(Vec<Bytes>),
    Exists(Vec<Bytes>),
    Add(Bytes, i64),
    Append(Bytes, Bytes),
    Strlen(Bytes),
    Type(Bytes),
    Pttl(Bytes),
    /// Milliseconds.
    Expire(Bytes, u64),
    Persist(Bytes),
    /// A pattern: a prefix and `*`.
    Keys(Bytes),
    Scan {
        cursor: Bytes,
        count: usize,
    },
    RandomKey,
    DbSize,
    FlushAll,
    Ping,
    Echo(Bytes),
    /// The right password.
    Auth,
    /// RESP from here on in this version.
    Hello(u8),
    Quit,
    /// Bytes that no command runs for.
    Refused(&'static Refused),
}

/// The password, where one is required.
pub(crate) const PASSWORD: &[u8] = b"sesame";

/// Bytes that no command runs for.
#[derive(Debug)]
pub(crate) struct Refused {
    request: &'static [u8],
    pub(crate) reply: &'static [u8],
    /// Whether it is a request, and counted as one.
    pub(crate) counts: bool,
    ends: bool,
}

pub(crate) const REFUSED: &[Refused] = &[
    Refused {
        request: b"NONSENSE 1 2\n",
        reply: b"ERROR unknown command\n",
        counts: true,
        ends: false,
    },
    Refused {
        request: b"*1\r\n$3\r\nGET\r\n",
        reply: b"-ERR wrong number of arguments for 'get' command\r\n",
        counts: true,
        ends: false,
    },
    Refused {
        request: b"SET k \"v\r\n",
        reply: b"ERROR unbalanced quotes in request\r\n",
        counts: false,
        ends: false,
    },
];

/// Of a client that does not know the password.
pub(crate) const STRANGER: &Refused = &Refused {
    request: b"SET k1 stolen\r\n",
    reply: b"ERROR authentication required\r\n",
    counts: true,
    ends: false,
};

/// What ends the connection.
pub(crate) const FATAL: &Refused = &Refused {
    request: b"*1\r\n!",
    reply: b"-ERR Protocol error: expected '$', got '!'\r\n",
    counts: false,
    ends: true,
};

impl Refused {
    pub(crate) const fn tongue(&self) -> Tongue {
        if self.request[0] == b'*' {
            Tongue::Resp2
        } else {
            Tongue::Text { crlf: false }
        }
    }
}

impl Op {
    /// Whether the connection ends with it.
    pub(crate) fn is_last(&self) -> bool {
        match self {
            Self::Quit => true,
            Self::Refused(refused) => refused.ends,
            _ => false,
        }
    }

    /// The request's bytes.
    pub(crate) fn encode(&self, tongue: Tongue) -> Bytes {
        if let Self::Refused(refused) = self {
            return refused.request.to_vec();
        }
        let mut bytes = Vec::new();
        let words = self.words(tongue);
        match tongue {
            Tongue::Text { crlf } => {
                encode_line(&words, &mut bytes);
                if crlf {
                    bytes.insert(bytes.len() - 1, b'\r');
                }
            }
            Tongue::Resp2 | Tongue::Resp3 => encode(&words, &mut bytes),
        }
        bytes
    }

    fn words(&self, tongue: Tongue) -> Vec<Bytes> {
        let number = |n: &dyn ToString| n.to_string().into_bytes();
        let with = |name: &str, keys: &[Bytes]| [&[name.as_bytes().to_vec()], keys].concat();
        let one = |name: &str, key: &Bytes| with(name, std::slice::from_ref(key));
        match self {
            Self::Set {
                key,
                value,
                ttl,
                only_new,
            } => set(key, value, *ttl, *only_new),
            Self::Get(key) => one("GET", key),
            Self::Fetch(key) => one("FETCH", key),
            Self::Range(key) => with("LRANGE", &[key.clone(), b"0".to_vec(), b"-1".to_vec()]),
            Self::Fields(key) => one("HGETALL", key),
            Self::Rename { from, to, only_new } => with(
                if *only_new { "RENAMENX" } else { "RENAME" },
                &[from.clone(), to.clone()],
            ),
            Self::GetSet(key, value) => with("GETSET", &[key.clone(), value.clone()]),
            Self::GetDel(key) => one("GETDEL", key),
            Self::Mget(keys) => with("MGET", keys),
            Self::Mset { pairs, only_new } => {
                let words = pairs.iter().flat_map(|(k, v)| [k.clone(), v.clone()]);
                with(
                    if *only_new { "MSETNX" } else { "MSET" },
                    &words.collect::<Vec<_>>(),
                )
            }
            Self::Del(keys) => with("DEL", keys),
            Self::Exists(keys) => with("EXISTS", keys),
            Self::Add(key, by) => with("INCRBY", &[key.clone(), number(by)]),
            Self::Append(key, tail) => with("APPEND", &[key.clone(), tail.clone()]),
            Self::Strlen(key) => one("STRLEN", key),
            Self::Type(key) => one("TYPE", key),
            Self::Pttl(key) => one("PTTL", key),
            Self::Expire(key, ms) if tongue.is_text() => {
                with("EXPIRE", &[key.clone(), format!("{ms}ms").into_bytes()])
            }
            Self::Expire(key, ms) => with("PEXPIRE", &[key.clone(), number(ms)]),
            Self::Persist(key) => one("PERSIST", key),
            Self::Keys(prefix) => one("KEYS", &[&prefix[..], b"*"].concat()),
            Self::Scan { cursor, count } => {
                with("SCAN", &[cursor.clone(), b"COUNT".to_vec(), number(count)])
            }
            Self::RandomKey => with("RANDOMKEY", &[]),
            Self::DbSize => with("DBSIZE", &[]),
            Self::FlushAll => with("FLUSHALL", &[]),
            Self::Ping => with("PING", &[]),
            Self::Echo(text) => one("ECHO", text),
            Self::Auth => one("AUTH", &PASSWORD.to_vec()),
            Self::Hello(version) => one("HELLO", &number(version)),
            Self::Quit => with("QUIT", &[]),
            Self::Refused(..) => unreachable!("its bytes are given"),
        }
    }
}

fn set(key: &Bytes, value: &Value, ttl: Option<u64>, only_new: bool) -> Vec<Bytes> {
    let (name, words) = match value {
        Value::Text(text) => ("SET", vec![text.clone()]),
        Value::List(elements) => ("SETS", elements.clone()),
        Value::Object(pairs) => {
            let words = pairs.iter().flat_map(|(f, v)| [f.clone(), v.clone()]);
            ("SETX", words.collect())
        }
    };
    let name = format!("{name}{}", if only_new { "NX" } else { "" });
    let mut all = vec![name.into_bytes(), key.clone()];
    if let Some(ms) = ttl {
        all.extend([b"-t".to_vec(), format!("{ms}ms").into_bytes()]);
    }
    all.extend(words);
    all
}

/// A reply, before it is written in one of the tongues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Ok,
    /// Of a setter that sets only what is new.
    Set(bool),
    /// Whether there was a key to be changed.
    Found(bool),
    Integer(i64),
    Null,
    Value(Value),
    /// In the order of the keys that were asked for.
    Several(Vec<Option<Bytes>>),
    /// Of a value, or of none.
    Type(Option<Value>),
    Pong,
    Authenticated,
    Error(&'static str),
}

impl Answer {
    pub(crate) const WRONG_TYPE: Self =
        Self::Error("WRONGTYPE Operation against a key holding the wrong kind of value");

    pub(crate) fn encode(&self, tongue: Tongue) -> Bytes {
        match tongue {
            Tongue::Text { crlf } => {
                if crlf && *self == Self::Pong {
                    return b"+PONG\r\n".to_vec();
                }
                let mut line = self.text();
                line.extend(if crlf { &b"\r\n"[..] } else { b"\n" });
                line
            }
            Tongue::Resp2 => self.resp("*", 2, "$-1\r\n"),
            Tongue::Resp3 => self.resp("%", 1, "_\r\n"),
        }
    }

    fn text(&self) -> Bytes {
        let json = |string: &Bytes| [b"\"", &string[..], b"\""].concat();
        match self {
            Self::Ok | Self::Set(true) | Self::Found(true) => b"OK".to_vec(),
            Self::Set(false) => b"NOT_SET".to_vec(),
            Self::Found(false) => b"NOT_FOUND".to_vec(),
            Self::Integer(n) => n.to_string().into_bytes(),
            Self::Null => b"NULL".to_vec(),
            Self::Value(Value::Text(text)) => text.clone(),
            Self::Value(Value::List(elements)) => [b"[", &elements.join(&b' ')[..], b"]"].concat(),
            Self::Value(Value::Object(pairs)) => {
                let mut pairs = pairs.clone();
                pairs.sort();
                let pairs = pairs.iter().map(|(f, v)| [json(f), json(v)].join(&b':'));
                [b"{", &pairs.collect::<Vec<_>>().join(&b',')[..], b"}"].concat()
            }
            Self::Several(values) => {
                let values = values
                    .iter()
                    .map(|value| value.as_ref().map_or(b"null".to_vec(), json));
                [b"[", &values.collect::<Vec<_>>().join(&b',')[..], b"]"].concat()
            }
            Self::Type(value) => match value {
                None => b"none".to_vec(),
                Some(Value::Text(_)) => b"string".to_vec(),
                Some(Value::List(_)) => b"array".to_vec(),
                Some(Value::Object(_)) => b"object".to_vec(),
            },
            Self::Pong => b"PONG".to_vec(),
            Self::Authenticated => b"OK authenticated".to_vec(),
            Self::Error(message) => {
                let message = message.strip_prefix("ERR ").unwrap_or(message);
                format!("ERROR {message}").into_bytes()
            }
        }
    }

    /// `map` is the sign of an object, which counts its fields and values in units of `each`.
    fn resp(&self, map: &str, each: usize, null: &str) -> Bytes {
        let bulk = |string: &Bytes| {
            [format!("${}\r\n", string.len()).as_bytes(), string, b"\r\n"].concat()
        };
        let line = |line: String| (line + "\r\n").into_bytes();
        match self {
            Self::Ok | Self::Authenticated => line("+OK".into()),
            Self::Set(yes) | Self::Found(yes) => line(format!(":{}", u8::from(*yes))),
            Self::Integer(n) => line(format!(":{n}")),
            Self::Null => null.as_bytes().to_vec(),
            Self::Value(Value::Text(text)) => bulk(text),
            Self::Value(Value::List(elements)) => {
                let mut bytes = line(format!("*{}", elements.len()));
                bytes.extend(elements.iter().flat_map(bulk));
                bytes
            }
            Self::Value(Value::Object(pairs)) => {
                let mut bytes = line(format!("{map}{}", each * pairs.len()));
                bytes.extend(pairs.iter().flat_map(|(f, v)| [bulk(f), bulk(v)].concat()));
                bytes
            }
            Self::Several(values) => {
                let mut bytes = line(format!("*{}", values.len()));
                for value in values {
                    bytes.extend(value.as_ref().map_or(null.as_bytes().to_vec(), bulk));
                }
                bytes
            }
            Self::Type(value) => line(
                match value {
                    None => "+none",
                    Some(Value::Text(_)) => "+string",
                    Some(Value::List(_)) => "+list",
                    Some(Value::Object(_)) => "+hash",
                }
                .into(),
            ),
            Self::Pong => line("+PONG".into()),
            Self::Error(message) => line(format!("-{message}")),
        }
    }
}
