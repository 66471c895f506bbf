//! What a connection's socket is ready for, and what the connection wants of it.
//!
//! An edge-triggered poller tells once what has happened. Here it is kept until a turn uses it, so nothing has to be
//! switched on and off in the kernel, and what was told to a leader is not lost if that one is deposed.

use crate::Next;
use crate::poller::Event;
use crate::turn::Turned;

/// What a socket is ready for, as far as is known.
#[derive(Clone, Copy, Debug, Default)]
struct Ready {
    /// Cleared before each read, so that what happens during it is not missed.
    read: bool,
    /// Cleared before each turn.
    write: bool,
    /// Reading ends: stays until that was read.
    ended: bool,
    /// Nothing can be sent any more.
    broken: bool,
}

/// Readiness and wants of one connection.
#[derive(Clone, Copy, Debug)]
pub struct Interest {
    ready: Ready,
    next: Next,
    /// Woken from outside since its last turn began.
    woken: bool,
}

impl Default for Interest {
    fn default() -> Self {
        Self::new()
    }
}

impl Interest {
    /// Of a new connection: nothing is known of its socket, and it is due for its first turn.
    #[must_use]
    pub fn new() -> Self {
        Self {
            ready: Ready::default(),
            next: Next {
                again: true,
                ..Next::default()
            },
            woken: false,
        }
    }

    /// Notes that the connection was woken from outside: it is due for a turn, whatever it wants.
    pub const fn wake(&mut self) {
        self.woken = true;
    }

    /// Notes what the poller has told.
    #[inline]
    pub fn note(&mut self, event: Event) {
        self.ready.read |= event.read;
        self.ready.write |= event.write;
        self.ready.ended |= event.ended;
        self.ready.broken |= event.broken;
    }

    /// Notes that the server itself has ended the socket: reading, or both directions.
    pub fn note_end(&mut self, both: bool) {
        self.ready.ended = true;
        self.ready.broken |= both;
    }

    /// Notes what the connection wants after a turn.
    #[inline]
    pub fn want(&mut self, turned: Turned) {
        self.next = turned.next;
        self.ready.read |= turned.more;
    }

    /// Whether there is a reason for a turn, its deadline aside.
    #[must_use]
    #[inline]
    pub fn is_due(&self) -> bool {
        let Self { ready, next, woken } = self;
        next.again
            || *woken
            || self.is_gone()
            || (next.read && (ready.read || ready.ended))
            || (next.write && (ready.write || ready.broken))
    }

    /// Whether the connection is over, and it wants nothing that would find out.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.ready.broken && !self.next.read && !self.next.write && !self.next.again
    }

    /// Begins a turn. True means that the turn should receive.
    #[inline]
    pub fn begin(&mut self) -> bool {
        // While a command is under way nothing is read: the session would only have to keep it.
        let readable = self.next.read && !self.next.again && (self.ready.read || self.ready.ended);
        self.ready.read &= !readable;
        self.ready.write = false;
        self.woken = false;
        readable
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const NOTHING: Event = Event {
        key: 0,
        read: false,
        write: false,
        ended: false,
        broken: false,
    };
    const READ: Event = Event {
        read: true,
        ..NOTHING
    };

    fn wants(next: Next) -> Interest {
        let mut interest = Interest::new();
        assert!(interest.is_due() && !interest.begin());
        interest.want(Turned { next, more: false });
        interest
    }

    fn reader() -> Interest {
        wants(Next {
            read: true,
            ..Next::default()
        })
    }

    #[test]
    fn what_arrives_leads_to_one_turn_that_receives() {
        let mut interest = reader();
        assert!(!interest.is_due());
        interest.note(READ);
        assert!(interest.is_due() && interest.begin() && !interest.is_due());
        interest.note(READ);
        assert!(interest.is_due(), "it came during the turn");
    }

    #[test]
    fn what_was_not_read_leads_to_another() {
        let mut interest = reader();
        interest.note(READ);
        interest.begin();
        let next = Next {
            read: true,
            ..Next::default()
        };
        interest.want(Turned { next, more: true });
        assert!(interest.is_due() && interest.begin());
    }

    #[test]
    fn a_wake_leads_to_one_turn_that_receives_nothing() {
        let mut interest = reader();
        interest.wake();
        assert!(interest.is_due() && !interest.begin() && !interest.is_due());
        interest.wake();
        interest.want(Turned {
            next: Next::default(),
            more: false,
        });
        assert!(interest.is_due(), "it came during the turn");
    }

    #[test]
    fn an_end_stays_until_the_connection_closes() {
        let mut interest = reader();
        interest.note_end(false);
        assert!(interest.begin() && interest.begin());
        assert!(!interest.is_gone());
    }

    #[test]
    fn what_is_not_wanted_waits() {
        let mut interest = wants(Next::default());
        interest.note(READ);
        assert!(!interest.is_due() && !interest.begin());
        interest.want(Turned {
            next: Next {
                write: true,
                ..Next::default()
            },
            more: false,
        });
        assert!(!interest.is_due());
        interest.note(Event {
            write: true,
            ..NOTHING
        });
        assert!(interest.is_due() && !interest.begin());
        interest.want(Turned {
            next: Next {
                read: true,
                ..Next::default()
            },
            more: false,
        });
        assert!(interest.begin(), "what arrived before");
    }

    #[test]
    fn one_that_is_broken_and_wants_nothing_is_gone() {
        let mut interest = wants(Next::default());
        interest.note_end(true);
        assert!(interest.is_gone() && interest.is_due());
        let mut writer = wants(Next {
            write: true,
            ..Next::default()
        });
        writer.note_end(true);
        assert!(!writer.is_gone() && writer.is_due(), "its write finds out");
    }
}
