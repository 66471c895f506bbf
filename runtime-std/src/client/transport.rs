//! Bytes to and from the server, every wait bounded.
//!
//! Sending never blocks: where the server takes no more, its replies are read meanwhile, so that a long pipeline and
//! a server that waits for its replies to be read cannot block each other. Once all is sent, reads block with the
//! socket's own timeout: two system calls a request, as in a client that cares for none of this. With a time for busy
//! polling, a reply that is expected at once is asked for before that.

use super::{Address, ClientOptions, ErrorKind};
use ant_cache_host::BusyPoll;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType};
use rustix::net::{recv, send};
use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::time::Instant;

#[derive(Debug)]
pub(super) struct Transport {
    socket: OwnedFd,
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
    busy_poll: Duration,
    polls: BusyPoll,
    /// The timeout of reads that the socket is set to now.
    armed: Option<Duration>,
    buffer: Box<[u8]>,
    /// Asked where a signal has interrupted a wait: whether to give up.
    give_up: fn() -> bool,
}

/// Room for one read: hundreds of small replies, and a large one in few calls.
const READ: usize = 32 << 10;

/// It delays timeouts and handlers of signals, so it is short; and sleep costs little beside more.
const MAX_BUSY_POLL: Duration = Duration::from_millis(1);

/// Waits that sleep at once after others have wanted the core: a thread that slept is let in before others, one that polled
/// waits for milliseconds.
const AFTER_TAKEN: u32 = 1024;

/// Whether a thread of this process polls busily: one at a time, so that many do not keep the cores from a server that
/// wants them. (A child that is forked meanwhile never polls, which only costs it the gain.)
static POLLING: AtomicBool = AtomicBool::new(false);

impl Transport {
    pub(super) fn connect(address: &Address, options: &ClientOptions) -> io::Result<Self> {
        // The system refuses a timeout of zero, and what it rounds to zero.
        let at_least_a_milli = |limit: Duration| limit.max(Duration::from_millis(1));
        let read_timeout = options.read_timeout.map(at_least_a_milli);
        let connect_timeout = options.connect_timeout.map(at_least_a_milli);
        let socket = match address {
            Address::Tcp { host, port } => connect_tcp(host, *port, connect_timeout)?,
            Address::Unix(path) => connect_unix(&SocketAddrUnix::new(path)?, connect_timeout)?,
        };
        set_socket_timeout(&socket, Timeout::Recv, read_timeout)?;
        Ok(Self {
            socket,
            read_timeout,
            write_timeout: options.write_timeout,
            busy_poll: options.busy_poll.min(MAX_BUSY_POLL),
            polls: BusyPoll::new(AFTER_TAKEN),
            armed: read_timeout,
            buffer: vec![0; READ].into(),
            give_up: || false,
        })
    }

    pub(super) fn on_interrupt(&mut self, give_up: fn() -> bool) {
        self.give_up = give_up;
    }

    /// Whether nothing has arrived that nobody asked for, an end of the connection included, as far as is known.
    pub(super) fn is_open(&self) -> bool {
        let mut byte = [0; 1];
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        matches!(recv(&self.socket, &mut byte, flags), Err(Errno::AGAIN))
    }

    /// Sends `out` and gives every piece that arrives to `take`, until it says that all replies are complete.
    pub(super) fn exchange(
        &mut self,
        out: &[u8],
        mut take: impl FnMut(&[u8]) -> Result<bool, ErrorKind>,
    ) -> Result<(), ErrorKind> {
        let mut done = self.send_all(out, &mut take)?;
        let sent = Instant::now();
        self.arm(self.read_timeout)?;
        while !done {
            let got = match self.poll_busily()? {
                0 => self.receive(RecvFlags::empty())?,
                got => got,
            };
            done = take(&self.buffer[..got])?;
            if let (false, Some(limit)) = (done, self.read_timeout) {
                let left = limit.saturating_sub(sent.elapsed());
                if left.is_zero() {
                    return Err(ErrorKind::TimedOut(limit));
                }
                self.arm(Some(left.max(Duration::from_millis(1))))?;
            }
        }
        Ok(())
    }

    /// Asks for bytes until some have come or the time for that is over, and returns how many there are in the buffer.
    fn poll_busily(&mut self) -> Result<usize, ErrorKind> {
        if self.busy_poll.is_zero() || POLLING.swap(true, Ordering::Relaxed) {
            return Ok(0);
        }
        let (socket, buffer) = (&self.socket, &mut self.buffer[..]);
        let got = self.polls.ask(self.busy_poll, || {
            match recv(socket, &mut *buffer, RecvFlags::DONTWAIT) {
                Ok((_, 0)) => Err(ErrorKind::ClosedByServer),
                Ok((_, got)) => Ok(Some(got)),
                Err(Errno::AGAIN | Errno::INTR) => Ok(None),
                Err(error) => Err(ErrorKind::Io(error.into())),
            }
        });
        POLLING.store(false, Ordering::Relaxed);
        got.map(Option::unwrap_or_default)
    }

    /// Sends what the server takes of `out` without waiting, and leaves the rest; true if that was anything. Where the
    /// server has closed the connection there is nothing left to send: it may have said why.
    pub(super) fn push(&self, out: &mut &[u8]) -> Result<bool, ErrorKind> {
        loop {
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            match send(&self.socket, out, flags) {
                Ok(sent) => *out = &out[sent..],
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => return Ok(false),
                Err(Errno::PIPE | Errno::CONNRESET) => *out = &[],
                Err(error) => return Err(ErrorKind::Io(error.into())),
            }
            return Ok(true);
        }
    }

    /// Reads once without waiting, and gives what has arrived to `take`; returns what that returns.
    pub(super) fn pull(
        &mut self,
        mut take: impl FnMut(&[u8]) -> Result<bool, ErrorKind>,
    ) -> Result<bool, ErrorKind> {
        loop {
            return match recv(&self.socket, &mut self.buffer[..], RecvFlags::DONTWAIT) {
                Ok((_, 0)) => Err(ErrorKind::ClosedByServer),
                Ok((_, got)) => take(&self.buffer[..got]),
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => Ok(false),
                Err(error) => Err(ErrorKind::Io(error.into())),
            };
        }
    }

    pub(super) const fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    pub(super) const fn read_timeout(&self) -> Option<Duration> {
        self.read_timeout
    }

    pub(super) const fn write_timeout(&self) -> Option<Duration> {
        self.write_timeout
    }

    /// Sends `out`; reads only while the server takes nothing.
    fn send_all(
        &mut self,
        out: &[u8],
        take: &mut impl FnMut(&[u8]) -> Result<bool, ErrorKind>,
    ) -> Result<bool, ErrorKind> {
        let mut rest = out;
        let mut done = false;
        // Since when the server takes nothing: nobody asks what time it is while it does.
        let mut stalled = None;
        while !rest.is_empty() {
            match send(
                &self.socket,
                rest,
                SendFlags::DONTWAIT | SendFlags::NOSIGNAL,
            ) {
                Ok(sent) => {
                    rest = &rest[sent..];
                    stalled = None;
                }
                Err(Errno::INTR) => self.interrupted()?,
                Err(Errno::AGAIN) => {
                    let since = *stalled.get_or_insert_with(Instant::now);
                    if self.wait(since)?.contains(PollFlags::IN) {
                        let got = self.receive(RecvFlags::DONTWAIT)?;
                        done = take(&self.buffer[..got])?;
                        // A server that answers is alive, though it takes nothing.
                        stalled = None;
                    }
                }
                // It has closed, perhaps with a reply that says why: read it.
                Err(Errno::PIPE | Errno::CONNRESET) => break,
                Err(error) => return Err(ErrorKind::Io(error.into())),
            }
        }
        Ok(done)
    }

    /// Waits until the server takes bytes or sends some, at most to the end of the write timeout.
    fn wait(&self, since: Instant) -> Result<PollFlags, ErrorKind> {
        let timeout = match self.write_timeout {
            None => None,
            Some(limit) => match limit.checked_sub(since.elapsed()) {
                None => return Err(ErrorKind::TimedOut(limit)),
                Some(left) => {
                    Some(Timespec::try_from(left).map_err(|_| ErrorKind::TimedOut(limit))?)
                }
            },
        };
        let mut fds = [PollFd::new(&self.socket, PollFlags::IN | PollFlags::OUT)];
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) => Ok(fds[0].revents()),
            Err(Errno::INTR) => self.interrupted().map(|()| PollFlags::empty()),
            Err(error) => Err(ErrorKind::Io(error.into())),
        }
    }

    /// One read into the buffer; at least one byte.
    fn receive(&mut self, flags: RecvFlags) -> Result<usize, ErrorKind> {
        loop {
            return match recv(&self.socket, &mut self.buffer[..], flags) {
                Ok((_, 0)) => Err(ErrorKind::ClosedByServer),
                Ok((_, got)) => Ok(got),
                Err(Errno::INTR) => {
                    self.interrupted()?;
                    continue;
                }
                Err(Errno::AGAIN) => {
                    Err(ErrorKind::TimedOut(self.read_timeout.unwrap_or_default()))
                }
                Err(error) => Err(ErrorKind::Io(error.into())),
            };
        }
    }

    /// Fails where a signal that has interrupted a wait is a reason to end it.
    pub(super) fn interrupted(&self) -> Result<(), ErrorKind> {
        if (self.give_up)() {
            Err(ErrorKind::Io(Errno::INTR.into()))
        } else {
            Ok(())
        }
    }

    fn arm(&mut self, timeout: Option<Duration>) -> Result<(), ErrorKind> {
        if self.armed != timeout {
            set_socket_timeout(&self.socket, Timeout::Recv, timeout)
                .map_err(|error| ErrorKind::Io(error.into()))?;
            self.armed = timeout;
        }
        Ok(())
    }
}

/// Tries every address of the host in turn; the last failure is reported.
fn connect_tcp(host: &str, port: u16, timeout: Option<Duration>) -> io::Result<OwnedFd> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in (host, port).to_socket_addrs()? {
        let connected = match timeout {
            Some(timeout) => TcpStream::connect_timeout(&address, timeout),
            None => TcpStream::connect(address),
        };
        match connected {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream.into());
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// A Unix socket whose listener has no room lets the caller wait, as long as it lets one who sends wait.
fn connect_unix(path: &SocketAddrUnix, timeout: Option<Duration>) -> io::Result<OwnedFd> {
    let socket = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    set_socket_timeout(&socket, Timeout::Send, timeout)?;
    rustix::net::connect(&socket, path)?;
    Ok(socket)
}
