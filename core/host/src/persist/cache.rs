//! An embedded cache, saved to a file and loaded from one: a snapshot like those of a data directory, without a log.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use ant_cache_core::Cache;
use ant_cache_core::cache::InsertError;
use ant_cache_core::journal::Epoch;
use ant_cache_core::journal::record::{Record, Records};
use ant_cache_core::journal::snapshot::{self, Footer, Header};
use ant_cache_core::store::Copying;

use super::read::{Block, Fault, SnapshotReader};
use crate::process::random_bits;

/// Why a file could not be loaded.
#[derive(Debug)]
pub enum LoadError {
    /// It cannot be read, or is damaged. Nothing was put in.
    Fault(Fault),
    /// The cache took no more. What was put in stays.
    Refused(InsertError),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(fault) => fault.fmt(f),
            Self::Refused(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for LoadError {}

impl From<Fault> for LoadError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<io::Error> for LoadError {
    fn from(error: io::Error) -> Self {
        Self::Fault(error.into())
    }
}

/// Saves all entries; returns how many. They are written to a file beside `path`, of the same name and `.new`, which takes
/// its place once it is whole and on the disk: a save that fails, or a crash, leaves the old file as it was.
///
/// # Errors
/// What the system reports.
pub fn save(cache: &Cache, path: &Path) -> io::Result<u64> {
    let unfinished = beside(path);
    let saved = write(cache, &unfinished).and_then(|entries| {
        fs::rename(&unfinished, path)?;
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
        Ok(entries)
    });
    if saved.is_err() {
        // It may not even have been made.
        let _ = fs::remove_file(&unfinished);
    }
    saved
}

fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".new");
    name.into()
}

fn write(cache: &Cache, path: &Path) -> io::Result<u64> {
    let mut file = File::create(path)?;
    let header = Header {
        salt: random_bits(),
        segment: 0,
        epoch: Epoch(0),
        created: cache.time(),
    };
    file.write_all(&header.encode())?;
    let (mut copying, mut block) = (Copying::default(), snapshot::Block::default());
    let mut entries = 0;
    let mut more = true;
    while more {
        more = cache.copy_some(&mut copying, &mut block);
        if block.len() >= snapshot::Block::FULL || (!more && !block.is_empty()) {
            block.seal(header.salt);
            for piece in block.pieces() {
                file.write_all(piece.bytes())?;
            }
            entries += u64::from(block.count());
            block.clear();
        }
    }
    let footer = Footer {
        entries,
        epoch: Epoch(0),
        latest: cache.time(),
    };
    file.write_all(&footer.encode(header.salt))?;
    file.sync_all()?;
    Ok(entries)
}

/// Puts all entries of a file into a cache, in the place of what their keys had; returns how many there were, those that
/// have ended since included. The file is checked to its end before the first one is put in.
///
/// # Errors
/// See [`LoadError`].
pub fn load(cache: &Cache, path: &Path) -> Result<u64, LoadError> {
    read(path, |_| Ok(()))?;
    let mut entries = 0;
    read(path, |record| {
        entries += 1;
        cache.restore(record).map_err(LoadError::Refused)
    })?;
    Ok(entries)
}

/// Calls `take` with every record.
fn read(
    path: &Path,
    mut take: impl FnMut(&Record<'_>) -> Result<(), LoadError>,
) -> Result<(), LoadError> {
    let mut reader = SnapshotReader::new(Box::new(File::open(path)?))?;
    loop {
        let offset = reader.offset();
        let Block::Records(bytes) = reader.next_block()? else {
            return Ok(());
        };
        for record in Records::new(bytes) {
            take(&record.map_err(|damage| Fault::Damaged { offset, damage })?)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ant_cache_core::Millis;
    use ant_cache_core::cache::Insert;

    use super::*;

    /// A directory of this test's own, removed at its end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let number = std::process::id();
            let path = std::env::temp_dir().join(format!("ant-cache-{name}-{number}"));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn cache(now: u64) -> Cache {
        Cache::builder_with(move || Millis(now), 7).build()
    }

    fn filled() -> Cache {
        let cache = cache(1_000);
        for number in 0..5_000u32 {
            let value = vec![number as u8; number as usize % 1500];
            cache.insert(number.to_le_bytes(), value).unwrap();
        }
        let second = Insert::new().ttl(Duration::from_secs(1));
        cache.insert_with("short", b"life", &second).unwrap();
        let elements = [&b"a"[..], b"b"];
        cache
            .insert_array("array", elements, &Insert::new())
            .unwrap();
        cache
    }

    #[test]
    fn what_was_saved_is_loaded_but_for_what_has_ended() {
        let folder = Folder::new("saved");
        let path = folder.0.join("cache.atd");
        let saved = filled();
        assert_eq!(save(&saved, &path).unwrap(), 5_002);
        assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1);
        for (now, entries) in [(1_999, 5_002), (2_000, 5_001)] {
            let loaded = cache(now);
            assert_eq!(load(&loaded, &path).unwrap(), 5_002);
            assert_eq!(loaded.len(), entries);
            for (key, value) in saved.iter().filter(|(key, _)| *key != b"short") {
                assert_eq!(loaded.get(key), Some(value));
            }
            assert_eq!(loaded.value("array"), saved.value("array"));
        }
    }

    #[test]
    fn a_damaged_file_changes_nothing() {
        let folder = Folder::new("damaged");
        let path = folder.0.join("cache.atd");
        save(&filled(), &path).unwrap();
        let whole = fs::read(&path).unwrap();
        let loaded = cache(1_000);
        for at in [0, 70, whole.len() / 2, whole.len() - 1] {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            fs::write(&path, &bytes).unwrap();
            assert!(
                matches!(load(&loaded, &path), Err(LoadError::Fault(_))),
                "{at}"
            );
            fs::write(&path, &whole[..at]).unwrap();
            assert!(load(&loaded, &path).is_err(), "{at}");
        }
        assert!(load(&loaded, &folder.0.join("none")).is_err());
        assert!(loaded.is_empty());
    }

    #[test]
    fn a_save_that_fails_leaves_nothing_behind() {
        let folder = Folder::new("failed");
        let path = folder.0.join("taken");
        fs::create_dir(&path).unwrap();
        assert!(save(&filled(), &path).is_err());
        assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1);
    }

    #[test]
    fn a_cache_that_is_too_small_takes_what_it_may() {
        let folder = Folder::new("small");
        let path = folder.0.join("cache.atd");
        save(&filled(), &path).unwrap();
        let small = Cache::builder_with(|| Millis(0), 7)
            .max_memory(1 << 20)
            .build();
        assert_eq!(load(&small, &path).unwrap(), 5_002);
        assert!(small.stats().memory <= (1 << 20) + (64 << 10));
        assert!(small.stats().evictions > 0);
    }
}
