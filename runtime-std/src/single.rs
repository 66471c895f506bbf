//! The architecture *single*: a thread a connection.
//!
//! The scheduler of the system is the scheduler of the connections. That is the simplest server there is, and with few
//! connections its latency is as low as any; each costs a stack and a context switch a request.

mod bell;

use std::io;
use std::net::Shutdown as Direction;
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::thread;
use std::time::Duration;

use ant_cache_core::Millis;
use ant_cache_core::stats::Counters;
use ant_cache_host::lane::{Slots, Token};
use ant_cache_host::{
    Buffers, Host, Housekeeper, Link, Listeners, Next, Received, Runtime, STACK, Shutdown, Stream,
    Turned, Workbench, accept, timespec,
};
use rustix::event::{PollFd, PollFlags, poll};

use bell::Bell;

/// What a connection reads for which the system has no thread, in both dialects' form.
const NO_THREAD: &[u8] = b"-ERR out of threads\r\nERROR out of threads\r\n";

/// How long a thread waits in recv, with a buffer at hand and one system call, before it takes the connection for
/// idle: then it gives the buffer back and waits in poll.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often a thread that may be woken looks whether it was, where the system has no descriptor left for its bell.
const LOOK: Duration = Duration::from_millis(10);

/// A thread a connection.
#[derive(Clone, Copy, Debug)]
pub struct Single {
    /// Bytes of stack of each thread. Pages that are never touched cost nothing.
    pub stack_size: usize,
}

impl Default for Single {
    fn default() -> Self {
        Self { stack_size: STACK }
    }
}

impl Runtime for Single {
    fn serve(self, host: Arc<Host>, listeners: Listeners, shutdown: Shutdown) -> io::Result<()> {
        let crew = Arc::new(Crew::default());
        let housekeeper = Arc::new(Housekeeper::new());
        let house = thread::Builder::new().name("house".into()).spawn({
            let (housekeeper, host) = (Arc::clone(&housekeeper), Arc::clone(&host));
            move || housekeeper.run(&host)
        })?;
        let stats = host.service().counters();
        let accepted = accept(&host, &listeners, &shutdown, |stream, link| {
            let stream = Arc::new(stream);
            let worker = Worker::new(&host, &crew, &housekeeper, &stream);
            let thread = thread::Builder::new()
                .name("client".into())
                .stack_size(self.stack_size);
            if let Err(error) = thread.spawn(move || worker.run(link)) {
                stats.closed_threadless.add(1);
                tracing::warn!(%error, "no thread for a connection");
                stream.refuse(NO_THREAD);
            }
        });
        drop(listeners);
        crew.dismiss();
        housekeeper.stop();
        let _ = house.join();
        accepted
    }
}

/// The threads that serve connections.
#[derive(Debug, Default)]
struct Crew {
    state: Mutex<State>,
    /// Signalled when the last one ends.
    empty: Condvar,
}

#[derive(Debug, Default)]
struct State {
    streams: Slots<Arc<Stream>>,
    /// Sets of counters whose threads have ended, to be used again: the service sums over all that were ever made.
    counters: Vec<Arc<Counters>>,
}

impl Crew {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets each thread answer what has arrived and end; breaks what is left after the grace.
    fn dismiss(&self) {
        for (how, grace) in [
            (Direction::Read, Shutdown::GRACE),
            (Direction::Both, Shutdown::LAST),
        ] {
            let mut state = self.lock();
            for (_, stream) in state.streams.iter_mut() {
                // Where the peer is gone already, the thread has learnt of it too.
                let _ = stream.shutdown(how);
            }
            let busy = |state: &mut State| !state.streams.is_empty();
            state = self
                .empty
                .wait_timeout_while(state, grace, busy)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
            if state.streams.is_empty() {
                return;
            }
        }
        tracing::warn!(
            connections = self.lock().streams.len(),
            "connections were abandoned in the middle of a turn"
        );
    }
}

/// The thread of one connection. Dropping it signs it off.
struct Worker {
    host: Arc<Host>,
    crew: Arc<Crew>,
    housekeeper: Arc<Housekeeper>,
    stream: Arc<Stream>,
    token: Token,
    stats: Option<Arc<Counters>>,
    bell: Arc<Bell>,
}

impl Worker {
    fn new(
        host: &Arc<Host>,
        crew: &Arc<Crew>,
        housekeeper: &Arc<Housekeeper>,
        stream: &Arc<Stream>,
    ) -> Self {
        let token = crew.lock().streams.insert(Arc::clone(stream));
        Self {
            host: Arc::clone(host),
            crew: Arc::clone(crew),
            housekeeper: Arc::clone(housekeeper),
            stream: Arc::clone(stream),
            token,
            stats: None,
            bell: Arc::default(),
        }
    }

    fn run(mut self, mut link: Link) {
        let spare = self.crew.lock().counters.pop();
        let stats = Arc::clone(
            self.stats
                .insert(spare.unwrap_or_else(|| self.host.service().counters())),
        );
        if let Err(error) = self.stream.set_patience(Some(PATIENCE)) {
            tracing::debug!(%error, "connection broken");
            return;
        }
        link.set_waker(Waker::from(Arc::clone(&self.bell)));
        let mut buffers = Buffers::new();
        let now = || self.host.clock().now();
        let mut readable = false;
        loop {
            let mut bench = Workbench {
                host: &self.host,
                stats: &stats,
                buffers: &mut buffers,
            };
            let Some(Turned { next, .. }) = bench.turn(&mut link, &self.stream, readable, now)
            else {
                return;
            };
            buffers.settle(self.host.service().ledger());
            self.housekeeper.nudge();
            readable = match self.wait(&mut link, &mut buffers, next) {
                Ok(readable) => readable,
                Err(error) => {
                    tracing::debug!(%error, peer = self.stream.peer(), "connection broken");
                    return;
                }
            };
        }
    }

    /// Waits for what `next` wants. True means that there is something to receive; what this received itself is in
    /// the link.
    fn wait(&self, link: &mut Link, buffers: &mut Buffers, next: Next) -> io::Result<bool> {
        let bell = next.woken.then(|| self.bell.listen().ok()).flatten();
        if next.again {
            return Ok(false);
        }
        if self.bell.answer() {
            // The socket is looked at too, so that whoever wakes ever again does not keep it from being read.
            return Ok(next.read);
        }
        let left = || {
            let left =
                |deadline: Millis| Duration::from_millis(deadline.since(self.host.clock().now()));
            let deaf = (next.woken && bell.is_none()).then_some(LOOK);
            next.deadline.map(left).into_iter().chain(deaf).min()
        };
        if next.read
            && !next.write
            && !next.woken
            && left().is_none_or(|left| left > PATIENCE)
            && link.receive(&mut self.stream.waiting(), buffers)? != Received::Nothing
        {
            return Ok(false);
        }
        buffers.clear();
        let mut events = PollFlags::empty();
        events.set(PollFlags::IN, next.read);
        events.set(PollFlags::OUT, next.write);
        let mut watched = [
            PollFd::new(&self.stream, events),
            PollFd::from_borrowed_fd(bell.unwrap_or(self.stream.as_fd()), PollFlags::IN),
        ];
        let count = 1 + usize::from(bell.is_some());
        match poll(&mut watched[..count], left().map(timespec).as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        if count > 1 && !watched[1].revents().is_empty() {
            self.bell.hear()?;
        }
        let gone = watched[0]
            .revents()
            .intersects(PollFlags::HUP | PollFlags::ERR);
        if gone && events.is_empty() {
            // Nothing is wanted of the socket that would find out by itself.
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        Ok(next.read && (gone || watched[0].revents().contains(PollFlags::IN)))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let mut state = self.crew.lock();
        state.streams.remove(self.token);
        state.counters.extend(self.stats.take());
        if state.streams.is_empty() {
            self.crew.empty.notify_all();
        }
    }
}
