//! INFO and STATS: what the server knows of itself.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::{Display, Write};

use super::connection::REDIS_VERSION;
use super::{Code, options, persistence};
use crate::eviction::Eviction;
use crate::exec::{Args, Exec, Outcome, Step};
use crate::facts::Section;
use crate::ledger::Owner;
use crate::service::{Service, Statistics};
use crate::settings::Settings;
use crate::size::human;
use crate::stats::CommandStats;
use crate::store::Census;
use crate::{Histogram, Millis};

/// What counting the keys costs, in units of the budget: it visits each of some hundred shards.
const CENSUS: usize = 300;

pub(super) fn info(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    options::few(args, 1)?;
    let all = (1..args.len()).any(|at| args.is(at, "all") || args.is(at, "everything"));
    let default = args.len() == 1 || (1..args.len()).any(|at| args.is(at, "default"));
    let asked = |section: &Section| {
        all || default && !section.is_by_command()
            || (1..args.len()).any(|at| args.is(at, section.title()))
    };
    let report = gather(exec);
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
    let report = gather(exec);
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

fn gather(exec: &mut Exec<'_>) -> Report {
    exec.budget.spend(CENSUS);
    exec.service.report(exec.now)
}

impl Service {
    /// All that INFO tells at this moment.
    #[must_use]
    pub fn report(&self, now: Millis) -> Report {
        let census = self.store().census();
        let mut told = Vec::new();
        self.tell(&mut |section, name, value| told.push((section, name, value.to_string())));
        let counted = self.statistics(&census);
        Report {
            now: now.0,
            uptime: now.since(self.started()) / 1000,
            open: self.connections()[0],
            most: self.settings.max_connections(),
            persistence: persistence::fields(
                self.store().journal(),
                census.changes,
                self.started(),
                now,
            ),
            connections: self.ledger().held(Owner::Connections),
            journal: self.ledger().held(Owner::Journal),
            startup: self.ledger().held(Owner::Process),
            beside: self.ledger().beside(Owner::Store),
            overhead: self.ledger().overhead(),
            max_memory: bound(&self.settings),
            eviction: self.settings.eviction(),
            commands: self.commands_of(&counted.totals),
            slow: self.slow.lock().len(),
            monitors: self.monitors.count(),
            counted,
            lags: self.store().lags(),
            census,
            told,
        }
    }
}

fn write_line(text: &mut String, line: impl Display) {
    // Writing to a string cannot fail.
    let _ = write!(text, "{line}\r\n");
}

/// Names and values of fields.
pub type Fields = Vec<(Cow<'static, str>, String)>;

/// What a server tells of itself, as it was at one moment.
#[derive(Debug)]
pub struct Report {
    now: u64,
    uptime: u64,
    open: u64,
    most: u64,
    persistence: Fields,
    /// Bytes of memory of sessions and buffers.
    connections: u64,
    /// Bytes of memory of changes that are not surely on the disk.
    journal: u64,
    /// Bytes of memory of the process at rest.
    startup: u64,
    /// Bytes of memory of everything but the store.
    beside: u64,
    /// Bytes of memory that the process has beyond that.
    overhead: u64,
    max_memory: u64,
    eviction: Eviction,
    census: Census,
    counted: Statistics,
    commands: Vec<CommandStats>,
    /// Entries of the slow log.
    slow: usize,
    /// Connections that monitor.
    monitors: usize,
    /// How late expired keys were removed.
    lags: Histogram,
    /// From the host.
    told: Vec<(Section, &'static str, String)>,
}

impl Report {
    /// What is known of each command that was called.
    #[must_use]
    pub fn commands(&self) -> &[CommandStats] {
        &self.commands
    }

    /// How many errors of each code were told, those of none left out.
    pub fn errors(&self) -> impl Iterator<Item = (Code, u64)> {
        let codes = &self.counted.totals.codes;
        let counts = Code::ALL
            .into_iter()
            .map(|code| (code, codes.of(code as usize)));
        counts.filter(|(_, count)| *count > 0)
    }

    /// The fields of a section: what the engine knows, then what the host told.
    #[must_use]
    pub fn section(&self, section: Section) -> Fields {
        let mut fields = match section {
            Section::Server => self.server(),
            Section::Clients => self.clients(),
            Section::Memory => self.memory(),
            Section::Persistence => self.persistence.clone(),
            Section::Stats => self.stats(),
            Section::Replication => fields([("role", &"master"), ("connected_slaves", &0)]),
            Section::Cpu => Vec::new(),
            Section::Commandstats => self.command_stats(),
            Section::Errorstats => self.error_stats(),
            Section::Latencystats => self.latency_stats(),
            Section::Cluster => fields([("cluster_enabled", &0)]),
            Section::Keyspace => self.keyspace(),
            Section::Antcache => self.antcache(),
        };
        let told = self.told.iter().filter(|(of, ..)| *of == section);
        fields.extend(told.map(|(_, name, value)| ((*name).into(), value.clone())));
        let counters = self.counted.totals.section(section);
        fields.extend(counters.map(|(name, value)| (name.into(), value.to_string())));
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
            ("connected_monitors", &self.monitors),
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
                    "mem_fragmentation_ratio".into(),
                    format!("{:.2}", rss as f64 / used as f64),
                )
            });
        let mut fields = fields([
            ("used_memory", &used),
            ("used_memory_human", &human(used)),
            ("used_memory_dataset", &self.census.memory),
            ("used_memory_clients", &self.connections),
            ("mem_aof_buffer", &self.journal),
            ("used_memory_startup", &self.startup),
            ("mem_fragmentation_bytes", &self.overhead),
            ("maxmemory", &self.max_memory),
            ("maxmemory_human", &human(self.max_memory)),
            ("maxmemory_policy", &self.eviction.redis_name()),
        ]);
        fields.extend(ratio);
        fields
    }

    fn stats(&self) -> Fields {
        let Statistics {
            accepted,
            refused,
            expired,
            evicted,
            ..
        } = &self.counted;
        fields([
            ("total_connections_received", accepted),
            ("rejected_connections", refused),
            ("expired_keys", expired),
            ("expire_lag_p50_ms", &self.lags.percentile(50)),
            ("expire_lag_p99_ms", &self.lags.percentile(99)),
            ("expire_lag_max_ms", &self.lags.max()),
            ("evicted_keys", evicted),
        ])
    }

    fn command_stats(&self) -> Fields {
        let line = |stats: &CommandStats| {
            let CommandStats {
                calls,
                rejections,
                failures,
                ..
            } = stats;
            let usec = stats.total_micros();
            let mean = stats.nanos.mean() / 1000.0;
            let value = format!(
                "calls={calls},usec={usec},usec_per_call={mean:.2},rejected_calls={rejections},failed_calls={failures}"
            );
            (format!("cmdstat_{}", stats.name()).into(), value)
        };
        self.commands.iter().map(line).collect()
    }

    fn error_stats(&self) -> Fields {
        let line = |(code, count): (Code, u64)| {
            let name = format!("errorstat_{}", code.name());
            (name.into(), format!("count={count}"))
        };
        self.errors().map(line).collect()
    }

    fn latency_stats(&self) -> Fields {
        let timed = self.commands.iter().filter(|stats| stats.nanos.total() > 0);
        let line = |stats: &CommandStats| {
            let [p50, p99, p999] =
                [500, 990, 999].map(|part| stats.nanos.per_mille(part) as f64 / 1000.0);
            let value = format!("p50={p50:.3},p99={p99:.3},p99.9={p999:.3}");
            let name = format!("latency_percentiles_usec_{}", stats.name());
            (name.into(), value)
        };
        timed.map(line).collect()
    }

    fn keyspace(&self) -> Fields {
        let Census { keys, expiring, .. } = self.census;
        if keys == 0 {
            return Vec::new();
        }
        fields([("db0", &format!("keys={keys},expires={expiring},avg_ttl=0"))])
    }

    fn antcache(&self) -> Fields {
        fields([
            ("keys", &self.census.keys),
            ("expiring_keys", &self.census.expiring),
            ("slowlog_len", &self.slow),
        ])
    }
}

fn fields<const N: usize>(fields: [(&'static str, &dyn Display); N]) -> Fields {
    fields
        .into_iter()
        .map(|(name, value)| (name.into(), value.to_string()))
        .collect()
}

/// The bound on memory as Redis tells it: 0 where there is none.
pub(super) fn bound(settings: &Settings) -> u64 {
    match settings.max_memory() {
        u64::MAX => 0,
        bytes => bytes,
    }
}
