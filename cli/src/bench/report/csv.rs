//! The whole run as CSV (RFC 4180): a line for each test, and for each operation of a mix.

use core::fmt::Write;

use hdrhistogram::Histogram;

use super::figures::Figures;
use crate::bench::measure::Outcome;
use crate::bench::plan::Plan;

const HEADER: &str = "test,op,clients,pipeline,rate,ops,seconds,ops_per_second,mean_us,p50_us,p90_us,p95_us,p99_us,p999_us,max_us,misses,errors,timeouts,unsent,complete,server_cpu_us_per_op,server_rss_bytes,generator_share";

pub(super) fn csv(plan: &Plan, outcome: &Outcome) -> String {
    let mut out = format!("{HEADER}\r\n");
    for test in &outcome.tests {
        let (figures, tally) = (Figures::of(test, plan), &test.tally);
        let optional = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
        let mut line = |op: &str, latencies: &Histogram<u64>| {
            let quantile = |q| latencies.value_at_quantile(q) as f64 / 1000.0;
            // Neither names nor numbers have commas or quotes.
            let _ = write!(
                out,
                "{},{op},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}\r\n",
                test.mix,
                plan.clients,
                plan.pipeline,
                optional(plan.rate),
                latencies.len(),
                figures.seconds,
                latencies.len() as f64 / figures.seconds,
                latencies.mean() / 1000.0,
                quantile(0.5),
                quantile(0.9),
                quantile(0.95),
                quantile(0.99),
                quantile(0.999),
                latencies.max() as f64 / 1000.0,
                tally.misses,
                tally.errors,
                figures.timeouts,
                tally.unsent,
                tally.failure.is_none(),
                optional(figures.cpu_us_per_op),
                test.server
                    .map_or(String::new(), |server| server.rss.to_string()),
                figures.generator_share,
            );
        };
        line("all", &figures.all);
        for (op, latencies) in tally.by_op().filter(|_| test.mix.ops().count() > 1) {
            line(op.name(), latencies);
        }
    }
    out
}
