//! The reference: a `redis-server` process of this test's own, on a Unix socket in a directory of its own.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ant_cache_core::client::{Scanner, encode};

pub(crate) struct Redis {
    process: Child,
    directory: PathBuf,
    stream: UnixStream,
    received: Vec<u8>,
}

impl Redis {
    /// Starts the server; `None` where it is not installed.
    pub(crate) fn start(name: &str) -> Option<Self> {
        let directory = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory for the socket");
        let socket = directory.join("socket");
        let process = Command::new("redis-server")
            .args([
                "--port",
                "0",
                "--save",
                "",
                "--appendonly",
                "no",
                "--unixsocket",
            ])
            .arg(&socket)
            .current_dir(&directory)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let mut process = match process {
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            process => process.expect("redis-server starts"),
        };
        let stream = loop {
            match UnixStream::connect(&socket) {
                Ok(stream) => break stream,
                Err(_) => {
                    let ended = process.try_wait().expect("a process that was started");
                    assert!(ended.is_none(), "redis-server ended: {ended:?}");
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        };
        Some(Self {
            process,
            directory,
            stream,
            received: Vec::new(),
        })
    }

    /// The bytes of the reply to one request.
    pub(crate) fn call(&mut self, request: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(request, &mut bytes);
        self.stream.write_all(&bytes).expect("redis-server reads");
        let mut scanner = Scanner::default();
        loop {
            if let Some(frame) = scanner.scan(&self.received).expect("a reply of Redis") {
                return self.received.drain(..frame.end).collect();
            }
            let mut piece = [0; 64 << 10];
            let n = self.stream.read(&mut piece).expect("redis-server writes");
            assert!(n > 0, "redis-server closed the connection");
            self.received.extend_from_slice(&piece[..n]);
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // Best effort: the test is over, and a failure here must not hide another.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
