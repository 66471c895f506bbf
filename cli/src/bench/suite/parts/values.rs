//! Values from a few bytes to a mebibyte.

use super::{COLUMNS, STD_POOLED, bytes, cells, note_of_limits};
use crate::bench::lab::{Case, Lab, Rounds};
use crate::bench::plan::Plan;
use crate::bench::suite::{Axis, Part, Plot, Scale, Series, Table, number};
use crate::bench::values::Sizes;
use crate::bench::workload::{Mix, Op};

const SIZES: [u32; 7] = [16, 128, 1 << 10, 8 << 10, 64 << 10, 256 << 10, 1 << 20];
const OPS: [Op; 2] = [Op::Set, Op::Get];
/// All values together take at most so many bytes.
const VOLUME: u64 = 256 << 20;

pub(in crate::bench::suite) fn run(lab: &Lab) -> Result<Part, String> {
    let server = lab.server("std pooled", STD_POOLED)?;
    let mut cases = Vec::new();
    for op in OPS {
        for size in SIZES {
            // The bytes on their way, of all connections, are bounded as well.
            let clients = (VOLUME / 4 / u64::from(size)).clamp(10, Plan::CLIENTS.into()) as u32;
            cases.push(Case {
                server: &server,
                plan: Plan {
                    sizes: Sizes::of(size),
                    keys: (VOLUME / u64::from(size)).min(Plan::KEYS),
                    clients,
                    ..lab.plan(Mix::only(op), lab.seconds(0.8))
                },
            });
        }
    }
    let results = lab.measure(&cases)?;

    let mut tables = Vec::new();
    let (mut speeds, mut volumes) = (Vec::new(), Vec::new());
    for (op, results) in OPS.iter().zip(results.chunks(SIZES.len())) {
        let columns = [&["value"], &COLUMNS[..], &["MB/s"]].concat();
        let mut table = Table::new(&op.name().to_uppercase(), &columns);
        let line = |of: &dyn Fn(&Rounds, f64) -> f64| Series {
            name: op.name().to_uppercase(),
            points: SIZES
                .iter()
                .zip(results)
                .map(|(&size, rounds)| (f64::from(size), of(rounds, f64::from(size))))
                .collect(),
        };
        let speed = |rounds: &Rounds| rounds.median(|point| point.per_second);
        speeds.push(line(&|rounds, _| speed(rounds)));
        volumes.push(line(&|rounds, size| speed(rounds) * size / 1e6));
        for (&size, rounds) in SIZES.iter().zip(results) {
            let mut row = vec![bytes(size.into())];
            row.extend(cells(rounds));
            row.push(number(speed(rounds) * f64::from(size) / 1e6));
            table.rows.push(row);
        }
        tables.push(table);
    }
    let plot = |name: &str, title: &str, label: &str, series| Plot {
        name: name.to_owned(),
        title: title.to_owned(),
        x: Axis::new("bytes of a value", Scale::Log),
        y: Axis::new(label, Scale::Log),
        series,
    };
    Ok(Part {
        title: "Value sizes".into(),
        about: "Values from 16 bytes to a mebibyte, std pooled, 100 connections (fewer where more than 64 MiB would be on \
                their way at once). The load checks every byte of every reply."
            .into(),
        notes: note_of_limits(&results).into_iter().collect(),
        tables,
        plots: vec![
            plot("values", "Throughput by value size", "operations a second", speeds),
            plot("volumes", "Bytes a second by value size", "MB/s", volumes),
        ],
        ..Part::default()
    })
}
