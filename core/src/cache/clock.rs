//! What tells a cache the time.

use crate::Millis;

/// A source of the present moment. Every `Fn() -> Millis` that threads may share is one.
///
/// The cache asks it outside of all locks, and only where an answer depends on it: at each insert, and at reads of
/// entries that have a time to live. It counts from any origin, but must never go back, or what has ended may come
/// back to life.
pub trait Clock: Send + Sync {
    /// The present moment.
    fn now(&self) -> Millis;
}

impl<F: Fn() -> Millis + Send + Sync> Clock for F {
    fn now(&self) -> Millis {
        self()
    }
}

#[cfg(feature = "std")]
pub use system::SystemClock;

#[cfg(feature = "std")]
mod system {
    extern crate std;

    use std::time::{Instant, SystemTime};

    use super::Clock;
    use crate::Millis;

    /// The system's monotonic clock, counted on from the wall clock's time when it was made. It does not follow later
    /// corrections of the wall clock: a time to live is a duration.
    #[derive(Clone, Copy, Debug)]
    pub struct SystemClock {
        origin: Instant,
        start: Millis,
    }

    impl SystemClock {
        /// A clock that goes on from the present time of the wall clock; from 0 where that is before 1970.
        #[must_use]
        pub fn new() -> Self {
            let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
            Self {
                origin: Instant::now(),
                start: Millis(0).plus_duration(since),
            }
        }
    }

    impl Default for SystemClock {
        fn default() -> Self {
            Self::new()
        }
    }

    impl Clock for SystemClock {
        fn now(&self) -> Millis {
            let elapsed = self.origin.elapsed();
            let millis = elapsed.as_secs() * 1000 + u64::from(elapsed.subsec_millis());
            self.start.plus(millis)
        }
    }
}
