//! What can be wrong with a file, and where.

use core::error::Error;
use core::fmt::{Display, Formatter, Result};
use std::io;

/// A file that cannot be read on.
#[derive(Debug)]
pub(crate) struct RdbError {
    /// How many bytes were understood.
    pub(crate) offset: u64,
    /// What is wrong behind them.
    pub(crate) kind: ErrorKind,
}

/// Why.
#[derive(Debug)]
pub(crate) enum ErrorKind {
    /// The file cannot be read.
    Io(io::Error),
    /// The file ends too early.
    Truncated,
    /// It does not begin with `REDIS` and a number.
    NotRdb,
    /// A version that this reader does not know.
    Version(u32),
    /// The checksum at the end does not fit what is before it.
    Checksum { stored: u64, computed: u64 },
    /// A type or an opcode that no version has.
    Unknown(u8),
    /// Something that was only in versions of Redis that were never released.
    Prerelease(&'static str),
    /// Bytes that make no sense.
    Damaged(&'static str),
}

impl Display for RdbError {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "byte {}: ", self.offset)?;
        match &self.kind {
            ErrorKind::Io(error) => write!(f, "the file cannot be read: {error}"),
            ErrorKind::Truncated => f.write_str("the file ends in the middle"),
            ErrorKind::NotRdb => f.write_str("this is no RDB file"),
            ErrorKind::Version(version) => {
                write!(f, "RDB version {version} is not supported; 9 to 12 are")
            }
            ErrorKind::Checksum { stored, computed } => write!(
                f,
                "the checksum is wrong: {stored:016x} in the file, {computed:016x} of its bytes"
            ),
            ErrorKind::Unknown(code) => write!(f, "there is no type or opcode {code}"),
            ErrorKind::Prerelease(what) => {
                write!(f, "{what} of an unreleased version of Redis")
            }
            ErrorKind::Damaged(what) => write!(f, "damaged: {what}"),
        }
    }
}

impl Error for RdbError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.kind {
            ErrorKind::Io(error) => Some(error),
            _ => None,
        }
    }
}
