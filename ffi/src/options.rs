//! Structs that C fills in, and that may grow.

use core::mem::MaybeUninit;

use crate::boundary::{Outcome, guarded};
use crate::status::antcache_status::{self, *};

/// A struct of settings. A version that has grown knows the sizes of those before it, and takes what they lack as 0.
///
/// # Safety
/// The struct is `repr(C)`, begins with `size: usize`, and is valid when all its bytes are 0.
pub(crate) unsafe trait Settings: Copy {
    /// The sizes that the struct has had, the present one included.
    const SIZES: &'static [usize] = &[size_of::<Self>()];
}

/// The settings at `pointer`; none where it is NULL.
///
/// # Safety
/// Where it is not NULL, a struct of this kind is there, whose first field is its size in bytes.
pub(crate) unsafe fn read<T: Settings>(pointer: *const T) -> Outcome<Option<T>> {
    if pointer.is_null() {
        return Ok(None);
    }
    if !pointer.is_aligned() {
        return Err(ANTCACHE_NULL);
    }
    // SAFETY: not NULL and aligned, as checked, and each such struct begins with its size.
    let size = unsafe { *pointer.cast::<usize>() };
    if !T::SIZES.contains(&size) {
        return Err(ANTCACHE_STRUCT_SIZE);
    }
    let mut settings = MaybeUninit::<T>::zeroed();
    // SAFETY: C's struct has `size` bytes, which is no more than `T` has now; the two do not overlap.
    unsafe {
        core::ptr::copy_nonoverlapping(pointer.cast::<u8>(), settings.as_mut_ptr().cast(), size)
    };
    // SAFETY: its fields are C's, and 0 where C's struct has none.
    Ok(Some(unsafe { settings.assume_init() }))
}

/// Sets all fields to 0, which means the default, and the first to the size.
///
/// # Safety
/// Where it is not NULL, `size` bytes can be written there.
pub(crate) unsafe fn init<T: Settings>(pointer: *mut T, size: usize) -> antcache_status {
    guarded(|| {
        if pointer.is_null() || !pointer.is_aligned() {
            return Err(ANTCACHE_NULL);
        }
        if !T::SIZES.contains(&size) {
            return Err(ANTCACHE_STRUCT_SIZE);
        }
        // SAFETY: `size` bytes can be written there.
        unsafe { pointer.cast::<u8>().write_bytes(0, size) };
        // SAFETY: the first field is the size.
        unsafe { pointer.cast::<usize>().write(size) };
        Ok(ANTCACHE_OK)
    })
}
