//! A socket that is made up: two queues of bytes, and the network before one of them.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};

use ant_cache_core::Millis;
use ant_cache_host::Wire;
use ant_cache_tests::Random;

/// Both directions of one connection.
#[derive(Debug)]
pub(crate) struct Pipe {
    /// What the client has sent and the network has not delivered.
    pub(crate) sent: VecDeque<u8>,
    /// The client sends nothing more.
    pub(crate) finished: bool,
    /// What has arrived at the server's socket.
    arrived: VecDeque<u8>,
    /// The end has arrived there too.
    ended: bool,
    /// The connection broke: neither side can do anything more.
    pub(crate) broken: bool,
    /// What the server has sent and the client has not read.
    pub(crate) replies: VecDeque<u8>,
    /// Bytes of `replies` at which the socket is full.
    room: usize,
    /// The server sends nothing more.
    pub(crate) over: bool,
    /// When the socket last took something from the server.
    pub(crate) taken: Millis,
    /// When it last gave something to it.
    pub(crate) given: Millis,
    random: Random,
}

impl Pipe {
    pub(crate) fn new(room: usize, now: Millis, seed: u64) -> Self {
        Self {
            sent: VecDeque::new(),
            finished: false,
            arrived: VecDeque::new(),
            ended: false,
            broken: false,
            replies: VecDeque::new(),
            room,
            over: false,
            taken: now,
            given: now,
            random: Random::new(seed),
        }
    }

    /// Delivers at most `n` bytes, and the end behind the last one.
    pub(crate) fn deliver(&mut self, n: usize) {
        let n = n.min(self.sent.len());
        self.arrived.extend(self.sent.drain(..n));
        self.ended = self.finished && self.sent.is_empty();
    }

    /// Whether there is something to deliver.
    pub(crate) fn travels(&self) -> bool {
        !self.sent.is_empty() || self.finished != self.ended
    }

    /// Whether a poller would report that it can be read, as often as it is asked.
    pub(crate) fn is_readable(&self) -> bool {
        !self.arrived.is_empty() || self.ended || self.broken
    }

    /// Whether it would report that it can be written.
    pub(crate) fn is_writable(&self) -> bool {
        self.replies.len() < self.room || self.broken
    }

    /// This side of it, at a moment.
    pub(crate) fn socket(&mut self, now: Millis) -> Socket<'_> {
        Socket { pipe: self, now }
    }
}

/// The server's side, for one turn.
pub(crate) struct Socket<'a> {
    pipe: &'a mut Pipe,
    now: Millis,
}

impl Socket<'_> {
    /// A signal, or a broken connection.
    fn disturbed(&mut self) -> io::Result<()> {
        if self.pipe.broken {
            return Err(ErrorKind::ConnectionReset.into());
        }
        if self.pipe.random.once_in(50) {
            return Err(ErrorKind::Interrupted.into());
        }
        Ok(())
    }
}

impl Wire for Socket<'_> {
    fn recv(&mut self, to: &mut [u8]) -> io::Result<usize> {
        self.disturbed()?;
        assert!(!to.is_empty(), "a read of nothing looks like the end");
        let Self { pipe, now } = self;
        if pipe.arrived.is_empty() {
            return if pipe.ended {
                Ok(0)
            } else {
                Err(ErrorKind::WouldBlock.into())
            };
        }
        let n = 1 + pipe.random.below(to.len().min(pipe.arrived.len()));
        for (to, from) in to.iter_mut().zip(pipe.arrived.drain(..n)) {
            *to = from;
        }
        pipe.given = *now;
        Ok(n)
    }

    fn send(&mut self, from: &[IoSlice<'_>]) -> io::Result<usize> {
        self.disturbed()?;
        let Self { pipe, now } = self;
        assert!(!pipe.over, "nothing is sent behind the end");
        let free = pipe.room.saturating_sub(pipe.replies.len());
        let offered: usize = from.iter().map(|slice| slice.len()).sum();
        assert!(offered > 0, "there is something to send");
        if free == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        let n = 1 + pipe.random.below(free.min(offered));
        let bytes = from.iter().flat_map(|slice| slice.iter().copied());
        pipe.replies.extend(bytes.take(n));
        pipe.taken = *now;
        Ok(n)
    }

    fn finish(&mut self) -> io::Result<()> {
        if self.pipe.broken {
            return Err(ErrorKind::NotConnected.into());
        }
        self.pipe.over = true;
        Ok(())
    }
}
