//! A level-triggered poller: epoll, and an eventfd to interrupt it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{EventfdFlags, epoll, eventfd};

use crate::accept::timespec;

/// What to watch a socket for. The end of both directions and errors are reported whatever is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interest {
    pub(crate) read: bool,
    pub(crate) write: bool,
}

impl Interest {
    fn flags(self) -> epoll::EventFlags {
        let mut flags = epoll::EventFlags::empty();
        flags.set(epoll::EventFlags::IN, self.read);
        flags.set(epoll::EventFlags::OUT, self.write);
        flags
    }
}

/// What a socket is ready for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    /// As it was given to [`Poller::add`].
    pub(crate) key: u64,
    /// A read would not block.
    pub(crate) readable: bool,
    /// There is an error, and nothing that was asked for: the connection is broken.
    pub(crate) gone: bool,
}

/// Room for the events of one wait.
pub(crate) type Events = Vec<epoll::Event>;

/// The key that is reported for [`Poller::notify`].
const NOTIFIED: u64 = u64::MAX;

#[derive(Debug)]
pub(crate) struct Poller {
    epoll: OwnedFd,
    bell: OwnedFd,
}

impl Poller {
    /// Most events taken at once. A batch is served before the lane looks at its mail and at sockets that became ready
    /// meanwhile; at 7 µs a turn that is about a millisecond.
    pub(crate) const BATCH: usize = 128;

    pub(crate) fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        // Edge-triggered: each notification is reported once, and the count need never be read. It would take 2^64
        // notifications to overflow it.
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&epoll, &bell, epoll::EventData::new_u64(NOTIFIED), flags)?;
        Ok(Self { epoll, bell })
    }

    /// Begins to watch a socket.
    pub(crate) fn add(&self, socket: impl AsFd, key: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::add(
            &self.epoll,
            socket,
            epoll::EventData::new_u64(key),
            interest.flags(),
        )?)
    }

    /// Changes what a socket is watched for.
    pub(crate) fn modify(&self, socket: impl AsFd, key: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::modify(
            &self.epoll,
            socket,
            epoll::EventData::new_u64(key),
            interest.flags(),
        )?)
    }

    /// Watches a socket no longer.
    pub(crate) fn remove(&self, socket: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, socket)?)
    }

    /// Ends a wait, this one or the next.
    pub(crate) fn notify(&self) -> io::Result<()> {
        rustix::io::write(&self.bell, &1u64.to_ne_bytes())?;
        Ok(())
    }

    /// Waits for events, at most for `most`, and puts them in place of what was in `events`.
    pub(crate) fn wait(&self, events: &mut Events, most: Option<Duration>) -> io::Result<()> {
        events.clear();
        events.reserve(Self::BATCH);
        match epoll::wait(
            &self.epoll,
            rustix::buffer::spare_capacity(events),
            most.map(timespec).as_ref(),
        ) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The sockets' events among `events`.
pub(crate) fn sockets(events: &Events) -> impl Iterator<Item = Event> {
    use epoll::EventFlags as Flags;
    // Copied, for an event is a packed structure.
    let pairs = events
        .iter()
        .map(|&epoll::Event { flags, data }| (flags, data.u64()));
    pairs
        .filter(|(_, key)| *key != NOTIFIED)
        .map(|(flags, key)| {
            // A reset is reported as readable and writable too, as far as that was asked for.
            let gone = !flags.intersects(Flags::IN | Flags::OUT);
            Event {
                key,
                readable: flags.contains(Flags::IN),
                gone,
            }
        })
}
