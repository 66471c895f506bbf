//! The embedded cache.

use core::ffi::{c_char, c_void};
use core::time::Duration;
use std::path::Path;

use ant_cache_core::cache::{Bytes, IncrementError, Insert, InsertError, Read, Ttl};
use ant_cache_core::{Cache, Eviction};
use ant_cache_host::persist::Fault;
use ant_cache_host::persist::cache::{self as file, LoadError};

use crate::boundary::{Outcome, guarded};
use crate::clock::{CClock, antcache_clock};
use crate::error::{self, Failure, antcache_error};
use crate::handle::{self, Object};
use crate::memory::{self, Out};
use crate::options::{self, Settings};
use crate::status::antcache_status::{self, *};

/// Flag of the functions that store: only where the key has no entry.
pub const ANTCACHE_NX: u32 = 1;

/// Flag of the functions that store: only where the key has an entry.
pub const ANTCACHE_XX: u32 = 2;

/// What goes where memory or entries are bounded.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum antcache_eviction {
    /// The default: those least likely to be asked for again, by recency and frequency.
    ANTCACHE_EVICT_ADAPTIVE = 0,
    /// Those whose last use is longest ago.
    ANTCACHE_EVICT_LRU = 1,
    /// Any.
    ANTCACHE_EVICT_RANDOM = 2,
    /// Those whose time to live ends first; without one, those written first.
    ANTCACHE_EVICT_TTL = 3,
    /// None: what can need memory is refused with ANTCACHE_FULL.
    ANTCACHE_EVICT_NONE = 4,
}

/// The policy of a number.
pub(crate) fn eviction(number: i32) -> Outcome<Eviction> {
    use antcache_eviction::*;
    let policies = [
        (ANTCACHE_EVICT_ADAPTIVE, Eviction::Adaptive),
        (ANTCACHE_EVICT_LRU, Eviction::Lru),
        (ANTCACHE_EVICT_RANDOM, Eviction::Random),
        (ANTCACHE_EVICT_TTL, Eviction::Ttl),
        (ANTCACHE_EVICT_NONE, Eviction::None),
    ];
    let found = policies.iter().find(|(name, _)| *name as i32 == number);
    found.map(|(_, policy)| *policy).ok_or(ANTCACHE_INVALID)
}

/// How a cache is made. Begin with antcache_cache_options_init; 0 is the default in every field.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct antcache_cache_options {
    /// sizeof(antcache_cache_options).
    pub size: usize,
    /// Bytes of memory at most, keys, values, headers and index included; 0 for no bound.
    pub max_memory: u64,
    /// Entries at most; 0 for any number.
    pub max_entries: u64,
    /// Parts with a lock each, 1 to 4096, rounded up to a power of two; 0 for as many as suit the bounds.
    pub shards: u64,
    /// What goes where a bound is reached: a number of antcache_eviction.
    pub eviction: i32,
    /// Must be 0.
    pub reserved: i32,
    /// Where the cache learns the time; NULL for the system's monotonic clock.
    pub clock: antcache_clock,
    /// Passed to the clock.
    pub clock_context: *mut c_void,
}

// SAFETY: repr(C), its size first, numbers and pointers that may be 0.
unsafe impl Settings for antcache_cache_options {}

/// An embedded cache: keys and values in the memory of this process. Any number of threads may use it at once.
pub struct antcache_cache {
    pub(crate) cache: Cache,
}

impl Object for antcache_cache {
    const KIND: &'static [u8; 8] = b"antcache";
}

/// What a cache holds, and what it has done since it was made.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct antcache_stats {
    /// sizeof(antcache_stats).
    pub size: usize,
    /// Look-ups that found an entry.
    pub hits: u64,
    /// Look-ups that found none.
    pub misses: u64,
    /// Entries removed because there was no room for all.
    pub evictions: u64,
    /// Entries removed because their time had come.
    pub expirations: u64,
    /// Entries there are, those included that have ended and are not yet removed.
    pub entries: u64,
    /// Bytes of memory: keys, values, headers, index, free room.
    pub memory: u64,
}

// SAFETY: repr(C), its size first, numbers.
unsafe impl Settings for antcache_stats {}

/// A value that is borrowed from a cache, by antcache_cache_get_view.
#[repr(C)]
#[derive(Debug)]
pub struct antcache_view {
    /// The bytes of the value. Never NULL, not to be changed, there until antcache_view_release.
    pub data: *const c_void,
    /// How many they are.
    pub len: usize,
    /// What keeps them; the library's own.
    pub owner: *mut c_void,
}

/// Sets every field to its default. `size` is sizeof(antcache_cache_options).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_cache_options_init(
    options: *mut antcache_cache_options,
    size: usize,
) -> antcache_status {
    // SAFETY: the conventions are those of `init`.
    unsafe { options::init(options, size) }
}

/// Makes a cache, empty. `options` may be NULL for the defaults. ANTCACHE_INVALID where a field is out of range.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_cache_new(
    options: *const antcache_cache_options,
    cache: *mut *mut antcache_cache,
) -> antcache_status {
    guarded(|| {
        // SAFETY: the conventions are those of `Out::new`.
        let to = unsafe { Out::new(cache)? };
        // SAFETY: the conventions are those of `read`.
        let options = unsafe { options::read(options)? };
        let mut builder = Cache::builder();
        if let Some(options) = options {
            let shards = usize::try_from(options.shards).map_err(|_| ANTCACHE_INVALID)?;
            if shards > 4096 || options.reserved != 0 {
                return Err(ANTCACHE_INVALID);
            }
            builder = builder.eviction(eviction(options.eviction)?);
            if shards > 0 {
                builder = builder.shards(shards);
            }
            if options.max_memory > 0 {
                builder = builder.max_memory(options.max_memory);
            }
            if options.max_entries > 0 {
                builder = builder.max_entries(options.max_entries);
            }
            // SAFETY: the conventions are those of `CClock::new`.
            if let Some(clock) = unsafe { CClock::new(options.clock, options.clock_context) } {
                builder = builder.clock(move || clock.now());
            }
        }
        let cache = builder.build();
        handle::give(antcache_cache { cache }, to)
    })
}

/// Frees a cache and its entries. Views and values that were taken from it stay good. NULL is nothing to free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_cache_free(cache: *mut antcache_cache) -> antcache_status {
    // SAFETY: the conventions are those of `free`.
    unsafe { handle::free(cache) }
}

/// Copies the string of a key into `buffer`, which has `capacity` bytes, and its length into `value_len`. Nothing is
/// allocated. ANTCACHE_NOT_FOUND; ANTCACHE_WRONG_TYPE for an array or object; ANTCACHE_NO_ROOM where the value is longer,
/// and then its length is in `value_len` all the same.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_cache_get(
    cache: *const antcache_cache,
    key: *const c_void,
    key_len: usize,
    buffer: *mut c_void,
    capacity: usize,
    value_len: *mut usize,
) -> antcache_status {
    let body = |cache: &antcache_cache| {
        // SAFETY: the conventions are those of `key`, `room` and `Out::new`.
        let (key, room, to) = unsafe {
            (
                memory::key(key, key_len)?,
                memory::room(buffer, capacity)?,
                Out::new(value_len)?,
            )
        };
        match cache.cache.read(key, room) {
            Read::Missing => Ok(ANTCACHE_NOT_FOUND),
            Read::OtherKind => Err(ANTCACHE_WRONG_TYPE),
            Read::Done(len) => {
                to.write(len);
                Ok(ANTCACHE_OK)
            }
            Read::NoRoom(len) => {
                to.write(len);
                Err(ANTCACHE_NO_ROOM)
            }
        }
    };
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(cache, body) }
}

/// Copies the string of a key into new memory, to be freed by antcache_free; a NUL behind it is not added. Otherwise as
/// antcache_cache_get.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_cache_get_copy(
    cache: *const antcache_cache,
    key: *const c_void,
    key_len: usize,
    value: *mut *mut c_void,
    value_len: *mut usize,
) -> antcache_status {
    let body = |cache: &antcache_cache| {
        // SAFETY: the conventions are those of `key` and `Out::new`.
        let (key, to, to_len) = unsafe {
            (
                memory::key(key, key_len)?,
                Out::new(value)?,
                Out::new(value_len)?,
            )
        };
        let found = match string(cache, key)? {
            Some(bytes) => bytes,
            None => return Ok(ANTCACHE_NOT_FOUND),
        };
        to.write(memory::duplicate(&found)?.as_ptr());
        to_len.write(found.len());
        Ok(ANTCACHE_OK)
    };
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(cache, body) }
}

/// Borrows the string of a key: from 1 KiB on the very bytes in the cache, without a copy. They stay as they are,
/// whatever becomes of the entry and of the cache, until antcache_view_release. Otherwise as antcache_cache_get.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_cache_get_view(
    cache: *const antcache_cache,
    key: *const c_void,
    key_len: usize,
    view: *mut antcache_view,
) -> antcache_status {
    let body = |cache: &antcache_cache| {
        // SAFETY: the conventions are those of `key` and `Out::new`.
        let (key, to) = unsafe { (memory::key(key, key_len)?, Out::new(view)?) };
        let Some(found) = string(cache, key)? else {
            return Ok(ANTCACHE_NOT_FOUND);
        };
        let owner = Box::new(found);
        to.write(antcache_view {
            data: owner.as_ptr().cast(),
            len: owner.len(),
            owner: Box::into_raw(owner).cast(),
        });
        Ok(ANTCACHE_OK)
    };
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(cache, body) }
}

/// The string of a key, counted as a look-up.
fn string(cache: &antcache_cache, key: &[u8]) -> Outcome<Option<Bytes>> {
    let found = cache.cache.get(key);
    if found.is_none() && cache.cache.contains(key) {
        return Err(ANTCACHE_WRONG_TYPE);
    }
    Ok(found)
}

/// Gives a borrowed value back, and sets all fields of the view to 0. A view of zeros is nothing to release.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_view_release(view: *mut antcache_view) -> antcache_status {
    guarded(|| {
        // SAFETY: the conventions are those of `Out::new`.
        let to = unsafe { Out::new(view)? };
        // SAFETY: a view is there, by the conventions, and the pointer is not NULL.
        let owner = unsafe { (*view).owner };
        to.write(antcache_view {
            data: core::ptr::null(),
            len: 0,
            owner: core::ptr::null_mut(),
        });
        if !owner.is_null() {
            // SAFETY: `antcache_cache_get_view` made it of such a box, and with it a view that is zeroed by now.
            drop(unsafe { Box::from_raw(owner.cast::<Bytes>()) });
        }
        Ok(ANTCACHE_OK)
    })
}

/// How something is to be put in.
pub(crate) fn how(ttl_ms: u64, flags: u32) -> Outcome<Insert> {
    let mut how = Insert::new();
    if ttl_ms > 0 {
        how = how.ttl(Duration::from_millis(ttl_ms));
    }
    match flags {
        0 => Ok(how),
        ANTCACHE_NX => Ok(how.only_if_absent()),
        ANTCACHE_XX => Ok(how.only_if_present()),
        _ => Err(ANTCACHE_INVALID),
    }
}

/// What became of something that was put in.
pub(crate) fn stored(result: Result<bool, InsertError>) -> Outcome {
    match result {
        Ok(true) => Ok(ANTCACHE_OK),
        Ok(false) => Ok(ANTCACHE_NOT_STORED),
        Err(error) => Err(refused(error)),
    }
}

fn refused(error: InsertError) -> antcache_status {
    match error {
        InsertError::KeyTooLong => ANTCACHE_KEY_TOO_LONG,
        InsertError::TooLarge => ANTCACHE_TOO_LARGE,
        // `Full`, and reasons of later versions.
        _ => ANTCACHE_FULL,
    }
}

/// Stores a string under a key, in the place of what it had: value and time to live. The bytes are copied. `ttl_ms` is the
/// time to live in milliseconds, 0 for no end. `flags` is 0, ANTCACHE_NX or ANTCACHE_XX. ANTCACHE_NOT_STORED where the
/// condition is not met; ANTCACHE_TOO_LARGE, ANTCACHE_FULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_cache_set(
    cache: *mut antcache_cache,
    key: *const c_void,
    key_len: usize,
    value: *const c_void,
    value_len: usize,
    ttl_ms: u64,
    flags: u32,
) -> antcache_status {
    let body = |cache: &antcache_cache| {
        // SAFETY: the conventions are those of `key` and `value`.
        let (key, value) =
            unsafe { (memory::key(key, key_len)?, memory::value(value, value_len)?) };
        let how = how(ttl_ms, flags)?;
        // What is large gets memory of its own, which may be lacking.
        if value.len() >= ant_cache_core::Blob::MIN {
            return stored(cache.cache.insert_with(key, memory::copy(value)?, &how));
        }
        stored(cache.cache.insert_with(key, value, &how))
    };
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(cache, body) }
}

/// Removes the entry of a key. ANTCACHE_NOT_FOUND where there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_cache_delete(
    cache: *mut antcache_cache,
    key: *const c_void,
    key_len: usize,
) -> antcache_status {
    let body = |cache: &antcache_cache| {
        // SAFETY: the conventions are those of `key`.
        let key = unsafe { memory::key(key, key_len)? };
        Ok(found(cache.cache.remove(key)))
    };
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(cache, body) }
}

const fn found(found: bool) -> antcache_status {
    if found {
        ANTCACHE_OK
    } else {
        ANTCACHE_NOT_FOUND
    }
}

/// Whether a key has an entry, of whatever kind: ANTCACHE_OK or ANTCACHE_NOT_FOUND. Does not count as a look-up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_cache_contains(
    cache: *const antcache_cache,
    key: *const c_void,
    key_len: usize,
) -> antcache_status {
    let body = |cache: &antcache_cache| {
        // SAFETY: the conventions are those of `key`.
        let key = unsafe { memory::key(key, key_len)? };
        Ok(found(cache.cache.contains(key)))
    };
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(cache, body) }
}

/// Gives the entry of a key a new time to live, `ttl_ms` milliseconds from now; 0 for no end. ANTCACHE_NOT_FOUND where
/// there is no entry.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_cache_touch(
    cache: *mut antcache_cache,
    key: *const c_void,
    key_len: usize,
    ttl_ms: u64,
) -> antcache_status {
    let body = |cache: &antcache_cache| {
        // SAFETY: the conventions are those of `key`.
        let key = unsafe { memory::key(key, key_len)? };
        let ttl = (ttl_ms > 0).then(|| Duration::from_millis(ttl_ms));
        Ok(found(cache.cache.expire(key, ttl)))
    };
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(cache, body) }
}

/// Writes how many milliseconds the entry of a key has yet to live; 0 where it has no end. ANTCACHE_NOT_FOUND where there
/// is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_cache_ttl(
    cache: *const antcache_cache,
    key: *const c_void,
    key_len: usize,
    ttl_ms: *mut u64,
) -> antcache_status {
    let body = |cache: &antcache_cache| {
        // SAFETY: the conventions are those of `key` and `Out::new`.
        let (key, to) = unsafe { (memory::key(key, key_len)?, Out::new(ttl_ms)?) };
        match cache.cache.ttl(key) {
            None => return Ok(ANTCACHE_NOT_FOUND),
            Some(Ttl::Unlimited) => to.write(0),
            Some(Ttl::Left(left)) => to.write(u64::try_from(left.as_millis()).unwrap_or(u64::MAX)),
        }
        Ok(ANTCACHE_OK)
    };
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(cache, body) }
}

/// Adds `by`, which may be negative, to the integer of a key and writes the sum to `sum`, which may be NULL. A key without
/// an entry counts as 0; a time to live stays. ANTCACHE_WRONG_TYPE where the value is no integer; ANTCACHE_OVERFLOW;
/// ANTCACHE_FULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_cache_incr(
    cache: *mut antcache_cache,
    key: *const c_void,
    key_len: usize,
    by: i64,
    sum: *mut i64,
) -> antcache_status {
    let body = |cache: &antcache_cache| {
        // SAFETY: the conventions are those of `key` and `Out::optional`.
        let (key, to) = unsafe { (memory::key(key, key_len)?, Out::optional(sum)?) };
        match cache.cache.increment(key, by) {
            Ok(sum) => {
                if let Some(to) = to {
                    to.write(sum);
                }
                Ok(ANTCACHE_OK)
            }
            Err(IncrementError::Overflow) => Err(ANTCACHE_OVERFLOW),
            Err(IncrementError::Insert(error)) => Err(refused(error)),
            Err(_) => Err(ANTCACHE_WRONG_TYPE),
        }
    };
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(cache, body) }
}

/// Called with a key, which is there until it returns, and the caller's context. Anything but 0 stops the walk.
pub type antcache_key_callback =
    Option<unsafe extern "C" fn(context: *mut c_void, key: *const c_void, key_len: usize) -> i32>;

/// Calls `callback` with every key, in no particular order, while other threads use the cache. An entry that is there all
/// the while is met at least once. No lock is held during a call: it may use the cache. ANTCACHE_STOPPED where a call
/// returned anything but 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_cache_keys(
    cache: *const antcache_cache,
    callback: antcache_key_callback,
    context: *mut c_void,
) -> antcache_status {
    let body = |cache: &antcache_cache| {
        let callback = callback.ok_or(ANTCACHE_NULL)?;
        for key in cache.cache.keys() {
            // SAFETY: the caller's function gets the context that came with it, and bytes that outlive the call.
            if unsafe { callback(context, key.as_ptr().cast(), key.len()) } != 0 {
                return Ok(ANTCACHE_STOPPED);
            }
        }
        Ok(ANTCACHE_OK)
    };
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(cache, body) }
}

/// Removes every entry, for all threads at the same moment.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_cache_flush(cache: *mut antcache_cache) -> antcache_status {
    let body = |cache: &antcache_cache| {
        cache.cache.clear();
        Ok(ANTCACHE_OK)
    };
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(cache, body) }
}

/// Writes what the cache holds and has done. `size` is sizeof(antcache_stats). Looks at every shard: microseconds.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_cache_stats(
    cache: *const antcache_cache,
    stats: *mut antcache_stats,
    size: usize,
) -> antcache_status {
    let body = |cache: &antcache_cache| {
        // SAFETY: the conventions are those of `Out::new`.
        let to = unsafe { Out::new(stats)? };
        if !antcache_stats::SIZES.contains(&size) {
            return Err(ANTCACHE_STRUCT_SIZE);
        }
        let now = cache.cache.stats();
        to.write(antcache_stats {
            size,
            hits: now.hits,
            misses: now.misses,
            evictions: now.evictions,
            expirations: now.expirations,
            entries: now.entries,
            memory: now.memory,
        });
        Ok(ANTCACHE_OK)
    };
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(cache, body) }
}

/// Changes the bound on memory, in bytes; 0 for none. Where more is in use, entries go with the next calls.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_cache_set_max_memory(
    cache: *mut antcache_cache,
    bytes: u64,
) -> antcache_status {
    let body = |cache: &antcache_cache| {
        let bytes = if bytes == 0 { u64::MAX } else { bytes };
        cache.cache.set_max_memory(bytes);
        Ok(ANTCACHE_OK)
    };
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(cache, body) }
}

/// Does a piece of housekeeping, 100 microseconds at most: gives back the memory of entries that have ended, and follows a
/// bound that was lowered. Writes to `next_ms`, which may be NULL, in how many milliseconds to call again at the soonest;
/// UINT64_MAX where nothing waits. Stores do this on the side: it need only be called where there are none for long.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_cache_tick(
    cache: *mut antcache_cache,
    next_ms: *mut u64,
) -> antcache_status {
    let body = |cache: &antcache_cache| {
        // SAFETY: the conventions are those of `Out::optional`.
        let to = unsafe { Out::optional(next_ms)? };
        let next = cache.cache.tick();
        if let Some(to) = to {
            let millis = |next: Duration| u64::try_from(next.as_millis()).unwrap_or(u64::MAX);
            to.write(next.map_or(u64::MAX, millis));
        }
        Ok(ANTCACHE_OK)
    };
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(cache, body) }
}

/// Saves all entries to the file at `path`, while other threads use the cache. It is written beside it, as `path` and ".new",
/// and takes its place once it is whole and on the disk. Times to live are saved as moments of the cache's clock.
/// ANTCACHE_SYSTEM, and the error says why; the old file stays then. `error` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_cache_save(
    cache: *const antcache_cache,
    path: *const c_char,
    error: *mut antcache_error,
) -> antcache_status {
    let body = |cache: &antcache_cache| {
        // SAFETY: the conventions are those of `place` and `text`.
        let (report, path) = unsafe { (error::place(error)?, memory::text(path)?) };
        let saved = file::save(&cache.cache, Path::new(path)).map_err(|error| {
            Failure::new(ANTCACHE_SYSTEM, format_args!("cannot save {path}: {error}"))
        });
        error::tell(saved.map(|_| ANTCACHE_OK), report)
    };
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(cache, body) }
}

/// Puts all entries of a file that antcache_cache_save wrote into a cache, in the place of what their keys had; what has
/// ended since stays out. The file is checked to its end before the first is put in. ANTCACHE_SYSTEM where it cannot be
/// read, ANTCACHE_DAMAGED where it is none, or not whole; ANTCACHE_FULL, after which what was put in stays. `error` may be
/// NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_cache_load(
    cache: *mut antcache_cache,
    path: *const c_char,
    error: *mut antcache_error,
) -> antcache_status {
    let body = |cache: &antcache_cache| {
        // SAFETY: the conventions are those of `place` and `text`.
        let (report, path) = unsafe { (error::place(error)?, memory::text(path)?) };
        let loaded = file::load(&cache.cache, Path::new(path)).map_err(|error| {
            let status = match &error {
                LoadError::Fault(Fault::Read(_)) => ANTCACHE_SYSTEM,
                LoadError::Fault(Fault::Damaged { .. }) => ANTCACHE_DAMAGED,
                LoadError::Refused(error) => refused(*error),
            };
            Failure::new(status, format_args!("cannot load {path}: {error}"))
        });
        error::tell(loaded.map(|_| ANTCACHE_OK), report)
    };
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(cache, body) }
}
