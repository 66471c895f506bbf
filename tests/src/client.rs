//! A client that says exactly which bytes it sends and which it expects.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use ant_cache_core::client::{Decoder, Value};
use socket2::Socket;

use crate::request;

/// How long a reply may take before the test counts as hung.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// One connection through a socket. Everything panics where the server does not do what the method says.
#[derive(Debug)]
pub struct Client {
    socket: Socket,
    /// Bytes that were received behind what was asked for.
    ahead: Vec<u8>,
}

impl Client {
    /// Connects to a TCP port.
    ///
    /// # Panics
    /// If nobody listens there.
    #[must_use]
    pub fn tcp(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("somebody listens");
        stream.set_nodelay(true).expect("it is a TCP socket");
        Self::new(stream.into())
    }

    /// Connects to a Unix socket.
    ///
    /// # Panics
    /// If nobody listens there.
    #[must_use]
    pub fn unix(path: &Path) -> Self {
        let stream = UnixStream::connect(path).expect("somebody listens");
        Self::new(OwnedFd::from(stream).into())
    }

    fn new(socket: Socket) -> Self {
        socket
            .set_read_timeout(Some(PATIENCE))
            .and_then(|()| socket.set_write_timeout(Some(PATIENCE)))
            .expect("timeouts can be set");
        Self {
            socket,
            ahead: Vec::new(),
        }
    }

    /// This side's address.
    ///
    /// # Panics
    /// If it is a Unix socket.
    #[must_use]
    pub fn local_address(&self) -> SocketAddr {
        let address = self.socket.local_addr().expect("a socket");
        address.as_socket().expect("an address of TCP")
    }

    /// Sends bytes, all of them.
    ///
    /// # Panics
    /// If the server does not take them.
    pub fn send(&self, bytes: &[u8]) {
        (&self.socket).write_all(bytes).expect("the server reads");
    }

    /// Sends bytes to a server that may close in the middle.
    pub fn try_send(&self, bytes: &[u8]) {
        // The test looks at what the server answers.
        let _ = (&self.socket).write_all(bytes);
    }

    /// Says that nothing more will be sent.
    ///
    /// # Panics
    /// If the system refuses it.
    pub fn finish(&self) {
        let done = self.socket.shutdown(Shutdown::Write);
        // The server may have closed it completely.
        if let Err(error) = done {
            assert_eq!(error.kind(), ErrorKind::NotConnected, "{error}");
        }
    }

    /// Breaks the connection at once: what is on its way in either direction is lost.
    ///
    /// # Panics
    /// If the system does not know how.
    pub fn hang_up(self) {
        self.socket
            .set_linger(Some(Duration::ZERO))
            .expect("it can be told to");
    }

    /// Another handle to the same connection, for another thread to send through.
    ///
    /// # Panics
    /// If the system has no more descriptors.
    #[must_use]
    pub fn split(&self) -> Self {
        Self::new(self.socket.try_clone().expect("a descriptor"))
    }

    /// Receives something more; false at the end.
    fn receive(&mut self) -> bool {
        let mut room = [0; 64 << 10];
        match (&self.socket).read(&mut room) {
            Ok(n) => {
                self.ahead.extend_from_slice(&room[..n]);
                n > 0
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) => panic!("no reply ({error}) behind {}", self.end().escape_ascii()),
        }
    }

    /// The end of what was received, to be shown.
    fn end(&self) -> &[u8] {
        &self.ahead[self.ahead.len().saturating_sub(100)..]
    }

    /// The next `n` bytes.
    ///
    /// # Panics
    /// If fewer come.
    pub fn read(&mut self, n: usize) -> Vec<u8> {
        while self.ahead.len() < n {
            assert!(
                self.receive(),
                "the server closed behind {}",
                self.end().escape_ascii()
            );
        }
        let rest = self.ahead.split_off(n);
        std::mem::replace(&mut self.ahead, rest)
    }

    /// Expects exactly these bytes next.
    ///
    /// # Panics
    /// If others come, or none.
    #[track_caller]
    pub fn expect(&mut self, bytes: &[u8]) {
        let read = self.read(bytes.len());
        if read != bytes {
            let at = read.iter().zip(bytes).take_while(|(a, b)| a == b).count();
            let near = |bytes: &[u8]| {
                let shown = &bytes[at.saturating_sub(40)..bytes.len().min(at + 200)];
                shown.escape_ascii().to_string()
            };
            panic!("at {at}:\n{}\ninstead of\n{}", near(&read), near(bytes));
        }
    }

    /// Everything up to the end, which must come; a reset counts as one.
    pub fn rest(&mut self) -> Vec<u8> {
        while self.receive() {}
        std::mem::take(&mut self.ahead)
    }

    /// Expects that the server closes, with nothing before that.
    ///
    /// # Panics
    /// If something comes.
    #[track_caller]
    pub fn expect_end(&mut self) {
        let rest = self.rest();
        assert!(rest.is_empty(), "{}", rest.escape_ascii());
    }

    /// The next line, without its end.
    ///
    /// # Panics
    /// If the server closes before.
    pub fn line(&mut self) -> String {
        let mut searched = 0;
        loop {
            if let Some(at) = self.ahead[searched..].iter().position(|&b| b == b'\n') {
                let line = self.read(searched + at + 1);
                let line = line.strip_suffix(b"\n").unwrap_or(&line);
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                return String::from_utf8_lossy(line).into_owned();
            }
            searched = self.ahead.len();
            assert!(self.receive(), "the server closed");
        }
    }

    /// Sends a line of text; returns the line of the reply.
    pub fn text(&mut self, line: &str) -> String {
        self.send(format!("{line}\n").as_bytes());
        self.line()
    }

    /// Sends a RESP request of these words; returns the reply.
    ///
    /// # Panics
    /// If no reply comes.
    pub fn resp<W: AsRef<[u8]>>(&mut self, words: &[W]) -> Value {
        self.send(&request(words));
        self.value()
    }

    /// The next RESP reply.
    ///
    /// # Panics
    /// If none comes.
    pub fn value(&mut self) -> Value {
        let mut decoder = Decoder::default();
        loop {
            let mut input = &self.ahead[..];
            let decoded = decoder.decode(&mut input).expect("a reply of RESP");
            self.ahead.drain(..self.ahead.len() - input.len());
            if let Some(value) = decoded {
                return value;
            }
            assert!(self.receive(), "the server closed");
        }
    }

    /// Whether something has arrived that was not asked for yet.
    ///
    /// # Panics
    /// If the connection is broken.
    #[must_use]
    pub fn has_arrived(&self) -> bool {
        if !self.ahead.is_empty() {
            return true;
        }
        self.socket.set_nonblocking(true).expect("a socket");
        let peeked = self.socket.peek(&mut [std::mem::MaybeUninit::uninit(); 1]);
        self.socket.set_nonblocking(false).expect("a socket");
        match peeked {
            Ok(_) => true,
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            Err(error) => panic!("{error}"),
        }
    }

    /// The value of a numeric field of INFO.
    ///
    /// # Panics
    /// If there is no such field.
    pub fn info(&mut self, field: &str) -> u64 {
        let reply = self.resp(&["INFO"]);
        let text = String::from_utf8_lossy(reply.as_bytes().expect("a string")).into_owned();
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        value
            .and_then(|value| value.parse().ok())
            .unwrap_or_else(|| panic!("a number {field} in {text}"))
    }
}
