//! The server.

use core::ffi::c_char;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use ant_cache_core::facts::{Fact, Section};
use ant_cache_host::config::{self, Architecture, Runtime as RuntimeName, Settings};
use ant_cache_host::persist::Persistence;
use ant_cache_host::{Clock, Host, Listeners, Runtime, Shutdown};
use ant_cache_runtime_smol as smol;
use ant_cache_runtime_std as threads;

use crate::boundary::{Outcome, guarded};
use crate::error::{self, Failure, antcache_error};
use crate::handle::{self, Object};
use crate::memory::{self, Out};
use crate::signals::{self, Blocked};
use crate::status::antcache_status::{self, *};

/// A server that runs on threads of its own.
pub struct antcache_server {
    shutdown: Shutdown,
    port: u16,
    /// Nothing once it was waited for.
    thread: Mutex<Option<JoinHandle<io::Result<()>>>>,
}

impl Object for antcache_server {
    const KIND: &'static [u8; 8] = b"antservr";
}

impl antcache_server {
    /// Stops it, and waits until it has.
    fn stop(&self) -> Outcome {
        self.shutdown.trigger();
        // Held while waiting: who comes second has to wait too.
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        match thread.take().map(JoinHandle::join) {
            None | Some(Ok(Ok(()))) => Ok(ANTCACHE_OK),
            Some(Ok(Err(_))) => Err(ANTCACHE_SYSTEM),
            Some(Err(_)) => Err(ANTCACHE_PANIC),
        }
    }
}

impl Drop for antcache_server {
    fn drop(&mut self) {
        // Who frees it does not ask how it went.
        let _ = self.stop();
    }
}

/// Pairs of names and values that one may give: more than there are settings.
const MOST_SETTINGS: usize = 1000;

/// Starts a server. `settings` are `count` texts, names and values in turn, by the names that `ant-cache-cli serve --help`
/// lists without their dashes: {"host", "127.0.0.1", "port", "0", "runtime", "smol", "server", "pooled"}. Port 0 takes a free
/// one; "unix-socket" is the path of a Unix socket. The environment is not read. ANTCACHE_BAD_SETTINGS, ANTCACHE_LISTEN,
/// ANTCACHE_SYSTEM, and the error says why. `error` may be NULL.
///
/// The server accepts connections when this returns, and goes on until antcache_server_stop or antcache_server_free.
/// Its threads take no signals.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_server_start(
    settings: *const *const c_char,
    count: usize,
    server: *mut *mut antcache_server,
    error: *mut antcache_error,
) -> antcache_status {
    guarded(|| {
        // SAFETY: the conventions are those of `place` and `Out::new`.
        let (report, to) = unsafe { (error::place(error)?, Out::new(server)?) };
        // SAFETY: the conventions are those of `pairs`.
        let pairs = unsafe { pairs(settings, count)? };
        let started = start(pairs).and_then(|server| Ok(handle::give(server, to)?));
        error::tell(started, report)
    })
}

/// # Safety
/// Where it is not NULL, an array of `count` texts is there.
unsafe fn pairs<'a>(
    settings: *const *const c_char,
    count: usize,
) -> Outcome<Vec<(&'a str, String)>> {
    // SAFETY: passed on.
    let texts = unsafe { memory::values(settings, count, 2 * MOST_SETTINGS, ANTCACHE_INVALID)? };
    if !count.is_multiple_of(2) {
        return Err(ANTCACHE_INVALID);
    }
    let mut pairs = Vec::new();
    for pair in texts.chunks_exact(2) {
        // SAFETY: passed on.
        let (name, value) = unsafe { (memory::text(pair[0])?, memory::text(pair[1])?) };
        pairs.push((name, value.to_owned()));
    }
    Ok(pairs)
}

fn start(pairs: Vec<(&str, String)>) -> Result<antcache_server, Failure> {
    let (_, settings) =
        config::load(pairs, []).map_err(|error| Failure::new(ANTCACHE_BAD_SETTINGS, error))?;
    let listeners = settings
        .listen()
        .map_err(|error| Failure::new(ANTCACHE_LISTEN, error))?;
    let system = |error| Failure::new(ANTCACHE_SYSTEM, error);
    let shutdown = Shutdown::new().map_err(system)?;
    let port = listeners.port();
    let mut options = settings.options(&listeners);
    let allocator = Fact::new(Section::Memory, "mem_allocator", "libc");
    options.facts.push(allocator);
    let host = Arc::new(Host::new(options, Clock::system()));
    host.service().set_stopper(shutdown.waker());
    let persistence = settings.persistence.as_ref().map(|options| {
        Persistence::open(options, host.service(), host.clock())
            .map_err(|error| Failure::new(ANTCACHE_SYSTEM, error))
    });
    let persistence = persistence.transpose()?;
    let flag = shutdown.clone();
    // What the thread starts has its mask of signals.
    let _blocked = Blocked::all();
    let thread = thread::Builder::new()
        .name("ant-cache".to_owned())
        .spawn(move || {
            let served = serve(&settings, Arc::clone(&host), listeners, flag);
            let closed =
                persistence.map(|persistence| persistence.close(host.service().wants_final_save()));
            let closed = closed.transpose().map_err(io::Error::other);
            served.and(closed.map(|_| ()))
        })
        .map_err(system)?;
    Ok(antcache_server {
        shutdown,
        port,
        thread: Mutex::new(Some(thread)),
    })
}

fn serve(
    settings: &Settings,
    host: Arc<Host>,
    listeners: Listeners,
    shutdown: Shutdown,
) -> io::Result<()> {
    let &Settings {
        workers,
        stack_size,
        ..
    } = settings;
    let (executors, lanes) = (settings.executor_count(), settings.lane_count());
    match (settings.runtime, settings.architecture) {
        (RuntimeName::Std, Architecture::Single) => {
            threads::Single { stack_size }.serve(host, listeners, shutdown)
        }
        (RuntimeName::Std, Architecture::Pooled) => threads::Pooled {
            workers,
            lanes,
            stack_size,
        }
        .serve(host, listeners, shutdown),
        (RuntimeName::Smol, Architecture::Single) => smol::Single {
            executors,
            stack_size,
        }
        .serve(host, listeners, shutdown),
        (RuntimeName::Smol, Architecture::Pooled) => smol::Pooled {
            workers,
            lanes,
            stack_size,
        }
        .serve(host, listeners, shutdown),
    }
}

/// Writes the TCP port that the server listens on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_server_port(
    server: *const antcache_server,
    port: *mut u16,
) -> antcache_status {
    let body = |server: &antcache_server| {
        // SAFETY: the conventions are those of `Out::new`.
        unsafe { Out::new(port)? }.write(server.port);
        Ok(ANTCACHE_OK)
    };
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(server, body) }
}

/// Stops a server in good order and waits until it has: what was received is answered, for 5 seconds at most. A server
/// that has stopped may be stopped again. ANTCACHE_SYSTEM where the server had ended because the system refused what it
/// needs, or not all changes are on the disk.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_server_stop(server: *mut antcache_server) -> antcache_status {
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(server, antcache_server::stop) }
}

/// Waits until the process gets SIGINT or SIGTERM, or another thread stops the server; then stops it in good order. Both
/// signals must be blocked in all other threads of the program, or the system may give them to one of those: block
/// them before the first thread is started. The program's handlers of them are not called meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_server_run(server: *mut antcache_server) -> antcache_status {
    let body = |server: &antcache_server| {
        signals::wait(&server.shutdown).map_err(|_| ANTCACHE_SYSTEM)?;
        server.stop()
    };
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(server, body) }
}

/// Frees a server, which it stops first. NULL is nothing to free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_server_free(server: *mut antcache_server) -> antcache_status {
    // SAFETY: the conventions are those of `free`.
    unsafe { handle::free(server) }
}
