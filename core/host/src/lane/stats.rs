//! Numbers of a worker pool.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// Numbers of a worker pool, written by the pool and read by anyone.
        #[derive(Debug, Default)]
        pub struct PoolStats { $($(#[$doc])* pub $name: Number),+ }

        /// What [`PoolStats`] said at one moment.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct PoolNumbers { $($(#[$doc])* pub $name: u64),+ }

        impl PoolStats {
            /// All numbers.
            #[must_use]
            pub fn read(&self) -> PoolNumbers {
                PoolNumbers { $($name: self.$name.value()),+ }
            }
        }
    };
}

/// One number of [`PoolStats`].
#[derive(Debug, Default)]
pub struct Number(AtomicU64);

impl Number {
    /// The present value.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// Sets it.
    pub fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    /// Adds to it.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }
}

numbers! {
    /// Worker threads, leading, spare or finishing a turn after they were deposed.
    workers,
    /// Workers in a turn.
    busy,
    /// Workers parked as spares.
    parked,
    /// Ready connections that were not yet served, when last looked at.
    queue,
    /// Mean time of a turn in the last second of activity, in microseconds.
    task_time,
    /// Workers added since the start.
    grown,
    /// Workers dismissed since the start.
    shrunk,
    /// Lanes taken over from a leader that was stuck in one turn.
    taken_over,
    /// Connections moved from a busy lane to an idle one.
    moved,
}
