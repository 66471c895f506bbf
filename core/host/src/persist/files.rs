//! The file layer: the few things that are done to the files of a data directory. All of durability goes through it, so
//! that tests can take the disk's place, cut the power between any two calls, and let any call fail.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, Read, Seek, SeekFrom, Write};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, FallocateFlags, FlockOperation, fadvise, fallocate, flock};

/// A directory whose files are written front to back.
pub trait Files: fmt::Debug + Send + Sync {
    /// The names of its files.
    ///
    /// # Errors
    /// What the system reports; so in all that follows.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Opens a file to read it from its start.
    ///
    /// # Errors
    /// Like [`list`](Self::list).
    fn open(&self, name: &str) -> io::Result<Box<dyn Read + Send>>;

    /// The length of a file in bytes.
    ///
    /// # Errors
    /// Like [`list`](Self::list).
    fn len(&self, name: &str) -> io::Result<u64>;

    /// Makes a file, or empties the one that there is.
    ///
    /// # Errors
    /// Like [`list`](Self::list).
    fn create(&self, name: &str) -> io::Result<Box<dyn Sink>>;

    /// Cuts a file to `len` bytes, and sees to it that this is on the disk.
    ///
    /// # Errors
    /// Like [`list`](Self::list).
    fn truncate(&self, name: &str, len: u64) -> io::Result<()>;

    /// Gives a file another name, in the place of the file that has it.
    ///
    /// # Errors
    /// Like [`list`](Self::list).
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// Like [`list`](Self::list).
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Sees to it that files which were made, renamed and removed are so on the disk.
    ///
    /// # Errors
    /// Like [`list`](Self::list).
    fn sync_names(&self) -> io::Result<()>;
}

/// A file that is appended to.
pub trait Sink: fmt::Debug + Send {
    /// Appends these pieces, one behind the other. Where that fails, any part of them may have been written.
    ///
    /// # Errors
    /// What the system reports.
    fn append(&mut self, pieces: &mut dyn Iterator<Item = &[u8]>) -> io::Result<()>;

    /// Sees to it that all that was appended is on the disk.
    ///
    /// # Errors
    /// What the system reports. What was appended since the last time may be lost then, whatever a later call says.
    fn sync(&mut self) -> io::Result<()>;

    /// Has room of about so many bytes made behind what was appended, all of them zero, where the system can do that
    /// without writing them. What is appended there does not make the file longer: a sync has one thing less to bring to
    /// the disk. Room that is not used goes with this value, if it is dropped. Returns the bytes that there are now.
    fn make_room(&mut self, bytes: u64) -> u64;

    /// Has the system begin to bring to the disk what was appended, without waiting for that.
    fn begin_sync(&mut self) {}

    /// Says that what is on the disk will not be read soon.
    fn forget(&mut self) {}
}

/// A directory of the system, locked: no other server uses it meanwhile.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    /// Held open, since the lock goes with it.
    _lock: File,
    own: File,
}

/// The name of the file that is locked. It holds the number of the process.
pub const LOCK: &str = "lock";

/// Why a directory cannot be used.
#[derive(Debug)]
pub enum Locked {
    /// Another process uses it: its number, where it has told.
    By(Option<u32>),
    /// The system does not let it.
    Error(io::Error),
}

impl From<io::Error> for Locked {
    fn from(error: io::Error) -> Self {
        Self::Error(error)
    }
}

impl Directory {
    /// Makes the directory where there is none, and locks it.
    ///
    /// # Errors
    /// See [`Locked`].
    pub fn lock(path: &Path) -> Result<Self, Locked> {
        if !path.is_dir() {
            fs::create_dir_all(path)?;
            // Its own name is to be on the disk before anything in it is.
            let parent = path.canonicalize()?;
            if let Some(parent) = parent.parent() {
                File::open(parent)?.sync_all()?;
            }
        }
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path.join(LOCK))?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut text = String::new();
            let _ = lock.take(20).read_to_string(&mut text);
            return Err(Locked::By(text.trim().parse().ok()));
        }
        lock.set_len(0)?;
        lock.seek(SeekFrom::Start(0))?;
        writeln!(lock, "{}", std::process::id())?;
        Ok(Self {
            own: File::open(path)?,
            path: path.to_owned(),
            _lock: lock,
        })
    }
}

/// Whether a server uses the directory: `Some` with its number, where it has told.
#[must_use]
pub fn holder(path: &Path) -> Option<Option<u32>> {
    let lock = File::open(path.join(LOCK)).ok()?;
    if flock(&lock, FlockOperation::NonBlockingLockShared).is_ok() {
        return None;
    }
    let mut text = String::new();
    let _ = lock.take(20).read_to_string(&mut text);
    Some(text.trim().parse().ok())
}

impl Files for Directory {
    fn list(&self) -> io::Result<Vec<String>> {
        list(&self.path)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(File::open(self.path.join(name))?))
    }

    fn len(&self, name: &str) -> io::Result<u64> {
        Ok(fs::metadata(self.path.join(name))?.len())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn Sink>> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(self.path.join(name))?;
        Ok(Box::new(Appended {
            file,
            end: 0,
            begun: 0,
            room: false,
        }))
    }

    fn truncate(&self, name: &str, len: u64) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(self.path.join(name))?;
        file.set_len(len)?;
        file.sync_all()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn sync_names(&self) -> io::Result<()> {
        self.own.sync_all()
    }
}

fn list(path: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        // Ours are ASCII.
        names.extend(entry?.file_name().into_string().ok());
    }
    Ok(names)
}

/// A directory that is only read, and not locked: for a look at the files while no server runs, or in spite of one.
#[derive(Debug)]
pub struct ReadOnly(PathBuf);

impl ReadOnly {
    /// Of the directory `path`.
    #[must_use]
    pub const fn new(path: PathBuf) -> Self {
        Self(path)
    }

    fn refuse<T>() -> io::Result<T> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }
}

impl Files for ReadOnly {
    fn list(&self) -> io::Result<Vec<String>> {
        list(&self.0)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(File::open(self.0.join(name))?))
    }

    fn len(&self, name: &str) -> io::Result<u64> {
        Ok(fs::metadata(self.0.join(name))?.len())
    }

    fn create(&self, _: &str) -> io::Result<Box<dyn Sink>> {
        Self::refuse()
    }

    fn truncate(&self, _: &str, _: u64) -> io::Result<()> {
        Self::refuse()
    }

    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        Self::refuse()
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        Self::refuse()
    }

    fn sync_names(&self) -> io::Result<()> {
        Self::refuse()
    }
}

/// Most slices in one vectored write.
const SLICES: usize = 64;

#[derive(Debug)]
struct Appended {
    file: File,
    /// Bytes that were appended.
    end: u64,
    /// Of these, bytes that the system was told to begin with.
    begun: u64,
    /// Whether the file may be longer.
    room: bool,
}

impl Sink for Appended {
    fn append(&mut self, pieces: &mut dyn Iterator<Item = &[u8]>) -> io::Result<()> {
        let mut pieces = pieces.peekable();
        while pieces.peek().is_some() {
            let batch: Vec<&[u8]> = pieces.by_ref().take(SLICES).collect();
            let mut slices: Vec<IoSlice<'_>> = batch.into_iter().map(IoSlice::new).collect();
            let mut rest = &mut slices[..];
            while !rest.is_empty() {
                match self.file.write_vectored(rest) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(n) => {
                        IoSlice::advance_slices(&mut rest, n);
                        self.end += n as u64;
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn make_room(&mut self, bytes: u64) -> u64 {
        if fallocate(&self.file, FallocateFlags::empty(), self.end, bytes).is_err() {
            return 0;
        }
        self.room = true;
        bytes
    }

    fn begin_sync(&mut self) {
        // The kernel starts to write what it is told to let go, and never waits for it.
        let new = NonZeroU64::new(self.end - self.begun);
        let _ = fadvise(&self.file, self.begun, new, Advice::DontNeed);
        self.begun = self.end;
    }

    fn forget(&mut self) {
        // Advice: the file is as well without it.
        let _ = fadvise(&self.file, 0, None, Advice::DontNeed);
    }
}

impl Drop for Appended {
    fn drop(&mut self) {
        if self.room {
            // Whoever reads it takes zeros at the end for what they are.
            let _ = self.file.set_len(self.end);
        }
    }
}
