//! A clock of the caller's.

use core::ffi::c_void;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ant_cache_core::Millis;

/// A source of the time: milliseconds from any origin. Called by any thread that uses the object, also by several at
/// once, and never under a lock. It must return: no longjmp, no C++ exception. A time before one that was given
/// earlier counts as that one.
pub type antcache_clock = Option<unsafe extern "C" fn(context: *mut c_void) -> u64>;

/// The caller's function with its context.
#[derive(Debug)]
pub(crate) struct CClock {
    function: unsafe extern "C" fn(*mut c_void) -> u64,
    context: *mut c_void,
    /// The highest time given. Who has seen an entry end must not see it come back.
    last: AtomicU64,
}

// SAFETY: the context is only passed on to the function, which the caller says any thread may call with it.
unsafe impl Send for CClock {}
// SAFETY: as above.
unsafe impl Sync for CClock {}

impl CClock {
    /// None where there is no function.
    ///
    /// # Safety
    /// Any thread may call the function with the context, for as long as this lives.
    pub(crate) unsafe fn new(function: antcache_clock, context: *mut c_void) -> Option<Self> {
        Some(Self {
            function: function?,
            context,
            last: AtomicU64::new(0),
        })
    }

    pub(crate) fn now(&self) -> Millis {
        // SAFETY: promised to `new`.
        let now = unsafe { (self.function)(self.context) };
        let last = self.last.load(Relaxed);
        // Written once a millisecond at most, so that threads share the line for reading.
        if now <= last {
            return Millis(last);
        }
        Millis(self.last.fetch_max(now, Relaxed).max(now))
    }
}
