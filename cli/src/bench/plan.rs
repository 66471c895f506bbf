//! What to measure, once the command line is understood.

use core::time::Duration;

use ant_cache_runtime_std::client::Address;

use super::keys::Distribution;
use super::values::{Sizes, Ttl};
use super::wire::Dialect;
use super::workload::{Mix, Op};

/// Tests against one server, all under the same conditions.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) address: Address,
    pub(super) password: Option<String>,
    pub(super) dialect: Dialect,
    pub(super) clients: u32,
    pub(super) threads: u32,
    /// Requests that a connection sends in one batch.
    pub(super) pipeline: u64,
    /// Requests a second, sent by the clock; without it, each connection sends when it has its reply.
    pub(super) rate: Option<f64>,
    pub(super) length: Length,
    pub(super) warmup: Duration,
    /// The tests in their order.
    pub(super) mixes: Vec<Mix>,
    pub(super) keys: u64,
    pub(super) distribution: Distribution,
    pub(super) sizes: Sizes,
    pub(super) ttl: Option<Ttl>,
    pub(super) prefill: bool,
    pub(super) allow_misses: bool,
    pub(super) verify: bool,
    /// A reply that takes longer counts as timed out.
    pub(super) timeout: Duration,
    /// Where no reply at all comes for so long, the server is given up.
    pub(super) patience: Duration,
    pub(super) seed: u64,
    pub(super) server_pid: Option<u32>,
    /// Whether to show on standard error how it goes.
    pub(super) progress: bool,
}

/// How long a test is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Length {
    Ops(u64),
    Time(Duration),
}

impl Plan {
    pub(super) const CLIENTS: u32 = 100;
    pub(super) const OPS: u64 = 100_000;
    pub(super) const KEYS: u64 = 100_000;
    pub(super) const VALUE_SIZE: u32 = 16;

    /// The same as the command line without any flag, at this address.
    pub(super) fn new(address: Address, mixes: Vec<Mix>) -> Self {
        Self {
            address,
            password: None,
            dialect: Dialect::Resp,
            clients: Self::CLIENTS,
            threads: 1,
            pipeline: 1,
            rate: None,
            length: Length::Ops(Self::OPS),
            warmup: Duration::from_millis(500),
            mixes,
            keys: Self::KEYS,
            distribution: Distribution::Uniform,
            sizes: Sizes::of(Self::VALUE_SIZE),
            ttl: None,
            prefill: false,
            allow_misses: false,
            verify: true,
            timeout: Duration::from_secs(10),
            patience: Duration::from_secs(10),
            seed: 1,
            server_pid: None,
            progress: false,
        }
    }

    /// # Errors
    /// What does not go together.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.threads > self.clients {
            return Err("--threads cannot be more than --clients".into());
        }
        let dialect = self.dialect.name();
        if self.password.is_some() && !self.dialect.has(Op::Auth) {
            return Err(format!("--dialect {dialect} has no password"));
        }
        let mut ops = self.mixes.iter().flat_map(Mix::ops);
        if let Some(op) = ops.find(|&op| !self.dialect.has(op)) {
            return Err(format!("--dialect {dialect} has no {}", op.name()));
        }
        Ok(())
    }

    /// Whether a missing key is a wrong reply: all were set, and none may go.
    pub(super) fn must_hit(&self) -> bool {
        self.prefill && !self.allow_misses && self.ttl.is_none()
    }
}
