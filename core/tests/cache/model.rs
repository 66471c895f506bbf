//! Random calls, each answer compared with that of a naive map.

use std::collections::BTreeMap;
use std::time::Duration;

use ant_cache_core::Cache;
use ant_cache_core::cache::{Insert, Ttl};
use proptest::prelude::*;

use super::Hand;

#[derive(Clone, Copy, Debug)]
enum Condition {
    None,
    Absent,
    Present,
}

/// A random call. Keys are named by a number.
#[derive(Clone, Debug)]
enum Op {
    Insert {
        key: u8,
        len: usize,
        ttl: Option<u64>,
        condition: Condition,
        owned: bool,
    },
    Load {
        key: u8,
        len: Option<usize>,
        ttl: Option<u64>,
    },
    Get(u8),
    GetInto(u8),
    Contains(u8),
    Ttl(u8),
    Expire(u8, Option<u64>),
    Remove(u8),
    Clear,
    Iterate,
    Tick,
    Pass(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let key = || 0..8u8;
    let ttl = || proptest::option::of(0..200u64);
    // Around the bounds between the ways in which a value is kept.
    let len = || prop_oneof![0..70usize, 250..260usize, 1020..1030usize];
    let condition = prop_oneof![
        Just(Condition::None),
        Just(Condition::Absent),
        Just(Condition::Present)
    ];
    prop_oneof![
        4 => (key(), len(), ttl(), condition, any::<bool>()).prop_map(
            |(key, len, ttl, condition, owned)| Op::Insert { key, len, ttl, condition, owned }
        ),
        2 => (key(), proptest::option::weighted(0.8, len()), ttl())
            .prop_map(|(key, len, ttl)| Op::Load { key, len, ttl }),
        2 => key().prop_map(Op::Get),
        1 => key().prop_map(Op::GetInto),
        1 => key().prop_map(Op::Contains),
        1 => key().prop_map(Op::Ttl),
        1 => (key(), ttl()).prop_map(|(key, ttl)| Op::Expire(key, ttl)),
        1 => key().prop_map(Op::Remove),
        1 => Just(Op::Clear),
        1 => Just(Op::Iterate),
        1 => Just(Op::Tick),
        3 => (0..50u64).prop_map(Op::Pass),
    ]
}

/// What the cache should be: values and the moments at which they end.
#[derive(Default)]
struct Model {
    now: u64,
    entries: BTreeMap<Vec<u8>, (Vec<u8>, Option<u64>)>,
    written: u8,
    hits: u64,
    misses: u64,
    loads: u64,
}

impl Model {
    fn get(&self, key: &[u8]) -> Option<&Vec<u8>> {
        let (value, end) = self.entries.get(key)?;
        end.is_none_or(|end| self.now < end).then_some(value)
    }

    fn count(&mut self, key: &[u8]) -> Option<Vec<u8>> {
        let found = self.get(key).cloned();
        self.hits += u64::from(found.is_some());
        self.misses += u64::from(found.is_none());
        found
    }

    /// A value unlike those before.
    fn value(&mut self, len: usize) -> Vec<u8> {
        self.written = self.written.wrapping_add(1);
        vec![self.written; len]
    }

    fn put(&mut self, key: &[u8], value: &[u8], ttl: Option<u64>) {
        let end = ttl.map(|ttl| self.now + ttl);
        self.entries.insert(key.to_vec(), (value.to_vec(), end));
    }

    fn apply(&mut self, cache: &Cache, clock: &Hand, op: &Op) {
        match *op {
            Op::Insert {
                key,
                len,
                ttl,
                condition,
                owned,
            } => {
                let (key, value) = (name(key), self.value(len));
                let exists = self.get(&key).is_some();
                let (how, met) = match condition {
                    Condition::None => (how(ttl), true),
                    Condition::Absent => (how(ttl).only_if_absent(), !exists),
                    Condition::Present => (how(ttl).only_if_present(), exists),
                };
                let put = if owned {
                    cache.insert_with(&key, value.clone(), &how)
                } else {
                    cache.insert_with(&key, &value, &how)
                };
                assert_eq!(put, Ok(met));
                if met {
                    self.put(&key, &value, ttl);
                }
            }
            Op::Load { key, len, ttl } => self.load(cache, &name(key), len, ttl),
            Op::Get(key) => {
                let key = name(key);
                assert_eq!(cache.get(&key).map(Vec::from), self.count(&key));
            }
            Op::GetInto(key) => {
                let (key, mut buffer) = (name(key), vec![1, 2]);
                let found = cache
                    .get_into(&key, &mut buffer)
                    .then(|| buffer[2..].to_vec());
                assert_eq!(found, self.count(&key));
                assert_eq!(buffer.len(), 2 + found.map_or(0, |value| value.len()));
            }
            Op::Contains(key) => {
                let key = name(key);
                assert_eq!(cache.contains(&key), self.get(&key).is_some());
            }
            Op::Ttl(key) => {
                let key = name(key);
                let expected = self.get(&key).map(|_| match self.entries[&key].1 {
                    None => Ttl::Unlimited,
                    Some(end) => Ttl::Left(Duration::from_millis(end - self.now)),
                });
                assert_eq!(cache.ttl(&key), expected);
            }
            Op::Expire(key, ttl) => {
                let key = name(key);
                let found = self.get(&key).cloned();
                let expired = cache.expire(&key, ttl.map(Duration::from_millis));
                assert_eq!(expired, found.is_some());
                if let Some(value) = found {
                    self.put(&key, &value, ttl);
                }
            }
            Op::Remove(key) => {
                let key = name(key);
                assert_eq!(cache.remove(&key), self.get(&key).is_some());
                self.entries.remove(&key);
            }
            Op::Clear => {
                cache.clear();
                self.entries.clear();
                assert!(cache.is_empty());
            }
            Op::Iterate => self.check(cache),
            Op::Tick => {
                cache.tick();
            }
            Op::Pass(millis) => {
                clock.pass(millis);
                self.now += millis;
            }
        }
    }

    fn load(&mut self, cache: &Cache, key: &[u8], len: Option<usize>, ttl: Option<u64>) {
        let found = self.count(key);
        let loaded = len.map(|len| self.value(len)).ok_or("failed");
        let result = cache
            .get_or_try_insert_with(key, &how(ttl), || loaded.clone())
            .map(Vec::from);
        if let Some(found) = found {
            assert_eq!(result, Ok(found));
            return;
        }
        self.loads += 1;
        if let Ok(value) = &loaded {
            self.put(key, value, ttl);
        }
        assert_eq!(result, loaded);
    }

    /// Everything there is.
    fn check(&self, cache: &Cache) {
        let mut all: Vec<(Vec<u8>, Vec<u8>)> = cache
            .iter()
            .map(|(key, value)| (key.into(), value.into()))
            .collect();
        all.sort();
        let live = self
            .entries
            .iter()
            .filter(|(key, _)| self.get(key).is_some());
        let expected: Vec<_> = live
            .map(|(key, (value, _))| (key.clone(), value.clone()))
            .collect();
        assert_eq!(all, expected);
        let stats = cache.stats();
        assert_eq!(
            (stats.hits, stats.misses, stats.loads),
            (self.hits, self.misses, self.loads)
        );
        let (live, known) = (expected.len() as u64, self.entries.len() as u64);
        assert!((live..=known).contains(&stats.entries));
        assert_eq!(stats.entries, cache.len());
    }
}

fn name(number: u8) -> Vec<u8> {
    let len = if number == 0 { 0 } else { 1 << (number * 2) };
    vec![b'a' + number; len]
}

fn how(ttl: Option<u64>) -> Insert {
    ttl.map_or(Insert::new(), super::ttl)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_answer_is_that_of_a_map(
        shards in 1..5usize,
        ops in proptest::collection::vec(op(), 0..300),
    ) {
        let clock = Hand::default();
        let cache = clock.cache(shards);
        let mut model = Model::default();
        for op in &ops {
            model.apply(&cache, &clock, op);
        }
        model.check(&cache);
    }
}
