//! A real server in this process: a runtime, sockets, and a clock that only the test moves.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread::JoinHandle;

use ant_cache_core::service::Options;
use ant_cache_core::settings::Settings;
use ant_cache_core::stats::Totals;
use ant_cache_host::{Clock, Host, Listeners, Runtime, Shutdown};

use crate::{Child, Client, Peer};

/// A runtime and an architecture.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Serves as [`Runtime::serve`](ant_cache_host::Runtime::serve) does.
    pub serve: fn(Arc<Host>, Listeners, Shutdown) -> io::Result<()>,
    /// The test of this program that serves as a [`Child`].
    pub child: &'static str,
}

impl Shape {
    /// A thread a connection, for tests that need some server. It has no child.
    pub const THREADS: Self = Self {
        serve: |host, listeners, shutdown| {
            ant_cache_runtime_std::Single::default().serve(host, listeners, shutdown)
        },
        child: "",
    };

    /// Starts a server with the default settings.
    #[must_use]
    pub fn start(self) -> Server {
        self.with(Settings::default())
    }

    /// Starts a server with other settings.
    #[must_use]
    pub fn with(self, settings: Settings) -> Server {
        Server::new(self, settings)
    }

    /// Starts a server in a process of its own.
    #[must_use]
    pub fn child(self) -> Child {
        Child::start(self.child)
    }
}

/// A running server on a free port of 127.0.0.1 and a Unix socket. Its time begins at [`Peer::START`]; it is stopped
/// when dropped.
#[derive(Debug)]
pub struct Server {
    host: Arc<Host>,
    address: SocketAddr,
    path: PathBuf,
    shutdown: Shutdown,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Server {
    fn new(shape: Shape, settings: Settings) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "ant-cache-{}-{}.sock",
            std::process::id(),
            COUNT.fetch_add(1, Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        let mut listeners = Listeners::new();
        listeners.tcp("127.0.0.1", 0).expect("a free port");
        listeners.unix(&path).expect("a Unix socket");
        let address = listeners.iter().find_map(|listener| listener.address());
        let options = Options {
            started: Peer::START,
            settings,
            ..Options::default()
        };
        let host = Arc::new(Host::new(options, Clock::manual(Peer::START)));
        let shutdown = Shutdown::new().expect("descriptors");
        let thread = std::thread::spawn({
            let (host, shutdown) = (Arc::clone(&host), shutdown.clone());
            move || (shape.serve)(host, listeners, shutdown)
        });
        Self {
            host,
            address: address.expect("a TCP listener"),
            path,
            shutdown,
            thread: Some(thread),
        }
    }

    /// Where it listens for TCP.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// A connection through TCP.
    #[must_use]
    pub fn connect(&self) -> Client {
        Client::tcp(self.address)
    }

    /// A connection through the Unix socket.
    #[must_use]
    pub fn connect_unix(&self) -> Client {
        Client::unix(&self.path)
    }

    /// The settings that are in force.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.host.service().settings
    }

    /// What was counted so far.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.host.service().totals()
    }

    /// Moves the server's clock.
    pub fn pass(&self, ms: u64) {
        self.host.clock().advance(ms);
    }

    /// Tells it to stop, and does not wait for that.
    pub fn trigger(&self) {
        self.shutdown.trigger();
    }

    /// Stops it.
    ///
    /// # Panics
    /// If it does not end well, or leaves its socket's file behind.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.shutdown.trigger();
        let Some(thread) = self.thread.take() else {
            return;
        };
        let served = thread.join();
        if !std::thread::panicking() {
            served
                .expect("the server does not panic")
                .expect("it serves to the end");
            assert!(!self.path.exists(), "its socket is removed");
            assert_eq!(self.totals().closed_panicked, 0, "no turn panics");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}
