//! Reading segments and snapshots, and telling what is wrong with them.

use std::fmt;
use std::io::{self, BufReader, Read};

use ant_cache_core::journal::frame::{self, Segment};
use ant_cache_core::journal::snapshot::{self, BlockHeader, Footer};
use ant_cache_core::journal::{Damage, Epoch};

/// Bytes that are read at a time.
const BUFFER: usize = 1 << 20;

/// Why a file cannot be read to its end.
#[derive(Debug)]
pub enum Fault {
    /// The system reports an error.
    Read(io::Error),
    /// What is at this offset is damaged.
    Damaged {
        /// Offset in bytes of the header before which all is well.
        offset: u64,
        /// What is wrong.
        damage: Damage,
    },
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => write!(f, "it cannot be read: {error}"),
            Self::Damaged { offset, damage } => write!(f, "at offset {offset}, {damage}"),
        }
    }
}

/// A file that is read from its start, with the offset.
struct Input {
    file: BufReader<Box<dyn Read + Send>>,
    offset: u64,
}

impl Input {
    fn new(file: Box<dyn Read + Send>) -> Self {
        Self {
            file: BufReader::with_capacity(BUFFER, file),
            offset: 0,
        }
    }

    /// Reads `len` bytes behind those that are in `to`, or what there is.
    fn read(&mut self, len: usize, to: &mut Vec<u8>) -> io::Result<usize> {
        // Memory grows with what there is, not with what a header announces.
        let read = self.file.by_ref().take(len as u64).read_to_end(to)?;
        self.offset += read as u64;
        Ok(read)
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input")
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}

/// A segment, frame by frame.
#[derive(Debug)]
pub struct SegmentReader {
    input: Input,
    header: Segment,
    bytes: Vec<u8>,
}

impl SegmentReader {
    /// Reads the header of a segment.
    ///
    /// # Errors
    /// See [`Fault`].
    pub fn new(file: Box<dyn Read + Send>) -> Result<Self, Fault> {
        let mut input = Input::new(file);
        let mut bytes = Vec::new();
        input.read(Segment::LEN, &mut bytes)?;
        let header =
            Segment::decode(&bytes).map_err(|damage| Fault::Damaged { offset: 0, damage })?;
        Ok(Self {
            input,
            header,
            bytes,
        })
    }

    /// The header.
    #[must_use]
    pub const fn header(&self) -> &Segment {
        &self.header
    }

    /// Bytes that were read: the offset behind the last frame.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.input.offset
    }

    /// The next frame and its records; `None` at the end.
    ///
    /// # Errors
    /// See [`Fault`].
    pub fn next_frame(&mut self) -> Result<Option<(frame::Header, &[u8])>, Fault> {
        let offset = self.input.offset;
        let bad = |damage| Fault::Damaged { offset, damage };
        self.bytes.clear();
        if self.input.read(frame::Header::LEN, &mut self.bytes)? == 0 {
            return Ok(None);
        }
        let header = frame::Header::decode(&self.bytes, self.header.salt).map_err(bad)?;
        let len = header.len as usize;
        if self.input.read(len, &mut self.bytes)? < len {
            return Err(bad(Damage::Short));
        }
        let payload = &self.bytes[frame::Header::LEN..];
        header.check(payload, self.header.salt).map_err(bad)?;
        Ok(Some((header, payload)))
    }

    /// After a fault, looks through the rest of the file.
    ///
    /// # Errors
    /// What the system reports.
    pub fn rest(&mut self) -> io::Result<Rest> {
        // What was read of the bad frame may hold the beginning of a good one.
        let mut window = std::mem::take(&mut self.bytes);
        let mut rest = Rest {
            synced: Epoch(0),
            blank: is_blank(&window),
        };
        let mut from = 1;
        loop {
            let end = window.len().saturating_sub(frame::Header::LEN - 1);
            for at in from..end {
                if window[at..].starts_with(frame::MAGIC)
                    && let Ok(header) = frame::Header::decode(&window[at..], self.header.salt)
                {
                    rest.synced = rest.synced.max(header.synced);
                }
            }
            let done = from.max(end).min(window.len());
            window.drain(..done);
            from = 0;
            let kept = window.len();
            if self.input.read(BUFFER, &mut window)? == 0 {
                return Ok(rest);
            }
            rest.blank &= is_blank(&window[kept..]);
        }
    }
}

fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
}

/// What is behind a fault.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rest {
    /// The last epoch that a frame there says was on the disk before that frame was written.
    pub synced: Epoch,
    /// Whether all bytes, those of the fault included, are zero.
    pub blank: bool,
}

/// A snapshot, block by block.
#[derive(Debug)]
pub struct SnapshotReader {
    input: Input,
    header: snapshot::Header,
    bytes: Vec<u8>,
    entries: u64,
}

/// A part of a snapshot.
#[derive(Debug)]
pub enum Block<'a> {
    /// Records, all of them sets.
    Records(&'a [u8]),
    /// The end.
    End(Footer),
}

impl SnapshotReader {
    /// Reads the header of a snapshot.
    ///
    /// # Errors
    /// See [`Fault`].
    pub fn new(file: Box<dyn Read + Send>) -> Result<Self, Fault> {
        let mut input = Input::new(file);
        let mut bytes = Vec::new();
        input.read(snapshot::Header::LEN, &mut bytes)?;
        let header = snapshot::Header::decode(&bytes)
            .map_err(|damage| Fault::Damaged { offset: 0, damage })?;
        Ok(Self {
            input,
            header,
            bytes,
            entries: 0,
        })
    }

    /// The header.
    #[must_use]
    pub const fn header(&self) -> &snapshot::Header {
        &self.header
    }

    /// Bytes that were read.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.input.offset
    }

    /// The next block. Nothing is to be read behind [`Block::End`].
    ///
    /// # Errors
    /// See [`Fault`].
    pub fn next_block(&mut self) -> Result<Block<'_>, Fault> {
        let offset = self.input.offset;
        let bad = |damage| Fault::Damaged { offset, damage };
        self.bytes.clear();
        self.input.read(BlockHeader::LEN, &mut self.bytes)?;
        let header = BlockHeader::decode(&self.bytes, self.header.salt).map_err(bad)?;
        let len = header.len as usize;
        self.bytes.clear();
        if self.input.read(len, &mut self.bytes)? < len {
            return Err(bad(Damage::Short));
        }
        header.check(&self.bytes, self.header.salt).map_err(bad)?;
        if !header.is_footer {
            self.entries += u64::from(header.count);
            return Ok(Block::Records(&self.bytes));
        }
        let footer = Footer::decode(&self.bytes).map_err(bad)?;
        let mut rest = Vec::new();
        if footer.entries != self.entries || self.input.read(1, &mut rest)? > 0 {
            return Err(bad(Damage::Nonsense));
        }
        Ok(Block::End(footer))
    }
}
