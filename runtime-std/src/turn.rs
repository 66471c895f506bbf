//! One turn of one connection, whatever happens in it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ant_cache_core::stats::Counters;
use ant_cache_core::{Budget, Millis, Turn};
use ant_cache_host::{Buffers, Host, Link, Next, Stream, Wire};

/// What a turn works with besides the connection.
pub(crate) struct Bench<'a> {
    pub(crate) host: &'a Host,
    pub(crate) stats: &'a Counters,
    pub(crate) buffers: &'a mut Buffers,
}

impl Bench<'_> {
    /// Receives where `readable`, then pumps at the moment that `now` gives. `None` means that the connection is to
    /// be closed: it came to its end, it broke, or its turn panicked. That is counted and logged here.
    pub(crate) fn turn(
        &mut self,
        link: &mut Link,
        stream: &Stream,
        readable: bool,
        now: impl FnOnce() -> Millis,
    ) -> Option<Next> {
        let turn = AssertUnwindSafe(|| {
            let mut wire = stream.ready();
            if readable {
                link.receive(&mut wire, self.buffers)?;
            }
            self.pump(link, &mut wire, now())
        });
        match catch_unwind(turn) {
            Ok(Ok(next)) if next.close.is_none() => Some(next),
            Ok(Ok(next)) => {
                tracing::trace!(ending = ?next.close, "connection closed");
                None
            }
            Ok(Err(error)) => {
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

    fn pump<W: Wire>(
        &mut self,
        link: &mut Link,
        wire: &mut W,
        now: Millis,
    ) -> std::io::Result<Next> {
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
