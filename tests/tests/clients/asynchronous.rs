//! The asynchronous client, dropped at every point where it waits; its pool.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use ant_cache_runtime_smol::client::{
    Address, Client, ClientOptions, ErrorKind, Pool, PoolOptions,
};
use smol::future::{block_on, zip};
use smol::io::{AsyncRead, AsyncWrite};

use crate::script::{PING, status};

/// Answers each request with its last word, for each connection in a thread, until the process ends.
fn echo() -> Address {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string().parse().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || serve_echo(stream));
        }
    });
    address
}

fn serve_echo(mut stream: TcpStream) -> io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    while let Some(header) = lines.next().transpose()? {
        let words: usize = header[1..].parse().map_err(io::Error::other)?;
        let last = lines.by_ref().take(2 * words).last();
        let last = last.ok_or(io::ErrorKind::UnexpectedEof)??;
        // In one piece: the rest of a reply would wait until the client's system has confirmed the first.
        stream.write_all(format!("+{last}\r\n").as_bytes())?;
    }
    Ok(())
}

/// Polls a future at most so many times, and drops it; its result, if it got that far.
fn poll_times<T>(times: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    (0..times).find_map(|_| match future.as_mut().poll(&mut cx) {
        Poll::Ready(result) => Some(result),
        Poll::Pending => {
            thread::yield_now();
            None
        }
    })
}

/// A stream that lets its user wait before every single byte in either direction, and answers each whole PING with the
/// number of its connection.
struct Grudging {
    connection: usize,
    willing: bool,
    received: usize,
    reply: Vec<u8>,
}

impl Grudging {
    fn new(connection: usize) -> Self {
        Self {
            connection,
            willing: false,
            received: 0,
            reply: Vec::new(),
        }
    }

    /// Every other time it is willing.
    fn is_willing(&mut self) -> bool {
        self.willing = !self.willing;
        !self.willing
    }
}

impl AsyncRead for Grudging {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if self.reply.is_empty() || !self.is_willing() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        to[0] = self.reply.remove(0);
        Poll::Ready(Ok(1))
    }
}

impl AsyncWrite for Grudging {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        _: &[u8],
    ) -> Poll<io::Result<usize>> {
        if !self.is_willing() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.received += 1;
        if self.received.is_multiple_of(PING.len()) {
            let reply = format!("+connection {}\r\n", self.connection);
            self.reply.extend_from_slice(reply.as_bytes());
        }
        Poll::Ready(Ok(1))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[test]
fn dropped_at_any_point_a_request_leaves_its_reply_to_nobody() {
    let address: Address = "/not/used".parse().unwrap();
    let client = |connection| {
        let stream = Grudging::new(connection);
        let client = Client::over(stream, address.clone(), ClientOptions::default());
        block_on(client).unwrap()
    };
    let mut polls = 0;
    loop {
        let mut client = client(polls);
        let expected = status(format!("connection {polls}"));
        match poll_times(polls, client.command(&["PING"])) {
            Some(reply) => {
                assert_eq!(reply.unwrap(), expected);
                assert_eq!(block_on(client.command(&["PING"])).unwrap(), expected);
                break;
            }
            // Never polled, nothing was sent.
            None if polls == 0 => assert!(client.is_connected()),
            None => {
                assert!(!client.is_connected());
                let error = block_on(client.command(&["PING"])).unwrap_err();
                assert!(matches!(error.kind(), ErrorKind::NotConnected), "{error}");
            }
        }
        polls += 1;
    }
    assert!(
        polls > 2 * PING.len(),
        "it waits before every byte: {polls}"
    );
}

#[test]
fn dropped_at_any_point_a_request_to_a_pool_leaves_its_reply_to_nobody() {
    let pool = Pool::new(
        echo(),
        PoolOptions {
            connections: 1,
            ..PoolOptions::default()
        },
    );
    let mut finished = 0;
    for polls in (0..40).chain((40..400).step_by(20)) {
        let dropped = format!("dropped {polls}");
        // A slice of a pipeline too, so that some replies may have come.
        let requests = [["ECHO", &dropped], ["ECHO", &dropped]];
        finished += usize::from(poll_times(polls, pool.pipeline(&requests)).is_some());
        let word = format!("next {polls}");
        let reply = block_on(pool.command(&["ECHO", &word])).unwrap();
        assert_eq!(reply, status(word));
        assert_eq!(
            pool.idle(),
            1,
            "the permit came back, and so did the connection"
        );
    }
    assert!(finished < 58, "some were dropped half way");
}

#[test]
fn tasks_share_a_pool_of_any_executor() {
    let pool = Arc::new(Pool::new(
        echo(),
        PoolOptions {
            connections: 3,
            ..PoolOptions::default()
        },
    ));
    let executor = smol::Executor::new();
    let tasks: Vec<_> = (0..20)
        .map(|task| {
            let pool = Arc::clone(&pool);
            executor.spawn(async move {
                for step in 0..50 {
                    let word = format!("{task}-{step}");
                    assert_eq!(pool.command(&["ECHO", &word]).await.unwrap(), status(word));
                }
            })
        })
        .collect();
    thread::scope(|scope| {
        let other =
            scope.spawn(|| block_on(executor.run(async { smol::future::yield_now().await })));
        block_on(executor.run(async {
            for task in tasks {
                task.await;
            }
        }));
        other.join().unwrap();
    });
    assert!((1..=3).contains(&pool.idle()));
}

#[test]
fn a_pool_makes_connections_as_they_are_needed_and_no_more() {
    let options = PoolOptions {
        connections: 2,
        lease_timeout: Some(Duration::from_millis(20)),
        ..PoolOptions::default()
    };
    let pool = Pool::new(echo(), options);
    block_on(async {
        assert_eq!(pool.idle(), 0);
        pool.command(&["ECHO", "x"]).await.unwrap();
        pool.command(&["ECHO", "x"]).await.unwrap();
        assert_eq!(pool.idle(), 1, "one after the other need one");
        let (first, second) = zip(pool.lease(), pool.lease()).await;
        let (mut first, second) = (first.unwrap(), second.unwrap());
        let error = pool.command(&["ECHO", "x"]).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::TimedOut(_)), "{error}");
        assert_eq!(first.command(&["ECHO", "x"]).await.unwrap(), status("x"));
        drop(first);
        pool.command(&["ECHO", "x"]).await.unwrap();
        drop(second);
        assert_eq!(pool.idle(), 2);
    });
}
