//! What is known of the files: for INFO, and for the commands that ask for a snapshot.

use alloc::string::String;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use core::task::Waker;

use crate::Millis;
use crate::sync::Mutex;

/// How the log and the snapshots are.
#[derive(Debug, Default)]
pub struct Status {
    /// Bytes of the log's segments that a recovery would read.
    log_bytes: AtomicU64,
    /// Bytes and records ever written to the log, and syncs of it.
    written: AtomicU64,
    records: AtomicU64,
    syncs: AtomicU64,
    /// Times that the log could not be written, or synced.
    errors: AtomicU64,
    /// What the system said the last time, while it is so.
    error: Mutex<Option<String>>,
    saves: Mutex<Saves>,
    saver: Mutex<Option<Waker>>,
}

/// The snapshots.
#[derive(Clone, Debug, Default)]
pub struct Saves {
    /// Snapshots asked for, and the last of those requests that one was made for, or was tried to.
    pub asked: u64,
    /// See [`asked`](Self::asked).
    pub answered: u64,
    /// When the one under way began.
    pub since: Option<Millis>,
    /// When the last one was complete; 0 for never.
    pub last: Millis,
    /// Milliseconds that it took.
    pub took: u64,
    /// Bytes of it.
    pub bytes: u64,
    /// Changes ever made when it began.
    pub changes: u64,
    /// Snapshots completed since the start.
    pub completed: u64,
    /// Why the last one that was tried came to nothing.
    pub error: Option<String>,
}

/// What the log has come to, as numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogNumbers {
    /// Bytes of the segments that a recovery would read.
    pub bytes: u64,
    /// Bytes ever written since the start.
    pub written: u64,
    /// Records ever written since the start.
    pub records: u64,
    /// Syncs since the start.
    pub syncs: u64,
    /// Failures since the start.
    pub errors: u64,
}

impl Status {
    /// Asks for a snapshot that begins from now on; returns a number by which to ask what became of it.
    pub fn ask(&self) -> u64 {
        let ticket = {
            let mut saves = self.saves.lock();
            saves.asked += 1;
            saves.asked
        };
        let saver = self.saver.lock().clone();
        if let Some(saver) = saver {
            saver.wake();
        }
        ticket
    }

    /// Says who is to be woken when somebody asks for a snapshot.
    pub fn set_saver(&self, waker: Waker) {
        *self.saver.lock() = Some(waker);
    }

    /// The snapshots, as they are now.
    #[must_use]
    pub fn saves(&self) -> Saves {
        self.saves.lock().clone()
    }

    /// Whether a snapshot is being made, or is to be.
    #[must_use]
    pub fn is_saving(&self) -> bool {
        let saves = self.saves.lock();
        saves.since.is_some() || saves.asked > saves.answered
    }

    /// What became of the snapshot that was asked for under this number; `None` while it is not decided.
    #[must_use]
    pub fn outcome(&self, ticket: u64) -> Option<Result<(), String>> {
        let saves = self.saves.lock();
        (saves.answered >= ticket).then(|| saves.error.clone().map_or(Ok(()), Err))
    }

    /// Says what was found at the start: when the snapshot was begun and its bytes, and how many of all changes ever made
    /// are in it.
    pub fn found(&self, snapshot: Option<(Millis, u64)>, changes: u64) {
        let mut saves = self.saves.lock();
        (saves.last, saves.bytes) = snapshot.unwrap_or_default();
        saves.changes = changes;
    }

    /// Says that a snapshot begins; returns the number of requests that it answers.
    pub fn begin_save(&self, now: Millis, changes: u64) -> u64 {
        let mut saves = self.saves.lock();
        saves.since = Some(now);
        saves.changes = changes;
        saves.asked
    }

    /// Says what became of it: its bytes, or why there is none.
    pub fn end_save(&self, answers: u64, now: Millis, done: Result<u64, String>) {
        let mut saves = self.saves.lock();
        let since = saves.since.take().unwrap_or(now);
        saves.answered = answers;
        match done {
            Ok(bytes) => {
                saves.last = now;
                saves.took = now.since(since);
                saves.bytes = bytes;
                saves.completed += 1;
                saves.error = None;
            }
            Err(error) => saves.error = Some(error),
        }
    }

    /// Says how many bytes of log a recovery would read.
    pub fn set_log_bytes(&self, bytes: u64) {
        self.log_bytes.store(bytes, Relaxed);
    }

    /// Says that so many bytes of log need not be read any more.
    pub fn cut_log_bytes(&self, bytes: u64) {
        self.log_bytes.fetch_sub(bytes, Relaxed);
    }

    /// Says that a file of the log got so many bytes, with so many records.
    pub fn wrote(&self, bytes: u64, records: u64) {
        self.log_bytes.fetch_add(bytes, Relaxed);
        self.written.fetch_add(bytes, Relaxed);
        self.records.fetch_add(records, Relaxed);
    }

    /// Says that the log was synced.
    pub fn synced(&self) {
        self.syncs.fetch_add(1, Relaxed);
    }

    /// Says that the log cannot be written.
    pub fn broke(&self, error: String) {
        self.errors.fetch_add(1, Relaxed);
        *self.error.lock() = Some(error);
    }

    /// Says that it can be written again.
    pub fn healed(&self) {
        *self.error.lock() = None;
    }

    /// Why the log cannot be written; `None` where it can.
    #[must_use]
    pub fn error(&self) -> Option<String> {
        self.error.lock().clone()
    }

    /// What the log has come to.
    #[must_use]
    pub fn log(&self) -> LogNumbers {
        LogNumbers {
            bytes: self.log_bytes.load(Relaxed),
            written: self.written.load(Relaxed),
            records: self.records.load(Relaxed),
            syncs: self.syncs.load(Relaxed),
            errors: self.errors.load(Relaxed),
        }
    }
}
