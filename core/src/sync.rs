//! The one place that chooses locks. Hosted (`std`), a thread that waits gives its time slice away; on bare metal it
//! spins.

#[cfg(feature = "std")]
extern crate std;

use spin::mutex::SpinMutex;

/// How often a waiting thread yields before it sleeps for a moment instead.
///
/// With 200 busy threads on 2 cores, yielding is as fast as a parking lock, but a holder that lost its core must get
/// it back: after this many yields the scheduler is evidently running waiters, not the holder.
#[cfg(feature = "std")]
const YIELDS: u32 = 16;

/// A mutual exclusion lock around a `T`.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(SpinMutex<T>);

/// Access to what a [`Mutex`] guards, until dropped.
pub(crate) type Guard<'a, T> = spin::mutex::SpinMutexGuard<'a, T>;

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(SpinMutex::new(value))
    }

    /// Waits until the lock is free and takes it.
    #[inline]
    pub(crate) fn lock(&self) -> Guard<'_, T> {
        match self.0.try_lock() {
            Some(guard) => guard,
            None => self.contended(),
        }
    }

    /// Takes the lock if it is free.
    #[inline]
    pub(crate) fn try_lock(&self) -> Option<Guard<'_, T>> {
        self.0.try_lock()
    }

    #[cold]
    fn contended(&self) -> Guard<'_, T> {
        let mut attempt = 0;
        loop {
            // A short read-only spin first: most locked sections last less than a context switch.
            for _ in 0..64 {
                if !self.0.is_locked()
                    && let Some(guard) = self.0.try_lock()
                {
                    return guard;
                }
                core::hint::spin_loop();
            }
            attempt += 1;
            relax(attempt);
        }
    }
}

#[cfg(feature = "std")]
fn relax(attempt: u32) {
    if attempt <= YIELDS {
        std::thread::yield_now();
    } else {
        std::thread::sleep(core::time::Duration::from_micros(50));
    }
}

#[cfg(not(feature = "std"))]
fn relax(_attempt: u32) {}
