//! The guide's extreme section: half a million operations a second, a million a core, and what they take.

use super::{COLUMNS, STD_POOLED, cells, note_of_limits};
use crate::bench::lab::{Case, Lab, Rounds};
use crate::bench::plan::Plan;
use crate::bench::suite::{Part, Table, Target, number};
use crate::bench::workload::{Mix, Op};

const DEPTHS: [u64; 4] = [1, 16, 64, 128];
const OPS: [Op; 2] = [Op::Set, Op::Get];
const HALF_A_MILLION: f64 = 500_000.0;
const A_MILLION: f64 = 1_000_000.0;

pub(in crate::bench::suite) fn run(lab: &Lab) -> Result<Part, String> {
    let server = lab.server("std pooled", STD_POOLED)?;
    let mut cases = Vec::new();
    for op in OPS {
        for pipeline in DEPTHS {
            cases.push(Case {
                server: &server,
                plan: Plan {
                    pipeline,
                    ..lab.plan(Mix::only(op), lab.seconds(1.0))
                },
            });
        }
    }
    let results = lab.measure(&cases)?;
    let settings: Vec<(Op, u64)> = OPS
        .iter()
        .flat_map(|&op| DEPTHS.map(|depth| (op, depth)))
        .collect();

    let columns = [&["", "pipeline"], &COLUMNS[..], &["ops/s a core"]].concat();
    let mut table = Table::new("", &columns);
    for (&(op, depth), rounds) in settings.iter().zip(&results) {
        let mut row = vec![op.name().to_uppercase(), depth.to_string()];
        row.extend(cells(rounds));
        row.push(number(a_core(rounds)));
        table.rows.push(row);
    }
    let takes = |op: Op, of: &dyn Fn(&Rounds) -> f64, least: f64, what: String| {
        let mine = settings
            .iter()
            .zip(&results)
            .filter(|((each, _), _)| *each == op);
        let figures: Vec<(u64, f64)> = mine
            .map(|((_, depth), rounds)| (*depth, of(rounds)))
            .collect();
        let enough = figures.iter().find(|(_, figure)| *figure >= least);
        let best = figures
            .iter()
            .copied()
            .max_by(|one, other| one.1.total_cmp(&other.1));
        let (depth, figure) = enough.copied().or(best).unwrap_or((0, f64::NAN));
        let mut target = Target::at_least(&what, least, figure, "");
        target.measured = match depth {
            1 => format!("{} without pipelining", target.measured),
            depth => format!("{} in batches of {depth}", target.measured),
        };
        target
    };
    let cores = match lab.cores.server() {
        1 => "one core".to_owned(),
        cores => format!("{cores} cores"),
    };
    let targets = OPS.iter().flat_map(|&op| {
        let name = op.name().to_uppercase();
        let speed = |rounds: &Rounds| rounds.median(|point| point.per_second);
        [
            takes(
                op,
                &speed,
                HALF_A_MILLION,
                format!("{name}s a second, {cores}"),
            ),
            takes(op, &a_core, A_MILLION, format!("{name}s a second and core")),
        ]
    });
    Ok(Part {
        title: "Half a million, and a million a core".into(),
        about: "What a server reaches when clients send several requests at once. A core's operations are those for which its \
                processor time would do."
            .into(),
        targets: targets.collect(),
        notes: note_of_limits(&results).into_iter().collect(),
        tables: vec![table],
        ..Part::default()
    })
}

/// Operations that a second of processor time is enough for.
fn a_core(rounds: &Rounds) -> f64 {
    1e6 / rounds.median(|point| point.cost)
}
