//! The guide's second table: pools of different sizes.

use super::{COLUMNS, cells, mebibytes, note_of_limits};
use crate::bench::lab::{Case, Lab};
use crate::bench::plan::Plan;
use crate::bench::suite::{Axis, Part, Plot, Scale, Series, Table, Target};
use crate::bench::workload::{Mix, Op};

const SIZES: [u32; 6] = [25, 50, 100, 200, 300, 500];
const RUNTIMES: [&str; 2] = ["std", "smol"];

pub(in crate::bench::suite) fn run(lab: &Lab) -> Result<Part, String> {
    let mut servers = Vec::new();
    for runtime in RUNTIMES {
        for size in SIZES {
            let (name, size) = (format!("{runtime}, {size} workers"), size.to_string());
            servers.push(lab.server(
                &name,
                &[
                    "--runtime",
                    runtime,
                    "--server",
                    "pooled",
                    "--workers",
                    &size,
                ],
            )?);
        }
    }
    let plan = Plan {
        clients: 50,
        ..lab.plan(Mix::only(Op::Set), lab.ops(50_000))
    };
    let cases: Vec<Case<'_>> = servers
        .iter()
        .map(|server| Case {
            server,
            plan: plan.clone(),
        })
        .collect();
    let results = lab.measure(&cases)?;

    let mut part = Part {
        title: "Pool sizes".into(),
        about: "50 clients, 50,000 SETs, pools of 25 to 500 workers. Workers beyond one a core are parked, and cost a stack \
                each."
            .into(),
        notes: note_of_limits(&results).into_iter().collect(),
        ..Part::default()
    };
    let mut series = Vec::new();
    for (runtime, rounds) in RUNTIMES.iter().zip(results.chunks(SIZES.len())) {
        let columns = [&["workers"], &COLUMNS[..], &["MiB"]].concat();
        let mut table = Table::new(&format!("Runtime {runtime}"), &columns);
        let mut points = Vec::new();
        for (size, rounds) in SIZES.iter().zip(rounds) {
            let mut row = vec![size.to_string()];
            row.extend(cells(rounds));
            row.push(mebibytes(rounds));
            table.rows.push(row);
            points.push((f64::from(*size), rounds.median(|point| point.per_second)));
        }
        let speeds = points.iter().map(|point| point.1);
        let best = speeds.clone().fold(0.0, f64::max);
        let worst = speeds.fold(f64::INFINITY, f64::min);
        let what = format!("the best pool size to the worst, {runtime}");
        part.targets
            .push(Target::below(&what, 1.1, best / worst, " times"));
        part.tables.push(table);
        series.push(Series {
            name: (*runtime).to_owned(),
            points,
        });
    }
    part.plots.push(Plot {
        name: "workers".into(),
        title: "Throughput by workers, 50 clients".into(),
        x: Axis::new("workers", Scale::Log),
        y: Axis::new("operations a second", Scale::Linear),
        series,
    });
    Ok(part)
}
