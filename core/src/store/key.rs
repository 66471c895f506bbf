//! Keys and their hash.

use core::hash::Hasher;

use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;

/// A key and its hash, computed once for everything a request does with it.
#[derive(Clone, Copy, Debug)]
pub struct Key<'k> {
    bytes: &'k [u8],
    hash: u64,
}

impl<'k> Key<'k> {
    pub(super) const fn new(bytes: &'k [u8], hash: u64) -> Self {
        Self { bytes, hash }
    }

    /// The key itself.
    #[must_use]
    pub const fn bytes(&self) -> &'k [u8] {
        self.bytes
    }

    /// Its hash under the store's seed.
    #[must_use]
    pub const fn hash(&self) -> u64 {
        self.hash
    }
}

/// The hash of keys: foldhash under a seed that only this store knows. Its shared constants are derived from the seed
/// too: with public ones, keys that collide under every per-hash seed could be crafted.
#[derive(Debug)]
pub struct KeyHasher {
    shared: SharedSeed,
    seed: u64,
}

impl KeyHasher {
    /// A hash that `seed` determines.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self {
            shared: SharedSeed::from_u64(seed ^ 0x9e37_79b9_7f4a_7c15),
            seed,
        }
    }

    /// The hash of `bytes`.
    #[inline]
    #[must_use]
    pub fn hash(&self, bytes: &[u8]) -> u64 {
        let mut hasher = FoldHasher::with_seed(self.seed, &self.shared);
        hasher.write(bytes);
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use alloc::string::String;

    /// 131,072 keys that collide under every hash of the form h · 31 + byte, or h · 33 + byte with other pairs: "Aa"
    /// and "BB" have the same value there, so any two words made of them have.
    fn colliding() -> impl Iterator<Item = String> {
        (0..1u32 << 17).map(|bits| {
            (0..17)
                .map(|bit| if bits >> bit & 1 == 0 { "Aa" } else { "BB" })
                .collect()
        })
    }

    #[test]
    fn keys_that_collide_under_a_known_hash_do_not_collide_here() {
        let weak = |key: &str| {
            key.bytes().fold(0u32, |hash, byte| {
                hash.wrapping_mul(31).wrapping_add(u32::from(byte))
            })
        };
        let first = weak(&colliding().next().expect("a key"));
        assert!(colliding().all(|key| weak(&key) == first));
        for seed in [0, 1, u64::MAX] {
            let hasher = KeyHasher::new(seed);
            let hashes: BTreeSet<u64> =
                colliding().map(|key| hasher.hash(key.as_bytes())).collect();
            assert_eq!(hashes.len(), 1 << 17);
            // What chooses the shard, the bucket and the tag is spread as chance would spread it: 128 to a place.
            for shift in [32, 0, 54] {
                let mut places = [0u32; 1024];
                for hash in &hashes {
                    places[(hash >> shift) as usize & 1023] += 1;
                }
                assert!(places.iter().all(|&count| (60..200).contains(&count)));
            }
        }
    }
}
