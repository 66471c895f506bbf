//! A disk in memory. It notes what is done to it, lets calls fail, and tells what a power cut may leave.
//!
//! What a cut may leave, in the spirit of ALICE (Pillai et al., OSDI 2014): of the calls up to some moment, what was
//! synced is there. Of the rest, each appended piece of a block and each change of a name is there or not, on its own.
//! Where a piece is missing before one that is there, there are zeros; a file may be as long as it was, with zeros at
//! its end, and the last piece may be torn. After a sync that failed, nothing that it was to sync is ever sure.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Cursor, Read};
use std::sync::{Arc, Mutex, MutexGuard};

use ant_cache_host::persist::{Files, Sink};

/// The files of a directory, by name.
pub(crate) type Image = BTreeMap<String, Vec<u8>>;

/// Bytes that a disk writes whole or not at all.
const BLOCK: usize = 512;

/// A call that changed something.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    Create(String, usize),
    Append(usize, usize, Vec<u8>),
    MakeRoom(usize, usize),
    Sync(usize),
    SyncFailed(usize),
    Truncate(usize, usize),
    Rename(String, String, usize),
    Remove(String),
    SyncNames,
}

/// Which calls fail: so many from the one with this number on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Faults {
    pub(crate) from: usize,
    pub(crate) times: usize,
    pub(crate) error: i32,
}

#[derive(Debug, Default)]
struct State {
    /// What was there at the start, all of it on the disk.
    base: Image,
    names: BTreeMap<String, usize>,
    files: Vec<Vec<u8>>,
    calls: Vec<Call>,
    /// Calls that could have failed so far.
    tried: usize,
    faults: Option<Faults>,
}

/// See the module's text. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk(Arc<Mutex<State>>);

impl Disk {
    /// With these files on it.
    pub(crate) fn new(base: Image) -> Self {
        let mut state = State::default();
        for (name, bytes) in &base {
            state.names.insert(name.clone(), state.files.len());
            state.files.push(bytes.clone());
        }
        state.base = base;
        Self(Arc::new(Mutex::new(state)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(crate) fn fail(&self, faults: Option<Faults>) {
        self.state().faults = faults;
    }

    /// Calls that could have failed so far.
    pub(crate) fn tried(&self) -> usize {
        self.state().tried
    }

    /// Calls so far that changed something.
    pub(crate) fn calls(&self) -> usize {
        self.state().calls.len()
    }

    /// All calls, for a failed test to show.
    pub(crate) fn history(&self) -> String {
        let state = self.state();
        let lines = state.calls.iter().enumerate().map(|(n, call)| match call {
            Call::Append(file, at, bytes) => {
                format!("{n} append {file} at {at}, {}\n", bytes.len())
            }
            call => format!("{n} {call:?}\n"),
        });
        lines.collect()
    }

    /// What whoever reads now finds: what is left where the process ends and the system goes on.
    pub(crate) fn image(&self) -> Image {
        let state = self.state();
        let files = state.names.iter();
        files
            .map(|(name, &file)| (name.clone(), state.files[file].clone()))
            .collect()
    }

    /// What the first `calls` calls leave for sure or not.
    pub(crate) fn cut(&self, calls: usize) -> Cut {
        let state = self.state();
        let mut cut = Cut::of(&state.base);
        for call in &state.calls[..calls] {
            cut.call(call);
        }
        cut
    }
}

impl State {
    /// Counts a call; an error where it is to fail.
    fn attempt(&mut self) -> io::Result<()> {
        let number = self.tried;
        self.tried += 1;
        match self.faults {
            Some(faults) if number >= faults.from && number - faults.from < faults.times => {
                Err(io::Error::from_raw_os_error(faults.error))
            }
            _ => Ok(()),
        }
    }

    fn file(&self, name: &str) -> io::Result<usize> {
        let file = self.names.get(name).copied();
        file.ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Files for Disk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.state().names.keys().cloned().collect())
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn Read + Send>> {
        let state = self.state();
        let file = state.file(name)?;
        Ok(Box::new(Cursor::new(state.files[file].clone())))
    }

    fn len(&self, name: &str) -> io::Result<u64> {
        let state = self.state();
        let file = state.file(name)?;
        Ok(state.files[file].len() as u64)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn Sink>> {
        let mut state = self.state();
        state.attempt()?;
        let file = state.files.len();
        state.files.push(Vec::new());
        state.names.insert(name.to_owned(), file);
        state.calls.push(Call::Create(name.to_owned(), file));
        Ok(Box::new(Appended {
            disk: self.clone(),
            file,
            end: 0,
        }))
    }

    fn truncate(&self, name: &str, len: u64) -> io::Result<()> {
        let mut state = self.state();
        state.attempt()?;
        let file = state.file(name)?;
        state.files[file].resize(len as usize, 0);
        state.calls.push(Call::Truncate(file, len as usize));
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        state.attempt()?;
        let file = state.file(from)?;
        state.names.remove(from);
        state.names.insert(to.to_owned(), file);
        let call = Call::Rename(from.to_owned(), to.to_owned(), file);
        state.calls.push(call);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.attempt()?;
        state.file(name)?;
        state.names.remove(name);
        state.calls.push(Call::Remove(name.to_owned()));
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut state = self.state();
        state.attempt()?;
        state.calls.push(Call::SyncNames);
        Ok(())
    }
}

#[derive(Debug)]
struct Appended {
    disk: Disk,
    file: usize,
    end: usize,
}

/// Most bytes of room: pictures of a disk are compared by the thousand.
const ROOM: u64 = 600;

impl Sink for Appended {
    fn append(&mut self, pieces: &mut dyn Iterator<Item = &[u8]>) -> io::Result<()> {
        let mut state = self.disk.state();
        let mut bytes: Vec<u8> = pieces.flatten().copied().collect();
        let done = state.attempt();
        if done.is_err() {
            // As much as there was room for.
            bytes.truncate(bytes.len() / 2);
        }
        let at = self.end;
        self.end += bytes.len();
        put(&mut state.files[self.file], at, &bytes);
        state.calls.push(Call::Append(self.file, at, bytes));
        done
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.disk.state();
        let done = state.attempt();
        let call = match done {
            Ok(()) => Call::Sync(self.file),
            Err(_) => Call::SyncFailed(self.file),
        };
        state.calls.push(call);
        done
    }

    fn make_room(&mut self, bytes: u64) -> u64 {
        let mut state = self.disk.state();
        if state.attempt().is_err() {
            return 0;
        }
        let bytes = bytes.min(ROOM);
        let len = self.end + bytes as usize;
        put(&mut state.files[self.file], len, &[]);
        state.calls.push(Call::MakeRoom(self.file, len));
        bytes
    }
}

/// A piece of a file that may be on the disk.
#[derive(Clone, Debug)]
struct Piece {
    file: usize,
    at: usize,
    bytes: Vec<u8>,
    /// A sync of it has failed.
    doomed: bool,
}

/// A change of a name that may be on the disk.
#[derive(Clone, Debug)]
enum Naming {
    Set(String, usize),
    Move(String, String, usize),
    Unset(String),
}

/// What a power cut finds.
#[derive(Debug)]
pub(crate) struct Cut {
    names: BTreeMap<String, usize>,
    /// What is on the disk for sure.
    files: Vec<Vec<u8>>,
    lens: Vec<usize>,
    pieces: Vec<Piece>,
    namings: Vec<Naming>,
}

/// How files end of which not all is on the disk.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tail {
    /// With the last piece that is.
    Whole,
    /// With the half of that.
    Torn,
    /// With zeros, as long as they were.
    Zeros,
}

impl Cut {
    fn of(base: &Image) -> Self {
        let files: Vec<Vec<u8>> = base.values().cloned().collect();
        Self {
            names: base.keys().cloned().zip(0..).collect(),
            lens: files.iter().map(Vec::len).collect(),
            files,
            pieces: Vec::new(),
            namings: Vec::new(),
        }
    }

    fn call(&mut self, call: &Call) {
        match call {
            Call::Create(name, file) => {
                self.files.resize(file + 1, Vec::new());
                self.lens.resize(file + 1, 0);
                self.namings.push(Naming::Set(name.clone(), *file));
            }
            Call::Append(file, at, bytes) => self.append(*file, *at, bytes),
            Call::MakeRoom(file, len) => self.lens[*file] = self.lens[*file].max(*len),
            Call::Sync(file) => {
                let surely = |piece: &mut Piece| piece.file == *file && !piece.doomed;
                let pieces: Vec<Piece> = self.pieces.extract_if(.., surely).collect();
                for piece in &pieces {
                    put(&mut self.files[*file], piece.at, &piece.bytes);
                }
                put(&mut self.files[*file], self.lens[*file], &[]);
            }
            Call::SyncFailed(file) => {
                for piece in self.pieces.iter_mut().filter(|piece| piece.file == *file) {
                    piece.doomed = true;
                }
            }
            Call::Truncate(file, len) => {
                self.call(&Call::Sync(*file));
                self.files[*file].resize(*len, 0);
                self.lens[*file] = *len;
                self.pieces
                    .retain(|piece| piece.file != *file || piece.at < *len);
            }
            Call::Rename(from, to, file) => {
                let naming = Naming::Move(from.clone(), to.clone(), *file);
                self.namings.push(naming);
            }
            Call::Remove(name) => self.namings.push(Naming::Unset(name.clone())),
            Call::SyncNames => {
                for naming in std::mem::take(&mut self.namings) {
                    naming.go(&mut self.names);
                }
            }
        }
    }

    fn append(&mut self, file: usize, mut at: usize, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (block, rest) = bytes.split_at(bytes.len().min(BLOCK - at % BLOCK));
            self.pieces.push(Piece {
                file,
                at,
                bytes: block.to_vec(),
                doomed: false,
            });
            at += block.len();
            self.lens[file] = self.lens[file].max(at);
            bytes = rest;
        }
    }

    /// Number of things that are there or not.
    pub(crate) fn open(&self) -> usize {
        self.pieces.len() + self.namings.len()
    }

    /// What is left, where `there` tells of each of them whether it is there.
    pub(crate) fn image(&self, there: impl Fn(usize) -> bool, tail: Tail) -> Image {
        let mut names = self.names.clone();
        let mut files = self.files.clone();
        let mut last: BTreeMap<usize, &Piece> = BTreeMap::new();
        for (_, piece) in self.pieces.iter().enumerate().filter(|(n, _)| there(*n)) {
            put(&mut files[piece.file], piece.at, &piece.bytes);
            last.insert(piece.file, piece);
        }
        for (number, naming) in self.namings.iter().enumerate() {
            if there(self.pieces.len() + number) {
                naming.go(&mut names);
            }
        }
        match tail {
            Tail::Whole => {}
            Tail::Torn => {
                for (file, piece) in last {
                    let file = &mut files[file];
                    let (half, end) = (
                        piece.at + piece.bytes.len() / 2,
                        piece.at + piece.bytes.len(),
                    );
                    if end == file.len() {
                        file.truncate(half);
                    } else {
                        file[half..end].fill(0);
                    }
                }
            }
            Tail::Zeros => {
                for (file, &len) in files.iter_mut().zip(&self.lens) {
                    file.resize(len.max(file.len()), 0);
                }
            }
        }
        let named = names.into_iter();
        named
            .map(|(name, file)| (name, files[file].clone()))
            .collect()
    }

    /// Different images that it may leave: all, if there are no more than `most`; otherwise the telling ones, and random
    /// ones until there are that many.
    pub(crate) fn images(&self, most: usize, random: &mut impl FnMut() -> u64) -> BTreeSet<Image> {
        let open = self.open();
        let mut images = BTreeSet::new();
        let mut take = |there: &dyn Fn(usize) -> bool| {
            for tail in [Tail::Whole, Tail::Torn, Tail::Zeros] {
                images.insert(self.image(there, tail));
            }
            images.len()
        };
        if open < 20 && 3 << open <= most {
            for bits in 0..1u32 << open {
                take(&|n| bits >> n & 1 == 1);
            }
            return images;
        }
        take(&|_| true);
        take(&|_| false);
        for one in 0..open {
            take(&|n| n < one);
            take(&|n| n >= one);
            take(&|n| n == one);
            take(&|n| n != one);
        }
        for _ in 0..most {
            let bits: Vec<bool> = (0..open).map(|_| random() & 1 == 1).collect();
            if take(&|n| bits[n]) >= most {
                break;
            }
        }
        images
    }
}

/// Puts bytes into a file, which becomes long enough.
fn put(file: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[at..end].copy_from_slice(bytes);
}

impl Naming {
    fn go(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Set(name, file) => {
                names.insert(name.clone(), *file);
            }
            Self::Move(from, to, file) => {
                if names.get(from) == Some(file) {
                    names.remove(from);
                }
                names.insert(to.clone(), *file);
            }
            Self::Unset(name) => {
                names.remove(name);
            }
        }
    }
}
