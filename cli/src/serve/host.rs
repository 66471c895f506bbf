//! The host of a server that runs with certain settings.

use std::net::SocketAddr;
use std::sync::Arc;

use ant_cache_core::facts::{Fact, Gauges, Section, Tell};
use ant_cache_core::ledger::Owner;
use ant_cache_host::config::Settings;
use ant_cache_host::process::cores;
use ant_cache_host::{Clock, Host, Listeners};

use crate::allocator;

/// Makes the service and its host.
pub(super) fn host(
    settings: &Settings,
    listeners: &Listeners,
    metrics: Option<SocketAddr>,
) -> Arc<Host> {
    let mut options = settings.options(listeners);
    options.facts.extend(facts(metrics));
    options.gauges = Some(Arc::new(AllocatorGauges));
    let host = Host::new(options, Clock::system()).with_relief(allocator::relieve);
    // What is there before anybody connects. Threads have yet to start; as many work at once as there are cores, beside
    // those that accept and keep house.
    if let Some(numbers) = allocator::numbers() {
        let caches = (cores().get() + 2) * allocator::THREAD_CACHE;
        let ledger = host.service().ledger();
        ledger.charge(Owner::Process, numbers.allocated + caches);
    }
    Arc::new(host)
}

/// What this program adds to what INFO tells.
fn facts(metrics: Option<SocketAddr>) -> impl Iterator<Item = Fact> {
    let program = std::env::current_exe().unwrap_or_default();
    let metrics = metrics.map(|address| Fact::new(Section::Server, "metrics_address", address));
    let facts = [
        Fact::new(Section::Server, "executable", program.display()),
        Fact::new(Section::Memory, "mem_allocator", allocator::name()),
    ];
    facts.into_iter().chain(metrics)
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
