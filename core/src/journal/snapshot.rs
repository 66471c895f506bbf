//! Snapshots: all entries of a store, read while others change it.
//!
//! ```text
//! file:   header 64 | blocks | footer block
//! header: magic "ANTATD\r\n" | version 4 | reserved 4 | salt 8 | segment 8 | epoch 8 | created 8 | reserved 12 | crc 4
//! block:  magic "atd\x01" | length 4 | count 4 | payload crc 4 | crc 4 | records
//! footer: magic "atd\xff" | length 4 | count 4 | payload crc 4 | crc 4 | entries 8 | epoch 8 | latest 8
//! ```
//!
//! The records are those of the log, all of them sets. A snapshot is what each key was at some moment between its first
//! and its last epoch. Applying the log from its segment on, up to the last epoch at least, makes it whole: whatever
//! changed in between is written there once more, in its order.

use alloc::vec;
use alloc::vec::Vec;

use super::Epoch;
use super::body::{Body, Pieces};
use super::record::Record;
use super::wire::{Damage, Reader, check, checksum, open, seal};
use crate::Millis;
use crate::store::{Data, Item};

const VERSION: u32 = 1;
const MAGIC: &[u8; 8] = b"ANTATD\r\n";
const BLOCK: &[u8; 4] = b"atd\x01";
const FOOTER: &[u8; 4] = b"atd\xff";

/// The header of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Random bits that go into all its checksums.
    pub salt: u64,
    /// The first segment of the log that is to be applied.
    pub segment: u64,
    /// The first epoch of which changes may be missing in what was read.
    pub epoch: Epoch,
    /// When it was begun.
    pub created: Millis,
}

impl Header {
    /// Bytes of it.
    pub const LEN: usize = 64;

    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.salt.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.segment.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.epoch.0.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.created.0.to_le_bytes());
        seal(&mut bytes, 0);
        bytes
    }

    /// Reads it.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, Damage> {
        let mut reader = open(bytes, Self::LEN, MAGIC, 0)?;
        if reader.u32()? > VERSION {
            return Err(Damage::Newer);
        }
        reader.u32()?;
        Ok(Self {
            salt: reader.u64()?,
            segment: reader.u64()?,
            epoch: Epoch(reader.u64()?),
            created: Millis(reader.u64()?),
        })
    }
}

/// What stands at the end of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footer {
    /// Number of entries in all blocks.
    pub entries: u64,
    /// The last epoch that may have been read in part.
    pub epoch: Epoch,
    /// The latest moment at which anything had happened.
    pub latest: Millis,
}

impl Footer {
    const LEN: usize = 24;

    /// Its bytes, block header included.
    #[must_use]
    pub fn encode(&self, salt: u64) -> Vec<u8> {
        let mut block = vec![0; BlockHeader::LEN];
        for number in [self.entries, self.epoch.0, self.latest.0] {
            block.extend_from_slice(&number.to_le_bytes());
        }
        let header = BlockHeader {
            len: Self::LEN as u32,
            count: 0,
            is_footer: true,
            crc: checksum(&block[BlockHeader::LEN..], salt),
        };
        block[..BlockHeader::LEN].copy_from_slice(&header.encode(salt));
        block
    }

    /// Reads the payload of the footer block.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn decode(payload: &[u8]) -> Result<Self, Damage> {
        let mut reader = Reader(payload);
        Ok(Self {
            entries: reader.u64()?,
            epoch: Epoch(reader.u64()?),
            latest: Millis(reader.u64()?),
        })
    }
}

/// The header of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockHeader {
    /// Bytes that follow.
    pub len: u32,
    /// Number of records.
    pub count: u32,
    /// Whether this is the end.
    pub is_footer: bool,
    crc: u32,
}

impl BlockHeader {
    /// Bytes of it.
    pub const LEN: usize = 20;

    fn encode(&self, salt: u64) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let magic = if self.is_footer { FOOTER } else { BLOCK };
        bytes[..4].copy_from_slice(magic);
        bytes[4..8].copy_from_slice(&self.len.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.count.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.crc.to_le_bytes());
        seal(&mut bytes, salt);
        bytes
    }

    /// Reads it.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn decode(bytes: &[u8], salt: u64) -> Result<Self, Damage> {
        let is_footer = bytes.starts_with(FOOTER);
        let magic = if is_footer { FOOTER } else { BLOCK };
        let mut reader = open(bytes, Self::LEN, magic, salt)?;
        Ok(Self {
            len: reader.u32()?,
            count: reader.u32()?,
            is_footer,
            crc: reader.u32()?,
        })
    }

    /// Checks what follows.
    ///
    /// # Errors
    /// [`Damage::Checksum`].
    pub fn check(&self, payload: &[u8], salt: u64) -> Result<(), Damage> {
        check(payload, salt, self.crc)
    }
}

/// Entries on their way into a snapshot.
#[derive(Debug)]
pub struct Block {
    body: Body<{ BlockHeader::LEN }>,
    count: u32,
}

impl Default for Block {
    fn default() -> Self {
        Self {
            body: Body::new(),
            count: 0,
        }
    }
}

impl Block {
    /// Bytes of entries from which on a block should be written.
    pub const FULL: usize = 256 << 10;

    /// Adds an entry. A large value is not copied.
    pub fn add(&mut self, key: &[u8], item: &Item<'_>) {
        let record = Record::Set {
            kind: item.kind,
            key,
            value: item.data.bytes(),
            expires: item.expires,
        };
        let blob = match item.data {
            Data::Inline(_) => None,
            Data::Blob(blob) => Some(blob),
        };
        self.body.put(&record, blob);
        self.count += 1;
    }

    /// Bytes of it, header included.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.body.len()
    }

    /// Whether it has no entry.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Number of entries.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// Writes its header.
    pub fn seal(&mut self, salt: u64) {
        let (len, crc) = self.body.sum(salt);
        let header = BlockHeader {
            len,
            count: self.count,
            is_footer: false,
            crc,
        };
        self.body.set_header(&header.encode(salt));
    }

    /// What is to be written, one behind the other.
    #[must_use]
    pub fn pieces(&self) -> Pieces<'_> {
        self.body.pieces()
    }

    /// Empties it for another use.
    pub fn clear(&mut self) {
        self.body.clear();
        self.count = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::Blob;
    use crate::journal::record;
    use crate::store::Kind;

    #[test]
    fn what_is_written_is_read() {
        let header = Header {
            salt: 1,
            segment: 2,
            epoch: Epoch(3),
            created: Millis(4),
        };
        assert_eq!(Header::decode(&header.encode()), Ok(header));
        let mut block = Block::default();
        let blob = Blob::new(vec![7; 2000]);
        for data in [Data::Inline(b"value"), Data::Blob(&blob), Data::Inline(b"")] {
            let item = Item {
                kind: Kind::Array,
                expires: Some(Millis(9)),
                data,
            };
            block.add(b"key", &item);
        }
        block.seal(1);
        let bytes: Vec<u8> = block
            .pieces()
            .flat_map(|piece| piece.bytes().to_vec())
            .collect();
        assert_eq!(bytes.len(), block.len());
        let (head, payload) = bytes.split_at(BlockHeader::LEN);
        let read = BlockHeader::decode(head, 1).unwrap();
        assert_eq!((read.len as usize, read.count), (payload.len(), 3));
        read.check(payload, 1).unwrap();
        assert_eq!(read.check(&payload[1..], 1), Err(Damage::Checksum));
        let values = record::Records::new(payload).map(|record| match record.unwrap() {
            Record::Set { value, .. } => value.len(),
            _ => panic!("a snapshot has sets only"),
        });
        assert_eq!(values.collect::<Vec<_>>(), [5, 2000, 0]);

        let footer = Footer {
            entries: 3,
            epoch: Epoch(8),
            latest: Millis(9),
        };
        let bytes = footer.encode(1);
        let (head, payload) = bytes.split_at(BlockHeader::LEN);
        assert!(BlockHeader::decode(head, 1).unwrap().is_footer);
        assert_eq!(Footer::decode(payload), Ok(footer));
    }
}
