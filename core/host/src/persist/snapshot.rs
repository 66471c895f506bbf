//! Writing a snapshot: the shards' entries are copied out in slices, each under its shard's lock for some 10 µs, and
//! written without it.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use ant_cache_core::Millis;
use ant_cache_core::journal::Epoch;
use ant_cache_core::journal::snapshot::{Block, Footer, Header};
use ant_cache_core::store::{Copying, Store};

use super::files::{Files, Sink};
use super::names::Names;
use super::recover::before;
use crate::process::random_bits;

/// Bytes after which what was written is synced. The kernel hands over what it writes in one go, on the processor of whoever
/// waits for it: 8 MiB held all others up for 3 ms. Nor does it ever have much to write at once, which would hold
/// up the log's syncs.
const SYNC: usize = 1 << 20;

/// Time after which whoever waits for the processor gets it, for as long as [`REST`] at least: the kernel would let them
/// wait for a tick, 4 ms for most, and gives it right back to who only yields.
const STRETCH: Duration = Duration::from_micros(750);
const REST: Duration = Duration::from_micros(200);

/// A snapshot that is being written.
#[derive(Debug)]
pub struct Snapshot {
    files: Arc<dyn Files>,
    names: Names,
    sink: Box<dyn Sink>,
    header: Header,
    block: Block,
    entries: u64,
    bytes: u64,
    unsynced: usize,
}

impl Snapshot {
    /// Begins a file. All that is changed from `epoch` on is in the log's segments from `segment` on.
    ///
    /// # Errors
    /// What the system reports.
    pub fn begin(
        files: Arc<dyn Files>,
        names: Names,
        segment: u64,
        epoch: Epoch,
        now: Millis,
    ) -> io::Result<Self> {
        let header = Header {
            salt: random_bits(),
            segment,
            epoch,
            created: now,
        };
        let mut sink = files.create(&names.unfinished())?;
        sink.append(&mut [&header.encode()[..]].into_iter())?;
        Ok(Self {
            files,
            names,
            sink,
            header,
            block: Block::default(),
            entries: 0,
            bytes: Header::LEN as u64,
            unsynced: 0,
        })
    }

    /// Writes all entries of a store; `now` tells the present moment, and `go_on` whether to.
    ///
    /// # Errors
    /// What the system reports; [`io::ErrorKind::Interrupted`] where it was not to go on.
    pub fn write(
        &mut self,
        store: &Store,
        now: impl Fn() -> Millis,
        mut go_on: impl FnMut() -> bool,
    ) -> io::Result<()> {
        let mut copying = Copying::default();
        let mut since = Instant::now();
        loop {
            if !go_on() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            if since.elapsed() >= STRETCH {
                thread::sleep(REST);
                since = Instant::now();
            }
            // A command that is on its way with an earlier moment may yet let an entry live on that has ended by now.
            let more = copying.slice(store, before(now()), &mut self.block);
            if self.block.len() >= Block::FULL || (!more && !self.block.is_empty()) {
                self.put_block()?;
            }
            if !more {
                return Ok(());
            }
        }
    }

    fn put_block(&mut self) -> io::Result<()> {
        self.block.seal(self.header.salt);
        self.sink
            .append(&mut self.block.pieces().map(|piece| piece.bytes()))?;
        self.entries += u64::from(self.block.count());
        self.bytes += self.block.len() as u64;
        self.unsynced += self.block.len();
        self.block.clear();
        if self.unsynced >= SYNC {
            self.sink.sync()?;
            self.sink.forget();
            self.unsynced = 0;
        }
        Ok(())
    }

    /// Ends the file and lets it take the old one's place: the log must be on the disk up to `epoch`, which is the last
    /// one that may have been read in part. Returns the number of entries and of bytes.
    ///
    /// # Errors
    /// What the system reports. The old snapshot stays then.
    pub fn finish(mut self, epoch: Epoch, latest: Millis) -> io::Result<(u64, u64)> {
        let footer = Footer {
            entries: self.entries,
            epoch,
            latest,
        };
        let footer = footer.encode(self.header.salt);
        self.bytes += footer.len() as u64;
        self.sink.append(&mut [&footer[..]].into_iter())?;
        self.sink.sync()?;
        self.sink.forget();
        self.files
            .rename(&self.names.unfinished(), &self.names.snapshot)?;
        self.files.sync_names()?;
        Ok((self.entries, self.bytes))
    }
}

/// Removes the segments that a snapshot which begins with `segment` has made useless. What cannot be removed now is at
/// the next start.
pub fn remove_old(files: &dyn Files, names: &Names, segment: u64) {
    let all = files.list().unwrap_or_default();
    for number in names.segments(&all) {
        if number < segment
            && let Err(error) = files.remove(&names.segment(number))
        {
            tracing::warn!(%error, segment = names.segment(number), "an old segment cannot be removed");
        }
    }
}
