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
        let log = start(&files, options, service, clock)?;
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

/// What [`Persistence::open`] does with the files of a directory, before it has threads: puts what is in them into the
/// service, which must be new, begins a log, and has changes recorded from now on.
///
/// # Errors
/// See [`Error`].
pub fn start(
    files: &Arc<dyn Files>,
    options: &Options,
    service: &Service,
    clock: &Clock,
) -> Result<Log, Error> {
    let dir = &options.dir;
    let system = |error| Error::System {
        dir: dir.clone(),
        error,
    };
    let names = &options.names;
    let found = Recovery::new(&**files, names, options.recover)
        .run(&mut Load::new(service))
        .map_err(|error| Error::Damaged {
            dir: dir.clone(),
            error,
        })?;
    report(&found, service);
    clock.not_before(found.latest);
    tidy(files, names, &found, service, clock.now()).map_err(system)?;
    let journal = service.store().journal();
    let status = journal.status();
    status.set_log_bytes(found.log_bytes);
    let changes = service.store().census().changes;
    status.found(
        found.snapshot.map(|(_, bytes, created)| (created, bytes)),
        changes.saturating_sub(found.records),
    );
    let log = Log::begin(
        Arc::clone(files),
        names.clone(),
        (options.fsync, millis(options.sync_interval)),
        (found.last_segment, found.epoch),
        clock.now(),
        journal,
    )
    .map_err(system)?;
    service.store().record(found.epoch.next());
    journal.set_strict(options.fsync == Fsync::Always);
    Ok(log)
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
