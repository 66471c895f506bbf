//! What the formats of frames and snapshots share: numbers, checksums, and what can be wrong with them.

use alloc::vec::Vec;
use core::fmt;

/// CRC-32C (Castagnoli; RFC 3720, appendix B.4), by the processor's own instruction where it has one: 20 GB/s instead of 3.
#[cfg(feature = "std")]
mod crc32c {
    pub(super) struct Digest(u32);

    impl Digest {
        pub(super) fn new() -> Self {
            Self(0)
        }

        pub(super) fn update(&mut self, bytes: &[u8]) {
            self.0 = ::crc32c::crc32c_append(self.0, bytes);
        }

        pub(super) fn finalize(self) -> u32 {
            self.0
        }
    }
}

/// The same by tables: what the processor has is not known without an operating system.
#[cfg(not(feature = "std"))]
mod crc32c {
    use crc::{CRC_32_ISCSI, Crc, Table};

    static CRC: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISCSI);

    pub(super) struct Digest(crc::Digest<'static, u32, Table<16>>);

    impl Digest {
        pub(super) fn new() -> Self {
            Self(CRC.digest())
        }

        pub(super) fn update(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }

        pub(super) fn finalize(self) -> u32 {
            self.0.finalize()
        }
    }
}

/// A checksum of several pieces, salted, so that what an earlier file has left on the disk is not taken for a part of
/// this one.
pub(super) struct Checksum(crc32c::Digest);

impl Checksum {
    pub(super) fn new(salt: u64) -> Self {
        let mut digest = crc32c::Digest::new();
        digest.update(&salt.to_le_bytes());
        Self(digest)
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(super) fn end(self) -> u32 {
        self.0.finalize()
    }
}

/// The checksum of one piece.
pub(super) fn checksum(bytes: &[u8], salt: u64) -> u32 {
    let mut sum = Checksum::new(salt);
    sum.add(bytes);
    sum.end()
}

/// Compares the checksum of a payload.
pub(super) fn check(payload: &[u8], salt: u64, crc: u32) -> Result<(), Damage> {
    if checksum(payload, salt) == crc {
        Ok(())
    } else {
        Err(Damage::Checksum)
    }
}

/// Writes the checksum of a header into its last four bytes.
pub(super) fn seal(header: &mut [u8], salt: u64) {
    let (bytes, crc) = header.split_at_mut(header.len() - 4);
    crc.copy_from_slice(&checksum(bytes, salt).to_le_bytes());
}

/// Checks a header of `len` bytes; returns what follows the magic.
pub(super) fn open<'a>(
    bytes: &'a [u8],
    len: usize,
    magic: &[u8],
    salt: u64,
) -> Result<Reader<'a>, Damage> {
    let bytes = bytes.get(..len).ok_or(Damage::Short)?;
    let rest = bytes.strip_prefix(magic).ok_or(Damage::Nonsense)?;
    let (checked, crc) = bytes.split_at(len - 4);
    if crc != checksum(checked, salt).to_le_bytes() {
        return Err(Damage::Checksum);
    }
    Ok(Reader(rest))
}

/// What is wrong with bytes that were read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Damage {
    /// They end before what they announce.
    Short,
    /// The checksum is another one.
    Checksum,
    /// They are nothing that is ever written.
    Nonsense,
    /// They were written by a later version that says that they must not be read without knowing it.
    Newer,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Short => "it ends too early",
            Self::Checksum => "its checksum does not match",
            Self::Nonsense => "it is not in the format",
            Self::Newer => "it was written by a later version",
        })
    }
}

impl core::error::Error for Damage {}

/// Appends a number in groups of seven bits, the lowest first (LEB128).
#[inline]
pub(super) fn put_varint(mut number: u64, to: &mut Vec<u8>) {
    while number >= 0x80 {
        to.push(number as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

/// Bytes that are read from the front.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    #[inline]
    pub(super) fn byte(&mut self) -> Result<u8, Damage> {
        let (&byte, rest) = self.0.split_first().ok_or(Damage::Short)?;
        self.0 = rest;
        Ok(byte)
    }

    #[inline]
    pub(super) fn bytes(&mut self, len: usize) -> Result<&'a [u8], Damage> {
        let (bytes, rest) = self.0.split_at_checked(len).ok_or(Damage::Short)?;
        self.0 = rest;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Damage> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(Damage::Short)?;
        self.0 = rest;
        Ok(*bytes)
    }

    #[inline]
    pub(super) fn u32(&mut self) -> Result<u32, Damage> {
        self.array().map(u32::from_le_bytes)
    }

    #[inline]
    pub(super) fn u64(&mut self) -> Result<u64, Damage> {
        self.array().map(u64::from_le_bytes)
    }

    #[inline]
    pub(super) fn varint(&mut self) -> Result<u64, Damage> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Damage::Nonsense)
    }

    /// A varint that is a length: of something that lies in memory.
    #[inline]
    pub(super) fn len(&mut self) -> Result<usize, Damage> {
        usize::try_from(self.varint()?).map_err(|_| Damage::Nonsense)
    }
}

#[cfg(test)]
mod tests {
    use super::crc32c::Digest;

    /// The examples of RFC 3720, appendix B.4, each in one piece and in two, and by what is used without std.
    #[test]
    fn checksums_are_those_of_the_standard() {
        let ascending: [u8; 32] = core::array::from_fn(|at| at as u8);
        let descending: [u8; 32] = core::array::from_fn(|at| 31 - at as u8);
        for (bytes, sum) in [
            ([0; 32], 0x8a91_36aa),
            ([0xff; 32], 0x62a8_ab43),
            (ascending, 0x46dd_794e),
            (descending, 0x113f_db5c),
        ] {
            let tables = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI);
            assert_eq!(tables.checksum(&bytes), sum);
            for split in [0, 7, 32] {
                let mut digest = Digest::new();
                digest.update(&bytes[..split]);
                digest.update(&bytes[split..]);
                assert_eq!(digest.finalize(), sum);
            }
        }
    }
}
