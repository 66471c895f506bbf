//! How the thread of a connection is reached while it waits.
//!
//! A thread that waits for its socket alone waits in a read, and nothing reaches it there. One that may be woken waits
//! for a descriptor besides, which it gets when it first needs it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, OnceLock};
use std::task::Wake;

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;

/// The waker of one thread. Whoever rings raises the flag, then looks for the descriptor; the thread makes the
/// descriptor, then looks at the flag. There is a full fence in the middle of both, so one of them sees the other.
#[derive(Debug, Default)]
pub(super) struct Bell {
    rung: AtomicBool,
    /// An eventfd, readable while somebody has rung and the thread has not heard.
    sound: OnceLock<OwnedFd>,
}

impl Bell {
    /// The descriptor to wait for. After this the thread must [`answer`](Self::answer) before it waits.
    ///
    /// # Errors
    /// What the system reports; it has no descriptors left.
    pub(super) fn listen(&self) -> io::Result<BorrowedFd<'_>> {
        if let Some(sound) = self.sound.get() {
            return Ok(sound.as_fd());
        }
        let new = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        // The thread alone sets it.
        let sound = self.sound.get_or_init(|| new);
        fence(Ordering::SeqCst);
        Ok(sound.as_fd())
    }

    /// Whether somebody has rung since the last answer: the connection is owed a turn. Nearly free where nobody has.
    pub(super) fn answer(&self) -> bool {
        self.rung.load(Ordering::Relaxed) && self.rung.swap(false, Ordering::AcqRel)
    }

    /// Quiets the descriptor and answers: the thread was waiting, and goes to its turn.
    ///
    /// # Errors
    /// None that a program could cause.
    pub(super) fn hear(&self) -> io::Result<()> {
        if let Some(sound) = self.sound.get() {
            match rustix::io::read(sound, &mut [0; 8]) {
                Ok(_) | Err(Errno::AGAIN | Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.answer();
        Ok(())
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.rung.swap(true, Ordering::AcqRel) {
            return;
        }
        fence(Ordering::SeqCst);
        if let Some(sound) = self.sound.get() {
            // It can only fail for want of room, where it is readable already.
            let _ = rustix::io::write(sound, &1u64.to_ne_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    /// Whether one who waits is reached.
    fn is_reached(bell: &Bell) -> bool {
        let sound = bell.listen().unwrap();
        let mut watched = [PollFd::from_borrowed_fd(sound, PollFlags::IN)];
        poll(&mut watched, Some(&Timespec::default())).unwrap() == 1
    }

    #[test]
    fn one_who_listens_is_reached_once() {
        let bell = Arc::new(Bell::default());
        let waker = Waker::from(Arc::clone(&bell));
        assert!(!bell.answer() && !is_reached(&bell));
        for _ in 0..2 {
            waker.wake_by_ref();
            waker.wake_by_ref();
            assert!(is_reached(&bell));
            bell.hear().unwrap();
            assert!(!is_reached(&bell) && !bell.answer());
        }
    }

    #[test]
    fn who_rings_before_anybody_listens_is_answered() {
        let bell = Arc::new(Bell::default());
        let waker = Waker::from(Arc::clone(&bell));
        waker.wake_by_ref();
        assert!(!is_reached(&bell), "nothing was there to be heard");
        assert!(bell.answer() && !bell.answer());
        waker.wake_by_ref();
        assert!(is_reached(&bell), "the next one is");
    }

    #[test]
    fn who_rings_while_the_thread_waits_elsewhere_is_answered_first() {
        let bell = Arc::new(Bell::default());
        let waker = Waker::from(Arc::clone(&bell));
        bell.listen().unwrap();
        waker.wake_by_ref();
        assert!(bell.answer());
        // What it left behind leads to one turn more, and to no more than that.
        assert!(is_reached(&bell));
        bell.hear().unwrap();
        assert!(!is_reached(&bell));
    }
}
