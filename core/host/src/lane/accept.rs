//! What to do when a connection cannot be accepted.

use std::io::{self, ErrorKind};
use std::time::Duration;

use ant_cache_core::Millis;
use rustix::io::Errno;

/// What an error of accept means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It concerned one connection, which is gone: accept the next one.
    Next,
    /// Nobody waits: watch the listener.
    Wait,
    /// Descriptors or memory are exhausted, or the listener itself is broken: leave it alone for this long. It stays
    /// readable, so watching it would spin.
    Pause(Duration),
}

/// Judges the errors of accept for one server.
#[derive(Debug, Default)]
pub struct Acceptor {
    logged: Option<Millis>,
}

impl Acceptor {
    /// How long to leave a listener alone when descriptors are exhausted. They come back when some connection ends;
    /// a client waits in the backlog meanwhile.
    pub const PAUSE: Duration = Duration::from_millis(100);

    /// Log lines are at least this many milliseconds apart.
    const QUIET: u64 = 1000;

    /// One that has seen no errors.
    #[must_use]
    pub const fn new() -> Self {
        Self { logged: None }
    }

    /// What to do about `error`, which accept gave at `now`. What concerns the
    /// listener is logged, at most once a second.
    pub fn judge(&mut self, error: &io::Error, now: Millis) -> Verdict {
        match error.kind() {
            ErrorKind::WouldBlock => return Verdict::Wait,
            ErrorKind::Interrupted | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset => {
                return Verdict::Next;
            }
            _ => {}
        }
        let is_any_of = |errnos: &[Errno]| {
            let is = |errno: &Errno| error.raw_os_error() == Some(errno.raw_os_error());
            errnos.iter().any(is)
        };
        let exhausted = is_any_of(&[Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM]);
        let broken = is_any_of(&[Errno::BADF, Errno::INVAL, Errno::NOTSOCK]);
        if !exhausted && !broken {
            // Errors that the network had in store for this one connection (accept(2) lists a dozen).
            return Verdict::Next;
        }
        if self
            .logged
            .is_none_or(|logged| now.since(logged) >= Self::QUIET)
        {
            self.logged = Some(now);
            let advice = if exhausted {
                "; raise the limit of open files (ulimit -n)"
            } else {
                ""
            };
            tracing::warn!(%error, "connections cannot be accepted{advice}");
        }
        Verdict::Pause(Self::PAUSE)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn exhaustion_pauses_and_is_logged_once_a_second() {
        let mut acceptor = Acceptor::new();
        let full = io::Error::from_raw_os_error(Errno::MFILE.raw_os_error());
        for (now, logged) in [
            (0, 0),
            (999, 0),
            (1_000, 1_000),
            (1_500, 1_000),
            (2_000, 2_000),
        ] {
            assert_eq!(
                acceptor.judge(&full, Millis(now)),
                Verdict::Pause(Acceptor::PAUSE)
            );
            assert_eq!(acceptor.logged, Some(Millis(logged)));
        }
    }

    #[test]
    fn a_broken_listener_is_left_alone_as_well() {
        let mut acceptor = Acceptor::new();
        let broken = io::Error::from_raw_os_error(Errno::INVAL.raw_os_error());
        assert_eq!(
            acceptor.judge(&broken, Millis(5)),
            Verdict::Pause(Acceptor::PAUSE)
        );
        assert_eq!(acceptor.logged, Some(Millis(5)));
    }

    #[test]
    fn other_errors_concern_one_connection() {
        let mut acceptor = Acceptor::new();
        for errno in [
            Errno::CONNABORTED,
            Errno::PROTO,
            Errno::PERM,
            Errno::NETDOWN,
            Errno::INTR,
        ] {
            let error = io::Error::from_raw_os_error(errno.raw_os_error());
            assert_eq!(acceptor.judge(&error, Millis(0)), Verdict::Next);
        }
        assert_eq!(
            acceptor.judge(&ErrorKind::WouldBlock.into(), Millis(0)),
            Verdict::Wait
        );
        assert_eq!(acceptor.logged, None);
    }
}
