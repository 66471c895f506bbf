//! Connections to one server, shared among threads.

use core::ffi::{c_char, c_void};

use ant_cache_runtime_std::client::{Pool, PoolOptions};

use crate::boundary::{Outcome, guarded};
use crate::client::{self, antcache_client_options};
use crate::error::{self, Failure, antcache_error};
use crate::handle::{self, Object};
use crate::memory::Out;
use crate::options::{self, Settings};
use crate::reply::{self, antcache_reply};
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
        // SAFETY: the conventions are those of `place`, `words` and `Out::new`.
        let (report, args, to) = unsafe {
            (
                error::place(error)?,
                client::words(argc, argv, argv_lens)?,
                Out::new(reply)?,
            )
        };
        let replied = pool.pool.command(&args).map_err(Failure::from);
        error::tell(
            replied.and_then(|value| Ok(reply::give(value, to)?)),
            report,
        )
    };
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(pool, body) }
}
