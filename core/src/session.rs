//! One connection: from arrived bytes to replies, a bounded piece a turn.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::Cell;
use core::task::Waker;

use crate::command::{self, Code, Command, Flags};
use crate::exec::{Args, Continue, Exec};
use crate::journal::{Epoch, Verdict};
use crate::limits;
use crate::monitor::{Lost, Monitor, Origin};
use crate::protocol::{Dialect, Parsed, Parser, Request, RequestLimits, Span};
use crate::reply::{Reply, Wire};
use crate::stats::Counters;
use crate::{Input, Millis, Output, Service};

/// How much work a turn may still do, in units of roughly 100 ns.
#[derive(Clone, Copy, Debug)]
pub struct Budget(i32);

impl Budget {
    /// What one turn gets: about 100 µs. Measured: while one client loops a command of 300 ms, the others' p99 grows
    /// 1.2-fold with slices of 100 µs, 4.9-fold where another thread has to take over.
    pub const TURN: Self = Self(1000);

    /// A budget of `units`.
    #[must_use]
    pub const fn new(units: i32) -> Self {
        Self(units)
    }

    /// Takes `units` off.
    #[inline]
    pub fn spend(&mut self, units: usize) {
        self.0 = self
            .0
            .saturating_sub(i32::try_from(units).unwrap_or(i32::MAX));
    }

    /// Whether nothing is left.
    #[must_use]
    #[inline]
    pub const fn is_spent(&self) -> bool {
        self.0 <= 0
    }
}

/// What a turn works with besides the connection's own state.
#[derive(Debug)]
pub struct Turn<'a> {
    /// The present moment, read once for the turn.
    pub now: Millis,
    /// How much the turn may do.
    pub budget: Budget,
    /// Counters of the thread that runs the turn.
    pub stats: &'a Counters,
}

/// What a session wants after a turn. The demands combine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// More input. False while replies pile up or a command is under way.
    pub read: bool,
    /// Another turn, even if nothing arrives: the budget was spent before the work was done.
    pub again: bool,
    /// A turn at this moment at the latest.
    pub deadline: Option<Millis>,
    /// To be closed once the output is flushed. No further turn is wanted.
    pub close: Option<Cause>,
}

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The client said QUIT.
    Quit,
    /// The client's side ended, and all it had sent is answered.
    Eof,
    /// Bytes that are no valid protocol.
    Protocol,
    /// No AUTH in time.
    Unauthenticated,
    /// It did not take what MONITOR shows in time.
    Lagging,
}

/// What commands know and change of their connection.
#[derive(Debug)]
pub struct Client {
    /// Its number, counted from 1 since the start.
    pub id: u64,
    /// Where it comes from.
    pub origin: Origin,
    /// When it connected.
    pub since: Millis,
    /// When it had not authenticated yet: at the start, or at RESET.
    pub(crate) strange_since: Millis,
    /// Whether it may use all commands.
    pub authenticated: bool,
    /// Whether it speaks RESP3, after `HELLO 3`.
    pub resp3: bool,
    /// The name it gave itself.
    pub name: Box<[u8]>,
    /// The client library it said it uses: name and version.
    pub library: [Box<[u8]>; 2],
    /// What it is shown, since MONITOR.
    pub(crate) monitor: Option<Monitor>,
    /// Set by QUIT and by what else ends a connection.
    pub close: Option<Cause>,
}

impl Client {
    /// Where it comes from, as Redis shows it; its number where nobody told.
    pub(crate) fn origin(&self, service: &Service) -> String {
        match self.origin {
            Origin::Tcp(address) => address.to_string(),
            Origin::Unix => {
                let mut fixed = service.fixed().iter();
                let path = fixed.find(|(name, _)| *name == "unixsocket");
                format!("unix:{}", path.map_or("", |(_, path)| path))
            }
            Origin::Unknown => format!("id={}", self.id),
        }
    }

    /// Shows it nothing more, if it was shown something.
    pub(crate) fn end_monitor(&mut self, service: &Service) {
        if self.monitor.take().is_some() {
            service.monitors.leave(self.id, &service.settings);
        }
    }
}

/// Requests parsed ahead of execution. Enough for the cache misses of their look-ups to overlap.
const AHEAD: usize = 16;

/// Spans that an idle connection keeps room for: half a kilobyte, enough for a pipeline of small requests.
const KEEP: usize = 64;

/// A request that waits for its execution.
#[derive(Clone, Copy, Debug)]
struct Ready {
    request: Request,
    /// `None`: no such command.
    command: Option<&'static Command>,
    /// The hash of its first key, where it has one.
    hash: u64,
}

/// One connection: its dialect, framing, authentication, and the command under way.
pub struct Session {
    service: Arc<Service>,
    client: Client,
    parser: Parser,
    spans: Vec<Span>,
    ready: Vec<Ready>,
    /// The next of `ready` to execute.
    next: usize,
    /// What the parser found wrong behind the last of `ready`.
    fault: Option<Fault>,
    /// The rest of the command at `next`.
    rest: Option<Box<dyn Continue>>,
    /// The last epoch of what that command has touched so far.
    touched: Epoch,
}

/// Why execution stopped.
enum Pause {
    /// Everything that was ready is done.
    None,
    /// The turn has done enough.
    Budget,
    /// The client is to take replies first.
    Output,
    /// The command waits for something.
    Until(Millis),
    /// The connection is to end.
    Close(Cause),
}

#[derive(Debug)]
struct Fault {
    message: crate::protocol::ProtocolError,
    dialect: Dialect,
    fatal: bool,
}

impl core::fmt::Debug for Session {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Session")
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

impl Session {
    pub(crate) fn new(service: Arc<Service>, id: u64, now: Millis) -> Self {
        let client = Client {
            id,
            origin: Origin::Unknown,
            since: now,
            strange_since: now,
            authenticated: service.settings.password().is_none(),
            resp3: false,
            name: Box::default(),
            library: Default::default(),
            monitor: None,
            close: None,
        };
        Self {
            service,
            client,
            parser: Parser::default(),
            spans: Vec::new(),
            ready: Vec::new(),
            next: 0,
            fault: None,
            rest: None,
            touched: Epoch(0),
        }
    }

    /// The connection's number.
    #[must_use]
    pub const fn id(&self) -> u64 {
        self.client.id
    }

    /// Says where the connection comes from, for MONITOR and CLIENT INFO.
    pub fn set_origin(&mut self, origin: Origin) {
        self.client.origin = origin;
    }

    /// The service that it belongs to.
    #[must_use]
    pub const fn service(&self) -> &Arc<Service> {
        &self.service
    }

    /// Bytes of memory that it holds besides itself.
    #[must_use]
    pub fn memory(&self) -> usize {
        let client = &self.client;
        let names = [&client.name, &client.library[0], &client.library[1]];
        names.map(|name| name.len()).iter().sum::<usize>()
            + self.parser.memory()
            + self.spans.capacity() * size_of::<Span>()
            + self.ready.capacity() * size_of::<Ready>()
            + self.rest.as_ref().map_or(0, |rest| rest.memory())
    }

    /// Executes what has arrived, as far as `cx.budget` allows.
    ///
    /// Replies that tell of changes which are not durable yet are held in `output`; see
    /// [`settle`](Self::settle).
    pub fn turn(&mut self, cx: &mut Turn<'_>, input: &mut Input, output: &mut Output) -> Wants {
        let mut wants = self.work(cx, input, output);
        if self.client.monitor.is_some() {
            self.show(&mut wants, cx, output);
        }
        self.service.store.journal().nudge();
        wants
    }

    /// Parses what has arrived, and asks the processor for the lines of the index that its requests need.
    ///
    /// A turn does that itself. Who has several connections with input prepares them all, then
    /// [prefetches](Self::prefetch) for all, then gives them their turns: the memory that they wait for comes while
    /// the others are dealt with.
    pub fn prepare(&mut self, input: &mut Input) {
        if self.ready.is_empty()
            && self.fault.is_none()
            && self.parse(input)
            && let [only] = self.ready[..]
            && only.hash != 0
        {
            self.service.store.prefetch_index(only.hash);
        }
    }

    /// Asks for the entry of a request that was [prepared](Self::prepare) alone. Of several, parsing has asked for
    /// theirs.
    pub fn prefetch(&self) {
        if let [only] = self.ready[..]
            && only.hash != 0
        {
            self.service.store.prefetch_entry(only.hash);
        }
    }

    /// Whether MONITOR was sent: each turn has what was executed since the last one in its output. Who drives the session
    /// either [`sleep`](Self::sleep)s between its turns or gives it one from time to time.
    #[must_use]
    pub const fn is_monitor(&self) -> bool {
        self.client.monitor.is_some()
    }

    /// Has `waker` called when there is more to show, once the output has taken what there was. False where there is
    /// already.
    pub fn sleep(&mut self, waker: &Waker) -> bool {
        let id = self.client.id;
        let monitor = self.client.monitor.as_mut();
        monitor.is_none_or(|monitor| self.service.monitors.sleep(monitor, id, waker))
    }

    /// Puts what MONITOR shows behind the replies of the turn.
    fn show(&mut self, wants: &mut Wants, cx: &Turn<'_>, output: &mut Output) {
        let Some(monitor) = &mut self.client.monitor else {
            return;
        };
        if wants.close.is_none() && output.len() < limits::MAX_UNREAD {
            match self.service.monitors.read(monitor, output) {
                Ok(more) => wants.again |= more && output.len() < limits::MAX_UNREAD,
                Err(Lost) => {
                    cx.stats.closed_lagging.add(1);
                    monitor.tell_loss(output);
                    wants.close = Some(Cause::Lagging);
                }
            }
        }
        if wants.close.is_some() {
            self.client.end_monitor(&self.service);
        }
    }

    /// Lets those replies go that waited for changes to be durable, as far as that is decided now. Returns whether
    /// some go on waiting, and then has `waker` woken for them.
    pub fn settle(&self, output: &mut Output, waker: &Waker) -> bool {
        let journal = self.service.store.journal();
        loop {
            output.settle(|epoch| journal.verdict(epoch));
            match output.held_until() {
                None => return false,
                Some(epoch) if !output.awaits(epoch) || journal.wait(epoch, waker) => return true,
                // It was decided in between.
                Some(_) => {}
            }
        }
    }

    fn work(&mut self, cx: &mut Turn<'_>, input: &mut Input, output: &mut Output) -> Wants {
        let deadline = self.deadline();
        if deadline.is_some_and(|deadline| deadline <= cx.now) {
            cx.stats.closed_unauthenticated.add(1);
            return Wants {
                close: Some(Cause::Unauthenticated),
                ..Wants::default()
            };
        }
        loop {
            let pause = match self.execute(cx, input, output) {
                Pause::None => self.complain(cx, output),
                pause => pause,
            };
            match pause {
                Pause::None => {}
                Pause::Budget => {
                    return Wants {
                        again: true,
                        deadline,
                        ..Wants::default()
                    };
                }
                Pause::Output => {
                    // The turn that follows the write goes on.
                    return Wants {
                        deadline,
                        ..Wants::default()
                    };
                }
                Pause::Until(until) => {
                    return Wants {
                        deadline: Some(deadline.map_or(until, |deadline| deadline.min(until))),
                        ..Wants::default()
                    };
                }
                Pause::Close(cause) => {
                    return Wants {
                        close: Some(cause),
                        ..Wants::default()
                    };
                }
            }
            self.release(input);
            if !self.parse(input) {
                let close = input.eof().then_some(Cause::Eof);
                // Empty requests, which nothing came of.
                self.release(input);
                self.shrink(input);
                return Wants {
                    read: close.is_none(),
                    again: false,
                    deadline: self.deadline(),
                    close,
                };
            }
        }
    }

    /// When AUTH must have come.
    fn deadline(&self) -> Option<Millis> {
        (!self.client.authenticated).then(|| self.client.strange_since.plus(limits::AUTH_DEADLINE))
    }

    /// Gives the bytes of executed requests back.
    fn release(&mut self, input: &mut Input) {
        let done = self.parser.position();
        input.consume(done);
        self.parser.consumed(done);
        self.spans.clear();
        self.ready.clear();
        self.next = 0;
    }

    /// An idle connection keeps no long list of a huge request.
    fn shrink(&mut self, input: &Input) {
        if input.is_empty() && self.spans.capacity() > KEEP {
            self.spans = Vec::new();
        }
    }

    /// Parses ahead; false where no complete request waits.
    fn parse(&mut self, input: &mut Input) -> bool {
        let authenticated = self.client.authenticated;
        let limits = RequestLimits {
            bytes: if authenticated {
                limits::max_request(self.service.settings.max_memory())
            } else {
                limits::MAX_REQUEST_UNAUTHENTICATED
            },
            args: limits::MAX_ARGS,
        };
        // Before AUTH one at a time: what follows it has other limits.
        let ahead = if authenticated { AHEAD } else { 1 };
        let store = &self.service.store;
        let buf = input.bytes_mut();
        while self.ready.len() < ahead {
            match self.parser.next(buf, &mut self.spans, limits) {
                Parsed::Request(request) => {
                    let args = arguments(buf, &self.spans, &request);
                    let command = command::find(args.get(0));
                    let hash = match command {
                        Some(command) if command.keys.first > 0 && args.len() > 1 => {
                            let hash = store.key(args.get(1)).hash();
                            // The first is executed too soon for it to help, unless it was prepared.
                            if !self.ready.is_empty() {
                                store.prefetch_index(hash);
                            }
                            hash
                        }
                        _ => 0,
                    };
                    self.ready.push(Ready {
                        request,
                        command,
                        hash,
                    });
                }
                Parsed::Incomplete => break,
                Parsed::Error {
                    error,
                    dialect,
                    fatal,
                    ..
                } => {
                    self.fault = Some(Fault {
                        message: error,
                        dialect,
                        fatal,
                    });
                    break;
                }
            }
        }
        if self.ready.len() > 1 {
            for ready in self.ready.iter().filter(|ready| ready.hash != 0) {
                store.prefetch_entry(ready.hash);
            }
        }
        !self.ready.is_empty() || self.fault.is_some()
    }

    /// Executes what is ready, or goes on with it, until something stops it.
    fn execute(&mut self, cx: &mut Turn<'_>, input: &Input, output: &mut Output) -> Pause {
        let buf = input.bytes();
        let mut done = 0;
        // What a command works with changes little from one request to the next, so it is set up once for all.
        let mut exec = Exec {
            service: &self.service,
            client: &mut self.client,
            output,
            stats: cx.stats,
            budget: &mut cx.budget,
            now: cx.now,
            dialect: Dialect::Resp,
            command: command::none(),
            first_hash: 0,
            touched: Cell::new(self.touched),
            until: None,
        };
        let journal = self.service.store.journal();
        let most = limits::max_backlog(self.service.settings.max_memory());
        let is_pressed = || journal.backlog() >= most;
        let pause = loop {
            let Some(ready) = self.ready.get(self.next) else {
                break Pause::None;
            };
            if exec.budget.is_spent() {
                break Pause::Budget;
            }
            // Who changes more than the disk takes waits for it.
            let pressed = exec.output.held_until().is_some() && is_pressed();
            if exec.output.len() >= limits::MAX_UNREAD || pressed {
                break Pause::Output;
            }
            let waits = exec.output.len();
            let args = arguments(buf, &self.spans, &ready.request);
            exec.dialect = ready.request.dialect;
            exec.first_hash = ready.hash;
            exec.command = ready.command.unwrap_or(command::none());
            match &mut self.rest {
                Some(rest) => {
                    if rest.resume(&mut exec, &args) {
                        self.rest = None;
                    }
                }
                None => self.rest = exec.run(&args),
            }
            let touched = exec.touched.get();
            // 0 unless changes are recorded.
            if touched > Epoch(0)
                && (journal.is_strict() || is_pressed())
                && exec.output.len() > waits
                && journal.verdict(touched) == Verdict::Pending
            {
                let changes = exec.command.flags.has(Flags::WRITE);
                let instead = changes.then(|| exec.wire());
                exec.output.hold(waits, touched, instead);
            }
            if let Some(until) = exec.until.take() {
                break Pause::Until(until);
            }
            if self.rest.is_none() {
                exec.touched.set(Epoch(0));
                self.next += 1;
                done += 1;
                if let Some(cause) = exec.client.close {
                    break Pause::Close(cause);
                }
            }
        };
        self.touched = exec.touched.get();
        cx.stats.commands.add(done);
        pause
    }

    /// Answers what the parser found wrong, under the same conditions as a command.
    fn complain(&mut self, cx: &mut Turn<'_>, output: &mut Output) -> Pause {
        let Some(fault) = &self.fault else {
            return Pause::None;
        };
        if cx.budget.is_spent() {
            return Pause::Budget;
        }
        if output.len() >= limits::MAX_UNREAD {
            return Pause::Output;
        }
        cx.budget.spend(2);
        cx.stats.protocol_errors.add(1);
        cx.stats.count_error(Code::Err);
        Reply::new(output, self.wire(fault.dialect)).error(format_args!("ERR {}", fault.message));
        let pause = if fault.fatal {
            Pause::Close(Cause::Protocol)
        } else {
            Pause::None
        };
        self.fault = None;
        pause
    }

    fn wire(&self, dialect: Dialect) -> Wire {
        match dialect {
            Dialect::Text(eol) => Wire::Text(eol),
            Dialect::Resp if self.client.resp3 => Wire::Resp3,
            Dialect::Resp => Wire::Resp2,
        }
    }
}

fn arguments<'a>(buf: &'a [u8], spans: &'a [Span], request: &Request) -> Args<'a> {
    let first = request.first as usize;
    Args::new(buf, &spans[first..first + request.count as usize])
}

impl Drop for Session {
    fn drop(&mut self) {
        self.client.end_monitor(&self.service);
        self.service.disconnected();
    }
}
