//! A connection between a socket and a session, without the waiting: a runtime decides when to call, and for how long.

use std::io::{self, IoSlice, Read, Write};

use ant_cache_core::{Cause, Input, Millis, Output, Session, Turn};

/// Most slices in one vectored write; large values interleave with small replies, so pairs are common, dozens are not.
const SLICES: usize = 16;

/// What a connection wants after [`Link::pump`]. The demands combine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Next {
    /// To be pumped when the socket is readable.
    pub read: bool,
    /// To be pumped when the socket is writable.
    pub write: bool,
    /// To be pumped again soon, whatever the socket does.
    pub again: bool,
    /// To be pumped at this moment at the latest.
    pub deadline: Option<Millis>,
    /// To be closed now: everything that could be sent was sent.
    pub close: Option<Cause>,
}

/// Spare buffers of one lane. An idle connection holds none; it borrows a pair for the time in which bytes wait.
#[derive(Debug, Default)]
pub struct Buffers {
    inputs: Vec<Input>,
    outputs: Vec<Output>,
}

/// One connection: session and buffers.
#[derive(Debug)]
pub struct Link {
    session: Session,
    input: Input,
    output: Output,
}

impl Link {
    /// A connection that nothing has arrived on yet.
    #[must_use]
    pub fn new(session: Session) -> Self {
        Self { session, input: Input::new(), output: Output::new() }
    }

    /// One step: reads once where `readable`, lets the session work, writes what it has to say.
    ///
    /// # Errors
    /// What the socket reports, except `WouldBlock` and `Interrupted`: the connection is broken.
    pub fn pump<S: Read + Write>(
        &mut self,
        socket: &mut S,
        readable: bool,
        cx: &mut Turn<'_>,
        buffers: &mut Buffers,
    ) -> io::Result<Next> {
        let _ = (buffers, SLICES, IoSlice::new(b""));
        if readable {
            match socket.read(self.input.spare()) {
                Ok(0) => self.input.set_eof(),
                Ok(n) => self.input.filled(n),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        let wants = self.session.turn(cx, &mut self.input, &mut self.output);
        Ok(Next { read: wants.read, ..Next::default() })
    }
}
