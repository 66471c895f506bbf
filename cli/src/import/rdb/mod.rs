//! A reader of Redis's snapshot files, versions 9 to 12, from front to back with no more in memory than one value.
//!
//! Strings, lists and hashes are read in all their encodings; sets, sorted sets, streams, values of modules and hashes
//! whose fields expire are passed over, and said to be. Whatever the bytes are, the reader ends with an error that
//! names the place, and makes room only for what it has seen.

mod error;
mod lzf;
mod packed;
mod skip;
mod source;
#[cfg(test)]
mod tests;

use std::io::Read;

use packed::Damage;
use source::{Source, Text};

pub(crate) use error::{ErrorKind, RdbError};

/// The first and the last version that are read.
const VERSIONS: core::ops::RangeInclusive<u32> = 9..=12;

/// The most that is kept of one value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes of a key.
    pub(crate) key: usize,
    /// Bytes of a value, as it will be sent.
    pub(crate) value: usize,
    /// Elements of a list, or fields and values of a hash.
    pub(crate) elements: usize,
}

/// A key and what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// The number of its database.
    pub(crate) database: u64,
    /// The key; empty where it was too long to be kept.
    pub(crate) key: Vec<u8>,
    /// The end of its life, in milliseconds since the Unix epoch.
    pub(crate) expires: Option<i64>,
    /// Its value.
    pub(crate) value: Value,
}

/// A value, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    String(Vec<u8>),
    List(Vec<Vec<u8>>),
    /// Fields and values in turn.
    Hash(Vec<Vec<u8>>),
    Skipped(Skipped),
}

/// Why a value was passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Skipped {
    Set,
    SortedSet,
    Stream,
    Module,
    /// A hash whose fields have times to live of their own.
    ExpiringFields,
    /// A list or hash without elements, which Redis does not write.
    Empty,
    /// A key beyond the limits.
    LongKey,
    /// A value beyond the limits.
    Large,
}

/// What the end of the file told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// Whether there was a checksum; it can be switched off in Redis.
    pub(crate) checksum: bool,
    /// Whether something follows, which is not read.
    pub(crate) more: bool,
}

pub(crate) struct Reader<R> {
    source: Source<R>,
    limits: Limits,
    version: u32,
    database: u64,
    /// The version of the server that wrote the file, as it calls itself.
    writer: Option<String>,
    functions: u64,
    end: Option<End>,
}

/// What stands between the values.
mod opcode {
    pub(super) const SLOT_INFO: u8 = 244;
    pub(super) const FUNCTION: u8 = 245;
    pub(super) const FUNCTION_PRERELEASE: u8 = 246;
    pub(super) const MODULE_AUX: u8 = 247;
    pub(super) const IDLE: u8 = 248;
    pub(super) const FREQUENCY: u8 = 249;
    pub(super) const AUX: u8 = 250;
    pub(super) const RESIZE: u8 = 251;
    pub(super) const EXPIRES_MS: u8 = 252;
    pub(super) const EXPIRES: u8 = 253;
    pub(super) const SELECT: u8 = 254;
    pub(super) const END: u8 = 255;
}

impl<R: Read> Reader<R> {
    /// Reads the head of a file.
    pub(crate) fn new(input: R, limits: Limits) -> Result<Self, RdbError> {
        let mut source = Source::new(input);
        let not_rdb = RdbError {
            offset: 0,
            kind: ErrorKind::NotRdb,
        };
        let Ok(head) = source.array::<9>() else {
            return Err(not_rdb);
        };
        let version = match head.strip_prefix(b"REDIS") {
            Some(digits) if digits.iter().all(u8::is_ascii_digit) => digits
                .iter()
                .fold(0, |number, digit| number * 10 + u32::from(digit - b'0')),
            _ => return Err(not_rdb),
        };
        if !VERSIONS.contains(&version) {
            let kind = ErrorKind::Version(version);
            return Err(RdbError { offset: 0, kind });
        }
        Ok(Self {
            source,
            limits,
            version,
            database: 0,
            writer: None,
            functions: 0,
            end: None,
        })
    }

    /// The version of the format.
    pub(crate) const fn version(&self) -> u32 {
        self.version
    }

    /// The version of the server that wrote the file, where it said so in front of the first record.
    pub(crate) fn writer(&self) -> Option<&str> {
        self.writer.as_deref()
    }

    /// Libraries of functions that were passed over.
    pub(crate) const fn functions(&self) -> u64 {
        self.functions
    }

    /// How much of the file was read.
    pub(crate) const fn offset(&self) -> u64 {
        self.source.offset()
    }

    /// What the end told, once it is reached.
    pub(crate) const fn end(&self) -> Option<End> {
        self.end
    }

    /// The next record; nothing at the end, whose checksum is right then.
    pub(crate) fn next(&mut self) -> Result<Option<Record>, RdbError> {
        let mut expires = None;
        while self.end.is_none() {
            match self.source.byte()? {
                opcode::END => self.read_end()?,
                opcode::SELECT => self.database = self.source.plain()?,
                opcode::EXPIRES => {
                    let seconds = i32::from_le_bytes(self.source.array()?);
                    expires = Some(i64::from(seconds) * 1_000);
                }
                opcode::EXPIRES_MS => expires = Some(i64::from_le_bytes(self.source.array()?)),
                opcode::RESIZE => self.lengths(2)?,
                opcode::SLOT_INFO => self.lengths(3)?,
                opcode::IDLE => self.lengths(1)?,
                opcode::FREQUENCY => self.source.discard(1)?,
                opcode::AUX => self.read_aux()?,
                opcode::MODULE_AUX => {
                    // Its module, and with the opcodes of values when it was saved.
                    self.lengths(3)?;
                    self.skip_module()?;
                }
                opcode::FUNCTION => {
                    self.source.skip_string()?;
                    self.functions += 1;
                }
                opcode::FUNCTION_PRERELEASE => return Err(self.prerelease("functions")),
                kind => return self.record(kind, expires).map(Some),
            }
        }
        Ok(None)
    }

    fn lengths(&mut self, count: usize) -> Result<(), RdbError> {
        (0..count).try_for_each(|_| self.source.plain().map(|_| ()))
    }

    fn prerelease(&self, what: &'static str) -> RdbError {
        self.source.error(ErrorKind::Prerelease(what))
    }

    fn read_aux(&mut self) -> Result<(), RdbError> {
        /// Longer than any name or value that Redis writes there.
        const LIMIT: u64 = 64 << 10;
        let (name, value) = (self.source.string(LIMIT)?, self.source.string(LIMIT)?);
        if let (Text::Kept(name), Text::Kept(value)) = (name, value)
            && name == b"redis-ver"
        {
            self.writer = Some(value.escape_ascii().to_string());
        }
        Ok(())
    }

    fn read_end(&mut self) -> Result<(), RdbError> {
        let computed = self.source.crc();
        let stored = u64::from_le_bytes(self.source.array()?);
        if stored != 0 && stored != computed {
            let kind = ErrorKind::Checksum { stored, computed };
            return Err(self.source.error(kind));
        }
        self.end = Some(End {
            checksum: stored != 0,
            more: !self.source.is_at_end()?,
        });
        Ok(())
    }

    fn record(&mut self, kind: u8, expires: Option<i64>) -> Result<Record, RdbError> {
        let key = self.source.string(self.limits.key as u64)?;
        let value = self.value(kind)?;
        let (key, value) = match (key, value) {
            (Text::Kept(key), value) => (key, value),
            (Text::TooLong, _) => (Vec::new(), Value::Skipped(Skipped::LongKey)),
        };
        Ok(Record {
            database: self.database,
            key,
            expires,
            value,
        })
    }

    fn value(&mut self, kind: u8) -> Result<Value, RdbError> {
        let skipped = match kind {
            0 => {
                let text = self.source.string(self.limits.value as u64)?;
                return Ok(match text {
                    Text::Kept(text) => Value::String(text),
                    Text::TooLong => Value::Skipped(Skipped::Large),
                });
            }
            1 => return Ok(self.plain_elements(1)?.list()),
            4 => return Ok(self.plain_elements(2)?.hash()),
            9 => return Ok(self.packed(|blob, kept| packed::zipmap(blob, kept))?.hash()),
            10 => {
                return Ok(self
                    .packed(|blob, kept| packed::ziplist(blob, kept))?
                    .list());
            }
            13 => {
                return Ok(self
                    .packed(|blob, kept| packed::ziplist(blob, kept))?
                    .hash());
            }
            14 => return Ok(self.quicklist()?.list()),
            16 => {
                return Ok(self
                    .packed(|blob, kept| packed::listpack(blob, kept))?
                    .hash());
            }
            18 => return Ok(self.quicklist2()?.list()),
            2 | 11 | 20 => Skipped::Set,
            3 | 5 | 12 | 17 => Skipped::SortedSet,
            15 | 19 | 21 => Skipped::Stream,
            7 => Skipped::Module,
            22..=25 => Skipped::ExpiringFields,
            6 => return Err(self.prerelease("a value of a module")),
            kind => return Err(self.source.error(ErrorKind::Unknown(kind))),
        };
        self.skip_value(kind)?;
        Ok(Value::Skipped(skipped))
    }

    /// A count, and so many groups of `width` strings.
    fn plain_elements(&mut self, width: u64) -> Result<Kept, RdbError> {
        let mut kept = Kept::new(self.limits);
        for _ in 0..self.count(width)? {
            match self.source.string(kept.room())? {
                Text::Kept(text) => kept.push(text),
                Text::TooLong => kept.give_up(),
            }
        }
        Ok(kept)
    }

    /// A count of groups of `width`, as the number of members.
    fn count(&mut self, width: u64) -> Result<u64, RdbError> {
        let count = self.source.plain()?.checked_mul(width);
        count.ok_or_else(|| {
            self.source
                .damaged("a value says that it has more members than there can be")
        })
    }

    /// A string that holds the whole value in a packed form.
    fn packed(&mut self, walk: Walk) -> Result<Kept, RdbError> {
        let mut kept = Kept::new(self.limits);
        self.packed_into(&mut kept, walk)?;
        Ok(kept)
    }

    fn packed_into(&mut self, kept: &mut Kept, walk: Walk) -> Result<(), RdbError> {
        let at = self.source.offset();
        // A packed form is at most twice what it holds, except for very small elements, of which there are too many.
        let limit = 2 * self.limits.value as u64;
        let Text::Kept(blob) = self.source.string(limit)? else {
            kept.give_up();
            return Ok(());
        };
        walk(&blob, &mut |element: &[u8]| kept.push(element.to_vec())).map_err(|what| RdbError {
            offset: at,
            kind: ErrorKind::Damaged(what),
        })
    }

    fn quicklist(&mut self) -> Result<Kept, RdbError> {
        let mut kept = Kept::new(self.limits);
        for _ in 0..self.source.plain()? {
            self.packed_into(&mut kept, |blob, kept| packed::ziplist(blob, kept))?;
        }
        Ok(kept)
    }

    fn quicklist2(&mut self) -> Result<Kept, RdbError> {
        let mut kept = Kept::new(self.limits);
        for _ in 0..self.source.plain()? {
            match self.source.plain()? {
                1 => match self.source.string(kept.room())? {
                    Text::Kept(text) => kept.push(text),
                    Text::TooLong => kept.give_up(),
                },
                2 => self.packed_into(&mut kept, |blob, kept| packed::listpack(blob, kept))?,
                _ => {
                    return Err(self
                        .source
                        .damaged("a node of a list is neither plain nor packed"));
                }
            }
        }
        Ok(kept)
    }
}

/// How a packed form is walked through.
type Walk = fn(&[u8], &mut dyn FnMut(&[u8])) -> Result<(), Damage>;

/// What each element of a value counts besides its bytes: its length on the wire, ends of lines and marks.
const OVERHEAD: usize = 16;

/// The elements of a list or hash, as long as they are within the limits.
struct Kept {
    limits: Limits,
    elements: Vec<Vec<u8>>,
    bytes: usize,
    too_large: bool,
}

impl Kept {
    const fn new(limits: Limits) -> Self {
        Self {
            limits,
            elements: Vec::new(),
            bytes: 0,
            too_large: false,
        }
    }

    /// How long the next element may be.
    fn room(&self) -> u64 {
        if self.too_large {
            return 0;
        }
        self.limits.value.saturating_sub(self.bytes) as u64
    }

    fn push(&mut self, element: Vec<u8>) {
        if self.too_large {
            return;
        }
        let bytes = self.bytes + element.len() + OVERHEAD;
        if bytes > self.limits.value || self.elements.len() == self.limits.elements {
            self.give_up();
            return;
        }
        self.bytes = bytes;
        self.elements.push(element);
    }

    /// From now on the rest is only passed over.
    fn give_up(&mut self) {
        self.too_large = true;
        self.elements = Vec::new();
    }

    fn list(self) -> Value {
        if self.too_large {
            Value::Skipped(Skipped::Large)
        } else if self.elements.is_empty() {
            Value::Skipped(Skipped::Empty)
        } else {
            Value::List(self.elements)
        }
    }

    fn hash(self) -> Value {
        match self.list() {
            Value::List(elements) => Value::Hash(elements),
            other => other,
        }
    }
}
