//! What it costs to keep what was written.

use std::fs;
use std::path::PathBuf;

use super::{COLUMNS, STD_POOLED, cells, note_of_limits};
use crate::bench::lab::{Case, Lab, Rounds, Server};
use crate::bench::suite::{Part, Table, Target};
use crate::bench::workload::{Mix, Op};

/// Without a folder nothing is kept.
const NOTHING: &str = "nothing kept";
const MODES: [(&str, Option<&str>); 4] = [
    (NOTHING, None),
    ("--fsync never", Some("never")),
    ("--fsync interval", Some("interval")),
    ("--fsync always", Some("always")),
];

pub(in crate::bench::suite) fn run(lab: &Lab) -> Result<Part, String> {
    let folder = Folder::create()?;
    let mut part = Part {
        title: "Persistence".into(),
        about: "SETs of 16 bytes by 100 clients, with a log on disk in each mode. The disk is that of the system's folder for \
                temporary files."
            .into(),
        ..Part::default()
    };
    let mut servers: Vec<Server> = Vec::new();
    for (name, fsync) in MODES {
        let directory = folder.0.join(fsync.unwrap_or("none"));
        let directory = directory.to_string_lossy();
        let flags = fsync.map_or(Vec::new(), |fsync| {
            vec!["--dir", &*directory, "--fsync", fsync]
        });
        match lab.server(name, &[STD_POOLED, &flags].concat()) {
            Ok(server) => servers.push(server),
            // A build without persistence does not know the flag.
            Err(error) if error.contains("unexpected argument") => {
                part.notes.push(format!("{name}: not in this build."));
            }
            Err(error) => return Err(error),
        }
    }
    let plan = lab.plan(Mix::only(Op::Set), lab.seconds(1.5));
    let cases: Vec<Case<'_>> = servers
        .iter()
        .map(|server| Case {
            server,
            plan: plan.clone(),
        })
        .collect();
    let results = lab.measure(&cases)?;

    let mut table = Table::new(
        "",
        &[&[""], &COLUMNS[..], &["a CPU second, of nothing kept"]].concat(),
    );
    for (server, rounds) in servers.iter().zip(&results) {
        let mut row = vec![server.name.clone()];
        row.extend(cells(rounds));
        row.push(format!("{:.2}", a_cpu_second(rounds, &results[0])));
        table.rows.push(row);
        if server.name == "--fsync interval" {
            let what = "SETs a CPU second with --fsync interval, of those with nothing kept";
            part.targets.push(Target::at_least(
                what,
                0.85,
                a_cpu_second(rounds, &results[0]),
                "",
            ));
        }
    }
    part.tables.push(table);
    part.notes.extend(note_of_limits(&results));
    Ok(part)
}

/// Operations for which a second of processor time is enough, to those of another server.
fn a_cpu_second(rounds: &Rounds, other: &Rounds) -> f64 {
    other.ratio(rounds, |point| point.cost).0
}

/// A folder for what servers keep, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn create() -> Result<Self, String> {
        let path = std::env::temp_dir().join(format!("ant-cache-bench-{}", std::process::id()));
        match fs::create_dir(&path) {
            Ok(()) => Ok(Self(path)),
            Err(error) => Err(format!("{}: {error}", path.display())),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
