//! Records on their way to a file: bytes that lie together, and large values, which are not copied, between them.

use alloc::vec;
use alloc::vec::Vec;

use super::record::{self, Record};
use super::wire::Checksum;
use crate::buffer::Blob;

/// The bytes of some records, in pieces: those that lie together, and large values between them.
#[derive(Clone, Debug)]
pub struct Pieces<'a> {
    bytes: &'a [u8],
    at: usize,
    blobs: &'a [(usize, Blob)],
}

impl<'a> Pieces<'a> {
    /// Of the bytes from `at` on, with each large value before the byte whose index it has.
    pub(super) const fn new(bytes: &'a [u8], at: usize, blobs: &'a [(usize, Blob)]) -> Self {
        Self { bytes, at, blobs }
    }
}

/// A piece of some records.
#[derive(Clone, Copy, Debug)]
pub enum Piece<'a> {
    /// Bytes that lie together.
    Bytes(&'a [u8]),
    /// A large value.
    Blob(&'a Blob),
}

impl<'a> Piece<'a> {
    /// The bytes, wherever they are.
    #[must_use]
    pub fn bytes(self) -> &'a [u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Blob(blob) => blob,
        }
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let end = self.blobs.first().map_or(self.bytes.len(), |blob| blob.0);
        if self.at < end {
            let bytes = &self.bytes[self.at..end];
            self.at = end;
            return Some(Piece::Bytes(bytes));
        }
        let ((_, blob), rest) = self.blobs.split_first()?;
        self.blobs = rest;
        Some(Piece::Blob(blob))
    }
}

/// Appends a record, whose value is `blob` where there is one; returns the bytes that came to it.
pub(super) fn put(
    record: &Record<'_>,
    blob: Option<&Blob>,
    bytes: &mut Vec<u8>,
    blobs: &mut Vec<(usize, Blob)>,
) -> usize {
    let before = bytes.len();
    let beside = match blob {
        None => {
            record::encode(record, bytes);
            0
        }
        Some(blob) => {
            record::encode_head(record, bytes);
            blobs.push((bytes.len(), blob.clone()));
            blob.len()
        }
    };
    bytes.len() - before + beside
}

/// Records behind a header of `HEADER` bytes, which is written last.
#[derive(Debug)]
pub(super) struct Body<const HEADER: usize> {
    bytes: Vec<u8>,
    blobs: Vec<(usize, Blob)>,
    len: usize,
}

impl<const HEADER: usize> Body<HEADER> {
    pub(super) fn new() -> Self {
        Self {
            bytes: vec![0; HEADER],
            blobs: Vec::new(),
            len: HEADER,
        }
    }

    /// Bytes, the header included.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Bytes of memory that it holds, large values that others may hold as well included.
    pub(super) fn memory(&self) -> usize {
        let blobs = self.blobs.iter().map(|(_, blob)| blob.memory());
        self.bytes.capacity() + blobs.sum::<usize>()
    }

    pub(super) fn put(&mut self, record: &Record<'_>, blob: Option<&Blob>) {
        self.len += put(record, blob, &mut self.bytes, &mut self.blobs);
    }

    /// Appends what has the form of records already.
    pub(super) fn extend(&mut self, pieces: Pieces<'_>) {
        for piece in pieces {
            match piece {
                Piece::Bytes(bytes) => self.bytes.extend_from_slice(bytes),
                Piece::Blob(blob) => self.blobs.push((self.bytes.len(), blob.clone())),
            }
            self.len += piece.bytes().len();
        }
    }

    /// Length and checksum of what follows the header.
    ///
    /// # Panics
    /// Where that has 4 GiB.
    pub(super) fn sum(&self, salt: u64) -> (u32, u32) {
        let len = u32::try_from(self.len - HEADER).expect("it is written long before");
        let mut sum = Checksum::new(salt);
        for piece in Pieces::new(&self.bytes, HEADER, &self.blobs) {
            sum.add(piece.bytes());
        }
        (len, sum.end())
    }

    pub(super) fn set_header(&mut self, header: &[u8; HEADER]) {
        self.bytes[..HEADER].copy_from_slice(header);
    }

    /// All of it, one behind the other.
    pub(super) fn pieces(&self) -> Pieces<'_> {
        Pieces::new(&self.bytes, 0, &self.blobs)
    }

    /// Whether most of its memory is in use: what is kept for the next ones is to fit them.
    pub(super) fn is_filled(&self) -> bool {
        self.bytes.capacity() <= 4 * self.bytes.len()
    }

    /// Empties it for another use.
    pub(super) fn clear(&mut self) {
        self.bytes.truncate(HEADER);
        self.blobs.clear();
        self.len = HEADER;
    }
}
