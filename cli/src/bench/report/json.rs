//! The whole run as JSON.

use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};

use super::figures::Figures;
use crate::bench::measure::{Outcome, TestResult};
use crate::bench::plan::{Length, Plan};
use crate::bench::tally::Tally;
use crate::bench::values::Ttl;

pub(super) fn json(plan: &Plan, outcome: &Outcome) -> Value {
    let tests: Vec<Value> = outcome
        .tests
        .iter()
        .map(|test| test_json(plan, test))
        .collect();
    let (ops, duration) = match plan.length {
        Length::Ops(ops) => (Some(ops), None),
        Length::Time(time) => (None, Some(time.as_secs_f64())),
    };
    json!({
        "address": plan.address.to_string(),
        "dialect": plan.dialect.name(),
        "clients": plan.clients,
        "threads": plan.threads,
        "pipeline": plan.pipeline,
        "rate": plan.rate,
        "requests": ops,
        "duration": duration,
        "keys": plan.keys,
        "distribution": plan.distribution.to_string(),
        "value_size": plan.sizes.to_string(),
        "ttl": plan.ttl.as_ref().map(Ttl::to_string),
        "server_pid": outcome.server_pid,
        "complete": outcome.is_clean(),
        "failure": outcome.failure,
        "tests": tests,
    })
}

fn test_json(plan: &Plan, test: &TestResult) -> Value {
    let figures = Figures::of(test, plan);
    let tally = &test.tally;
    let by_op: Map<String, Value> = tally
        .by_op()
        .map(|(op, histogram)| {
            let figures = json!({ "ops": histogram.len(), "latency_us": latency_json(histogram) });
            (op.name().to_owned(), figures)
        })
        .collect();
    json!({
        "test": test.mix.to_string(),
        "ops": figures.ops,
        "seconds": figures.seconds,
        "ops_per_second": figures.per_second(),
        "latency_us": latency_json(&figures.all),
        "by_op": by_op,
        "timeline": timeline_json(tally),
        "misses": tally.misses,
        "errors": tally.errors,
        "timeouts": figures.timeouts,
        "unsent": tally.unsent,
        "first_error": tally.example,
        "failure": tally.failure,
        "server": test.server.map(|server| json!({
            "cpu_us_per_op": figures.cpu_us_per_op,
            "cpu_cores": figures.cpu_cores,
            "rss_bytes": server.rss,
        })),
        "generator": {
            "cpu_share": figures.generator_share,
            "cpu_us_per_op": tally.cpu.as_secs_f64() * 1e6 / figures.ops.max(1) as f64,
            "late_us_p99": figures.late as f64 / 1000.0,
            "is_the_limit": figures.limit.is_some(),
        },
    })
}

fn latency_json(latencies: &Histogram<u64>) -> Value {
    let quantile = |q| latencies.value_at_quantile(q) as f64 / 1000.0;
    json!({
        "mean": latencies.mean() / 1000.0,
        "p50": quantile(0.5),
        "p90": quantile(0.9),
        "p95": quantile(0.95),
        "p99": quantile(0.99),
        "p99.9": quantile(0.999),
        "max": latencies.max() as f64 / 1000.0,
    })
}

/// What happened in each stretch of the test.
fn timeline_json(tally: &Tally) -> Value {
    let stretch = tally.timeline.stretch().as_secs_f64();
    let stretches = tally.timeline.stretches().iter().enumerate();
    let points = stretches.map(|(index, latencies)| {
        let quantile = |q| latencies.value_at_quantile(q) as f64 / 1000.0;
        json!({
            "seconds": index as f64 * stretch,
            "ops": latencies.len(),
            "p50_us": quantile(0.5),
            "p99_us": quantile(0.99),
            "max_us": latencies.max() as f64 / 1000.0,
        })
    });
    json!({ "stretch_seconds": stretch, "points": points.collect::<Vec<_>>() })
}
