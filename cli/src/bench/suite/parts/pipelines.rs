//! Several requests in one packet.

use super::{COLUMNS, SMOL_POOLED, STD_POOLED, cells, note_of_limits};
use crate::bench::lab::{Case, Lab};
use crate::bench::plan::Plan;
use crate::bench::suite::{Axis, Part, Plot, Scale, Series, Table};
use crate::bench::workload::{Mix, Op};

const DEPTHS: [u64; 8] = [1, 2, 4, 8, 16, 32, 64, 128];

pub(in crate::bench::suite) fn run(lab: &Lab) -> Result<Part, String> {
    let servers = [
        lab.server("std pooled", STD_POOLED)?,
        lab.server("smol pooled", SMOL_POOLED)?,
    ];
    let subjects: Vec<_> = servers
        .iter()
        .flat_map(|server| [(server, Op::Set), (server, Op::Get)])
        .collect();
    let mut cases = Vec::new();
    for &(server, op) in &subjects {
        for pipeline in DEPTHS {
            cases.push(Case {
                server,
                plan: Plan {
                    pipeline,
                    ..lab.plan(Mix::only(op), lab.seconds(0.5))
                },
            });
        }
    }
    let results = lab.measure(&cases)?;

    let (mut tables, mut series) = (Vec::new(), Vec::new());
    for ((server, op), results) in subjects.iter().zip(results.chunks(DEPTHS.len())) {
        let name = format!("{} {}", server.name, op.name().to_uppercase());
        let mut table = Table::new(&name, &[&["pipeline"], &COLUMNS[..]].concat());
        let mut points = Vec::new();
        for (&depth, rounds) in DEPTHS.iter().zip(results) {
            let mut row = vec![depth.to_string()];
            row.extend(cells(rounds));
            table.rows.push(row);
            points.push((depth as f64, rounds.median(|point| point.per_second)));
        }
        tables.push(table);
        series.push(Series { name, points });
    }
    Ok(Part {
        title: "Pipelines".into(),
        about: "100 connections that each send a batch, wait for all its replies, and send the next. Latencies are those of \
                whole batches."
            .into(),
        notes: note_of_limits(&results).into_iter().collect(),
        tables,
        plots: vec![Plot {
            name: "pipelines".into(),
            title: "Throughput by requests in a batch".into(),
            x: Axis::new("requests in a batch", Scale::Log),
            y: Axis::new("operations a second", Scale::Linear),
            series,
        }],
        ..Part::default()
    })
}
