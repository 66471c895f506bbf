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
