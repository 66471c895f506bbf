//! Servers that are killed at random moments, again and again on one directory, while 50 writers change things.
//!
//! Each writer has keys of its own and knows which of its changes were answered. What it finds after a restart must be
//! what it had after one of its changes: not before the last one that was promised to be kept, and none that it did not
//! send. All share a counter besides.
//!
//! `CRASH_ROUNDS=200 cargo test -p ant-cache-cli --test serve killed -- --nocapture` is the long form.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::super::child::{Server, program};
use super::wire::{Connection, Reply, encode};
use super::{Data, SHAPES};

const WRITERS: u64 = 50;

/// Rounds unless the environment says more.
const ROUNDS: u64 = 8;

/// A moment that no test lives to see, in milliseconds since 1970.
const FAR: u64 = 4_102_444_800_000;

/// What may be lost with a policy other than `always`: what was answered so long before the kill. The interval of the log,
/// and as much again for a sync on a busy machine.
const LOSS: Duration = Duration::from_secs(2);

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) % bound
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Text(Vec<u8>),
    /// An array, or an object's fields and values.
    List(Vec<String>),
}

/// What a writer's keys have, each with its end.
type State = BTreeMap<String, (Value, Option<u64>)>;

/// A change of a writer's keys.
#[derive(Clone, Debug)]
enum Change {
    Set(usize, String, Option<u64>),
    Append(usize, String),
    SetRange(usize, usize, String),
    Delete(usize),
    Rename(usize, usize),
    Expire(usize, u64),
    Persist(usize),
    Increase,
    /// The counter of all.
    Share,
    /// Both or neither.
    Pair(String),
    Array(Vec<String>),
    Object(Vec<String>),
}

/// Keys that hold text, apart from the others.
const TEXTS: usize = 5;

impl Change {
    /// Any change; `number` makes its values different from all others.
    fn random(random: &mut Random, number: u64) -> Self {
        let key = random.below(TEXTS as u64) as usize;
        // From nothing to what is kept as a large value.
        let len = [0, 7, 60, 1500][random.below(4) as usize];
        let text = format!("{number}:{}", "x".repeat(len));
        let end = FAR + number;
        let items = || (0..4).map(|item| format!("{item}:{text}")).collect();
        match random.below(20) {
            0..6 => Self::Set(key, text, None),
            6 => Self::Set(key, text, Some(end)),
            7 => Self::Append(key, text),
            8 => Self::SetRange(key, random.below(3000) as usize, text),
            9 => Self::Delete(key),
            10 => Self::Rename(key, (key + 1) % TEXTS),
            11 => Self::Expire(key, end),
            12 => Self::Persist(key),
            13 | 14 => Self::Increase,
            15 => Self::Share,
            16 | 17 => Self::Pair(text),
            18 => Self::Array(items()),
            _ => Self::Object(items()),
        }
    }

    /// The request, of the writer whose keys begin with `own`.
    fn encode(&self, own: &str, to: &mut Vec<u8>) {
        let key = |number: &usize| format!("{own}{number}");
        let mut words: Vec<String> = match self {
            Self::Set(at, text, None) => vec!["SET".into(), key(at), text.clone()],
            Self::Set(at, text, Some(end)) => {
                let end = end.to_string();
                vec!["SET".into(), key(at), text.clone(), "PXAT".into(), end]
            }
            Self::Append(at, text) => vec!["APPEND".into(), key(at), text.clone()],
            Self::SetRange(at, offset, text) => {
                vec!["SETRANGE".into(), key(at), offset.to_string(), text.clone()]
            }
            Self::Delete(at) => vec!["DEL".into(), key(at)],
            Self::Rename(from, into) => vec!["RENAME".into(), key(from), key(into)],
            Self::Expire(at, end) => vec!["PEXPIREAT".into(), key(at), end.to_string()],
            Self::Persist(at) => vec!["PERSIST".into(), key(at)],
            Self::Increase => vec!["INCR".into(), format!("{own}count")],
            Self::Share => vec!["INCR".into(), "shared".into()],
            Self::Pair(text) => {
                let (left, right) = (format!("{own}left"), format!("{own}right"));
                vec!["MSET".into(), left, text.clone(), right, text.clone()]
            }
            Self::Array(_) => vec!["SETS".into(), format!("{own}array")],
            Self::Object(_) => vec!["SETX".into(), format!("{own}object")],
        };
        if let Self::Array(items) | Self::Object(items) = self {
            words.extend(items.iter().cloned());
        }
        let words: Vec<&[u8]> = words.iter().map(String::as_bytes).collect();
        encode(&words, to);
    }

    fn apply(&self, own: &str, state: &mut State) {
        let key = |number: &usize| format!("{own}{number}");
        let mut set = |key: String, value, end| drop(state.insert(key, (value, end)));
        match self {
            Self::Set(at, text, end) => set(key(at), Value::Text(text.clone().into()), *end),
            Self::Pair(text) => {
                set(format!("{own}left"), Value::Text(text.clone().into()), None);
                set(
                    format!("{own}right"),
                    Value::Text(text.clone().into()),
                    None,
                );
            }
            Self::Array(items) => set(format!("{own}array"), Value::List(items.clone()), None),
            Self::Object(items) => set(format!("{own}object"), Value::List(items.clone()), None),
            Self::Append(at, text) => edit(state, key(at), |bytes| bytes.extend(text.bytes())),
            Self::SetRange(at, offset, text) => edit(state, key(at), |bytes| {
                bytes.resize(bytes.len().max(offset + text.len()), 0);
                bytes[*offset..][..text.len()].copy_from_slice(text.as_bytes());
            }),
            Self::Increase => edit(state, format!("{own}count"), |bytes| {
                let text = str::from_utf8(bytes).unwrap();
                let count: u64 = text.parse().unwrap_or(0);
                *bytes = (count + 1).to_string().into();
            }),
            Self::Delete(at) => drop(state.remove(&key(at))),
            Self::Rename(from, into) => {
                if let Some(found) = state.remove(&key(from)) {
                    state.insert(key(into), found);
                }
            }
            Self::Expire(at, end) => {
                if let Some(found) = state.get_mut(&key(at)) {
                    found.1 = Some(*end);
                }
            }
            Self::Persist(at) => {
                if let Some(found) = state.get_mut(&key(at)) {
                    found.1 = None;
                }
            }
            Self::Share => {}
        }
    }

    fn shares(&self) -> bool {
        matches!(self, Self::Share)
    }
}

/// Changes a text, which is made where there is none.
fn edit(state: &mut State, key: String, change: impl FnOnce(&mut Vec<u8>)) {
    let found = state.entry(key).or_insert((Value::Text(Vec::new()), None));
    let Value::Text(bytes) = &mut found.0 else {
        panic!("these keys hold text")
    };
    change(bytes);
}

/// One writer, over all rounds.
struct Writer {
    /// What its keys begin with.
    own: String,
    random: Random,
    number: u64,
    /// The most requests that it sends before it reads the replies.
    depth: u64,
    /// What there was after the last restart.
    base: State,
    /// What it has sent since then.
    sent: Vec<Change>,
    /// When each of them was answered, as far as they were.
    answered: Vec<Instant>,
}

impl Writer {
    fn new(number: u64) -> Self {
        Self {
            own: format!("writer{number}:"),
            random: Random(number),
            number: 0,
            depth: if number.is_multiple_of(2) { 1 } else { 16 },
            base: State::new(),
            sent: Vec::new(),
            answered: Vec::new(),
        }
    }

    /// Changes things until the server is gone.
    fn write(&mut self, server: &Server) {
        let mut connection = Connection::new(server);
        loop {
            let mut requests = Vec::new();
            for _ in 0..=self.random.below(self.depth) {
                self.number += 1;
                let change = Change::random(&mut self.random, self.number);
                change.encode(&self.own, &mut requests);
                self.sent.push(change);
            }
            if connection.write(&requests).is_err() {
                return;
            }
            while self.answered.len() < self.sent.len() {
                let Ok(reply) = connection.read() else {
                    return;
                };
                let change = &self.sent[self.answered.len()];
                match (change, reply) {
                    (Change::Rename(..), Reply::Error(text)) => assert_eq!(text, "ERR no such key"),
                    (change, Reply::Error(text)) => panic!("{change:?}: {text}"),
                    _ => {}
                }
                self.answered.push(Instant::now());
            }
        }
    }

    /// How many of its changes were answered by this moment.
    fn answered_by(&self, moment: Instant) -> usize {
        self.answered.partition_point(|&when| when <= moment)
    }

    /// Checks what is there after a restart: what there was after some change, the first `least` included. Returns how
    /// often it may have changed the counter of all.
    fn check(&mut self, found: State, least: usize) -> [u64; 2] {
        let mut state = self.base.clone();
        let mut shares = 0;
        let mut matches = None;
        for count in 0..=self.sent.len() {
            if count > 0 {
                let change = &self.sent[count - 1];
                change.apply(&self.own, &mut state);
                shares += u64::from(change.shares());
            }
            if count >= least && state == found {
                let first = matches.map_or(shares, |[first, _]: [u64; 2]| first);
                matches = Some([first, shares]);
            }
        }
        let Some(matches) = matches else {
            panic!(
                "{}: after {} changes, {} of them answered and {least} promised, found {found:#?}; the last were {:#?}",
                self.own,
                self.sent.len(),
                self.answered.len(),
                &self.sent[least.saturating_sub(2)..]
            );
        };
        self.base = found;
        self.sent.clear();
        self.answered.clear();
        matches
    }
}

/// Everything on a server, by writer, and the counter of all.
fn read(server: &Server, writers: usize) -> (Vec<State>, u64) {
    let mut client = Connection::new(server);
    let keys = client.tell("KEYS *").array();
    let keys: Vec<String> = keys.into_iter().map(Reply::text).collect();
    let mut requests = Vec::new();
    for key in &keys {
        encode(&[b"FETCH", key.as_bytes()], &mut requests);
        encode(&[b"PEXPIRETIME", key.as_bytes()], &mut requests);
    }
    let (mut states, mut shared) = (vec![State::new(); writers], 0);
    let mut send = Connection::new(server);
    // Few enough to be on their way all at once.
    send.write(&requests).unwrap();
    for key in keys {
        let value = match send.read().unwrap() {
            Reply::Bulk(Some(bytes)) => Value::Text(bytes),
            other => Value::List(other.array().into_iter().map(Reply::text).collect()),
        };
        let end = u64::try_from(send.read().unwrap().integer()).ok();
        if let Some(rest) = key.strip_prefix("writer") {
            let writer: usize = rest.split(':').next().unwrap().parse().unwrap();
            states[writer].insert(key, (value, end));
        } else {
            assert_eq!((&*key, end), ("shared", None));
            let Value::Text(bytes) = value else {
                panic!("a counter is text")
            };
            shared = String::from_utf8(bytes).unwrap().parse().unwrap();
        }
    }
    (states, shared)
}

/// What came of all rounds.
#[derive(Default, Debug)]
struct Sum {
    sent: usize,
    answered: usize,
    snapshots: u64,
}

#[test]
fn what_was_promised_outlives_servers_that_are_killed() {
    let rounds = std::env::var("CRASH_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let data = Data::new("kill");
    let mut random = Random(rounds);
    let mut writers: Vec<Writer> = (0..WRITERS).map(Writer::new).collect();
    let mut shared = 0;
    let mut sum = Sum::default();
    // The policy that was in force, and when the server was killed.
    let mut killed: Option<(&str, Instant)> = None;
    for round in 0..=rounds {
        let fsync = match round % 4 {
            0..3 => "always",
            _ if round % 8 == 3 => "interval",
            _ => "never",
        };
        let shape = SHAPES[(round / 2 % 4) as usize];
        let words = [&shape[..], &["--fsync", fsync, "--log-level", "warn"]].concat();
        if round % 4 == 1 {
            kill_while_starting(&data, &words, &mut random);
        }
        let mut server = data.serve(&words);
        let (states, counted) = read(&server, writers.len());
        let mut shares = [shared, shared];
        for (writer, found) in writers.iter_mut().zip(states) {
            let least = match killed {
                Some((fsync, when)) if fsync != "always" => {
                    writer.answered_by(when.checked_sub(LOSS).unwrap_or(when))
                }
                _ => writer.answered.len(),
            };
            (sum.sent, sum.answered) = (
                sum.sent + writer.sent.len(),
                sum.answered + writer.answered.len(),
            );
            let [least, most] = writer.check(found, least);
            shares = [shares[0] + least, shares[1] + most];
        }
        assert!(
            (shares[0]..=shares[1]).contains(&counted),
            "round {round}: {counted} is not in {shares:?}"
        );
        shared = counted;
        let most = if fsync == "always" { 400 } else { 1500 };
        let before = Duration::from_millis(random.below(most));
        let rest = Duration::from_millis(random.below(most));
        let snapshot = random.below(2) == 0;
        let when = thread::scope(|scope| {
            for writer in &mut writers {
                scope.spawn(|| writer.write(&server));
            }
            // The moment of the kill is what the test is about.
            thread::sleep(before);
            if snapshot {
                Connection::new(&server).tell("BGSAVE");
                sum.snapshots += 1;
            }
            thread::sleep(rest);
            let when = Instant::now();
            server.signal(Signal::KILL);
            when
        });
        server.exit_code();
        killed = Some((fsync, when));
    }
    eprintln!("{rounds} rounds: {sum:?}");
    assert!(
        sum.answered > 0 && sum.sent > sum.answered,
        "the kills came under load"
    );
}

/// A start that ends before it is complete, or soon after.
fn kill_while_starting(data: &Data, words: &[&str], random: &mut Random) {
    let mut command = program(&data.words(words));
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    thread::sleep(Duration::from_millis(random.below(60)));
    child.kill().unwrap();
    child.wait().unwrap();
}
