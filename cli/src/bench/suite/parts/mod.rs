//! What each part measures. A function each: servers are started, measured in turn, and told about.

pub(super) mod architectures;
pub(super) mod connections;
pub(super) mod extreme;
pub(super) mod latency;
pub(in crate::bench) mod peers;
pub(super) mod persistence;
pub(super) mod pipelines;
pub(super) mod profiles;
pub(super) mod values;
pub(super) mod workers;

use core::time::Duration;

use ant_cache_runtime_std::client::Address;

use crate::bench::lab::{Lab, Point, Rounds, Server};
use crate::bench::plan::{Length, Plan};
use crate::bench::suite::number;
use crate::bench::workload::{Mix, Op};

/// Each runtime with each architecture: its name here, and the flags that choose it.
const SHAPES: [(&str, &[&str]); 4] = [
    ("std single", &["--runtime", "std", "--server", "single"]),
    ("std pooled, 200 workers", STD_POOLED),
    ("smol single", &["--runtime", "smol", "--server", "single"]),
    ("smol pooled, 200 workers", SMOL_POOLED),
];
const STD_POOLED: &[&str] = &["--runtime", "std", "--server", "pooled", "--workers", "200"];
const SMOL_POOLED: &[&str] = &[
    "--runtime",
    "smol",
    "--server",
    "pooled",
    "--workers",
    "200",
];

/// A client gives up after so long, so a reply that takes longer counts as timed out.
const TIMEOUT: Duration = Duration::from_secs(1);

impl Lab {
    fn server(&self, name: &str, flags: &[&str]) -> Result<Server, String> {
        Server::own(name, flags, &self.cores)
    }

    /// The usual load of the guide: 100 clients, values of 16 bytes.
    fn plan(&self, mix: Mix, length: Length) -> Plan {
        // A case fills in the address of its server.
        let nowhere = Address::Unix(Default::default());
        let reads = mix.ops().any(|op| matches!(op, Op::Get | Op::MGet));
        Plan {
            length,
            threads: self.cores.load().min(Plan::CLIENTS),
            warmup: Duration::from_millis(if self.quick { 10 } else { 200 }),
            prefill: reads,
            timeout: TIMEOUT,
            ..Plan::new(nowhere, vec![mix])
        }
    }

    /// So many requests; in a hurry, few.
    fn ops(&self, ops: u64) -> Length {
        Length::Ops(if self.quick { ops / 50 } else { ops })
    }

    /// So long; in a hurry, a moment.
    fn seconds(&self, seconds: f64) -> Length {
        Length::Time(Duration::from_secs_f64(if self.quick {
            0.05
        } else {
            seconds
        }))
    }
}

/// Cells of a table: throughput and its spread, latencies, what it cost the server.
const COLUMNS: [&str; 7] = [
    "ops/s",
    "spread",
    "mean, µs",
    "P50, µs",
    "P95, µs",
    "P99, µs",
    "server µs/op",
];

fn cells(rounds: &Rounds) -> Vec<String> {
    let per_second = rounds.median(|point| point.per_second);
    let mark = if rounds.limited() { " †" } else { "" };
    let mut cells = vec![
        format!("{}{mark}", number(per_second)),
        percent(rounds.spread(|point| point.per_second)),
    ];
    let figures: [fn(&Point) -> f64; 5] = [
        |point| point.mean,
        |point| point.p50,
        |point| point.p95,
        |point| point.p99,
        |point| point.cost,
    ];
    cells.extend(figures.map(|figure| number(rounds.median(figure))));
    cells
}

/// What the mark of [`cells`] means, if it was used.
fn note_of_limits<'a>(all: impl IntoIterator<Item = &'a Rounds>) -> Option<String> {
    let limited = all.into_iter().any(Rounds::limited);
    limited.then(|| {
        "† The load generator was the limit: the server could do more; its µs/op say how much."
            .to_owned()
    })
}

fn percent(part: f64) -> String {
    format!("{:.0} %", part * 100.0)
}

fn mebibytes(rounds: &Rounds) -> String {
    let bytes = rounds.median(|point| point.memory as f64);
    format!("{:.1}", bytes / 1_048_576.0)
}

/// Bytes for people.
fn bytes(count: u64) -> String {
    match count {
        _ if count >= 1 << 20 => format!("{} MiB", count >> 20),
        _ if count >= 1 << 10 => format!("{} KiB", count >> 10),
        _ => format!("{count} B"),
    }
}
