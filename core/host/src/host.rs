//! One server, as a runtime sees it.

use std::sync::Arc;

use ant_cache_core::service::{Options, Refused};
use ant_cache_core::{Millis, Origin, Service};

use crate::facts::{HostGauges, facts};
use crate::lane::PoolStats;
#[cfg(feature = "faults")]
use crate::link::Fault;
use crate::{Clock, Link};

/// A service with its clock and what concerns its connections.
#[derive(Debug)]
pub struct Host {
    service: Arc<Service>,
    clock: Arc<Clock>,
    pool: Arc<PoolStats>,
    relief: Option<fn()>,
    #[cfg(feature = "faults")]
    fault: Option<Fault>,
}

impl Host {
    /// A host of a new service that lives by `clock` and starts now. To the facts and gauges in `options` it adds its own: of the
    /// machine, the process and the worker pool.
    #[must_use]
    pub fn new(mut options: Options, clock: Clock) -> Self {
        let pool = Arc::<PoolStats>::default();
        options.started = clock.now();
        options.stopwatch = options.stopwatch.or_else(|| clock.stopwatch());
        options.facts.extend(facts());
        options.gauges = Some(Arc::new(HostGauges {
            pool: Arc::clone(&pool),
            more: options.gauges.take(),
        }));
        Self {
            service: Service::new(options),
            clock: Arc::new(clock),
            pool,
            relief: None,
            #[cfg(feature = "faults")]
            fault: None,
        }
    }

    /// The service.
    #[must_use]
    pub const fn service(&self) -> &Arc<Service> {
        &self.service
    }

    /// The clock.
    #[must_use]
    pub const fn clock(&self) -> &Arc<Clock> {
        &self.clock
    }

    /// The worker pool's numbers; all zero where the architecture has none.
    #[must_use]
    pub fn pool(&self) -> &PoolStats {
        &self.pool
    }

    /// Has housekeeping call `relief` before each of its rounds: it is to make the allocator give back to the system what is
    /// free. An allocator that does so at its own time does it within a call that frees or
    /// allocates, and then whoever waits for the caller's locks waits for the system too.
    #[must_use]
    pub fn with_relief(mut self, relief: fn()) -> Self {
        self.relief = Some(relief);
        self
    }

    /// Makes the allocator give back what is free. No lock may be held.
    pub(crate) fn relieve(&self) {
        if let Some(relief) = self.relief {
            relief();
        }
    }

    /// A link for a connection that was just accepted, from `origin`.
    ///
    /// # Errors
    /// [`Refused`] when there are too many: send [`Refused::REPLY`] and close.
    pub fn connect(&self, origin: Origin, now: Millis) -> Result<Link, Refused> {
        let mut session = self.service.connect(now)?;
        session.set_origin(origin);
        let link = Link::new(session, now);
        #[cfg(feature = "faults")]
        let link = link.with_fault(self.fault);
        Ok(link)
    }

    /// For tests: calls `fault` in every turn of every connection.
    #[cfg(feature = "faults")]
    #[must_use]
    pub fn with_fault(mut self, fault: Fault) -> Self {
        self.fault = Some(fault);
        self
    }
}
