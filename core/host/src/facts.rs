//! What every host tells in INFO: of the machine, of its process, and of the worker pool.

use std::sync::Arc;
use std::time::Duration;

use ant_cache_core::facts::{Fact, Gauges, Section, Tell};

use crate::lane::{PoolNumbers, PoolStats};
use crate::process::{Usage, physical_memory, random_bits};

/// What stays as it is.
pub(crate) fn facts() -> Vec<Fact> {
    let system = rustix::system::uname();
    let [name, release, machine] =
        [system.sysname(), system.release(), system.machine()].map(|text| text.to_string_lossy());
    // Forty hexadecimal digits, as Redis has them: monitors see by it that a server was restarted.
    let run: String = (0..3).map(|_| format!("{:016x}", random_bits())).collect();
    vec![
        Fact::new(
            Section::Server,
            "os",
            format_args!("{name} {release} {machine}"),
        ),
        Fact::new(Section::Server, "process_id", std::process::id()),
        Fact::new(Section::Server, "run_id", &run[..40]),
        Fact::new(Section::Memory, "total_system_memory", physical_memory()),
    ]
}

/// What changes.
#[derive(Debug)]
pub(crate) struct HostGauges {
    pub(crate) pool: Arc<PoolStats>,
    /// Of whoever embeds the host.
    pub(crate) more: Option<Arc<dyn Gauges>>,
}

impl Gauges for HostGauges {
    fn read(&self, tell: &mut Tell<'_>) {
        // Without /proc there is nothing to tell.
        if let Ok(usage) = Usage::own() {
            tell(Section::Memory, "used_memory_rss", &usage.resident);
            tell(Section::Cpu, "used_cpu_sys", &seconds(usage.system));
            tell(Section::Cpu, "used_cpu_user", &seconds(usage.user));
        }
        if let Some(more) = &self.more {
            more.read(tell);
        }
        let pool = self.pool.read();
        if pool != PoolNumbers::default() {
            tell(Section::Antcache, "workers", &pool.workers);
            tell(Section::Antcache, "workers_busy", &pool.busy);
            tell(Section::Antcache, "workers_parked", &pool.parked);
            tell(Section::Antcache, "workers_added", &pool.grown);
            tell(Section::Antcache, "workers_dismissed", &pool.shrunk);
            tell(Section::Antcache, "ready_connections", &pool.queue);
            tell(Section::Antcache, "turn_time_usec", &pool.task_time);
            tell(Section::Antcache, "lanes_taken_over", &pool.taken_over);
            tell(Section::Antcache, "connections_moved", &pool.moved);
        }
    }
}

fn seconds(time: Duration) -> String {
    format!("{}.{:06}", time.as_secs(), time.subsec_micros())
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn told(gauges: &HostGauges) -> Vec<(Section, &'static str, String)> {
        let mut told = Vec::new();
        gauges.read(&mut |section, name, value| told.push((section, name, value.to_string())));
        told
    }

    #[test]
    fn a_pool_is_told_of_where_there_is_one() {
        let gauges = HostGauges {
            pool: Arc::default(),
            more: None,
        };
        assert!(
            told(&gauges)
                .iter()
                .all(|(section, ..)| *section != Section::Antcache)
        );
        gauges.pool.workers.set(7);
        assert!(told(&gauges).contains(&(Section::Antcache, "workers", "7".to_owned())));
    }

    #[test]
    fn values_are_as_redis_writes_them() {
        assert_eq!(seconds(Duration::from_millis(12_034)), "12.034000");
        let gauges = HostGauges {
            pool: Arc::default(),
            more: None,
        };
        let told = told(&gauges);
        let (.., rss) = told
            .iter()
            .find(|(_, name, _)| *name == "used_memory_rss")
            .unwrap();
        assert!(rss.parse::<u64>().unwrap() > 0);
        let facts = facts();
        let run = facts.iter().find(|fact| fact.name == "run_id").unwrap();
        assert!(run.value.len() == 40 && run.value.bytes().all(|b| b.is_ascii_hexdigit()));
        let os = facts.iter().find(|fact| fact.name == "os").unwrap();
        assert!(os.value.starts_with("Linux "), "{}", os.value);
    }
}
