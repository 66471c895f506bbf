//! A server in a process of its own, whose memory can be measured.
//!
//! The child is the very test program, told to run nothing but the test that serves ([`serve`]); so each shape brings
//! its child along.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{ChildStdout, Command, Stdio};

use ant_cache_host::{Clock, Host, Listeners, Shutdown};

use crate::{Client, Shape};

/// Set for a child.
const VARIABLE: &str = "ANT_CACHE_TESTS_SERVE";

/// What the child prints before its address.
const READY: &str = "serving on ";

/// A running server with default settings and the system's clock. It ends with this.
#[derive(Debug)]
pub struct Child {
    process: std::process::Child,
    /// Kept open: the child's test prints its result at the end.
    _output: BufReader<ChildStdout>,
    address: SocketAddr,
    /// Peak memory when it was ready.
    base: u64,
}

impl Child {
    /// Runs the test `name` of this program, which must call [`serve`].
    pub(crate) fn start(name: &str) -> Self {
        let program = std::env::current_exe().expect("this program has a file");
        let mut process = Command::new(program)
            .args([name, "--exact", "--ignored", "--nocapture"])
            .env(VARIABLE, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program runs");
        let mut output = BufReader::new(process.stdout.take().expect("a pipe"));
        let address = loop {
            let mut line = String::new();
            let n = output.read_line(&mut line).expect("text");
            assert!(n > 0, "the child does not serve");
            if let Some((_, address)) = line.split_once(READY) {
                break address.trim().parse().expect("an address");
            }
        };
        let mut child = Self {
            process,
            _output: output,
            address,
            base: 0,
        };
        // What every server needs once: threads, buffers, the allocator's own.
        child.connect().info("uptime_in_seconds");
        child.base = child.peak();
        child
    }

    /// A new connection.
    #[must_use]
    pub fn connect(&self) -> Client {
        Client::tcp(self.address)
    }

    /// The most memory that was ever resident beyond what it was at the start, in bytes.
    ///
    /// # Panics
    /// If the child is gone.
    #[must_use]
    pub fn grown(&self) -> u64 {
        self.peak() - self.base
    }

    /// Its open descriptors.
    ///
    /// # Panics
    /// If the child is gone.
    #[must_use]
    pub fn descriptors(&self) -> usize {
        self.count("fd")
    }

    /// Its threads.
    ///
    /// # Panics
    /// If the child is gone.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.count("task")
    }

    fn count(&self, what: &str) -> usize {
        let path = format!("/proc/{}/{what}", self.process.id());
        std::fs::read_dir(path).expect("it runs").count()
    }

    fn peak(&self) -> u64 {
        let path = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(path).expect("it runs");
        let kilobytes = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
        let kilobytes: u64 = kilobytes.and_then(|n| n.parse().ok()).expect("a number");
        kilobytes << 10
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // The end of its input stops it; whoever waits closes that first.
        let ended = self.process.wait();
        if !std::thread::panicking() {
            assert!(ended.is_ok_and(|status| status.success()), "it ends well");
        }
    }
}

/// Serves as a child until the end of the input; does nothing where nobody started this as one.
///
/// # Panics
/// If it cannot serve.
pub fn serve(shape: Shape) {
    if std::env::var_os(VARIABLE).is_none() {
        return;
    }
    let mut listeners = Listeners::new();
    listeners.tcp("127.0.0.1", 0).expect("a free port");
    for listener in listeners.iter() {
        println!("{READY}{listener}");
    }
    let shutdown = Shutdown::new().expect("descriptors");
    std::thread::spawn({
        let shutdown = shutdown.clone();
        move || {
            // However it ends, nobody is left to serve for.
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            shutdown.trigger();
        }
    });
    let host = Host::new(Default::default(), Clock::system());
    (shape.serve)(host.into(), listeners, shutdown).expect("it serves to the end");
}
