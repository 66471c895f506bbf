//! One turn of one connection, whatever happens in it.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ant_cache_core::stats::Counters;
use ant_cache_core::{Budget, Cause, Millis, Turn};

use crate::{Buffers, Ending, Host, Link, Next, Received, Stream, Wire};

/// What a turn works with besides the connection.
#[derive(Debug)]
pub struct Workbench<'a> {
    /// The server.
    pub host: &'a Host,
    /// Counters that nobody else writes meanwhile.
    pub stats: &'a Counters,
    /// Spare buffers. Whoever keeps them [settles](Buffers::settle) for them.
    pub buffers: &'a mut Buffers,
}

/// What a turn led to.
#[derive(Clone, Copy, Debug)]
pub struct Turned {
    /// What the connection wants now.
    pub next: Next,
    /// Whether there may be more to receive than was received.
    pub more: bool,
}

/// What opening a connection led to.
#[derive(Clone, Copy, Debug)]
pub struct Opened {
    /// Whether there may be more to receive than was received.
    pub more: bool,
    /// What [`Link::prepare`] says.
    pub prepared: bool,
}

impl Workbench<'_> {
    /// Receives where `readable`, then pumps at the moment that `now` gives. `None` means that the connection is to
    /// be closed: it came to its end, it broke, or its turn panicked. That is counted and logged here.
    pub fn turn(
        &mut self,
        link: &mut Link,
        stream: &Stream,
        readable: bool,
        now: impl FnOnce() -> Millis,
    ) -> Option<Turned> {
        let turned = self.guard(stream, |bench| {
            let mut wire = stream.ready();
            let more = readable && link.receive(&mut wire, bench.buffers)? == Received::Part;
            let next = bench.pump(link, &mut wire, now())?;
            Ok(Turned { next, more })
        })?;
        if turned.next.close.is_none() {
            return Some(turned);
        }
        self.count(turned.next.close);
        tracing::trace!(ending = ?turned.next.close, "connection closed");
        None
    }

    /// Receives and [prepares](Link::prepare) for a turn that comes soon, and need not receive then. `None` as
    /// [`turn`](Self::turn) does.
    pub fn open(&mut self, link: &mut Link, stream: &Stream) -> Option<Opened> {
        self.guard(stream, |bench| {
            let received = link.receive(&mut stream.ready(), bench.buffers)?;
            Ok(Opened {
                more: received == Received::Part,
                prepared: link.prepare(),
            })
        })
    }

    /// Does something for a connection; `None` where that broke, or panicked.
    fn guard<T>(
        &mut self,
        stream: &Stream,
        step: impl FnOnce(&mut Self) -> io::Result<T>,
    ) -> Option<T> {
        match catch_unwind(AssertUnwindSafe(|| step(self))) {
            Ok(Ok(done)) => Some(done),
            Ok(Err(error)) => {
                self.stats.closed_broken.add(1);
                tracing::debug!(%error, peer = stream.peer(), "connection broken");
                None
            }
            Err(panic) => {
                self.stats.closed_panicked.add(1);
                tracing::error!(
                    peer = stream.peer(),
                    panic = message(&*panic),
                    "a turn panicked; connection closed"
                );
                None
            }
        }
    }

    /// Counts an end by its cause. Where time ran out, whoever noticed has counted it.
    fn count(&self, ending: Option<Ending>) {
        match ending {
            Some(Ending::Session(Cause::Quit)) => self.stats.closed_quit.add(1),
            Some(Ending::Session(Cause::Eof)) => self.stats.closed_eof.add(1),
            Some(Ending::Session(Cause::Protocol)) => self.stats.closed_protocol.add(1),
            _ => {}
        }
    }

    fn pump<W: Wire>(&mut self, link: &mut Link, wire: &mut W, now: Millis) -> io::Result<Next> {
        let mut cx = Turn {
            now,
            budget: Budget::TURN,
            stats: self.stats,
        };
        link.pump(wire, &mut cx, &self.host.service().settings, self.buffers)
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(no message)")
}
