//! The command line of `bench`.

use core::time::Duration;
use std::path::PathBuf;

use ant_cache_runtime_std::client::Address;

use crate::seconds::seconds;

use super::wire::Dialect;
use super::workload::{Distribution, Mix, Op};

/// Measures a server under closed-loop load: each connection sends a batch, waits for all its replies, and sends the
/// next. Every reply is checked. Exit status: 0 if all was right, 1 if a reply was wrong or the server failed during
/// the run (what was measured until then is printed and marked), 2 if the run could not begin.
#[derive(Clone, Debug, clap::Args)]
#[command(disable_help_flag = true, args_override_self = true)]
pub(crate) struct Args {
    /// Host of the server.
    #[arg(short = 'h', long, default_value = "127.0.0.1")]
    host: String,
    /// Port of the server.
    #[arg(short, long, default_value_t = Address::DEFAULT_PORT)]
    port: u16,
    /// Unix socket of the server, instead of host and port.
    #[arg(short = 's', long, value_name = "PATH")]
    unix_socket: Option<PathBuf>,
    /// Password of the server.
    #[arg(short = 'a', long, env = "ANT_CACHE_PASSWORD", hide_env_values = true)]
    pub(super) password: Option<String>,
    /// Protocol to speak.
    #[arg(long, value_enum, default_value_t = Dialect::Resp)]
    pub(super) dialect: Dialect,
    /// Connections.
    #[arg(short, long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(super) clients: u32,
    /// Threads that the connections are dealt out to.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(super) threads: u32,
    /// Requests of each test.
    #[arg(
        short = 'n', long, default_value_t = 100_000, conflicts_with = "duration",
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    ops: u64,
    /// Seconds of each test, instead of a number of requests.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    duration: Option<Duration>,
    /// Seconds of load before each test that are not counted.
    #[arg(long, value_name = "SECONDS", default_value = "0.5", value_parser = seconds)]
    pub(super) warmup: Duration,
    /// Requests that each connection sends in one batch.
    #[arg(short = 'P', long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(super) pipeline: u64,
    /// Tests to run one after the other: ping, set, get, incr, mset, mget (the last two with 10 keys each).
    #[arg(
        short,
        long,
        value_delimiter = ',',
        default_value = "set,get",
        value_name = "OP,…"
    )]
    test: Vec<Op>,
    /// One test that mixes SET and GET, such as 1:9, instead of --test.
    #[arg(long, conflicts_with = "test", value_name = "SETS:GETS")]
    ratio: Option<Mix>,
    /// Number of keys.
    #[arg(
        short = 'r', long, default_value_t = 100_000,
        value_parser = clap::value_parser!(u64).range(1..=999_999_999_999)
    )]
    pub(super) keys: u64,
    /// How keys are drawn: uniform, zipf, zipf:EXPONENT or sequential.
    #[arg(long, default_value = "uniform")]
    pub(super) distribution: Distribution,
    /// Bytes of each value.
    #[arg(short = 'd', long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=64 << 20))]
    pub(super) value_size: u32,
    /// Set every key before the first test, so that no GET may miss.
    #[arg(long)]
    pub(super) prefill: bool,
    /// Do not take a miss after --prefill for a wrong reply: the server may evict.
    #[arg(long)]
    pub(super) allow_misses: bool,
    /// Seconds without any reply after which the server is given up.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub(super) timeout: Duration,
    /// Seed of the random choice of keys.
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
    /// Process whose processor time is measured; found out from a local server if it tells.
    #[arg(long, value_name = "PID")]
    pub(super) server_pid: Option<u32>,
    /// Print the results as JSON.
    #[arg(long)]
    pub(super) json: bool,
    /// Print help.
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,
}

/// How long a test is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Length {
    Ops(u64),
    Time(Duration),
}

impl Args {
    pub(super) fn address(&self) -> Address {
        match &self.unix_socket {
            Some(path) => Address::Unix(path.clone()),
            None => Address::Tcp {
                host: self.host.clone(),
                port: self.port,
            },
        }
    }

    pub(super) fn length(&self) -> Length {
        self.duration.map_or(Length::Ops(self.ops), Length::Time)
    }

    /// The tests in their order.
    ///
    /// # Errors
    /// What does not go together.
    pub(super) fn tests(&self) -> Result<Vec<Mix>, String> {
        if self.threads > self.clients {
            return Err("--threads cannot be more than --clients".into());
        }
        if self.password.is_some() && !self.dialect.has(Op::Auth) {
            return Err(format!("--dialect {} has no password", self.dialect.name()));
        }
        let mixes = match &self.ratio {
            Some(mix) => vec![mix.clone()],
            None => self.test.iter().map(|&op| Mix::only(op)).collect(),
        };
        for op in mixes.iter().flat_map(Mix::ops) {
            if !self.dialect.has(op) {
                return Err(format!(
                    "--dialect {} has no {}",
                    self.dialect.name(),
                    op.name()
                ));
            }
        }
        Ok(mixes)
    }
}
