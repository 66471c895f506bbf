//! A server without threads and sockets, and what is known of it that a recovery has to bring back.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use ant_cache_core::journal::record::{Record, Records};
use ant_cache_core::journal::snapshot::Block;
use ant_cache_core::service::Options as ServiceOptions;
use ant_cache_core::session::{Session, Turn};
use ant_cache_core::stats::Counters;
use ant_cache_core::store::Copying;
use ant_cache_core::{Budget, Eviction, Input, Millis, Output, Service};
use ant_cache_host::Clock;
use ant_cache_host::persist::{
    Error, Files, Fsync, Log, Names, Options, Snapshot, Wish, remove_old, start,
};

use crate::disk::Disk;

/// Milliseconds between syncs where the policy has such.
pub(crate) const INTERVAL: u64 = 1000;

/// When the first server starts.
pub(crate) const EPOCH: u64 = 1_800_000_000_000;

/// What a key holds: its kind, its value and its end.
pub(crate) type Entry = (String, Vec<u8>, Option<u64>);

/// All keys.
pub(crate) type Keys = BTreeMap<Vec<u8>, Entry>;

/// A reply that is held.
struct Held {
    session: Session,
    output: Output,
    /// The number of the state that it tells of.
    state: usize,
}

/// What a server has said, and when.
#[derive(Debug, Default)]
pub(crate) struct Past {
    /// What the keys were after each step, with the number of calls to the disk before it.
    pub(crate) states: Vec<(usize, Keys)>,
    /// States at the end of an epoch.
    pub(crate) whole: Vec<usize>,
    /// From so many calls on, this state is promised to be on the disk.
    pub(crate) promised: Vec<(usize, usize)>,
    /// From so many calls on, this state survives the end of the process.
    pub(crate) written: Vec<(usize, usize)>,
}

/// One server, from its start on.
pub(crate) struct Server {
    pub(crate) disk: Disk,
    pub(crate) files: Arc<dyn Files>,
    pub(crate) clock: Clock,
    pub(crate) fsync: Fsync,
    pub(crate) log: Log,
    pub(crate) past: Past,
    pub(crate) service: Arc<Service>,
    counters: Counters,
    held: Vec<Held>,
    /// With `never`, what was written before the log broke may go with the power, and then what follows is of no use,
    /// until a snapshot has it all.
    gap: bool,
    /// Replies that were errors of persistence.
    pub(crate) refused: usize,
}

pub(crate) fn options(fsync: Fsync, recover: bool) -> Options {
    Options {
        dir: PathBuf::from("dir"),
        names: Names::default(),
        fsync,
        sync_interval: Duration::from_millis(INTERVAL),
        snapshot_interval: Duration::from_secs(3600),
        recover,
    }
}

/// The words of a line.
fn encode(line: &str) -> Vec<u8> {
    let words: Vec<&str> = line.split(' ').collect();
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        // `x*2000` is a long word.
        let word = match word.split_once('*') {
            Some((text, times)) => text.repeat(times.parse().unwrap()),
            None => word.to_owned(),
        };
        bytes.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
    bytes
}

/// Puts a line into what a session has received.
pub(crate) fn receive(line: &str, input: &mut Input) {
    let bytes = encode(line);
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let room = input.spare();
        let n = room.len().min(rest.len());
        room[..n].copy_from_slice(&rest[..n]);
        input.filled(n);
        rest = &rest[n..];
    }
}

impl Server {
    /// Starts on what is on the disk.
    pub(crate) fn start(disk: &Disk, fsync: Fsync, now: u64, recover: bool) -> Result<Self, Error> {
        let service = Service::new(ServiceOptions {
            shards: 4,
            ..ServiceOptions::default()
        });
        let clock = Clock::manual(Millis(now));
        let files: Arc<dyn Files> = Arc::new(disk.clone());
        let log = start(&files, &options(fsync, recover), &service, &clock)?;
        let mut server = Self {
            disk: disk.clone(),
            files,
            clock,
            fsync,
            log,
            past: Past::default(),
            service,
            counters: Counters::default(),
            held: Vec::new(),
            gap: false,
            refused: 0,
        };
        // All that was there is found again, however often the start is cut short.
        let keys = server.keys();
        server.past.states.push((0, keys));
        server.past.whole.push(0);
        server.past.promised.push((0, 0));
        server.past.written.push((0, 0));
        Ok(server)
    }

    /// The process ends, and another one begins.
    fn restart(&mut self) {
        let before = self.disk.calls();
        let now = self.clock.now().0;
        let next = Self::start(&self.disk, self.fsync, now, false).unwrap();
        if let Err(text) = self.past.check(before, false, &next.keys(), now) {
            panic!("{text}\n{}", self.disk.history());
        }
        let past = std::mem::take(&mut self.past);
        *self = Self { past, ..next };
        self.past.states.push((before, self.keys()));
        let state = self.past.states.len() - 1;
        self.past.whole.push(state);
        self.past.promised.push((self.disk.calls(), state));
        self.past.written.push((before, state));
    }

    /// What the keys are now.
    pub(crate) fn keys(&self) -> Keys {
        let mut copying = Copying::default();
        let mut block = Block::default();
        while copying.slice(self.service.store(), self.clock.now(), &mut block) {}
        block.seal(0);
        let bytes: Vec<u8> = block
            .pieces()
            .flat_map(|piece| piece.bytes().to_vec())
            .collect();
        let mut keys = Keys::new();
        // The block's header comes first.
        for record in Records::new(&bytes[20..]) {
            let Record::Set {
                kind,
                key,
                value,
                expires,
            } = record.unwrap()
            else {
                panic!("an entry is a set");
            };
            let entry = (
                format!("{kind:?}"),
                value.to_vec(),
                expires.map(|end| end.0),
            );
            keys.insert(key.to_vec(), entry);
        }
        keys
    }

    /// Notes a state.
    fn note(&mut self) -> usize {
        self.past.states.push((self.disk.calls(), self.keys()));
        self.past.states.len() - 1
    }

    /// Executes a command. Its reply, where it is not held.
    pub(crate) fn command(&mut self, line: &str) -> Option<String> {
        let last = self.past.states.len() - 1;
        let failing = self.service.store().journal().is_failing();
        let mut session = self.service.connect(self.clock.now()).unwrap();
        let (mut input, mut output) = (Input::new(), Output::new());
        receive(line, &mut input);
        loop {
            let mut turn = Turn {
                now: self.clock.now(),
                budget: Budget::TURN,
                stats: &self.counters,
            };
            if !session.turn(&mut turn, &mut input, &mut output).again {
                break;
            }
        }
        if line == "FLUSHALL" {
            // An epoch ended before it.
            self.past.whole.push(last);
        }
        let state = self.note();
        let refused = self.refused;
        let reply = self.let_go(Held {
            session,
            output,
            state,
        });
        if failing {
            let reads = ["GET", "MGET", "PING"].contains(&line.split(' ').next().unwrap());
            assert!(reply.is_some(), "{line} waits for a log that is broken");
            assert_eq!(self.refused > refused, !reads, "{line}: {reply:?}");
        }
        reply
    }

    /// The reply, unless it is held.
    fn let_go(&mut self, mut held: Held) -> Option<String> {
        if held.session.settle(&mut held.output, Waker::noop()) {
            self.held.push(held);
            return None;
        }
        let reply = held.output.to_vec();
        assert_eq!(held.output.ready(), reply.len());
        let reply = String::from_utf8(reply).unwrap();
        if reply.starts_with("-MISCONF") {
            self.refused += 1;
        } else {
            let expected = ["-ERR no such key", "-WRONGTYPE"];
            let fine =
                !reply.starts_with('-') || expected.iter().any(|text| reply.starts_with(text));
            assert!(fine, "{reply}");
            let [before, after] =
                [held.state - 1, held.state].map(|state| &self.past.states[state].1);
            // Who hears of a change may count on it, and on all before it.
            if self.fsync == Fsync::Always && before != after {
                self.past.promised.push((self.disk.calls(), held.state));
            }
        }
        Some(reply)
    }

    /// A round of the log.
    pub(crate) fn round(&mut self, wish: Wish) -> bool {
        let state = self.past.states.len() - 1;
        self.past.whole.push(state);
        let done = self.log.round(&self.service, self.clock.now(), wish);
        let calls = self.disk.calls();
        self.gap |= done.is_err();
        if done.is_ok() {
            self.past.written.push((calls, state));
            let synced = match self.fsync {
                Fsync::Never => wish != Wish::Policy && !self.gap,
                _ => !self.log.is_behind(),
            };
            if synced {
                self.past.promised.push((calls, state));
            }
        }
        for held in std::mem::take(&mut self.held) {
            self.let_go(held);
        }
        done.is_ok()
    }

    /// Time passes, and housekeeping is done.
    pub(crate) fn pass(&mut self, ms: u64) {
        self.clock.advance(ms);
        while self
            .service
            .tick(self.clock.now(), Budget::TURN)
            .is_some_and(|again| again <= self.clock.now())
        {}
        self.note();
    }

    /// Writes a snapshot; `meanwhile` is done between its slices.
    pub(crate) fn snapshot(&mut self, mut meanwhile: impl FnMut(&mut Self)) -> bool {
        if !self.round(Wish::Rotate) {
            return false;
        }
        let names = Names::default();
        let (epoch, segment) = (self.log.closed().next(), self.log.number());
        let begun = Snapshot::begin(
            Arc::clone(&self.files),
            names.clone(),
            segment,
            epoch,
            self.clock.now(),
        );
        let done = begun.and_then(|mut snapshot| {
            let (service, now) = (Arc::clone(&self.service), self.clock.now());
            let go_on = || {
                meanwhile(self);
                true
            };
            snapshot.write(service.store(), || now, go_on)?;
            if !self.round(Wish::Sync) || self.log.number() != segment {
                return Err(std::io::Error::other("the log"));
            }
            snapshot.finish(self.log.closed(), self.clock.now())
        });
        if done.is_err() {
            let _ = self.files.remove(&names.unfinished());
            return false;
        }
        self.gap = false;
        remove_old(&*self.files, &names, segment);
        true
    }

    /// Does what a line of a script says: a command, or one of `.` (a round), `!` (a sync), `+n` (time passes), `@` (a
    /// snapshot).
    pub(crate) fn step(&mut self, line: &str) {
        match line {
            "." => _ = self.round(Wish::Policy),
            "!" => _ = self.round(Wish::Sync),
            "@" => {
                let mut n = 0;
                self.snapshot(|server| {
                    n += 1;
                    server.command(&format!("SETRANGE s {n} during"));
                    server.command(&format!("MSET m1 {n} m2 {n} during{n} x"));
                    if n % 2 == 0 {
                        server.round(Wish::Policy);
                    }
                });
            }
            "evict" => {
                let used = self.service.ledger().used();
                self.service.settings.set_eviction(Eviction::Lru);
                self.service.settings.set_max_memory(used / 2);
                self.pass(1);
                self.service.settings.set_max_memory(u64::MAX);
            }
            "kill" => self.restart(),
            _ => match line.strip_prefix('+') {
                Some(ms) => self.pass(ms.parse().unwrap()),
                None => _ = self.command(line),
            },
        }
    }

    /// Does all lines of a script.
    pub(crate) fn run(&mut self, script: &[impl AsRef<str>]) {
        script.iter().for_each(|line| self.step(line.as_ref()));
    }
}

/// Those of the keys that have not ended by `now`.
pub(crate) fn live(keys: &Keys, now: u64) -> Keys {
    let live = keys
        .iter()
        .filter(|(_, (.., end))| end.is_none_or(|end| end > now));
    live.map(|(key, entry)| (key.clone(), entry.clone()))
        .collect()
}

impl Past {
    /// The states that a recovery may bring back after so many calls: the end of an epoch, not before what was promised,
    /// not after what had happened. After the end of the process only, all that was written counts as promised.
    pub(crate) fn allowed(&self, calls: usize, power: bool) -> impl Iterator<Item = &Keys> {
        let promises = if power { &self.promised } else { &self.written };
        let least = promises
            .iter()
            .filter(|&&(at, _)| at <= calls)
            .map(|&(_, state)| state)
            .max()
            .unwrap_or(0);
        let whole = self.whole.iter().filter(move |&&state| state >= least);
        whole
            .map(|&state| &self.states[state])
            .filter(move |(at, _)| *at <= calls)
            .map(|(_, keys)| keys)
    }

    /// Fails where what a server has come back with is none of those states.
    pub(crate) fn check(
        &self,
        calls: usize,
        power: bool,
        keys: &Keys,
        now: u64,
    ) -> Result<(), String> {
        let keys = live(keys, now);
        if self
            .allowed(calls, power)
            .any(|state| live(state, now) == keys)
        {
            return Ok(());
        }
        let show = |keys: &Keys| {
            let text = keys.iter().map(|(key, (kind, value, end))| {
                let value = &value[..value.len().min(30)];
                format!(
                    "{} {kind} {} {end:?}",
                    key.escape_ascii(),
                    value.escape_ascii()
                )
            });
            text.collect::<Vec<_>>().join("\n    ")
        };
        let allowed: Vec<String> = self
            .allowed(calls, power)
            .map(|state| show(&live(state, now)))
            .collect();
        Err(format!(
            "after {calls} calls at {now} it has\n    {}\nallowed:\n    {}",
            show(&keys),
            allowed.join("\n  or\n    ")
        ))
    }
}
