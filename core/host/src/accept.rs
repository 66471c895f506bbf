//! Accepting connections: from all listeners in one thread, or a batch at a time for whoever waits in another way.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ant_cache_core::service::Refused;
use ant_cache_core::stats::Counters;
use rustix::event::{PollFd, PollFlags, poll};

use crate::lane::{Acceptor, Verdict};
use crate::patience::timespec;
use crate::{Host, Link, Listener, Listeners, Shutdown, Stream};

/// Most connections accepted from one listener before the others and the shutdown flag are looked at.
const BATCH: usize = 64;

/// The entrance of one server: accepts, counts, judges what goes wrong.
#[derive(Debug)]
pub struct Entrance {
    host: Arc<Host>,
    stats: Arc<Counters>,
    acceptor: Acceptor,
}

/// Why [`Entrance::admit`] has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// Nobody waits any more: watch the listener.
    All,
    /// It was enough for now: others may wait.
    Part,
    /// The system is exhausted: leave the listener alone for this long. It stays readable, so watching it would spin.
    Pause(Duration),
}

impl Entrance {
    /// The entrance of `host`.
    #[must_use]
    pub fn new(host: &Arc<Host>) -> Self {
        Self {
            host: Arc::clone(host),
            stats: host.service().counters(),
            acceptor: Acceptor::new(),
        }
    }

    /// Accepts and hands over a batch of those who wait at `listener`. Those over the limit of connections are told so
    /// and closed.
    pub fn admit(
        &mut self,
        listener: &Listener,
        mut deliver: impl FnMut(Stream, Link),
    ) -> Admitted {
        for _ in 0..BATCH {
            let accepted = listener.accept();
            let now = self.host.clock().now();
            match accepted {
                Ok((stream, origin)) => match self.host.connect(origin, now) {
                    Ok(link) => deliver(stream, link),
                    Err(Refused) => stream.refuse(Refused::REPLY),
                },
                Err(error) => match self.acceptor.judge(&error, now) {
                    Verdict::Next => {}
                    Verdict::Wait => return Admitted::All,
                    Verdict::Pause(time) => {
                        self.stats.accept_exhausted.add(1);
                        return Admitted::Pause(time);
                    }
                },
            }
        }
        Admitted::Part
    }
}

/// Accepts and hands over connections, in this thread, until `shutdown` is triggered.
///
/// # Errors
/// The system cannot even wait for connections.
pub fn accept(
    host: &Arc<Host>,
    listeners: &Listeners,
    shutdown: &Shutdown,
    mut deliver: impl FnMut(Stream, Link),
) -> io::Result<()> {
    let mut entrance = Entrance::new(host);
    let mut pause: Option<Instant> = None;
    loop {
        // The flag is first; without the listeners it is all that is watched during a pause.
        let mut watched = vec![PollFd::new(shutdown, PollFlags::IN)];
        let left = pause
            .map(|end| end.saturating_duration_since(Instant::now()))
            .filter(|left| !left.is_zero());
        if left.is_none() {
            watched.extend(
                listeners
                    .iter()
                    .map(|listener| PollFd::new(listener, PollFlags::IN)),
            );
        }
        match poll(&mut watched, left.map(timespec).as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        if shutdown.is_triggered() {
            return Ok(());
        }
        let ready = watched[1..].iter().map(|fd| !fd.revents().is_empty());
        pause = None;
        for (listener, _) in listeners.iter().zip(ready).filter(|(_, ready)| *ready) {
            if let Admitted::Pause(time) = entrance.admit(listener, &mut deliver) {
                pause = Some(Instant::now() + time);
            }
        }
    }
}
