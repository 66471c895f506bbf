//! The program as a child process.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// A file name for one test.
pub(crate) fn scratch(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// The program with these words, without settings from whoever runs the tests.
pub(crate) fn program(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ant-cache-cli"));
    for (name, _) in std::env::vars_os() {
        if name
            .to_str()
            .is_some_and(|name| name.starts_with("ANT_CACHE_"))
        {
            command.env_remove(name);
        }
    }
    command.args(words).stdin(Stdio::null());
    command
}

/// Runs the program to its end.
pub(crate) fn run(words: &[&str]) -> Output {
    program(words).output().unwrap()
}

/// Runs a start that must fail for a reason that whoever started it can mend. Returns what it said: one line.
pub(crate) fn refusal(words: &[&str]) -> String {
    let output = run(words);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        (output.status.code(), output.stdout.len()),
        (Some(2), 0),
        "{text}"
    );
    let line = text.strip_suffix('\n').unwrap();
    assert!(!line.contains('\n'), "{text}");
    line.strip_prefix("ant-cache-cli: error: ")
        .unwrap()
        .to_owned()
}

/// A running server, killed when dropped.
pub(crate) struct Server {
    child: Child,
    /// The line that it printed at its start.
    pub(crate) ready: String,
    /// What it logs; closed where taken and dropped.
    pub(crate) log: Option<BufReader<ChildStderr>>,
}

impl Server {
    /// Starts a server and waits until it is ready.
    pub(crate) fn start(words: &[&str]) -> Self {
        Self::spawn(program(words))
    }

    /// Starts a server by this command.
    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut ready)
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        if ready.is_empty() {
            let mut text = String::new();
            log.read_to_string(&mut text).unwrap();
            panic!("{command:?} did not start: {text}");
        }
        Self {
            child,
            ready,
            log: Some(log),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The TCP port.
    pub(crate) fn port(&self) -> u16 {
        let rest = self.ready.split_once("127.0.0.1:").unwrap().1;
        rest.split(' ').next().unwrap().parse().unwrap()
    }

    pub(crate) fn connect(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.port())).unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// The rest of its log, to its end.
    pub(crate) fn rest_of_log(&mut self) -> String {
        let mut text = String::new();
        self.log.take().unwrap().read_to_string(&mut text).unwrap();
        text
    }

    /// Waits for the end; the exit code.
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already, in most tests.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
