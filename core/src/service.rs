//! One server: store, settings, counters, connections.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use core::task::Waker;

use crate::command::table;
use crate::eviction::Eviction;
use crate::exec::Args;
use crate::facts::{Fact, Gauges, Tell};
use crate::ledger::{Charge, Ledger, Owner, allocation};
use crate::monitor::{self, Monitors};
use crate::session::{Budget, Session};
use crate::settings::Settings;
use crate::stats::{
    CommandStats, Counters, HotKey, HotKeys, Latencies, SlowCall, SlowLog, Stopwatch, Timings,
    Totals,
};
use crate::store::{self, Census, Room, Search, Store};
use crate::sync::Mutex;
use crate::{Millis, limits};

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
    /// Fields of INFO that only the host knows; [`Section`](crate::facts::Section) says which a server should give.
    pub facts: Vec<Fact>,
    /// Fields of INFO that only the host can measure.
    pub gauges: Option<Arc<dyn Gauges>>,
    /// Settings that were fixed at the start, by Redis's names, for CONFIG GET: `bind`, `port`, `unixsocket`,
    /// `tcp-keepalive`. None of those that [`Settings`] holds.
    pub fixed: Vec<(&'static str, String)>,
    /// What durations are measured by; without one nothing is timed, and the slow log stays empty.
    pub stopwatch: Option<Stopwatch>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 0,
            started: Millis(0),
            shards: Store::SHARDS,
            settings: Settings::default(),
            facts: Vec::new(),
            gauges: None,
            fixed: Vec::new(),
            stopwatch: None,
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
    ledger: Arc<Ledger>,
    started: Millis,
    facts: Vec<Fact>,
    gauges: Option<Arc<dyn Gauges>>,
    fixed: Vec<(&'static str, String)>,
    connections: AtomicU64,
    /// Connections ever accepted: the number of the last one.
    accepted: AtomicU64,
    refused: AtomicU64,
    counters: Mutex<Registry>,
    pub(crate) stopwatch: Option<Stopwatch>,
    pub(crate) timings: Timings,
    pub(crate) slow: Mutex<SlowLog>,
    pub(crate) hot: Mutex<HotKeys>,
    pub(crate) latencies: Mutex<Latencies>,
    pub(crate) monitors: Monitors,
    /// The statistics at the last CONFIG RESETSTAT.
    reset: Mutex<Statistics>,
    /// Who stops the server.
    stopper: Mutex<Option<Waker>>,
    /// Whether a snapshot is to be made when it stops.
    final_save: AtomicBool,
}

/// What INFO and STATS count: since the start, or since CONFIG RESETSTAT.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// The sum over all workers.
    pub totals: Totals,
    /// Connections accepted.
    pub accepted: u64,
    /// Connections refused because there were too many.
    pub refused: u64,
    /// Keys removed because their time had come.
    pub expired: u64,
    /// Keys removed because memory was needed.
    pub evicted: u64,
}

#[derive(Debug, Default)]
struct Registry {
    live: Vec<(Arc<Counters>, Charge)>,
    /// The sum of the sets whose workers are gone.
    retired: Totals,
}

impl Service {
    /// A new server with an empty store.
    #[must_use]
    pub fn new(options: Options) -> Arc<Self> {
        let ledger = Arc::<Ledger>::default();
        Arc::new(Self {
            store: Store::new(&store::Options {
                shards: options.shards,
                seed: options.seed,
                ledger: Arc::clone(&ledger),
                ..store::Options::default()
            }),
            settings: options.settings,
            monitors: Monitors::new(&ledger),
            ledger,
            started: options.started,
            facts: options.facts,
            gauges: options.gauges,
            fixed: options.fixed,
            connections: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            counters: Mutex::default(),
            stopwatch: options.stopwatch,
            timings: Timings::default(),
            slow: Mutex::default(),
            hot: Mutex::default(),
            latencies: Mutex::default(),
            reset: Mutex::default(),
            stopper: Mutex::default(),
            final_save: AtomicBool::new(false),
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

    /// Who holds how much memory.
    #[must_use]
    pub const fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// Shows a request that comes from `from` to who monitors.
    pub(crate) fn show(&self, now: Millis, from: &str, args: &Args<'_>) {
        let most = limits::max_shown(self.settings.max_memory());
        self.monitors.show(&monitor::line(now, from, args), most);
    }

    /// Says who stops the server when SHUTDOWN asks for that.
    pub fn set_stopper(&self, waker: Waker) {
        *self.stopper.lock() = Some(waker);
    }

    /// Asks for the server to stop, after a snapshot if there is to be one; false where nobody does that.
    pub(crate) fn stop(&self, save: bool) -> bool {
        let stopper = self.stopper.lock().clone();
        if stopper.is_some() {
            self.final_save.store(save, Relaxed);
        }
        stopper.map(Waker::wake).is_some()
    }

    /// Whether SHUTDOWN has asked for a snapshot.
    #[must_use]
    pub fn wants_final_save(&self) -> bool {
        self.final_save.load(Relaxed)
    }

    /// When the server started.
    #[must_use]
    pub const fn started(&self) -> Millis {
        self.started
    }

    /// Tells the host's facts and gauges.
    pub fn tell(&self, tell: &mut Tell<'_>) {
        for fact in &self.facts {
            tell(fact.section, fact.name, &fact.value);
        }
        if let Some(gauges) = &self.gauges {
            gauges.read(tell);
        }
    }

    /// Settings that were fixed at the start, by Redis's names.
    #[must_use]
    pub fn fixed(&self) -> &[(&'static str, String)] {
        &self.fixed
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

    /// Bytes that may be used, so that with what the process has beyond them it is within
    /// [`Settings::max_memory`].
    #[inline]
    fn bound(&self) -> u64 {
        let bound = self.settings.max_memory();
        if bound == u64::MAX {
            return bound;
        }
        bound.saturating_sub(self.ledger.overhead())
    }

    /// Changes the bound on memory. What the process has beyond what is used was reckoned as a part of the bound before,
    /// and is again within a tenth of a second. Until then it is no more than the most that the host takes of this one:
    /// the part of a far higher bound could be all of a lower one, and everything would go, or no write be taken.
    pub(crate) fn set_max_memory(&self, bytes: u64) {
        self.settings.set_max_memory(bytes);
        let most = self
            .settings
            .least_memory()
            .saturating_add(bytes / Ledger::MOST_OVERHEAD);
        self.ledger.cap_overhead(most);
    }

    /// The most that the store may use: what it would have if it were empty now.
    pub(crate) fn capacity(&self) -> u64 {
        self.bound()
            .saturating_sub(self.ledger.beside(Owner::Store))
    }

    /// Whether `need` more bytes can be had under the bound on memory; where there is a policy, entries go for them.
    #[inline]
    pub(crate) fn make_room(&self, search: &mut Search, now: Millis, budget: &mut Budget) -> Room {
        let bound = self.bound();
        if self.store.has_room(search.need(), bound) {
            return Room::Made;
        }
        match self.settings.eviction() {
            Eviction::None => Room::None,
            eviction => self.store.make_room(search, bound, eviction, now, budget),
        }
    }

    /// Housekeeping within a budget: evicts down to the bound on memory, removes expired entries, frees what a flush left.
    /// Returns when to call next; `None` where nothing is left to do until a command changes that.
    pub fn tick(&self, now: Millis, mut budget: Budget) -> Option<Millis> {
        if self.make_room(&mut Search::for_all(), now, &mut budget) == Room::Later {
            return Some(now);
        }
        self.store.tick(now, budget)
    }

    /// A set of counters for one more worker.
    pub fn counters(&self) -> Arc<Counters> {
        let counters = Arc::new(Counters::default());
        let mut registry = self.counters.lock();
        registry.retire();
        let mut charge = Charge::new(&self.ledger, Owner::Process);
        charge.set(allocation(size_of::<Counters>() + align_of::<Counters>()));
        registry.live.push((Arc::clone(&counters), charge));
        counters
    }

    /// What was counted since the start or the last [`reset_statistics`](Self::reset_statistics); `census` is the
    /// store's present one.
    pub fn statistics(&self, census: &Census) -> Statistics {
        // Read before the counters, which only grow: none of them is behind it then.
        let reset = *self.reset.lock();
        let all = self.all_statistics(census);
        Statistics {
            totals: all.totals.since(&reset.totals),
            accepted: all.accepted - reset.accepted,
            refused: all.refused - reset.refused,
            // The census may be older than the reset.
            expired: all.expired.saturating_sub(reset.expired),
            evicted: all.evicted.saturating_sub(reset.evicted),
        }
    }

    /// Counts from 0 again what INFO and STATS show. [`totals`](Self::totals) and the numbers of connections go on.
    pub fn reset_statistics(&self) {
        self.store.reset_lags();
        self.timings.clear();
        *self.reset.lock() = self.all_statistics(&self.store.census());
    }

    fn all_statistics(&self, census: &Census) -> Statistics {
        let [_, accepted, refused] = self.connections();
        Statistics {
            totals: self.totals(),
            accepted,
            refused,
            expired: census.expired,
            evicted: census.evicted,
        }
    }

    /// What is known of each command that was called since the start or the last
    /// [`reset_statistics`](Self::reset_statistics).
    pub fn commands(&self) -> Vec<CommandStats> {
        let reset = self.reset.lock().totals;
        self.commands_of(&self.totals().since(&reset))
    }

    pub(crate) fn commands_of(&self, totals: &Totals) -> Vec<CommandStats> {
        let commands = table().iter().map(Some).chain([None]).enumerate();
        let called = commands.filter(|(number, _)| totals.calls.of(*number) > 0);
        let stats = called.map(|(number, command)| CommandStats {
            command,
            // Counted before it was known whether it may run.
            calls: totals
                .calls
                .of(number)
                .saturating_sub(totals.rejections.of(number)),
            rejections: totals.rejections.of(number),
            failures: totals.failures.of(number),
            nanos: self.timings.of(number),
        });
        stats.collect()
    }

    /// The hottest keys, at most `n`, hottest first.
    pub fn hot_keys(&self, n: usize) -> Vec<HotKey> {
        self.hot.lock().hottest(n)
    }

    /// The latest `n` entries of the slow log, the latest first.
    pub fn slow_calls(&self, n: usize) -> Vec<SlowCall> {
        self.slow.lock().latest(n)
    }

    /// The sum over all workers, past ones too, since the start.
    pub fn totals(&self) -> Totals {
        let mut registry = self.counters.lock();
        registry.retire();
        let mut totals = registry.retired;
        for (counters, _) in &registry.live {
            totals.add(counters);
        }
        totals
    }
}

impl Registry {
    /// Folds the sets that only this registry still holds into the sum.
    fn retire(&mut self) {
        let retired = &mut self.retired;
        self.live.retain(|(counters, _)| {
            let alive = Arc::strong_count(counters) > 1;
            if !alive {
                retired.add(counters);
            }
            alive
        });
    }
}
