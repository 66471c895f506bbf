//! Connections to one server, shared among threads.

use core::ffi::{c_char, c_void};

use ant_cache_runtime_std::client::{Pool, PoolOptions};

use crate::boundary::{Outcome, guarded};
use crate::client::{self, antcache_client_options};
use crate::error::{self, antcache_error};
use crate::handle::{self, Object};
use crate::memory::Out;
use crate::options::{self, Settings};
use crate::reply::antcache_reply;
use crate::status::antcache_status::{self, *};

/// How large a pool is. Begin with antcache_pool_options_init; 0 is the default in every field.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct antcache_pool_options {
    /// sizeof(antcache_pool_options).
    pub size: usize,
    /// Connections to a server at most; 0 for 16.
    pub connections: u64,
    /// The longest wait, in milliseconds, for a connection while all are in use; 0 for 5 seconds, UINT64_MAX for any time.
    pub lease_timeout_ms: u64,
    /// How each connection is made and used; NULL for the defaults.
    pub client: *const antcache_client_options,
}

// SAFETY: repr(C), its size first, numbers and a pointer that may be 0.
unsafe impl Settings for antcache_pool_options {}

/// Connections to one server. Threads that use it at once have a connection each, up to a bound. A connection that fails
/// is closed, and another one made for the next request.
pub struct antcache_pool {
    pool: Pool,
}

impl Object for antcache_pool {
    const KIND: &'static [u8; 8] = b"antcpool";
}

/// The options in the terms of the Rust client.
///
/// # Safety
/// As [`options::read`], and [`client::options`] for those of the client.
pub(crate) unsafe fn options(options: *const antcache_pool_options) -> Outcome<PoolOptions> {
    let mut found = PoolOptions::default();
    // SAFETY: passed on.
    if let Some(options) = unsafe { options::read(options)? } {
        if options.connections > 0 {
            found.connections =
                usize::try_from(options.connections).map_err(|_| ANTCACHE_INVALID)?;
        }
        found.lease_timeout = client::wait(options.lease_timeout_ms, found.lease_timeout);
        // SAFETY: passed on.
        found.client = unsafe { client::options(options.client)? };
    }
    Ok(found)
}

/// Sets every field to its default. `size` is sizeof(antcache_pool_options).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_pool_options_init(
    options: *mut antcache_pool_options,
    size: usize,
) -> antcache_status {
    // SAFETY: the conventions are those of `init`.
    unsafe { options::init(options, size) }
}

/// Makes a pool without connections; they are made when they are needed. `address` is as of antcache_client_connect;
/// `options` may be NULL for the defaults, and `error` too. ANTCACHE_BAD_SETTINGS.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_pool_new(
    address: *const c_char,
    options: *const antcache_pool_options,
    pool: *mut *mut antcache_pool,
    error: *mut antcache_error,
) -> antcache_status {
    guarded(|| {
        // SAFETY: the conventions are those of `place`, `Out::new` and `options`.
        let (report, to, options) = unsafe {
            (
                error::place(error)?,
                Out::new(pool)?,
                self::options(options)?,
            )
        };
        // SAFETY: the conventions are those of `address`.
        let made = unsafe { client::address(address) }.and_then(|address| {
            let pool = Pool::new(address, options);
            Ok(handle::give(antcache_pool { pool }, to)?)
        });
        error::tell(made, report)
    })
}

/// Closes the connections of a pool. NULL is nothing to free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_pool_free(pool: *mut antcache_pool) -> antcache_status {
    // SAFETY: the conventions are those of `free`.
    unsafe { handle::free(pool) }
}

/// Sends a request over a connection of the pool, as antcache_client_command. ANTCACHE_TIMEOUT also where no connection
/// came free in time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_pool_command(
    pool: *mut antcache_pool,
    argc: usize,
    argv: *const *const c_void,
    argv_lens: *const usize,
    reply: *mut *mut antcache_reply,
    error: *mut antcache_error,
) -> antcache_status {
    let body = |pool: &antcache_pool| {
        let send = |args: &[&[u8]]| Ok(pool.pool.command(args)?);
        // SAFETY: the conventions are those of `command`.
        unsafe { client::command(argc, argv, argv_lens, reply, error, send) }
    };
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(pool, body) }
}

/// Sends `count` requests together over one connection of the pool, and waits for all replies. `argcs` has the number of
/// words of each request; `argv` and `argv_lens` have the words of all of them, one request behind the other, as
/// antcache_client_command takes them. The reply is an array with the reply of each request in its place, an error that
/// the server answered among them. Failures as of antcache_pool_command.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_pool_pipeline(
    pool: *mut antcache_pool,
    count: usize,
    argcs: *const usize,
    argv: *const *const c_void,
    argv_lens: *const usize,
    replies: *mut *mut antcache_reply,
    error: *mut antcache_error,
) -> antcache_status {
    let body = |pool: &antcache_pool| {
        let send = |requests: &[&[&[u8]]]| Ok(pool.pool.pipeline(requests)?);
        // SAFETY: the conventions are those of `pipeline`.
        unsafe { client::pipeline(count, argcs, argv, argv_lens, replies, error, send) }
    };
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(pool, body) }
}
