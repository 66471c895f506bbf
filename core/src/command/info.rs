//! INFO and STATS: what the server knows of itself.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::{Display, Write};

use super::connection::REDIS_VERSION;
use super::options;
use crate::Histogram;
use crate::eviction::Eviction;
use crate::exec::{Args, Exec, Outcome, Step};
use crate::facts::Section;
use crate::ledger::Owner;
use crate::service::Statistics;
use crate::settings::Settings;
use crate::size::human;
use crate::store::Census;

/// What counting the keys costs, in units of the budget: it visits each of some hundred shards.
const CENSUS: usize = 300;

pub(super) fn info(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    options::few(args, 1)?;
    let all = args.len() == 1
        || (1..args.len()).any(|at| {
            ["all", "default", "everything"]
                .iter()
                .any(|word| args.is(at, word))
        });
    let asked = |section: &Section| all || (1..args.len()).any(|at| args.is(at, section.title()));
    let report = Report::gather(exec);
    let mut text = String::new();
    for section in Section::ALL.into_iter().filter(asked) {
        let fields = report.section(section);
        if fields.is_empty() && section == Section::Cpu {
            continue;
        }
        if !text.is_empty() {
            text.push_str("\r\n");
        }
        write_line(&mut text, format_args!("# {}", section.title()));
        for (name, value) in &fields {
            write_line(&mut text, format_args!("{name}:{value}"));
        }
    }
    exec.reply().verbatim(&text);
    Ok(Step::Done)
}

pub(super) fn stats(exec: &mut Exec<'_>, _args: &Args<'_>) -> Outcome {
    let report = Report::gather(exec);
    let mut text = String::new();
    let uptime = report.uptime;
    write_line(&mut text, format_args!("uptime_in_seconds {uptime}"));
    let counting = [
        Section::Clients,
        Section::Memory,
        Section::Stats,
        Section::Cpu,
        Section::Antcache,
    ];
    for (name, value) in counting
        .into_iter()
        .flat_map(|section| report.section(section))
    {
        write_line(&mut text, format_args!("{name} {value}"));
    }
    exec.reply().verbatim(&text);
    Ok(Step::Done)
}

fn write_line(text: &mut String, line: impl Display) {
    // Writing to a string cannot fail.
    let _ = write!(text, "{line}\r\n");
}

type Fields = Vec<(&'static str, String)>;

/// All that there is to tell, at one moment.
struct Report {
    now: u64,
    uptime: u64,
    open: u64,
    most: u64,
    started: u64,
    /// Bytes of memory of sessions and buffers.
    connections: u64,
    /// Bytes of memory of everything but the store.
    beside: u64,
    /// Bytes of memory that the process has beyond that.
    overhead: u64,
    max_memory: u64,
    eviction: Eviction,
    census: Census,
    counted: Statistics,
    /// How late expired keys were removed.
    lags: Histogram,
    /// From the host.
    told: Vec<(Section, &'static str, String)>,
}

impl Report {
    fn gather(exec: &mut Exec<'_>) -> Self {
        exec.budget.spend(CENSUS);
        let service = exec.service;
        let census = service.store().census();
        let mut told = Vec::new();
        service.tell(&mut |section, name, value| told.push((section, name, value.to_string())));
        Self {
            now: exec.now.0,
            uptime: exec.now.since(service.started()) / 1000,
            open: service.connections()[0],
            most: service.settings.max_connections(),
            started: service.started().0 / 1000,
            connections: service.ledger().held(Owner::Connections),
            beside: service.ledger().beside(Owner::Store),
            overhead: service.ledger().overhead(),
            max_memory: bound(&service.settings),
            eviction: service.settings.eviction(),
            counted: service.statistics(&census),
            lags: service.store().lags(),
            census,
            told,
        }
    }

    /// The fields of a section: what the engine knows, then what the host told.
    fn section(&self, section: Section) -> Fields {
        let mut fields = match section {
            Section::Server => self.server(),
            Section::Clients => self.clients(),
            Section::Memory => self.memory(),
            Section::Persistence => self.persistence(),
            Section::Stats => self.stats(),
            Section::Replication => fields([("role", &"master"), ("connected_slaves", &0)]),
            Section::Cpu => Vec::new(),
            Section::Cluster => fields([("cluster_enabled", &0)]),
            Section::Keyspace => self.keyspace(),
            Section::Antcache => self.antcache(),
        };
        let told = self.told.iter().filter(|(of, ..)| *of == section);
        fields.extend(told.map(|(_, name, value)| (*name, value.clone())));
        fields
    }

    fn server(&self) -> Fields {
        fields([
            ("redis_version", &REDIS_VERSION),
            ("redis_mode", &"standalone"),
            ("antcache_version", &env!("CARGO_PKG_VERSION")),
            ("arch_bits", &usize::BITS),
            ("server_time_usec", &self.now.saturating_mul(1000)),
            ("uptime_in_seconds", &self.uptime),
            ("uptime_in_days", &(self.uptime / 86_400)),
        ])
    }

    fn clients(&self) -> Fields {
        fields([
            ("connected_clients", &self.open),
            ("maxclients", &self.most),
            ("blocked_clients", &0),
        ])
    }

    fn memory(&self) -> Fields {
        let used = self.census.memory + self.beside;
        let rss = self
            .told
            .iter()
            .find(|(_, name, _)| *name == "used_memory_rss");
        let ratio = rss
            .and_then(|(.., rss)| rss.parse::<u64>().ok())
            .map(|rss| {
                (
                    "mem_fragmentation_ratio",
                    format!("{:.2}", rss as f64 / used as f64),
                )
            });
        let mut fields = fields([
            ("used_memory", &used),
            ("used_memory_human", &human(used)),
            ("used_memory_dataset", &self.census.memory),
            ("used_memory_clients", &self.connections),
            ("mem_fragmentation_bytes", &self.overhead),
            ("maxmemory", &self.max_memory),
            ("maxmemory_human", &human(self.max_memory)),
            ("maxmemory_policy", &self.eviction.redis_name()),
        ]);
        fields.extend(ratio);
        fields
    }

    fn persistence(&self) -> Fields {
        fields([
            ("loading", &0),
            ("rdb_changes_since_last_save", &self.census.changes),
            ("rdb_bgsave_in_progress", &0),
            ("rdb_last_save_time", &self.started),
            ("aof_enabled", &0),
            ("aof_rewrite_in_progress", &0),
        ])
    }

    fn stats(&self) -> Fields {
        let Statistics {
            totals,
            accepted,
            refused,
            expired,
            evicted,
        } = &self.counted;
        fields([
            ("total_connections_received", accepted),
            ("total_commands_processed", &totals.commands),
            ("total_net_input_bytes", &totals.bytes_in),
            ("total_net_output_bytes", &totals.bytes_out),
            ("rejected_connections", refused),
            ("expired_keys", expired),
            ("expire_lag_p50_ms", &self.lags.percentile(50)),
            ("expire_lag_p99_ms", &self.lags.percentile(99)),
            ("expire_lag_max_ms", &self.lags.max()),
            ("evicted_keys", evicted),
            ("keyspace_hits", &totals.hits),
            ("keyspace_misses", &totals.misses),
            ("total_error_replies", &totals.errors),
        ])
    }

    fn keyspace(&self) -> Fields {
        let Census { keys, expiring, .. } = self.census;
        if keys == 0 {
            return Vec::new();
        }
        fields([("db0", &format!("keys={keys},expires={expiring},avg_ttl=0"))])
    }

    fn antcache(&self) -> Fields {
        let totals = &self.counted.totals;
        fields([
            ("keys", &self.census.keys),
            ("expiring_keys", &self.census.expiring),
            ("protocol_errors", &totals.protocol_errors),
            ("closed_stalled", &totals.closed_stalled),
            ("closed_idle", &totals.closed_idle),
            ("closed_unauthenticated", &totals.closed_unauthenticated),
            ("closed_panicked", &totals.closed_panicked),
            ("closed_threadless", &totals.closed_threadless),
            ("accept_pauses", &totals.accept_exhausted),
        ])
    }
}

fn fields<const N: usize>(fields: [(&'static str, &dyn Display); N]) -> Fields {
    fields
        .into_iter()
        .map(|(name, value)| (name, value.to_string()))
        .collect()
}

/// The bound on memory as Redis tells it: 0 where there is none.
pub(super) fn bound(settings: &Settings) -> u64 {
    match settings.max_memory() {
        u64::MAX => 0,
        bytes => bytes,
    }
}
