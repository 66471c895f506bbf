//! The acceptor: one thread for all listeners.

use std::io;
use std::time::{Duration, Instant};

use ant_cache_core::service::Refused;
use ant_cache_core::stats::Counters;
use ant_cache_host::lane::{Acceptor, Verdict};
use ant_cache_host::{Host, Link, Listener, Listeners, Shutdown, Stream};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Most connections accepted from one listener before the others and the shutdown flag are looked at.
const BATCH: usize = 64;

/// Accepts and hands over connections until `shutdown` is triggered. Those over the limit are told so and closed.
///
/// # Errors
/// The system cannot even wait for connections.
pub(crate) fn accept(
    host: &Host,
    listeners: &Listeners,
    shutdown: &Shutdown,
    mut deliver: impl FnMut(Stream, Link),
) -> io::Result<()> {
    let stats = host.service().counters();
    let mut acceptor = Acceptor::new();
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
            if let Some(time) = drain(host, listener, &stats, &mut acceptor, &mut deliver) {
                pause = Some(Instant::now() + time);
            }
        }
    }
}

/// Accepts from one listener. Returns how long to leave it alone, where the system is exhausted.
fn drain(
    host: &Host,
    listener: &Listener,
    stats: &Counters,
    acceptor: &mut Acceptor,
    deliver: &mut impl FnMut(Stream, Link),
) -> Option<Duration> {
    for _ in 0..BATCH {
        let accepted = listener.accept();
        let now = host.clock().now();
        match accepted {
            Ok(stream) => match host.connect(now) {
                Ok(link) => deliver(stream, link),
                Err(Refused) => stream.refuse(Refused::REPLY),
            },
            Err(error) => match acceptor.judge(&error, now) {
                Verdict::Next => {}
                Verdict::Wait => break,
                Verdict::Pause(time) => {
                    stats.accept_exhausted.add(1);
                    return Some(time);
                }
            },
        }
    }
    None
}

/// A duration for rustix, rounded up to milliseconds: a timeout must not end before its time.
pub(crate) fn timespec(time: Duration) -> Timespec {
    let ms = i64::try_from(time.as_millis())
        .unwrap_or(i64::MAX)
        .saturating_add(i64::from(!time.subsec_nanos().is_multiple_of(1_000_000)));
    Timespec {
        tv_sec: ms / 1000,
        tv_nsec: ms % 1000 * 1_000_000,
    }
}
