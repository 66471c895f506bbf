//! Whether a lane has one busy connection.

use crate::poller::Event;

/// Whether only one connection asks for anything.
///
/// For it a worker may stay awake. Of several, some have sent by the time that a sleeping worker is awake, and are served
/// together for one wait: there, polling costs up to a third of a request's processor time, and gains little.
#[derive(Debug, Default)]
pub(super) struct Lone {
    /// The connection that the last events were of, where they were of one.
    last: Option<u64>,
    /// Whether those before were of it alone, too.
    alone: bool,
}

impl Lone {
    /// Notes what a wait has brought.
    #[inline]
    pub(super) fn note(&mut self, events: &[Event]) {
        let only = match events {
            // Mail, or the time is over: nobody has asked.
            [] => return,
            [event] => Some(event.key),
            _ => None,
        };
        self.alone = only.is_some() && only == self.last;
        self.last = only;
    }

    pub(super) const fn is_alone(&self) -> bool {
        self.alone
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn one_is_alone_from_its_second_event_on() {
        let event = |key| Event {
            key,
            read: true,
            write: false,
            ended: false,
            broken: false,
        };
        let mut lone = Lone::default();
        let mut after = |keys: &[u64]| {
            let events: Vec<_> = keys.iter().copied().map(event).collect();
            lone.note(&events);
            lone.is_alone()
        };
        assert!(!after(&[]));
        assert!(!after(&[1]));
        assert!(after(&[1]) && after(&[]) && after(&[1]));
        // Another, or both at once.
        assert!(!after(&[2]));
        assert!(!after(&[1]));
        assert!(after(&[1]));
        assert!(!after(&[1, 2]));
        assert!(!after(&[1]));
        assert!(after(&[1]));
    }
}
