//! A server inside a program that has an executor.

use std::future::pending;
use std::io;
use std::net::Shutdown as Direction;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ant_cache_host::poller::{Events, Poller};
use ant_cache_host::pool::{Places, Pool, Term};
use ant_cache_host::{Admitted, Entrance, Host, Listeners, Shutdown};
use async_io::{Async, Timer};
use futures_lite::future::{or, yield_now};

use crate::Serving;
use crate::tasks::Tasks;

/// Serves inside a smol program: connections are tasks of the program's executor, and the server is a future.
///
/// Sockets are watched by a poller of the server's own, which is all that smol's reactor sees of it. One thread is
/// added, for housekeeping.
///
/// ```no_run
/// use std::sync::Arc;
///
/// use ant_cache_host::{Clock, Host, Listeners};
/// use ant_cache_runtime_smol::SmolRuntime;
///
/// let mut listeners = Listeners::new();
/// listeners.tcp("127.0.0.1", 8890)?;
/// let host = Arc::new(Host::new(Default::default(), Clock::system()));
/// let shutdown = async {
///     smol::Timer::after(std::time::Duration::from_secs(60)).await;
/// };
/// smol::block_on(SmolRuntime::new(host, listeners).serve(
///     |connection| smol::spawn(connection).detach(),
///     shutdown,
/// ))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SmolRuntime {
    host: Arc<Host>,
    listeners: Listeners,
}

impl SmolRuntime {
    /// A server of `host` that accepts at `listeners` once it [`serve`](Self::serve)s.
    #[must_use]
    pub const fn new(host: Arc<Host>, listeners: Listeners) -> Self {
        Self { host, listeners }
    }

    /// Accepts connections and serves them until `shutdown` is ready; then answers what was received and ends, within
    /// 5 s. `spawn` gives the task of each connection to the program's executor; what that does with it (threads,
    /// priorities) is its affair.
    ///
    /// Dropping this future breaks all connections; their tasks end when they are polled next.
    ///
    /// # Errors
    /// The system refuses a thread or descriptors to begin with.
    pub async fn serve(
        self,
        spawn: impl Fn(Serving) + Send + Sync + 'static,
        shutdown: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let Self { host, listeners } = self;
        let spawn = Arc::new(spawn);
        let pool = Pool::new(Arc::clone(&host), 1, || {
            let spawn = Arc::clone(&spawn);
            Tasks::spawned(move |serving| spawn(serving))
        })?;
        let _house = House::begin(&pool)?;
        let stats = host.service().counters();
        let mut term = pool.lead(LANE, &stats).ok_or(io::ErrorKind::WouldBlock)?;
        let watch = watched(pool.lane(LANE).poller())?;
        let serving = or(
            drive(&mut term, &watch, || false),
            welcome(&pool, &listeners),
        );
        let stop = async {
            shutdown.await;
            Ok(())
        };
        let served = or(stop, serving).await;
        drop(listeners);
        for (direction, grace) in [
            (Direction::Read, Shutdown::GRACE),
            (Direction::Both, Shutdown::LAST),
        ] {
            pool.end(direction);
            let emptied = drive(&mut term, &watch, || pool.connections() == 0);
            or(emptied, elapsed(Some(grace))).await?;
        }
        served
    }
}

/// The only lane.
const LANE: usize = 0;

type Watched<'a> = Async<BorrowedFd<'a>>;

/// A poller as smol's reactor sees it: readable while it has something to report.
fn watched(poller: &Poller) -> io::Result<Watched<'_>> {
    Async::new_nonblocking(poller.as_fd())
}

/// Leads the lane until something holds that changes with its connections.
async fn drive(
    term: &mut Term<'_, Tasks>,
    watch: &Watched<'_>,
    over: impl Fn() -> bool,
) -> io::Result<()> {
    while !over() {
        match term.patience() {
            Some(Duration::ZERO) => yield_now().await,
            patience => or(watch.readable(), elapsed(patience)).await?,
        }
        term.wait(Some(Duration::ZERO));
        if term.serve().is_err() {
            break;
        }
    }
    Ok(())
}

/// Accepts without an end.
async fn welcome(pool: &Arc<Pool<Tasks>>, listeners: &Listeners) -> io::Result<()> {
    let poller = Poller::new()?;
    for (key, listener) in (0..).zip(listeners.iter()) {
        poller.add(listener, key)?;
    }
    let watch = watched(&poller)?;
    let mut entrance = Entrance::new(pool.host());
    loop {
        watch.readable().await?;
        poller.wait(&mut Events::new(), Some(Duration::ZERO))?;
        for listener in listeners.iter() {
            loop {
                match entrance.admit(listener, |stream, link| pool.deliver(stream, link)) {
                    Admitted::All => break,
                    Admitted::Part => yield_now().await,
                    Admitted::Pause(time) => elapsed(Some(time)).await?,
                }
            }
        }
    }
}

/// A time; for ever where there is none.
async fn elapsed(time: Option<Duration>) -> io::Result<()> {
    match time {
        Some(time) => {
            Timer::after(time).await;
            Ok(())
        }
        None => pending().await,
    }
}

/// The thread that keeps house. Dropping this ends it, and whatever connections there still are.
struct House<'a> {
    pool: &'a Arc<Pool<Tasks>>,
    thread: Option<JoinHandle<()>>,
}

impl<'a> House<'a> {
    fn begin(pool: &'a Arc<Pool<Tasks>>) -> io::Result<Self> {
        let house = Arc::clone(pool);
        let thread = thread::Builder::new()
            .name("house".into())
            .spawn(move || house.housekeeper().run(house.host()))?;
        Ok(Self {
            pool,
            thread: Some(thread),
        })
    }
}

impl Drop for House<'_> {
    fn drop(&mut self) {
        self.pool.lane(LANE).places().end(Direction::Both);
        self.pool.housekeeper().stop();
        if let Some(thread) = self.thread.take() {
            // It has panicked, and said so.
            let _ = thread.join();
        }
    }
}
