//! Values and their times to live, each derived from its key's number, so that any reply can be checked without
//! remembering anything.

use core::fmt::{Display, Formatter, Result as FmtResult};
use core::str::FromStr;

use crate::seconds::seconds;

use super::random::{mix, scale};

/// The most bytes a value may have.
const MOST: u32 = 64 << 20;

/// How large values are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sizes {
    /// Anything between, ends included; the same where all are alike.
    Range { least: u32, most: u32 },
    /// One of these, each for as many keys. Never empty.
    List(Vec<u32>),
}

impl Sizes {
    pub(super) fn of(size: u32) -> Self {
        Self::Range {
            least: size,
            most: size,
        }
    }

    /// The size where all have the same.
    pub(super) fn fixed(&self) -> Option<u32> {
        match self {
            Self::Range { least, most } if least == most => Some(*least),
            _ => None,
        }
    }

    pub(super) fn most(&self) -> u32 {
        match self {
            Self::Range { most, .. } => *most,
            Self::List(sizes) => sizes.iter().copied().max().unwrap_or(0),
        }
    }

    /// The size that belongs to a key with this hash.
    #[inline]
    fn pick(&self, hash: u64) -> usize {
        // Not the bits that the value is made of: a reply of the right bytes and the wrong length must differ.
        let number = mix(!hash);
        match self {
            Self::Range { least, most } if least == most => *least as usize,
            Self::Range { least, most } => {
                *least as usize + scale(number, u64::from(most - least) + 1) as usize
            }
            Self::List(sizes) => sizes[scale(number, sizes.len() as u64) as usize] as usize,
        }
    }
}

/// `BYTES`, `LEAST-MOST` or `BYTES,BYTES,…`.
impl FromStr for Sizes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let size = |text: &str| {
            let size = text.parse().ok()?;
            (1..=MOST).contains(&size).then_some(size)
        };
        let found = if let Some((least, most)) = text.split_once('-') {
            let ends = size(least).zip(size(most));
            ends.filter(|(least, most)| least <= most)
                .map(|(least, most)| Self::Range { least, most })
        } else if text.contains(',') {
            let sizes: Option<Vec<u32>> = text.split(',').map(size).collect();
            sizes.map(Self::List)
        } else {
            size(text).map(Self::of)
        };
        found.ok_or_else(|| {
            format!(
                "'{text}' is not of the form BYTES, LEAST-MOST or BYTES,BYTES,… with 1 to {MOST} bytes each"
            )
        })
    }
}

impl Display for Sizes {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        match self {
            Self::Range { least, most } if least == most => write!(f, "{least}"),
            Self::Range { least, most } => write!(f, "{least}-{most}"),
            Self::List(sizes) => {
                let sizes: Vec<String> = sizes.iter().map(u32::to_string).collect();
                f.write_str(&sizes.join(","))
            }
        }
    }
}

/// How long keys live: anything between, ends included, in milliseconds. At most a day: memcached takes more than 30 for
/// a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ttl {
    least: u64,
    most: u64,
}

impl Ttl {
    /// The time where all have the same.
    pub(super) fn fixed(self) -> Option<u64> {
        (self.least == self.most).then_some(self.least)
    }

    /// The time that belongs to a key, in milliseconds.
    #[inline]
    pub(super) fn of(self, key: u64) -> u64 {
        self.least + scale(mix(key ^ 0x74_74_6c), self.most - self.least + 1)
    }
}

/// `SECONDS` or `LEAST-MOST`.
impl FromStr for Ttl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (least, most) = text.split_once('-').unwrap_or((text, text));
        let millis = |text| seconds(text).map(|time| time.as_millis() as u64);
        let (least, most) = (millis(least)?, millis(most)?);
        if least == 0 || most < least {
            return Err("not a time from 0.001 seconds on, nor such a range".into());
        }
        Ok(Self { least, most })
    }
}

impl Display for Ttl {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        let seconds = |millis: u64| millis as f64 / 1000.0;
        match self.fixed() {
            Some(millis) => write!(f, "{}", seconds(millis)),
            None => write!(f, "{}-{}", seconds(self.least), seconds(self.most)),
        }
    }
}

/// The value of each key.
///
/// It is printable: 16 hexadecimal digits of a hash of the number, then a part of a fixed text that starts at a place
/// given by the hash. Neither is made by this run's seed, so data from an earlier run is still right.
#[derive(Debug)]
pub(super) struct Values {
    sizes: Sizes,
    pool: Vec<u8>,
}

impl Values {
    /// So many different places for the second part.
    const PLACES: usize = 4096;
    /// Digits of the first part.
    const HEAD: usize = 16;

    pub(super) fn new(sizes: Sizes) -> Self {
        let tail = (sizes.most() as usize).saturating_sub(Self::HEAD);
        let mut pool = Vec::new();
        let mut block = 0;
        while tail > 0 && pool.len() < tail + Self::PLACES {
            pool.extend_from_slice(&hex(mix(u64::MAX - block)));
            block += 1;
        }
        Self { sizes, pool }
    }

    pub(super) fn sizes(&self) -> &Sizes {
        &self.sizes
    }

    /// The length of a key's value.
    #[inline]
    pub(super) fn len(&self, key: u64) -> usize {
        self.sizes.pick(mix(key))
    }

    /// The two parts of a key's value; the first one is `.1` bytes of `.0`.
    #[inline]
    pub(super) fn of(&self, key: u64) -> ([u8; 16], usize, &[u8]) {
        let hash = mix(key);
        let size = self.sizes.pick(hash);
        let head = size.min(Self::HEAD);
        let place = hash as usize % Self::PLACES;
        let tail = if size > Self::HEAD {
            &self.pool[place..place + size - Self::HEAD]
        } else {
            &[]
        };
        (hex(hash), head, tail)
    }
}

fn hex(number: u64) -> [u8; 16] {
    let mut digits = [0; 16];
    for (index, digit) in digits.iter_mut().enumerate() {
        *digit = b"0123456789abcdef"[(number >> (60 - 4 * index)) as usize & 15];
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(values: &Values, key: u64) -> Vec<u8> {
        let (head, len, tail) = values.of(key);
        [&head[..len], tail].concat()
    }

    #[test]
    fn values_have_their_size_and_differ_between_keys() {
        for size in [1, 15, 16, 17, 1000, 70_000] {
            let values = Values::new(Sizes::of(size));
            let (one, two) = (value(&values, 1), value(&values, 2));
            let size = size as usize;
            assert_eq!((one.len(), two.len()), (size, size));
            assert_eq!(one, value(&values, 1));
            assert!(size < 15 || one != two);
        }
    }

    #[test]
    fn sizes_are_drawn_alike_from_a_range_and_a_list() {
        let (range, list) = ("10-19", "1,100,1000");
        for (text, sizes) in [
            (range, (10..20).collect::<Vec<_>>()),
            (list, vec![1, 100, 1000]),
        ] {
            let values = Values::new(text.parse().unwrap());
            let mut counts = vec![0; sizes.len()];
            for key in 0..30_000 {
                let len = value(&values, key).len();
                assert_eq!(len, values.len(key));
                counts[sizes.iter().position(|&size| size == len).unwrap()] += 1;
            }
            let expected = 30_000 / sizes.len();
            // Five standard deviations of 30,000 draws are below 500.
            assert!(
                counts
                    .iter()
                    .all(|&count: &usize| count.abs_diff(expected) < 500),
                "{text}: {counts:?}"
            );
        }
    }

    #[test]
    fn sizes_are_read_and_written() {
        for text in ["1", "67108864", "10-20", "1,2,3", "5,5"] {
            assert_eq!(text.parse::<Sizes>().unwrap().to_string(), text);
        }
        for wrong in [
            "", "0", "67108865", "20-10", "1-", "-1", "1,", "a", "1-2,3", "0-5",
        ] {
            assert!(wrong.parse::<Sizes>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_to_live_are_within_their_range() {
        let ttl: Ttl = "0.5-2".parse().unwrap();
        let times: Vec<u64> = (0..10_000).map(|key| ttl.of(key)).collect();
        assert!(times.iter().all(|time| (500..=2000).contains(time)));
        assert!(times.iter().any(|&time| time < 520) && times.iter().any(|&time| time > 1980));
        let fixed: Ttl = "60".parse().unwrap();
        assert_eq!((fixed.fixed(), fixed.of(7)), (Some(60_000), 60_000));
        for text in ["60", "0.5-2"] {
            assert_eq!(text.parse::<Ttl>().unwrap().to_string(), text);
        }
        for wrong in ["", "0", "2-1", "0-1", "x", "1-", "-1"] {
            assert!(wrong.parse::<Ttl>().is_err(), "{wrong}");
        }
    }
}
