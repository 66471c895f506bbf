//! What makes changes durable: their order in time, what of them is on its way to a disk, and who waits for that.
//!
//! Every change is noted in its shard, under the shard's lock: as a [`Record`] of what happened, or as an entry that is
//! *dirty*, of which a record is made when its epoch is over. Records belong to an
//! **epoch**: one number for the whole store, read once while every lock of a command is held. A writer (of the host;
//! nothing here performs I/O) closes the epoch now and then, gathers what the shards have recorded, and writes it as
//! [`frame`]s. Whoever recovers applies whole epochs in their order. So the order in which a key's changes are read back
//! is the one in which they were made, a command with several keys is never torn, and what survives a crash is all up
//! to some moment.
//!
//! A flush begins an epoch: what a shard recorded under an older number was before it, whatever the order in which the
//! shards notice.
//!
//! How the epoch and the set of shards that have something fit together: who is about to write marks its shards, and
//! reads the epoch after that; the writer raises the epoch, and reads the marks after that. So a change that belongs to
//! the closed epoch is in a marked shard, and the writer waits for its lock.

mod body;
pub mod frame;
mod pending;
pub mod record;
pub mod snapshot;
mod status;
mod wire;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use core::task::Waker;

use crate::ledger::{Charge, Ledger, Owner};
use crate::sync::Mutex;

pub(crate) use pending::Pending;
pub use pending::{Parcel, Part};
pub use record::Record;
pub use status::{LogNumbers, Saves, Status};
pub use wire::Damage;

/// A stretch of time: changes of a lower one came before those of a higher one. The first is 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The one after this.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// An epoch that was closed.
#[derive(Debug)]
pub(crate) struct Closed {
    pub(crate) epoch: Epoch,
    /// The flushes that were made since the last time.
    pub(crate) flushes: Vec<Epoch>,
    /// Whether there was a flush, or entries ended.
    pub(crate) news: bool,
}

/// What became of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is not yet decided.
    Pending,
    /// It is as durable as was promised.
    Durable,
    /// It could not be written. What it changed is in memory, and is written as soon as that is possible.
    Failed,
}

/// The order of changes, and what is known of their durability.
#[derive(Debug)]
pub struct Journal {
    /// The open epoch: changes that are made now belong to it, or to the one that a flush is about to open.
    epoch: AtomicU64,
    /// The epoch that began with the last flush; 0 before the first.
    flushed: AtomicU64,
    /// The flushes that the writer has not seen yet, while recording. Locked by whoever raises the epoch.
    flushes: Mutex<Vec<Epoch>>,
    recording: AtomicBool,
    /// Something other than a change of a shard is to be written: a flush, or the time.
    news: AtomicBool,
    /// The writer sleeps.
    parked: AtomicBool,
    /// Replies to changes wait until these are durable.
    strict: AtomicBool,
    /// Changes are refused.
    failing: AtomicBool,
    /// The highest epoch that is durable with all before it.
    durable: AtomicU64,
    /// The highest epoch that could not be made so when it was tried.
    failed: AtomicU64,
    /// What shards and writer hold is charged here.
    ledger: Arc<Ledger>,
    /// By shard, a bit: whether it may have recorded something.
    marks: Box<[AtomicU64]>,
    writer: Mutex<Option<Waker>>,
    waiting: Mutex<Vec<(Epoch, Waker)>>,
    status: Status,
}

impl Journal {
    pub(crate) fn new(shards: usize, ledger: &Arc<Ledger>) -> Self {
        Self {
            epoch: AtomicU64::new(1),
            flushed: AtomicU64::new(0),
            flushes: Mutex::default(),
            recording: AtomicBool::new(false),
            news: AtomicBool::new(false),
            parked: AtomicBool::new(false),
            strict: AtomicBool::new(false),
            failing: AtomicBool::new(false),
            durable: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            ledger: Arc::clone(ledger),
            marks: (0..shards.div_ceil(64))
                .map(|_| AtomicU64::new(0))
                .collect(),
            writer: Mutex::default(),
            waiting: Mutex::default(),
            status: Status::default(),
        }
    }

    /// The epoch that a change under locks which are held now belongs to, and the flush that it comes after.
    ///
    /// A flush writes `flushed` before it raises the epoch to the same number. Who finds only the first of the two is
    /// behind the flush already.
    #[inline]
    pub(crate) fn present(&self) -> (Epoch, u64) {
        let epoch = self.epoch.load(SeqCst);
        let flushed = self.flushed.load(SeqCst);
        (Epoch(epoch.max(flushed)), flushed)
    }

    /// The number of the last flush.
    #[inline]
    pub(crate) fn flushed(&self) -> u64 {
        self.flushed.load(SeqCst)
    }

    /// Begins the epoch in which everything older is gone.
    pub(crate) fn flush(&self) -> Epoch {
        let mut flushes = self.flushes.lock();
        let next = Epoch(self.epoch.load(SeqCst)).next();
        self.flushed.store(next.0, SeqCst);
        self.epoch.store(next.0, SeqCst);
        if self.is_recording() {
            flushes.push(next);
            self.news.store(true, SeqCst);
        }
        next
    }

    /// Says that a shard is about to record something.
    #[inline]
    pub(crate) fn mark(&self, shard: usize) {
        self.marks[shard / 64].fetch_or(1 << (shard % 64), SeqCst);
    }

    /// Says that entries have ended and gone: the moment is to be remembered, so that a clock that is set back does not
    /// bring them back.
    pub(crate) fn note_time(&self) {
        if self.is_recording() {
            self.news.store(true, SeqCst);
        }
    }

    /// Closes the open epoch.
    pub(crate) fn close(&self) -> Closed {
        let mut flushes = self.flushes.lock();
        let news = self.news.swap(false, SeqCst);
        let epoch = Epoch(self.epoch.load(SeqCst));
        self.epoch.store(epoch.next().0, SeqCst);
        Closed {
            epoch,
            flushes: core::mem::take(&mut *flushes),
            news,
        }
    }

    /// The shards that are marked, a word of 64 at a time; their marks are gone.
    pub(crate) fn marked(&self) -> impl Iterator<Item = usize> {
        self.marks.iter().enumerate().flat_map(|(word, marks)| {
            let mut bits = if marks.load(SeqCst) == 0 {
                0
            } else {
                marks.swap(0, SeqCst)
            };
            core::iter::from_fn(move || {
                let bit = (bits != 0).then(|| bits.trailing_zeros() as usize)?;
                bits &= bits - 1;
                Some(word * 64 + bit)
            })
        })
    }

    pub(crate) fn begin_recording(&self, epoch: Epoch) {
        let _raising = self.flushes.lock();
        let epoch = epoch.0.max(self.epoch.load(SeqCst));
        self.epoch.store(epoch, SeqCst);
        self.durable.store(epoch - 1, SeqCst);
        self.recording.store(true, SeqCst);
    }

    /// Whether changes are recorded.
    #[must_use]
    #[inline]
    pub fn is_recording(&self) -> bool {
        self.recording.load(SeqCst)
    }

    /// Whether there may be something to write.
    #[must_use]
    pub fn has_news(&self) -> bool {
        self.news.load(SeqCst) || self.marks.iter().any(|marks| marks.load(SeqCst) != 0)
    }

    /// Says who is to be woken when there is something to write while the writer is parked.
    pub fn set_writer(&self, waker: Waker) {
        *self.writer.lock() = Some(waker);
    }

    /// Says that the writer sleeps from now on. False where there is something to write, so that it should not.
    #[must_use]
    pub fn park(&self) -> bool {
        self.parked.store(true, SeqCst);
        // Read after that was written, as `nudge` reads the other way round: one of the two sees the other.
        if self.has_news() {
            self.parked.store(false, SeqCst);
            return false;
        }
        true
    }

    /// Says that the writer is up.
    pub fn unpark(&self) {
        self.parked.store(false, SeqCst);
    }

    /// Wakes the writer if it sleeps and there is something to write. To be called after changes, without locks.
    #[inline]
    pub fn nudge(&self) {
        if self.parked.load(SeqCst) {
            self.wake_writer();
        }
    }

    #[cold]
    fn wake_writer(&self) {
        if self.has_news() && self.parked.swap(false, SeqCst) {
            let writer = self.writer.lock().clone();
            if let Some(writer) = writer {
                writer.wake();
            }
        }
    }

    /// Whether the replies to changes wait until those are durable.
    #[must_use]
    #[inline]
    pub fn is_strict(&self) -> bool {
        self.strict.load(SeqCst)
    }

    /// Lets the replies to changes wait, or not.
    pub fn set_strict(&self, strict: bool) {
        self.strict.store(strict, SeqCst);
    }

    /// Whether changes are refused, because nothing can be written.
    #[must_use]
    #[inline]
    pub fn is_failing(&self) -> bool {
        self.failing.load(SeqCst)
    }

    /// Says that an epoch and all before it are durable, and lets go on who waited for that.
    pub fn advance(&self, epoch: Epoch) {
        self.durable.fetch_max(epoch.0, SeqCst);
        self.call_waiting();
    }

    /// Says that what is not durable of an epoch and those before it could not be made so. Changes are refused until
    /// [`heal`](Self::heal).
    pub fn fail(&self, epoch: Epoch) {
        self.failing.store(true, SeqCst);
        self.failed.fetch_max(epoch.0, SeqCst);
        self.call_waiting();
    }

    /// Says that changes are taken again.
    pub fn heal(&self) {
        self.failing.store(false, SeqCst);
    }

    fn call_waiting(&self) {
        let called: Vec<Waker> = {
            let mut waiting = self.waiting.lock();
            waiting
                .extract_if(.., |(epoch, _)| self.verdict(*epoch) != Verdict::Pending)
                .map(|(_, waker)| waker)
                .collect()
        };
        for waker in called {
            waker.wake();
        }
    }

    /// What became of an epoch.
    #[must_use]
    #[inline]
    pub fn verdict(&self, epoch: Epoch) -> Verdict {
        if epoch.0 <= self.durable.load(SeqCst) {
            Verdict::Durable
        } else if epoch.0 <= self.failed.load(SeqCst) {
            Verdict::Failed
        } else {
            Verdict::Pending
        }
    }

    /// Has somebody woken once an epoch is decided; false where it is already.
    #[must_use]
    pub fn wait(&self, epoch: Epoch, waker: &Waker) -> bool {
        let mut waiting = self.waiting.lock();
        let waits = self.verdict(epoch) == Verdict::Pending;
        if waits {
            waiting.push((epoch, waker.clone()));
        }
        waits
    }

    /// What a writer holds, and cannot let go before it is synced, is charged to this.
    #[must_use]
    pub fn charge(&self) -> Charge {
        Charge::new(&self.ledger, Owner::Journal)
    }

    /// Bytes of memory that changes take until they are surely on the disk, about.
    #[must_use]
    #[inline]
    pub fn backlog(&self) -> u64 {
        self.ledger.held(Owner::Journal)
    }

    /// What a shard that records keeps.
    pub(crate) fn pending(&self) -> Pending {
        Pending::new(Arc::clone(&self.ledger))
    }

    /// How the files are.
    #[must_use]
    pub const fn status(&self) -> &Status {
        &self.status
    }

    /// The highest epoch that is durable with all before it.
    #[must_use]
    pub fn durable(&self) -> Epoch {
        Epoch(self.durable.load(SeqCst))
    }
}
