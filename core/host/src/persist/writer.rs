//! The two threads, and whoever writes the log in their place.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};
use std::task::Wake;
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
    log: JoinHandle<()>,
    snapshots: JoinHandle<()>,
}

/// What both threads know.
#[derive(Debug)]
struct Shared {
    service: Arc<Service>,
    clock: Arc<Clock>,
    files: Arc<dyn Files>,
    names: Names,
    /// Locked for a round.
    log: Mutex<Log>,
    log_thread: OnceLock<Thread>,
    /// The server stops: no further snapshot begins.
    stopping: AtomicBool,
    /// No further round is made, but the last.
    ending: AtomicBool,
}

/// How far the log is after a round.
#[derive(Debug)]
struct Reached {
    /// The last epoch that was closed.
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
}

/// Woken by who has changed something, in that thread, when the log's thread sleeps.
#[derive(Debug)]
struct Changed(Weak<Shared>);

impl Wake for Changed {
    /// Where its client is the only one there is, who changed something writes the log by itself: nobody is kept waiting,
    /// and to wake another thread and to be woken by it takes half as long as the disk.
    fn wake(self: Arc<Self>) {
        if let Some(shared) = self.0.upgrade()
            && !(shared.is_alone() && shared.write_at_once())
        {
            shared.call_log_thread();
        }
    }
}

impl Shared {
    fn journal(&self) -> &Journal {
        self.service.store().journal()
    }

    /// Whether one client at most is connected, and waits for its changes to be durable.
    fn is_alone(&self) -> bool {
        self.journal().is_strict() && self.service.connections()[0] <= 1
    }

    /// A round here and now. False where the log's thread is to be woken for all that.
    fn write_at_once(&self) -> bool {
        let Ok(mut log) = self.log.try_lock() else {
            return false;
        };
        // Who tries a broken one again does not serve anybody.
        if log.is_broken() {
            return false;
        }
        // An error is told to those who wait.
        let _ = self.round_of(&mut log, Wish::Policy);
        log.due().is_none() && self.journal().park()
    }

    fn call_log_thread(&self) {
        if let Some(thread) = self.log_thread.get() {
            thread.unpark();
        }
    }

    /// A round with this wish, of who is not the log's thread.
    fn round(&self, wish: Wish) -> io::Result<Reached> {
        let Ok(mut log) = self.log.lock() else {
            return Err(io::Error::other(PANICKED));
        };
        let done = self.round_of(&mut log, wish);
        // The thread that sleeps knows nothing of what is due now.
        self.call_log_thread();
        done
    }

    fn round_of(&self, log: &mut Log, wish: Wish) -> io::Result<Reached> {
        let journal = self.journal();
        let _whole = Whole(journal);
        log.round(&self.service, self.clock.now(), wish)?;
        Ok(Reached {
            epoch: log.closed(),
            segment: log.number(),
            bytes: journal.status().log().bytes,
        })
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
        let shared = Arc::new(Shared {
            service: Arc::clone(service),
            clock: Arc::clone(clock),
            files,
            names: options.names.clone(),
            log: Mutex::new(log),
            log_thread: OnceLock::new(),
            stopping: AtomicBool::new(false),
            ending: AtomicBool::new(false),
        });
        let journal = shared.journal();
        let named = |name: &str| thread::Builder::new().name(name.to_owned());
        let log = named("log").spawn({
            let shared = Arc::clone(&shared);
            move || write_log(&shared)
        })?;
        shared.log_thread.get_or_init(|| log.thread().clone());
        journal.set_writer(Arc::new(Changed(Arc::downgrade(&shared))).into());
        let interval = options.snapshot_interval;
        let snapshots = named("snapshots").spawn({
            let shared = Arc::clone(&shared);
            move || write_snapshots(&shared, interval)
        })?;
        let saver = Unpark(snapshots.thread().clone());
        journal.status().set_saver(Arc::new(saver).into());
        // Either may have looked before it could be woken.
        shared.call_log_thread();
        Ok(Self {
            shared,
            log,
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
        let panicked = |_| io::Error::other("a thread panicked");
        self.shared.stopping.store(true, SeqCst);
        self.snapshots.thread().unpark();
        self.snapshots.join().map_err(panicked)?;
        self.shared.ending.store(true, SeqCst);
        self.shared.call_log_thread();
        self.log.join().map_err(panicked)?;
        self.shared.round(Wish::Sync)?;
        match ticket.and_then(|ticket| status.outcome(ticket)) {
            Some(Err(error)) => Err(io::Error::other(error)),
            _ => Ok(()),
        }
    }
}

const PANICKED: &str = "the log's writer has panicked; restart the server";

/// Says so where a round ends for a reason that nobody has thought of: without the log nothing is written.
struct Whole<'a>(&'a Journal);

impl Drop for Whole<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.status().broke(PANICKED.to_owned());
            self.0.fail(Epoch(u64::MAX));
        }
    }
}

/// The log thread.
fn write_log(shared: &Shared) {
    let journal = shared.journal();
    while !shared.ending.load(SeqCst) {
        let Ok(mut log) = shared.log.lock() else {
            return;
        };
        let now = shared.clock.now();
        let due = log.due().is_some_and(|due| due <= now);
        if due || journal.has_news() {
            // An error is told to those who wait, and in the log.
            let _ = shared.round_of(&mut log, Wish::Policy);
            grow(shared);
        }
        rest(shared, log);
    }
}

/// Sleeps until there is something to do.
fn rest(shared: &Shared, log: MutexGuard<'_, Log>) {
    let journal = shared.journal();
    // While changes come, epochs are closed one after the other, each with what came during the last one's sync.
    let hurry = journal.is_strict() && !log.is_broken();
    let due = log.due();
    drop(log);
    if !hurry {
        thread::sleep(PACE);
    }
    if !journal.park() {
        return;
    }
    match due {
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
