//! Results as a table for people or JSON for programs.

use core::fmt::Write;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::args::Args;
use super::engine::Tally;
use super::measure::{Outcome, TestResult};
use super::workload::Op;

/// From this part of its threads' time on, the generator and not the server is what is measured.
const SATURATED: f64 = 0.95;

/// What is derived from one test.
struct Figures {
    ops: u64,
    seconds: f64,
    all: Histogram<u64>,
    generator_share: f64,
    cpu_us_per_op: Option<f64>,
    cpu_cores: Option<f64>,
}

impl Figures {
    fn of(test: &TestResult, threads: u32) -> Option<Self> {
        let tally = &test.tally;
        let mut all = Histogram::<u64>::new_with_bounds(1, 60_000_000_000, 3).ok()?;
        for histogram in tally.latencies.iter().flatten() {
            all.add(histogram).ok()?;
        }
        let seconds = tally.ended.duration_since(tally.started).as_secs_f64();
        // Wrong replies cost the server, too.
        let ops = all.len();
        let cpu = test.server.map(|server| server.cpu.as_secs_f64());
        Some(Self {
            ops,
            seconds,
            all,
            generator_share: tally.cpu.as_secs_f64() / (seconds * f64::from(threads)),
            cpu_us_per_op: cpu.map(|cpu| cpu * 1e6 / (ops + tally.errors).max(1) as f64),
            cpu_cores: cpu.map(|cpu| cpu / seconds),
        })
    }

    fn per_second(&self) -> f64 {
        self.ops as f64 / self.seconds
    }
}

/// The whole run as a table, with what is to be said about it.
pub(super) fn table(args: &Args, outcome: &Outcome) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{}  {}, {} connections, pipeline {}, {} keys {}, values of {} bytes",
        args.address(),
        args.dialect.name(),
        args.clients,
        args.pipeline,
        grouped(args.keys),
        args.distribution,
        args.value_size,
    );
    out.push_str(&aligned(&rows(args, outcome)));
    for test in &outcome.tests {
        let _ = write!(out, "{}", remarks(args, test));
    }
    if outcome.server_pid.is_none() {
        out.push_str("The server's process is not known (--server-pid): its processor time was not measured.\n");
    }
    out
}

const HEADER: [&str; 11] = [
    "test",
    "ops",
    "ops/s",
    "mean µs",
    "p50",
    "p90",
    "p99",
    "p99.9",
    "max",
    "server µs/op",
    "server MiB",
];

fn rows(args: &Args, outcome: &Outcome) -> Vec<Vec<String>> {
    let mut rows = vec![HEADER.map(str::to_owned).to_vec()];
    for test in &outcome.tests {
        let Some(figures) = Figures::of(test, args.threads) else {
            continue;
        };
        let mut row = latency_row(&test.mix.to_string(), &figures.all, figures.seconds);
        row.push(
            figures
                .cpu_us_per_op
                .map_or("-".into(), |cost| format!("{cost:.3}")),
        );
        row.push(test.server.map_or("-".into(), |server| {
            format!("{:.1}", server.rss as f64 / 1048576.0)
        }));
        rows.push(row);
        // A mix: each of its operations by itself, too.
        for (op, histogram) in by_op(&test.tally).filter(|_| test.mix.ops().count() > 1) {
            let mut row = latency_row(&format!("  {}", op.name()), histogram, figures.seconds);
            row.extend([String::new(), String::new()]);
            rows.push(row);
        }
    }
    rows
}

fn latency_row(name: &str, latencies: &Histogram<u64>, seconds: f64) -> Vec<String> {
    let mut row = vec![
        name.to_owned(),
        grouped(latencies.len()),
        grouped((latencies.len() as f64 / seconds) as u64),
        micros(latencies.mean()),
    ];
    row.extend([0.5, 0.9, 0.99, 0.999].map(|q| micros(latencies.value_at_quantile(q) as f64)));
    row.push(micros(latencies.max() as f64));
    row
}

fn by_op(tally: &Tally) -> impl Iterator<Item = (Op, &Histogram<u64>)> {
    Op::ALL
        .into_iter()
        .zip(&tally.latencies)
        .filter_map(|(op, histogram)| Some((op, histogram.as_ref()?)))
}

fn remarks(args: &Args, test: &TestResult) -> String {
    let (mix, tally) = (&test.mix, &test.tally);
    let mut out = String::new();
    if let Some(failure) = &tally.failure {
        let _ = writeln!(out, "INCOMPLETE {mix}: {failure}");
    }
    if let Some(example) = &tally.example {
        let _ = writeln!(
            out,
            "WRONG {mix}: {} replies; the first: {example}",
            grouped(tally.errors)
        );
    }
    let Some(figures) = Figures::of(test, args.threads) else {
        return out;
    };
    if tally.misses > 0 {
        let _ = writeln!(out, "{mix}: {} keys were missing", grouped(tally.misses));
    }
    if figures.generator_share >= SATURATED {
        let share = 100.0 * figures.generator_share;
        let _ = writeln!(
            out,
            "WARNING {mix}: the load generator used {share:.0} % of its threads: it, not the server, is the limit"
        );
    }
    out
}

/// The whole run as JSON.
pub(super) fn json(args: &Args, outcome: &Outcome) -> Value {
    let tests: Vec<Value> = outcome
        .tests
        .iter()
        .filter_map(|test| test_json(args, test))
        .collect();
    json!({
        "address": args.address().to_string(),
        "dialect": args.dialect.name(),
        "clients": args.clients,
        "threads": args.threads,
        "pipeline": args.pipeline,
        "keys": args.keys,
        "distribution": args.distribution.to_string(),
        "value_size": args.value_size,
        "server_pid": outcome.server_pid,
        "complete": outcome.is_clean(),
        "failure": outcome.failure,
        "tests": tests,
    })
}

fn test_json(args: &Args, test: &TestResult) -> Option<Value> {
    let figures = Figures::of(test, args.threads)?;
    let tally = &test.tally;
    let by_op: serde_json::Map<String, Value> = by_op(tally)
        .map(|(op, histogram)| {
            let figures = json!({ "ops": histogram.len(), "latency_us": latency_json(histogram) });
            (op.name().to_owned(), figures)
        })
        .collect();
    Some(json!({
        "test": test.mix.to_string(),
        "ops": figures.ops,
        "seconds": figures.seconds,
        "ops_per_second": figures.per_second(),
        "latency_us": latency_json(&figures.all),
        "by_op": by_op,
        "misses": tally.misses,
        "errors": tally.errors,
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
            "is_the_limit": figures.generator_share >= SATURATED,
        },
    }))
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

/// Rows with their columns aligned: the first to the left, the others to the right.
fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            let _ = match column {
                0 => write!(line, "{cell:<width$}"),
                _ => write!(line, "  {cell:>width$}"),
            };
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// Nanoseconds as microseconds, three digits or more.
fn micros(nanos: f64) -> String {
    let micros = nanos / 1000.0;
    match micros {
        _ if micros >= 100.0 => grouped(micros as u64),
        _ => format!("{micros:.1}"),
    }
}

/// A number with its thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_000), "1,000");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(micros(4_321.0), "4.3");
        assert_eq!(micros(1_234_567.0), "1,234");
    }

    #[test]
    fn columns_stand_under_each_other() {
        let rows = [
            vec!["a".to_owned(), "µµ".into()],
            vec!["long".into(), "1".into()],
        ];
        assert_eq!(aligned(&rows), "a     µµ\nlong   1\n");
    }
}
