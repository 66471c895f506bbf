//! Signals of the process, which are the program's and not the library's.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};

use libc::{c_int, sigset_t};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

/// Signals that are kept from the calling thread, and from those that it starts meanwhile; until this is dropped.
pub(crate) struct Blocked {
    before: sigset_t,
}

impl Blocked {
    fn new(signals: &sigset_t) -> Self {
        let mut before = MaybeUninit::uninit();
        // SAFETY: both are sets of signals, and the second is written to. It fails only for an unknown first argument.
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, signals, before.as_mut_ptr()) };
        Self {
            // SAFETY: the call above has written it.
            before: unsafe { before.assume_init() },
        }
    }

    /// All of them: a thread of the library's runs no handler of the program's.
    pub(crate) fn all() -> Self {
        let mut signals = MaybeUninit::uninit();
        // SAFETY: it is written to, and initialised by that.
        let signals = unsafe {
            libc::sigfillset(signals.as_mut_ptr());
            signals.assume_init()
        };
        Self::new(&signals)
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // SAFETY: the set is the one that was in force before.
        unsafe {
            libc::pthread_sigmask(
                libc::SIG_SETMASK,
                &raw const self.before,
                core::ptr::null_mut(),
            )
        };
    }
}

/// Waits until SIGINT or SIGTERM comes, or `other` is readable. The signal is used up.
pub(crate) fn wait(other: impl AsFd) -> io::Result<()> {
    let mut signals = MaybeUninit::<sigset_t>::uninit();
    // SAFETY: it is written to, and initialised by that.
    let signals = unsafe {
        libc::sigemptyset(signals.as_mut_ptr());
        libc::sigaddset(signals.as_mut_ptr(), libc::SIGINT);
        libc::sigaddset(signals.as_mut_ptr(), libc::SIGTERM);
        signals.assume_init()
    };
    let _blocked = Blocked::new(&signals);
    let flags: c_int = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
    // SAFETY: it makes a new descriptor of an initialised set.
    let raw = unsafe { libc::signalfd(-1, &raw const signals, flags) };
    if raw < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new, and nobody else's.
    let arrived = unsafe { OwnedFd::from_raw_fd(raw) };
    loop {
        let mut fds = [
            PollFd::new(&arrived, PollFlags::IN),
            PollFd::new(&other, PollFlags::IN),
        ];
        match poll(&mut fds, None) {
            Ok(_) => break,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // What came is taken here, or it would arrive when the block is lifted.
    let mut taken = [0; size_of::<libc::signalfd_siginfo>()];
    let _ = rustix::io::read(&arrived, &mut taken);
    Ok(())
}
