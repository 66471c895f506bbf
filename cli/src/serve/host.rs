//! The host of a server that runs with certain settings.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ant_cache_core::facts::{Fact, Gauges, Section, Tell};
use ant_cache_core::ledger::Owner;
use ant_cache_core::service::Options;
use ant_cache_core::settings::Settings as LiveSettings;
use ant_cache_core::store::Store;
use ant_cache_host::config::{Fsync, Settings};
use ant_cache_host::process::random_bits;
use ant_cache_host::{Clock, Host, Listener, Listeners, Stream};

use crate::allocator;

/// Makes the service and its host.
pub(super) fn host(
    settings: &Settings,
    listeners: &Listeners,
    metrics: Option<SocketAddr>,
) -> Arc<Host> {
    let options = Options {
        seed: random_bits(),
        shards: settings.max_memory.map_or(Store::SHARDS, Store::shards_for),
        settings: live(settings),
        facts: facts(settings, port(listeners), metrics),
        fixed: fixed(settings, port(listeners)),
        gauges: Some(Arc::new(AllocatorGauges)),
        ..Options::default()
    };
    let host = Host::new(options, Clock::system());
    // What is there before anybody connects. Threads have yet to start; as many work at once as there are cores, beside
    // those that accept and keep house.
    if let Some(numbers) = allocator::numbers() {
        let caches = (super::cores().get() + 2) * allocator::THREAD_CACHE;
        let ledger = host.service().ledger();
        ledger.charge(Owner::Process, numbers.allocated + caches);
    }
    Arc::new(host)
}

/// What the allocator tells in INFO, by the names that Redis has for it.
#[derive(Debug)]
struct AllocatorGauges;

impl Gauges for AllocatorGauges {
    fn read(&self, tell: &mut Tell<'_>) {
        if let Some(numbers) = allocator::numbers() {
            tell(Section::Memory, "allocator_allocated", &numbers.allocated);
            tell(Section::Memory, "allocator_active", &numbers.active);
            tell(Section::Memory, "allocator_resident", &numbers.resident);
        }
    }
}

/// The TCP port, which the system may have chosen.
fn port(listeners: &Listeners) -> u16 {
    listeners
        .iter()
        .find_map(Listener::address)
        .map_or(0, |address| address.port())
}

/// The settings that can change while the server runs, as they are at the start.
fn live(settings: &Settings) -> LiveSettings {
    let live = LiveSettings::default();
    live.set_password(
        settings
            .password
            .as_ref()
            .map(|password| password.reveal().to_vec()),
    );
    live.set_max_memory(settings.max_memory.unwrap_or(u64::MAX));
    live.set_least_memory(settings.least_memory);
    live.set_eviction(settings.eviction);
    live.set_max_connections(settings.max_connections);
    live.set_send_timeout(millis(settings.send_timeout));
    live.set_idle_timeout(millis(settings.idle_timeout));
    live
}

/// A timeout in milliseconds; 0 for none.
fn millis(timeout: Option<Duration>) -> u64 {
    timeout.map_or(0, |time| {
        u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
    })
}

/// What INFO tells of this program and its settings.
fn facts(settings: &Settings, port: u16, metrics: Option<SocketAddr>) -> Vec<Fact> {
    let program = std::env::current_exe().unwrap_or_default();
    let config = settings.config_file.as_deref().unwrap_or(Path::new(""));
    // A relative path means nothing to whoever asks. The empty one stays empty.
    let config = std::path::absolute(config).unwrap_or_default();
    let metrics = metrics.map(|address| Fact::new(Section::Server, "metrics_address", address));
    let mut facts = vec![
        Fact::new(Section::Server, "tcp_port", port),
        Fact::new(Section::Server, "executable", program.display()),
        Fact::new(Section::Server, "config_file", config.display()),
        Fact::new(Section::Memory, "mem_allocator", allocator::name()),
        Fact::new(Section::Antcache, "runtime", settings.runtime),
        Fact::new(Section::Antcache, "architecture", settings.architecture),
    ];
    facts.extend(metrics);
    facts
}

/// What Redis calls it.
const fn redis_name(fsync: Fsync) -> &'static str {
    match fsync {
        Fsync::Always => "always",
        Fsync::Interval => "everysec",
        Fsync::Never => "no",
    }
}

/// What CONFIG GET tells of what was fixed at the start.
fn fixed(settings: &Settings, port: u16) -> Vec<(&'static str, String)> {
    let socket = settings
        .unix_socket
        .as_ref()
        .map(|path| path.display().to_string());
    let (dir, snapshot, log, fsync) = match &settings.persistence {
        Some(found) => {
            let dir = std::path::absolute(&found.dir).unwrap_or_default();
            let names = found.names.clone();
            (
                dir.display().to_string(),
                names.snapshot,
                names.log,
                redis_name(found.fsync),
            )
        }
        None => Default::default(),
    };
    vec![
        ("bind", settings.host.clone()),
        ("port", port.to_string()),
        ("unixsocket", socket.unwrap_or_default()),
        ("dir", dir),
        ("dbfilename", snapshot),
        ("appendfilename", log),
        ("appendfsync", fsync.to_owned()),
        ("tcp-keepalive", Stream::KEEPALIVE.as_secs().to_string()),
    ]
}
