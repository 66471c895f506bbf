//! What one measurement gave, and what several of the same say.

use serde::{Deserialize, Serialize};

use crate::bench::measure::TestResult;
use crate::bench::plan::Plan;
use crate::bench::report::Figures;

/// One test of one server in one round.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::bench) struct Point {
    pub(in crate::bench) per_second: f64,
    /// Latencies in microseconds.
    pub(in crate::bench) mean: f64,
    pub(in crate::bench) p50: f64,
    pub(in crate::bench) p95: f64,
    pub(in crate::bench) p99: f64,
    pub(in crate::bench) p999: f64,
    pub(in crate::bench) max: f64,
    /// Replies, right or wrong.
    pub(in crate::bench) replies: u64,
    pub(in crate::bench) errors: u64,
    pub(in crate::bench) timeouts: u64,
    pub(in crate::bench) unsent: u64,
    /// Processor time of the server in microseconds an operation.
    pub(in crate::bench) cost: f64,
    /// Cores that the server kept busy.
    pub(in crate::bench) cores: f64,
    /// Resident memory of the server in bytes.
    pub(in crate::bench) memory: u64,
    /// Whether the generator was the limit.
    pub(in crate::bench) limited: bool,
}

impl Point {
    pub(in crate::bench) fn of(test: &TestResult, plan: &Plan) -> Self {
        let figures = Figures::of(test, plan);
        Self {
            per_second: figures.per_second(),
            mean: figures.all.mean() / 1000.0,
            p50: figures.micros(0.5),
            p95: figures.micros(0.95),
            p99: figures.micros(0.99),
            p999: figures.micros(0.999),
            max: figures.micros(1.0),
            replies: figures.ops + test.tally.errors,
            errors: test.tally.errors,
            timeouts: figures.timeouts,
            unsent: test.tally.unsent,
            cost: figures.cpu_us_per_op.unwrap_or(f64::NAN),
            cores: figures.cpu_cores.unwrap_or(f64::NAN),
            memory: test.server.map_or(0, |server| server.rss),
            limited: figures.limit.is_some(),
        }
    }
}

/// The middle one; of an even number the mean of the two in the middle. Not a number where there is none.
pub(in crate::bench) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => values[middle],
        _ => (values[middle - 1] + values[middle]) / 2.0,
    }
}

/// How far apart values are, as a part of their median.
pub(in crate::bench) fn spread(values: impl IntoIterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.into_iter().collect();
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (most - least) / median(values)
}

/// The same test of the same server, round by round.
#[derive(Clone, Debug, Default)]
pub(in crate::bench) struct Rounds(pub(in crate::bench) Vec<Point>);

impl Rounds {
    /// The median of this figure.
    pub(in crate::bench) fn median(&self, of: impl Fn(&Point) -> f64) -> f64 {
        median(self.0.iter().map(of))
    }

    pub(in crate::bench) fn spread(&self, of: impl Fn(&Point) -> f64) -> f64 {
        spread(self.0.iter().map(of))
    }

    pub(in crate::bench) fn sum(&self, of: impl Fn(&Point) -> u64) -> u64 {
        self.0.iter().map(of).sum()
    }

    /// Whether the generator was the limit in most rounds.
    pub(in crate::bench) fn limited(&self) -> bool {
        2 * self.0.iter().filter(|point| point.limited).count() > self.0.len()
    }

    /// Of the ratios to another server within each round: the median, and how far apart they are. A machine that gets
    /// slower from round to round favours nobody.
    pub(in crate::bench) fn ratio(&self, other: &Self, of: impl Fn(&Point) -> f64) -> (f64, f64) {
        let ratios: Vec<f64> = self
            .0
            .iter()
            .zip(&other.0)
            .map(|(mine, theirs)| of(mine) / of(theirs))
            .collect();
        (median(ratios.iter().copied()), spread(ratios))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(speeds: &[f64]) -> Rounds {
        let point = |&per_second: &f64| Point {
            per_second,
            ..Point::default()
        };
        Rounds(speeds.iter().map(point).collect())
    }

    #[test]
    fn medians_and_spreads() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median([]).is_nan());
        assert_eq!(spread([90.0, 100.0, 120.0]), 0.3);
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        // The machine is twice as fast in the second round, and ten times as slow in the third.
        let (one, other) = (rounds(&[200.0, 400.0, 20.0]), rounds(&[100.0, 200.0, 10.0]));
        assert_eq!(one.ratio(&other, |point| point.per_second), (2.0, 0.0));
    }
}
