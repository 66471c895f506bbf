//! One server: store, settings, counters, connections.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::Millis;
use crate::session::{Budget, Session};
use crate::stats::{Counters, Totals};
use crate::sync::Mutex;

/// What a service is made from. Everything that only the host can know is a field here.
#[derive(Clone, Debug)]
pub struct Options {
    /// Seed of the key hash. The host passes random bits, so that nobody can craft colliding keys.
    pub seed: u64,
    /// The start, for uptime.
    pub started: Millis,
    /// The password that AUTH must give; none means that no authentication is required.
    pub password: Option<Vec<u8>>,
    /// The most connections at once.
    pub max_connections: u64,
    /// Facts for INFO, as (section, field, value): the process, the listener, the runtime.
    pub facts: Vec<(&'static str, &'static str, String)>,
}

impl Default for Options {
    fn default() -> Self {
        Self { seed: 0, started: Millis(0), password: None, max_connections: 10_000, facts: Vec::new() }
    }
}

/// Why a connection was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

impl Refused {
    /// The error line to send before closing, in both dialects' form: nothing was received yet that would tell which.
    pub const REPLY: &'static [u8] = b"-ERR max number of clients reached\r\nERROR max number of clients reached\r\n";
}

/// One server.
#[derive(Debug)]
pub struct Service {
    options: Options,
    connections: AtomicU64,
    counters: Mutex<Registry>,
}

#[derive(Debug, Default)]
struct Registry {
    live: Vec<Arc<Counters>>,
    /// The sum of the sets whose workers are gone.
    retired: Totals,
}

impl Service {
    /// A new server with an empty store.
    #[must_use]
    pub fn new(options: Options) -> Arc<Self> {
        Arc::new(Self { options, connections: AtomicU64::new(0), counters: Mutex::default() })
    }

    /// A new connection, unless there are too many.
    ///
    /// # Errors
    /// [`Refused`] when `max_connections` are open: send [`Refused::REPLY`] and close.
    pub fn connect(self: &Arc<Self>, now: Millis) -> Result<Session, Refused> {
        let _ = now;
        if self.connections.fetch_add(1, Relaxed) >= self.options.max_connections {
            self.connections.fetch_sub(1, Relaxed);
            return Err(Refused);
        }
        Ok(Session::new(Arc::clone(self)))
    }

    pub(crate) fn disconnected(&self) {
        self.connections.fetch_sub(1, Relaxed);
    }

    /// Housekeeping: expired entries, memory of a flushed store. Returns when to call next; `None` where nothing is
    /// left to do until a command changes that.
    pub fn tick(&self, now: Millis, budget: Budget) -> Option<Millis> {
        let _ = (now, budget);
        None
    }

    /// A set of counters for one more worker.
    pub fn counters(&self) -> Arc<Counters> {
        let counters = Arc::new(Counters::default());
        let mut registry = self.counters.lock();
        registry.retire();
        registry.live.push(Arc::clone(&counters));
        counters
    }

    /// The sum over all workers, past ones too.
    pub fn totals(&self) -> Totals {
        let mut registry = self.counters.lock();
        registry.retire();
        let mut totals = registry.retired;
        for counters in &registry.live {
            totals.add(counters);
        }
        totals
    }
}

impl Registry {
    /// Folds the sets that only this registry still holds into the sum.
    fn retire(&mut self) {
        let retired = &mut self.retired;
        self.live.retain(|counters| {
            let alive = Arc::strong_count(counters) > 1;
            if !alive {
                retired.add(counters);
            }
            alive
        });
    }
}
