//! The log: what was changed, in segments, each frame behind the other.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use ant_cache_core::journal::frame::{Frame, Gatherer, Segment};
use ant_cache_core::journal::{Epoch, Journal, Status};
use ant_cache_core::ledger::Charge;
use ant_cache_core::{Millis, Service, limits};

use super::Fsync;
use super::files::{Files, Sink};
use super::names::Names;
use crate::process::random_bits;

/// Bytes by which a segment is made longer at a time where each change is synced: a sync that need not bring a new length
/// to the disk takes two thirds of the time (ext4 on a virtual disk: 140 to 205 µs).
const ROOM: u64 = 4 << 20;

/// Bytes that are not surely on the disk from which on a sync comes early, at most. They are kept in memory, to be written
/// again where the sync fails, and a processor's cache holds as many.
const UNSYNCED: u64 = 8 << 20;

/// Milliseconds until a log that could not be written is tried again; doubled each time, up to the second of them.
const RETRY: [u64; 2] = [100, 2000];

/// The log, as its writer sees it. One thread calls [`round`](Self::round) again and again.
#[derive(Debug)]
pub struct Log {
    files: Arc<dyn Files>,
    names: Names,
    fsync: Fsync,
    /// Milliseconds between syncs, at most.
    interval: u64,
    gatherer: Gatherer,
    state: State,
    /// The number of the segment that is written, or of the last one that could be.
    number: u64,
    /// Frames that are not surely on the disk.
    unsynced: VecDeque<Frame>,
    unsynced_bytes: usize,
    charge: Charge,
    /// From here on a sync comes early: a quarter of what may wait at all, and no more than [`UNSYNCED`].
    most_unsynced: u64,
    /// How many of them are written to the present segment.
    written: usize,
    /// The epoch of the last frame that is surely on the disk.
    synced: Epoch,
    /// The epoch of the last frame that need not be written again if the file fails.
    kept: Epoch,
    /// An earlier segment failed while it had frames that were neither synced nor are kept in memory: nothing that
    /// follows is sure to be of use after a power failure, so nothing of it is called synced.
    gap: bool,
    /// The last epoch that was closed.
    closed: Epoch,
    last_sync: Millis,
    /// The latest moment that a frame tells.
    latest: Millis,
    /// Whether entries have ended since then.
    timely: bool,
}

#[derive(Debug)]
enum State {
    Open {
        sink: Box<dyn Sink>,
        header: Segment,
        /// Bytes that can be written before room is made again.
        room: u64,
    },
    /// Nothing can be written; to be tried again.
    Broken { again: Millis, pause: u64 },
}

/// Milliseconds by which what the log knows of the time may be late, while entries end and nothing is changed.
const TIMELY: u64 = 1000;

/// What is asked of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// What the policy says.
    Policy,
    /// That all is on the disk afterwards.
    Sync,
    /// That, and that what follows goes to a new segment.
    Rotate,
}

impl Log {
    /// A log that goes on behind segment `last` (0 for none) and epoch `after`: begins a segment.
    ///
    /// # Errors
    /// What the system reports: the segment cannot be made.
    pub fn begin(
        files: Arc<dyn Files>,
        names: Names,
        (fsync, interval): (Fsync, u64),
        (last, after): (u64, Epoch),
        now: Millis,
        journal: &Journal,
    ) -> io::Result<Self> {
        let mut log = Self {
            files,
            names,
            fsync,
            interval,
            gatherer: Gatherer::default(),
            state: State::Broken {
                again: now,
                pause: RETRY[0],
            },
            number: last,
            unsynced: VecDeque::new(),
            unsynced_bytes: 0,
            charge: journal.charge(),
            most_unsynced: 0,
            written: 0,
            synced: after,
            kept: after,
            gap: false,
            closed: after,
            last_sync: now,
            latest: now,
            timely: false,
        };
        log.open(now, journal.status())?;
        Ok(log)
    }

    /// Begins the next segment.
    fn open(&mut self, now: Millis, status: &Status) -> io::Result<()> {
        let header = Segment {
            salt: random_bits(),
            number: self.number + 1,
            after: self.kept,
            created: now,
            synced: self.synced,
        };
        let mut sink = self.files.create(&self.names.segment(header.number))?;
        sink.append(&mut [&header.encode()[..]].into_iter())?;
        sink.sync()?;
        self.files.sync_names()?;
        self.number = header.number;
        self.written = 0;
        status.wrote(Segment::LEN as u64, 0);
        self.state = State::Open {
            sink,
            header,
            room: 0,
        };
        Ok(())
    }

    /// The number of the present segment.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// The last epoch that was closed.
    #[must_use]
    pub const fn closed(&self) -> Epoch {
        self.closed
    }

    /// Whether frames wait to be synced, or to be written.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        !self.unsynced.is_empty()
    }

    /// Whether nothing could be written the last time.
    #[must_use]
    pub const fn is_broken(&self) -> bool {
        matches!(self.state, State::Broken { .. })
    }

    /// When the next round is to be, where nothing new comes; `None` for never.
    #[must_use]
    pub fn due(&self) -> Option<Millis> {
        match self.state {
            State::Broken { again, .. } => Some(again),
            State::Open { .. } if self.gatherer.has_more() => Some(Millis(0)),
            State::Open { .. } => {
                let sync = self.is_behind().then(|| self.last_sync.plus(self.interval));
                let time = self.timely.then(|| self.latest.plus(TIMELY));
                sync.into_iter().chain(time).min()
            }
        }
    }

    /// Closes the epoch and writes what was changed in it; syncs where that is due. The journal is told how far it came.
    ///
    /// # Errors
    /// What the system reports. Changes are refused from then on, until a later round succeeds.
    pub fn round(&mut self, service: &Service, now: Millis, wish: Wish) -> io::Result<()> {
        let journal = service.store().journal();
        let harvest = self.gatherer.gather(service.store(), now);
        self.closed = harvest.closed;
        self.timely |= harvest.timely;
        let timely = self.timely && now.since(self.latest) >= TIMELY;
        let last = harvest.frames.last().map(Frame::epoch);
        // A sync leaves a frame of the epoch that it closes, so that whoever reads knows how far the log must go.
        let mark = wish != Wish::Policy && last != Some(harvest.closed);
        let time = (mark || timely && last.is_none()).then(|| Frame::of_time(harvest.closed, now));
        for frame in harvest.frames.into_iter().chain(time) {
            if frame.latest() >= self.latest {
                self.latest = frame.latest();
                self.timely = false;
            }
            self.unsynced_bytes += frame.memory();
            self.unsynced.push_back(frame);
        }
        self.most_unsynced = UNSYNCED.min(limits::max_backlog(service.settings.max_memory()) / 4);
        let done = self.put_down(now, wish, journal.status());
        match &done {
            Ok(true) => {
                journal.advance(self.closed);
                if journal.is_failing() {
                    journal.heal();
                }
            }
            Ok(false) => {}
            Err(_) => journal.fail(self.closed),
        }
        self.charge
            .set(self.unsynced_bytes + self.gatherer.memory());
        done.map(drop)
    }

    /// Writes and syncs; true where all up to the closed epoch is as durable as the policy promises.
    fn put_down(&mut self, now: Millis, wish: Wish, status: &Status) -> io::Result<bool> {
        let paused = match self.state {
            State::Open { .. } => None,
            State::Broken { again, .. } if now < again && wish == Wish::Policy => {
                return Err(io::Error::other("the log is not tried again yet"));
            }
            State::Broken { pause, .. } => Some(pause),
        };
        let healing = paused.is_some();
        let done = self.try_put_down(now, wish, healing, status);
        match &done {
            Ok(_) if healing => {
                tracing::info!(
                    segment = self.names.segment(self.number),
                    "the log can be written again; changes are taken"
                );
                status.healed();
                if self.gap {
                    // What was not synced is in no file that can be trusted.
                    status.ask();
                }
            }
            Ok(_) => {}
            Err(error) => {
                status.broke(error.to_string());
                if healing {
                    self.withdraw(status);
                }
                self.broke(error, now, paused);
            }
        }
        done
    }

    fn try_put_down(
        &mut self,
        now: Millis,
        wish: Wish,
        healing: bool,
        status: &Status,
    ) -> io::Result<bool> {
        if healing {
            self.open(now, status)?;
        }
        self.write(status)?;
        let late = now.since(self.last_sync) >= self.interval;
        let sync = match self.fsync {
            Fsync::Always => true,
            Fsync::Interval => late || self.unsynced_bytes as u64 >= self.most_unsynced,
            // What the kernel has is what was promised; only a full segment is synced.
            Fsync::Never => false,
        };
        if wish != Wish::Policy || (self.is_behind() && (sync || healing)) {
            self.sync(now, status)?;
        }
        if self.fsync == Fsync::Never {
            self.forget();
        }
        if wish == Wish::Rotate {
            self.open(now, status)?;
        }
        Ok(!self.is_behind())
    }

    /// Writes the frames that are not yet in the present segment.
    fn write(&mut self, status: &Status) -> io::Result<()> {
        let State::Open { sink, header, room } = &mut self.state else {
            return Ok(());
        };
        while let Some(frame) = self.unsynced.get_mut(self.written) {
            frame.seal(header.salt, self.synced);
            let len = frame.len() as u64;
            if self.fsync == Fsync::Always && *room < len {
                // Where there is none, it is asked for again as late.
                *room = match sink.make_room(ROOM.max(len)) {
                    0 => ROOM.max(len),
                    made => made,
                };
            }
            *room = room.saturating_sub(len);
            sink.append(&mut frame.pieces().map(|piece| piece.bytes()))?;
            self.written += 1;
            status.wrote(len, u64::from(frame.count()));
        }
        if self.fsync == Fsync::Interval {
            // So that a sync has little left to do, and what comes meanwhile does not pile up.
            sink.begin_sync();
        }
        Ok(())
    }

    fn sync(&mut self, now: Millis, status: &Status) -> io::Result<()> {
        let State::Open { sink, .. } = &mut self.state else {
            return Ok(());
        };
        sink.sync()?;
        self.last_sync = now;
        status.synced();
        self.forget();
        if !self.gap {
            self.synced = self.kept;
        }
        Ok(())
    }

    /// All that was written is as durable as it was to be.
    fn forget(&mut self) {
        if let Some(frame) = self.unsynced.back() {
            self.kept = frame.epoch();
        }
        self.gatherer.reuse(self.unsynced.drain(..));
        self.unsynced_bytes = 0;
        self.written = 0;
    }

    /// Removes the segment of an attempt to go on that came to nothing: what is in it is in memory, and on a full disk
    /// the next attempt needs its room.
    fn withdraw(&mut self, status: &Status) {
        // Unless something in it is kept already, and only the next segment could not be made.
        if !matches!(&self.state, State::Open { header, .. } if header.after == self.kept) {
            return;
        }
        let frames = self.unsynced.iter().take(self.written);
        let bytes: usize = frames.map(Frame::len).sum();
        status.cut_log_bytes((Segment::LEN + bytes) as u64);
        // Where it cannot be removed, the next attempt empties it, for it has the same number.
        let _ = self.files.remove(&self.names.segment(self.number));
        self.number -= 1;
    }

    /// What was written since the last sync is not trusted, nor is the file: all of it goes to another one. `paused` is
    /// the pause before this attempt, where it was not the first.
    fn broke(&mut self, error: &io::Error, now: Millis, paused: Option<u64>) {
        self.gap |= self.kept > self.synced;
        let pause = match paused {
            None => {
                tracing::error!(
                    %error,
                    segment = self.names.segment(self.number),
                    "the log cannot be written: changes are refused until it can"
                );
                RETRY[0]
            }
            Some(pause) => (pause * 2).min(RETRY[1]),
        };
        self.written = 0;
        self.state = State::Broken {
            again: now.plus(pause),
            pause,
        };
    }
}
