//! Which process an object belongs to.
//!
//! After fork() a child has the parent's memory but none of its threads: a lock that another thread held will never be
//! freed, and a connection is shared by both. To ask the system for the process's number would cost more than a
//! look-up in the cache, so each object has a page that the kernel empties in a child (MADV_WIPEONFORK, Linux 4.14).

use core::ffi::c_void;
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicU8, Ordering::Relaxed};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

use crate::boundary::Outcome;
use crate::status::antcache_status::ANTCACHE_NO_MEMORY;

/// A page that says "here" in the process that made it.
#[derive(Debug)]
pub(crate) struct Home(NonNull<c_void>);

// SAFETY: the page is written before this exists and only read, atomically, after that.
unsafe impl Send for Home {}
// SAFETY: as above.
unsafe impl Sync for Home {}

impl Home {
    pub(crate) fn new() -> Outcome<Self> {
        let size = rustix::param::page_size();
        let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
        // SAFETY: a new mapping at an address of the kernel's choice disturbs no other.
        let page = unsafe { mmap_anonymous(null_mut(), size, access, flags) };
        let page = page.ok().and_then(NonNull::new).ok_or(ANTCACHE_NO_MEMORY)?;
        let home = Self(page);
        // A kernel that is too old refuses; then a child is not found out.
        // SAFETY: the page is this object's own, and the advice takes nothing from it in this process.
        let _ = unsafe { madvise(page.as_ptr(), size, Advice::LinuxWipeOnFork) };
        home.mark().store(1, Relaxed);
        Ok(home)
    }

    fn mark(&self) -> &AtomicU8 {
        // SAFETY: the page is mapped, readable and writable, until `self` is dropped, and nobody accesses this byte but
        // as an atomic. The kernel empties a child's page before the child runs.
        unsafe { self.0.cast::<AtomicU8>().as_ref() }
    }

    /// Whether this is the process that made it.
    #[inline]
    pub(crate) fn is_here(&self) -> bool {
        self.mark().load(Relaxed) == 1
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // SAFETY: nobody else has the address, and nothing borrowed from `self` is left.
        let _ = unsafe { munmap(self.0.as_ptr(), rustix::param::page_size()) };
    }
}
