//! The limits that both dialects share, each with its reason. Users find them in `docs/PROTOCOL.md`.

/// The longest request, in bytes on the wire. Past it the request gets an error and the connection closes.
pub const MAX_REQUEST: usize = 64 << 20;

/// The longest request where memory is bounded. It lies in the input until it is executed, in a buffer that may be twice
/// as long, and again in the store: of a longer one not even the first could be kept. At least what a stranger may send.
#[must_use]
pub const fn max_request(max_memory: u64) -> usize {
    let quarter = max_memory / 4;
    if quarter >= MAX_REQUEST as u64 {
        MAX_REQUEST
    } else if quarter <= MAX_REQUEST_UNAUTHENTICATED as u64 {
        MAX_REQUEST_UNAUTHENTICATED
    } else {
        quarter as usize
    }
}

/// Bytes of changes that may wait to be written before who changes something waits for the disk: what a disk writes in a
/// second, but no more than a quarter of the memory that is bounded.
#[must_use]
pub const fn max_backlog(max_memory: u64) -> u64 {
    let quarter = max_memory / 4;
    if quarter < MAX_BACKLOG {
        quarter
    } else {
        MAX_BACKLOG
    }
}

const MAX_BACKLOG: u64 = 128 << 20;

/// The most arguments in one request (the command's name included), as Redis's limit of a multibulk.
pub const MAX_ARGS: usize = 1 << 20;

/// The longest key in bytes: its length is stored in two bytes of an entry.
pub const MAX_KEY: usize = 65_535;

/// The longest request before AUTH, where a password is set: a stranger may not make the server buffer more.
pub const MAX_REQUEST_UNAUTHENTICATED: usize = 64 << 10;

/// The longest time in milliseconds from connecting to AUTH, where a password is set.
pub const AUTH_DEADLINE: u64 = 10_000;

/// Replies that wait to be sent on one connection, in bytes. At this the session executes nothing more until the
/// client has read; one single reply may be larger.
pub const MAX_UNREAD: usize = 1 << 20;

/// Bytes that are kept for all who MONITOR together; who has not read what is older by then is closed. As much as a slow
/// terminal needs, and where memory is bounded little of it.
#[must_use]
pub const fn max_shown(max_memory: u64) -> usize {
    const MOST: u64 = 8 << 20;
    const LEAST: u64 = 64 << 10;
    let part = max_memory / 16;
    (if part > MOST {
        MOST
    } else if part < LEAST {
        LEAST
    } else {
        part
    }) as usize
}

/// The longest string that APPEND and SETRANGE may build: what one request could have set.
pub const MAX_STRING: usize = 64 << 20;

/// The most names that one request may ask about: commands, settings, sections of INFO, options of HELLO. More than there
/// are, and few enough for one turn.
pub const MAX_NAMES: usize = 1000;

/// The longest name that a client may give itself or its library, and the longest pattern for names of commands and
/// settings, in bytes: names are kept as long as their connection.
pub const MAX_NAME: usize = 1024;

/// The longest password that CONFIG SET accepts, in bytes. It must fit into a request before AUTH.
pub const MAX_PASSWORD: usize = MAX_REQUEST_UNAUTHENTICATED / 2;
