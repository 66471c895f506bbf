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

/// A value that one thread gives and others wait for.
///
/// Hosted, who waits sleeps: a loader may take seconds. On bare metal it spins.
#[derive(Debug)]
pub(crate) struct Promise<T> {
    #[cfg(feature = "std")]
    given: std::sync::Mutex<Option<T>>,
    #[cfg(feature = "std")]
    bell: std::sync::Condvar,
    #[cfg(not(feature = "std"))]
    given: SpinMutex<Option<T>>,
}

#[cfg(feature = "std")]
impl<T: Clone> Promise<T> {
    pub(crate) const fn new() -> Self {
        Self {
            given: std::sync::Mutex::new(None),
            bell: std::sync::Condvar::new(),
        }
    }

    fn given(&self) -> std::sync::MutexGuard<'_, Option<T>> {
        // Nothing that can panic runs under the lock, apart from a clone that leaves the value as it was.
        self.given
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Gives the value, once.
    pub(crate) fn give(&self, value: T) {
        *self.given() = Some(value);
        self.bell.notify_all();
    }

    /// The value, as soon as it is given.
    pub(crate) fn wait(&self) -> T {
        let mut given = self.given();
        loop {
            if let Some(value) = &*given {
                return value.clone();
            }
            given = self
                .bell
                .wait(given)
                .unwrap_or_else(std::sync::PoisonError::into_inner);
        }
    }
}

#[cfg(not(feature = "std"))]
impl<T: Clone> Promise<T> {
    pub(crate) const fn new() -> Self {
        Self {
            given: SpinMutex::new(None),
        }
    }

    /// Gives the value, once.
    pub(crate) fn give(&self, value: T) {
        *self.given.lock() = Some(value);
    }

    /// The value, as soon as it is given.
    pub(crate) fn wait(&self) -> T {
        loop {
            if let Some(value) = &*self.given.lock() {
                return value.clone();
            }
            core::hint::spin_loop();
        }
    }
}

/// A thread, to be recognised later. On bare metal nothing tells one from another, and none is recognised.
#[derive(Debug)]
pub(crate) struct Runner(#[cfg(feature = "std")] std::thread::ThreadId);

impl Runner {
    /// The thread that calls.
    pub(crate) fn this() -> Self {
        Self(
            #[cfg(feature = "std")]
            std::thread::current().id(),
        )
    }

    /// Whether it is the thread that calls.
    pub(crate) fn is_this(&self) -> bool {
        #[cfg(feature = "std")]
        return self.0 == std::thread::current().id();
        #[cfg(not(feature = "std"))]
        return false;
    }
}
