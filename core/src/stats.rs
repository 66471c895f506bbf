//! Counters: declared once, one set a worker, so that no shared cache line is written on the hot path.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A number that one thread writes and any thread reads.
///
/// The writer uses a plain load and store instead of an atomic addition: an addition that nobody else performs needs
/// no lock on the bus.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`. Only the owner of the set may call this.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// The present value.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// One worker's counters. Made by [`Service::counters`](crate::Service::counters), which keeps it in its sum.
        // Two workers' sets share no cache line, nor a pair of lines that the processor fetches together.
        #[repr(align(128))]
        #[derive(Debug, Default)]
        pub struct Counters { $($(#[$doc])* pub $name: Counter),+ }

        /// A sum of [`Counters`].
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Totals { $($(#[$doc])* pub $name: u64),+ }

        impl Totals {
            /// Adds one worker's counters.
            pub fn add(&mut self, counters: &Counters) {
                $(self.$name = self.$name.wrapping_add(counters.$name.value());)+
            }

            /// What was counted since `earlier`, an older sum of the same counters.
            #[must_use]
            pub fn since(&self, earlier: &Self) -> Self {
                Self { $($name: self.$name.wrapping_sub(earlier.$name)),+ }
            }
        }
    };
}

counters! {
    /// Requests answered by a command or refused before one ran: unknown names and wrong numbers of words count too.
    commands,
    /// Reads that found their key.
    hits,
    /// Reads that did not.
    misses,
    /// Requests answered with an error.
    errors,
    /// Requests that were no valid protocol.
    protocol_errors,
    /// Bytes received.
    bytes_in,
    /// Bytes sent.
    bytes_out,
    /// Connections closed because the client took no reply for too long.
    closed_stalled,
    /// Connections closed because they were idle for too long.
    closed_idle,
    /// Connections closed because they did not authenticate in time.
    closed_unauthenticated,
    /// Connections closed by a panic while serving them.
    closed_panicked,
    /// Connections closed at once because the system had no thread for them.
    closed_threadless,
    /// Times that accepting was suspended because descriptors or memory were exhausted.
    accept_exhausted,
}
