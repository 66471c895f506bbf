//! The two threads.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

use ant_cache_core::Service;
use ant_cache_core::journal::frame::Segment;
use ant_cache_core::journal::{Epoch, Journal};

use super::files::Files;
use super::log::{Log, Wish};
use super::names::Names;
use super::snapshot::{Snapshot, remove_old};
use super::{Options, millis};
use crate::Clock;

/// Time between two closed epochs, unless somebody waits. Each costs a way to sleep and back and a system call, and every
/// shard that has recorded something a few cache lines; a server that is killed loses what was changed in one.
const PACE: Duration = Duration::from_millis(20);

/// The log that is made before it is thought to have outgrown the data.
const OUTGROWN: u64 = 64 << 20;

/// The threads that write a service's log and snapshots.
#[derive(Debug)]
pub struct Writers {
    shared: Arc<Shared>,
    log: JoinHandle<io::Result<()>>,
    snapshots: JoinHandle<()>,
}

/// What both threads know.
#[derive(Debug)]
struct Shared {
    service: Arc<Service>,
    clock: Arc<Clock>,
    files: Arc<dyn Files>,
    names: Names,
    requests: Mutex<Sender<Request>>,
    /// The server stops: no further snapshot begins.
    stopping: AtomicBool,
}

/// What the log thread is asked for.
#[derive(Debug)]
enum Request {
    /// A round with this wish.
    Round(Wish, SyncSender<io::Result<Reached>>),
    /// To end, with everything on the disk.
    Stop,
}

/// How far the log is after a round.
#[derive(Debug)]
struct Reached {
    /// The last epoch that is on the disk.
    epoch: Epoch,
    /// The number of the present segment.
    segment: u64,
    /// Bytes of all segments that a recovery would read.
    bytes: u64,
}

/// Wakes a thread that is parked.
#[derive(Debug)]
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

fn waker(thread: &Thread) -> Waker {
    Arc::new(Unpark(thread.clone())).into()
}

impl Shared {
    fn journal(&self) -> &Journal {
        self.service.store().journal()
    }

    /// Has the log thread do a round.
    fn round(&self, wish: Wish) -> io::Result<Reached> {
        let (answer, answered) = mpsc::sync_channel(1);
        self.request(Request::Round(wish, answer));
        answered
            .recv()
            .unwrap_or_else(|_| Err(io::Error::other("the log's thread has ended")))
    }

    fn request(&self, request: Request) {
        // Where nobody receives it, the answer never comes, and that is noticed.
        let _ = self
            .requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .send(request);
        self.journal().call_writer();
    }
}

impl Writers {
    pub(super) fn spawn(
        service: &Arc<Service>,
        clock: &Arc<Clock>,
        files: Arc<dyn Files>,
        options: &Options,
        log: Log,
    ) -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel();
        let shared = Arc::new(Shared {
            service: Arc::clone(service),
            clock: Arc::clone(clock),
            files,
            names: options.names.clone(),
            requests: Mutex::new(sender),
            stopping: AtomicBool::new(false),
        });
        let journal = shared.journal();
        let named = |name: &str| thread::Builder::new().name(name.to_owned());
        let thread = named("log").spawn({
            let shared = Arc::clone(&shared);
            move || write_log(&shared, log, &receiver)
        })?;
        journal.set_writer(waker(thread.thread()));
        let interval = options.snapshot_interval;
        let snapshots = named("snapshots").spawn({
            let shared = Arc::clone(&shared);
            move || write_snapshots(&shared, interval)
        })?;
        journal.status().set_saver(waker(snapshots.thread()));
        // Either may have looked before it could be woken.
        thread.thread().unpark();
        Ok(Self {
            shared,
            log: thread,
            snapshots,
        })
    }

    pub(super) fn close(self, snapshot: bool) -> io::Result<()> {
        let status = self.shared.journal().status();
        let ticket = snapshot.then(|| status.ask());
        if let Some(ticket) = ticket {
            while status.outcome(ticket).is_none() && !self.snapshots.is_finished() {
                thread::sleep(Duration::from_millis(1));
            }
        }
        self.shared.stopping.store(true, SeqCst);
        self.snapshots.thread().unpark();
        let panicked = |_| io::Error::other("a thread panicked");
        self.snapshots.join().map_err(panicked)?;
        self.shared.request(Request::Stop);
        self.log.join().map_err(panicked)??;
        match ticket.and_then(|ticket| status.outcome(ticket)) {
            Some(Err(error)) => Err(io::Error::other(error)),
            _ => Ok(()),
        }
    }
}

/// Says so where the log thread ends for a reason that nobody has thought of: without it nothing is written.
struct Alive<'a>(&'a Journal);

impl Drop for Alive<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            let error = "the log's thread has panicked; restart the server";
            self.0.status().broke(error.to_owned());
            self.0.fail(Epoch(u64::MAX));
        }
    }
}

/// The log thread.
fn write_log(shared: &Shared, mut log: Log, requests: &Receiver<Request>) -> io::Result<()> {
    let (journal, store) = (shared.journal(), shared.service.store());
    let _alive = Alive(journal);
    loop {
        let mut wish = Wish::Policy;
        let mut answer = None;
        match requests.try_recv() {
            Ok(Request::Round(wished, asked)) => (wish, answer) = (wished, Some(asked)),
            Ok(Request::Stop) => return log.round(store, shared.clock.now(), Wish::Sync),
            Err(_) => {}
        }
        let due = |log: &Log| log.due().is_some_and(|due| due <= shared.clock.now());
        if answer.is_some() || journal.has_news() || due(&log) {
            let done = log.round(store, shared.clock.now(), wish);
            if let Some(answer) = answer {
                // Who asked may have gone.
                let _ = answer.send(done.map(|()| Reached {
                    epoch: log.closed(),
                    segment: log.number(),
                    bytes: journal.status().log().bytes,
                }));
                continue;
            }
            grow(shared);
        }
        rest(shared, &log);
    }
}

/// Sleeps until there is something to do.
fn rest(shared: &Shared, log: &Log) {
    let journal = shared.journal();
    // While changes come, epochs are closed one after the other, each with what came during the last one's sync.
    let hurry = journal.is_strict() && !log.is_broken();
    if !hurry {
        // Not parked: a request that comes meanwhile is to end what follows.
        thread::sleep(PACE);
    }
    if !journal.park() {
        return;
    }
    match log.due() {
        None => thread::park(),
        Some(due) => {
            let time = due.since(shared.clock.now());
            thread::park_timeout(Duration::from_millis(time));
        }
    }
    journal.unpark();
}

/// Asks for a snapshot where the log has outgrown the data.
fn grow(shared: &Shared) {
    let status = shared.journal().status();
    let log = status.log().bytes;
    if log > OUTGROWN && !status.is_saving() && log > 2 * status.saves().bytes {
        status.ask();
    }
}

/// The snapshot thread.
fn write_snapshots(shared: &Shared, interval: Duration) {
    let journal = shared.journal();
    let status = journal.status();
    let mut next = shared.clock.now().plus(millis(interval));
    while !shared.stopping.load(SeqCst) {
        let saves = status.saves();
        let now = shared.clock.now();
        if saves.asked == saves.answered {
            if now < next {
                thread::park_timeout(Duration::from_millis(next.since(now)));
                continue;
            }
            next = now.plus(millis(interval));
            if shared.service.store().census().changes == saves.changes {
                continue;
            }
            status.ask();
        }
        next = now.plus(millis(interval));
        let changes = shared.service.store().census().changes;
        let answers = status.begin_save(now, changes);
        let done = snapshot(shared);
        if let Err(error) = &done {
            tracing::error!(%error, "no snapshot was made");
        }
        let done = done.map_err(|error| error.to_string());
        status.end_save(answers, shared.clock.now(), done);
    }
}

fn snapshot(shared: &Shared) -> io::Result<u64> {
    let begun = shared.clock.now();
    let status = shared.journal().status();
    let Reached {
        epoch,
        segment,
        bytes: log,
    } = shared.round(Wish::Rotate)?;
    let (files, names) = (&shared.files, &shared.names);
    let now = || shared.clock.now();
    let written = Snapshot::begin(
        Arc::clone(files),
        names.clone(),
        segment,
        epoch.next(),
        begun,
    )
    .and_then(|mut snapshot| {
        let go_on = || !shared.stopping.load(SeqCst);
        snapshot.write(shared.service.store(), now, go_on)?;
        let reached = shared.round(Wish::Sync)?;
        if reached.segment != segment {
            // What it left to the kernel before it broke may never come to the disk, and entries may tell of that.
            return Err(io::Error::other("the log broke meanwhile"));
        }
        snapshot.finish(reached.epoch, now())
    });
    let (entries, bytes) = match written {
        Ok(written) => written,
        Err(error) => {
            // What there is of it is of no use, and its room may be what the log needs.
            let _ = files.remove(&names.unfinished());
            return Err(error);
        }
    };
    remove_old(&**files, names, segment);
    // The new segment had nothing but its header then.
    status.cut_log_bytes(log - Segment::LEN as u64);
    let took = now().since(begun);
    tracing::info!("wrote a snapshot of {entries} entries, {bytes} bytes, in {took} ms");
    Ok(bytes)
}
