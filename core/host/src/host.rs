//! One server, as a runtime sees it.

use std::sync::Arc;

use ant_cache_core::service::Refused;
use ant_cache_core::{Millis, Service};

use crate::lane::PoolStats;
use crate::{Clock, Link};

/// A service with its clock and what concerns its connections.
#[derive(Debug)]
pub struct Host {
    service: Arc<Service>,
    clock: Clock,
    pool: PoolStats,
}

impl Host {
    /// A host of `service` that lives by `clock`.
    #[must_use]
    pub fn new(service: Arc<Service>, clock: Clock) -> Self {
        Self {
            service,
            clock,
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
