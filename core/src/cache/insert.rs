//! How an entry is put in.

use core::fmt;
use core::time::Duration;

use crate::limits::MAX_KEY;

/// How [`Cache::insert_with`](super::Cache::insert_with) puts an entry in. The default: for ever, in any case.
///
/// ```
/// use ant_cache_core::cache::Insert;
/// use core::time::Duration;
///
/// let lease = Insert::new().ttl(Duration::from_secs(30)).only_if_absent();
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Insert {
    pub(super) ttl: Option<Duration>,
    pub(super) condition: Condition,
}

/// What must hold of the key for an entry to be put in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Condition {
    #[default]
    None,
    Absent,
    Present,
}

impl Insert {
    /// The entry stays until it is replaced, removed or evicted, and is put in whether there is one already or not.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            ttl: None,
            condition: Condition::None,
        }
    }

    /// The entry ends after `ttl`, rounded up to a millisecond. After [`Duration::ZERO`] it ends at once.
    #[must_use]
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Nothing is put in where the key has an entry. Of several threads that do this at once, one succeeds.
    #[must_use]
    pub const fn only_if_absent(mut self) -> Self {
        self.condition = Condition::Absent;
        self
    }

    /// Nothing is put in where the key has no entry.
    #[must_use]
    pub const fn only_if_present(mut self) -> Self {
        self.condition = Condition::Present;
        self
    }
}

/// Why an entry was not put in. What the key had before, it has still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InsertError {
    /// The key has more than [`MAX_KEY`] bytes.
    KeyTooLong,
    /// The entry alone is larger than all the memory that the cache may have. Nothing was evicted for it.
    TooLarge,
    /// The cache is full, and nothing is left that may go: because of [`Eviction::None`](crate::Eviction::None), or
    /// because the memory of an empty cache is too near to the bound.
    Full,
}

impl fmt::Display for InsertError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyTooLong => write!(f, "the key has more than {MAX_KEY} bytes"),
            Self::TooLarge => f.write_str("the entry is larger than the cache may be"),
            Self::Full => f.write_str("the cache is full"),
        }
    }
}

impl core::error::Error for InsertError {}
