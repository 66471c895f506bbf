//! What only the host can tell of a server: facts, fixed at the start, and gauges, read whenever somebody asks.

use alloc::string::{String, ToString};
use core::fmt::{Debug, Display};

/// A section of INFO, in the order in which they are shown: Redis's, then ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// The process: `os`, `process_id`, `tcp_port`, `executable`, `config_file` come from the host.
    Server,
    /// Connections.
    Clients,
    /// Memory: `mem_allocator`, `total_system_memory`, `used_memory_rss` come from the host.
    Memory,
    /// What is written to disk.
    Persistence,
    /// Counters.
    Stats,
    /// Always a master without replicas.
    Replication,
    /// All from the host: `used_cpu_sys` and `used_cpu_user`, in seconds. Not shown where it tells nothing.
    Cpu,
    /// Calls and time of each command; shown where it is asked for by name or with `all`.
    Commandstats,
    /// Errors by their first word.
    Errorstats,
    /// Percentiles of the time of each command; likewise.
    Latencystats,
    /// Always disabled.
    Cluster,
    /// Numbers of keys.
    Keyspace,
    /// What Redis has no field for: `runtime`, `architecture`, `workers` and the pool's gauges come from the host.
    Antcache,
}

impl Section {
    /// All sections, in order.
    pub const ALL: [Self; 13] = [
        Self::Server,
        Self::Clients,
        Self::Memory,
        Self::Persistence,
        Self::Stats,
        Self::Replication,
        Self::Cpu,
        Self::Commandstats,
        Self::Errorstats,
        Self::Latencystats,
        Self::Cluster,
        Self::Keyspace,
        Self::Antcache,
    ];

    /// Whether it has a line for each command. INFO shows it only where it is asked for.
    #[must_use]
    pub const fn is_by_command(self) -> bool {
        matches!(self, Self::Commandstats | Self::Latencystats)
    }

    /// Its title; INFO finds it in any case.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Server => "Server",
            Self::Clients => "Clients",
            Self::Memory => "Memory",
            Self::Persistence => "Persistence",
            Self::Stats => "Stats",
            Self::Replication => "Replication",
            Self::Cpu => "CPU",
            Self::Commandstats => "Commandstats",
            Self::Errorstats => "Errorstats",
            Self::Latencystats => "Latencystats",
            Self::Cluster => "Cluster",
            Self::Keyspace => "Keyspace",
            Self::Antcache => "Antcache",
        }
    }
}

/// A field of INFO that stays as it is while the server runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// The section that it is shown in.
    pub section: Section,
    /// Its name there: small letters and `_`.
    pub name: &'static str,
    /// Its value, one line.
    pub value: String,
}

impl Fact {
    /// A fact.
    #[must_use]
    pub fn new(section: Section, name: &'static str, value: impl Display) -> Self {
        Self {
            section,
            name,
            value: value.to_string(),
        }
    }
}

/// Fields of INFO that change while the server runs and that only the host can measure: CPU time, resident memory,
/// the worker pool.
///
/// ```
/// use ant_cache_core::facts::{Gauges, Section, Tell};
///
/// #[derive(Debug)]
/// struct Process;
///
/// impl Gauges for Process {
///     fn read(&self, tell: &mut Tell<'_>) {
///         tell(Section::Cpu, "used_cpu_user", &"0.25");
///         tell(Section::Memory, "used_memory_rss", &(3 << 20));
///     }
/// }
/// ```
pub trait Gauges: Debug + Send + Sync {
    /// Tells every gauge. Called by the thread that answers INFO or STATS, which holds no lock; it may take
    /// microseconds, not milliseconds.
    fn read(&self, tell: &mut Tell<'_>);
}

/// Takes one field: its section, its name as in [`Fact`], its value.
pub type Tell<'a> = dyn FnMut(Section, &'static str, &dyn Display) + 'a;
