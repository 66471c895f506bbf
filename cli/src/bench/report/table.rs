//! The whole run as a table for people.

use core::fmt::Write;

use hdrhistogram::Histogram;

use super::figures::{Figures, GeneratorLimit};
use crate::bench::measure::{Outcome, TestResult};
use crate::bench::plan::Plan;

/// The whole run as a table, with what is to be said about it.
pub(super) fn table(plan: &Plan, outcome: &Outcome) -> String {
    let mut out = String::new();
    let pace = match plan.rate {
        Some(rate) => format!("{} requests a second by the clock", grouped(rate as u64)),
        None => "closed loop".into(),
    };
    let _ = writeln!(
        out,
        "{}  {}, {} connections, pipeline {}, {pace}, {} keys {}, values of {} bytes{}",
        plan.address,
        plan.dialect.name(),
        plan.clients,
        plan.pipeline,
        grouped(plan.keys),
        plan.distribution,
        plan.sizes,
        plan.ttl
            .map_or(String::new(), |ttl| format!(" that live {ttl} s")),
    );
    out.push_str(&aligned(&rows(plan, outcome)));
    for test in &outcome.tests {
        out.push_str(&remarks(plan, test));
    }
    if outcome.server_pid.is_none() {
        out.push_str("The server's process is not known (--server-pid): its processor time was not measured.\n");
    }
    out
}

const HEADER: [&str; 12] = [
    "test",
    "ops",
    "ops/s",
    "mean µs",
    "p50",
    "p90",
    "p95",
    "p99",
    "p99.9",
    "max",
    "server µs/op",
    "server MiB",
];

fn rows(plan: &Plan, outcome: &Outcome) -> Vec<Vec<String>> {
    let mut rows = vec![HEADER.map(str::to_owned).to_vec()];
    for test in &outcome.tests {
        let figures = Figures::of(test, plan);
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
        for (op, histogram) in test.tally.by_op().filter(|_| test.mix.ops().count() > 1) {
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
    row.extend(
        [0.5, 0.9, 0.95, 0.99, 0.999].map(|q| micros(latencies.value_at_quantile(q) as f64)),
    );
    row.push(micros(latencies.max() as f64));
    row
}

fn remarks(plan: &Plan, test: &TestResult) -> String {
    let (mix, tally, figures) = (&test.mix, &test.tally, Figures::of(test, plan));
    let mut out = String::new();
    if let Some(failure) = &tally.failure {
        let _ = writeln!(out, "INCOMPLETE {mix}: {failure}");
    }
    if let Some(example) = &tally.example {
        let errors = grouped(tally.errors);
        let _ = writeln!(out, "WRONG {mix}: {errors} replies; the first: {example}");
    }
    if tally.misses > 0 {
        let _ = writeln!(out, "{mix}: {} keys were missing", grouped(tally.misses));
    }
    if figures.timeouts > 0 {
        let (timeouts, timeout) = (grouped(figures.timeouts), plan.timeout);
        let _ = writeln!(
            out,
            "{mix}: {timeouts} replies took longer than {timeout:?}"
        );
    }
    if tally.unsent > 0 {
        let _ = writeln!(
            out,
            "OVERLOADED {mix}: {} requests were due and no connection was free for them until the end: latencies \
             would have been higher still",
            grouped(tally.unsent)
        );
    }
    let _ = match figures.limit {
        None => Ok(()),
        Some(GeneratorLimit::Busy) => writeln!(
            out,
            "WARNING {mix}: the load generator used {:.0} % of its threads: it, not the server, is the limit",
            100.0 * figures.generator_share
        ),
        Some(GeneratorLimit::Late) => writeln!(
            out,
            "WARNING {mix}: the load generator itself sent one batch in a hundred over {} µs late: it, not the server, \
             is the limit",
            micros(figures.late as f64)
        ),
    };
    out
}

/// Rows with their columns aligned: the first to the left, the others to the right.
pub(in crate::bench) fn aligned(rows: &[Vec<String>]) -> String {
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
pub(in crate::bench) fn micros(nanos: f64) -> String {
    let micros = nanos / 1000.0;
    match micros {
        _ if micros >= 100.0 => grouped(micros as u64),
        _ => format!("{micros:.1}"),
    }
}

/// A number with its thousands apart.
pub(in crate::bench) fn grouped(number: u64) -> String {
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
