//! Other servers beside ours, under the same load, in turn.

use serde_json::{Value, json};

use super::note_of_limits;
use crate::bench::lab::{Case, Lab, Peer, Point, Rounds, Server};
use crate::bench::plan::Plan;
use crate::bench::report::aligned;
use crate::bench::suite::{Part, Table, number};
use crate::bench::workload::{Mix, Op};

/// The same load on all servers, in turn.
#[derive(Debug)]
pub(in crate::bench) struct Comparison {
    /// Ours first.
    results: Vec<(String, Rounds)>,
    /// Servers that cannot do this load, and why.
    pub(in crate::bench) left_out: Vec<String>,
}

impl Comparison {
    /// Wrong replies of all servers.
    pub(in crate::bench) fn errors(&self) -> u64 {
        let all = self.results.iter();
        all.map(|(_, rounds)| rounds.sum(|point| point.errors))
            .sum()
    }

    fn table(&self) -> Table {
        let mut table = Table::new("", &COLUMNS);
        let rows = self
            .results
            .iter()
            .map(|(name, rounds)| row(name, rounds, &self.results[0].1));
        table.rows = rows.collect();
        table
    }

    /// For people, at a terminal.
    pub(in crate::bench) fn text(&self, lab: &Lab) -> String {
        let table = self.table();
        let rows = [&[table.columns], &table.rows[..]].concat();
        let limits = match note_of_limits(self.results.iter().map(|(_, rounds)| rounds)) {
            Some(note) => format!("{note}\n"),
            None => String::new(),
        };
        let wrong = match self.errors() {
            0 => String::new(),
            errors => format!("WRONG: {errors} replies\n"),
        };
        format!(
            "{}; {}; medians of {} rounds, ratios within a round\n{}{limits}{wrong}",
            lab.machine,
            lab.cores,
            lab.rounds,
            aligned(&rows)
        )
    }

    /// For programs: every round of every server.
    pub(in crate::bench) fn json(&self, lab: &Lab) -> Value {
        let servers = self
            .results
            .iter()
            .map(|(name, rounds)| json!({ "name": name, "rounds": rounds.0 }));
        json!({
            "machine": lab.machine,
            "cores": lab.cores.to_string(),
            "servers": servers.collect::<Vec<_>>(),
            "left_out": self.left_out,
        })
    }
}

const COLUMNS: [&str; 8] = [
    "",
    "ops/s",
    "spread",
    "P50, µs",
    "P99, µs",
    "server µs/op",
    "ops/s, ours to it",
    "µs/op, ours to it",
];

/// Starts this server as it is by default, and every other one that is found, and measures them under one load. `plan`
/// has one test.
///
/// # Errors
/// A server that does not start, or fails.
pub(in crate::bench) fn compare(lab: &Lab, plan: &Plan) -> Result<Comparison, String> {
    let (servers, left_out) = start(lab, plan)?;
    let cases: Vec<Case<'_>> = servers
        .iter()
        .map(|server| Case {
            server,
            plan: plan.clone(),
        })
        .collect();
    let results = lab.measure(&cases)?;
    let names = servers.iter().map(|server| server.name.clone());
    Ok(Comparison {
        results: names.zip(results).collect(),
        left_out,
    })
}

/// Ours first, then the others that can do the load.
fn start(lab: &Lab, plan: &Plan) -> Result<(Vec<Server>, Vec<String>), String> {
    let mut servers = vec![lab.server("ant-cache", &[])?];
    let mut left_out = Vec::new();
    let peers = Peer::found();
    if peers.is_empty() {
        return Err("no other server is installed".into());
    }
    for peer in peers {
        let missing = plan.mixes.iter().flat_map(Mix::ops).find(|&op| {
            // These two are Ant-Cache's own.
            !peer.dialect.has(op) || matches!(op, Op::Sets | Op::SetX)
        });
        match missing {
            Some(op) => left_out.push(format!("{} has no {}", peer.name, op.name())),
            None => servers.push(peer.start(&lab.cores)?),
        }
    }
    Ok((servers, left_out))
}

fn row(name: &str, rounds: &Rounds, ours: &Rounds) -> Vec<String> {
    let ratio = |of: fn(&Point) -> f64| {
        let (ratio, spread) = ours.ratio(rounds, of);
        format!("{ratio:.2} ± {:.2}", ratio * spread / 2.0)
    };
    let is_ours = core::ptr::eq(rounds, ours);
    let beside = |of: fn(&Point) -> f64| if is_ours { "–".to_owned() } else { ratio(of) };
    let mark = if rounds.limited() { " †" } else { "" };
    vec![
        name.to_owned(),
        format!("{}{mark}", number(rounds.median(|point| point.per_second))),
        super::percent(rounds.spread(|point| point.per_second)),
        number(rounds.median(|point| point.p50)),
        number(rounds.median(|point| point.p99)),
        number(rounds.median(|point| point.cost)),
        beside(|point| point.per_second),
        beside(|point| point.cost),
    ]
}

pub(in crate::bench::suite) fn run(lab: &Lab) -> Result<Part, String> {
    let mut part = Part {
        title: "Other servers".into(),
        about: "The same load on all servers in turn, nothing kept on disk, 100 connections, values of 16 bytes. Ratios are \
                taken within a round; ± is half of how far apart they were."
            .into(),
        notes: vec!["† The load generator was the limit: the server could do more; its µs/op say how much.".into()],
        ..Part::default()
    };
    for pipeline in [1, 16] {
        for op in [Op::Set, Op::Get] {
            let plan = Plan {
                pipeline,
                ..lab.plan(Mix::only(op), lab.seconds(1.0))
            };
            let mut table = compare(lab, &plan)?.table();
            let name = op.name().to_uppercase();
            table.caption = match pipeline {
                1 => name,
                pipeline => format!("{name} in batches of {pipeline}"),
            };
            part.tables.push(table);
        }
    }
    Ok(part)
}
