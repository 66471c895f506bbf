//! The store against a map: random operations, everything compared, every structure checked.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::wheel::TICK;
use super::{Effect, Key, Kind, NewData, Options, Position, Store};
use crate::eviction::Eviction;
use crate::journal::Epoch;
use crate::journal::frame::{self, Gatherer};
use crate::journal::record::Records;
use crate::session::Budget;
use crate::{Blob, Millis};

/// An empty store without a bound.
fn store(shards: usize, seed: u64) -> Store {
    Store::new(&Options {
        shards,
        seed,
        ..Options::default()
    })
}

/// A random operation. Keys are named by a number; see [`key`].
#[derive(Clone, Debug)]
enum Op {
    Set {
        key: u8,
        len: usize,
        kind: Kind,
        ttl: Option<u64>,
    },
    Delete {
        key: u8,
    },
    Expire {
        key: u8,
        ttl: Option<u64>,
    },
    Patch {
        key: u8,
        offset: usize,
        len: usize,
    },
    /// Goes on with a walk, and begins one where none is under way.
    Walk {
        steps: usize,
    },
    Sample {
        random: u64,
    },
    /// Keeps a large value as a slow reader does.
    Hold {
        key: u8,
    },
    Pass {
        millis: u64,
    },
    Tick {
        budget: i32,
    },
    Flush,
    /// Closes the epoch; what belongs to it is gathered later, when the next one has begun.
    Raise,
    /// Closes the epoch.
    Close,
}

/// The key of this number: most are short, some as long as an extent, one is empty.
fn key(number: u8) -> Vec<u8> {
    let len = match number {
        0 => 0,
        1 => 300,
        2 => 5_000,
        3 => 20_000,
        _ => 8,
    };
    vec![number; len]
}

/// Bytes that differ from one operation to the next.
fn bytes(len: usize, salt: usize) -> Vec<u8> {
    (0..len).map(|at| (at ^ salt) as u8).collect()
}

fn operation() -> impl Strategy<Value = Op> {
    let key = || prop_oneof![3 => 4..60u8, 1 => 0..4u8];
    let len = || prop_oneof![8 => 0..100usize, 2 => 200..300usize, 2 => 900..1_300usize, 1 => 0..100_000usize];
    let kind =
        prop_oneof![4 => Just(Kind::String), 1 => Just(Kind::Array), 1 => Just(Kind::Object)];
    let ttl = || prop_oneof![3 => Just(None), 2 => (1..2_000u64).prop_map(Some), 1 => (1..100_000_000u64).prop_map(Some), 1 => (1..1u64 << 34).prop_map(Some), 1 => (1u64 << 39..1 << 50).prop_map(Some)];
    prop_oneof![
        20 => (key(), len(), kind, ttl()).prop_map(|(key, len, kind, ttl)| Op::Set { key, len, kind, ttl }),
        8 => key().prop_map(|key| Op::Delete { key }),
        6 => (key(), ttl()).prop_map(|(key, ttl)| Op::Expire { key, ttl }),
        6 => (key(), len(), len()).prop_map(|(key, offset, len)| Op::Patch { key, offset, len }),
        8 => (1..20usize).prop_map(|steps| Op::Walk { steps }),
        2 => any::<u64>().prop_map(|random| Op::Sample { random }),
        1 => key().prop_map(|key| Op::Hold { key }),
        3 => (1..900u64).prop_map(|millis| Op::Pass { millis }),
        1 => prop_oneof![1..100_000_000u64, 1..1u64 << 33].prop_map(|millis| Op::Pass { millis }),
        3 => prop_oneof![1..200i32, Just(i32::MAX)].prop_map(|budget| Op::Tick { budget }),
        1 => Just(Op::Flush),
        2 => Just(Op::Raise),
        3 => Just(Op::Close),
    ]
}

/// A value as the map has it.
#[derive(Clone, Debug, PartialEq)]
struct Value {
    kind: Kind,
    bytes: Vec<u8>,
    expires: Option<Millis>,
}

/// A walk through all shards, in parts.
#[derive(Default)]
struct Walk {
    shard: usize,
    at: Position,
    /// Keys that were there when it began and never went.
    throughout: BTreeSet<Vec<u8>>,
    seen: BTreeSet<Vec<u8>>,
}

/// What has been recorded of a store, applied to another one.
struct Replica {
    gatherer: Gatherer,
    store: Store,
}

impl Replica {
    /// Of a store that records from now on.
    fn of(original: &Store) -> Self {
        original.record(Epoch(1));
        Self {
            gatherer: Gatherer::default(),
            store: store(1, 0),
        }
    }

    /// Closes the epoch of the original, and applies all that came up to its end.
    fn catch_up(&mut self, original: &Store, now: Millis) {
        for mut frame in self.gatherer.gather(original, now).frames {
            frame.seal(0, Epoch(0));
            let bytes: Vec<u8> = frame
                .pieces()
                .flat_map(|piece| piece.bytes())
                .copied()
                .collect();
            let header = frame::Header::decode(&bytes, 0).expect("what was written can be read");
            for record in Records::new(&bytes[frame::Header::LEN..]) {
                let record = record.expect("what was written can be read");
                self.store.apply(&record, header.moments[0]);
            }
        }
    }

    /// What a key has, if it has not ended.
    fn value(&self, key: &[u8], now: Millis) -> Option<Value> {
        value(&self.store, key, now)
    }
}

/// What a key has in a store, if it has not ended.
fn value(store: &Store, key: &[u8], now: Millis) -> Option<Value> {
    let key = store.key(key);
    let shard = store.lock(store.shard_of(&key));
    shard.peek(&key, now).map(|item| Value {
        kind: item.kind,
        bytes: item.data.bytes().to_vec(),
        expires: item.expires,
    })
}

/// Both, and what is known about them.
struct Pair {
    replica: Option<Replica>,
    /// Since the last epoch was gathered.
    flushed: bool,
    store: Store,
    map: BTreeMap<Vec<u8>, Value>,
    now: Millis,
    walk: Option<Walk>,
    held: Vec<(Blob, Vec<u8>)>,
    count: usize,
}

impl Pair {
    fn new(shards: usize, seed: u64, record: bool) -> Self {
        let (store, now) = (store(shards, seed), Millis(1 << 40));
        Self {
            replica: record.then(|| Replica::of(&store)),
            flushed: false,
            store,
            map: BTreeMap::new(),
            now,
            walk: None,
            held: Vec::new(),
            count: 0,
        }
    }

    /// What a key has in the map, if it has not ended.
    fn value(&self, key: &[u8]) -> Option<&Value> {
        self.map
            .get(key)
            .filter(|value| value.expires.is_none_or(|end| end > self.now))
    }

    fn commit(&self, key: &[u8], effect: Effect<'_>) -> bool {
        let key: Key<'_> = self.store.key(key);
        self.store
            .lock_to_write(self.store.shard_of(&key))
            .commit(&key, effect, self.now)
            .existed
    }

    fn run(&mut self, op: &Op) {
        self.count += 1;
        match *op {
            Op::Set {
                key: number,
                len,
                kind,
                ttl,
            } => {
                let (key, bytes) = (key(number), bytes(len, self.count));
                let expires = ttl.map(|ttl| self.now.plus(ttl));
                let existed = self.value(&key).is_some();
                let data = NewData::copy(&bytes);
                assert_eq!(
                    self.commit(
                        &key,
                        Effect::Set {
                            kind,
                            data,
                            expires
                        }
                    ),
                    existed
                );
                self.map.insert(
                    key,
                    Value {
                        kind,
                        bytes,
                        expires,
                    },
                );
            }
            Op::Delete { key: number } => {
                let key = key(number);
                assert_eq!(
                    self.commit(&key, Effect::Delete),
                    self.value(&key).is_some()
                );
                self.map.remove(&key);
            }
            Op::Expire { key: number, ttl } => {
                let key = key(number);
                let expires = ttl.map(|ttl| self.now.plus(ttl));
                let existed = self.value(&key).is_some();
                assert_eq!(self.commit(&key, Effect::Expire(expires)), existed);
                if existed && let Some(value) = self.map.get_mut(&key) {
                    value.expires = expires;
                }
            }
            Op::Patch {
                key: number,
                offset,
                len,
            } => self.patch(&key(number), offset, len),
            Op::Walk { steps } => self.go_on(steps),
            Op::Sample { random } => self.sample(random),
            Op::Hold { key: number } => self.hold(&key(number)),
            Op::Pass { millis } => self.now = self.now.plus(millis),
            Op::Tick { budget } => self.tick(budget),
            Op::Flush => {
                self.store.flush();
                self.map.clear();
                self.flushed = true;
            }
            // It would take the flush, which the gatherer is to know of.
            Op::Raise if !self.flushed => drop(self.store.journal().close()),
            Op::Raise => {}
            Op::Close => self.close(),
        }
        let Self { map, walk, now, .. } = self;
        map.retain(|_, value| value.expires.is_none_or(|end| end > *now));
        if let Some(walk) = walk {
            walk.throughout.retain(|key| map.contains_key(key));
        }
    }

    /// Where nothing is left to do, nothing is left that has ended, but for what ended a moment ago.
    fn tick(&self, budget: i32) {
        let next = self.store.tick(self.now, Budget::new(budget));
        if next == Some(self.now) {
            return;
        }
        assert!(next > Some(self.now) || next.is_none());
        let ends = (0..self.store.shards()).filter_map(|shard| self.store.lock(shard).first_end());
        if let Some(first) = ends.min() {
            assert!(
                self.now.since(first) < TICK,
                "{first} was forgotten until {}",
                self.now
            );
            assert!(
                next <= Some(first.plus(TICK)) && next.is_some(),
                "{first} will be forgotten"
            );
        }
    }

    /// Only strings are patched; commands see to that.
    fn patch(&mut self, key: &[u8], offset: usize, len: usize) {
        let old = self.value(key).cloned();
        if old.as_ref().is_some_and(|value| value.kind != Kind::String) {
            return;
        }
        let piece = bytes(len, self.count);
        assert_eq!(
            self.commit(
                key,
                Effect::Patch {
                    offset,
                    bytes: &piece
                }
            ),
            old.is_some()
        );
        let mut value = old.unwrap_or(Value {
            kind: Kind::String,
            bytes: Vec::new(),
            expires: None,
        });
        value.bytes.resize(value.bytes.len().max(offset + len), 0);
        value.bytes[offset..offset + len].copy_from_slice(&piece);
        self.map.insert(key.to_vec(), value);
    }

    fn go_on(&mut self, mut steps: usize) {
        let throughout = || self.map.keys().cloned().collect();
        let mut walk = self.walk.take().unwrap_or_else(|| Walk {
            throughout: throughout(),
            ..Walk::default()
        });
        while steps > 0 && walk.shard < self.store.shards() {
            let next =
                self.store
                    .lock(walk.shard)
                    .walk(walk.at, &mut steps, self.now, |_, key, item| {
                        let value = self.value(key).expect("a key that is walked is there");
                        assert_eq!(
                            (item.kind, item.expires, item.data.bytes()),
                            (value.kind, value.expires, &value.bytes[..])
                        );
                        walk.seen.insert(key.to_vec());
                        true
                    });
            match next {
                Some(next) => walk.at = next,
                None => (walk.shard, walk.at) = (walk.shard + 1, Position::default()),
            }
        }
        if walk.shard < self.store.shards() {
            self.walk = Some(walk);
        } else {
            assert!(
                walk.throughout.is_subset(&walk.seen),
                "a key that was there throughout was not met"
            );
        }
    }

    fn sample(&self, random: u64) {
        let shard = self.store.lock(random as usize % self.store.shards());
        match shard.sample(random, self.now) {
            Some((key, ended)) => assert_eq!(self.value(key).is_none(), ended),
            None => assert!(shard.is_empty(), "where keys are, one is drawn"),
        }
    }

    /// The log says the same as the map.
    fn close(&mut self) {
        let Some(replica) = &mut self.replica else {
            return;
        };
        replica.catch_up(&self.store, self.now);
        self.flushed = false;
        let found: Vec<_> = (0..60)
            .map(|number| replica.value(&key(number), self.now))
            .collect();
        for (number, found) in (0..60).zip(found) {
            assert_eq!(found.as_ref(), self.value(&key(number)));
        }
    }

    fn hold(&mut self, key: &[u8]) {
        let key = self.store.key(key);
        let mut shard = self.store.lock(self.store.shard_of(&key));
        if let Some(super::Data::Blob(blob)) = shard.get(&key, self.now).map(|item| item.data) {
            self.held.push((blob.clone(), blob.to_vec()));
        }
    }

    /// Compares everything.
    fn check(&self) {
        for shard in 0..self.store.shards() {
            self.store.lock(shard).validate();
        }
        for number in 0..60 {
            let key = key(number);
            assert_eq!(
                value(&self.store, &key, self.now).as_ref(),
                self.value(&key)
            );
        }
        for (blob, bytes) in &self.held {
            assert_eq!(
                &blob[..],
                bytes,
                "a value that is being sent does not change"
            );
        }
    }
}

proptest! {
    #[test]
    fn it_does_what_a_map_does(shards in 1..5usize, seed: u64, record: bool, ops in proptest::collection::vec(operation(), 1..300)) {
        let mut pair = Pair::new(shards, seed, record);
        for (count, op) in ops.iter().enumerate() {
            pair.run(op);
            if count % 16 == 0 {
                pair.check();
            }
        }
        pair.check();
        // What has ended goes by itself, and is all that goes.
        pair.now = pair.now.plus(10_000);
        while let Some(next) = pair.store.tick(pair.now, Budget::new(20)).filter(|next| next.since(pair.now) < 1_000) {
            pair.now = next;
        }
        pair.run(&Op::Pass { millis: 0 });
        prop_assert_eq!(pair.store.len(), pair.map.len() as u64);
        pair.check();
        pair.close();
    }
}

/// A random operation on a store that is bounded.
#[derive(Clone, Debug)]
enum Bounded {
    Set {
        key: u16,
        len: usize,
        ttl: Option<u64>,
    },
    Get {
        key: u16,
    },
    Delete {
        key: u16,
    },
    Pass {
        millis: u64,
    },
    Evict {
        policy: Eviction,
        bytes: usize,
        most: usize,
    },
    /// Closes the epoch; what belongs to it is gathered later.
    Raise,
    /// Closes the epoch.
    Close,
}

fn bounded() -> impl Strategy<Value = Bounded> {
    let key = || 0..400u16;
    let len = prop_oneof![8 => 0..60usize, 1 => 1_000..3_000usize];
    let ttl = prop_oneof![3 => Just(None), 1 => (1..2_000u64).prop_map(Some)];
    let policy = proptest::sample::select(&Eviction::ALL[..]);
    prop_oneof![
        20 => (key(), len, ttl).prop_map(|(key, len, ttl)| Bounded::Set { key, len, ttl }),
        20 => key().prop_map(|key| Bounded::Get { key }),
        2 => key().prop_map(|key| Bounded::Delete { key }),
        1 => (1..900u64).prop_map(|millis| Bounded::Pass { millis }),
        1 => (policy, 0..5_000usize, 0..30usize)
            .prop_map(|(policy, bytes, most)| Bounded::Evict { policy, bytes, most }),
        1 => Just(Bounded::Raise),
        1 => Just(Bounded::Close),
    ]
}

proptest! {
    /// Whatever goes, what is found is what was put in last; no more are there than may be; and each that is missing was
    /// deleted, has ended, or was counted as evicted.
    #[test]
    fn what_is_evicted_is_gone_and_nothing_else(
        entries in 1..200usize,
        policy in proptest::sample::select(&Eviction::ALL[..4]),
        seed: u64,
        ops in proptest::collection::vec(bounded(), 1..800),
    ) {
        let store = Store::new(&Options { shards: 1, seed, max_entries: entries, eviction: policy, ..Options::default() });
        let mut map: BTreeMap<u16, (Vec<u8>, Option<Millis>)> = BTreeMap::new();
        let mut now = Millis(1 << 40);
        let mut freed = Vec::new();
        let mut replica = Replica::of(&store);
        let commit = |number: u16, effect: Effect<'_>, now| {
            drop(store.lock_to_write(0).commit(&store.key(&number.to_le_bytes()), effect, now));
        };
        for (count, op) in ops.iter().enumerate() {
            match *op {
                Bounded::Set { key, len, ttl } => {
                    let (bytes, expires) = (bytes(len, count), ttl.map(|ttl| now.plus(ttl)));
                    let data = NewData::copy(&bytes);
                    commit(key, Effect::Set { kind: Kind::String, data, expires }, now);
                    map.insert(key, (bytes, expires));
                }
                Bounded::Get { key } => {
                    let mut shard = store.lock(0);
                    if let Some(item) = shard.get(&store.key(&key.to_le_bytes()), now) {
                        let (bytes, expires) = map.get(&key).expect("what is found was put in");
                        prop_assert_eq!((item.data.bytes(), item.expires), (&bytes[..], *expires));
                    }
                }
                Bounded::Delete { key } => {
                    commit(key, Effect::Delete, now);
                    map.remove(&key);
                }
                Bounded::Pass { millis } => now = now.plus(millis),
                Bounded::Raise => drop(store.journal().close()),
                Bounded::Close => replica.catch_up(&store, now),
                Bounded::Evict { policy, bytes, most } => {
                    let mut shard = store.lock_to_write(0);
                    let before = shard.len();
                    let gone = shard.evict(policy, bytes, most, now, &mut freed);
                    prop_assert_eq!(before - shard.len(), gone);
                    prop_assert!(gone <= most && (policy != Eviction::None || gone == 0));
                }
            }
            prop_assert!(store.len() <= entries as u64);
            if count % 16 == 0 {
                store.lock(0).validate();
            }
        }
        store.lock(0).validate();
        let alive = |key: &u16| store.lock(0).peek(&store.key(&key.to_le_bytes()), now).is_some();
        let lost = map.iter().filter(|(key, (_, expires))| expires.is_none_or(|end| end > now) && !alive(key));
        // One that was evicted and put in again counts twice, so this is a bound.
        prop_assert!(lost.count() as u64 <= store.census().evicted);
        // The log says the same of every key.
        replica.catch_up(&store, now);
        for key in 0..400u16 {
            let key = key.to_le_bytes();
            prop_assert_eq!(replica.value(&key, now), value(&store, &key, now));
        }
    }

    /// A walk in slices meets every key that is there throughout, while others come and go and all of them move.
    #[test]
    fn a_walk_meets_what_eviction_moves(seed: u64, steps in 1..40usize, reads in 0..4usize) {
        let store = Store::new(&Options { shards: 1, seed, max_entries: 300, ..Options::default() });
        let put = |number: u32| {
            let data = NewData::Bytes(b"value");
            let effect = Effect::Set { kind: Kind::String, data, expires: None };
            drop(store.lock(0).commit(&store.key(&number.to_le_bytes()), effect, Millis(0)));
        };
        (0..300).for_each(put);
        let there = |number: &u32| store.lock(0).peek(&store.key(&number.to_le_bytes()), Millis(0)).is_some();
        let mut throughout: BTreeSet<u32> = (0..300).filter(there).collect();
        let mut seen = BTreeSet::new();
        let (mut at, mut fresh) = (Position::default(), 1_000);
        loop {
            let mut left = steps;
            let next = store.lock(0).walk(at, &mut left, Millis(0), |_, key, _| {
                seen.insert(u32::from_le_bytes(key.try_into().expect("four bytes")));
                true
            });
            match next {
                Some(next) => at = next,
                None => break,
            }
            for number in fresh..fresh + 5 {
                put(number);
                for _ in 0..reads {
                    let wanted = (number * 7) % 300;
                    let _ = store.lock(0).get(&store.key(&wanted.to_le_bytes()), Millis(0));
                }
            }
            fresh += 5;
            throughout.retain(there);
            prop_assume!(fresh < 100_000);
        }
        prop_assert!(throughout.is_subset(&seen));
    }
}

/// Memory that is not used stays a part of what is, whatever sizes come and go. The random numbers are a counter's
/// hashes, the same in each run.
fn churn(len: impl Fn(u64) -> (usize, usize), keys: u64, changes: u64) {
    let store = store(1, 7);
    let (mut key, zeros) = (Vec::new(), [0; 1_000]);
    for change in 0..changes {
        let random = store.random();
        let (key_len, value_len) = len(random >> 32);
        key.clear();
        key.extend_from_slice(&(random % keys).to_le_bytes());
        key.resize(8 + key_len, 1);
        let key = store.key(&key);
        let data = NewData::Bytes(&zeros[..value_len]);
        let effect = if random >> 20 & 7 == 0 {
            Effect::Delete
        } else {
            Effect::Set {
                kind: Kind::String,
                data,
                expires: None,
            }
        };
        let mut shard = store.lock(0);
        drop(shard.commit(&key, effect, Millis(0)));
        let (live, total) = shard.occupancy();
        assert!(
            total <= live * 2 + (96 << 10),
            "change {change}: {live} bytes live of {total}"
        );
    }
    store.lock(0).validate();
}

#[test]
fn memory_follows_what_is_stored_when_sizes_change() {
    churn(|random| (0, random as usize % 1_000), 2_000, 60_000);
}

#[test]
fn memory_follows_what_is_stored_with_long_keys() {
    churn(
        |random| {
            (
                if random % 2 == 0 { 5_000 } else { 0 },
                random as usize % 300,
            )
        },
        300,
        20_000,
    );
}

#[test]
fn memory_comes_back_when_one_large_key_comes_and_goes() {
    churn(|_| (60_000, 0), 1, 2_000);
}

#[test]
fn tables_split_and_come_back() {
    let store = store(1, 3);
    let key = |number: u32| number.to_le_bytes();
    let data = NewData::Bytes(b"v");
    for number in 0..40_000 {
        let effect = Effect::Set {
            kind: Kind::String,
            data: data.clone(),
            expires: None,
        };
        drop(
            store
                .lock(0)
                .commit(&store.key(&key(number)), effect, Millis(0)),
        );
    }
    store.lock(0).validate();
    for number in 0..39_990 {
        drop(
            store
                .lock(0)
                .commit(&store.key(&key(number)), Effect::Delete, Millis(0)),
        );
    }
    let shard = store.lock(0);
    shard.validate();
    assert_eq!(shard.len(), 10);
    let (live, total) = shard.occupancy();
    assert!(live < 1_000 && total < 64 << 10, "{live} of {total}");
}

/// A store of one shard, and one key of it.
fn set(store: &Store, key: &[u8], ttl: Option<u64>, now: Millis) {
    let key = store.key(key);
    let effect = Effect::Set {
        kind: Kind::String,
        data: NewData::Bytes(b"v"),
        expires: ttl.map(|ttl| now.plus(ttl)),
    };
    drop(store.lock(0).commit(&key, effect, now));
}

/// Ticks until nothing is left to do at `now`.
fn settle(store: &Store, now: Millis) -> Option<Millis> {
    loop {
        let next = store.tick(now, Budget::TURN);
        if next.is_none_or(|next| next > now) {
            return next;
        }
    }
}

#[test]
fn lives_made_shorter_and_longer_leave_little_behind() {
    let (store, mut now) = (store(1, 5), Millis(1 << 41));
    for change in 0..200_000u64 {
        let key = (change / 2 % 500).to_le_bytes();
        let ttl = if change % 2 == 0 {
            1_000_000
        } else {
            10_000 + change
        };
        set(&store, &key, Some(ttl), now);
        now = now.plus(change % 2);
    }
    let shard = store.lock(0);
    shard.validate();
    assert!(
        shard.timers.memory() < 20_000,
        "{} bytes",
        shard.timers.memory()
    );
    drop(shard);
    now = now.plus(1_000_000 + TICK);
    assert_eq!(settle(&store, now), None);
    assert_eq!((store.len(), store.lags().total()), (0, 500));
}

#[test]
fn a_session_that_is_renewed_has_one_item() {
    let (store, mut now) = (store(1, 5), Millis(1 << 41));
    for _ in 0..10_000 {
        set(&store, b"session", Some(30_000), now);
        now = now.plus(100);
        settle(&store, now);
        store.lock(0).validate();
    }
    assert!(store.lock(0).timers.memory() < 500);
    assert_eq!(store.len(), 1);
    let now = now.plus(30_000 - 100 + TICK);
    assert_eq!(settle(&store, now), None);
    assert!(store.is_empty());
}

#[test]
fn what_is_deleted_long_before_its_end_leaves_no_items() {
    let (store, now) = (store(1, 5), Millis(1 << 41));
    for number in 0..50_000u32 {
        set(&store, &number.to_le_bytes(), Some(86_400_000), now);
    }
    let full = store.lock(0).timers.memory();
    assert!(full > 200_000);
    for number in 100..50_000u32 {
        let key = number.to_le_bytes();
        drop(store.lock(0).commit(&store.key(&key), Effect::Delete, now));
    }
    let next = settle(&store, now);
    assert!(next > Some(now));
    store.lock(0).validate();
    assert!(store.lock(0).timers.memory() < 10_000);
}

#[test]
fn a_store_without_ends_has_nothing_to_do() {
    let (store, now) = (store(16, 5), Millis(1 << 41));
    assert_eq!(store.tick(now, Budget::TURN), None);
    set(&store, b"a", None, now);
    assert_eq!(store.tick(now, Budget::TURN), None);
    set(&store, b"a", Some(1), now);
    assert!(store.tick(now, Budget::TURN).is_some());
    let now = now.plus(1 + TICK);
    assert_eq!(settle(&store, now), None);
    assert!(store.is_empty());
    store.flush();
    assert_eq!(settle(&store, now), None);
}

#[test]
fn an_entry_that_moves_keeps_its_end() {
    let (store, now) = (store(1, 5), Millis(1 << 41));
    for number in 0..5_000u32 {
        set(&store, &number.to_le_bytes(), Some(5_000), now);
    }
    // Most go, and cleaning moves the rest.
    for number in 0..5_000u32 {
        if number % 10 > 0 {
            let key = number.to_le_bytes();
            drop(store.lock(0).commit(&store.key(&key), Effect::Delete, now));
        }
    }
    store.lock(0).validate();
    settle(&store, now.plus(4_999));
    assert_eq!(store.len(), 500);
    assert_eq!(settle(&store, now.plus(5_000 + TICK)), None);
    assert_eq!(store.len(), 0);
    let lags = store.lags();
    assert!(lags.total() == 500 && lags.max() <= TICK);
}

#[test]
fn when_the_last_entry_has_ended_no_extent_is_left() {
    let (store, now) = (store(1, 5), Millis(1 << 41));
    for number in 0..5_000u32 {
        set(&store, &number.to_le_bytes(), Some(5_000), now);
    }
    assert_eq!(settle(&store, now.plus(5_000 + TICK)), None);
    let shard = store.lock(0);
    shard.validate();
    assert_eq!((shard.len(), shard.log.occupancy()), (0, (0, 0)));
}
