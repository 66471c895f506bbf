//! The numbers of INFO as a monitoring system wants them.

use super::COUNTERS;
use crate::facts::Section;

/// How a number moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It grows; back to 0 at a start and by CONFIG RESETSTAT.
    Counter,
    /// It goes up and down.
    Gauge,
}

impl Kind {
    /// Its name in the Prometheus text format.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
        }
    }
}

/// A number that INFO tells, and what monitoring systems are to know of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// The section of INFO that it is in.
    pub section: Section,
    /// Its name there.
    pub field: &'static str,
    /// Its name for Prometheus: base units, counters end in `_total`.
    pub name: &'static str,
    /// How it moves.
    pub kind: Kind,
    /// What it counts, in a sentence.
    pub help: &'static str,
    /// What INFO's number is divided by to be in base units (seconds, bytes).
    pub divisor: u32,
}

const fn metric(
    section: Section,
    field: &'static str,
    name: &'static str,
    kind: Kind,
    help: &'static str,
) -> Metric {
    Metric {
        section,
        field,
        name,
        kind,
        help,
        divisor: 1,
    }
}

const fn gauge(
    section: Section,
    field: &'static str,
    name: &'static str,
    help: &'static str,
) -> Metric {
    metric(section, field, name, Kind::Gauge, help)
}

const fn counter(
    section: Section,
    field: &'static str,
    name: &'static str,
    help: &'static str,
) -> Metric {
    metric(section, field, name, Kind::Counter, help)
}

const fn divided(mut metric: Metric, divisor: u32) -> Metric {
    metric.divisor = divisor;
    metric
}

/// What is no counter of a worker.
#[rustfmt::skip]
const OTHERS: &[Metric] = &[
    gauge(Section::Server, "uptime_in_seconds", "antcache_uptime_seconds", "Time since the start."),
    gauge(Section::Clients, "connected_clients", "antcache_connections", "Connections that are open."),
    gauge(Section::Clients, "maxclients", "antcache_connections_max", "Connections that may be open at once."),
    gauge(Section::Clients, "connected_monitors", "antcache_monitors", "Connections that MONITOR shows requests to."),
    gauge(Section::Memory, "used_memory", "antcache_memory_used_bytes", "Memory in use: entries, buffers, the process at rest."),
    gauge(Section::Memory, "used_memory_dataset", "antcache_memory_dataset_bytes", "Memory of the entries and their index."),
    gauge(Section::Memory, "used_memory_clients", "antcache_memory_clients_bytes", "Memory of sessions and buffers."),
    gauge(Section::Memory, "mem_aof_buffer", "antcache_memory_log_bytes", "Memory of changes that are not surely on the disk."),
    gauge(Section::Memory, "used_memory_startup", "antcache_memory_startup_bytes", "Memory that the process needs at rest."),
    gauge(Section::Memory, "mem_fragmentation_bytes", "antcache_memory_reserve_bytes", "What is taken off the bound for memory beyond what is in use."),
    gauge(Section::Memory, "used_memory_rss", "antcache_memory_resident_bytes", "Resident memory of the process."),
    gauge(Section::Memory, "maxmemory", "antcache_memory_max_bytes", "The bound on memory; 0 for none."),
    counter(Section::Stats, "total_connections_received", "antcache_connections_accepted_total", "Connections accepted."),
    counter(Section::Stats, "rejected_connections", "antcache_connections_refused_total", "Connections refused because there were too many."),
    counter(Section::Stats, "expired_keys", "antcache_expired_total", "Keys removed because their time had come."),
    counter(Section::Stats, "evicted_keys", "antcache_evicted_total", "Keys removed because memory was needed."),
    divided(gauge(Section::Stats, "expire_lag_p50_ms", "antcache_expire_lag_p50_seconds", "How late expired keys were removed, median."), 1000),
    divided(gauge(Section::Stats, "expire_lag_p99_ms", "antcache_expire_lag_p99_seconds", "How late expired keys were removed, 99th percentile."), 1000),
    divided(gauge(Section::Stats, "expire_lag_max_ms", "antcache_expire_lag_max_seconds", "How late expired keys were removed, at most."), 1000),
    gauge(Section::Persistence, "rdb_changes_since_last_save", "antcache_unsaved_changes", "Changes since the last save."),
    counter(Section::Persistence, "rdb_saves", "antcache_snapshots_total", "Snapshots written."),
    gauge(Section::Persistence, "rdb_bgsave_in_progress", "antcache_snapshot_running", "Whether a snapshot is being written: 1 or 0."),
    gauge(Section::Persistence, "rdb_last_save_time", "antcache_snapshot_timestamp_seconds", "Unix time of the last snapshot, or of the start."),
    gauge(Section::Persistence, "aof_base_size", "antcache_snapshot_bytes", "Size of the last snapshot."),
    gauge(Section::Persistence, "aof_current_size", "antcache_log_bytes", "Size of the log since the last snapshot."),
    gauge(Section::Persistence, "aof_buffer_length", "antcache_log_backlog_bytes", "What of the log is yet to be written."),
    counter(Section::Persistence, "acl_bytes_written", "antcache_log_written_bytes_total", "Bytes written to the log."),
    counter(Section::Persistence, "acl_records_written", "antcache_log_records_total", "Records written to the log."),
    counter(Section::Persistence, "acl_syncs", "antcache_log_syncs_total", "Times that the log was made durable."),
    counter(Section::Persistence, "acl_errors", "antcache_log_errors_total", "Times that the log could not be written."),
    counter(Section::Cpu, "used_cpu_sys", "antcache_cpu_system_seconds_total", "Processor time in the kernel."),
    counter(Section::Cpu, "used_cpu_user", "antcache_cpu_user_seconds_total", "Processor time of the process itself."),
    gauge(Section::Antcache, "keys", "antcache_keys", "Keys, those included that have ended and are yet to be removed."),
    gauge(Section::Antcache, "expiring_keys", "antcache_expiring_keys", "Keys with a time to live."),
    gauge(Section::Antcache, "workers", "antcache_workers", "Worker threads of the pool."),
    gauge(Section::Antcache, "workers_busy", "antcache_workers_busy", "Workers in a turn."),
    gauge(Section::Antcache, "workers_parked", "antcache_workers_parked", "Workers parked as spares."),
    counter(Section::Antcache, "workers_added", "antcache_workers_added_total", "Workers added."),
    counter(Section::Antcache, "workers_dismissed", "antcache_workers_dismissed_total", "Workers dismissed."),
    gauge(Section::Antcache, "ready_connections", "antcache_queue_depth", "Connections that are ready and not yet served."),
    divided(gauge(Section::Antcache, "turn_time_usec", "antcache_turn_seconds", "Mean time of a turn in the last second of activity."), 1_000_000),
    counter(Section::Antcache, "lanes_taken_over", "antcache_lanes_taken_over_total", "Lanes taken over from a leader that was stuck."),
    counter(Section::Antcache, "connections_moved", "antcache_connections_moved_total", "Connections moved from a busy lane to an idle one."),
    gauge(Section::Antcache, "slowlog_len", "antcache_slowlog_entries", "Calls in the slow log."),
];

/// Every number of INFO that monitoring systems are told.
pub static METRICS: &[Metric] = &{
    let mut all = [OTHERS[0]; OTHERS.len() + COUNTERS.len()];
    let mut at = 0;
    while at < all.len() {
        all[at] = if at < OTHERS.len() {
            OTHERS[at]
        } else {
            COUNTERS[at - OTHERS.len()]
        };
        at += 1;
    }
    all
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rules_of_prometheus() {
        for (at, metric) in METRICS.iter().enumerate() {
            let plain =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            assert!(metric.name.bytes().all(plain), "{}", metric.name);
            assert_eq!(
                metric.name.ends_with("_total"),
                metric.kind == Kind::Counter,
                "{}",
                metric.name
            );
            assert!(
                metric.help.ends_with('.') && !metric.help.contains('\n'),
                "{}",
                metric.help
            );
            let twin = METRICS[..at]
                .iter()
                .any(|other| other.name == metric.name || other.field == metric.field);
            assert!(!twin, "{}", metric.name);
        }
    }
}
