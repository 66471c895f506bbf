//! An edge-triggered poller: epoll, and an eventfd to interrupt it.
//!
//! It tells once what happened to a socket; whoever waits keeps what it is ready for
//! ([`Interest`](crate::lane::Interest)) until a turn uses it. A wait is one system call. The `polling` crate makes
//! five (it re-arms a timer and its notifier each time), and registering with it is `unsafe`.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::epoll::EventFlags as Flags;
use rustix::event::{EventfdFlags, epoll, eventfd};

use crate::patience::timespec;

/// What happened to a socket.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// As it was given to [`Poller::add`].
    pub key: u64,
    /// A read would find something.
    pub read: bool,
    /// A write would find room.
    pub write: bool,
    /// The peer sends nothing more, or the connection is broken: reading comes to an end.
    pub ended: bool,
    /// Both directions are over: nothing can be sent either.
    pub broken: bool,
}

/// The sockets' events of one wait, in the order in which they were reported.
pub type Events = Vec<Event>;

/// The key that is reported for [`Poller::notify`].
const NOTIFIED: u64 = u64::MAX;

/// Waits for many sockets at once. Its own descriptor ([`AsFd`]) is readable while it has something to report.
#[derive(Debug)]
pub struct Poller {
    epoll: OwnedFd,
    bell: OwnedFd,
}

impl Poller {
    /// Most events taken at once. A batch is served before the lane looks at its mail and at sockets that became ready
    /// meanwhile; at 7 µs a turn that is about a millisecond.
    pub const BATCH: usize = 128;

    /// One that watches nothing.
    ///
    /// # Errors
    /// What the system reports; it has no descriptors left.
    pub fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        // Each notification is reported once, and the count need never be read. It would take 2^64 notifications to
        // overflow it.
        let key = epoll::EventData::new_u64(NOTIFIED);
        epoll::add(&epoll, &bell, key, Flags::IN | Flags::ET)?;
        Ok(Self { epoll, bell })
    }

    /// Begins to watch a socket, under any key but `u64::MAX`. What it is ready for is reported now, and whenever
    /// something happens to it. A socket that is closed is watched no longer.
    ///
    /// # Errors
    /// What the system reports; it has no memory left, or watches the socket already.
    pub fn add(&self, socket: impl AsFd, key: u64) -> io::Result<()> {
        let key = epoll::EventData::new_u64(key);
        let flags = Flags::IN | Flags::OUT | Flags::RDHUP | Flags::ET;
        Ok(epoll::add(&self.epoll, socket, key, flags)?)
    }

    /// Watches a socket no longer.
    ///
    /// # Errors
    /// `NotFound` where it is not watched.
    pub fn remove(&self, socket: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, socket)?)
    }

    /// Ends a wait, this one or the next.
    ///
    /// # Errors
    /// None that a program could cause.
    pub fn notify(&self) -> io::Result<()> {
        rustix::io::write(&self.bell, &1u64.to_ne_bytes())?;
        Ok(())
    }

    /// Waits for events, at most for `most`, and puts them in place of what was in `events`. False where nothing has ended
    /// the wait but that; a [notification](Self::notify) does as well.
    ///
    /// # Errors
    /// None that a program could cause or mend.
    pub fn wait(&self, events: &mut Events, most: Option<Duration>) -> io::Result<bool> {
        events.clear();
        let mut room = [MaybeUninit::uninit(); Self::BATCH];
        match epoll::wait(&self.epoll, &mut room, most.map(timespec).as_ref()) {
            Ok((reported, _)) => {
                events.extend(reported.iter().filter_map(event));
                Ok(!reported.is_empty())
            }
            Err(rustix::io::Errno::INTR) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }
}

/// What epoll reports of a socket; `None` for a notification.
fn event(&epoll::Event { flags, data }: &epoll::Event) -> Option<Event> {
    let key = data.u64();
    let broken = flags.intersects(Flags::HUP | Flags::ERR);
    (key != NOTIFIED).then_some(Event {
        key,
        read: flags.contains(Flags::IN),
        write: flags.contains(Flags::OUT),
        ended: broken || flags.contains(Flags::RDHUP),
        broken,
    })
}

impl AsFd for Poller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn waited(poller: &Poller) -> Vec<Event> {
        let mut events = Events::new();
        poller.wait(&mut events, Some(Duration::ZERO)).unwrap();
        events
    }

    #[test]
    fn each_happening_is_told_once() {
        let poller = Poller::new().unwrap();
        let (near, mut far) = UnixStream::pair().unwrap();
        poller.add(&near, 7).unwrap();
        let [first] = waited(&poller)[..] else {
            panic!("it can be written to")
        };
        assert!(first.key == 7 && first.write && !first.read && !first.ended);
        assert!(waited(&poller).is_empty());
        far.write_all(b"a").unwrap();
        assert!(waited(&poller)[0].read);
        assert!(waited(&poller).is_empty(), "though it was not read");
        drop(far);
        let [last] = waited(&poller)[..] else {
            panic!("its peer is gone")
        };
        assert!(last.ended && last.broken);
        poller.remove(&near).unwrap();
        assert!(poller.remove(&near).is_err());
    }

    #[test]
    fn a_notification_ends_one_wait_and_is_no_event() {
        let poller = Poller::new().unwrap();
        poller.notify().unwrap();
        let mut events = Events::new();
        poller.wait(&mut events, None).unwrap();
        assert!(events.is_empty() && waited(&poller).is_empty());
    }
}
