//! Servers that are started to be measured.

use core::time::Duration;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use ant_cache_runtime_std::client::Address;
use rustix::process::{Pid, Signal, geteuid, kill_process};

use super::Cores;
use crate::bench::wire::Dialect;

/// A server process, stopped when dropped.
#[derive(Debug)]
pub(in crate::bench) struct Server {
    child: Child,
    pub(in crate::bench) name: String,
    pub(in crate::bench) port: u16,
    pub(in crate::bench) dialect: Dialect,
    log: Log,
}

/// A program that serves, found on the path.
#[derive(Clone, Debug)]
pub(in crate::bench) struct Peer {
    pub(in crate::bench) name: &'static str,
    pub(in crate::bench) dialect: Dialect,
    program: PathBuf,
}

/// Programs that can be measured beside, each with how it is told to listen on one port and to keep nothing.
const PEERS: [(&str, Dialect, &[&str]); 5] = [
    ("redis-server", Dialect::Resp, REDIS),
    ("valkey-server", Dialect::Resp, REDIS),
    (
        "keydb-server",
        Dialect::Resp,
        &[
            "--bind",
            "127.0.0.1",
            "--port",
            "{port}",
            "--save",
            "",
            "--appendonly",
            "no",
            "--server-threads",
            "{cores}",
        ],
    ),
    (
        "dragonfly",
        Dialect::Resp,
        &[
            "--bind=127.0.0.1",
            "--port={port}",
            "--dbfilename=",
            "--proactor_threads={cores}",
        ],
    ),
    (
        "memcached",
        Dialect::Memcached,
        &[
            "-l",
            "127.0.0.1",
            "-p",
            "{port}",
            "-U",
            "0",
            "-t",
            "{cores}",
            "-m",
            "2048",
            "-c",
            "20000",
        ],
    ),
];

/// Redis has one thread that executes, however many cores there are.
const REDIS: &[&str] = &[
    "--bind",
    "127.0.0.1",
    "--port",
    "{port}",
    "--save",
    "",
    "--appendonly",
    "no",
    "--maxclients",
    "15000",
];

impl Peer {
    /// Those that are installed.
    pub(in crate::bench) fn found() -> Vec<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        PEERS
            .iter()
            .filter_map(|&(name, dialect, _)| {
                let program = std::env::split_paths(&path)
                    .map(|folder| folder.join(name))
                    .find(|file| file.is_file())?;
                Some(Self {
                    name,
                    dialect,
                    program,
                })
            })
            .collect()
    }

    /// # Errors
    /// Why it does not start.
    pub(in crate::bench) fn start(&self, cores: &Cores) -> Result<Server, String> {
        let port = free_port().map_err(|error| format!("no port is free: {error}"))?;
        let words = PEERS
            .iter()
            .find(|(name, ..)| *name == self.name)
            .map_or(REDIS, |(_, _, words)| words);
        let mut command = Command::new(&self.program);
        for word in words {
            let word = word.replace("{port}", &port.to_string());
            command.arg(word.replace("{cores}", &cores.server().to_string()));
        }
        if self.dialect == Dialect::Memcached && geteuid().is_root() {
            command.args(["-u", "nobody"]);
        }
        let log = Log::create().map_err(|error| format!("{}: {error}", self.name))?;
        command.stdout(log.file()).stderr(log.file());
        let child =
            spawn(&mut command, cores).map_err(|error| format!("{}: {error}", self.name))?;
        let mut server = Server {
            child,
            name: self.name.to_owned(),
            port,
            dialect: self.dialect,
            log,
        };
        server.wait_until_it_listens()?;
        Ok(server)
    }

    /// What it says its version is, in one line.
    pub(in crate::bench) fn version(&self) -> String {
        let output = Command::new(&self.program).arg("--version").output();
        let text = output.map(|output| output.stdout).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        text.lines().next().unwrap_or(self.name).to_owned()
    }
}

impl Server {
    /// How long a server may take to start.
    const PATIENCE: Duration = Duration::from_secs(20);
    /// How long it may take to stop before it is killed.
    const GRACE: Duration = Duration::from_secs(5);
    const NAP: Duration = Duration::from_millis(20);

    /// This program as a server with these flags.
    ///
    /// # Errors
    /// Why it does not start.
    pub(in crate::bench) fn own<S: AsRef<OsStr>>(
        name: &str,
        flags: &[S],
        cores: &Cores,
    ) -> Result<Self, String> {
        let failed = |error: io::Error| format!("{name}: {error}");
        let log = Log::create().map_err(failed)?;
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        // What is measured depends on what is written here alone.
        for (variable, _) in std::env::vars_os() {
            if variable.as_encoded_bytes().starts_with(b"ANT_CACHE_") {
                command.env_remove(variable);
            }
        }
        command
            .args(["--host", "127.0.0.1", "--port", "0", "--log-level", "warn"])
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(log.file());
        let mut child = spawn(&mut command, cores).map_err(failed)?;
        // It prints one line, when it listens.
        let mut ready = String::new();
        if let Some(stdout) = child.stdout.take() {
            let _ = BufReader::new(stdout).read_line(&mut ready);
        }
        let mut server = Self {
            child,
            name: name.to_owned(),
            port: 0,
            dialect: Dialect::Resp,
            log,
        };
        let address = ready.split_once("127.0.0.1:").map(|(_, rest)| rest);
        let port = address.and_then(|rest| rest.split(' ').next()?.trim().parse().ok());
        server.port = port.ok_or_else(|| server.failure())?;
        Ok(server)
    }

    fn wait_until_it_listens(&mut self) -> Result<(), String> {
        let began = Instant::now();
        while began.elapsed() < Self::PATIENCE {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok() {
                return Ok(());
            }
            if self.child.try_wait().is_ok_and(|status| status.is_some()) {
                break;
            }
            std::thread::sleep(Self::NAP);
        }
        Err(self.failure())
    }

    /// Why it does not serve, in its own words.
    fn failure(&mut self) -> String {
        // It is about to end by itself, or never will.
        self.stop();
        format!("{} does not start: {}", self.name, self.log.reason())
    }

    pub(in crate::bench) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(in crate::bench) fn address(&self) -> Address {
        Address::Tcp {
            host: Ipv4Addr::LOCALHOST.to_string(),
            port: self.port,
        }
    }

    fn stop(&mut self) {
        let began = Instant::now();
        // One that has ended already has nothing to be told.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        while began.elapsed() < Self::GRACE {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Self::NAP);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Starts a program on the servers' cores.
fn spawn(command: &mut Command, cores: &Cores) -> io::Result<Child> {
    cores.enter_server()?;
    let child = command.stdin(Stdio::null()).spawn();
    cores.enter_load()?;
    child
}

/// A port that was free a moment ago.
fn free_port() -> io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

/// A file for what a server complains of, removed when dropped.
#[derive(Debug)]
struct Log {
    file: File,
    path: PathBuf,
}

impl Log {
    fn create() -> io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ant-cache-bench-{}-{number}.log", std::process::id());
        let path = std::env::temp_dir().join(name);
        let file = File::create_new(&path)?;
        Ok(Self { file, path })
    }

    fn file(&self) -> Stdio {
        self.file
            .try_clone()
            .map_or_else(|_| Stdio::null(), Stdio::from)
    }

    fn reason(&self) -> String {
        reason(&String::from_utf8_lossy(
            &fs::read(&self.path).unwrap_or_default(),
        ))
    }
}

/// Of what a server said before it ended, the line that tells why: the first that says so, else the last.
fn reason(log: &str) -> String {
    let mut lines = log.lines().map(str::trim).filter(|line| !line.is_empty());
    let last = lines.clone().next_back();
    let error = lines.find(|line| line.to_ascii_lowercase().contains("error"));
    error.or(last).unwrap_or("it says nothing").to_owned()
}

impl Drop for Log {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_a_server_does_not_start() {
        let unknown = "error: unexpected argument '--dir' found\n\nUsage: x\n\nFor more information, try '--help'.\n";
        assert_eq!(reason(unknown), "error: unexpected argument '--dir' found");
        assert_eq!(reason("starting\nno memory left\n\n"), "no memory left");
        assert_eq!(reason(""), "it says nothing");
    }
}
