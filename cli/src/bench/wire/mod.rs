//! Requests and the replies that must come, in each protocol, as templates.
//!
//! Everything but keys and values is written once, at the start. Building a request is a few copies, and checking a
//! reply is a few comparisons with the bytes that must be there: a reply that agrees is never parsed. Only one that
//! does not is framed, to say what it was and to find the next.

mod template;

use ant_cache_core::client::{DecodeError, LineScanner, Scanner};
use clap::ValueEnum;

use super::keys::key_digits;
use super::values::{Sizes, Ttl, Values};
use super::workload::Op;
use template::{Expect, Number, Piece, Template, reply, request};

/// A protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Dialect {
    /// RESP version 2.
    Resp,
    /// Ant-Cache's lines.
    Text,
    /// memcached's text protocol: set and get.
    Memcached,
}

impl Dialect {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Resp => "resp",
            Self::Text => "text",
            Self::Memcached => "memcached",
        }
    }

    /// Whether there is such a request.
    pub(super) fn has(self, op: Op) -> bool {
        self != Self::Memcached || matches!(op, Op::Set | Op::Get)
    }

    fn is_error(self, reply: &[u8]) -> bool {
        let beginnings: &[&[u8]] = match self {
            Self::Resp => &[b"-"],
            Self::Text => &[b"ERROR "],
            Self::Memcached => &[b"ERROR", b"CLIENT_ERROR", b"SERVER_ERROR"],
        };
        beginnings
            .iter()
            .any(|beginning| reply.starts_with(beginning))
    }
}

/// A request that was sent, and whose reply has not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pending {
    pub(super) op: Op,
    pub(super) key: u64,
}

/// What the bytes at the front of the buffer are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The right reply, so many bytes long, in which so many keys were missing.
    Right { len: usize, misses: u64 },
    /// An error, so many bytes long.
    Error { len: usize },
    /// Another reply than must come, so many bytes long.
    Wrong { len: usize },
    /// A part of a reply.
    Incomplete,
}

/// What is known of the reply at the front of the buffer from looking at it before, so that a large one that comes in
/// many pieces is not compared from its start each time.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// So many bytes agree.
    agreed: usize,
    /// The search for the end of a reply that does not agree.
    framing: Option<Framing>,
}

#[derive(Debug)]
enum Framing {
    Resp(Scanner),
    Line(LineScanner),
    Memcached { lines: LineScanner, at: usize },
}

/// What requests carry.
#[derive(Debug)]
pub(super) struct Contents {
    /// The number of keys that requests are drawn from.
    pub(super) keys: u64,
    pub(super) values: Values,
    pub(super) ttl: Option<Ttl>,
    /// Empty where there is none.
    pub(super) password: String,
}

impl Contents {
    pub(super) fn new(keys: u64, sizes: Sizes, ttl: Option<Ttl>, password: Option<&str>) -> Self {
        Self {
            keys,
            values: Values::new(sizes),
            ttl,
            password: password.unwrap_or_default().to_owned(),
        }
    }

    /// The number where it is the same for all keys.
    fn fixed(&self, number: Number) -> Option<u64> {
        match number {
            Number::Size(_) => self.values.sizes().fixed().map(u64::from),
            Number::Millis => self.ttl?.fixed(),
            Number::Seconds => Some(self.ttl?.fixed()?.div_ceil(1000)),
        }
    }

    #[inline]
    fn number(&self, number: Number, key: u64) -> u64 {
        let millis = || self.ttl.map_or(0, |ttl| ttl.of(key));
        match number {
            Number::Size(nth) => self.values.len(self.key(key, nth)) as u64,
            Number::Millis => millis(),
            Number::Seconds => millis().div_ceil(1000),
        }
    }

    #[inline]
    fn key(&self, base: u64, nth: u64) -> u64 {
        if nth == 0 {
            base
        } else {
            (base + nth) % self.keys
        }
    }
}

/// All requests and replies of one protocol.
#[derive(Debug)]
pub(super) struct Wire {
    dialect: Dialect,
    contents: Contents,
    /// Whether a reply must have the right bytes, not only be one.
    verify: bool,
    /// By the discriminant of the operation; nothing where the protocol has none such.
    exchanges: Vec<Option<Exchange>>,
}

#[derive(Debug)]
struct Exchange {
    request: Template,
    reply: Expect,
}

impl Wire {
    /// Without `verify` any reply that is no error is right.
    pub(super) fn new(dialect: Dialect, contents: Contents, verify: bool) -> Self {
        let exchange = |op| Exchange {
            request: request(dialect, op, &contents),
            reply: reply(dialect, op, &contents),
        };
        let exchanges = Op::ALL
            .into_iter()
            .map(|op| dialect.has(op).then(|| exchange(op)))
            .collect();
        Self {
            dialect,
            contents,
            verify,
            exchanges,
        }
    }

    /// Appends the request.
    #[inline]
    pub(super) fn request(&self, pending: Pending, out: &mut Vec<u8>) {
        let Some(exchange) = &self.exchanges[pending.op as usize] else {
            return;
        };
        let contents = &self.contents;
        let mut digits = itoa::Buffer::new();
        for piece in &exchange.request.0 {
            match piece {
                Piece::Bytes(bytes) => out.extend_from_slice(bytes),
                Piece::Key(nth) => {
                    out.extend_from_slice(&key_digits(contents.key(pending.key, *nth)));
                }
                Piece::Value(nth) => {
                    let (head, len, tail) = contents.values.of(contents.key(pending.key, *nth));
                    out.extend_from_slice(&head[..len]);
                    out.extend_from_slice(tail);
                }
                Piece::Number(number) => {
                    let number = contents.number(*number, pending.key);
                    out.extend_from_slice(digits.format(number).as_bytes());
                }
                Piece::DigitsOf(number, more) => {
                    let len = digits.format(contents.number(*number, pending.key)).len();
                    out.extend_from_slice(digits.format(len + more).as_bytes());
                }
            }
        }
    }

    /// Looks at the reply to `pending` at the front of `buf`. While it is [`Verdict::Incomplete`], call again with
    /// the same bytes and more behind them, and the same `progress`.
    ///
    /// # Errors
    /// Bytes that are no reply at all.
    #[inline]
    pub(super) fn check(
        &self,
        pending: Pending,
        buf: &[u8],
        progress: &mut Progress,
    ) -> Result<Verdict, DecodeError> {
        if progress.framing.is_none() {
            match self.compare(pending, buf, progress.agreed) {
                Comparison::Agrees { len, misses } => {
                    progress.agreed = 0;
                    return Ok(Verdict::Right { len, misses });
                }
                Comparison::SoFar { agreed } => {
                    progress.agreed = agreed;
                    return Ok(Verdict::Incomplete);
                }
                Comparison::Differs => {}
            }
        }
        let framing = progress
            .framing
            .get_or_insert_with(|| Framing::new(self.dialect));
        let Some(len) = framing.scan(buf)? else {
            return Ok(Verdict::Incomplete);
        };
        *progress = Progress::default();
        Ok(if self.dialect.is_error(&buf[..len]) {
            Verdict::Error { len }
        } else if self.verify {
            Verdict::Wrong { len }
        } else {
            Verdict::Right { len, misses: 0 }
        })
    }

    /// The number of keys that requests are drawn from.
    pub(super) fn keys(&self) -> u64 {
        self.contents.keys
    }

    /// Refuses to go on after an error that will answer every request.
    ///
    /// # Errors
    /// What the user should do.
    pub(super) fn fatal(&self, reply: &[u8]) -> Result<(), String> {
        let beginning: &[u8] = match self.dialect {
            Dialect::Resp => b"-NOAUTH",
            Dialect::Text => b"ERROR authentication required",
            Dialect::Memcached => return Ok(()),
        };
        if reply.starts_with(beginning) {
            return Err(
                "the server wants a password: give it by --password or ANT_CACHE_PASSWORD".into(),
            );
        }
        Ok(())
    }

    #[inline]
    fn compare(&self, pending: Pending, buf: &[u8], agreed: usize) -> Comparison {
        let Some(exchange) = &self.exchanges[pending.op as usize] else {
            return Comparison::Differs;
        };
        let (prefix, element, missing, separator, count, suffix) = match &exchange.reply {
            Expect::Integer { prefix, suffix } => return compare_integer(buf, prefix, suffix),
            Expect::Either(one, other) => return compare_either(buf, one, other),
            Expect::Elements {
                prefix,
                element,
                missing,
                separator,
                count,
                suffix,
            } => (prefix, element, missing, separator, *count, suffix),
        };
        let mut at = Match { buf, at: 0, agreed };
        let mut misses = 0;
        let mut elements = || -> Result<(), Comparison> {
            at.part(prefix)?;
            for nth in 0..count {
                if nth > 0 {
                    at.part(separator)?;
                }
                let start = at.at;
                match at.template(element, &self.contents, self.contents.key(pending.key, nth)) {
                    Err(Comparison::Differs) => {
                        // What agreed was the beginning of another element.
                        (at.at, at.agreed) = (start, 0);
                        misses += 1;
                        at.part(missing)?;
                    }
                    other => other?,
                }
            }
            at.part(suffix)
        };
        match elements() {
            Ok(()) => Comparison::Agrees { len: at.at, misses },
            // Which elements are missing is not remembered.
            Err(Comparison::SoFar { .. }) if misses > 0 => Comparison::SoFar { agreed: 0 },
            Err(other) => other,
        }
    }
}

/// How the bytes of a buffer stand to those that must come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Agrees { len: usize, misses: u64 },
    SoFar { agreed: usize },
    Differs,
}

/// A comparison, part by part.
struct Match<'a> {
    buf: &'a [u8],
    at: usize,
    /// The bytes before this were compared before.
    agreed: usize,
}

impl Match<'_> {
    #[inline]
    fn part(&mut self, expected: &[u8]) -> Result<(), Comparison> {
        let end = self.at + expected.len();
        if end > self.agreed {
            let from = self.at.max(self.agreed);
            let stop = end.min(self.buf.len());
            if self.buf[from..stop] != expected[from - self.at..stop - self.at] {
                return Err(Comparison::Differs);
            }
            if stop < end {
                return Err(Comparison::SoFar { agreed: stop });
            }
        }
        self.at = end;
        Ok(())
    }

    #[inline]
    fn template(
        &mut self,
        template: &Template,
        contents: &Contents,
        key: u64,
    ) -> Result<(), Comparison> {
        let mut digits = itoa::Buffer::new();
        for piece in &template.0 {
            match piece {
                Piece::Bytes(bytes) => self.part(bytes)?,
                Piece::Key(nth) => self.part(&key_digits(contents.key(key, *nth)))?,
                Piece::Value(nth) => {
                    let (head, len, tail) = contents.values.of(contents.key(key, *nth));
                    self.part(&head[..len])?;
                    self.part(tail)?;
                }
                Piece::Number(number) => {
                    let number = contents.number(*number, key);
                    self.part(digits.format(number).as_bytes())?;
                }
                Piece::DigitsOf(number, more) => {
                    let len = digits.format(contents.number(*number, key)).len();
                    self.part(digits.format(len + more).as_bytes())?;
                }
            }
        }
        Ok(())
    }
}

fn compare_either(buf: &[u8], one: &[u8], other: &[u8]) -> Comparison {
    for reply in [one, other] {
        if buf.starts_with(reply) {
            return Comparison::Agrees {
                len: reply.len(),
                misses: 0,
            };
        }
    }
    if one.starts_with(buf) || other.starts_with(buf) {
        Comparison::SoFar { agreed: 0 }
    } else {
        Comparison::Differs
    }
}

fn compare_integer(buf: &[u8], prefix: &[u8], suffix: &[u8]) -> Comparison {
    let so_far = Comparison::SoFar { agreed: 0 };
    let Some(rest) = buf.strip_prefix(prefix) else {
        return if prefix.starts_with(buf) {
            so_far
        } else {
            Comparison::Differs
        };
    };
    let rest_start = prefix.len();
    let signed = rest.strip_prefix(b"-").unwrap_or(rest);
    let digits = signed
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let end = &signed[digits..];
    if digits > 19 || (digits == 0 && !end.is_empty()) {
        return Comparison::Differs;
    }
    if digits > 0 && end.starts_with(suffix) {
        let len = rest_start + (rest.len() - end.len()) + suffix.len();
        return Comparison::Agrees { len, misses: 0 };
    }
    if suffix.starts_with(end) {
        so_far
    } else {
        Comparison::Differs
    }
}

impl Framing {
    fn new(dialect: Dialect) -> Self {
        match dialect {
            Dialect::Resp => Self::Resp(Scanner::default()),
            Dialect::Text => Self::Line(LineScanner::default()),
            Dialect::Memcached => Self::Memcached {
                lines: LineScanner::default(),
                at: 0,
            },
        }
    }

    /// The length of the reply at the front, whatever it is.
    fn scan(&mut self, buf: &[u8]) -> Result<Option<usize>, DecodeError> {
        match self {
            Self::Resp(scanner) => Ok(scanner.scan(buf)?.map(|frame| frame.end)),
            Self::Line(lines) => Ok(lines.scan(buf).map(|(_, end)| end)),
            Self::Memcached { lines, at } => loop {
                let Some(rest) = buf.get(*at..) else {
                    return Ok(None);
                };
                let Some((len, end)) = lines.scan(rest) else {
                    return Ok(None);
                };
                let line = &rest[..len];
                *at += end;
                if !line.starts_with(b"VALUE ") {
                    return Ok(Some(*at));
                }
                // `VALUE key flags bytes`, then so many bytes and CR LF.
                let bytes = line.rsplit(|&byte| byte == b' ').next().unwrap_or_default();
                let bytes = core::str::from_utf8(bytes)
                    .ok()
                    .and_then(|text| text.parse::<u32>().ok());
                *at += bytes.ok_or(DecodeError::InvalidNumber)? as usize + 2;
            },
        }
    }
}

#[cfg(test)]
mod tests;
