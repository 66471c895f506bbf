//! The guide's first table: 100 clients that send 1,000 SETs each.

use super::{COLUMNS, SHAPES, TIMEOUT, cells, mebibytes, note_of_limits};
use crate::bench::lab::{Case, Lab, Peer, Point, Rounds};
use crate::bench::suite::{Part, Table, Target, number};
use crate::bench::workload::{Mix, Op};

const CLIENTS: u32 = 100;
const OPS: u64 = 100_000;

pub(in crate::bench::suite) fn run(lab: &Lab) -> Result<Part, String> {
    let mut servers = Vec::new();
    for (name, flags) in SHAPES {
        servers.push(lab.server(name, flags)?);
    }
    // For comparison, where it is installed.
    let redis = Peer::found()
        .into_iter()
        .find(|peer| peer.name == "redis-server");
    if let Some(redis) = redis {
        servers.push(redis.start(&lab.cores)?);
    }
    let plan = lab.plan(Mix::only(Op::Set), lab.ops(OPS));
    let cases: Vec<Case<'_>> = servers
        .iter()
        .map(|server| Case {
            server,
            plan: plan.clone(),
        })
        .collect();
    let results = lab.measure(&cases)?;

    let columns = [&[""], &COLUMNS[..], &["errors", "timeouts", "MiB"]].concat();
    let mut table = Table::new("", &columns);
    for (server, rounds) in servers.iter().zip(&results) {
        let mut row = vec![server.name.clone()];
        row.extend(cells(rounds));
        row.push(rounds.sum(|point| point.errors).to_string());
        row.push(rounds.sum(|point| point.timeouts).to_string());
        row.push(mebibytes(rounds));
        table.rows.push(row);
    }
    Ok(Part {
        title: "Architectures".into(),
        about: format!(
            "{CLIENTS} clients send 1,000 SETs each, one after the other, values of 16 bytes: the original guide's test of \
             each runtime with each architecture."
        ),
        targets: targets(&results[..SHAPES.len()]),
        notes: note_of_limits(&results).into_iter().collect(),
        tables: vec![table],
        ..Part::default()
    })
}

/// The guide's indicators, each by the shape that does worst.
fn targets(results: &[Rounds]) -> Vec<Target> {
    let worst = |of: fn(&Point) -> f64, is_worse: fn(f64, f64) -> bool| {
        let medians = SHAPES
            .iter()
            .zip(results)
            .map(|((name, _), rounds)| (*name, rounds.median(of)));
        medians.reduce(|worst, other| {
            if is_worse(other.1, worst.1) {
                other
            } else {
                worst
            }
        })
    };
    let least = |of| worst(of, |one, other| one < other).unwrap_or(("", f64::NAN));
    let most = |of| worst(of, |one, other| one > other).unwrap_or(("", f64::NAN));
    let named = |name: &str, mut target: Target| {
        target.measured = format!("{} ({name})", target.measured);
        target
    };
    let (slowest, speed) = least(|point| point.per_second);
    let mut targets = vec![named(
        slowest,
        Target::at_least(
            "operations a second, every architecture",
            100_000.0,
            speed,
            "",
        ),
    )];
    type Figure = fn(&Point) -> f64;
    let latencies: [(&str, Figure, f64); 3] = [
        (
            "mean latency, every architecture",
            |point| point.mean / 1000.0,
            1.0,
        ),
        ("P95, every architecture", |point| point.p95 / 1000.0, 2.0),
        ("P99, every architecture", |point| point.p99 / 1000.0, 5.0),
    ];
    for (what, of, limit) in latencies {
        let (name, value) = most(of);
        targets.push(named(name, Target::below(what, limit, value, " ms")));
    }
    let sum = |of: fn(&Point) -> u64| results.iter().map(|rounds| rounds.sum(of)).sum::<u64>();
    let replies = sum(|point| point.replies);
    let timeouts = sum(|point| point.timeouts) as f64 / replies.max(1) as f64;
    targets.extend([
        Target {
            what: "connection errors".into(),
            wanted: "none".into(),
            // One that is refused or lost ends the measurement.
            measured: format!(
                "0 of {}",
                results.len() as u32
                    * CLIENTS
                    * results.first().map_or(0, |rounds| rounds.0.len() as u32)
            ),
            met: true,
        },
        Target::below(
            &format!("replies that take over {} s", TIMEOUT.as_secs()),
            0.1,
            timeouts * 100.0,
            " %",
        ),
        Target {
            what: "wrong replies".into(),
            wanted: "none".into(),
            measured: format!(
                "{} of {}",
                sum(|point| point.errors),
                number(replies as f64)
            ),
            met: sum(|point| point.errors) == 0,
        },
    ]);
    targets
}
