//! A store with a bound: what goes, and what may not.

use super::*;
use crate::eviction::Eviction;

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
