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
