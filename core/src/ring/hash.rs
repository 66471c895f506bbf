//! The hashes of keys.
//!
//! They are twemproxy's, quirks included, as it computes them on x86-64: some take the bytes of a key as signed
//! numbers, `fnv1a_64` works in 32 bits, `crc16` lets its high half grow, `crc32` keeps 15 bits. Good hashes for a new
//! fleet are [`Murmur3`](KeyHash::Murmur3) and [`Md5`](KeyHash::Md5); the others are there to agree with what is
//! deployed.

use core::fmt::{Display, Formatter, Result as FmtResult};
use core::str::FromStr;

/// The CRC-32 of zip (ISO HDLC).
static CRC32: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);

use super::RingError;

/// How a key becomes the 32 bits by which it is placed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyHash {
    /// `fnv1a_64`, twemproxy's default. FNV-1a in 32 bits, with the lower halves of the 64-bit start and prime.
    #[default]
    Fnv1a64,
    /// `fnv1a_32`.
    Fnv1a32,
    /// `fnv1_64`: FNV-1 of 64 bits, its lower half.
    Fnv1_64,
    /// `fnv1_32`.
    Fnv1_32,
    /// `murmur`: MurmurHash2 with a seed that depends on the length.
    Murmur,
    /// `murmur3`: MurmurHash3 of 32 bits, seed 0. Not one of twemproxy's.
    Murmur3,
    /// `md5`: the first four bytes of the digest, little-endian.
    Md5,
    /// `crc16`: the polynomial of CRC-16/XMODEM in a register of 32 bits.
    Crc16,
    /// `crc32`: 15 of CRC-32's upper bits, as libmemcached does it. Ketama and it do not go
    /// together: all these hashes lie on one 130,000th of the ring, which belongs to one node.
    Crc32,
    /// `crc32a`: CRC-32 as everyone else knows it.
    Crc32a,
    /// `hsieh`: Paul Hsieh's SuperFastHash.
    Hsieh,
    /// `jenkins`: Bob Jenkins's lookup3, with 13 as its start value.
    Jenkins,
    /// `one_at_a_time`: Bob Jenkins's first.
    OneAtATime,
}

impl KeyHash {
    /// All there are.
    pub const ALL: [Self; 13] = [
        Self::Fnv1a64,
        Self::Fnv1a32,
        Self::Fnv1_64,
        Self::Fnv1_32,
        Self::Murmur,
        Self::Murmur3,
        Self::Md5,
        Self::Crc16,
        Self::Crc32,
        Self::Crc32a,
        Self::Hsieh,
        Self::Jenkins,
        Self::OneAtATime,
    ];

    /// The name in settings; twemproxy's own where it has this hash.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fnv1a64 => "fnv1a_64",
            Self::Fnv1a32 => "fnv1a_32",
            Self::Fnv1_64 => "fnv1_64",
            Self::Fnv1_32 => "fnv1_32",
            Self::Murmur => "murmur",
            Self::Murmur3 => "murmur3",
            Self::Md5 => "md5",
            Self::Crc16 => "crc16",
            Self::Crc32 => "crc32",
            Self::Crc32a => "crc32a",
            Self::Hsieh => "hsieh",
            Self::Jenkins => "jenkins",
            Self::OneAtATime => "one_at_a_time",
        }
    }

    /// The hash of these bytes.
    ///
    /// ```
    /// use ant_cache_core::ring::KeyHash;
    /// assert_eq!(KeyHash::Crc32a.of(b"123456789"), 0xcbf4_3926);
    /// ```
    #[must_use]
    pub fn of(self, bytes: &[u8]) -> u32 {
        match self {
            // The 64-bit prime is 2^40 + 0x1b3: whatever lies above bit 31 never comes down again.
            Self::Fnv1a64 => fnv1a(bytes, 0x8422_2325, 0x1b3),
            Self::Fnv1a32 => fnv1a(bytes, 0x811c_9dc5, 0x0100_0193),
            Self::Fnv1_64 => fnv1(bytes, 0x8422_2325, 0x1b3),
            Self::Fnv1_32 => fnv1(bytes, 0x811c_9dc5, 0x0100_0193),
            Self::Murmur => murmur2(bytes),
            Self::Murmur3 => murmur3(bytes),
            Self::Md5 => md5_words(bytes)[0],
            Self::Crc16 => crc16(bytes),
            Self::Crc32 => (CRC32.checksum(bytes) >> 16) & 0x7fff,
            Self::Crc32a => CRC32.checksum(bytes),
            Self::Hsieh => hsieh(bytes),
            Self::Jenkins => jenkins(bytes),
            Self::OneAtATime => one_at_a_time(bytes),
        }
    }
}

impl Display for KeyHash {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        f.pad(self.name())
    }
}

impl FromStr for KeyHash {
    type Err = RingError;

    fn from_str(name: &str) -> Result<Self, RingError> {
        let known = Self::ALL.into_iter().find(|hash| hash.name() == name);
        known.ok_or_else(|| RingError::UnknownHash(name.into()))
    }
}

/// The four words of an MD5 digest.
pub(super) fn md5_words(bytes: &[u8]) -> [u32; 4] {
    let digest = md5::compute(bytes).0;
    core::array::from_fn(|word| le(&digest[4 * word..4 * word + 4]))
}

/// Up to four bytes as a little-endian number.
fn le(bytes: &[u8]) -> u32 {
    let bytes = bytes.iter().rev();
    bytes.fold(0, |word, byte| word << 8 | u32::from(*byte))
}

/// A byte as C's `char` on x86 becomes a number: with its sign.
const fn signed(byte: u8) -> u32 {
    byte as i8 as u32
}

fn fnv1a(bytes: &[u8], start: u32, prime: u32) -> u32 {
    let step = |hash: u32, byte: &u8| (hash ^ signed(*byte)).wrapping_mul(prime);
    bytes.iter().fold(start, step)
}

fn fnv1(bytes: &[u8], start: u32, prime: u32) -> u32 {
    let step = |hash: u32, byte: &u8| hash.wrapping_mul(prime) ^ signed(*byte);
    bytes.iter().fold(start, step)
}

fn murmur2(bytes: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let len = bytes.len() as u32;
    let mut hash = 0xdead_beef_u32.wrapping_mul(len) ^ len;
    let (words, rest) = bytes.split_at(bytes.len() & !3);
    for word in words.chunks_exact(4) {
        let mut word = le(word).wrapping_mul(M);
        word ^= word >> 24;
        hash = hash.wrapping_mul(M) ^ word.wrapping_mul(M);
    }
    if !rest.is_empty() {
        hash = (hash ^ le(rest)).wrapping_mul(M);
    }
    hash = (hash ^ hash >> 13).wrapping_mul(M);
    hash ^ hash >> 15
}

fn murmur3(bytes: &[u8]) -> u32 {
    let scramble = |word: u32| {
        let word = word.wrapping_mul(0xcc9e_2d51).rotate_left(15);
        word.wrapping_mul(0x1b87_3593)
    };
    let mut hash = 0_u32;
    let (words, rest) = bytes.split_at(bytes.len() & !3);
    for word in words.chunks_exact(4) {
        hash = (hash ^ scramble(le(word))).rotate_left(13);
        hash = hash.wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    hash ^= scramble(le(rest)) ^ bytes.len() as u32;
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    hash ^ hash >> 16
}

/// CRC-16/XMODEM's remainders of one byte.
const CRC16: [u16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            let carry = crc >> 15;
            crc = (crc << 1) ^ (carry * 0x1021);
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

fn crc16(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |crc: u32, byte| {
        crc << 8 ^ u32::from(CRC16[(crc >> 8) as usize & 0xff ^ usize::from(*byte)])
    })
}

fn hsieh(bytes: &[u8]) -> u32 {
    let mut hash = 0_u32;
    let (words, rest) = bytes.split_at(bytes.len() & !3);
    for word in words.chunks_exact(4) {
        hash = hash.wrapping_add(le(&word[..2]));
        hash = hash << 16 ^ (le(&word[2..]) << 11 ^ hash);
        hash = hash.wrapping_add(hash >> 11);
    }
    match *rest {
        [a, b, c] => {
            hash = hash.wrapping_add(le(&[a, b]));
            hash ^= hash << 16;
            hash ^= signed(c) << 18;
            hash = hash.wrapping_add(hash >> 11);
        }
        [a, b] => {
            hash = hash.wrapping_add(le(&[a, b]));
            hash ^= hash << 11;
            hash = hash.wrapping_add(hash >> 17);
        }
        [a] => {
            hash = hash.wrapping_add(u32::from(a));
            hash ^= hash << 10;
            hash = hash.wrapping_add(hash >> 1);
        }
        _ => {}
    }
    for (left, right) in [(3, 5), (4, 17), (25, 6)] {
        hash ^= hash << left;
        hash = hash.wrapping_add(hash >> right);
    }
    hash
}

fn jenkins(bytes: &[u8]) -> u32 {
    const START: u32 = 0xdead_beef_u32.wrapping_add(13);
    let start = START.wrapping_add(bytes.len() as u32);
    let (mut a, mut b, mut c) = (start, start, start);
    let add = |word: u32, bytes: &[u8], at: usize| {
        let bytes = bytes.get(at..).unwrap_or_default();
        word.wrapping_add(le(&bytes[..bytes.len().min(4)]))
    };
    let mut rest = bytes;
    while rest.len() > 12 {
        a = add(a, rest, 0);
        b = add(b, rest, 4);
        c = add(c, rest, 8);
        for turn in [4, 6, 8, 16, 19, 4] {
            a = a.wrapping_sub(c) ^ c.rotate_left(turn);
            c = c.wrapping_add(b);
            // The next of the six steps has b for a, c for b, a for c.
            (a, b, c) = (b, c, a);
        }
        rest = &rest[12..];
    }
    if rest.is_empty() {
        return c;
    }
    a = add(a, rest, 0);
    b = add(b, rest, 4);
    c = add(c, rest, 8);
    for turn in [14, 11, 25, 16, 4, 14, 24] {
        c = (c ^ b).wrapping_sub(b.rotate_left(turn));
        (a, b, c) = (b, c, a);
    }
    // Seven steps, and each has moved the names on by one: the last c is called b now.
    b
}

fn one_at_a_time(bytes: &[u8]) -> u32 {
    let mut hash = bytes.iter().fold(0_u32, |hash, byte| {
        let hash = hash.wrapping_add(signed(*byte));
        let hash = hash.wrapping_add(hash << 10);
        hash ^ hash >> 6
    });
    hash = hash.wrapping_add(hash << 3);
    hash ^= hash >> 11;
    hash.wrapping_add(hash << 15)
}
