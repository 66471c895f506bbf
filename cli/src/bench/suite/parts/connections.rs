//! From one connection to ten thousand.

use super::{COLUMNS, SHAPES, cells, mebibytes, note_of_limits};
use crate::bench::lab::{Case, Lab};
use crate::bench::plan::Plan;
use crate::bench::suite::{Axis, Part, Plot, Scale, Series, Table};
use crate::bench::workload::Mix;

const COUNTS: [u32; 5] = [1, 10, 100, 1_000, 10_000];
/// In a hurry: opening ten thousand takes longer than a moment.
const FEW: [u32; 3] = [1, 10, 100];

pub(in crate::bench::suite) fn run(lab: &Lab) -> Result<Part, String> {
    let counts: &[u32] = if lab.quick { &FEW } else { &COUNTS };
    let mut servers = Vec::new();
    for (name, flags) in SHAPES {
        servers.push(lab.server(name, &[flags, &["--max-connections", "11000"]].concat())?);
    }
    let mut cases = Vec::new();
    for server in &servers {
        for &clients in counts {
            cases.push(Case {
                server,
                plan: Plan {
                    clients,
                    threads: lab.cores.load().min(clients),
                    ..lab.plan(Mix::sets_to_gets(1, 9), lab.seconds(0.8))
                },
            });
        }
    }
    let results = lab.measure(&cases)?;

    let (mut tables, mut series) = (Vec::new(), Vec::new());
    for (server, results) in servers.iter().zip(results.chunks(counts.len())) {
        let columns = [&["connections"], &COLUMNS[..], &["MiB"]].concat();
        let mut table = Table::new(&server.name, &columns);
        let mut points = Vec::new();
        for (&count, rounds) in counts.iter().zip(results) {
            let mut row = vec![count.to_string()];
            row.extend(cells(rounds));
            row.push(mebibytes(rounds));
            table.rows.push(row);
            points.push((f64::from(count), rounds.median(|point| point.per_second)));
        }
        tables.push(table);
        series.push(Series {
            name: server.name.clone(),
            points,
        });
    }
    Ok(Part {
        title: "Connections".into(),
        about: "One SET to nine GETs, all connections busy. With one connection the network's way there and back is what is \
                measured; with ten thousand, each waits for all others."
            .into(),
        notes: note_of_limits(&results).into_iter().collect(),
        tables,
        plots: vec![Plot {
            name: "connections".into(),
            title: "Throughput by connections".into(),
            x: Axis::new("connections", Scale::Log),
            y: Axis::new("operations a second", Scale::Linear),
            series,
        }],
        ..Part::default()
    })
}
