//! The command line of `bench`.

use core::time::Duration;
use std::io::{self, IsTerminal};
use std::path::PathBuf;

use crate::seconds::seconds;
use crate::server::Server;

use super::keys::Distribution;
use super::plan::{Length, Plan};
use super::report::Format;
use super::suite::{Options, Suite};
use super::values::{Sizes, Ttl};
use super::wire::Dialect;
use super::workload::{Mix, Op};

/// Measures a server under load. Every reply is checked.
///
/// Without --rate the loop is closed: each connection sends a batch, waits for all its replies, and sends the next. With
/// --rate it is open: requests are due by the clock, whatever the server does, and latencies count from when a request
/// was due, so that a server that stalls cannot hide it by holding the load back.
///
/// Exit status: 0 if all was right, 1 if a reply was wrong or the server failed during the run (what was measured until
/// then is printed and marked), 2 if the run could not begin.
#[derive(Clone, Debug, clap::Args)]
#[command(disable_help_flag = true, args_override_self = true)]
pub(crate) struct Args {
    #[command(flatten)]
    server: Server,
    /// Protocol to speak.
    #[arg(long, value_enum, default_value_t = Dialect::Resp)]
    dialect: Dialect,
    /// Connections.
    #[arg(short, long, default_value_t = Plan::CLIENTS, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    clients: u32,
    /// Threads that the connections are dealt out to.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: u32,
    /// Requests of each test.
    #[arg(
        short = 'n', long, default_value_t = Plan::OPS, conflicts_with = "duration",
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    ops: u64,
    /// Seconds of each test, instead of a number of requests.
    #[arg(long, value_name = "SECONDS", value_parser = some_seconds)]
    duration: Option<Duration>,
    /// Requests a second, sent by the clock (open loop).
    #[arg(long, value_name = "OPS/S", value_parser = rate)]
    rate: Option<f64>,
    /// Seconds of load before each test that are not counted.
    #[arg(long, value_name = "SECONDS", default_value = "0.5", value_parser = seconds)]
    warmup: Duration,
    /// Requests that each connection sends in one batch.
    #[arg(short = 'P', long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pipeline: u64,
    /// Tests to run one after the other: ping, set, get, setnx, sets and setx (5 elements or fields each), incr, mset and
    /// mget (10 keys each).
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
        short = 'r', long, default_value_t = Plan::KEYS,
        value_parser = clap::value_parser!(u64).range(1..=999_999_999_999)
    )]
    keys: u64,
    /// How keys are drawn: uniform, zipf, zipf:EXPONENT, sequential, hot, or hot:KEYS:REQUESTS (percent of the keys that
    /// get so many percent of the requests; hot alone is hot:10:90).
    #[arg(long, default_value = "uniform")]
    distribution: Distribution,
    /// Bytes of each value: a number, a range such as 16-1024, or a list such as 16,64,1024. A key's value has the same
    /// size each time.
    #[arg(short = 'd', long, default_value_t = Sizes::of(Plan::VALUE_SIZE), value_name = "BYTES")]
    value_size: Sizes,
    /// Seconds that keys live, or a range such as 10-60. Given by set, setnx, sets and setx.
    #[arg(long, value_name = "SECONDS")]
    ttl: Option<Ttl>,
    /// Set every key before the first test, so that no GET may miss.
    #[arg(long)]
    prefill: bool,
    /// Do not take a miss after --prefill for a wrong reply: the server may evict. With --ttl this goes without saying.
    #[arg(long)]
    allow_misses: bool,
    /// Whether replies must have the right content. With --verify=false any reply that is no error is right: for data
    /// that something else has written.
    #[arg(
        long, value_name = "BOOL", default_value_t = true, default_missing_value = "true",
        num_args = 0..=1, require_equals = true, action = clap::ArgAction::Set
    )]
    verify: bool,
    /// Seconds after which a reply counts as timed out, and without any reply the server is given up.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    timeout: Duration,
    /// Seed of the random choice of keys.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Process whose processor time is measured; found out from a local server if it tells.
    #[arg(long, value_name = "PID")]
    server_pid: Option<u32>,
    /// Measure Ant-Cache as it is by default, and beside it every other server that is installed (redis-server,
    /// valkey-server, keydb-server, dragonfly, memcached), on spare ports with nothing kept on disk, in turn (A B A B).
    #[arg(long, conflicts_with_all = ["host", "port", "unix_socket", "dialect", "server_pid", "csv"])]
    peers: bool,
    /// Measure all that the performance guide shows, and write a report: seed for the original guide's tables and
    /// targets, full for more.
    #[arg(
        long, value_enum, value_name = "SUITE",
        conflicts_with_all = [
            "host", "port", "unix_socket", "dialect", "clients", "threads", "ops", "duration", "rate", "warmup",
            "pipeline", "test", "ratio", "keys", "distribution", "value_size", "ttl", "prefill", "allow_misses",
            "verify", "timeout", "seed", "server_pid", "peers", "format", "json", "csv",
        ]
    )]
    suite: Option<Suite>,
    /// Parts of the suite to measure; the report keeps the others as they were measured last.
    #[arg(long, requires = "suite", value_delimiter = ',', value_name = "PART,…")]
    only: Vec<String>,
    /// Folder of the report.
    #[arg(
        long,
        requires = "suite",
        default_value = "bench-results",
        value_name = "DIR"
    )]
    out: PathBuf,
    /// Document whose sections between <!-- measured PART --> and <!-- end --> are replaced; pictures go to img beside it.
    #[arg(long, requires = "suite", value_name = "FILE")]
    update: Option<PathBuf>,
    /// Measure so briefly that it shows only that all works.
    #[arg(long, requires = "suite")]
    quick: bool,
    /// Rounds of --peers or --suite: each measurement is made so often, and the median counts [default: 5 and 3].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: Option<u32>,
    /// How to print the results.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Print the results as JSON.
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Print the results as CSV: a line for each test, and for each operation of a mix.
    #[arg(long, conflicts_with_all = ["format", "json"])]
    csv: bool,
    /// Do not show on standard error how it goes; it is only shown at a terminal.
    #[arg(short, long)]
    quiet: bool,
}

/// A time of a test: with none nothing would be measured.
fn some_seconds(text: &str) -> Result<Duration, String> {
    seconds(text).and_then(|time| match time {
        Duration::ZERO => Err("nothing can be measured in no time".into()),
        time => Ok(time),
    })
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok();
    rate.filter(|rate| (0.001..=1e9).contains(rate))
        .ok_or_else(|| "not a number of requests a second from 0.001 to 1e9".into())
}

/// What is to be done.
#[derive(Clone, Debug)]
pub(super) enum Task {
    /// One server, in the plan, is measured.
    Server(Plan),
    /// Servers are started and measured beside each other, so many rounds.
    Peers(Plan, u32),
    Suite(Options),
}

impl Args {
    /// Rounds of a comparison.
    const ROUNDS: u32 = 5;

    /// # Errors
    /// What does not go together.
    pub(super) fn task(&self) -> Result<Task, String> {
        if let Some(suite) = self.suite {
            return Ok(Task::Suite(Options {
                suite,
                only: self.only.clone(),
                out: self.out.clone(),
                update: self.update.clone(),
                quick: self.quick,
                rounds: self.rounds,
                progress: self.progress(),
            }));
        }
        let plan = self.plan()?;
        match (self.peers, self.rounds) {
            (false, Some(_)) => Err("--rounds goes with --peers or --suite".into()),
            (false, None) => Ok(Task::Server(plan)),
            (true, _) if plan.mixes.len() > 1 => {
                Err("--peers compares one test: give --test or --ratio".into())
            }
            (true, rounds) => Ok(Task::Peers(plan, rounds.unwrap_or(Self::ROUNDS))),
        }
    }

    fn progress(&self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }

    pub(super) fn format(&self) -> Format {
        match (self.json, self.csv) {
            (true, _) => Format::Json,
            (_, true) => Format::Csv,
            _ => self.format,
        }
    }

    fn plan(&self) -> Result<Plan, String> {
        let mixes = match &self.ratio {
            Some(mix) => vec![mix.clone()],
            None => self.test.iter().map(|&op| Mix::only(op)).collect(),
        };
        let plan = Plan {
            address: self.server.address(),
            password: self.server.password(),
            dialect: self.dialect,
            clients: self.clients,
            threads: self.threads,
            pipeline: self.pipeline,
            rate: self.rate,
            length: self.duration.map_or(Length::Ops(self.ops), Length::Time),
            warmup: self.warmup,
            mixes,
            keys: self.keys,
            distribution: self.distribution,
            sizes: self.value_size.clone(),
            ttl: self.ttl,
            prefill: self.prefill,
            allow_misses: self.allow_misses,
            verify: self.verify,
            timeout: self.timeout,
            patience: self.timeout.max(Duration::from_millis(1)),
            seed: self.seed,
            server_pid: self.server_pid,
            progress: self.progress(),
        };
        plan.check()?;
        Ok(plan)
    }
}
