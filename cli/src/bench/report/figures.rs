//! What is derived from one test.

use core::time::Duration;

use hdrhistogram::Histogram;

use crate::bench::measure::TestResult;
use crate::bench::plan::Plan;

/// From this part of its threads' time on, the generator and not the server is what is measured.
const SATURATED: f64 = 0.95;
/// An open loop whose own lateness is over this part of the latency that it measured, measured itself.
const LATE: f64 = 0.2;
/// No clock of an operating system is better than this.
const PUNCTUAL: Duration = Duration::from_micros(100);

/// What is derived from one test.
#[derive(Debug)]
pub(in crate::bench) struct Figures {
    /// Right replies.
    pub(in crate::bench) ops: u64,
    pub(in crate::bench) seconds: f64,
    /// Latencies of all right replies in nanoseconds.
    pub(in crate::bench) all: Histogram<u64>,
    /// Replies that took longer than they may.
    pub(in crate::bench) timeouts: u64,
    /// The part of its threads' time that the generator was busy.
    pub(in crate::bench) generator_share: f64,
    /// The generator's own lateness that one batch in a hundred exceeds, in nanoseconds; 0 in a closed loop.
    pub(in crate::bench) late: u64,
    pub(in crate::bench) limit: Option<GeneratorLimit>,
    pub(in crate::bench) cpu_us_per_op: Option<f64>,
    pub(in crate::bench) cpu_cores: Option<f64>,
}

/// Why the generator is what was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::bench) enum GeneratorLimit {
    /// It had no processor time left.
    Busy,
    /// It sent too late what was due by the clock.
    Late,
}

impl Figures {
    pub(in crate::bench) fn of(test: &TestResult, plan: &Plan) -> Self {
        let tally = &test.tally;
        let all = tally.all();
        let seconds = tally.ended.duration_since(tally.started).as_secs_f64();
        let ops = all.len();
        let cpu = test.server.map(|server| server.cpu.as_secs_f64());
        let generator_share = tally.cpu.as_secs_f64() / (seconds * f64::from(plan.threads));
        let late = match plan.rate {
            Some(_) => tally.late.value_at_quantile(0.99),
            None => 0,
        };
        let too_late = late as f64 > LATE * all.value_at_quantile(0.99) as f64
            && Duration::from_nanos(late) > PUNCTUAL;
        Self {
            ops,
            seconds,
            timeouts: slower(&all, plan.timeout),
            generator_share,
            late,
            limit: if generator_share >= SATURATED {
                Some(GeneratorLimit::Busy)
            } else {
                too_late.then_some(GeneratorLimit::Late)
            },
            // Wrong replies cost the server, too.
            cpu_us_per_op: cpu.map(|cpu| cpu * 1e6 / (ops + tally.errors).max(1) as f64),
            cpu_cores: cpu.map(|cpu| cpu / seconds),
            all,
        }
    }

    pub(in crate::bench) fn per_second(&self) -> f64 {
        self.ops as f64 / self.seconds
    }

    /// The latency at this quantile in microseconds.
    pub(in crate::bench) fn micros(&self, quantile: f64) -> f64 {
        self.all.value_at_quantile(quantile) as f64 / 1000.0
    }
}

/// How many latencies are over this time.
fn slower(latencies: &Histogram<u64>, time: Duration) -> u64 {
    let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    latencies
        .iter_recorded()
        .filter(|step| step.value_iterated_to() > latencies.highest_equivalent(nanos))
        .map(|step| step.count_since_last_iteration())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::tally::histogram;

    #[test]
    fn what_took_longer_is_counted() {
        let mut latencies = histogram();
        for (millis, count) in [(1, 10), (999, 5), (1100, 3), (5000, 2)] {
            latencies.record_n(millis * 1_000_000, count).unwrap();
        }
        assert_eq!(slower(&latencies, Duration::from_secs(1)), 5);
        assert_eq!(slower(&latencies, Duration::from_secs(60)), 0);
        assert_eq!(slower(&latencies, Duration::ZERO), 20);
    }
}
