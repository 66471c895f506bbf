//! The client: one connection.

use core::ffi::{c_char, c_void};
use core::time::Duration;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ant_cache_core::client::Value;
use ant_cache_runtime_std::client::{
    Address, Client, ClientError, ClientOptions, Protocol, Requests,
};

use crate::boundary::{Outcome, guarded};
use crate::cache::{ANTCACHE_NX, ANTCACHE_XX};
use crate::error::{self, Failure, antcache_error};
use crate::handle::{self, Object};
use crate::memory::{self, ANTCACHE_MAX_COUNT, Out};
use crate::options::{self, Settings};
use crate::reply::{self, antcache_reply};
use crate::status::antcache_status::{self, *};

/// How a client connects and how long it waits. Begin with antcache_client_options_init; 0 is the default in every field.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct antcache_client_options {
    /// sizeof(antcache_client_options).
    pub size: usize,
    /// The longest wait, in milliseconds, for each address of the host to accept; 0 for 5 seconds, UINT64_MAX for any time.
    pub connect_timeout_ms: u64,
    /// The longest wait from the moment a request, or a whole pipeline, is sent until its last reply is complete; 0 for 10
    /// seconds, UINT64_MAX for any time.
    pub read_timeout_ms: u64,
    /// The longest time in which the server takes no byte of a request; 0 for 10 seconds, UINT64_MAX for any time.
    pub write_timeout_ms: u64,
    /// Sent by AUTH first; NULL for none.
    pub password: *const c_char,
    /// The version of RESP: 2 or 3; 0 for 2.
    pub protocol: i32,
    /// Must be 0.
    pub reserved: i32,
}

// SAFETY: repr(C), its size first, numbers and pointers that may be 0.
unsafe impl Settings for antcache_client_options {}

/// One connection to a server. Threads that use it wait for each other.
///
/// A request that fails half way closes the connection, so that its late reply is never taken for another's: further
/// requests fail with ANTCACHE_NOT_CONNECTED until antcache_client_reconnect. ANTCACHE_SERVER_ERROR closes nothing.
pub struct antcache_client {
    state: Mutex<State>,
}

struct State {
    client: Client,
    /// Appended and not yet sent.
    requests: Requests,
    /// The name of the first of them, for errors.
    first: Vec<u8>,
    /// Replies that were not yet taken.
    replies: VecDeque<Value>,
}

impl Object for antcache_client {
    const KIND: &'static [u8; 8] = b"antclint";
}

impl antcache_client {
    fn state(&self) -> MutexGuard<'_, State> {
        // After a panic the object is poisoned, and no call gets here.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn command(&self, args: &[&[u8]]) -> Result<Value, Failure> {
        Ok(self.state().client.command(args)?)
    }
}

impl State {
    /// Sends what was appended, and takes all replies.
    fn flush(&mut self) -> Result<(), Failure> {
        let replies = self.client.run(&self.requests);
        self.requests.clear();
        let replies = replies
            .map_err(|kind| ClientError::new(self.client.address(), Some(&self.first), kind))?;
        self.replies.extend(replies);
        Ok(())
    }
}

/// A longest wait as C says it: 0 for the default, all bits for any time.
pub(crate) fn wait(ms: u64, default: Option<Duration>) -> Option<Duration> {
    match ms {
        0 => default,
        u64::MAX => None,
        ms => Some(Duration::from_millis(ms)),
    }
}

/// The options in the terms of the Rust client.
///
/// # Safety
/// As [`options::read`]; the password is NULL or a text.
pub(crate) unsafe fn options(options: *const antcache_client_options) -> Outcome<ClientOptions> {
    let mut found = ClientOptions::default();
    // SAFETY: passed on.
    if let Some(options) = unsafe { options::read(options)? } {
        if options.reserved != 0 {
            return Err(ANTCACHE_INVALID);
        }
        found.connect_timeout = wait(options.connect_timeout_ms, found.connect_timeout);
        found.read_timeout = wait(options.read_timeout_ms, found.read_timeout);
        found.write_timeout = wait(options.write_timeout_ms, found.write_timeout);
        // SAFETY: passed on.
        let password = unsafe { memory::optional_text(options.password)? };
        found.password = password.map(str::to_owned);
        found.protocol = match options.protocol {
            0 | 2 => Protocol::Resp2,
            3 => Protocol::Resp3,
            _ => return Err(ANTCACHE_INVALID),
        };
    }
    Ok(found)
}

/// An address from C.
///
/// # Safety
/// It is NULL or a text.
pub(crate) unsafe fn address(text: *const c_char) -> Result<Address, Failure> {
    // SAFETY: passed on.
    let text = unsafe { memory::text(text)? };
    text.parse()
        .map_err(|error| Failure::at(ANTCACHE_BAD_SETTINGS, text, error))
}

/// The words of a request.
///
/// # Safety
/// `argv` has `argc` addresses and `lens` their lengths; where `lens` is NULL, they are texts.
pub(crate) unsafe fn words<'a>(
    argc: usize,
    argv: *const *const c_void,
    lens: *const usize,
) -> Outcome<Vec<&'a [u8]>> {
    if argc == 0 {
        return Err(ANTCACHE_INVALID);
    }
    if !lens.is_null() {
        // SAFETY: passed on.
        return unsafe { memory::strings(argv, lens, argc) };
    }
    // SAFETY: passed on.
    let argv = unsafe { memory::values(argv, argc, ANTCACHE_MAX_COUNT, ANTCACHE_INVALID)? };
    argv.iter()
        // SAFETY: passed on.
        .map(|text| Ok(unsafe { memory::text(text.cast())? }.as_bytes()))
        .collect()
}

/// Has a request of C's sent, and hands over its reply, or tells what went wrong.
///
/// # Safety
/// As [`words`], [`Out::new`] and [`error::place`].
pub(crate) unsafe fn command(
    argc: usize,
    argv: *const *const c_void,
    argv_lens: *const usize,
    reply: *mut *mut antcache_reply,
    error: *mut antcache_error,
    send: impl FnOnce(&[&[u8]]) -> Result<Value, Failure>,
) -> Outcome {
    // SAFETY: passed on.
    let (report, args, to) = unsafe {
        (
            error::place(error)?,
            words(argc, argv, argv_lens)?,
            Out::new(reply)?,
        )
    };
    let replied = send(&args).and_then(|value| Ok(reply::give(value, to)?));
    error::tell(replied, report)
}

/// The same for `count` requests, whose words are one behind the other; the reply is an array of theirs.
///
/// # Safety
/// As [`command`], for as many words as the `count` numbers at `argcs` are together.
pub(crate) unsafe fn pipeline(
    count: usize,
    argcs: *const usize,
    argv: *const *const c_void,
    argv_lens: *const usize,
    replies: *mut *mut antcache_reply,
    error: *mut antcache_error,
    send: impl FnOnce(&[&[&[u8]]]) -> Result<Vec<Value>, Failure>,
) -> Outcome {
    // SAFETY: passed on.
    let argcs = unsafe { memory::values(argcs, count, ANTCACHE_MAX_COUNT, ANTCACHE_INVALID)? };
    if argcs.contains(&0) {
        return Err(ANTCACHE_INVALID);
    }
    let all = argcs
        .iter()
        .fold(0, |all: usize, argc| all.saturating_add(*argc));
    let send = |mut words: &[&[u8]]| {
        let requests: Vec<_> = argcs
            .iter()
            .map(|argc| {
                let (request, rest) = words.split_at(*argc);
                words = rest;
                request
            })
            .collect();
        send(&requests).map(Value::Array)
    };
    // SAFETY: passed on.
    unsafe { command(all, argv, argv_lens, replies, error, send) }
}

/// Sets every field to its default. `size` is sizeof(antcache_client_options).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_client_options_init(
    options: *mut antcache_client_options,
    size: usize,
) -> antcache_status {
    // SAFETY: the conventions are those of `init`.
    unsafe { options::init(options, size) }
}

/// Connects to a server: "host", "host:port", "[::1]:port", "/path" of a Unix socket; the port is 8890 where there is none.
/// `options` may be NULL for the defaults, `error` too. ANTCACHE_BAD_SETTINGS, ANTCACHE_CONNECT; ANTCACHE_SERVER_ERROR where
/// the server refuses the password or the version.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_client_connect(
    address: *const c_char,
    options: *const antcache_client_options,
    client: *mut *mut antcache_client,
    error: *mut antcache_error,
) -> antcache_status {
    guarded(|| {
        // SAFETY: the conventions are those of `place`, `Out::new` and `options`.
        let (report, to, options) = unsafe {
            (
                error::place(error)?,
                Out::new(client)?,
                self::options(options)?,
            )
        };
        // SAFETY: the conventions are those of `address`.
        let connected = unsafe { self::address(address) }.and_then(|address| {
            let client = Client::connect(address, options)?;
            let state = Mutex::new(State {
                client,
                requests: Requests::default(),
                first: Vec::new(),
                replies: VecDeque::new(),
            });
            Ok(handle::give(antcache_client { state }, to)?)
        });
        error::tell(connected, report)
    })
}

/// Closes a connection. NULL is nothing to free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_client_free(client: *mut antcache_client) -> antcache_status {
    // SAFETY: the conventions are those of `free`.
    unsafe { handle::free(client) }
}

/// Replaces the connection, whether it still lives or not, by a new one to the same address. What was appended is
/// forgotten, and so are replies that were not taken. As antcache_client_connect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_client_reconnect(
    client: *mut antcache_client,
    error: *mut antcache_error,
) -> antcache_status {
    let body = |client: &antcache_client| {
        // SAFETY: the conventions are those of `place`.
        let report = unsafe { error::place(error)? };
        let mut state = client.state();
        state.requests.clear();
        state.replies.clear();
        let connected = state.client.reconnect();
        error::tell(
            connected.map(|()| ANTCACHE_OK).map_err(Failure::from),
            report,
        )
    };
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(client, body) }
}

/// Whether there is a connection, as far as the system knows: ANTCACHE_OK or ANTCACHE_NOT_CONNECTED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_client_is_connected(
    client: *const antcache_client,
) -> antcache_status {
    let body = |client: &antcache_client| {
        if client.state().client.is_connected() {
            Ok(ANTCACHE_OK)
        } else {
            Err(ANTCACHE_NOT_CONNECTED)
        }
    };
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(client, body) }
}

/// Sends a request of `argc` words, the command's name first, and waits for its reply, to be freed by
/// antcache_reply_free. `argv_lens` has the words' lengths; it may be NULL where all are text. An error that the server
/// answers is ANTCACHE_SERVER_ERROR, and not a reply. ANTCACHE_LOST, ANTCACHE_TIMEOUT, ANTCACHE_NOT_CONNECTED,
/// ANTCACHE_PROTOCOL. `error` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_client_command(
    client: *mut antcache_client,
    argc: usize,
    argv: *const *const c_void,
    argv_lens: *const usize,
    reply: *mut *mut antcache_reply,
    error: *mut antcache_error,
) -> antcache_status {
    let body = |client: &antcache_client| {
        let send = |args: &[&[u8]]| client.command(args);
        // SAFETY: the conventions are those of `command`.
        unsafe { command(argc, argv, argv_lens, reply, error, send) }
    };
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(client, body) }
}

/// Adds a request to the pipeline, as antcache_client_command takes it. Nothing is sent yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_client_append(
    client: *mut antcache_client,
    argc: usize,
    argv: *const *const c_void,
    argv_lens: *const usize,
) -> antcache_status {
    let body = |client: &antcache_client| {
        // SAFETY: the conventions are those of `words`.
        let args = unsafe { words(argc, argv, argv_lens)? };
        let mut state = client.state();
        if state.requests.is_empty() {
            state.first = args[0].to_vec();
        }
        state.requests.push(&args).map_err(|_| ANTCACHE_INVALID)?;
        Ok(ANTCACHE_OK)
    };
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(client, body) }
}

/// Sends what was appended, and waits until all replies are there to be taken. However long the pipeline, it does not
/// block itself: replies are read while requests are still being sent. Failures as of antcache_client_command; after one
/// nothing of the pipeline is left. `error` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_client_flush(
    client: *mut antcache_client,
    error: *mut antcache_error,
) -> antcache_status {
    let body = |client: &antcache_client| {
        // SAFETY: the conventions are those of `place`.
        let report = unsafe { error::place(error)? };
        let flushed = client.state().flush();
        error::tell(flushed.map(|()| ANTCACHE_OK), report)
    };
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(client, body) }
}

/// Takes the next reply of the pipeline, to be freed by antcache_reply_free; flushes first where all that came are taken.
/// Replies come in the order of the requests. An error that the server answered is a reply in its place.
/// ANTCACHE_EMPTY where every request that was appended has its reply. `error` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_client_get_reply(
    client: *mut antcache_client,
    reply: *mut *mut antcache_reply,
    error: *mut antcache_error,
) -> antcache_status {
    let body = |client: &antcache_client| {
        // SAFETY: the conventions are those of `place` and `Out::new`.
        let (report, to) = unsafe { (error::place(error)?, Out::new(reply)?) };
        let mut state = client.state();
        if state.replies.is_empty() {
            let flushed = state.flush();
            if flushed.is_err() {
                return error::tell(flushed.map(|()| ANTCACHE_OK), report);
            }
        }
        match state.replies.pop_front() {
            None => Ok(ANTCACHE_EMPTY),
            Some(value) => reply::give(value, to),
        }
    };
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(client, body) }
}

/// A reply that is of no type that the command answers with.
fn unexpected(client: &antcache_client, command: &str) -> Failure {
    let state = client.state();
    let address = state.client.address();
    let message = format!("{address}: {command}: a reply of another type than it should be");
    Failure::at(ANTCACHE_PROTOCOL, address, message)
}

/// GET: the string of a key in new memory, to be freed by antcache_free. ANTCACHE_NOT_FOUND. Failures as of
/// antcache_client_command.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_client_get(
    client: *mut antcache_client,
    key: *const c_void,
    key_len: usize,
    value: *mut *mut c_void,
    value_len: *mut usize,
    error: *mut antcache_error,
) -> antcache_status {
    let body = |client: &antcache_client| {
        // SAFETY: the conventions are those of `place`, `key` and `Out::new`.
        let (report, key, to, to_len) = unsafe {
            (
                error::place(error)?,
                memory::key(key, key_len)?,
                Out::new(value)?,
                Out::new(value_len)?,
            )
        };
        let answered = client
            .command(&[b"GET", key])
            .and_then(|value| match value {
                Value::Null => Ok(ANTCACHE_NOT_FOUND),
                Value::Bulk(bytes) => {
                    to.write(memory::duplicate(&bytes)?.as_ptr());
                    to_len.write(bytes.len());
                    Ok(ANTCACHE_OK)
                }
                _ => Err(unexpected(client, "GET")),
            });
        error::tell(answered, report)
    };
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(client, body) }
}

/// SET: `ttl_ms` is the time to live in milliseconds, 0 for no end; `flags` is 0, ANTCACHE_NX or ANTCACHE_XX.
/// ANTCACHE_NOT_STORED where the condition is not met. Failures as of antcache_client_command.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_client_set(
    client: *mut antcache_client,
    key: *const c_void,
    key_len: usize,
    value: *const c_void,
    value_len: usize,
    ttl_ms: u64,
    flags: u32,
    error: *mut antcache_error,
) -> antcache_status {
    let body = |client: &antcache_client| {
        // SAFETY: the conventions are those of `place`, `key` and `value`.
        let (report, key, value) = unsafe {
            (
                error::place(error)?,
                memory::key(key, key_len)?,
                memory::value(value, value_len)?,
            )
        };
        let ttl = ttl_ms.to_string();
        let mut args: Vec<&[u8]> = vec![b"SET", key, value];
        if ttl_ms > 0 {
            args.extend([&b"PX"[..], ttl.as_bytes()]);
        }
        match flags {
            0 => {}
            ANTCACHE_NX => args.push(b"NX"),
            ANTCACHE_XX => args.push(b"XX"),
            _ => return Err(ANTCACHE_INVALID),
        }
        let answered = client.command(&args).and_then(|value| match value {
            Value::Null => Ok(ANTCACHE_NOT_STORED),
            Value::Status(_) => Ok(ANTCACHE_OK),
            _ => Err(unexpected(client, "SET")),
        });
        error::tell(answered, report)
    };
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(client, body) }
}

/// DEL of one key. ANTCACHE_NOT_FOUND where it had no entry. Failures as of antcache_client_command.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_client_delete(
    client: *mut antcache_client,
    key: *const c_void,
    key_len: usize,
    error: *mut antcache_error,
) -> antcache_status {
    let body = |client: &antcache_client| {
        // SAFETY: the conventions are those of `place` and `key`.
        let (report, key) = unsafe { (error::place(error)?, memory::key(key, key_len)?) };
        error::tell(count(client, &[b"DEL", key]), report)
    };
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(client, body) }
}

/// PEXPIRE, or PERSIST where `ttl_ms` is 0: gives a key a new time to live. ANTCACHE_NOT_FOUND where there is nothing to
/// change. Failures as of antcache_client_command.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_client_touch(
    client: *mut antcache_client,
    key: *const c_void,
    key_len: usize,
    ttl_ms: u64,
    error: *mut antcache_error,
) -> antcache_status {
    let body = |client: &antcache_client| {
        // SAFETY: the conventions are those of `place` and `key`.
        let (report, key) = unsafe { (error::place(error)?, memory::key(key, key_len)?) };
        let ttl = ttl_ms.to_string();
        let answered = if ttl_ms == 0 {
            count(client, &[b"PERSIST", key])
        } else {
            count(client, &[b"PEXPIRE", key, ttl.as_bytes()])
        };
        error::tell(answered, report)
    };
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(client, body) }
}

/// A command that answers with how many keys it concerned: 0 or 1.
fn count(client: &antcache_client, args: &[&[u8]]) -> Result<antcache_status, Failure> {
    match client.command(args)? {
        Value::Integer(0) => Ok(ANTCACHE_NOT_FOUND),
        Value::Integer(_) => Ok(ANTCACHE_OK),
        _ => Err(unexpected(client, &String::from_utf8_lossy(args[0]))),
    }
}

/// INCRBY: adds `by`, which may be negative, and writes the sum to `sum`, which may be NULL. Failures as of
/// antcache_client_command.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_client_incr(
    client: *mut antcache_client,
    key: *const c_void,
    key_len: usize,
    by: i64,
    sum: *mut i64,
    error: *mut antcache_error,
) -> antcache_status {
    let body = |client: &antcache_client| {
        // SAFETY: the conventions are those of `place`, `key` and `Out::optional`.
        let (report, key, to) = unsafe {
            (
                error::place(error)?,
                memory::key(key, key_len)?,
                Out::optional(sum)?,
            )
        };
        let by = by.to_string();
        let args: [&[u8]; 3] = [b"INCRBY", key, by.as_bytes()];
        let answered = client.command(&args).and_then(|value| match value {
            Value::Integer(sum) => {
                if let Some(to) = to {
                    to.write(sum);
                }
                Ok(ANTCACHE_OK)
            }
            _ => Err(unexpected(client, "INCRBY")),
        });
        error::tell(answered, report)
    };
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(client, body) }
}
