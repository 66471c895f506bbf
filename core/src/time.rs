//! Time as the engine sees it: a number of milliseconds that the caller passes in.

use core::fmt;
use core::time::Duration;

/// Milliseconds since the Unix epoch.
///
/// The engine never reads a clock: every entry point that depends on time takes the present moment as a parameter.
/// The present never goes back between two calls on the same [`Service`](crate::Service); the host's clock sees to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub u64);

impl Millis {
    /// The moment `ms` milliseconds later; the last representable one where that would overflow.
    #[must_use]
    pub const fn plus(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// The moment that is `duration` later, rounded up to a millisecond; the last representable one where that would
    /// overflow.
    #[must_use]
    pub fn plus_duration(self, duration: Duration) -> Self {
        let millis = duration.as_nanos().div_ceil(1_000_000);
        self.plus(u64::try_from(millis).unwrap_or(u64::MAX))
    }

    /// Milliseconds from `earlier` to `self`; 0 where `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}
