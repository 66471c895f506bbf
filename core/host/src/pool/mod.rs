//! The architecture *pooled*, as far as every runtime shares it: lanes, workers that lead them or are parked as spares,
//! the monitor that watches both.
//!
//! ```text
//!             ┌ lane ─ poller, places ── led by a worker
//! acceptor ───┤                                              monitor: stuck leaders, size, balance
//!             └ lane ─ poller, places ── led by a worker     crew: parked spares
//! ```
//!
//! A lane a core: its leader waits for events and serves them itself, which costs one wait for as many requests as
//! are ready, and no hand-over between threads. The other workers are parked. Turns are bounded, so the leaders
//! suffice; if one is stuck all the same, a spare takes its lane over ([`Lease`](crate::lane::Lease)).
//!
//! What a runtime adds is its [`Places`]: how a lane keeps its connections between their turns, and how it gives them
//! turns. The rules are in [`lane`](crate::lane), without threads or a clock; here are the threads that obey them.
//!
//! Tried, with 100 connections on one core, in µs of CPU an operation: one epoll loop a core 6.4 to 7.5; many threads
//! on one poller 8.2 to 9.9; a poller that hands each ready connection to a worker through a queue 9.8 to 10.6.
//!
//! The poller is epoll itself, edge-triggered, with what is ready kept in the lane. Level-triggered, the
//! kernel looks at every socket once more after its turn: 3 to 8 % of all CPU time, without parsing anything.

mod bell;
mod crew;
mod lane;
mod lone;
mod monitor;

use std::io;
use std::net::Shutdown as Direction;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use ant_cache_core::stats::Counters;

use crate::lane::choose;
use crate::{Alarm, Host, Housekeeper, Link, Listeners, Shutdown, Stream, accept};
use crew::{Crew, Order};

pub use bell::Bell;
pub use lane::{Connection, Lane, Mail, Over, Places, Term};

/// How large a pool is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Lanes.
    pub lanes: NonZeroUsize,
    /// Worker threads to begin with, where spares are kept: while the server runs there are between a quarter of this
    /// and twice as many, and never fewer than lanes. `None` for a leader a lane, and nobody who watches them.
    pub workers: Option<NonZeroUsize>,
    /// Bytes of stack of each worker. Pages that are never touched cost nothing.
    pub stack_size: usize,
}

/// Serves with a pool of threads, as [`Runtime::serve`](crate::Runtime::serve) does. `places` makes what is to be in a
/// lane.
///
/// # Errors
/// The system refuses threads or pollers to begin with.
pub fn serve<P: Places>(
    size: Size,
    places: impl FnMut() -> P,
    host: Arc<Host>,
    listeners: Listeners,
    shutdown: &Shutdown,
) -> io::Result<()> {
    let pool = Pool::new(host, size.lanes.get(), places)?;
    let crew = Arc::new(Crew::new(&pool, size.stack_size));
    let staff = Staff::begin(&pool, &crew, size.workers)?;
    let accepted = accept(&pool.host, &listeners, shutdown, |stream, link| {
        pool.deliver(stream, link)
    });
    drop(listeners);
    pool.empty();
    drop(staff);
    accepted
}

/// What all who serve a pool's connections share.
#[derive(Debug)]
pub struct Pool<P: Places> {
    host: Arc<Host>,
    lanes: Vec<Lane<P>>,
    monitor: Alarm,
    housekeeper: Housekeeper,
    /// Connections of all lanes.
    connections: AtomicUsize,
    /// Signalled when the last of them is closed.
    empty: Condvar,
    emptied: Mutex<()>,
}

impl<P: Places> Pool<P> {
    /// So many lanes that nobody leads.
    ///
    /// # Errors
    /// The system refuses a poller.
    pub fn new(
        host: Arc<Host>,
        lanes: usize,
        mut places: impl FnMut() -> P,
    ) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            host,
            lanes: (0..lanes)
                .map(|_| Lane::new(places()))
                .collect::<io::Result<_>>()?,
            monitor: Alarm::new(),
            housekeeper: Housekeeper::new(),
            connections: AtomicUsize::new(0),
            empty: Condvar::new(),
            emptied: Mutex::new(()),
        }))
    }

    /// The server.
    #[must_use]
    pub const fn host(&self) -> &Arc<Host> {
        &self.host
    }

    /// The lane of this index.
    #[must_use]
    pub fn lane(&self, index: usize) -> &Lane<P> {
        &self.lanes[index]
    }

    /// Who keeps house.
    #[must_use]
    pub const fn housekeeper(&self) -> &Housekeeper {
        &self.housekeeper
    }

    /// Leads a lane that has no leader, in another way than by a worker's thread.
    #[must_use]
    pub fn lead<'a>(
        self: &'a Arc<Self>,
        index: usize,
        stats: &'a Arc<Counters>,
    ) -> Option<Term<'a, P>> {
        let hold = self.lanes[index].lease.claim()?;
        Some(Term::new(self, index, hold, stats))
    }

    /// Gives a new connection to the lane with the most time.
    pub fn deliver(self: &Arc<Self>, stream: Stream, link: Link) {
        let lane = &self.lanes[choose(self.lanes.iter().map(|lane| lane.load.read()))];
        self.connections.fetch_add(1, SeqCst);
        lane.load.connections.fetch_add(1, Relaxed);
        let connection = Connection::new(link, stream, Arc::downgrade(self));
        lane.post([Mail::Adopt(Box::new(connection))]);
    }

    /// Moves connections from one lane to another.
    pub fn transfer(&self, from: usize, to: usize, connections: Vec<Box<Connection>>) {
        let count = connections.len();
        if count == 0 {
            return;
        }
        let (from, to) = (&self.lanes[from], &self.lanes[to]);
        from.load.connections.fetch_sub(count, Relaxed);
        to.load.connections.fetch_add(count, Relaxed);
        to.post(connections.into_iter().map(Mail::Adopt));
        self.host.pool().moved.add(count as u64);
        tracing::debug!(count, "connections moved to a lane with more time");
    }

    /// Says that a connection of this lane was closed.
    pub fn left(&self, lane: usize) {
        self.lanes[lane].load.connections.fetch_sub(1, Relaxed);
        if self.connections.fetch_sub(1, SeqCst) == 1 {
            drop(self.emptied.lock());
            self.empty.notify_all();
        }
    }

    /// How many connections there are.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.load(SeqCst)
    }

    /// Ends this direction of every connection, present and future.
    pub fn end(&self, direction: Direction) {
        for lane in &self.lanes {
            lane.post([Mail::End(direction)]);
        }
    }

    /// Lets each connection get the answers to what has arrived, and closes it; breaks what is left after the grace.
    fn empty(&self) {
        for (direction, grace) in [
            (Direction::Read, Shutdown::GRACE),
            (Direction::Both, Shutdown::LAST),
        ] {
            self.end(direction);
            let guard = self.emptied.lock().unwrap_or_else(PoisonError::into_inner);
            let busy = |_: &mut ()| self.connections() > 0;
            drop(
                self.empty
                    .wait_timeout_while(guard, grace, busy)
                    .unwrap_or_else(PoisonError::into_inner),
            );
            if self.connections() == 0 {
                return;
            }
        }
        tracing::warn!(
            connections = self.connections(),
            "connections were abandoned in the middle of a turn"
        );
    }
}

/// The threads of a pool. Dropping this ends them.
struct Staff<'a, P: Places> {
    pool: &'a Arc<Pool<P>>,
    crew: &'a Arc<Crew<P>>,
    helpers: Vec<thread::JoinHandle<()>>,
}

impl<'a, P: Places> Staff<'a, P> {
    fn begin(
        pool: &'a Arc<Pool<P>>,
        crew: &'a Arc<Crew<P>>,
        workers: Option<NonZeroUsize>,
    ) -> io::Result<Self> {
        let mut staff = Self {
            pool,
            crew,
            helpers: Vec::new(),
        };
        for (index, lane) in pool.lanes.iter().enumerate() {
            let hold = lane.lease.claim().expect("nobody else knows the lane yet");
            crew.hire(Some(Order::Lead(index, hold)))?;
        }
        if let Some(workers) = workers {
            staff.keep_spares(workers.get())?;
        }
        let house = Arc::clone(pool);
        staff.help("house", move || house.housekeeper.run(&house.host))?;
        Ok(staff)
    }

    fn keep_spares(&mut self, workers: usize) -> io::Result<()> {
        for spare in self.pool.lanes.len()..workers {
            if let Err(error) = self.crew.hire(None) {
                tracing::warn!(%error, workers = spare, wanted = workers, "fewer workers than asked for");
                break;
            }
        }
        let (pool, crew) = (Arc::clone(self.pool), Arc::clone(self.crew));
        self.pool.host.pool().workers.set(crew.count().0 as u64);
        self.help("monitor", move || monitor::run(&pool, &crew, workers))
    }

    fn help(&mut self, name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let thread = thread::Builder::new().name(name.into()).spawn(run)?;
        self.helpers.push(thread);
        Ok(())
    }
}

impl<P: Places> Drop for Staff<'_, P> {
    fn drop(&mut self) {
        self.pool.monitor.stop();
        self.pool.housekeeper.stop();
        for helper in self.helpers.drain(..) {
            // It has panicked, and said so.
            let _ = helper.join();
        }
        for lane in &self.pool.lanes {
            lane.post([Mail::Exit]);
        }
        match self.crew.disband(Duration::from_millis(200)) {
            0 => {}
            workers => tracing::warn!(workers, "workers were abandoned in the middle of a turn"),
        }
    }
}
