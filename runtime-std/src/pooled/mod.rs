//! The architecture *pooled*: a fixed number of workers, any number of connections.
//!
//! ```text
//!             ┌ lane ─ poller, places ── led by a worker
//! acceptor ───┤                                              monitor: stuck leaders, size, balance
//!             └ lane ─ poller, places ── led by a worker     crew: parked spares
//! ```
//!
//! A lane a core: its leader waits for events and serves them itself, which costs one wait for as many requests as
//! are ready, and no hand-over between threads. The other workers are parked. Turns are bounded, so the leaders
//! suffice; if one is stuck all the same, a spare takes its lane over ([`Lease`](ant_cache_host::lane::Lease)).
//!
//! Tried, with 100 connections on one core, in µs of CPU an operation: one epoll loop a core 6.4 to 7.5; many threads
//! on one poller 8.2 to 9.9; a poller that hands each ready connection to a worker through a queue 9.8 to 10.6.
//!
//! The poller is epoll itself, edge-triggered, with what is ready kept in the lane (`places`). Level-triggered, the
//! kernel looks at every socket once more after its turn: 3 to 8 % of all CPU time, without parsing anything. The
//! `polling` crate makes five system calls a wait (it re-arms a timer and its notifier), epoll one: with a single
//! connection 7 instead of 3 an operation.

mod crew;
mod lane;
mod monitor;
mod places;
mod poller;

use std::io;
use std::net::Shutdown as Direction;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use ant_cache_host::lane::choose;
use ant_cache_host::{Alarm, Host, Housekeeper, Link, Listeners, Runtime, Shutdown, Stream};

use crate::accept::accept;
use crew::{Crew, Order};
use lane::{Lane, Mail};
use places::Connection;

/// A pool of workers over a few lanes. Linux only: it is built on epoll.
#[derive(Clone, Copy, Debug)]
pub struct Pooled {
    /// Worker threads to begin with. While the server runs there are between a quarter of this and twice as many, and
    /// never fewer than lanes.
    pub workers: NonZeroUsize,
    /// Lanes: one a core is best. At most `workers` are used.
    pub lanes: NonZeroUsize,
    /// Bytes of stack of each worker. Pages that are never touched cost nothing.
    pub stack_size: usize,
}

impl Pooled {
    /// A pool of `workers` with a lane for each core that the process may use.
    #[must_use]
    pub fn new(workers: NonZeroUsize) -> Self {
        let lanes = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self {
            workers,
            lanes,
            stack_size: crate::STACK,
        }
    }
}

impl Runtime for Pooled {
    fn serve(self, host: Arc<Host>, listeners: Listeners, shutdown: Shutdown) -> io::Result<()> {
        let (workers, lanes) = (self.workers.get(), self.lanes.min(self.workers).get());
        let pool = Arc::new(Pool::new(host, lanes, self.stack_size)?);
        let staff = Staff::begin(&pool, workers)?;
        let accepted = accept(&pool.host, &listeners, &shutdown, |stream, link| {
            pool.deliver(stream, link)
        });
        drop(listeners);
        pool.empty();
        drop(staff);
        accepted
    }
}

/// What all threads of a pool share.
#[derive(Debug)]
struct Pool {
    host: Arc<Host>,
    lanes: Vec<Lane>,
    crew: Crew,
    monitor: Alarm,
    housekeeper: Housekeeper,
    /// Connections of all lanes.
    connections: AtomicUsize,
    /// Signalled when the last of them is closed.
    empty: Condvar,
    emptied: Mutex<()>,
}

impl Pool {
    fn new(host: Arc<Host>, lanes: usize, stack_size: usize) -> io::Result<Self> {
        Ok(Self {
            host,
            lanes: (0..lanes).map(|_| Lane::new()).collect::<io::Result<_>>()?,
            crew: Crew::new(stack_size),
            monitor: Alarm::new(),
            housekeeper: Housekeeper::new(),
            connections: AtomicUsize::new(0),
            empty: Condvar::new(),
            emptied: Mutex::new(()),
        })
    }

    /// Gives a new connection to the lane with the most time.
    fn deliver(&self, stream: Stream, link: Link) {
        let lane = &self.lanes[choose(self.lanes.iter().map(|lane| lane.load.read()))];
        self.connections.fetch_add(1, SeqCst);
        lane.load.connections.fetch_add(1, Relaxed);
        lane.post([Mail::Adopt(Box::new(Connection {
            link,
            stream: Arc::new(stream),
        }))]);
    }

    /// Moves connections from one lane to another.
    fn transfer(&self, from: &Lane, to: usize, connections: Vec<Mail>) {
        let count = connections.len();
        if count == 0 {
            return;
        }
        let to = &self.lanes[to];
        from.load.connections.fetch_sub(count, Relaxed);
        to.load.connections.fetch_add(count, Relaxed);
        to.post(connections);
        self.host.pool().moved.add(count as u64);
        tracing::debug!(count, "connections moved to a lane with more time");
    }

    /// Says that a connection was closed.
    fn left(&self) {
        if self.connections.fetch_sub(1, SeqCst) == 1 {
            drop(self.emptied.lock());
            self.empty.notify_all();
        }
    }

    /// Lets each connection get the answers to what has arrived, and closes it; breaks what is left after the grace.
    fn empty(&self) {
        for (direction, grace) in [
            (Direction::Read, Shutdown::GRACE),
            (Direction::Both, Duration::from_millis(200)),
        ] {
            self.lanes
                .iter()
                .for_each(|lane| lane.post([Mail::End(direction)]));
            let guard = self.emptied.lock().unwrap_or_else(PoisonError::into_inner);
            let busy = |_: &mut ()| self.connections.load(SeqCst) > 0;
            drop(
                self.empty
                    .wait_timeout_while(guard, grace, busy)
                    .unwrap_or_else(PoisonError::into_inner),
            );
            if self.connections.load(SeqCst) == 0 {
                return;
            }
        }
        tracing::warn!(
            connections = self.connections.load(SeqCst),
            "connections were abandoned in the middle of a turn"
        );
    }
}

/// The threads of a pool. Dropping this ends them.
struct Staff<'a> {
    pool: &'a Arc<Pool>,
    helpers: Vec<thread::JoinHandle<()>>,
}

impl<'a> Staff<'a> {
    fn begin(pool: &'a Arc<Pool>, workers: usize) -> io::Result<Self> {
        let mut staff = Self {
            pool,
            helpers: Vec::new(),
        };
        for (index, lane) in pool.lanes.iter().enumerate() {
            let hold = lane.lease.claim().expect("nobody else knows the lane yet");
            pool.crew.hire(pool, Some(Order::Lead(index, hold)))?;
        }
        for spare in pool.lanes.len()..workers {
            if let Err(error) = pool.crew.hire(pool, None) {
                tracing::warn!(%error, workers = spare, wanted = workers, "fewer workers than asked for");
                break;
            }
        }
        pool.host.pool().workers.set(pool.crew.count().0 as u64);
        staff.help("monitor", move |pool| monitor::run(pool, workers))?;
        staff.help("house", |pool| pool.housekeeper.run(&pool.host))?;
        Ok(staff)
    }

    fn help(
        &mut self,
        name: &str,
        run: impl FnOnce(&Arc<Pool>) + Send + 'static,
    ) -> io::Result<()> {
        let pool = Arc::clone(self.pool);
        self.helpers.push(
            thread::Builder::new()
                .name(name.into())
                .spawn(move || run(&pool))?,
        );
        Ok(())
    }
}

impl Drop for Staff<'_> {
    fn drop(&mut self) {
        self.pool.monitor.stop();
        self.pool.housekeeper.stop();
        for helper in self.helpers.drain(..) {
            // It has panicked, and said so.
            let _ = helper.join();
        }
        self.pool
            .lanes
            .iter()
            .for_each(|lane| lane.post([Mail::Exit]));
        match self.pool.crew.disband(Duration::from_millis(200)) {
            0 => {}
            workers => tracing::warn!(workers, "workers were abandoned in the middle of a turn"),
        }
    }
}
