//! One server, as a runtime sees it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ant_cache_core::service::Refused;
use ant_cache_core::{Millis, Service};

use crate::lane::PoolStats;
use crate::{Clock, Link};

/// Times after which a connection is closed. They may be changed while the server runs.
#[derive(Debug)]
pub struct Timeouts {
    send: AtomicU64,
    idle: AtomicU64,
}

impl Timeouts {
    /// The default of [`send`](Self::send), in milliseconds.
    pub const SEND: u64 = 60_000;

    /// Milliseconds in which a client must take at least one byte while replies wait for it.
    #[must_use]
    pub fn send(&self) -> u64 {
        self.send.load(Relaxed)
    }

    /// Sets [`send`](Self::send); 0 means for ever.
    pub fn set_send(&self, ms: u64) {
        self.send.store(ms, Relaxed);
    }

    /// Milliseconds without a byte from the client after which it is closed; 0 means for ever.
    #[must_use]
    pub fn idle(&self) -> u64 {
        self.idle.load(Relaxed)
    }

    /// Sets [`idle`](Self::idle). A connection that waits already learns of it when it is next active.
    pub fn set_idle(&self, ms: u64) {
        self.idle.store(ms, Relaxed);
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            send: AtomicU64::new(Self::SEND),
            idle: AtomicU64::new(0),
        }
    }
}

/// A service with its clock and what concerns its connections.
#[derive(Debug)]
pub struct Host {
    service: Arc<Service>,
    clock: Clock,
    timeouts: Timeouts,
    pool: PoolStats,
}

impl Host {
    /// A host of `service` that lives by `clock`.
    #[must_use]
    pub fn new(service: Arc<Service>, clock: Clock) -> Self {
        Self {
            service,
            clock,
            timeouts: Timeouts::default(),
            pool: PoolStats::default(),
        }
    }

    /// The service.
    #[must_use]
    pub const fn service(&self) -> &Arc<Service> {
        &self.service
    }

    /// The clock.
    #[must_use]
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The timeouts in force.
    #[must_use]
    pub const fn timeouts(&self) -> &Timeouts {
        &self.timeouts
    }

    /// The worker pool's numbers; all zero where the architecture has none.
    #[must_use]
    pub const fn pool(&self) -> &PoolStats {
        &self.pool
    }

    /// A link for a connection that was just accepted.
    ///
    /// # Errors
    /// [`Refused`] when there are too many: send [`Refused::REPLY`] and close.
    pub fn connect(&self, now: Millis) -> Result<Link, Refused> {
        Ok(Link::new(self.service.connect(now)?, now))
    }
}
