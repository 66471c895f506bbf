//! A connection between a socket and a session, without the waiting: a runtime decides when to call, and for how long.
//!
//! When the socket is readable, [`Link::receive`] reads once: the read that would only find out that nothing is left is
//! saved. Then [`Link::pump`] lets the session work for one
//! bounded turn and sends what the socket takes. What it returns ([`Next`]) is all that the runtime has to arrange.

use std::io::{self, ErrorKind, IoSlice};
use std::task::Waker;

use ant_cache_core::ledger::{Charge, Owner};
use ant_cache_core::limits::MAX_UNREAD;
use ant_cache_core::settings::Settings;
use ant_cache_core::{Cause, Input, Millis, Output, Session, Turn};

use crate::{Buffers, Wire};

/// Most slices in one vectored write; large values interleave with small replies, so pairs are common, dozens are not.
const SLICES: usize = 16;

/// Most bytes read, and most bytes sent, in one step. Copying this much through a loopback socket takes about 100 µs,
/// as long as a session's turn: one client with large values delays the others no more than one with long commands.
const BYTES: usize = 256 << 10;

/// Bytes of input that are taken for a request or a few.
const FEW: usize = 256;

/// Milliseconds in which what still arrives is read and thrown away after the last reply. Closing a socket with
/// unread bytes resets the connection, which can take the reply from a client that is still sending.
const LINGER: u64 = 1000;

/// What a connection wants after [`Link::pump`]. The demands combine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Next {
    /// To receive, and be pumped, when the socket is readable. If not, what has arrived stays where it is.
    pub read: bool,
    /// To be pumped when the socket is writable.
    pub write: bool,
    /// To be pumped again soon, whatever the socket does.
    pub again: bool,
    /// To be pumped at this moment at the latest.
    pub deadline: Option<Millis>,
    /// Somebody has [`Link::waker`] and may use it before anything happens to the socket. Only a runtime to which
    /// being reached costs something looks at this: a thread that waits in a read.
    pub woken: bool,
    /// To be closed now: everything that could be sent was sent. Nothing else is wanted then.
    pub close: Option<Ending>,
}

/// What [`Link::receive`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// Nothing has arrived.
    Nothing,
    /// All that had arrived, or the end.
    All,
    /// As much as there was room for: there may be more.
    Part,
}

/// Why a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// The session came to its end.
    Session(Cause),
    /// Nothing came for [`Settings::idle_timeout`].
    Idle,
    /// The client took nothing for [`Settings::send_timeout`] while replies waited.
    Stalled,
}

/// What a test does in each turn, with the bytes that wait and the connection's waker; see
/// [`Host::with_fault`](crate::Host::with_fault). True ends the turn: what waits waits on, until the connection is woken
/// or something arrives.
#[cfg(feature = "faults")]
pub type Fault = fn(&[u8], &Waker) -> bool;

/// One connection: session and buffers.
#[derive(Debug)]
pub struct Link {
    session: Session,
    input: Input,
    output: Output,
    /// What is held in its name: itself, its session and its buffers.
    charge: Charge,
    /// Leads to another turn.
    waker: Waker,
    /// Bytes received since the last pump.
    arrived: u32,
    /// When a byte last moved in either direction. Where replies wait, when the client last took one, or when they began
    /// to wait: a client that only sends is not excused.
    moved: Millis,
    /// Why the session ended: what waits is still sent, nothing more is executed.
    ended: Option<Cause>,
    /// The end of [`LINGER`], once the last byte is sent; 0 before.
    lingers: Millis,
    #[cfg(feature = "faults")]
    fault: Option<Fault>,
}

impl Link {
    /// A connection made at `now` that nothing has arrived on yet.
    #[must_use]
    pub fn new(session: Session, now: Millis) -> Self {
        let mut charge = Charge::new(session.service().ledger(), Owner::Connections);
        charge.set(size_of::<Self>());
        Self {
            session,
            charge,
            waker: Waker::noop().clone(),
            input: Input::new(),
            output: Output::new(),
            arrived: 0,
            moved: now,
            ended: None,
            lingers: Millis(0),
            #[cfg(feature = "faults")]
            fault: None,
        }
    }

    #[cfg(feature = "faults")]
    pub(crate) fn with_fault(mut self, fault: Option<Fault>) -> Self {
        self.fault = fault;
        self
    }

    /// Says how this connection is reached from outside its runtime. A runtime does when it takes the connection in.
    pub fn set_waker(&mut self, waker: Waker) {
        self.waker = waker;
    }

    /// Leads to another turn of this connection soon, from any thread, as often as one likes, and whatever the
    /// connection does at that moment; wakes before a turn lead to one turn. It stays good for as long as the
    /// connection lives, and does nothing afterwards. It may make a system call: not under a shard's lock.
    ///
    /// A runtime that waits in the socket is interrupted only where [`Next::woken`] was set; otherwise the wake is
    /// kept for the end of the wait.
    #[must_use]
    pub const fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Reads once.
    ///
    /// # Errors
    /// What the socket reports: the connection is broken and to be closed. That concerns the peer alone.
    pub fn receive<W: Wire>(
        &mut self,
        wire: &mut W,
        buffers: &mut Buffers,
    ) -> io::Result<Received> {
        if self.input.eof() {
            return Ok(Received::Nothing);
        }
        buffers.lend_input(&mut self.input);
        let room = self.input.spare();
        let most = room.len().min(BYTES);
        match retrying(|| wire.recv(&mut room[..most])) {
            Ok(Some(0)) => {
                self.input.set_eof();
                Ok(Received::All)
            }
            Ok(Some(n)) => {
                self.input.filled(n);
                // At most BYTES each time.
                self.arrived += n as u32;
                Ok(if n < most {
                    Received::All
                } else {
                    Received::Part
                })
            }
            nothing => {
                buffers.take_back(&mut self.input, &mut self.output);
                nothing.map(|_| Received::Nothing)
            }
        }
    }

    /// Prepares what was received for a turn that comes soon; see [`Session::prepare`]. False where so much has arrived
    /// that nothing was prepared: the turn has enough of its own to overlap, and what others asked for would be lost
    /// from the nearest cache before it was used.
    pub fn prepare(&mut self) -> bool {
        #[cfg(feature = "faults")]
        if self.fault.is_some() {
            // It is to see what has arrived as it has arrived.
            return true;
        }
        if self.input.bytes().len() > FEW {
            return false;
        }
        if self.ended.is_none() {
            self.session.prepare(&mut self.input);
        }
        true
    }

    /// Asks for the memory that a prepared request needs; see [`Session::prefetch`].
    pub fn prefetch(&self) {
        self.session.prefetch();
    }

    /// One step: lets the session work for one turn and sends what it has to say.
    ///
    /// A new connection is pumped once before anything has arrived: its deadlines begin then.
    ///
    /// # Errors
    /// What the socket reports: the connection is broken and to be closed. That concerns the peer alone.
    pub fn pump<W: Wire>(
        &mut self,
        wire: &mut W,
        cx: &mut Turn<'_>,
        settings: &Settings,
        buffers: &mut Buffers,
    ) -> io::Result<Next> {
        if self.arrived > 0 {
            cx.stats.bytes_in.add(self.arrived.into());
            self.arrived = 0;
            if self.output.is_empty() {
                self.moved = cx.now;
            }
        }
        let next = self.step(wire, cx, settings, buffers);
        buffers.take_back(&mut self.input, &mut self.output);
        self.settle();
        next
    }

    /// Charges what is held now. Where nothing waits that is as much as before, and costs a few loads.
    fn settle(&mut self) {
        let held = self.session.memory() + self.input.memory() + self.output.own_memory();
        self.charge.set(size_of::<Self>() + held);
    }

    fn step<W: Wire>(
        &mut self,
        wire: &mut W,
        cx: &mut Turn<'_>,
        settings: &Settings,
        buffers: &mut Buffers,
    ) -> io::Result<Next> {
        // Replies that wait go first: they decide whether the session may go on.
        self.settle_held();
        let mut quota = self.flush(wire, BYTES, cx)?;
        let mut next = Next::default();
        if self.ended.is_none() {
            #[cfg(feature = "faults")]
            if let Some(fault) = self.fault
                && fault(self.input.bytes(), &self.waker)
            {
                return Ok(Next {
                    read: !self.input.eof(),
                    woken: true,
                    ..Next::default()
                });
            }
            buffers.lend_output(&mut self.output);
            let waited = !self.output.is_empty();
            let wants = self.session.turn(cx, &mut self.input, &mut self.output);
            if !waited && !self.output.is_empty() {
                self.moved = cx.now;
            }
            let full = self.output.len() >= MAX_UNREAD;
            self.settle_held();
            quota = self.flush(wire, quota, cx)?;
            self.ended = wants.close;
            let room = self.output.len() < MAX_UNREAD;
            next.read = wants.read && room && !self.input.eof();
            // A session that stopped for the lack of room goes on as soon as there is some.
            next.again = wants.again || (full && room);
            next.deadline = wants.deadline;
            if self.session.is_monitor() && room && !self.session.sleep(&self.waker) {
                next.again = true;
            }
        }
        if let Some(cause) = self.ended {
            next = self.wind_up(wire, cause, cx)?;
        }
        // The quota ended before the socket was full: it need not be asked whether it takes more.
        let willing = quota == 0;
        let ready = self.output.ready() > 0;
        next.again |= willing && ready;
        next.write = !willing && ready;
        next.woken = self.output.held_until().is_some() || self.session.is_monitor();
        self.impatience(&mut next, cx, settings);
        Ok(next)
    }

    /// Closes once everything is sent, but not into the face of a client that is still sending.
    fn wind_up<W: Wire>(&mut self, wire: &mut W, cause: Cause, cx: &Turn<'_>) -> io::Result<Next> {
        // Nobody will look at it.
        self.input.consume(self.input.bytes().len());
        if !self.output.is_empty() {
            return Ok(Next::default());
        }
        if self.lingers == Millis(0) {
            self.lingers = if self.input.eof() {
                cx.now
            } else {
                wire.finish()?;
                cx.now.plus(LINGER)
            };
        }
        let until = self.lingers;
        Ok(if self.input.eof() || cx.now >= until {
            Next {
                close: Some(Ending::Session(cause)),
                ..Next::default()
            }
        } else {
            Next {
                read: true,
                deadline: Some(until),
                ..Next::default()
            }
        })
    }

    /// Adds the timeouts, and closes where one has passed.
    fn impatience(&self, next: &mut Next, cx: &Turn<'_>, settings: &Settings) {
        let (timeout, ending, counter) = if self.output.ready() > 0 {
            (
                settings.send_timeout(),
                Ending::Stalled,
                &cx.stats.closed_stalled,
            )
        } else if next.read && !next.again && !next.woken && self.ended.is_none() {
            (settings.idle_timeout(), Ending::Idle, &cx.stats.closed_idle)
        } else {
            return;
        };
        if timeout == 0 {
            return;
        }
        let deadline = self.moved.plus(timeout);
        if cx.now >= deadline {
            counter.add(1);
            *next = Next {
                close: Some(ending),
                ..Next::default()
            };
        } else {
            next.deadline = Some(next.deadline.map_or(deadline, |other| other.min(deadline)));
        }
    }

    /// Lets replies go that waited for changes to be durable. What goes on waiting wakes this connection.
    fn settle_held(&mut self) {
        if self.output.held_until().is_some() {
            self.session.settle(&mut self.output, &self.waker);
        }
    }

    /// Sends at most `quota` bytes. Returns what is left of the quota; 0 where the socket would have taken more.
    fn flush<W: Wire>(
        &mut self,
        wire: &mut W,
        mut quota: usize,
        cx: &Turn<'_>,
    ) -> io::Result<usize> {
        while quota > 0 && self.output.ready() > 0 {
            let most = quota.min(self.output.ready());
            let Some((sent, offered)) = self.send(wire, most)? else {
                break;
            };
            self.output.consume(sent);
            self.moved = cx.now;
            cx.stats.bytes_out.add(sent as u64);
            quota -= sent;
            if sent < offered {
                // The socket is full; asking it once more would only say so.
                break;
            }
        }
        Ok(quota)
    }

    /// One system call that sends at most `most` bytes: how many it did, and was asked to. `None` where the socket takes
    /// nothing.
    #[inline]
    fn send<W: Wire>(&self, wire: &mut W, most: usize) -> io::Result<Option<(usize, usize)>> {
        // Small replies lie behind one another, and are spared the slices.
        if let Some(bytes) = self.output.whole() {
            let part = &bytes[..bytes.len().min(most)];
            let sent = retrying(|| wire.send(&[IoSlice::new(part)]))?;
            return Ok(sent.map(|sent| (sent, part.len())));
        }
        let mut slices: [&[u8]; SLICES] = [&[]; SLICES];
        let used = self.output.slices(&mut slices);
        let mut vector = [IoSlice::new(&[]); SLICES];
        let mut offered = 0;
        for (to, from) in vector.iter_mut().zip(&slices[..used]) {
            let part = from.len().min(most - offered);
            *to = IoSlice::new(&from[..part]);
            offered += part;
        }
        let sent = retrying(|| wire.send(&vector[..used]))?;
        Ok(sent.map(|sent| (sent, offered)))
    }
}

/// `None` where the socket would block.
fn retrying(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<Option<usize>> {
    loop {
        return match call() {
            Ok(n) => Ok(Some(n)),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        };
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
