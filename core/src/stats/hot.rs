//! The keys that are asked for most.
//!
//! Space-Saving (Metwally, Agrawal, El Abbadi 2005): a fixed number of counters, each with a key. A key that has one
//! adds to it; one that has none takes over the least counter, and goes on from its count. So a key that makes up more
//! than one in [`PLACES`] of what is noted is always among them, and no count is too high by more than the least.
//! Every [`WINDOW`] notes all counts are halved: what was hot an hour ago gives way to what is hot now.

use alloc::boxed::Box;
use alloc::vec::Vec;

/// Counters. A look at all of them is a kilobyte of hashes.
const PLACES: usize = 128;

/// Notes between two halvings.
const WINDOW: u64 = 1 << 16;

/// Longer keys are not noted: a copy of each is kept.
const MAX_KEY: usize = 1024;

/// A key that is asked for often.
#[derive(Clone, Debug, PartialEq)]
pub struct HotKey {
    /// The key.
    pub key: Box<[u8]>,
    /// Its part of all requests that have a key, from 0 to 1; too high by `error` at most, apart from chance.
    pub share: f64,
    /// See `share`.
    pub error: f64,
}

/// Counts of what is asked for most.
#[derive(Debug, Default)]
pub(crate) struct HotKeys {
    hashes: Vec<u64>,
    places: Vec<Place>,
    /// The sum of all notes, halved with them.
    noted: u64,
    since_halving: u64,
}

#[derive(Debug)]
struct Place {
    key: Box<[u8]>,
    count: u64,
    /// What it took over.
    error: u64,
}

impl HotKeys {
    /// Notes that a key was asked for. Returns what was dropped for it, to be freed without a lock.
    pub(crate) fn note(&mut self, key: &[u8], hash: u64) -> Option<Box<[u8]>> {
        self.noted += 1;
        self.since_halving += 1;
        if self.since_halving == WINDOW {
            self.halve();
        }
        if key.len() > MAX_KEY {
            return None;
        }
        if let Some(at) = self.hashes.iter().position(|&other| other == hash) {
            self.places[at].count += 1;
            return None;
        }
        let (key, count) = (Box::from(key), 1);
        if self.places.len() < PLACES {
            self.hashes.push(hash);
            self.places.push(Place {
                key,
                count,
                error: 0,
            });
            return None;
        }
        let least = (0..PLACES).min_by_key(|&at| self.places[at].count)?;
        self.hashes[least] = hash;
        let place = &mut self.places[least];
        place.error = place.count;
        place.count += count;
        Some(core::mem::replace(&mut place.key, key))
    }

    fn halve(&mut self) {
        self.since_halving = 0;
        self.noted /= 2;
        for place in &mut self.places {
            place.count /= 2;
            place.error /= 2;
        }
    }

    /// The hottest keys, at most `n`, hottest first. Those that may owe all of their count to others are left out.
    pub(crate) fn hottest(&self, n: usize) -> Vec<HotKey> {
        let mut places: Vec<_> = self
            .places
            .iter()
            .filter(|place| place.count > place.error)
            .collect();
        places.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.key.cmp(&b.key)));
        let part = |count: u64| count as f64 / self.noted as f64;
        let hot = |place: &Place| HotKey {
            key: place.key.clone(),
            share: part(place.count),
            error: part(place.error),
        };
        places.into_iter().take(n).map(hot).collect()
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use proptest::prelude::*;

    use super::*;

    fn note(hot: &mut HotKeys, number: u64) {
        hot.note(
            format!("key:{number}").as_bytes(),
            number.wrapping_mul(0x9e37_79b9_7f4a_7c15),
        );
    }

    #[test]
    fn hot_keys_rise_above_a_stream_of_others() {
        let mut hot = HotKeys::default();
        for round in 0..20_000 {
            note(&mut hot, 1);
            if round % 2 == 0 {
                note(&mut hot, 2);
            }
            note(&mut hot, 1000 + round);
        }
        let found = hot.hottest(2);
        let keys: Vec<_> = found.iter().map(|hot| &hot.key[..]).collect();
        assert_eq!(keys, [b"key:1", b"key:2"]);
        assert!((0.38..0.42).contains(&found[0].share), "{found:?}");
        assert!((0.18..0.22).contains(&found[1].share), "{found:?}");
    }

    #[test]
    fn what_was_hot_gives_way_to_what_is() {
        let mut hot = HotKeys::default();
        (0..WINDOW).for_each(|_| note(&mut hot, 1));
        (0..3 * WINDOW).for_each(|_| note(&mut hot, 2));
        assert_eq!(&*hot.hottest(1)[0].key, b"key:2");
        assert!(hot.hottest(1)[0].share > 0.8);
    }

    #[test]
    fn a_key_too_long_is_not_kept() {
        let mut hot = HotKeys::default();
        hot.note(&[b'x'; MAX_KEY + 1], 7);
        assert_eq!(hot.hottest(10), []);
    }

    proptest! {
        #[test]
        fn counts_are_right_within_their_errors(keys in prop::collection::vec(0..300_u64, 1..3000)) {
            let mut hot = HotKeys::default();
            let mut exact = alloc::collections::BTreeMap::<_, u64>::new();
            for &key in &keys {
                note(&mut hot, key);
                *exact.entry(format!("key:{key}").into_bytes()).or_default() += 1;
            }
            for place in &hot.places {
                let exact = exact[&*place.key];
                prop_assert!(place.count >= exact && place.count - place.error <= exact);
            }
            for (key, count) in exact {
                let kept = hot.places.iter().any(|place| *place.key == *key);
                prop_assert!(kept || count <= keys.len() as u64 / PLACES as u64);
            }
        }
    }
}
