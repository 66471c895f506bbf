//! The store against a map: random operations, everything compared, every structure checked.

mod bounded;
mod upkeep;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::wheel::TICK;
use super::{Effect, Key, Kind, NewData, Options, Position, Store};
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
