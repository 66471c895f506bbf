//! The run: threads that all do one phase after the other, with a look at the server's process around each test.

use core::num::NonZeroU64;
use core::sync::atomic::AtomicBool;
use core::time::Duration;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{Scope, scope};

use ant_cache_host::process::raise_file_limit;
use rustix::thread::set_current_timer_slack;

use super::engine::{Engine, Gauge};
use super::keys::Distribution;
use super::load::{Limit, Pace, Phase};
use super::plan::{Length, Plan};
use super::progress::{INTERVAL, Progress};
use super::sample::Sample;
use super::tally::Tally;
use super::target::Target;
use super::wire::{Contents, Wire};
use super::workload::{Mix, Op};

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
pub(super) fn run(plan: &Plan) -> Result<Outcome, String> {
    let address = &plan.address;
    let cannot = |error| format!("{address}: cannot connect: {error}");
    raise_file_limit();
    if let Some(pid) = plan.server_pid {
        Sample::of(pid).map_err(|error| format!("--server-pid {pid}: {error}"))?;
    }
    let target = Target::find(address, plan.patience).map_err(cannot)?;
    let password = plan.password.as_deref();
    // One that runs on another machine, or in another name space, is of no use.
    let pid = plan
        .server_pid
        .or_else(|| target.server_pid(plan.dialect, address, password))
        .filter(|&pid| Sample::of(pid).is_ok());

    let contents = Contents::new(plan.keys, plan.sizes.clone(), plan.ttl, password);
    let wire = Arc::new(Wire::new(plan.dialect, contents, plan.verify));
    let stop = Arc::new(AtomicBool::new(false));
    let threads = u64::from(plan.threads);
    let mut engines = Vec::new();
    for thread in 0..threads {
        let connections = share(u64::from(plan.clients), threads, thread) as usize;
        let (wire, stop) = (Arc::clone(&wire), Arc::clone(&stop));
        let seed = plan.seed.wrapping_mul(threads).wrapping_add(thread);
        let engine = Engine::connect(&target, connections, wire, seed, plan.patience, stop);
        engines.push(engine.map_err(cannot)?);
    }
    let gauges: Vec<Arc<Gauge>> = engines.iter().map(Engine::gauge).collect();
    Ok(scope(|scope| {
        let workers = engines
            .into_iter()
            .map(|engine| Worker::spawn(scope, engine))
            .collect();
        let crew = Crew { workers, gauges };
        Run { plan, crew, pid }.run()
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
    plan: &'a Plan,
    crew: Crew,
    pid: Option<u32>,
}

impl Run<'_> {
    fn run(&self) -> Outcome {
        let mut outcome = Outcome {
            tests: Vec::new(),
            failure: None,
            server_pid: self.pid,
        };
        outcome.failure = self.prepare().err();
        if outcome.failure.is_some() {
            return outcome;
        }
        for mix in &self.plan.mixes {
            if !self.plan.warmup.is_zero() {
                let warmed = self.load(mix, Length::Time(self.plan.warmup));
                if let Some(failure) = warmed.failure {
                    outcome.failure = Some(format!("during the warm-up of {mix}: {failure}"));
                    break;
                }
            }
            let before = self.sample();
            let tally = self.load(mix, self.plan.length);
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
            pace: Pace::Free,
            limit: Limit::Ops(0),
            must_hit: false,
        };
        if self.plan.password.is_some() {
            let clients = u64::from(self.plan.clients);
            must_be_clean(self.crew.run(
                |thread, threads| {
                    let limit = Limit::Ops(share(clients, threads, thread));
                    Phase {
                        limit,
                        ..phase.clone()
                    }
                },
                None,
            ))?;
        }
        if self.plan.prefill {
            let keys = self.plan.keys;
            let fill = |thread, threads| Phase {
                mix: Mix::only(Op::Set),
                first: share_start(keys, threads, thread),
                // Deep enough to be quick, and not so deep that large values pile up.
                pipeline: (64 << 10) / u64::from(self.plan.sizes.most()).clamp(1 << 10, 64 << 10),
                limit: Limit::Ops(share(keys, threads, thread)),
                ..phase.clone()
            };
            let length = Length::Ops(keys);
            let watch = || Progress::new("prefill".into(), length, &self.crew.gauges);
            let tally = self.crew.run(fill, self.plan.progress.then(watch));
            must_be_clean(tally).map_err(|failure| format!("during the prefill: {failure}"))?;
        }
        Ok(())
    }

    fn load(&self, mix: &Mix, length: Length) -> Tally {
        let plan = self.plan;
        let phase = |thread, threads| Phase {
            mix: mix.clone(),
            distribution: plan.distribution,
            first: share_start(plan.keys, threads, thread) % plan.keys,
            pipeline: plan.pipeline,
            pace: plan.rate.map_or(Pace::Free, |rate| {
                // Threads take turns.
                let batches = rate / plan.pipeline as f64;
                Pace::Open {
                    interval: Duration::from_secs_f64(threads as f64 / batches),
                    offset: Duration::from_secs_f64(thread as f64 / batches),
                }
            }),
            limit: match length {
                Length::Ops(ops) => Limit::Ops(share(ops, threads, thread)),
                Length::Time(duration) => Limit::Time(duration),
            },
            must_hit: plan.must_hit(),
        };
        let name = mix.to_string();
        let watch = || Progress::new(name, length, &self.crew.gauges);
        self.crew.run(phase, plan.progress.then(watch))
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
struct Crew {
    workers: Vec<Worker>,
    gauges: Vec<Arc<Gauge>>,
}

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
            // The kernel rounds timers up by 50 µs, which an open loop would measure. Where it may not be changed, the
            // lateness shows in the results.
            let _ = set_current_timer_slack(NonZeroU64::new(1));
            for phase in todo {
                if done.send(engine.run(&phase)).is_err() {
                    break;
                }
            }
        });
        Self { phases, tallies }
    }

    /// What the thread measured, while the line of progress is kept up to date.
    fn tally(&self, progress: &mut Option<Progress<'_>>) -> Tally {
        loop {
            let tally = match progress {
                Some(_) => self.tallies.recv_timeout(INTERVAL),
                None => self.tallies.recv().map_err(Into::into),
            };
            match (tally, &mut *progress) {
                (Ok(tally), _) => return tally,
                (Err(RecvTimeoutError::Timeout), Some(progress)) => progress.show(),
                (Err(_), _) => return Tally::failed("a thread of the load generator died"),
            }
        }
    }
}

impl Crew {
    /// Runs one phase in all threads (made for the thread's index and their number) and adds up what they measured.
    fn run(&self, phase: impl Fn(u64, u64) -> Phase, mut progress: Option<Progress<'_>>) -> Tally {
        let threads = self.workers.len() as u64;
        for (index, worker) in self.workers.iter().enumerate() {
            // A thread that has died shows below.
            let _ = worker.phases.send(phase(index as u64, threads));
        }
        let mut tallies = self
            .workers
            .iter()
            .map(|worker| worker.tally(&mut progress));
        let mut sum = tallies.next().unwrap_or_else(|| Tally::failed("no thread"));
        tallies.for_each(|tally| sum.add(tally));
        if let Some(progress) = progress {
            progress.clear();
        }
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
