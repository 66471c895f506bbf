//! What a command works with: its arguments, the shards of its keys, its reply.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cell::Cell;
use core::fmt;

use crate::command::{Command, Error, Flags};
use crate::journal::Epoch;
use crate::protocol::{Dialect, Span};
use crate::reply::{Reply, Wire};
use crate::service::Service;
use crate::session::{Budget, Client};
use crate::stats::{self, Counters, Event, SlowCall, Stopwatch};
use crate::store::{Committed, Effect, Item, Key, Room, Search, Shard, Store};
use crate::sync::Guard;
use crate::{Millis, Output};

/// The words of a request, the command's name first.
#[derive(Clone, Copy)]
pub struct Args<'a> {
    buf: &'a [u8],
    spans: &'a [Span],
}

impl<'a> Args<'a> {
    pub(crate) const fn new(buf: &'a [u8], spans: &'a [Span]) -> Self {
        Self { buf, spans }
    }

    /// Number of words, the command's name included; never 0.
    #[must_use]
    #[inline]
    #[expect(clippy::len_without_is_empty, reason = "it never is")]
    pub const fn len(&self) -> usize {
        self.spans.len()
    }

    /// The word at `index`; the name is at 0.
    ///
    /// # Panics
    /// If there are fewer: the command table's arity is checked before a command runs.
    #[must_use]
    #[inline]
    pub fn get(&self, index: usize) -> &'a [u8] {
        self.spans[index].of(self.buf)
    }

    /// Bytes from the first word's first to the last word's last.
    #[must_use]
    #[inline]
    pub fn bytes(&self) -> usize {
        (self.spans[self.spans.len() - 1].end() - self.spans[0].start) as usize
    }

    /// The words from `first` on.
    pub fn from(&self, first: usize) -> impl ExactSizeIterator<Item = &'a [u8]> + Clone + use<'a> {
        let buf = self.buf;
        self.spans[first.min(self.spans.len())..]
            .iter()
            .map(move |span| span.of(buf))
    }

    /// Of a text request, the words from `first` on as one value, joined by one space as they stand in the line.
    #[must_use]
    pub fn joined(&self, first: usize) -> &'a [u8] {
        let (start, last) = (self.spans[first].start, self.spans[self.spans.len() - 1]);
        &self.buf[start as usize..(last.start + last.len) as usize]
    }

    /// Whether the word at `index` is `word`, in any case.
    #[must_use]
    pub fn is(&self, index: usize, word: &str) -> bool {
        self.get(index).eq_ignore_ascii_case(word.as_bytes())
    }

    /// The word at `index` as a number.
    ///
    /// # Errors
    /// [`Error::NotInteger`] where it is none, or not one of 64 bits.
    pub fn integer(&self, index: usize) -> Result<i64, Error> {
        crate::number::parse_i64(self.get(index)).ok_or(Error::NotInteger)
    }
}

impl fmt::Debug for Args<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.from(0).map(|word| word.escape_ascii()))
            .finish()
    }
}

/// Bytes of words from which on a request can take long by its size: each is timed.
const LONG_REQUEST: usize = 4096;

/// How far a command got.
pub enum Step {
    /// It has replied.
    Done,
    /// The turn's budget was spent first: the rest is to be done in later turns. Nothing of the reply was written to
    /// the connection's output yet, or what was written is complete in itself up to a place where it can go on.
    More(Box<dyn Continue>),
}

/// The rest of a long command. The arguments stay where they are until it is done.
pub trait Continue: Send {
    /// Goes on until the budget is spent; true once the command has replied completely.
    fn resume(&mut self, exec: &mut Exec<'_>, args: &Args<'_>) -> bool;

    /// Bytes of memory that it has gathered, where that may be much.
    fn memory(&self) -> usize {
        0
    }
}

/// A command that waits for room, or its rest once it had it.
struct Write {
    search: Search,
    rest: Option<Box<dyn Continue>>,
}

impl Continue for Write {
    fn resume(&mut self, exec: &mut Exec<'_>, args: &Args<'_>) -> bool {
        if let Some(rest) = &mut self.rest {
            return rest.resume(exec, args);
        }
        let outcome = match exec.make_room(&mut self.search) {
            Room::Made => (exec.command.run)(exec, args),
            Room::None => Err(Error::OutOfMemory),
            Room::Later => return false,
        };
        self.rest = exec.finish(outcome);
        self.rest.is_none()
    }
}

/// The rest of a command whose time is taken.
struct Timed {
    rest: Box<dyn Continue>,
    stopwatch: Stopwatch,
    start: u64,
}

impl Timed {
    fn boxed(rest: Box<dyn Continue>, stopwatch: Stopwatch, start: u64) -> Box<dyn Continue> {
        Box::new(Self {
            rest,
            stopwatch,
            start,
        })
    }
}

impl Continue for Timed {
    fn resume(&mut self, exec: &mut Exec<'_>, args: &Args<'_>) -> bool {
        let done = self.rest.resume(exec, args);
        if done {
            exec.note_time(args, (self.stopwatch)().saturating_sub(self.start));
        }
        done
    }

    fn memory(&self) -> usize {
        self.rest.memory()
    }
}

/// What commands return; an error becomes the reply.
pub type Outcome = Result<Step, Error>;

/// The surroundings of one command.
pub struct Exec<'a> {
    /// The server.
    pub service: &'a Service,
    /// The connection.
    pub client: &'a mut Client,
    /// Where replies go.
    pub output: &'a mut Output,
    /// Counters of this thread.
    pub stats: &'a Counters,
    /// What the turn may still do.
    pub budget: &'a mut Budget,
    /// The present moment.
    pub now: Millis,
    /// The language of the request.
    pub dialect: Dialect,
    /// The command's line in the table.
    pub command: &'static Command,
    /// The hash of the first key, where it was computed ahead.
    pub(crate) first_hash: u64,
    /// The last epoch of what the command has changed or looked at; 0 where that is not recorded.
    pub(crate) touched: Cell<Epoch>,
    /// When the rest of the command is to go on, where it waits for something else than its turn.
    pub(crate) until: Option<Millis>,
}

impl<'a> Exec<'a> {
    /// The encoding of the reply.
    #[must_use]
    #[inline]
    pub fn wire(&self) -> Wire {
        match self.dialect {
            Dialect::Text(eol) => Wire::Text(eol),
            Dialect::Resp if self.client.resp3 => Wire::Resp3,
            Dialect::Resp => Wire::Resp2,
        }
    }

    /// Whether the request came as a line of text.
    #[must_use]
    #[inline]
    pub const fn is_text(&self) -> bool {
        matches!(self.dialect, Dialect::Text(_))
    }

    /// The encoder of the reply.
    #[inline]
    pub fn reply(&mut self) -> Reply<'_> {
        let wire = self.wire();
        Reply::new(self.output, wire)
    }

    /// The store, for what concerns no particular key.
    #[must_use]
    #[inline]
    pub fn store(&self) -> &'a Store {
        &self.service.store
    }

    /// The command's first key, with the hash that was computed ahead.
    #[inline]
    pub fn key<'k>(&self, args: &Args<'k>) -> Key<'k> {
        self.store().known_key(args.get(1), self.first_hash)
    }

    /// Locks the shard of one key. Nothing else may be locked meanwhile.
    #[inline]
    pub fn shard(&self, key: &Key<'_>) -> Guard<'a, Shard> {
        let store = self.store();
        let index = store.shard_of(key);
        let shard = if self.command.flags.has(Flags::WRITE) {
            store.lock_to_write(index)
        } else {
            store.lock(index)
        };
        self.touch(shard.last_change());
        shard
    }

    /// Notes that what the reply tells of was changed in `epoch`.
    #[inline]
    pub fn touch(&self, epoch: Epoch) {
        self.touched.set(self.touched.get().max(epoch));
    }

    /// Locks the shards of all keys that the command table declares, in ascending order: the command is atomic.
    pub fn shards<'k>(&self, args: &Args<'k>) -> Shards<'a, 'k> {
        self.lock(
            self.command
                .keys
                .of(args.len())
                .map(|index| self.store().key(args.get(index)))
                .collect(),
        )
    }

    /// Locks the shards of these keys.
    pub fn lock<'k>(&self, keys: Vec<Key<'k>>) -> Shards<'a, 'k> {
        let store = self.store();
        let mut indexes: Vec<usize> = keys.iter().map(|key| store.shard_of(key)).collect();
        indexes.sort_unstable();
        indexes.dedup();
        let write = self.command.flags.has(Flags::WRITE);
        let guards = store.lock_all(&indexes, write);
        for shard in &guards {
            // What is written under these locks belongs to the epoch that was read with all of them held.
            self.touch(if write {
                shard.stamp()
            } else {
                shard.last_change()
            });
        }
        Shards {
            store,
            keys,
            indexes,
            guards,
            dropped: Vec::new(),
        }
    }

    /// Changes the one key whose shard is locked, and unlocks it; a large value that was replaced is freed after that.
    /// Returns whether the key existed before.
    #[inline]
    pub fn commit(&self, mut shard: Guard<'_, Shard>, key: &Key<'_>, effect: Effect<'_>) -> bool {
        let committed = shard.commit(key, effect, self.now);
        self.touch(shard.last_change());
        drop(shard);
        committed.existed
    }

    /// Lets the rest of the command go on in so many milliseconds.
    pub(crate) fn nap(&mut self, ms: u64) {
        self.until = Some(self.now.plus(ms));
    }

    /// Runs the command from its start; returns what is left of it where the budget did not last.
    #[inline]
    pub(crate) fn run(&mut self, args: &Args<'_>) -> Option<Box<dyn Continue>> {
        self.budget.spend(2 + args.len() / 4);
        let call = self.stats.calls.bump(self.command.number);
        if let Err(error) = self.admit(args) {
            self.reject(&error);
            return None;
        }
        if stats::METERED
            && (stats::is_timed(call)
                || self.command.flags.has(Flags::LONG)
                || args.bytes() > LONG_REQUEST
                || self.service.settings.looks_closely())
        {
            return self.run_closely(args, call);
        }
        let rest = self.start(args)?;
        Some(self.time_rest(rest))
    }

    /// Whether the request may run.
    #[inline(always)]
    fn admit(&self, args: &Args<'_>) -> Result<(), Error> {
        self.command.admit(args, self.client.authenticated)?;
        if self.command.flags.has(Flags::WRITE) && self.store().journal().is_failing() {
            return Err(Error::Unwritable);
        }
        Ok(())
    }

    /// Times one that turns out to be long from here: what it did up to now is a hundredth of what is slow.
    #[cold]
    fn time_rest(&self, rest: Box<dyn Continue>) -> Box<dyn Continue> {
        match self.service.stopwatch {
            Some(stopwatch) => Timed::boxed(rest, stopwatch, stopwatch()),
            None => rest,
        }
    }

    /// Runs the command, shows it to who monitors, and notes how long it took, and in some calls which key it was for.
    #[cold]
    #[inline(never)]
    fn run_closely(&mut self, args: &Args<'_>, call: u64) -> Option<Box<dyn Continue>> {
        let data = self.command.flags.has(Flags::READ) || self.command.flags.has(Flags::WRITE);
        if data && self.client.monitor.is_some() {
            self.reject(&Error::Other(
                "ERR Replica can't interact with the keyspace",
            ));
            return None;
        }
        if self.service.settings.is_monitored() && !self.command.flags.has(Flags::ADMIN) {
            let from = self.client.origin(self.service);
            self.service.show(self.now, &from, args);
        }
        if stats::is_noted(call) {
            self.note_key(args, call);
        }
        let Some(stopwatch) = self.service.stopwatch else {
            return self.start(args);
        };
        let start = stopwatch();
        match self.start(args) {
            None => {
                self.note_time(args, stopwatch().saturating_sub(start));
                None
            }
            Some(rest) => Some(Timed::boxed(rest, stopwatch, start)),
        }
    }

    /// Notes one of the command's keys among the hot ones.
    fn note_key(&self, args: &Args<'_>, call: u64) {
        let keys = self.command.keys.of(args.len());
        let count = keys.clone().count() as u64;
        // However many keys there are, each has its turn.
        let nth = stats::scrambled(call).checked_rem(count);
        let at = nth.and_then(|nth| keys.clone().nth(nth as usize));
        if let Some(at) = at {
            let key = args.get(at);
            let hash = self.store().key(key).hash();
            let dropped = self.service.hot.lock().note(key, hash);
            drop(dropped);
        }
    }

    /// Notes how long the command took, also in the slow log and in the latency monitor where that was long.
    fn note_time(&self, args: &Args<'_>, nanos: u64) {
        let (service, micros) = (self.service, nanos / 1000);
        service.timings.record(self.command.number, nanos);
        let (threshold, ms) = (service.settings.latency_threshold(), micros / 1000);
        if threshold > 0 && ms >= threshold {
            let event = if self.command.flags.has(Flags::FAST) {
                Event::FastCommand
            } else {
                Event::Command
            };
            service.latencies.lock().note(event, self.now, ms);
        }
        if micros < service.settings.slow() {
            return;
        }
        let call = SlowCall {
            id: 0,
            at: self.now,
            micros,
            words: stats::shown(args),
            client: self.client.id,
            name: self.client.name.to_vec(),
        };
        let most = usize::try_from(service.settings.slow_calls()).unwrap_or(usize::MAX);
        service.slow.lock().push(call, most);
    }

    /// Begins a request that may run.
    #[inline(always)]
    fn start(&mut self, args: &Args<'_>) -> Option<Box<dyn Continue>> {
        let outcome = if self.command.flags.has(Flags::DENY_OOM) {
            self.write(args)
        } else {
            (self.command.run)(self, args)
        };
        self.finish(outcome)
    }

    /// Replies with an error where there was one; returns what is left to do.
    fn finish(&mut self, outcome: Outcome) -> Option<Box<dyn Continue>> {
        match outcome {
            Ok(Step::Done) => None,
            Ok(Step::More(rest)) => Some(rest),
            // It has not begun.
            Err(error @ Error::OutOfMemory) => {
                self.reject(&error);
                None
            }
            Err(error) => {
                self.fail(&error);
                None
            }
        }
    }

    /// Runs a command that may need memory, once there is room for it.
    #[inline]
    fn write(&mut self, args: &Args<'_>) -> Outcome {
        /// Bytes that an entry takes beyond its key and value.
        const OVERHEAD: usize = 64;
        let need = (args.bytes() + OVERHEAD) as u64;
        // Nothing goes for what would not fit even if all did.
        if need > self.service.capacity() {
            return Err(Error::OutOfMemory);
        }
        let mut search = Search::for_write(need);
        match self.make_room(&mut search) {
            Room::Made => (self.command.run)(self, args),
            Room::None => Err(Error::OutOfMemory),
            Room::Later => Ok(Step::More(Box::new(Write { search, rest: None }))),
        }
    }

    fn make_room(&mut self, search: &mut Search) -> Room {
        self.service.make_room(search, self.now, self.budget)
    }

    /// Refuses to run the command.
    #[cold]
    fn reject(&mut self, error: &Error) {
        self.stats.rejections.bump(self.command.number);
        self.answer(error);
    }

    /// Answers a command that ran with an error.
    #[cold]
    pub(crate) fn fail(&mut self, error: &Error) {
        self.stats.failures.bump(self.command.number);
        self.answer(error);
    }

    /// Replies with an error, in the words of the request's language.
    fn answer(&mut self, error: &Error) {
        self.stats.count_error(error.code());
        if self.is_text() {
            self.reply().error(error.text())
        } else {
            self.reply().error(error)
        }
    }

    /// Counts a read as a hit or a miss.
    #[inline]
    pub fn count_read(&self, hit: bool) {
        if hit {
            self.stats.hits.add(1);
        } else {
            self.stats.misses.add(1);
        }
    }
}

/// The shards of several keys, locked together. Large values that are replaced are freed after the locks.
pub struct Shards<'a, 'k> {
    store: &'a Store,
    /// The declared keys in their order.
    keys: Vec<Key<'k>>,
    indexes: Vec<usize>,
    guards: Vec<Guard<'a, Shard>>,
    // Declared behind the guards: fields drop in order.
    dropped: Vec<Committed>,
}

impl<'k> Shards<'_, 'k> {
    /// Number of declared keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether the command has no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The key with this place among the declared ones.
    #[must_use]
    pub fn key(&self, index: usize) -> Key<'k> {
        self.keys[index]
    }

    fn place(&self, key: &Key<'_>) -> usize {
        let shard = self.store.shard_of(key);
        self.indexes
            .binary_search(&shard)
            .expect("the shard of a declared key is locked")
    }

    /// The value of a declared key, which was asked for.
    #[must_use]
    pub fn get(&mut self, key: &Key<'_>, now: Millis) -> Option<Item<'_>> {
        let place = self.place(key);
        self.guards[place].get(key, now)
    }

    /// The value of a declared key, without consequences for eviction.
    #[must_use]
    pub fn peek(&self, key: &Key<'_>, now: Millis) -> Option<Item<'_>> {
        self.guards[self.place(key)].peek(key, now)
    }

    /// Changes a declared key; returns whether it existed before.
    pub fn commit(&mut self, key: &Key<'_>, effect: Effect<'_>, now: Millis) -> bool {
        let place = self.place(key);
        let committed = self.guards[place].commit(key, effect, now);
        let existed = committed.existed;
        if committed.dropped.is_some() {
            self.dropped.push(committed);
        }
        existed
    }
}
