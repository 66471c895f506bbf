//! The server.

use core::ffi::c_char;
use core::num::NonZeroUsize;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ant_cache_core::facts::{Fact, Section};
use ant_cache_core::service::Options;
use ant_cache_core::settings::Settings as LiveSettings;
use ant_cache_core::store::Store;
use ant_cache_host::config::{self, Architecture, Runtime as RuntimeName, Settings};
use ant_cache_host::persist::Persistence;
use ant_cache_host::process::random_bits;
use ant_cache_host::{Clock, Host, Listener, Listeners, Runtime, Shutdown};
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
    let listen = |error| Failure::new(ANTCACHE_LISTEN, error);
    let mut listeners = Listeners::new();
    listeners
        .tcp(&settings.host, settings.port)
        .map_err(listen)?;
    if let Some(path) = &settings.unix_socket {
        listeners.unix(path).map_err(listen)?;
    }
    let system = |error| Failure::new(ANTCACHE_SYSTEM, error);
    let shutdown = Shutdown::new().map_err(system)?;
    let port = listeners
        .iter()
        .find_map(Listener::address)
        .map_or(0, |address| address.port());
    let host = Arc::new(host(&settings, port));
    host.service().set_stopper(stopper(&shutdown));
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

/// Stops the server when the command SHUTDOWN wakes it.
fn stopper(shutdown: &Shutdown) -> Waker {
    struct Stop(Shutdown);

    impl Wake for Stop {
        fn wake(self: Arc<Self>) {
            self.0.trigger();
        }
    }

    Arc::new(Stop(shutdown.clone())).into()
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
    let cores = || thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let executors = settings.executor_threads.unwrap_or_else(cores);
    let or_lanes = |lanes| settings.lanes.unwrap_or(lanes).min(workers);
    match (settings.runtime, settings.architecture) {
        (RuntimeName::Std, Architecture::Single) => {
            threads::Single { stack_size }.serve(host, listeners, shutdown)
        }
        (RuntimeName::Std, Architecture::Pooled) => threads::Pooled {
            workers,
            lanes: or_lanes(cores()),
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
            lanes: or_lanes(executors),
            stack_size,
        }
        .serve(host, listeners, shutdown),
    }
}

fn host(settings: &Settings, port: u16) -> Host {
    let live = LiveSettings::default();
    let password = settings.password.as_ref();
    live.set_password(password.map(|password| password.reveal().to_vec()));
    live.set_max_memory(settings.max_memory.unwrap_or(u64::MAX));
    live.set_least_memory(settings.least_memory);
    live.set_eviction(settings.eviction);
    live.set_max_connections(settings.max_connections);
    live.set_send_timeout(millis(settings.send_timeout));
    live.set_idle_timeout(millis(settings.idle_timeout));
    let options = Options {
        seed: random_bits(),
        shards: settings.max_memory.map_or(Store::SHARDS, Store::shards_for),
        settings: live,
        facts: vec![
            Fact::new(Section::Server, "tcp_port", port),
            Fact::new(Section::Memory, "mem_allocator", "libc"),
            Fact::new(Section::Antcache, "runtime", settings.runtime),
            Fact::new(Section::Antcache, "architecture", settings.architecture),
        ],
        fixed: vec![("bind", settings.host.clone()), ("port", port.to_string())],
        ..Options::default()
    };
    Host::new(options, Clock::system())
}

/// A timeout in milliseconds; 0 for none.
fn millis(timeout: Option<Duration>) -> u64 {
    timeout.map_or(0, |time| {
        u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
    })
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
