//! What is asked for: operations, keys and values.

use core::fmt::{Display, Formatter, Result as FmtResult};
use core::str::FromStr;

use super::random::{Random, Zipf, mix};

/// One kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    /// The password, once a connection.
    Auth,
    Ping,
    Set,
    Get,
    Incr,
    /// [`Op::MANY`] keys in one request.
    MSet,
    MGet,
}

impl Op {
    /// All of them, in the order of their discriminants.
    pub(super) const ALL: [Self; 7] = [
        Self::Auth,
        Self::Ping,
        Self::Set,
        Self::Get,
        Self::Incr,
        Self::MSet,
        Self::MGet,
    ];

    /// Keys of a request that takes many, as in redis-benchmark.
    pub(super) const MANY: u64 = 10;

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Ping => "ping",
            Self::Set => "set",
            Self::Get => "get",
            Self::Incr => "incr",
            Self::MSet => "mset",
            Self::MGet => "mget",
        }
    }
}

impl FromStr for Op {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL
            .into_iter()
            .find(|op| op.name() == name && *op != Self::Auth);
        found.ok_or_else(|| format!("'{name}' is none of ping, set, get, incr, mset, mget"))
    }
}

/// Operations by weight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mix(Vec<(Op, u64)>);

impl Mix {
    pub(super) fn only(op: Op) -> Self {
        Self(vec![(op, 1)])
    }

    pub(super) fn ops(&self) -> impl Iterator<Item = Op> + '_ {
        self.0.iter().map(|&(op, _)| op)
    }

    #[inline]
    pub(super) fn pick(&self, random: &mut Random) -> Op {
        match self.0[..] {
            [(op, _)] => op,
            _ => {
                let total = self.0.iter().map(|&(_, weight)| weight).sum();
                let mut at = random.below(total);
                for &(op, weight) in &self.0 {
                    if at < weight {
                        return op;
                    }
                    at -= weight;
                }
                self.0[0].0
            }
        }
    }
}

/// `SETS:GETS`, such as `1:9`.
impl FromStr for Mix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let weights = text.split_once(':').and_then(|(set, get)| {
            let weight = |text: &str| text.parse::<u32>().ok().map(u64::from);
            Some((weight(set)?, weight(get)?))
        });
        match weights {
            Some((set, get)) if set + get > 0 => {
                let both = [(Op::Set, set), (Op::Get, get)];
                Ok(Self(
                    both.into_iter().filter(|&(_, weight)| weight > 0).collect(),
                ))
            }
            _ => Err(format!(
                "'{text}' is not of the form SETS:GETS, such as 1:9"
            )),
        }
    }
}

impl Display for Mix {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        match self.0[..] {
            [(op, _)] => f.write_str(op.name()),
            _ => {
                for (index, (op, weight)) in self.0.iter().enumerate() {
                    let gap = if index > 0 { " : " } else { "" };
                    write!(f, "{gap}{weight} {}", op.name())?;
                }
                Ok(())
            }
        }
    }
}

/// How keys are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Distribution {
    /// All alike.
    Uniform,
    /// The k-th most wanted one with a probability proportional to `1 / k^exponent`.
    Zipf { exponent: f64 },
    /// One after the other, over and over.
    Sequential,
}

impl Distribution {
    /// YCSB's exponent: with a million keys, the hottest one gets 7 % of all requests.
    const ZIPF: f64 = 0.99;
}

/// `uniform`, `zipf`, `zipf:EXPONENT` or `sequential`.
impl FromStr for Distribution {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let exponent = text
            .strip_prefix("zipf:")
            .and_then(|number| number.parse().ok());
        match (text, exponent) {
            ("uniform", _) => Ok(Self::Uniform),
            ("sequential", _) => Ok(Self::Sequential),
            ("zipf", _) => Ok(Self::Zipf {
                exponent: Self::ZIPF,
            }),
            (_, Some(exponent)) if (0.0..=10.0).contains(&exponent) => Ok(Self::Zipf { exponent }),
            _ => Err(format!(
                "'{text}' is none of uniform, zipf, zipf:EXPONENT (0 to 10), sequential"
            )),
        }
    }
}

impl Display for Distribution {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        match self {
            Self::Uniform => f.write_str("uniform"),
            Self::Zipf { exponent } => write!(f, "zipf {exponent}"),
            Self::Sequential => f.write_str("sequential"),
        }
    }
}

/// Draws key numbers.
#[derive(Debug)]
pub(super) enum Picker {
    Uniform(u64),
    Zipf(Zipf),
    Sequential { next: u64, keys: u64 },
}

impl Picker {
    /// Draws below `keys`; a sequence begins at `first`.
    pub(super) fn new(distribution: Distribution, keys: u64, first: u64) -> Self {
        match distribution {
            Distribution::Uniform => Self::Uniform(keys),
            Distribution::Zipf { exponent } => Self::Zipf(Zipf::new(keys, exponent)),
            Distribution::Sequential => Self::Sequential { next: first, keys },
        }
    }

    #[inline]
    pub(super) fn pick(&mut self, random: &mut Random) -> u64 {
        match self {
            Self::Uniform(keys) => random.below(*keys),
            Self::Zipf(zipf) => zipf.sample(random) - 1,
            Self::Sequential { next, keys } => {
                let key = *next;
                *next = if key + 1 < *keys { key + 1 } else { 0 };
                key
            }
        }
    }
}

/// The digits of a key's number, the same count for all keys.
#[inline]
pub(super) fn key_digits(mut number: u64) -> [u8; 12] {
    let mut digits = [b'0'; 12];
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
    digits
}

/// The value of each key, derived from its number so that any reply can be checked without remembering anything.
///
/// It is printable: 16 hexadecimal digits of a hash of the number, then a part of a fixed text that starts at a place
/// given by the hash. Neither is made by this run's seed, so data from an earlier run is still right.
#[derive(Debug)]
pub(super) struct Values {
    size: usize,
    pool: Vec<u8>,
}

impl Values {
    /// So many different places for the second part.
    const PLACES: usize = 4096;
    /// Digits of the first part.
    const HEAD: usize = 16;

    pub(super) fn new(size: usize) -> Self {
        let tail = size.saturating_sub(Self::HEAD);
        let mut pool = Vec::new();
        let mut block = 0;
        while tail > 0 && pool.len() < tail + Self::PLACES {
            pool.extend_from_slice(&hex(mix(u64::MAX - block)));
            block += 1;
        }
        Self { size, pool }
    }

    /// The two parts of a key's value; the first one is `.1` bytes of `.0`.
    #[inline]
    pub(super) fn of(&self, key: u64) -> ([u8; 16], usize, &[u8]) {
        let hash = mix(key);
        let head = self.size.min(Self::HEAD);
        let place = hash as usize % Self::PLACES;
        let tail = if self.size > Self::HEAD {
            &self.pool[place..place + self.size - Self::HEAD]
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
            let values = Values::new(size);
            let (one, two) = (value(&values, 1), value(&values, 2));
            assert_eq!((one.len(), two.len()), (size, size));
            assert_eq!(one, value(&values, 1));
            assert!(size < 15 || one != two);
        }
    }

    #[test]
    fn digits_of_keys() {
        assert_eq!(&key_digits(0), b"000000000000");
        assert_eq!(&key_digits(120_345), b"000000120345");
    }

    #[test]
    fn a_mix_keeps_its_weights() {
        let mix: Mix = "1:3".parse().unwrap();
        let mut random = Random::new(1);
        let sets = (0..40_000)
            .filter(|_| mix.pick(&mut random) == Op::Set)
            .count();
        assert!((9_500..10_500).contains(&sets), "{sets}");
        assert_eq!("0:1".parse::<Mix>().unwrap(), Mix::only(Op::Get));
        for wrong in ["", "1", "0:0", "1:", "-1:2", "1:2:3"] {
            assert!(wrong.parse::<Mix>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_sequence_takes_every_key_once_a_round() {
        let mut picker = Picker::new(Distribution::Sequential, 3, 1);
        let mut random = Random::new(1);
        let keys: Vec<u64> = (0..7).map(|_| picker.pick(&mut random)).collect();
        assert_eq!(keys, [1, 2, 0, 1, 2, 0, 1]);
    }

    #[test]
    fn distributions_are_read() {
        assert_eq!("zipf".parse(), Ok(Distribution::Zipf { exponent: 0.99 }));
        assert_eq!("zipf:1.2".parse(), Ok(Distribution::Zipf { exponent: 1.2 }));
        for wrong in ["zipf:", "zipf:-1", "zipf:NaN", "normal"] {
            assert!(wrong.parse::<Distribution>().is_err(), "{wrong}");
        }
    }
}
