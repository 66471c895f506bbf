//! The request to stop.

use std::io::{self, Read};
use std::net::Shutdown as Direction;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};
use std::time::Duration;

/// A flag that any thread can raise once and any thread can wait for. Clones share it.
///
/// Waiting is by descriptor ([`AsFd`]: readable once the flag is raised, and for ever after), so that a poller can
/// wait for it together with sockets.
#[derive(Clone, Debug)]
pub struct Shutdown(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    raised: AtomicBool,
    /// Its direction is ended by the trigger, which makes `far` readable and can be done from any thread.
    near: UnixStream,
    far: UnixStream,
}

impl Shutdown {
    /// How long connections get, after the trigger, to have answered what was received from them. A server is promised
    /// to stop within 5 s; what is left when the grace ends has to be broken, and threads have to end.
    pub const GRACE: Duration = Duration::from_millis(4500);

    /// How long connections get, after that and once their sockets are broken, to find out and end.
    pub const LAST: Duration = Duration::from_millis(200);

    /// A flag that is not raised.
    ///
    /// # Errors
    /// What the system reports; it has no descriptors left.
    pub fn new() -> io::Result<Self> {
        let (near, far) = UnixStream::pair()?;
        Ok(Self(Arc::new(Inner {
            raised: AtomicBool::new(false),
            near,
            far,
        })))
    }

    /// Raises the flag: the server answers what it has received, then stops, within [`GRACE`](Self::GRACE).
    pub fn trigger(&self) {
        self.0.raised.store(true, Ordering::Release);
        // It can only fail where it was ended before.
        let _ = self.0.near.shutdown(Direction::Write);
    }

    /// A waker that raises the flag.
    #[must_use]
    pub fn waker(&self) -> Waker {
        struct Stop(Shutdown);

        impl Wake for Stop {
            fn wake(self: Arc<Self>) {
                self.0.trigger();
            }
        }

        Arc::new(Stop(self.clone())).into()
    }

    /// Whether the flag is raised.
    #[must_use]
    pub fn is_triggered(&self) -> bool {
        self.0.raised.load(Ordering::Acquire)
    }

    /// Waits until the flag is raised.
    pub fn wait(&self) {
        while !self.is_triggered() {
            // Interrupted at worst.
            let _ = (&self.0.far).read(&mut [0]);
        }
    }
}

impl AsFd for Shutdown {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.far.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waiting_thread_is_released_and_so_is_a_late_one() {
        let shutdown = Shutdown::new().unwrap();
        assert!(!shutdown.is_triggered());
        let waiter = std::thread::spawn({
            let shutdown = shutdown.clone();
            move || shutdown.wait()
        });
        shutdown.waker().wake();
        shutdown.trigger();
        waiter.join().unwrap();
        shutdown.wait();
        assert!(shutdown.is_triggered());
    }
}
