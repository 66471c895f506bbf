//! The objects that C holds by pointer.
//!
//! An object lies behind a header with a magic word for its kind, a mark for poison and the process that it belongs
//! to. A pointer of another kind is recognised by the word. One that was freed is, too, in a debug build, where all
//! live objects are registered; in a release build to use it is undefined behaviour, as with free().

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use crate::boundary::{Outcome, guarded};
use crate::fork::Home;
use crate::memory::Out;
use crate::status::antcache_status::{self, *};

/// What C holds by pointer. All of its methods take `&self`, whichever thread calls.
pub(crate) trait Object: Send + Sync {
    /// Eight letters, different for each kind.
    const KIND: &'static [u8; 8];

    /// Whether it is memory and nothing else, so that a child process may use its copy.
    const PLAIN: bool = false;
}

/// What stands in the place of the kind once the object is freed.
const FREED: u64 = u64::from_ne_bytes(*b"antfreed");

/// An object and what is known of it.
#[repr(C)] // The kind comes first in all of them, so that it can be read where the type is in doubt.
struct Handle<T> {
    kind: AtomicU64,
    poisoned: AtomicBool,
    /// None of what is plain.
    home: Option<Home>,
    object: T,
}

/// Hands an object over to C.
pub(crate) fn give<T: Object>(object: T, to: Out<'_, *mut T>) -> Outcome {
    let handle = Box::new(Handle {
        kind: AtomicU64::new(u64::from_ne_bytes(*T::KIND)),
        poisoned: AtomicBool::new(false),
        home: (!T::PLAIN).then(Home::new).transpose()?,
        object,
    });
    let pointer = Box::into_raw(handle).cast::<T>();
    registry::add(pointer.addr(), T::KIND)?;
    to.write(pointer);
    Ok(ANTCACHE_OK)
}

/// Looks at the header behind a pointer from C.
///
/// # Safety
/// The pointer is NULL, or one of this library's objects; in a debug build it may be any.
#[inline]
unsafe fn find<'a, T: Object>(pointer: *const T) -> Outcome<&'a Handle<T>> {
    let word = pointer.cast::<AtomicU64>();
    if word.is_null() || !word.is_aligned() {
        return Err(ANTCACHE_NULL);
    }
    registry::check(pointer.addr(), T::KIND)?;
    // SAFETY: it is an object of ours, by contract or, in a debug build, because it is registered; and every kind of
    // object begins with this word.
    let kind = unsafe { (*word).load(Relaxed) };
    if kind != u64::from_ne_bytes(*T::KIND) {
        return Err(ANTCACHE_BAD_HANDLE);
    }
    // SAFETY: the word says that a `Handle<T>` is there, with its alignment. C keeps it alive while it calls.
    let handle = unsafe { &*pointer.cast::<Handle<T>>() };
    if handle.home.as_ref().is_some_and(|home| !home.is_here()) {
        return Err(ANTCACHE_FORKED);
    }
    Ok(handle)
}

/// Runs the body of a call on an object. A panic poisons it.
///
/// # Safety
/// `pointer` is NULL, or an object of this library that is not freed before this returns.
#[inline]
pub(crate) unsafe fn call<T: Object>(
    pointer: *const T,
    body: impl FnOnce(&T) -> Outcome,
) -> antcache_status {
    // SAFETY: passed on.
    let handle = match unsafe { find(pointer) } {
        Ok(handle) => handle,
        Err(status) => return status,
    };
    if handle.poisoned.load(Relaxed) {
        return ANTCACHE_POISONED;
    }
    let status = guarded(|| body(&handle.object));
    if status == ANTCACHE_PANIC {
        handle.poisoned.store(true, Relaxed);
    }
    status
}

/// Frees an object; NULL is none. In a child of the process that made it nothing happens: its threads and connections
/// are the parent's.
///
/// # Safety
/// `pointer` is NULL, or an object of this library that nobody uses any more.
pub(crate) unsafe fn free<T: Object>(pointer: *mut T) -> antcache_status {
    if pointer.is_null() {
        return ANTCACHE_OK;
    }
    guarded(|| {
        // SAFETY: passed on.
        let handle = unsafe { find(pointer)? };
        handle.kind.store(FREED, Relaxed);
        registry::remove(pointer.addr());
        // SAFETY: `give` made it of a box, and as it was live until now, nobody else has freed it.
        drop(unsafe { Box::from_raw(pointer.cast::<Handle<T>>()) });
        Ok(ANTCACHE_OK)
    })
}

/// The live objects of a debug build.
#[cfg(debug_assertions)]
pub(crate) mod registry {
    use std::collections::HashMap;
    use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

    use super::{Home, Outcome};
    use crate::status::antcache_status::{ANTCACHE_BAD_HANDLE, ANTCACHE_NO_MEMORY};

    type Live = HashMap<usize, &'static [u8; 8]>;

    /// None in a child process: there a thread that does not exist may hold the lock.
    fn live() -> Outcome<Option<MutexGuard<'static, Live>>> {
        static LIVE: OnceLock<(Option<Home>, Mutex<Live>)> = OnceLock::new();
        let (home, live) = LIVE.get_or_init(|| (Home::new().ok(), Mutex::default()));
        let here = home.as_ref().ok_or(ANTCACHE_NO_MEMORY)?.is_here();
        Ok(here.then(|| live.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    pub(crate) fn add(address: usize, kind: &'static [u8; 8]) -> Outcome<()> {
        if let Some(mut live) = live()? {
            live.insert(address, kind);
        }
        Ok(())
    }

    pub(crate) fn check(address: usize, kind: &'static [u8; 8]) -> Outcome<()> {
        let Some(live) = live()? else {
            return Ok(());
        };
        match live.get(&address) {
            Some(known) if *known == kind => Ok(()),
            _ => Err(ANTCACHE_BAD_HANDLE),
        }
    }

    pub(crate) fn remove(address: usize) {
        if let Ok(Some(mut live)) = live() {
            live.remove(&address);
        }
    }
}

#[cfg(not(debug_assertions))]
pub(crate) mod registry {
    use super::Outcome;

    #[inline]
    pub(crate) const fn add(_: usize, _: &'static [u8; 8]) -> Outcome<()> {
        Ok(())
    }

    #[inline]
    pub(crate) const fn check(_: usize, _: &'static [u8; 8]) -> Outcome<()> {
        Ok(())
    }

    #[inline]
    pub(crate) const fn remove(_: usize) {}
}

#[cfg(test)]
mod tests {
    use core::mem::MaybeUninit;

    use super::*;

    struct Fragile;

    impl Object for Fragile {
        const KIND: &'static [u8; 8] = b"fragile1";
    }

    struct Other;

    impl Object for Other {
        const KIND: &'static [u8; 8] = b"another1";
    }

    fn given<T: Object>(object: T) -> *mut T {
        let mut place = MaybeUninit::uninit();
        // SAFETY: the place is this function's own.
        let to = unsafe { Out::new(place.as_mut_ptr()) };
        assert_eq!(give(object, to.unwrap()), Ok(ANTCACHE_OK));
        // SAFETY: it was written, as the status says.
        unsafe { place.assume_init() }
    }

    /// # Safety
    /// As [`call`].
    unsafe fn called<T: Object>(pointer: *const T) -> antcache_status {
        // SAFETY: passed on.
        unsafe { call(pointer, |_| Ok(ANTCACHE_OK)) }
    }

    #[test]
    fn a_panic_poisons_the_object_and_no_other() {
        let (first, second) = (given(Fragile), given(Fragile));
        // SAFETY: both are live until they are freed.
        unsafe {
            assert_eq!(call(first, |_| panic!("on purpose")), ANTCACHE_PANIC);
            assert_eq!(called(first), ANTCACHE_POISONED);
            assert_eq!(called(second), ANTCACHE_OK);
            assert_eq!(free(first), ANTCACHE_OK);
            assert_eq!(free(second), ANTCACHE_OK);
        }
    }

    #[test]
    fn what_is_no_live_object_of_the_kind_is_refused() {
        let object = given(Other);
        // SAFETY: it is live until it is freed; a debug build takes any pointer.
        unsafe {
            assert_eq!(called(object.cast::<Fragile>()), ANTCACHE_BAD_HANDLE);
            assert_eq!(called(core::ptr::null::<Other>()), ANTCACHE_NULL);
            assert_eq!(called(object.byte_add(1)), ANTCACHE_NULL);
            assert_eq!(free(object), ANTCACHE_OK);
            if cfg!(debug_assertions) {
                assert_eq!(called(object), ANTCACHE_BAD_HANDLE);
                assert_eq!(free(object), ANTCACHE_BAD_HANDLE);
            }
            assert_eq!(free(core::ptr::null_mut::<Other>()), ANTCACHE_OK);
        }
    }
}
