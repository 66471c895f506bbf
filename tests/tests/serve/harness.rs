//! A server in this process and clients that talk to it.

use std::io::{self, Read, Write};
use std::net::{Shutdown as Direction, SocketAddr, TcpStream};
use std::sync::Arc;
use std::task::Waker;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ant_cache_core::Millis;
use ant_cache_core::facts::Section;
use ant_cache_core::service::Options;
use ant_cache_core::settings::Settings;
use ant_cache_core::stats::Totals;
use ant_cache_host::{Clock, Host, Listeners, Runtime, Shutdown};

/// A client that waits this long has waited in vain: the test fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server that serves until it is dropped.
pub(crate) struct Server {
    pub(crate) host: Arc<Host>,
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: Shutdown,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Server {
    pub(crate) fn start(runtime: impl Runtime + Send + 'static) -> Self {
        Self::with(runtime, Clock::system(), |_| {}, |_| {})
    }

    /// With the system's clock and these settings.
    pub(crate) fn set(runtime: impl Runtime + Send + 'static, set: impl FnOnce(&Settings)) -> Self {
        Self::with(runtime, Clock::system(), set, |_| {})
    }

    pub(crate) fn with(
        runtime: impl Runtime + Send + 'static,
        clock: Clock,
        set: impl FnOnce(&Settings),
        listen: impl FnOnce(&mut Listeners),
    ) -> Self {
        let mut listeners = Listeners::new();
        listeners.tcp("127.0.0.1", 0).unwrap();
        listen(&mut listeners);
        let address = listeners.iter().next().unwrap().address().unwrap();
        let shutdown = Shutdown::new().unwrap();
        let host = Arc::new(Host::new(Options::default(), clock).with_fault(fault));
        set(&host.service().settings);
        let thread = thread::spawn({
            let (host, shutdown) = (Arc::clone(&host), shutdown.clone());
            move || runtime.serve(host, listeners, shutdown)
        });
        Self {
            host,
            address,
            shutdown,
            thread: Some(thread),
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::over(TcpStream::connect(self.address).unwrap())
    }

    pub(crate) fn totals(&self) -> Totals {
        self.host.service().totals()
    }

    /// A number of the pool as INFO and the metrics tell it.
    pub(crate) fn told(&self, field: &str) -> u64 {
        let report = self.host.service().report(self.host.clock().now());
        let fields = report.section(Section::Antcache);
        let found = fields.iter().find(|(name, _)| name == field);
        found.expect("INFO tells it").1.parse().unwrap()
    }

    /// Waits until the server's own view is as it should be. What it reports changes a moment after what clients see.
    pub(crate) fn until(&self, mut what: impl FnMut(&Self) -> bool) {
        let mut looks = 0;
        while !what(self) {
            looks += 1;
            assert!(
                looks < 30_000,
                "in vain: {:?} {:?}",
                self.totals(),
                self.host.pool().read()
            );
            thread::sleep(Duration::from_millis(1));
        }
    }

    pub(crate) fn stop(&mut self) {
        self.shutdown.trigger();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap().unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.stop();
        }
    }
}

/// A client of the text dialect.
pub(crate) struct Client(pub(crate) TcpStream);

impl Client {
    pub(crate) fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).unwrap();
    }

    /// One line, without its end. `None` where the connection has ended.
    pub(crate) fn line(&mut self) -> Option<String> {
        let (mut line, mut byte) = (Vec::new(), [0]);
        while line.last() != Some(&b'\n') {
            match self.0.read(&mut byte) {
                Ok(0) => return None,
                Ok(_) => line.push(byte[0]),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("{error}, after {:?}", String::from_utf8_lossy(&line)),
            }
        }
        Some(String::from_utf8(line).unwrap().trim_end().to_owned())
    }

    /// Everything until the end of the connection.
    pub(crate) fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
            Err(error) => panic!("{error}"),
        }
        String::from_utf8(rest).unwrap()
    }

    /// Sends a request of one line and returns its reply of one line.
    pub(crate) fn ask(&mut self, request: &str) -> String {
        self.send(format!("{request}\n"));
        self.line().expect("an answer")
    }

    /// Says that nothing more will be sent.
    pub(crate) fn finish(&self) {
        self.0.shutdown(Direction::Write).unwrap();
    }
}

/// What requests of these tests make a turn do, see [`Host::with_fault`].
fn fault(input: &[u8], waker: &Waker) -> bool {
    let held = crate::wakes::hold(input, waker);
    if input.starts_with(b"PANIC") {
        panic!("as the test asked for");
    }
    if let Some(stuck) = input.strip_prefix(b"STUCK ") {
        crate::pool::stuck(stuck[0], stuck[1]);
    }
    held
}

/// The present moment of a manual clock at its start.
pub(crate) const START: Millis = Millis(1_800_000_000_000);
