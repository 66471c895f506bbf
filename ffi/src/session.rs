//! The protocol without sockets: bytes in, replies out.

use core::ffi::c_void;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ant_cache_core::limits::MAX_REQUEST;
use ant_cache_core::{Budget, Input, Output, Session, Turn};

use crate::handle::{self, Object};
use crate::memory::{self, Out};
use crate::service::{Shared, antcache_service};
use crate::status::antcache_status::{self, *};

/// The protocol of one connection, without its socket. The loop of whoever drives it:
///
///     received bytes      -> antcache_session_feed, or antcache_session_eof at their end
///     then                -> antcache_session_turn, for as long as it wants `again`
///     antcache_session_output -> bytes to send; antcache_session_sent says how many were
///
/// and after sending, where `read` was not wanted, another turn. When `close` is wanted and all output is sent, the
/// connection is to be closed.
pub struct antcache_session {
    shared: Arc<Shared>,
    state: Mutex<State>,
}

struct State {
    session: Session,
    input: Input,
    output: Output,
    /// Whether a turn has said that the connection is to be closed.
    ended: bool,
}

impl Object for antcache_session {
    const KIND: &'static [u8; 8] = b"antsessn";
}

impl antcache_session {
    fn state(&self) -> MutexGuard<'_, State> {
        // After a panic the object is poisoned, and no call gets here.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a session wants after a turn. The demands combine.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct antcache_wants {
    /// To be fed when bytes arrive. If not, they are to be left where they are until output has been sent.
    pub read: bool,
    /// Another turn, whatever happens: this one was over before the work was done.
    pub again: bool,
    /// To be closed once all output is sent. No further turn is wanted.
    pub close: bool,
    /// A turn in so many milliseconds at the latest; UINT64_MAX for never.
    pub deadline_ms: u64,
}

/// Bytes that a session takes without executing any: a whole request of the largest size, and more.
const MOST_FED: usize = 2 * MAX_REQUEST;

/// Milliseconds in which a session that monitors wants another turn.
const LOOK: u64 = 100;

/// Begins a session of a service. ANTCACHE_REFUSED where there are too many.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_session_new(
    service: *mut antcache_service,
    session: *mut *mut antcache_session,
) -> antcache_status {
    let body = |service: &antcache_service| {
        // SAFETY: the conventions are those of `Out::new`.
        let to = unsafe { Out::new(session)? };
        let shared = Arc::clone(&service.shared);
        let session = shared
            .service
            .connect(shared.now())
            .map_err(|_| ANTCACHE_REFUSED)?;
        let state = Mutex::new(State {
            session,
            input: Input::new(),
            output: Output::new(),
            ended: false,
        });
        handle::give(antcache_session { shared, state }, to)
    };
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(service, body) }
}

/// Ends a session, whatever is under way. NULL is nothing to free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_session_free(session: *mut antcache_session) -> antcache_status {
    // SAFETY: the conventions are those of `free`.
    unsafe { handle::free(session) }
}

/// Takes bytes that have arrived; antcache_session_turn executes them. They may be any part of a request, or many.
/// ANTCACHE_CLOSED after the end; ANTCACHE_NO_ROOM where 128 MiB wait already.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_session_feed(
    session: *mut antcache_session,
    data: *const c_void,
    len: usize,
) -> antcache_status {
    let body = |session: &antcache_session| {
        // SAFETY: the conventions are those of `value`.
        let mut data = unsafe { memory::value(data, len)? };
        let mut state = session.state();
        if state.ended || state.input.eof() {
            return Err(ANTCACHE_CLOSED);
        }
        if data.len() > MOST_FED - state.input.bytes().len().min(MOST_FED) {
            return Err(ANTCACHE_NO_ROOM);
        }
        while !data.is_empty() {
            let room = state.input.spare();
            let (now, later) = data.split_at(data.len().min(room.len()));
            room[..now.len()].copy_from_slice(now);
            state.input.filled(now.len());
            data = later;
        }
        Ok(ANTCACHE_OK)
    };
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(session, body) }
}

/// Says that nothing more will arrive. What was fed is still answered.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_session_eof(session: *mut antcache_session) -> antcache_status {
    let body = |session: &antcache_session| {
        session.state().input.set_eof();
        Ok(ANTCACHE_OK)
    };
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(session, body) }
}

/// Executes what was fed, for 100 microseconds at most, and writes what the session wants next. ANTCACHE_CLOSED after a
/// turn that wanted `close`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_session_turn(
    session: *mut antcache_session,
    wants: *mut antcache_wants,
) -> antcache_status {
    let body = |session: &antcache_session| {
        // SAFETY: the conventions are those of `Out::new`.
        let to = unsafe { Out::new(wants)? };
        let mut state = session.state();
        if state.ended {
            return Err(ANTCACHE_CLOSED);
        }
        let now = session.shared.now();
        let State {
            session: protocol,
            input,
            output,
            ended,
        } = &mut *state;
        let wants = session.shared.counting(|stats| {
            let mut turn = Turn {
                now,
                budget: Budget::TURN,
                stats,
            };
            protocol.turn(&mut turn, input, output)
        });
        *ended = wants.close.is_some();
        // Nobody else tells when there is more to show.
        let look = protocol.is_monitor().then(|| now.plus(LOOK));
        let deadline = wants.deadline.into_iter().chain(look).min();
        to.write(antcache_wants {
            read: wants.read,
            again: wants.again,
            close: *ended,
            deadline_ms: deadline.map_or(u64::MAX, |end| end.since(now)),
        });
        Ok(ANTCACHE_OK)
    };
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(session, body) }
}

/// Writes where the next bytes to send are, and how many of them lie together; there may be more behind them. They stay
/// there until the next turn, antcache_session_sent or antcache_session_free. ANTCACHE_EMPTY where nothing waits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_session_output(
    session: *mut antcache_session,
    data: *mut *const c_void,
    len: *mut usize,
) -> antcache_status {
    let body = |session: &antcache_session| {
        // SAFETY: the conventions are those of `Out::new`.
        let (to, to_len) = unsafe { (Out::new(data)?, Out::new(len)?) };
        let state = session.state();
        let mut first: [&[u8]; 1] = [&[]];
        if state.output.slices(&mut first) == 0 {
            return Ok(ANTCACHE_EMPTY);
        }
        to.write(first[0].as_ptr().cast());
        to_len.write(first[0].len());
        Ok(ANTCACHE_OK)
    };
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(session, body) }
}

/// Says that the next `len` bytes of the output were sent. ANTCACHE_INVALID where fewer wait.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_session_sent(
    session: *mut antcache_session,
    len: usize,
) -> antcache_status {
    let body = |session: &antcache_session| {
        let mut state = session.state();
        if len > state.output.len() {
            return Err(ANTCACHE_INVALID);
        }
        state.output.consume(len);
        Ok(ANTCACHE_OK)
    };
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(session, body) }
}
