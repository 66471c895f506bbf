//! One turn of one connection, whatever happens in it.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ant_cache_core::stats::Counters;
use ant_cache_core::{Budget, Cause, Millis, Turn};

use crate::lane::Interest;
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

/// What a turn begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// To receive.
    Receive,
    /// To work and to send.
    Work {
        /// Whether there may be more to receive than was received.
        more: bool,
    },
    /// To close the connection: it is gone, and wants nothing that would find out, or it broke.
    Close,
}

impl Begin {
    /// What the turn of a connection that is due begins with.
    #[inline]
    pub fn of(interest: &mut Interest) -> Self {
        if interest.is_gone() {
            Self::Close
        } else if interest.begin() {
            Self::Receive
        } else {
            Self::Work { more: false }
        }
    }
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

    /// Receives, where that is what the turn begins with, and [prepares](Link::prepare): one of several connections that
    /// have their turns soon. False where no more of them are to be opened: where clients send many requests at once,
    /// the turns of the others receive by themselves.
    pub fn open(&mut self, link: &mut Link, stream: &Stream, begin: &mut Begin) -> bool {
        if *begin != Begin::Receive {
            return true;
        }
        let opened = self.guard(stream, |bench| {
            let received = link.receive(&mut stream.ready(), bench.buffers)?;
            Ok((received == Received::Part, link.prepare()))
        });
        *begin = opened.map_or(Begin::Close, |(more, _)| Begin::Work { more });
        opened.is_none_or(|(_, prepared)| prepared)
    }

    /// The turn of a connection that may have been [opened](Self::open). `None` as [`turn`](Self::turn) does.
    pub fn go_on(
        &mut self,
        link: &mut Link,
        stream: &Stream,
        begin: Begin,
        now: impl FnOnce() -> Millis,
    ) -> Option<Turned> {
        let more = match begin {
            Begin::Receive => return self.turn(link, stream, true, now),
            Begin::Work { more } => more,
            Begin::Close => return None,
        };
        let turned = self.turn(link, stream, false, now)?;
        Some(Turned { more, ..turned })
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
