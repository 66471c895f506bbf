//! Durability: the log and the snapshots of a data directory, and the two threads that write them.
//!
//! [`Persistence::open`] locks the directory, recovers what is in it into a service, and has changes recorded from then
//! on. The **log thread** closes epochs and writes what was changed ([`Log`]); the **snapshot thread** writes a snapshot
//! when somebody asks for one, when its interval has passed, or when the log has outgrown the data. A snapshot begins
//! with a new segment of the log, and once it is complete, older segments go.

pub mod cache;
mod files;
mod log;
mod names;
mod read;
mod recover;
mod snapshot;
mod writer;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ant_cache_core::Service;

use crate::Clock;
pub use crate::config::Fsync;

pub use files::{Directory, Files, LOCK, Locked, ReadOnly, Sink, holder};
pub use log::{Log, Wish};
pub use names::Names;
pub use read::{Block, Fault, SegmentReader, SnapshotReader};
pub use recover::{Error as RecoveryError, Found, Load, Lost, Problem, Recovery, Taker, tidy};
pub use snapshot::{Snapshot, remove_old};
pub use writer::Writers;

/// How a data directory is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The directory; it is made where there is none.
    pub dir: PathBuf,
    /// What its files are called.
    pub names: Names,
    /// When the log is brought to the disk.
    pub fsync: Fsync,
    /// Time between syncs of the log, with [`Fsync::Interval`].
    pub sync_interval: Duration,
    /// Time between snapshots, if anything has changed.
    pub snapshot_interval: Duration,
    /// Whether to start with what there is before damage.
    pub recover: bool,
}

/// Why a data directory cannot be used.
#[derive(Debug)]
pub enum Error {
    /// Another process uses it.
    Locked {
        /// The directory.
        dir: PathBuf,
        /// Its number.
        pid: Option<u32>,
    },
    /// The system does not let it.
    System {
        /// The directory.
        dir: PathBuf,
        /// What it says.
        error: io::Error,
    },
    /// What is in it is damaged.
    Damaged {
        /// The directory.
        dir: PathBuf,
        /// What is wrong.
        error: RecoveryError,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Locked { dir, pid } => {
                let dir = dir.display();
                match pid {
                    Some(pid) => write!(f, "{dir}: process {pid} uses this directory"),
                    None => write!(f, "{dir}: another process uses this directory"),
                }
            }
            Self::System { dir, error } => write!(f, "{}: {error}", dir.display()),
            Self::Damaged { dir, error } => write!(
                f,
                "{}/{error}; `ant-cache-cli check {0}` tells more, and --recover starts with what there is before that",
                dir.display()
            ),
        }
    }
}

impl std::error::Error for Error {}

/// The data directory of a running service.
#[derive(Debug)]
pub struct Persistence {
    writers: Writers,
}

impl Persistence {
    /// Locks the directory, puts what is in it into the service, which must be new, and has its changes recorded from now
    /// on. The clock goes on from where the files end, if it is behind that.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn open(
        options: &Options,
        service: &Arc<Service>,
        clock: &Arc<Clock>,
    ) -> Result<Self, Error> {
        let dir = &options.dir;
        let system = |error| Error::System {
            dir: dir.clone(),
            error,
        };
        let files = lock(dir)?;
        let files: Arc<dyn Files> = Arc::new(files);
        let names = &options.names;
        let found = Recovery::new(&*files, names, options.recover)
            .run(&mut Load::new(service))
            .map_err(|error| Error::Damaged {
                dir: dir.clone(),
                error,
            })?;
        report(&found, service);
        tidy(&*files, names, &found).map_err(system)?;
        clock.not_before(found.latest);
        let status = service.store().journal().status();
        status.set_log_bytes(found.log_bytes);
        let changes = service.store().census().changes;
        status.found(
            found.snapshot.map(|(_, bytes, created)| (created, bytes)),
            changes.saturating_sub(found.records),
        );
        let log = Log::begin(
            Arc::clone(&files),
            names.clone(),
            (options.fsync, millis(options.sync_interval)),
            (found.last_segment, found.epoch),
            clock.now(),
            status,
        )
        .map_err(system)?;
        service.store().record(found.epoch.next());
        let journal = service.store().journal();
        journal.set_strict(options.fsync == Fsync::Always);
        let writers = Writers::spawn(service, clock, files, options, log).map_err(system)?;
        Ok(Self { writers })
    }

    /// Brings everything to the disk and ends the threads; writes a `snapshot` before, if that is asked for.
    ///
    /// # Errors
    /// What the system reports: not all is on the disk.
    pub fn close(self, snapshot: bool) -> io::Result<()> {
        self.writers.close(snapshot)
    }
}

fn lock(dir: &Path) -> Result<Directory, Error> {
    Directory::lock(dir).map_err(|locked| match locked {
        Locked::By(pid) => Error::Locked {
            dir: dir.to_owned(),
            pid,
        },
        Locked::Error(error) => Error::System {
            dir: dir.to_owned(),
            error,
        },
    })
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn report(found: &Found, service: &Service) {
    if let Some(lost) = &found.lost {
        tracing::warn!("starting in spite of damage: {}", lost.reason);
    }
    if found.snapshot.is_some() || found.segments > 0 {
        let keys = service.store().len();
        let (entries, ..) = found.snapshot.unwrap_or_default();
        let Found {
            records, segments, ..
        } = found;
        tracing::info!(
            "recovered {keys} keys: {entries} entries of the snapshot, {records} records of {segments} segments"
        );
    }
}
