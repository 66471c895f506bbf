//! Connections that threads share, in this process and in those that are forked from it.
//!
//! The lock is only held for a push or a pop, with the interpreter's lock (where there is one) held as well. What a fork
//! inherits it must not use: the sockets are the parent's conversation. So the pool is a list of *eras*, one a process:
//! whoever finds that the last one is of another process adds the next.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use ant_cache_runtime_std::client::{Address, Client, ClientError, ClientOptions};
use pyo3::prelude::*;

/// How many forks lie between the process in which the module was loaded and this one.
static FORKS: AtomicU64 = AtomicU64::new(0);

/// The interpreter calls it in the child of a fork.
#[pyfunction]
pub(crate) fn forked() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

pub(crate) fn forks() -> u64 {
    FORKS.load(Ordering::Relaxed)
}

/// How often who waits for a connection runs the handlers of signals: nothing else tells that one has arrived.
const SIGNALS: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(crate) struct Pool {
    address: Address,
    options: ClientOptions,
    /// Connections at most.
    size: usize,
    /// How long to wait for one; `None` for ever.
    patience: Option<Duration>,
    closed: AtomicBool,
    first: Era,
}

#[derive(Debug)]
struct Era {
    forks: u64,
    state: Mutex<State>,
    freed: Condvar,
    next: OnceLock<Box<Era>>,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<Client>,
    /// Connections in use or being made, and those that are idle.
    open: usize,
    waiting: usize,
}

/// Why there is no connection to be had.
#[derive(Debug)]
pub(crate) enum Denied {
    Closed,
    Exhausted,
    /// A signal's handler has raised something meanwhile.
    Interrupted,
}

/// The right to one connection of a pool, and the connection once there is one. Dropped without
/// [`Lease::give_back`], the connection is closed.
#[derive(Debug)]
pub(crate) struct Lease<'p> {
    pool: &'p Pool,
    era: &'p Era,
    client: Option<Client>,
    /// Whether the connection has served before, and may have been closed meanwhile.
    used: bool,
}

impl Era {
    fn new(forks: u64) -> Self {
        Self {
            forks,
            state: Mutex::default(),
            freed: Condvar::new(),
            next: OnceLock::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Whoever panicked held it for a push or a pop, and has done it or not.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pool {
    pub(crate) fn new(
        address: Address,
        options: ClientOptions,
        size: usize,
        patience: Option<Duration>,
    ) -> Self {
        Self {
            address,
            options,
            size,
            patience,
            closed: AtomicBool::new(false),
            first: Era::new(forks()),
        }
    }

    fn era(&self) -> &Era {
        let forks = forks();
        let mut era = &self.first;
        while era.forks < forks {
            // The parent's sockets are closed here, so that the server sees it when the parent closes them. If another
            // of the parent's threads held the lock, it will never be free again: then they stay.
            if let Ok(mut state) = era.state.try_lock() {
                state.idle.clear();
            }
            era = era.next.get_or_init(|| Box::new(Era::new(forks)));
        }
        era
    }

    /// A connection that is idle, or the right to make one. Waits, without the interpreter's lock, while all are in use.
    pub(crate) fn take(&self, py: Python<'_>) -> Result<Lease<'_>, Denied> {
        let era = self.era();
        if self.closed.load(Ordering::Relaxed) {
            return Err(Denied::Closed);
        }
        let taken = self.try_take(era, &mut era.lock());
        taken.map_or_else(|| py.detach(|| self.wait(era)), Ok)
    }

    fn try_take<'p>(&'p self, era: &'p Era, state: &mut State) -> Option<Lease<'p>> {
        let (client, used) = match state.idle.pop() {
            Some(client) => {
                // One system call, 0.2 µs: a reply that nobody asked for would be taken for that of the next request.
                let good = Some(client).filter(Client::is_connected);
                let used = good.is_some();
                (good, used)
            }
            None if state.open < self.size => {
                state.open += 1;
                (None, false)
            }
            None => return None,
        };
        Some(Lease {
            pool: self,
            era,
            client,
            used,
        })
    }

    fn wait<'p>(&'p self, era: &'p Era) -> Result<Lease<'p>, Denied> {
        let start = Instant::now();
        let mut state = era.lock();
        state.waiting += 1;
        let taken = loop {
            if self.closed.load(Ordering::Relaxed) {
                break Err(Denied::Closed);
            }
            if let Some(lease) = self.try_take(era, &mut state) {
                break Ok(lease);
            }
            let left = match self.patience {
                None => SIGNALS,
                Some(limit) => match limit.checked_sub(start.elapsed()) {
                    None => break Err(Denied::Exhausted),
                    Some(left) => left.min(SIGNALS),
                },
            };
            let waited = era.freed.wait_timeout(state, left);
            let (held, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state = held;
            if timeout.timed_out() {
                // Handlers need the interpreter's lock, which others hold while they want this one.
                drop(state);
                let interrupted = crate::client::give_up();
                state = era.lock();
                if interrupted {
                    break Err(Denied::Interrupted);
                }
            }
        };
        state.waiting -= 1;
        taken
    }

    /// Closes what is idle. What is in use is closed when it is given back.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        let era = self.era();
        era.lock().idle.clear();
        era.freed.notify_all();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }
}

impl Lease<'_> {
    /// The connection, made if there is none yet. Blocks, so it is called without the interpreter's lock.
    pub(crate) fn client(&mut self) -> Result<&mut Client, ClientError> {
        let client = match self.client.take() {
            Some(client) => client,
            None => {
                self.used = false;
                let pool = self.pool;
                let mut client = Client::connect(pool.address.clone(), pool.options.clone())?;
                client.on_interrupt(crate::client::give_up);
                client
            }
        };
        Ok(self.client.insert(client))
    }

    /// Whether the connection has served before. Then a failure may only tell that the server was started anew.
    pub(crate) fn is_used(&self) -> bool {
        self.used
    }

    /// Lets others have the connection.
    pub(crate) fn give_back(mut self) {
        let client = self.client.take();
        // A child of a fork has the parent's connection in its hands where it was in use: it is not given back.
        let keep = !self.pool.is_closed() && self.era.forks == forks();
        if let (Some(client), true) = (client, keep) {
            let mut state = self.era.lock();
            state.idle.push(client);
            let waiting = state.waiting > 0;
            drop(state);
            if waiting {
                self.era.freed.notify_one();
            }
            // The connection stays open: only `Drop` counts it off.
            core::mem::forget(self);
        }
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        self.client = None;
        if self.era.forks != forks() {
            return;
        }
        let mut state = self.era.lock();
        state.open -= 1;
        if state.waiting > 0 {
            self.era.freed.notify_one();
        }
    }
}
