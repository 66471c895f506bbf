//! An edge-triggered poller: epoll, and an eventfd to interrupt it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::epoll::EventFlags as Flags;
use rustix::event::{EventfdFlags, epoll, eventfd};

use crate::accept::timespec;

/// What happened to a socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    /// As it was given to [`Poller::add`].
    pub(crate) key: u64,
    /// A read would find something.
    pub(crate) read: bool,
    /// A write would find room.
    pub(crate) write: bool,
    /// The peer sends nothing more, or the connection is broken: reading comes to an end.
    pub(crate) ended: bool,
    /// Both directions are over: nothing can be sent either.
    pub(crate) broken: bool,
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
        // Each notification is reported once, and the count need never be read. It would take 2^64 notifications to
        // overflow it.
        let key = epoll::EventData::new_u64(NOTIFIED);
        epoll::add(&epoll, &bell, key, Flags::IN | Flags::ET)?;
        Ok(Self { epoll, bell })
    }

    /// Begins to watch a socket. What it is ready for is reported now, and whenever something happens to it.
    pub(crate) fn add(&self, socket: impl AsFd, key: u64) -> io::Result<()> {
        let key = epoll::EventData::new_u64(key);
        let flags = Flags::IN | Flags::OUT | Flags::RDHUP | Flags::ET;
        Ok(epoll::add(&self.epoll, socket, key, flags)?)
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
        let room = rustix::buffer::spare_capacity(events);
        match epoll::wait(&self.epoll, room, most.map(timespec).as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The sockets' events among `events`.
pub(crate) fn sockets(events: &Events) -> impl Iterator<Item = Event> {
    // Copied, for an event is a packed structure.
    let pairs = events
        .iter()
        .map(|&epoll::Event { flags, data }| (flags, data.u64()));
    pairs
        .filter(|(_, key)| *key != NOTIFIED)
        .map(|(flags, key)| {
            let broken = flags.intersects(Flags::HUP | Flags::ERR);
            Event {
                key,
                read: flags.contains(Flags::IN),
                write: flags.contains(Flags::OUT),
                ended: broken || flags.contains(Flags::RDHUP),
                broken,
            }
        })
}
