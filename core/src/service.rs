//! One server: store, settings, counters, connections.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::Millis;
use crate::session::Session;
use crate::settings::Settings;
use crate::stats::{Counters, Totals};
use crate::store::Store;
use crate::sync::Mutex;

/// What a service is made from. Everything that only the host can know is a field here.
#[derive(Debug)]
pub struct Options {
    /// Seed of the key hash. The host passes random bits, so that nobody can craft colliding keys.
    pub seed: u64,
    /// The start, for uptime.
    pub started: Millis,
    /// Shards of the store; see [`Store::new`].
    pub shards: usize,
    /// What can be changed while the server runs.
    pub settings: Settings,
    /// Facts for INFO, as (section, field, value): the process, the listener, the runtime.
    pub facts: Vec<(&'static str, &'static str, String)>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 0,
            started: Millis(0),
            shards: Store::SHARDS,
            settings: Settings::default(),
            facts: Vec::new(),
        }
    }
}

/// Why a connection was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

impl Refused {
    /// The error line to send before closing, in both dialects' form: nothing was received yet that would tell which.
    pub const REPLY: &'static [u8] =
        b"-ERR max number of clients reached\r\nERROR max number of clients reached\r\n";
}

/// One server.
#[derive(Debug)]
pub struct Service {
    pub(crate) store: Store,
    /// What can be changed while the server runs.
    pub settings: Settings,
    started: Millis,
    facts: Vec<(&'static str, &'static str, String)>,
    connections: AtomicU64,
    /// Connections ever accepted: the number of the last one.
    accepted: AtomicU64,
    refused: AtomicU64,
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
        Arc::new(Self {
            store: Store::new(options.shards, options.seed),
            settings: options.settings,
            started: options.started,
            facts: options.facts,
            connections: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            counters: Mutex::default(),
        })
    }

    /// A new connection, unless there are too many.
    ///
    /// # Errors
    /// [`Refused`] when [`Settings::max_connections`] are open: send [`Refused::REPLY`] and close.
    pub fn connect(self: &Arc<Self>, now: Millis) -> Result<Session, Refused> {
        if self.connections.fetch_add(1, Relaxed) >= self.settings.max_connections() {
            self.connections.fetch_sub(1, Relaxed);
            self.refused.fetch_add(1, Relaxed);
            return Err(Refused);
        }
        let id = self.accepted.fetch_add(1, Relaxed) + 1;
        Ok(Session::new(Arc::clone(self), id, now))
    }

    /// The keys.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// When the server started.
    #[must_use]
    pub const fn started(&self) -> Millis {
        self.started
    }

    /// The host's facts, as (section, field, value).
    #[must_use]
    pub fn facts(&self) -> &[(&'static str, &'static str, String)] {
        &self.facts
    }

    /// Connections: open now, ever accepted, ever refused.
    #[must_use]
    pub fn connections(&self) -> [u64; 3] {
        [
            self.connections.load(Relaxed),
            self.accepted.load(Relaxed),
            self.refused.load(Relaxed),
        ]
    }

    pub(crate) fn disconnected(&self) {
        self.connections.fetch_sub(1, Relaxed);
    }

    /// Housekeeping, a bounded piece of at most about 50 µs: removes expired entries, frees what a flush left. Returns
    /// when to call next.
    pub fn tick(&self, now: Millis) -> Millis {
        /// While keys with a time to live exist, every shard is visited a few times a minute.
        const BUSY: u64 = 5;
        /// While nothing is due, a shard that was flushed still wants a visit to give its memory back.
        const QUIET: u64 = 100;
        now.plus(if self.store.tick(now) { BUSY } else { QUIET })
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
