//! A client: what it has asked, what it may be answered, and what has come.

use std::collections::{BTreeSet, VecDeque};

use ant_cache_core::client::{Decoder, LineScanner, Scanner, Value as Reply};

use crate::command::{Answer, Bytes, Op, Tongue};
use crate::model::{Change, Model};

/// Keys of one command that are locked together.
pub(crate) const TOGETHER: usize = 256;

/// A request without its reply.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) op: Op,
    pub(crate) tongue: Tongue,
    /// Once it was executed: what may be answered.
    pub(crate) expect: Option<Expect>,
    /// While it may be under way: what it would have answered after each turn.
    candidates: Vec<Answer>,
    /// The model's version at the last of them.
    version: Option<u64>,
    /// While a KEYS may be under way.
    walk: Option<Walk>,
    /// Keys that a DEL in parts has deleted so far.
    deleted: usize,
}

/// Keys during a walk.
#[derive(Clone, Debug)]
pub(crate) struct Walk {
    /// Those that were there throughout.
    must: BTreeSet<Bytes>,
    /// Those that were there at some time.
    may: BTreeSet<Bytes>,
}

/// What may be answered to a request that was executed.
#[derive(Debug)]
pub(crate) enum Expect {
    /// One of these, to the byte.
    OneOf(Vec<Bytes>),
    /// Whatever it is.
    Anything,
    Keys(Walk),
    /// A step of a scan: only keys that were there.
    Scan(BTreeSet<Bytes>),
    /// One of these, or null where that may be.
    RandomKey {
        live: BTreeSet<Bytes>,
        null: bool,
    },
    /// A number of this range.
    Between(i64, i64),
    /// Values that were read 256 at a time, each time as one of these lists has them, in their order.
    Parts(Vec<Vec<Option<Bytes>>>),
}

/// A scan under way.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) cursor: Bytes,
    /// Keys that were there since its first step; none before that.
    must: Option<BTreeSet<Bytes>>,
    seen: BTreeSet<Bytes>,
}

#[derive(Debug, Default)]
pub(crate) struct Client {
    pub(crate) pending: VecDeque<Pending>,
    /// How many of `pending` were executed.
    pub(crate) executed: usize,
    /// How many were executed in all.
    pub(crate) done: usize,
    inbox: Vec<u8>,
    /// Of the reply at its start.
    finder: Finder,
    pub(crate) resp3: bool,
    pub(crate) scan: Option<Scan>,
    /// It does not know the password.
    pub(crate) stranger: bool,
    /// It sends nothing more.
    pub(crate) last: bool,
}

impl Walk {
    pub(crate) fn new(model: &Model) -> Self {
        Self {
            must: model.keys(),
            may: model.keys(),
        }
    }

    fn see(&mut self, change: &Change) {
        match change {
            Change::Added(key) => _ = self.may.insert(key.clone()),
            Change::Removed(key) => _ = self.must.remove(key),
        }
    }
}

impl Scan {
    pub(crate) fn new() -> Self {
        Self {
            cursor: b"0".to_vec(),
            must: None,
            seen: BTreeSet::new(),
        }
    }
}

impl Pending {
    pub(crate) fn new(op: Op, tongue: Tongue) -> Self {
        Self {
            op,
            tongue,
            expect: None,
            candidates: Vec::new(),
            version: None,
            walk: None,
            deleted: 0,
        }
    }

    /// Whether it can take several turns, with others between them, as far as its replies or effects tell.
    fn is_long(&self) -> bool {
        match &self.op {
            Op::Keys(_) | Op::Fetch(_) | Op::Range(_) | Op::Fields(_) => true,
            Op::Get(_) => self.tongue.is_text(),
            Op::Mget(keys) | Op::Exists(keys) | Op::Del(keys) => keys.len() > TOGETHER,
            _ => false,
        }
    }

    /// After a turn in which it may have begun and was not completed. `gone` tells whether a key is gone from the
    /// server.
    pub(crate) fn watch(&mut self, model: &mut Model, gone: impl FnMut(&Bytes) -> bool) {
        if !self.is_long() {
            return;
        }
        match &self.op {
            Op::Keys(_) => _ = self.walk.get_or_insert_with(|| Walk::new(model)),
            Op::Del(keys) => self.deleted += delete_what_is_gone(keys, model, gone),
            read if self.version != Some(model.version) => {
                self.version = Some(model.version);
                self.candidates
                    .push(model.read(read, self.tongue.is_text()));
            }
            _ => {}
        }
    }

    /// Where no command runs for it: the reply is always the same.
    pub(crate) fn refuse(&mut self, reply: &[u8]) {
        self.expect = Some(Expect::OneOf(vec![reply.to_vec()]));
    }

    /// After the turn that completed it.
    pub(crate) fn complete(
        &mut self,
        model: &mut Model,
        scan: &mut Option<Scan>,
        gone: impl FnMut(&Bytes) -> bool,
    ) {
        self.watch(model, gone);
        let exactly = |answer: &Answer| answer.encode(self.tongue);
        self.expect = Some(match &self.op {
            Op::Keys(_) => Expect::Keys(self.walk.take().expect("it is watched")),
            Op::Scan { .. } => {
                if let Some(scan) = scan {
                    scan.must.get_or_insert_with(|| model.keys());
                }
                Expect::Scan(model.keys())
            }
            Op::RandomKey => Expect::RandomKey {
                live: model.keys(),
                null: model.len() == 0 || !model.expired.is_empty(),
            },
            Op::DbSize => {
                let live = model.len() as i64;
                Expect::Between(live, live + model.expired.len() as i64)
            }
            Op::Hello(_) => Expect::Anything,
            Op::Refused(refused) => Expect::OneOf(vec![refused.reply.to_vec()]),
            Op::Mget(_) if self.is_long() => {
                let lists = self.candidates.drain(..).map(|answer| match answer {
                    Answer::Several(values) => values,
                    other => unreachable!("{other:?}"),
                });
                Expect::Parts(lists.collect())
            }
            Op::Exists(_) if self.is_long() => {
                let counts = self.candidates.iter().map(|answer| match answer {
                    Answer::Integer(n) => *n,
                    other => unreachable!("{other:?}"),
                });
                // Of different moments for different keys: no more is said than that.
                let most = counts.clone().max();
                match self.candidates.len() {
                    1 => Expect::Between(most.unwrap_or(0), most.unwrap_or(0)),
                    _ => Expect::Between(0, i64::MAX),
                }
            }
            Op::Del(_) if self.is_long() => {
                Expect::OneOf(vec![exactly(&Answer::Integer(self.deleted as i64))])
            }
            _ if self.is_long() => Expect::OneOf(self.candidates.iter().map(exactly).collect()),
            op => Expect::OneOf(vec![exactly(&model.execute(op, self.tongue.is_text()))]),
        });
    }
}

/// Takes note of what a DEL in parts has deleted.
fn delete_what_is_gone(
    keys: &[Bytes],
    model: &mut Model,
    mut gone: impl FnMut(&Bytes) -> bool,
) -> usize {
    let mut deleted = 0;
    let different: BTreeSet<_> = keys.iter().collect();
    for key in different {
        if model.has(key) && gone(key) {
            model.remove(key);
            deleted += 1;
        }
    }
    deleted
}

impl Client {
    /// Takes note of changes by whomever.
    pub(crate) fn see(&mut self, changes: &[Change]) {
        let walk = self
            .pending
            .get_mut(self.executed)
            .and_then(|pending| pending.walk.as_mut());
        if let Some(walk) = walk {
            changes.iter().for_each(|change| walk.see(change));
        }
        if let Some(must) = self.scan.as_mut().and_then(|scan| scan.must.as_mut()) {
            for change in changes {
                if let Change::Removed(key) = change {
                    must.remove(key);
                }
            }
        }
    }

    /// Whether a DEL of many keys waits or is under way.
    pub(crate) fn deletes_in_parts(&self) -> bool {
        let mut waiting = self.pending.iter().skip(self.executed);
        waiting.any(|pending| matches!(pending.op, Op::Del(_)) && pending.is_long())
    }

    /// Reads bytes, and checks the replies that are complete.
    pub(crate) fn receive(&mut self, bytes: impl Iterator<Item = u8>) {
        self.inbox.extend(bytes);
        let mut at = 0;
        while at < self.inbox.len() {
            // A long command may begin to answer before it is completed.
            let next = self
                .pending
                .front()
                .expect("a reply to something that was asked");
            let Some(len) = self.finder.find(&self.inbox[at..], next.tongue) else {
                break;
            };
            self.finder = Finder::default();
            assert!(
                self.executed > 0,
                "a reply to what was not executed: {}",
                self.inbox[at..].escape_ascii()
            );
            let pending = self.pending.pop_front().expect("it is executed");
            let tongue = pending.tongue;
            self.executed -= 1;
            let reply = &self.inbox[at..at + len];
            assert!(
                check(&pending, reply, &mut self.scan),
                "{} in {:?}\nmay be answered {}\nand not {}",
                cut(&pending.op.encode(tongue).escape_ascii().to_string()),
                tongue,
                show(&pending.expect),
                cut(&reply.escape_ascii().to_string())
            );
            at += len;
        }
        self.inbox.drain(..at);
    }

    /// At the end of a connection that the server closed in good order: nothing is missing.
    pub(crate) fn is_answered(&self) -> bool {
        self.executed == 0 && self.inbox.is_empty()
    }
}

fn show(expect: &Option<Expect>) -> String {
    let listed = |keys: &BTreeSet<Bytes>| {
        let keys = keys.iter().map(|key| key.escape_ascii().to_string());
        keys.collect::<Vec<_>>().join(" ")
    };
    cut(&match expect {
        Some(Expect::OneOf(replies)) => {
            let replies = replies.iter().map(|reply| reply.escape_ascii().to_string());
            replies.collect::<Vec<_>>().join("\nor ")
        }
        Some(Expect::Keys(Walk { must, may })) => {
            format!("{}\nand more of {}", listed(must), listed(may))
        }
        Some(Expect::Scan(live) | Expect::RandomKey { live, .. }) => listed(live),
        other => format!("{other:?}"),
    })
}

fn cut(text: &str) -> String {
    text.chars().take(2000).collect()
}

/// Looks for the end of a reply, however slowly it comes.
#[derive(Debug, Default)]
struct Finder {
    text: LineScanner,
    resp: Scanner,
}

impl Finder {
    /// The length of the reply at the start, if it is complete.
    fn find(&mut self, bytes: &[u8], tongue: Tongue) -> Option<usize> {
        if tongue.is_text() {
            return self.text.scan(bytes).map(|(_, end)| end);
        }
        let frame = self.resp.scan(bytes).expect("a reply of RESP");
        frame.map(|frame| frame.end)
    }
}

/// The strings of a reply that is an array, or words; the only one of a reply that is a string.
fn strings(reply: &[u8], tongue: Tongue) -> Vec<Bytes> {
    if tongue.is_text() {
        let line = String::from_utf8_lossy(reply);
        let words = line
            .split_whitespace()
            .filter(|&word| word != "EMPTY" && word != "NULL");
        return words.map(|word| word.as_bytes().to_vec()).collect();
    }
    match decode(reply) {
        Reply::Array(items) => items
            .iter()
            .map(|item| item.as_bytes().expect("a string").to_vec())
            .collect(),
        other => other.as_bytes().map(<[u8]>::to_vec).into_iter().collect(),
    }
}

fn decode(mut reply: &[u8]) -> Reply {
    Decoder::default()
        .decode(&mut reply)
        .expect("a reply of RESP")
        .expect("a whole one")
}

/// Whether a reply is one that may be given.
fn check(pending: &Pending, reply: &[u8], scan: &mut Option<Scan>) -> bool {
    let tongue = pending.tongue;
    match pending.expect.as_ref().expect("it is executed") {
        Expect::OneOf(replies) => replies.iter().any(|other| other == reply),
        Expect::Anything => true,
        Expect::Keys(Walk { must, may }) => {
            let Op::Keys(prefix) = &pending.op else {
                unreachable!("a walk")
            };
            let found = strings(reply, tongue);
            let once: BTreeSet<_> = found.iter().cloned().collect();
            let matching = |key: &&Bytes| key.starts_with(prefix);
            once.len() == found.len()
                && once.is_subset(may)
                && once.iter().all(|key| matching(&key))
                && must.iter().filter(matching).all(|key| once.contains(key))
        }
        Expect::Scan(live) => {
            let (cursor, keys) = step(reply, tongue);
            let there = keys.iter().all(|key| live.contains(key));
            let scan_under_way = scan.as_mut().expect("it was begun");
            scan_under_way.seen.extend(keys);
            scan_under_way.cursor = cursor;
            let complete = scan_under_way.cursor == b"0";
            let all = scan_under_way
                .must
                .as_ref()
                .expect("its first step was executed");
            let good = there && (!complete || all.is_subset(&scan_under_way.seen));
            if complete {
                *scan = None;
            }
            good
        }
        Expect::RandomKey { live, null } => match &strings(reply, tongue)[..] {
            [] => *null,
            [key] => live.contains(key),
            _ => false,
        },
        Expect::Between(least, most) => {
            let number = String::from_utf8_lossy(reply);
            let number = number.trim_start_matches(':').trim_end().parse();
            number.is_ok_and(|number: i64| (*least..=*most).contains(&number))
        }
        Expect::Parts(lists) => parts(reply, lists, tongue),
    }
}

/// Cursor and keys of a step of a scan.
fn step(reply: &[u8], tongue: Tongue) -> (Bytes, Vec<Bytes>) {
    assert!(!tongue.is_text(), "scans are done in RESP");
    let Reply::Array(parts) = decode(reply) else {
        panic!("an array");
    };
    let [Reply::Bulk(cursor), Reply::Array(keys)] = &parts[..] else {
        panic!("a cursor and keys");
    };
    let keys = keys
        .iter()
        .map(|key| key.as_bytes().expect("a string").to_vec());
    (cursor.clone(), keys.collect())
}

/// Whether each part of the values is that of one list, and none of an earlier one than the part before.
fn parts(reply: &[u8], lists: &[Vec<Option<Bytes>>], tongue: Tongue) -> bool {
    let len = lists[0].len();
    let mut at = 0;
    let mut prefix = 0;
    for start in (0..len).step_by(TOGETHER) {
        let range = start..len.min(start + TOGETHER);
        let written =
            |list: &Vec<Option<Bytes>>| body(&list[range.clone()], tongue, start == 0, len);
        let found = lists[at..]
            .iter()
            .position(|list| reply[prefix..].starts_with(&written(list)));
        let Some(found) = found else {
            return false;
        };
        at += found;
        prefix += written(&lists[at]).len();
    }
    let end: &[u8] = match tongue {
        Tongue::Text { crlf: true } => b"]\r\n",
        Tongue::Text { crlf: false } => b"]\n",
        _ => b"",
    };
    &reply[prefix..] == end
}

/// A part of the reply of an MGET of `len` keys.
fn body(values: &[Option<Bytes>], tongue: Tongue, first: bool, len: usize) -> Bytes {
    let whole = Answer::Several(values.to_vec()).encode(tongue);
    if tongue.is_text() {
        let inner = whole.strip_prefix(b"[").expect("JSON");
        let inner = inner.strip_suffix(b"\n").expect("a line");
        let inner = inner.strip_suffix(b"\r").unwrap_or(inner);
        let inner = inner.strip_suffix(b"]").expect("JSON");
        return [if first { &b"["[..] } else { b"," }, inner].concat();
    }
    let header = format!("*{}\r\n", values.len());
    let items = &whole[header.len()..];
    if first {
        [format!("*{len}\r\n").as_bytes(), items].concat()
    } else {
        items.to_vec()
    }
}
