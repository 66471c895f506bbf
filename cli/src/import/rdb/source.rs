//! The file as numbers and strings, with its checksum and the place in it.

use std::io::Read;

use super::error::{ErrorKind, RdbError};
use super::lzf;

/// How much is read at a time, and how much room a string gets before its bytes are seen.
const PIECE: usize = 64 << 10;

/// CRC-64 of Jones, with the bits of a byte from the lowest on: the remainders of one byte.
const CRC64: [u64; 256] = {
    const POLYNOMIAL: u64 = 0x95ac_9329_ac4b_c9b5;
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u64;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ ((crc & 1) * POLYNOMIAL);
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

/// A length, or the mark of one of the encodings of a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    Plain(u64),
    Encoded(u8),
}

/// A string, or how long one is that is too long to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Text {
    Kept(Vec<u8>),
    TooLong,
}

pub(super) struct Source<R> {
    input: R,
    buffer: Box<[u8]>,
    /// What of the buffer is not yet taken.
    at: usize,
    end: usize,
    /// Bytes that were taken.
    offset: u64,
    crc: u64,
}

impl<R: Read> Source<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            buffer: vec![0; PIECE].into(),
            at: 0,
            end: 0,
            offset: 0,
            crc: 0,
        }
    }

    pub(super) const fn offset(&self) -> u64 {
        self.offset
    }

    /// The checksum of what was taken.
    pub(super) const fn crc(&self) -> u64 {
        self.crc
    }

    pub(super) fn error(&self, kind: ErrorKind) -> RdbError {
        RdbError {
            offset: self.offset,
            kind,
        }
    }

    pub(super) fn damaged(&self, what: &'static str) -> RdbError {
        self.error(ErrorKind::Damaged(what))
    }

    /// Reads on where nothing is left; false at the end of the file.
    fn fill(&mut self) -> Result<bool, RdbError> {
        while self.at == self.end {
            match self.input.read(&mut self.buffer) {
                Ok(0) => return Ok(false),
                Ok(got) => (self.at, self.end) = (0, got),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.error(ErrorKind::Io(error))),
            }
        }
        Ok(true)
    }

    /// Whether the file ends here.
    pub(super) fn is_at_end(&mut self) -> Result<bool, RdbError> {
        Ok(!self.fill()?)
    }

    /// Gives the next `len` bytes to `take`, piece by piece.
    fn pieces(&mut self, len: u64, mut take: impl FnMut(&[u8])) -> Result<(), RdbError> {
        let mut left = len;
        while left > 0 {
            if !self.fill()? {
                return Err(self.error(ErrorKind::Truncated));
            }
            let room = self.end - self.at;
            let count = usize::try_from(left).map_or(room, |left| left.min(room));
            let piece = &self.buffer[self.at..self.at + count];
            self.crc = piece.iter().fold(self.crc, |crc, byte| {
                CRC64[(crc as u8 ^ byte) as usize] ^ (crc >> 8)
            });
            take(piece);
            self.at += count;
            self.offset += count as u64;
            left -= count as u64;
        }
        Ok(())
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], RdbError> {
        let mut bytes = [0; N];
        let mut at = 0;
        self.pieces(N as u64, |piece| {
            bytes[at..at + piece.len()].copy_from_slice(piece);
            at += piece.len();
        })?;
        Ok(bytes)
    }

    pub(super) fn byte(&mut self) -> Result<u8, RdbError> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn discard(&mut self, len: u64) -> Result<(), RdbError> {
        self.pieces(len, |_| {})
    }

    /// So many bytes. Room is made only for what comes.
    fn bytes(&mut self, len: u64) -> Result<Vec<u8>, RdbError> {
        let mut bytes = Vec::new();
        self.pieces(len, |piece| bytes.extend_from_slice(piece))?;
        Ok(bytes)
    }

    pub(super) fn length(&mut self) -> Result<Length, RdbError> {
        let first = self.byte()?;
        Ok(match first >> 6 {
            0 => Length::Plain(first.into()),
            1 => {
                let second = self.byte()?;
                Length::Plain(u64::from(first & 0x3f) << 8 | u64::from(second))
            }
            2 if first == 0x80 => Length::Plain(u32::from_be_bytes(self.array()?).into()),
            2 if first == 0x81 => Length::Plain(u64::from_be_bytes(self.array()?)),
            2 => return Err(self.damaged("a length has no known encoding")),
            _ => Length::Encoded(first & 0x3f),
        })
    }

    /// A length that is one.
    pub(super) fn plain(&mut self) -> Result<u64, RdbError> {
        match self.length()? {
            Length::Plain(len) => Ok(len),
            Length::Encoded(_) => Err(self.damaged("a string stands where a length should")),
        }
    }

    /// A string in any encoding. Of one that is longer than `limit` nothing is kept.
    pub(super) fn string(&mut self, limit: u64) -> Result<Text, RdbError> {
        let number = match self.length()? {
            Length::Plain(len) if len > limit => {
                self.discard(len)?;
                return Ok(Text::TooLong);
            }
            Length::Plain(len) => return self.bytes(len).map(Text::Kept),
            Length::Encoded(0) => i64::from(i8::from_le_bytes(self.array()?)),
            Length::Encoded(1) => i64::from(i16::from_le_bytes(self.array()?)),
            Length::Encoded(2) => i64::from(i32::from_le_bytes(self.array()?)),
            Length::Encoded(3) => return self.compressed(limit),
            Length::Encoded(_) => return Err(self.damaged("a string has no known encoding")),
        };
        Ok(Text::Kept(number.to_string().into_bytes()))
    }

    fn compressed(&mut self, limit: u64) -> Result<Text, RdbError> {
        let (compressed, len) = (self.plain()?, self.plain()?);
        if !lzf::is_plausible(compressed, len) {
            return Err(self.damaged("a string is longer than its compressed bytes can become"));
        }
        if len > limit || compressed > limit {
            self.discard(compressed)?;
            return Ok(Text::TooLong);
        }
        let data = self.bytes(compressed)?;
        let text = lzf::decompress(&data, len as usize);
        let text = text.ok_or_else(|| self.damaged("a string's compressed bytes make no sense"))?;
        Ok(Text::Kept(text))
    }

    /// Passes over a string.
    pub(super) fn skip_string(&mut self) -> Result<(), RdbError> {
        self.string(0).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(bytes: &[u8]) -> Source<&[u8]> {
        Source::new(bytes)
    }

    #[test]
    fn the_checksum_is_that_of_redis() {
        let mut source = source(b"123456789");
        source.discard(9).unwrap();
        assert_eq!(source.crc(), 0xe9c6_d914_c4b8_d9ca);
        assert!(source.is_at_end().unwrap());
        assert_eq!(
            source.byte().unwrap_err().to_string(),
            "byte 9: the file ends in the middle"
        );
    }

    #[test]
    fn lengths() {
        let bytes = b"\x3f\x7f\xff\x80\x00\x01\x00\x00\x81\x00\x00\x00\x01\x00\x00\x00\x00\xc3\x82";
        let mut source = source(bytes);
        for len in [63, 0x3fff, 65_536, 1 << 32] {
            assert_eq!(source.length().unwrap(), Length::Plain(len));
        }
        assert_eq!(source.length().unwrap(), Length::Encoded(3));
        assert!(source.length().is_err());
    }

    #[test]
    fn strings() {
        let bytes =
            b"\x03abc\xc0\xff\xc1\x00\x80\xc2\xff\xff\xff\x7f\xc3\x05\x07\x01ab\x60\x01\x00";
        let mut source = source(bytes);
        for text in ["abc", "-1", "-32768", "2147483647", "abababa", ""] {
            assert_eq!(source.string(9).unwrap(), Text::Kept(text.into()));
        }
    }

    #[test]
    fn long_strings_are_passed_over_without_room_for_them() {
        let mut source = source(b"\x03abc\xc3\x05\x07\x01ab\x60\x01\x01x");
        assert_eq!(source.string(2).unwrap(), Text::TooLong);
        assert_eq!(source.string(6).unwrap(), Text::TooLong);
        assert_eq!(source.string(1).unwrap(), Text::Kept(b"x".to_vec()));
        // They say they have 2^62 bytes.
        for bytes in [
            &b"\x81\x40\x00\x00\x00\x00\x00\x00\x00abc"[..],
            b"\xc3\x81\x40\x00\x00\x00\x00\x00\x00\x00\x01abc",
            b"\xc3\x03\x81\x40\x00\x00\x00\x00\x00\x00\x00abc",
        ] {
            for limit in [10, u64::MAX] {
                assert!(self::source(bytes).string(limit).is_err());
            }
        }
    }
}
