//! Settings that can change while the server runs.

use alloc::vec::Vec;
use core::hint::black_box;
use core::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

use crate::eviction::Eviction;
use crate::limits::MAX_REQUEST_UNAUTHENTICATED;
use crate::sync::Mutex;

/// What CONFIG SET can change. Each is read at every use, so a change holds at once.
#[derive(Debug)]
pub struct Settings {
    password: Mutex<Option<Vec<u8>>>,
    max_connections: AtomicU64,
    idle_timeout: AtomicU64,
    send_timeout: AtomicU64,
    busy_poll: AtomicU64,
    max_memory: AtomicU64,
    least_memory: AtomicU64,
    /// The place in [`Eviction::ALL`], which is the number of the variant.
    eviction: AtomicU8,
    slow: AtomicU64,
    slow_calls: AtomicU64,
    latency: AtomicU64,
    /// Why each call is looked at closely, a bit for each reason: all that the way of a request reads.
    closely: AtomicU8,
    /// Held while a setting changes that decides about a bit.
    deciding: Mutex<()>,
}

impl Settings {
    /// Connections at once, by default.
    pub const MAX_CONNECTIONS: u64 = 10_000;
    /// Milliseconds after which a client that takes no reply is closed, by default.
    pub const SEND_TIMEOUT: u64 = 60_000;

    /// Microseconds for which a worker asks for requests before it sleeps, by default: as long as who waits for a worker
    /// that has to be woken waits longer than for one that is awake (25 to 50 on virtual machines).
    pub const BUSY_POLL: u64 = 30;
    /// Most microseconds for which a worker asks for requests before it sleeps.
    pub const MAX_BUSY_POLL: u64 = 10_000;

    /// Microseconds from which on a call is in the slow log, by default.
    pub const SLOW: u64 = 10_000;
    /// Calls that the slow log keeps, by default.
    pub const SLOW_CALLS: u64 = 128;
    /// A bound of the slow log below this many microseconds concerns calls that are short by nature: each is timed then.
    const SHORT: u64 = 1000;
    /// Reasons to look at each call: all are timed, somebody monitors.
    const TIMED: u8 = 1;
    const MONITORED: u8 = 2;

    /// The password that AUTH must give; `None` means that no authentication is required.
    #[must_use]
    pub fn password(&self) -> Option<Vec<u8>> {
        self.password.lock().clone()
    }

    /// Whether `given` is the password, or none is required.
    #[must_use]
    pub fn admits(&self, given: &[u8]) -> bool {
        // A longer one could not be sent before AUTH; comparing 64 MiB takes a turn too long.
        let possible = given.len() <= MAX_REQUEST_UNAUTHENTICATED;
        let secret = self.password();
        secret.is_none_or(|secret| possible && equal(&secret, given))
    }

    /// Changes the password. Connections that have authenticated stay so.
    pub fn set_password(&self, password: Option<Vec<u8>>) {
        *self.password.lock() = password;
    }

    /// The most connections at once.
    #[must_use]
    pub fn max_connections(&self) -> u64 {
        self.max_connections.load(Relaxed)
    }

    /// Changes the most connections at once; those that are open stay.
    pub fn set_max_connections(&self, count: u64) {
        self.max_connections.store(count, Relaxed);
    }

    /// Milliseconds without a request after which a connection is closed; 0 means never.
    #[must_use]
    pub fn idle_timeout(&self) -> u64 {
        self.idle_timeout.load(Relaxed)
    }

    /// Changes the idle timeout, in milliseconds.
    pub fn set_idle_timeout(&self, ms: u64) {
        self.idle_timeout.store(ms, Relaxed);
    }

    /// Milliseconds after which a client is closed that takes nothing while replies wait; 0 means never.
    #[must_use]
    pub fn send_timeout(&self) -> u64 {
        self.send_timeout.load(Relaxed)
    }

    /// Changes the send timeout, in milliseconds.
    pub fn set_send_timeout(&self, ms: u64) {
        self.send_timeout.store(ms, Relaxed);
    }

    /// Microseconds for which a worker asks for requests before it sleeps; 0 for none.
    #[must_use]
    #[inline]
    pub fn busy_poll(&self) -> u64 {
        self.busy_poll.load(Relaxed)
    }

    /// Changes for how many microseconds a worker asks for requests before it sleeps, up to
    /// [`MAX_BUSY_POLL`](Self::MAX_BUSY_POLL); 0 for none.
    pub fn set_busy_poll(&self, micros: u64) {
        self.busy_poll
            .store(micros.min(Self::MAX_BUSY_POLL), Relaxed);
    }

    /// Bytes of memory that the server may use in all; `u64::MAX` for any number.
    #[must_use]
    #[inline]
    pub fn max_memory(&self) -> u64 {
        self.max_memory.load(Relaxed)
    }

    /// Changes the bound on memory, in bytes; `u64::MAX` lifts it. Where more is in use, housekeeping evicts down to it
    /// bit by bit.
    pub fn set_max_memory(&self, bytes: u64) {
        self.max_memory.store(bytes, Relaxed);
    }

    /// The smallest bound that CONFIG SET accepts: what the server needs at rest, in bytes. 0 where nobody told.
    #[must_use]
    pub fn least_memory(&self) -> u64 {
        self.least_memory.load(Relaxed)
    }

    /// Says what the server needs at rest, in bytes.
    pub fn set_least_memory(&self, bytes: u64) {
        self.least_memory.store(bytes, Relaxed);
    }

    /// Microseconds from which on a call is in the slow log; `u64::MAX` for never.
    #[must_use]
    pub fn slow(&self) -> u64 {
        self.slow.load(Relaxed)
    }

    /// Changes from how many microseconds on a call is in the slow log; `u64::MAX` for never. Below 1,000 every call is
    /// timed, which costs each some 50 ns.
    pub fn set_slow(&self, micros: u64) {
        let _deciding = self.deciding.lock();
        self.slow.store(micros, Relaxed);
        self.look(Self::TIMED, self.times_all());
    }

    /// Milliseconds from which on a call is an event of the latency monitor; 0 for never.
    #[must_use]
    pub fn latency_threshold(&self) -> u64 {
        self.latency.load(Relaxed)
    }

    /// Changes from how many milliseconds on a call is an event of the latency monitor; 0 for never. While it is not 0 each
    /// call is timed.
    pub fn set_latency_threshold(&self, ms: u64) {
        let _deciding = self.deciding.lock();
        self.latency.store(ms, Relaxed);
        self.look(Self::TIMED, self.times_all());
    }

    /// Whether the slow log or the latency monitor has each call timed.
    pub(crate) fn times_all(&self) -> bool {
        self.slow.load(Relaxed) < Self::SHORT || self.latency.load(Relaxed) > 0
    }

    /// Whether each call is to be looked at closely: timed, and shown to who monitors.
    #[inline]
    pub(crate) fn looks_closely(&self) -> bool {
        self.closely.load(Relaxed) != 0
    }

    /// Whether somebody monitors.
    pub(crate) fn is_monitored(&self) -> bool {
        self.closely.load(Relaxed) & Self::MONITORED != 0
    }

    /// Says whether somebody monitors.
    pub(crate) fn set_monitored(&self, now: bool) {
        self.look(Self::MONITORED, now);
    }

    fn look(&self, reason: u8, applies: bool) {
        if applies {
            self.closely.fetch_or(reason, Relaxed);
        } else {
            self.closely.fetch_and(!reason, Relaxed);
        }
    }

    /// Calls that the slow log keeps.
    #[must_use]
    pub fn slow_calls(&self) -> u64 {
        self.slow_calls.load(Relaxed)
    }

    /// Changes how many calls the slow log keeps; older ones go with the next that is slow.
    pub fn set_slow_calls(&self, count: u64) {
        self.slow_calls.store(count, Relaxed);
    }

    /// What goes when memory runs out.
    #[must_use]
    #[inline]
    pub fn eviction(&self) -> Eviction {
        let place = usize::from(self.eviction.load(Relaxed));
        Eviction::ALL.get(place).copied().unwrap_or_default()
    }

    /// Changes what goes when memory runs out.
    pub fn set_eviction(&self, eviction: Eviction) {
        self.eviction.store(eviction as u8, Relaxed);
    }
}

/// Compares in a time that depends on the lengths alone, so that a wrong guess does not tell where it is wrong.
fn equal(secret: &[u8], given: &[u8]) -> bool {
    let padded = secret.iter().chain(core::iter::repeat(&0));
    let difference = given
        .iter()
        .zip(padded)
        .fold(secret.len() ^ given.len(), |sum, (a, b)| {
            black_box(sum | usize::from(a ^ b))
        });
    difference == 0
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            password: Mutex::new(None),
            max_connections: AtomicU64::new(Self::MAX_CONNECTIONS),
            idle_timeout: AtomicU64::new(0),
            send_timeout: AtomicU64::new(Self::SEND_TIMEOUT),
            busy_poll: AtomicU64::new(Self::BUSY_POLL),
            max_memory: AtomicU64::new(u64::MAX),
            least_memory: AtomicU64::new(0),
            eviction: AtomicU8::new(0),
            slow: AtomicU64::new(Self::SLOW),
            slow_calls: AtomicU64::new(Self::SLOW_CALLS),
            latency: AtomicU64::new(0),
            closely: AtomicU8::new(0),
            deciding: Mutex::new(()),
        }
    }
}
