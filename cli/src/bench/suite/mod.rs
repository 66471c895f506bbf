//! `bench --suite`: everything that the performance guide shows, measured by one command.
//!
//! A suite is a list of parts. Each is measured by itself and leaves a file in the folder of the report, so that one can
//! be measured again (`--only`) without the others; the report is made from all files that are there.

mod model;
mod parts;

use core::time::Duration;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::ValueEnum;

use super::interrupt::interrupted;
use super::lab::{Lab, Peer};
use super::render;
use super::report::aligned;

pub(super) use model::{Axis, Conditions, Part, Plot, Scale, Series, Table, Target, number};
pub(super) use parts::peers::compare;

/// Which parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(super) enum Suite {
    /// The tables of the original server's guide, and its targets.
    Seed,
    /// These, and pipelines, connections, persistence and other servers.
    Full,
}

/// What `bench --suite` was asked for.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) suite: Suite,
    /// Only these parts, by name; all where empty.
    pub(super) only: Vec<String>,
    /// The folder of the report.
    pub(super) out: PathBuf,
    /// A document whose measured sections are replaced.
    pub(super) update: Option<PathBuf>,
    pub(super) quick: bool,
    /// How often each measurement is made.
    pub(super) rounds: Option<u32>,
    pub(super) progress: bool,
}

/// A part: its name, the smallest suite that has it, and how it is measured.
struct Recipe {
    name: &'static str,
    suite: Suite,
    run: fn(&Lab) -> Result<Part, String>,
}

const RECIPES: [Recipe; 10] = [
    Recipe {
        name: "architectures",
        suite: Suite::Seed,
        run: parts::architectures::run,
    },
    Recipe {
        name: "workers",
        suite: Suite::Seed,
        run: parts::workers::run,
    },
    Recipe {
        name: "profiles",
        suite: Suite::Seed,
        run: parts::profiles::run,
    },
    Recipe {
        name: "values",
        suite: Suite::Seed,
        run: parts::values::run,
    },
    Recipe {
        name: "latency",
        suite: Suite::Seed,
        run: parts::latency::run,
    },
    Recipe {
        name: "extreme",
        suite: Suite::Seed,
        run: parts::extreme::run,
    },
    Recipe {
        name: "pipelines",
        suite: Suite::Full,
        run: parts::pipelines::run,
    },
    Recipe {
        name: "connections",
        suite: Suite::Full,
        run: parts::connections::run,
    },
    Recipe {
        name: "persistence",
        suite: Suite::Full,
        run: parts::persistence::run,
    },
    Recipe {
        name: "peers",
        suite: Suite::Full,
        run: parts::peers::run,
    },
];

/// What a suite left.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) page: PathBuf,
    pub(super) targets: Vec<Target>,
    /// Parts that could not be measured, and why.
    pub(super) failed: Vec<(&'static str, String)>,
    /// Parts that were measured and have no place in the document.
    pub(super) unplaced: Vec<String>,
}

impl Report {
    /// For people, at a terminal.
    pub(super) fn text(&self) -> String {
        let header = ["target", "wanted", "measured", ""]
            .map(str::to_owned)
            .to_vec();
        let rows = self.targets.iter().map(|target| {
            let verdict = if target.met { "met" } else { "MISSED" };
            [&*target.what, &target.wanted, &target.measured, verdict]
                .map(str::to_owned)
                .to_vec()
        });
        let rows: Vec<_> = core::iter::once(header).chain(rows).collect();
        let mut text = if self.targets.is_empty() {
            String::new()
        } else {
            aligned(&rows)
        };
        for (part, reason) in &self.failed {
            text.push_str(&format!("FAILED {part}: {reason}\n"));
        }
        for part in &self.unplaced {
            text.push_str(&format!("the document has no <!-- measured {part} -->\n"));
        }
        text.push_str(&format!("report: {}\n", self.page.display()));
        text
    }
}

/// Measures the parts that are asked for and makes the report of all that are there.
///
/// # Errors
/// Why nothing could be measured, or the report not be written.
pub(super) fn run(options: &Options) -> Result<Report, String> {
    let recipes: Vec<&Recipe> = RECIPES
        .iter()
        .filter(|recipe| recipe.suite <= options.suite)
        .collect();
    let chosen = choose(&recipes, &options.only)?;
    let files = Files(options.out.clone());
    fs::create_dir_all(&files.0).map_err(|error| failed(&files.0, &error))?;

    let rounds = options.rounds.unwrap_or(if options.quick { 1 } else { 3 });
    let lab = Lab::new(rounds, options.quick, options.progress)?;
    let mut failures = Vec::new();
    for recipe in chosen {
        eprintln!("{}", recipe.name);
        let conditions = conditions(&lab);
        match (recipe.run)(&lab) {
            Ok(part) => files.write(&Part {
                name: recipe.name.to_owned(),
                conditions,
                ..part
            })?,
            Err(reason) => {
                eprintln!("{}: {reason}", recipe.name);
                failures.push((recipe.name, reason));
            }
        }
        if interrupted() {
            break;
        }
    }
    let parts = files.read(&recipes)?;
    let unplaced = publish(options, &parts)?;
    Ok(Report {
        page: files.page(),
        targets: parts.into_iter().flat_map(|part| part.targets).collect(),
        failed: failures,
        unplaced,
    })
}

fn choose<'a>(recipes: &[&'a Recipe], only: &[String]) -> Result<Vec<&'a Recipe>, String> {
    let known = |name: &String| recipes.iter().any(|recipe| recipe.name == *name);
    if let Some(name) = only.iter().find(|name| !known(name)) {
        let names: Vec<&str> = recipes.iter().map(|recipe| recipe.name).collect();
        return Err(format!(
            "--only {name}: the parts of this suite are {}",
            names.join(", ")
        ));
    }
    let wanted = |recipe: &&&Recipe| only.is_empty() || only.iter().any(|name| name == recipe.name);
    Ok(recipes.iter().filter(wanted).copied().collect())
}

fn conditions(lab: &Lab) -> Conditions {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let own = concat!("ant-cache ", env!("CARGO_PKG_VERSION")).to_owned();
    let others = Peer::found().into_iter().map(|peer| peer.version());
    Conditions {
        when: now.unwrap_or(Duration::ZERO).as_secs(),
        machine: lab.machine.clone(),
        cores: lab.cores.to_string(),
        programs: core::iter::once(own).chain(others).collect(),
        rounds: lab.rounds,
        quick: lab.quick,
        load: load
            .split(' ')
            .next()
            .and_then(|text| text.parse().ok())
            .unwrap_or(0.0),
    }
}

/// Writes the page, the pictures and the document. Returns the parts that the document has no place for.
fn publish(options: &Options, parts: &[Part]) -> Result<Vec<String>, String> {
    let files = Files(options.out.clone());
    write(
        &files.page(),
        &render::page("Ant-Cache: performance", parts),
    )?;
    let plots = || parts.iter().flat_map(|part| &part.plots);
    for plot in plots() {
        write(
            &files.0.join(format!("{}.svg", plot.name)),
            &render::svg(plot),
        )?;
    }
    let Some(document) = &options.update else {
        return Ok(Vec::new());
    };
    let text = fs::read_to_string(document).map_err(|error| failed(document, &error))?;
    let (text, unplaced) =
        render::update(&text, parts).map_err(|error| format!("{}: {error}", document.display()))?;
    for plot in plots() {
        let file = document.with_file_name(render::picture(&plot.name));
        let folder = file.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
        write(&file, &render::svg(plot))?;
    }
    write(document, &text)?;
    Ok(unplaced)
}

/// The folder of a report.
struct Files(PathBuf);

impl Files {
    fn page(&self) -> PathBuf {
        self.0.join("report.html")
    }

    fn part(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.json"))
    }

    fn write(&self, part: &Part) -> Result<(), String> {
        let file = self.part(&part.name);
        let text = serde_json::to_string_pretty(part).map_err(|error| error.to_string())?;
        write(&file, &format!("{text}\n"))
    }

    /// All parts that were measured, now or earlier.
    fn read(&self, recipes: &[&Recipe]) -> Result<Vec<Part>, String> {
        let mut parts = Vec::new();
        for recipe in recipes {
            let file = self.part(recipe.name);
            match fs::read(&file) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed(&file, &error)),
                Ok(bytes) => {
                    let part = serde_json::from_slice(&bytes).map_err(|error| {
                        format!(
                            "{}: {error}; measure it again: --only {}",
                            file.display(),
                            recipe.name
                        )
                    })?;
                    parts.push(part);
                }
            }
        }
        Ok(parts)
    }
}

/// Writes a file whole or not at all.
fn write(path: &Path, text: &str) -> Result<(), String> {
    let new = path.with_extension("new");
    fs::write(&new, text)
        .and_then(|()| fs::rename(&new, path))
        .map_err(|error| failed(path, &error))
}

fn failed(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}
