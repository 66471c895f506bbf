//! Memory that both sides see: what C passes in, and what it gets.

use core::ffi::{CStr, c_char, c_void};
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use crate::boundary::Outcome;
use crate::status::antcache_status::{self, *};

/// The longest key in bytes.
pub const ANTCACHE_MAX_KEY: usize = 65535;

/// The largest value in bytes that a function takes: 1 GiB.
pub const ANTCACHE_MAX_VALUE: usize = 1 << 30;

/// The most elements, fields or arguments that a function takes.
pub const ANTCACHE_MAX_COUNT: usize = 1 << 20;

/// A pointer from C that is neither NULL nor misaligned.
fn checked<T>(pointer: *const T) -> Outcome<NonNull<T>> {
    match NonNull::new(pointer.cast_mut()) {
        Some(pointer) if pointer.is_aligned() => Ok(pointer),
        _ => Err(ANTCACHE_NULL),
    }
}

/// `len` values at `pointer`; more than `most` are `too_many`.
///
/// # Safety
/// Where `pointer` is not NULL and `len` within the bound, so many initialised values are there, and stay unchanged
/// during `'a`.
pub(crate) unsafe fn values<'a, T>(
    pointer: *const T,
    len: usize,
    most: usize,
    too_many: antcache_status,
) -> Outcome<&'a [T]> {
    let pointer = checked(pointer)?;
    if len > most {
        return Err(too_many);
    }
    // SAFETY: not NULL and aligned, as checked; the rest is the caller's promise. The bounds in use keep the size in bytes
    // below `isize::MAX`.
    Ok(unsafe { core::slice::from_raw_parts(pointer.as_ptr(), len) })
}

/// A key.
///
/// # Safety
/// As [`values`].
#[inline]
pub(crate) unsafe fn key<'a>(pointer: *const c_void, len: usize) -> Outcome<&'a [u8]> {
    // SAFETY: passed on.
    unsafe { values(pointer.cast(), len, ANTCACHE_MAX_KEY, ANTCACHE_KEY_TOO_LONG) }
}

/// A value, or a part of one.
///
/// # Safety
/// As [`values`].
#[inline]
pub(crate) unsafe fn value<'a>(pointer: *const c_void, len: usize) -> Outcome<&'a [u8]> {
    // SAFETY: passed on.
    unsafe { values(pointer.cast(), len, ANTCACHE_MAX_VALUE, ANTCACHE_TOO_LARGE) }
}

/// `count` byte strings: their addresses, and their lengths.
///
/// # Safety
/// Both arrays have `count` elements, and at each address so many bytes are as with [`values`].
pub(crate) unsafe fn strings<'a>(
    pointers: *const *const c_void,
    lens: *const usize,
    count: usize,
) -> Outcome<Vec<&'a [u8]>> {
    // SAFETY: passed on.
    let pointers = unsafe { values(pointers, count, ANTCACHE_MAX_COUNT, ANTCACHE_INVALID)? };
    // SAFETY: passed on.
    let lens = unsafe { values(lens, count, ANTCACHE_MAX_COUNT, ANTCACHE_INVALID)? };
    let mut all = Vec::new();
    all.try_reserve_exact(count)
        .map_err(|_| ANTCACHE_NO_MEMORY)?;
    let mut total = 0usize;
    for (pointer, len) in pointers.iter().zip(lens) {
        // SAFETY: passed on.
        let string = unsafe { value(*pointer, *len)? };
        total = total.saturating_add(string.len());
        all.push(string);
    }
    if total > ANTCACHE_MAX_VALUE {
        return Err(ANTCACHE_TOO_LARGE);
    }
    Ok(all)
}

/// A text that ends with a NUL; not UTF-8 is invalid.
///
/// # Safety
/// Where it is not NULL, a NUL ends it, and it stays unchanged during `'a`.
pub(crate) unsafe fn text<'a>(pointer: *const c_char) -> Outcome<&'a str> {
    let pointer = checked(pointer)?;
    // SAFETY: not NULL, as checked; the rest is the caller's promise.
    let text = unsafe { CStr::from_ptr(pointer.as_ptr()) };
    text.to_str().map_err(|_| ANTCACHE_INVALID)
}

/// The same, where NULL means that there is none.
///
/// # Safety
/// As [`text`].
pub(crate) unsafe fn optional_text<'a>(pointer: *const c_char) -> Outcome<Option<&'a str>> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: passed on.
    unsafe { text(pointer) }.map(Some)
}

/// A place in C's memory to be written once, when everything has gone well.
#[derive(Debug)]
pub(crate) struct Out<'a, T> {
    place: NonNull<T>,
    life: PhantomData<&'a mut MaybeUninit<T>>,
}

impl<T> Out<'_, T> {
    /// # Safety
    /// Where it is not NULL, a `T` can be written there during `'a`, and nobody else accesses it meanwhile.
    #[inline]
    pub(crate) unsafe fn new(pointer: *mut T) -> Outcome<Self> {
        Ok(Self {
            place: checked(pointer)?,
            life: PhantomData,
        })
    }

    /// The same, where NULL means that nobody wants to know.
    ///
    /// # Safety
    /// As [`new`](Self::new).
    pub(crate) unsafe fn optional(pointer: *mut T) -> Outcome<Option<Self>> {
        if pointer.is_null() {
            return Ok(None);
        }
        // SAFETY: passed on.
        unsafe { Self::new(pointer) }.map(Some)
    }

    #[inline]
    pub(crate) fn write(self, value: T) {
        // SAFETY: `new` was promised that it can be written.
        unsafe { self.place.write(value) };
    }
}

/// Room for `capacity` bytes.
///
/// # Safety
/// Where `pointer` is not NULL and `capacity` below `isize::MAX`, so many bytes can be written there during `'a`, and
/// nobody else accesses them meanwhile. They need not be initialised.
#[inline]
pub(crate) unsafe fn room<'a>(
    pointer: *mut c_void,
    capacity: usize,
) -> Outcome<&'a mut [MaybeUninit<u8>]> {
    let pointer = checked(pointer)?;
    if isize::try_from(capacity).is_err() {
        return Err(ANTCACHE_INVALID);
    }
    // SAFETY: not NULL, as checked; the rest is the caller's promise.
    Ok(unsafe { core::slice::from_raw_parts_mut(pointer.cast().as_ptr(), capacity) })
}

/// A copy of `bytes` in memory of malloc(), for C to free. Never NULL, even where there are no bytes.
pub(crate) fn duplicate(bytes: &[u8]) -> Outcome<NonNull<c_void>> {
    // SAFETY: malloc can be called with any size.
    let copy = unsafe { libc::malloc(bytes.len().max(1)) };
    let copy = NonNull::new(copy).ok_or(ANTCACHE_NO_MEMORY)?;
    // SAFETY: the new memory has room for all of them, and overlaps nothing.
    unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), copy.cast().as_ptr(), bytes.len()) };
    Ok(copy)
}

/// A copy of `bytes` that this library owns, where there is memory for it.
pub(crate) fn copy(bytes: &[u8]) -> Outcome<Vec<u8>> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len())
        .map_err(|_| ANTCACHE_NO_MEMORY)?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}

/// Frees what a function allocated for the caller, such as antcache_cache_get_copy. NULL is nothing to free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_free(memory: *mut c_void) {
    // SAFETY: by the conventions it came from malloc, by `duplicate`, and is not freed yet, or is NULL.
    unsafe { libc::free(memory) };
}
