//! What a call came to.

use core::ffi::c_char;

/// What a call came to. The numbers are frozen: none will change its meaning, new ones may come. 0 and above are
/// answers, below 0 are failures, after which nothing was written through any pointer, except where a function says
/// otherwise.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum antcache_status {
    /// Done.
    ANTCACHE_OK = 0,
    /// There is no such entry.
    ANTCACHE_NOT_FOUND = 1,
    /// The condition (ANTCACHE_NX, ANTCACHE_XX) was not met; nothing was stored.
    ANTCACHE_NOT_STORED = 2,
    /// A callback asked to stop.
    ANTCACHE_STOPPED = 3,
    /// There is nothing to take: no reply is due.
    ANTCACHE_EMPTY = 4,

    /// A pointer is NULL that must not be, or is not aligned for its type.
    ANTCACHE_NULL = -1,
    /// An argument is out of range; the function says which it accepts.
    ANTCACHE_INVALID = -2,
    /// The size field of a struct is none that this library knows.
    ANTCACHE_STRUCT_SIZE = -3,
    /// The pointer is no live object of this type.
    ANTCACHE_BAD_HANDLE = -4,
    /// An earlier call on this object failed with ANTCACHE_PANIC. It can only be freed.
    ANTCACHE_POISONED = -5,
    /// A bug in this library. The object that was called is poisoned; others are not concerned.
    ANTCACHE_PANIC = -6,
    /// The system has no memory for it.
    ANTCACHE_NO_MEMORY = -7,
    /// The object was made by a parent process. After fork() only the parent can use it.
    ANTCACHE_FORKED = -8,
    /// The buffer is smaller than the value.
    ANTCACHE_NO_ROOM = -9,
    /// The key is longer than ANTCACHE_MAX_KEY.
    ANTCACHE_KEY_TOO_LONG = -10,
    /// The value is larger than ANTCACHE_MAX_VALUE, or than all the memory that the cache may have.
    ANTCACHE_TOO_LARGE = -11,
    /// The cache is full, and nothing may be evicted.
    ANTCACHE_FULL = -12,
    /// The value is of another kind: no string, no array, no object, no integer.
    ANTCACHE_WRONG_TYPE = -13,
    /// The sum would be no integer of 64 bits.
    ANTCACHE_OVERFLOW = -14,

    /// The text is no address, or no settings of a server.
    ANTCACHE_BAD_SETTINGS = -20,
    /// The system refuses: out of threads, descriptors, or the like.
    ANTCACHE_SYSTEM = -21,
    /// The address cannot be listened on.
    ANTCACHE_LISTEN = -22,
    /// Too many connections or sessions are open.
    ANTCACHE_REFUSED = -23,
    /// The session or server has ended.
    ANTCACHE_CLOSED = -24,
    /// The file is no snapshot, or not whole.
    ANTCACHE_DAMAGED = -25,

    /// No connection could be made.
    ANTCACHE_CONNECT = -30,
    /// The connection broke, or the server closed it before its reply was complete.
    ANTCACHE_LOST = -31,
    /// The server did not answer in time, or no connection of a pool came free in time.
    ANTCACHE_TIMEOUT = -32,
    /// The connection was closed after an earlier failure; reconnect.
    ANTCACHE_NOT_CONNECTED = -33,
    /// The server answered with an error, which is the message. The connection is as good as before.
    ANTCACHE_SERVER_ERROR = -34,
    /// The server sent what is no reply to the request.
    ANTCACHE_PROTOCOL = -35,
    /// The node of the key is down, or there is no node.
    ANTCACHE_NODE_DOWN = -36,
}

use antcache_status::*;

impl antcache_status {
    const ALL: [Self; 32] = [
        ANTCACHE_OK,
        ANTCACHE_NOT_FOUND,
        ANTCACHE_NOT_STORED,
        ANTCACHE_STOPPED,
        ANTCACHE_EMPTY,
        ANTCACHE_NULL,
        ANTCACHE_INVALID,
        ANTCACHE_STRUCT_SIZE,
        ANTCACHE_BAD_HANDLE,
        ANTCACHE_POISONED,
        ANTCACHE_PANIC,
        ANTCACHE_NO_MEMORY,
        ANTCACHE_FORKED,
        ANTCACHE_NO_ROOM,
        ANTCACHE_KEY_TOO_LONG,
        ANTCACHE_TOO_LARGE,
        ANTCACHE_FULL,
        ANTCACHE_WRONG_TYPE,
        ANTCACHE_OVERFLOW,
        ANTCACHE_BAD_SETTINGS,
        ANTCACHE_SYSTEM,
        ANTCACHE_LISTEN,
        ANTCACHE_REFUSED,
        ANTCACHE_CLOSED,
        ANTCACHE_DAMAGED,
        ANTCACHE_CONNECT,
        ANTCACHE_LOST,
        ANTCACHE_TIMEOUT,
        ANTCACHE_NOT_CONNECTED,
        ANTCACHE_SERVER_ERROR,
        ANTCACHE_PROTOCOL,
        ANTCACHE_NODE_DOWN,
    ];

    pub(crate) const fn text(self) -> &'static core::ffi::CStr {
        match self {
            ANTCACHE_OK => c"done",
            ANTCACHE_NOT_FOUND => c"no such entry",
            ANTCACHE_NOT_STORED => c"the condition was not met",
            ANTCACHE_STOPPED => c"stopped by the callback",
            ANTCACHE_EMPTY => c"nothing to take",
            ANTCACHE_NULL => c"a pointer is NULL or not aligned",
            ANTCACHE_INVALID => c"an argument is out of range",
            ANTCACHE_STRUCT_SIZE => c"the size of a struct is unknown",
            ANTCACHE_BAD_HANDLE => c"no live object of this type",
            ANTCACHE_POISONED => c"an earlier call failed within the library",
            ANTCACHE_PANIC => c"failure within the library",
            ANTCACHE_NO_MEMORY => c"out of memory",
            ANTCACHE_FORKED => c"the object belongs to the parent process",
            ANTCACHE_NO_ROOM => c"the buffer is too small",
            ANTCACHE_KEY_TOO_LONG => c"the key is too long",
            ANTCACHE_TOO_LARGE => c"the value is too large",
            ANTCACHE_FULL => c"the cache is full",
            ANTCACHE_WRONG_TYPE => c"the value is of another kind",
            ANTCACHE_OVERFLOW => c"the sum would overflow",
            ANTCACHE_BAD_SETTINGS => c"bad settings",
            ANTCACHE_SYSTEM => c"refused by the system",
            ANTCACHE_LISTEN => c"cannot listen on the address",
            ANTCACHE_REFUSED => c"too many connections",
            ANTCACHE_CLOSED => c"it has ended",
            ANTCACHE_DAMAGED => c"the file is damaged",
            ANTCACHE_CONNECT => c"cannot connect",
            ANTCACHE_LOST => c"the connection was lost",
            ANTCACHE_TIMEOUT => c"no answer in time",
            ANTCACHE_NOT_CONNECTED => c"not connected",
            ANTCACHE_SERVER_ERROR => c"the server answered with an error",
            ANTCACHE_PROTOCOL => c"not understood",
            ANTCACHE_NODE_DOWN => c"the node is down",
        }
    }
}

/// What a status means, in a few words of English; "unknown status" for a number that is none. Never NULL; the text is
/// constant and not to be freed.
#[unsafe(no_mangle)]
pub extern "C" fn antcache_status_str(status: i32) -> *const c_char {
    let known = antcache_status::ALL
        .into_iter()
        .find(|known| *known as i32 == status);
    known
        .map_or(c"unknown status", antcache_status::text)
        .as_ptr()
}

/// The version of the library that is running, such as "0.1.0". Never NULL; not to be freed.
#[unsafe(no_mangle)]
pub extern "C" fn antcache_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}
