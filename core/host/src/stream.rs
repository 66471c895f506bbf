//! One accepted connection's socket.

use std::io::{self, IoSlice};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags};
use socket2::SockRef;

/// What a [`Link`](crate::Link) needs of its socket.
pub trait Wire {
    /// Reads what has arrived, at most `to.len()` bytes; 0 means that the peer sends nothing more.
    ///
    /// # Errors
    /// `WouldBlock` where nothing has arrived; anything else means that the connection is broken.
    fn recv(&mut self, to: &mut [u8]) -> io::Result<usize>;

    /// Sends as much as the socket takes now and says how many bytes that was.
    ///
    /// # Errors
    /// `WouldBlock` where it takes nothing; anything else means that the connection is broken.
    fn send(&mut self, from: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Says to the peer that nothing more will be sent.
    ///
    /// # Errors
    /// What the system reports: the connection is broken.
    fn finish(&mut self) -> io::Result<()>;
}

/// Nothing here may raise SIGPIPE: a program that embeds the server need not have that signal ignored.
#[cfg(not(target_vendor = "apple"))]
const SEND: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);
#[cfg(target_vendor = "apple")]
const SEND: SendFlags = SendFlags::DONTWAIT;

/// The socket of one connection, TCP or Unix. Sending never waits; receiving waits only in [`Stream::waiting`].
#[derive(Debug)]
pub struct Stream(OwnedFd);

impl Stream {
    /// Seconds without traffic after which the kernel asks whether the peer is still there: a peer that vanished
    /// (power, network) would otherwise hold its connection for ever.
    pub const KEEPALIVE: Duration = Duration::from_secs(300);

    /// Takes a TCP connection and sets it up: no delay for small replies, keepalive.
    ///
    /// # Errors
    /// What the system reports; the peer is usually gone already.
    pub fn tcp(stream: TcpStream) -> io::Result<Self> {
        let socket = SockRef::from(&stream);
        socket.set_tcp_nodelay(true)?;
        socket.set_tcp_keepalive(&socket2::TcpKeepalive::new().with_time(Self::KEEPALIVE))?;
        Ok(Self(stream.into()))
    }

    /// Takes a connection of a Unix socket.
    #[must_use]
    pub fn unix(stream: UnixStream) -> Self {
        Self(stream.into())
    }

    /// This socket for one turn, never waiting.
    #[must_use]
    pub fn ready(&self) -> Ready<'_> {
        Ready {
            stream: self,
            recv: RecvFlags::DONTWAIT,
        }
    }

    /// This socket for one turn in which receiving waits for the first byte, at most for the time last set by
    /// [`set_patience`](Self::set_patience).
    #[must_use]
    pub fn waiting(&self) -> Ready<'_> {
        Ready {
            stream: self,
            recv: RecvFlags::empty(),
        }
    }

    /// How long receiving waits in [`waiting`](Self::waiting); `None` for ever. A time of zero is taken as one
    /// millisecond.
    ///
    /// # Errors
    /// What the system reports.
    pub fn set_patience(&self, patience: Option<Duration>) -> io::Result<()> {
        let patience = patience.map(|time| time.max(Duration::from_millis(1)));
        Ok(rustix::net::sockopt::set_socket_timeout(
            &self.0,
            rustix::net::sockopt::Timeout::Recv,
            patience,
        )?)
    }

    /// Ends one direction or both. What has arrived before can still be read.
    ///
    /// # Errors
    /// `NotConnected` where the peer is gone already.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        SockRef::from(self).shutdown(how)
    }

    /// Sends a last message, as far as the socket takes it at once.
    pub fn refuse(&self, message: &[u8]) {
        // The peer may be gone already: that is its affair.
        let _ = self.ready().send(&[IoSlice::new(message)]);
        let _ = self.shutdown(Shutdown::Write);
    }

    /// The peer's address for a log line; `unix` where it has none.
    #[must_use]
    pub fn peer(&self) -> String {
        let address = SockRef::from(self)
            .peer_addr()
            .ok()
            .and_then(|address| address.as_socket());
        address.map_or_else(|| "unix".to_owned(), |address| address.to_string())
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A [`Stream`] for one turn; made by [`Stream::ready`] and [`Stream::waiting`].
#[derive(Debug)]
pub struct Ready<'a> {
    stream: &'a Stream,
    recv: RecvFlags,
}

impl Wire for Ready<'_> {
    fn recv(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let (_, n) = rustix::net::recv(&self.stream.0, to, self.recv)?;
        Ok(n)
    }

    fn send(&mut self, from: &[IoSlice<'_>]) -> io::Result<usize> {
        // One slice is by far the most common, and send is a tenth cheaper than sendmsg.
        Ok(match from {
            [one] => rustix::net::send(&self.stream.0, one, SEND)?,
            many => rustix::net::sendmsg(
                &self.stream.0,
                many,
                &mut SendAncillaryBuffer::default(),
                SEND,
            )?,
        })
    }

    fn finish(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }
}
