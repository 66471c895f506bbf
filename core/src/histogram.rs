//! How values are distributed, in an array of fixed size.

/// Values below this are told apart.
const EXACT: usize = 16;

/// Parts of each factor of two above: a percentile is at most an eighth too high.
const PARTS: usize = 8;

/// Bits of the greatest value that is told from others: as milliseconds, 12 days.
const MOST_BITS: usize = 30;

/// The last one is for what is greater.
const BUCKETS: usize = EXACT + (MOST_BITS - EXACT.ilog2() as usize) * PARTS + 1;

/// Counts of values, by their size: exact for the smallest, then eight ranges for each factor of two.
///
/// ```
/// use ant_cache_core::Histogram;
///
/// let mut lags = Histogram::default();
/// (1..=1000).for_each(|value| lags.record(value));
/// assert!((500..=563).contains(&lags.percentile(50)));
/// assert_eq!(lags.max(), 1000);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    counts: [u64; BUCKETS],
    total: u64,
    sum: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: [0; BUCKETS],
            total: 0,
            sum: 0,
            max: 0,
        }
    }
}

/// The bucket of a value: the last one takes all that are too large.
const fn bucket(value: u64) -> usize {
    if value < EXACT as u64 {
        return value as usize;
    }
    let bits = value.ilog2() as usize;
    let part = (value >> (bits - PARTS.ilog2() as usize)) as usize - PARTS;
    let bucket = EXACT + (bits - EXACT.ilog2() as usize) * PARTS + part;
    if bucket < BUCKETS {
        bucket
    } else {
        BUCKETS - 1
    }
}

/// The largest value of a bucket that is not the last.
const fn upper_end(bucket: usize) -> u64 {
    if bucket < EXACT {
        return bucket as u64;
    }
    let (octave, part) = ((bucket - EXACT) / PARTS, (bucket - EXACT) % PARTS);
    let unit = (EXACT / PARTS) << octave;
    ((PARTS + part + 1) * unit) as u64 - 1
}

impl Histogram {
    /// Counts a value.
    pub fn record(&mut self, value: u64) {
        self.counts[bucket(value)] += 1;
        self.total += 1;
        self.sum = self.sum.wrapping_add(value);
        self.max = self.max.max(value);
    }

    /// Adds what another one has counted.
    pub fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.total += other.total;
        self.sum = self.sum.wrapping_add(other.sum);
        self.max = self.max.max(other.max);
    }

    /// Number of values counted.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// The sum of all values.
    #[must_use]
    pub const fn sum(&self) -> u64 {
        self.sum
    }

    /// The mean of all values; 0 where there is none.
    #[must_use]
    pub fn mean(&self) -> f64 {
        if self.total == 0 {
            return 0.0;
        }
        self.sum as f64 / self.total as f64
    }

    /// The largest value; 0 where there is none.
    #[must_use]
    pub const fn max(&self) -> u64 {
        self.max
    }

    /// How many values are at most `bound`. A part of those an eighth below it and above may be taken for the others,
    /// except where `bound` is one less than a power of two.
    #[must_use]
    pub fn at_most(&self, bound: u64) -> u64 {
        if bound >= self.max {
            return self.total;
        }
        let above = bucket(bound.saturating_add(1));
        self.counts[..above].iter().sum()
    }

    /// A value that `percent` of a hundred do not exceed, at most an eighth above the least such value; 0 where there
    /// is none.
    #[must_use]
    pub fn percentile(&self, percent: u64) -> u64 {
        self.per_mille(percent * 10)
    }

    /// The same for `part` of a thousand.
    #[must_use]
    pub fn per_mille(&self, part: u64) -> u64 {
        let rank = (self.total * part).div_ceil(1000).max(1);
        let mut seen = 0;
        for (bucket, count) in self.counts[..BUCKETS - 1].iter().enumerate() {
            seen += count;
            if seen >= rank {
                return upper_end(bucket).min(self.max);
            }
        }
        self.max
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn buckets_follow_each_other() {
        for at in 0..BUCKETS - 1 {
            let end = upper_end(at);
            assert_eq!(
                (bucket(end), bucket(end + 1)),
                (at, at + 1),
                "{at} ends with {end}"
            );
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    proptest! {
        #[test]
        fn percentiles_are_an_eighth_too_high_at_most(
            mut values in proptest::collection::vec((0..34u32, any::<u64>()).prop_map(|(bits, value)| value & ((1 << bits) - 1)), 1..100),
            percent in 0..=100u64,
        ) {
            let (first, second) = values.split_at(values.len() / 3);
            let (mut histogram, mut other) = (Histogram::default(), Histogram::default());
            first.iter().for_each(|&value| histogram.record(value));
            second.iter().for_each(|&value| other.record(value));
            histogram.add(&other);
            values.sort_unstable();
            let rank = (values.len() * percent as usize).div_ceil(100).max(1);
            let (exact, found) = (values[rank - 1], histogram.percentile(percent));
            prop_assert!(found >= exact);
            prop_assert!(exact >= 1 << MOST_BITS || found <= exact + exact / PARTS as u64, "{found} for {exact}");
            prop_assert_eq!(histogram.total(), values.len() as u64);
            prop_assert_eq!(histogram.sum(), values.iter().fold(0, |sum: u64, value| sum.wrapping_add(*value)));
            for bits in 0..MOST_BITS {
                let bound = (1 << bits) - 1;
                let exact = values.iter().filter(|&&value| value <= bound).count();
                prop_assert_eq!(histogram.at_most(bound), exact as u64);
            }
            prop_assert_eq!(histogram.max(), values[values.len() - 1]);
        }
    }
}
