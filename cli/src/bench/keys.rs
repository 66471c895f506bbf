//! Which keys: numbers drawn from a distribution, and their names.

use core::fmt::{Display, Formatter, Result as FmtResult};
use core::str::FromStr;

use super::random::{Random, Zipf};

/// How keys are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Distribution {
    /// All alike.
    Uniform,
    /// The k-th most wanted one with a probability proportional to `1 / k^exponent`.
    Zipf { exponent: f64 },
    /// One after the other, over and over.
    Sequential,
    /// So many percent of the keys get so many percent of the requests, all alike within.
    Hot { keys: f64, requests: f64 },
}

impl Distribution {
    /// YCSB's exponent: with a million keys, the hottest one gets 7 % of all requests.
    const ZIPF: Self = Self::Zipf { exponent: 0.99 };
    /// A tenth of the keys, nine tenths of the requests.
    const HOT: Self = Self::Hot {
        keys: 10.0,
        requests: 90.0,
    };

    fn zipf(exponent: &str) -> Option<Self> {
        let exponent = exponent.parse().ok()?;
        (0.0..=10.0)
            .contains(&exponent)
            .then_some(Self::Zipf { exponent })
    }

    fn hot(percents: &str) -> Option<Self> {
        let percent = |text: &str| {
            let percent: f64 = text.parse().ok()?;
            (0.0..=100.0).contains(&percent).then_some(percent)
        };
        let (keys, requests) = percents.split_once(':')?;
        Some(Self::Hot {
            keys: percent(keys)?,
            requests: percent(requests)?,
        })
    }
}

/// `uniform`, `zipf`, `zipf:EXPONENT`, `sequential`, `hot` or `hot:KEYS:REQUESTS`.
impl FromStr for Distribution {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, parameters) = match text.split_once(':') {
            Some((name, parameters)) => (name, Some(parameters)),
            None => (text, None),
        };
        let found = match (name, parameters) {
            ("uniform", None) => Some(Self::Uniform),
            ("sequential", None) => Some(Self::Sequential),
            ("zipf", None) => Some(Self::ZIPF),
            ("hot", None) => Some(Self::HOT),
            ("zipf", Some(exponent)) => Self::zipf(exponent),
            ("hot", Some(percents)) => Self::hot(percents),
            _ => None,
        };
        found.ok_or_else(|| {
            format!(
                "'{text}' is none of uniform, zipf, zipf:EXPONENT (0 to 10), sequential, hot, \
                 hot:KEYS:REQUESTS (percentages)"
            )
        })
    }
}

impl Display for Distribution {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        match self {
            Self::Uniform => f.write_str("uniform"),
            Self::Zipf { exponent } => write!(f, "zipf {exponent}"),
            Self::Sequential => f.write_str("sequential"),
            Self::Hot { keys, requests } => {
                write!(f, "hot ({requests} % of requests to {keys} %)")
            }
        }
    }
}

/// Draws key numbers.
#[derive(Debug)]
pub(super) enum Picker {
    Uniform(u64),
    Zipf(Zipf),
    Sequential {
        next: u64,
        keys: u64,
    },
    /// Keys below `hot` with the probability `share`, else the others.
    Hot {
        hot: u64,
        keys: u64,
        share: f64,
    },
}

impl Picker {
    /// Draws below `keys`; a sequence begins at `first`.
    pub(super) fn new(distribution: Distribution, keys: u64, first: u64) -> Self {
        match distribution {
            Distribution::Uniform => Self::Uniform(keys),
            Distribution::Zipf { exponent } => Self::Zipf(Zipf::new(keys, exponent)),
            Distribution::Sequential => Self::Sequential { next: first, keys },
            Distribution::Hot {
                keys: part,
                requests,
            } => Self::Hot {
                hot: ((keys as f64 * part / 100.0) as u64).clamp(1, keys),
                keys,
                share: requests / 100.0,
            },
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
            Self::Hot { hot, keys, share } => {
                if hot == keys || random.unit() < *share {
                    random.below(*hot)
                } else {
                    *hot + random.below(*keys - *hot)
                }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_of_keys() {
        assert_eq!(&key_digits(0), b"000000000000");
        assert_eq!(&key_digits(120_345), b"000000120345");
    }

    #[test]
    fn a_sequence_takes_every_key_once_a_round() {
        let mut picker = Picker::new(Distribution::Sequential, 3, 1);
        let mut random = Random::new(1);
        let keys: Vec<u64> = (0..7).map(|_| picker.pick(&mut random)).collect();
        assert_eq!(keys, [1, 2, 0, 1, 2, 0, 1]);
    }

    /// How many of 100,000 draws fell below `bound`.
    fn below(bound: u64, distribution: &str, keys: u64) -> u64 {
        let mut picker = Picker::new(distribution.parse().unwrap(), keys, 0);
        let mut random = Random::new(5);
        let draws = (0..100_000).map(|_| picker.pick(&mut random));
        draws
            .inspect(|&key| assert!(key < keys))
            .filter(|&key| key < bound)
            .count() as u64
    }

    #[test]
    fn the_hot_keys_get_their_share_and_the_others_the_rest() {
        // Five standard deviations of 100,000 draws are below 800.
        assert!(below(100, "hot", 1000).abs_diff(90_000) < 800);
        assert!(below(50, "hot", 1000).abs_diff(45_000) < 800);
        assert!(below(20, "hot:2:50", 1000).abs_diff(50_000) < 800);
        assert_eq!(below(20, "hot:2:100", 1000), 100_000);
        assert_eq!(below(20, "hot:2:0", 1000), 0);
        // Of a single key there is no cold part.
        assert_eq!(below(1, "hot", 1), 100_000);
        assert!(below(500, "uniform", 1000).abs_diff(50_000) < 800);
    }

    #[test]
    fn distributions_are_read() {
        assert_eq!("zipf".parse(), Ok(Distribution::Zipf { exponent: 0.99 }));
        assert_eq!("zipf:1.2".parse(), Ok(Distribution::Zipf { exponent: 1.2 }));
        assert_eq!("hot".parse(), Ok(Distribution::HOT));
        for wrong in [
            "zipf:",
            "zipf:-1",
            "zipf:NaN",
            "normal",
            "uniform:1",
            "hot:1",
            "hot:1:101",
            "hot:a:1",
        ] {
            assert!(wrong.parse::<Distribution>().is_err(), "{wrong}");
        }
    }
}
