//! Bytes to and from the server, every wait bounded.

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use ant_cache_host::client::{Address, ClientOptions, ErrorKind};
use async_io::{Async, Timer};
use futures_io::{AsyncRead, AsyncWrite};
use futures_lite::future::{or, poll_fn};

use super::deadline::Deadline;

/// What a client can speak over.
pub(super) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// Room for one read: hundreds of small replies, and a large one in few calls.
const READ: usize = 32 << 10;

pub(super) struct Transport {
    wire: Box<dyn Wire>,
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
    deadline: Deadline,
    buffer: Box<[u8]>,
}

impl Transport {
    pub(super) async fn connect(address: &Address, options: &ClientOptions) -> io::Result<Self> {
        let wire = match address {
            Address::Tcp { host, port } => connect_tcp(host, *port, options).await?,
            Address::Unix(path) => {
                let connect = Async::<UnixStream>::connect(path);
                Box::new(within(options.connect_timeout, connect).await?)
            }
        };
        Ok(Self::over(wire, options))
    }

    pub(super) fn over(wire: Box<dyn Wire>, options: &ClientOptions) -> Self {
        Self {
            wire,
            read_timeout: options.read_timeout,
            write_timeout: options.write_timeout,
            deadline: Deadline::default(),
            buffer: vec![0; READ].into(),
        }
    }

    /// Whether nothing has arrived that nobody asked for, an end of the connection included, as far as is known.
    pub(super) fn is_open(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        let read = Pin::new(&mut self.wire).poll_read(&mut cx, &mut self.buffer[..1]);
        read.is_pending()
    }

    /// Sends `out` and gives every piece that arrives to `take`, until it says that all replies are complete.
    ///
    /// Replies are taken while requests are still being sent, so that a long pipeline and a server that waits for its
    /// replies to be read cannot block each other.
    pub(super) async fn exchange(
        &mut self,
        out: &[u8],
        mut take: impl FnMut(&[u8]) -> Result<bool, ErrorKind>,
    ) -> Result<(), ErrorKind> {
        let mut rest = out;
        let mut done = false;
        self.deadline.set(self.write_timeout);
        while !rest.is_empty() {
            match poll_fn(|cx| self.poll_send(cx, rest)).await? {
                Sent::Some(sent) => rest = &rest[sent..],
                Sent::Received(got) => done = take(&self.buffer[..got])?,
                Sent::Refused => break,
            }
            // A server that answers is alive, though it takes nothing.
            self.deadline.set(self.write_timeout);
        }
        self.deadline.set(self.read_timeout);
        while !done {
            let got = poll_fn(|cx| self.poll_receive(cx)).await?;
            done = take(&self.buffer[..got])?;
        }
        Ok(())
    }

    /// Sends what the server takes, and reads only while it takes nothing.
    fn poll_send(&mut self, cx: &mut Context<'_>, rest: &[u8]) -> Poll<Result<Sent, ErrorKind>> {
        match Pin::new(&mut self.wire).poll_write(cx, rest) {
            Poll::Pending => self.poll_receive(cx).map_ok(Sent::Received),
            Poll::Ready(Ok(0)) => Poll::Ready(Ok(Sent::Refused)),
            Poll::Ready(Ok(sent)) => Poll::Ready(Ok(Sent::Some(sent))),
            Poll::Ready(Err(error)) => Poll::Ready(match error.kind() {
                // It has closed, perhaps with a reply that says why: read it.
                io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Ok(Sent::Refused),
                _ => Err(ErrorKind::Io(error)),
            }),
        }
    }

    /// Reads into the buffer, at least one byte.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, ErrorKind>> {
        match Pin::new(&mut self.wire).poll_read(cx, &mut self.buffer) {
            Poll::Ready(Ok(0)) => Poll::Ready(Err(ErrorKind::ClosedByServer)),
            Poll::Ready(Ok(got)) => Poll::Ready(Ok(got)),
            Poll::Ready(Err(error)) => Poll::Ready(Err(ErrorKind::Io(error))),
            Poll::Pending => {
                let limit = ready!(self.deadline.poll_passed(cx));
                Poll::Ready(Err(ErrorKind::TimedOut(limit)))
            }
        }
    }
}

/// How sending goes.
enum Sent {
    /// The server took so many bytes.
    Some(usize),
    /// It took nothing, but sent so many bytes.
    Received(usize),
    /// It takes nothing more.
    Refused,
}

/// Tries every address of the host in turn; the last failure is reported.
async fn connect_tcp(host: &str, port: u16, options: &ClientOptions) -> io::Result<Box<dyn Wire>> {
    let name = host.to_owned();
    // The system's resolver blocks, so it has a thread of its own.
    let resolve = blocking::unblock(move || (name, port).to_socket_addrs());
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in within(options.connect_timeout, resolve).await? {
        let connect = Async::<TcpStream>::connect(address);
        match within(options.connect_timeout, connect).await {
            Ok(stream) => {
                stream.get_ref().set_nodelay(true)?;
                return Ok(Box::new(stream));
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

async fn within<T>(
    limit: Option<Duration>,
    work: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    let too_late = async {
        match limit {
            None => std::future::pending().await,
            Some(limit) => {
                Timer::after(limit).await;
                Err(io::ErrorKind::TimedOut.into())
            }
        }
    };
    or(work, too_late).await
}
