//! The run: threads that all do one phase after the other, with a look at the server's process around each test.

use core::sync::atomic::AtomicBool;
use core::time::Duration;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Scope, scope};

use ant_cache_host::process::raise_file_limit;

use super::args::{Args, Length};
use super::engine::{Engine, Limit, Phase, Tally};
use super::sample::Sample;
use super::target::Target;
use super::wire::Wire;
use super::workload::{Distribution, Mix, Op};

/// All that was measured.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) tests: Vec<TestResult>,
    /// Why the run ended early, if not during a test.
    pub(super) failure: Option<String>,
    pub(super) server_pid: Option<u32>,
}

/// One test.
#[derive(Debug)]
pub(super) struct TestResult {
    pub(super) mix: Mix,
    pub(super) tally: Tally,
    pub(super) server: Option<ServerUse>,
}

/// What a test cost the server.
#[derive(Clone, Copy, Debug)]
pub(super) struct ServerUse {
    pub(super) cpu: Duration,
    /// Resident memory at the end, in bytes.
    pub(super) rss: u64,
}

impl Outcome {
    /// Whether every request of every test got its right reply.
    pub(super) fn is_clean(&self) -> bool {
        let clean = |test: &TestResult| test.tally.errors == 0 && test.tally.failure.is_none();
        self.failure.is_none() && self.tests.iter().all(clean)
    }
}

/// Connects and runs all tests.
///
/// # Errors
/// Why the run could not begin.
pub(super) fn run(args: &Args, tests: &[Mix]) -> Result<Outcome, String> {
    let address = args.address();
    let cannot = |error| format!("{address}: cannot connect: {error}");
    raise_file_limit();
    let patience = args.timeout.max(Duration::from_millis(1));
    if let Some(pid) = args.server_pid {
        Sample::of(pid).map_err(|error| format!("--server-pid {pid}: {error}"))?;
    }
    let target = Target::find(&address, patience).map_err(cannot)?;
    let ask = || target.server_pid(args.dialect, &address, args.password.as_deref());
    // One that runs on another machine, or in another name space, is of no use.
    let pid = args
        .server_pid
        .or_else(ask)
        .filter(|&pid| Sample::of(pid).is_ok());

    let password = args.password.as_deref();
    let wire = Arc::new(Wire::new(
        args.dialect,
        args.keys,
        args.value_size as usize,
        password,
    ));
    let stop = Arc::new(AtomicBool::new(false));
    let threads = u64::from(args.threads);
    let mut engines = Vec::new();
    for thread in 0..threads {
        let connections = share(u64::from(args.clients), threads, thread) as usize;
        let (wire, stop) = (Arc::clone(&wire), Arc::clone(&stop));
        let seed = args.seed.wrapping_mul(threads).wrapping_add(thread);
        engines.push(
            Engine::connect(&target, connections, wire, seed, patience, stop).map_err(cannot)?,
        );
    }
    Ok(scope(|scope| {
        let crew = engines
            .into_iter()
            .map(|engine| Worker::spawn(scope, engine))
            .collect();
        Run {
            args,
            crew: Crew(crew),
            pid,
        }
        .run(tests)
    }))
}

/// The part of `all` that falls to thread `index` of `threads`.
fn share(all: u64, threads: u64, index: u64) -> u64 {
    all / threads + u64::from(index < all % threads)
}

/// The sum of the parts of all threads before `index`.
fn share_start(all: u64, threads: u64, index: u64) -> u64 {
    all / threads * index + index.min(all % threads)
}

struct Run<'a> {
    args: &'a Args,
    crew: Crew,
    pid: Option<u32>,
}

impl Run<'_> {
    fn run(&self, tests: &[Mix]) -> Outcome {
        let mut outcome = Outcome {
            tests: Vec::new(),
            failure: None,
            server_pid: self.pid,
        };
        outcome.failure = self.prepare().err();
        if outcome.failure.is_some() {
            return outcome;
        }
        for mix in tests {
            if !self.args.warmup.is_zero() {
                let warmed = self.load(mix, Length::Time(self.args.warmup));
                if let Some(failure) = warmed.failure {
                    outcome.failure = Some(format!("during the warm-up of {mix}: {failure}"));
                    break;
                }
            }
            let before = self.sample();
            let tally = self.load(mix, self.args.length());
            let server = before.zip(self.sample()).map(|(before, after)| ServerUse {
                cpu: after.cpu.saturating_sub(before.cpu),
                rss: after.rss,
            });
            let failed = tally.failure.is_some();
            outcome.tests.push(TestResult {
                mix: mix.clone(),
                tally,
                server,
            });
            if failed {
                break;
            }
        }
        outcome
    }

    /// Authenticates all connections and sets all keys.
    fn prepare(&self) -> Result<(), String> {
        let phase = Phase {
            mix: Mix::only(Op::Auth),
            distribution: Distribution::Sequential,
            first: 0,
            pipeline: 1,
            limit: Limit::Ops(0),
            must_hit: false,
        };
        if self.args.password.is_some() {
            let clients = u64::from(self.args.clients);
            must_be_clean(self.crew.run(|thread, threads| {
                let limit = Limit::Ops(share(clients, threads, thread));
                Phase {
                    limit,
                    ..phase.clone()
                }
            }))?;
        }
        if self.args.prefill {
            let keys = self.args.keys;
            let tally = self.crew.run(|thread, threads| Phase {
                mix: Mix::only(Op::Set),
                first: share_start(keys, threads, thread),
                // Deep enough to be quick, and not so deep that large values pile up.
                pipeline: (64 << 10) / u64::from(self.args.value_size).clamp(1 << 10, 64 << 10),
                limit: Limit::Ops(share(keys, threads, thread)),
                ..phase.clone()
            });
            must_be_clean(tally).map_err(|failure| format!("during the prefill: {failure}"))?;
        }
        Ok(())
    }

    fn load(&self, mix: &Mix, length: Length) -> Tally {
        let args = self.args;
        self.crew.run(|thread, threads| Phase {
            mix: mix.clone(),
            distribution: args.distribution,
            first: share_start(args.keys, threads, thread) % args.keys,
            pipeline: args.pipeline,
            limit: match length {
                Length::Ops(ops) => Limit::Ops(share(ops, threads, thread)),
                Length::Time(duration) => Limit::Time(duration),
            },
            must_hit: args.prefill && !args.allow_misses,
        })
    }

    fn sample(&self) -> Option<Sample> {
        Sample::of(self.pid?).ok()
    }
}

fn must_be_clean(tally: Tally) -> Result<(), String> {
    match (tally.failure, tally.example) {
        (None, None) => Ok(()),
        (Some(failure), _) => Err(failure),
        (None, Some(example)) => Err(example),
    }
}

/// All threads of load.
struct Crew(Vec<Worker>);

/// One thread of load, which does what it is sent.
struct Worker {
    phases: Sender<Phase>,
    tallies: Receiver<Tally>,
}

impl Worker {
    /// The thread ends when its worker is dropped.
    fn spawn<'scope>(scope: &'scope Scope<'scope, '_>, mut engine: Engine) -> Self {
        let (phases, todo) = channel::<Phase>();
        let (done, tallies) = channel();
        scope.spawn(move || {
            for phase in todo {
                if done.send(engine.run(&phase)).is_err() {
                    break;
                }
            }
        });
        Self { phases, tallies }
    }
}

impl Crew {
    /// Runs one phase in all threads (made for the thread's index and their number) and adds up what they measured.
    fn run(&self, phase: impl Fn(u64, u64) -> Phase) -> Tally {
        let threads = self.0.len() as u64;
        for (index, worker) in self.0.iter().enumerate() {
            // A thread that has died shows below.
            let _ = worker.phases.send(phase(index as u64, threads));
        }
        let mut tallies = self.0.iter().map(|worker| {
            let died = "a thread of the load generator died";
            worker
                .tallies
                .recv()
                .unwrap_or_else(|_| Tally::failed(died))
        });
        let mut sum = tallies.next().unwrap_or_else(|| Tally::failed("no thread"));
        tallies.for_each(|tally| sum.add(tally));
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_cover_everything_once() {
        for all in [0, 1, 7, 100] {
            for threads in [1, 2, 3, 8] {
                let mut next = 0;
                for index in 0..threads {
                    assert_eq!(share_start(all, threads, index), next);
                    next += share(all, threads, index);
                }
                assert_eq!(next, all);
            }
        }
    }
}
