//! What sessions share: a server without sockets.

use core::ffi::{c_char, c_void};
use std::sync::{Arc, Mutex, PoisonError};

use ant_cache_core::service::Options;
use ant_cache_core::stats::Counters;
use ant_cache_core::store::Store;
use ant_cache_core::{Budget, Millis, Service};
use ant_cache_host::Clock;
use ant_cache_host::process::random_bits;

use crate::boundary::guarded;
use crate::cache::eviction;
use crate::clock::{CClock, antcache_clock};
use crate::handle::{self, Object};
use crate::memory::{self, Out};
use crate::options::{self, Settings};
use crate::status::antcache_status::{self, *};

/// How a service is made. Begin with antcache_service_options_init; 0 is the default in every field.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct antcache_service_options {
    /// sizeof(antcache_service_options).
    pub size: usize,
    /// Bytes of memory at most, for keys and values; 0 for no bound.
    pub max_memory: u64,
    /// Sessions at once; 0 for 10,000.
    pub max_sessions: u64,
    /// What goes where memory runs out: a number of antcache_eviction.
    pub eviction: i32,
    /// Must be 0.
    pub reserved: i32,
    /// The password that AUTH must give; NULL for none.
    pub password: *const c_char,
    /// Where the service learns the time, in milliseconds since 1970; NULL for the system's clock.
    pub clock: antcache_clock,
    /// Passed to the clock.
    pub clock_context: *mut c_void,
}

// SAFETY: repr(C), its size first, numbers and pointers that may be 0.
unsafe impl Settings for antcache_service_options {}

/// A server without sockets: keys, values and settings, for any number of sessions on any number of threads.
pub struct antcache_service {
    pub(crate) shared: Arc<Shared>,
}

impl Object for antcache_service {
    const KIND: &'static [u8; 8] = b"antservc";
}

/// What lives as long as the service or one of its sessions.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) service: Arc<Service>,
    clock: Time,
    /// Sets of counters that no turn uses now. A set is written by one thread at a time.
    counters: Mutex<Vec<Arc<Counters>>>,
}

#[derive(Debug)]
enum Time {
    System(Clock),
    Callers(CClock),
}

impl Shared {
    pub(crate) fn now(&self) -> Millis {
        match &self.clock {
            Time::System(clock) => clock.now(),
            Time::Callers(clock) => clock.now(),
        }
    }

    /// Runs a turn with a set of counters of its own.
    pub(crate) fn counting<T>(&self, turn: impl FnOnce(&Counters) -> T) -> T {
        let idle = || self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        let counters = idle().pop().unwrap_or_else(|| self.service.counters());
        let result = turn(&counters);
        idle().push(counters);
        result
    }
}

/// Sets every field to its default. `size` is sizeof(antcache_service_options).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_service_options_init(
    options: *mut antcache_service_options,
    size: usize,
) -> antcache_status {
    // SAFETY: the conventions are those of `init`.
    unsafe { options::init(options, size) }
}

/// Makes a service, empty. `options` may be NULL for the defaults. ANTCACHE_INVALID where a field is out of range.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_service_new(
    options: *const antcache_service_options,
    service: *mut *mut antcache_service,
) -> antcache_status {
    guarded(|| {
        // SAFETY: the conventions are those of `Out::new`.
        let to = unsafe { Out::new(service)? };
        // SAFETY: the conventions are those of `read`.
        let options = unsafe { options::read(options)? };
        let mut clock = Time::System(Clock::system());
        let mut made = Options {
            seed: random_bits(),
            ..Options::default()
        };
        if let Some(options) = options {
            if options.reserved != 0 {
                return Err(ANTCACHE_INVALID);
            }
            let live = &made.settings;
            live.set_eviction(eviction(options.eviction)?);
            // SAFETY: the conventions are those of `optional_text`.
            let password = unsafe { memory::optional_text(options.password)? };
            live.set_password(password.map(|password| password.as_bytes().to_vec()));
            if options.max_sessions > 0 {
                live.set_max_connections(options.max_sessions);
            }
            if options.max_memory > 0 {
                live.set_max_memory(options.max_memory);
                made.shards = Store::shards_for(options.max_memory);
            }
            // SAFETY: the conventions are those of `CClock::new`.
            if let Some(callers) = unsafe { CClock::new(options.clock, options.clock_context) } {
                clock = Time::Callers(callers);
            }
        }
        made.started = match &clock {
            Time::System(clock) => clock.now(),
            Time::Callers(clock) => clock.now(),
        };
        let shared = Arc::new(Shared {
            service: Service::new(made),
            clock,
            counters: Mutex::default(),
        });
        handle::give(antcache_service { shared }, to)
    })
}

/// Frees a service; its keys go with its last session. NULL is nothing to free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_service_free(service: *mut antcache_service) -> antcache_status {
    // SAFETY: the conventions are those of `free`.
    unsafe { handle::free(service) }
}

/// Does a piece of housekeeping, 100 microseconds at most: evicts down to the bound on memory, gives back the memory of
/// entries that have ended. Writes to `next_ms`, which may be NULL, in how many milliseconds to call again; UINT64_MAX
/// where nothing waits until a session has done something. An event loop calls it at that time, and within a second
/// after it has served sessions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_service_tick(
    service: *mut antcache_service,
    next_ms: *mut u64,
) -> antcache_status {
    let body = |service: &antcache_service| {
        // SAFETY: the conventions are those of `Out::optional`.
        let to = unsafe { Out::optional(next_ms)? };
        let shared = &service.shared;
        let now = shared.now();
        let next = shared.service.tick(now, Budget::TURN);
        if let Some(to) = to {
            to.write(next.map_or(u64::MAX, |next| next.since(now)));
        }
        Ok(ANTCACHE_OK)
    };
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(service, body) }
}
