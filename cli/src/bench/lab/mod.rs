//! Where servers are started and measured in turn.

mod cores;
mod point;
mod server;

use std::fs;

use super::interrupt::interrupted;
use super::measure::{self, TestResult};
use super::plan::Plan;

pub(super) use cores::Cores;
pub(super) use point::{Point, Rounds};
pub(super) use server::{Peer, Server};

/// The place of all measurements of a run.
#[derive(Debug)]
pub(super) struct Lab {
    /// The machine, in a line.
    pub(super) machine: String,
    pub(super) cores: Cores,
    /// How often each measurement is made.
    pub(super) rounds: u32,
    /// Whether figures need not be good: to see that all works.
    pub(super) quick: bool,
    /// Whether to show how it goes.
    pub(super) progress: bool,
}

/// A test of a server.
#[derive(Debug)]
pub(super) struct Case<'a> {
    pub(super) server: &'a Server,
    /// With one test. The server's own address and process are filled in.
    pub(super) plan: Plan,
}

impl Lab {
    /// # Errors
    /// Where the system does not tell which cores there are.
    pub(super) fn new(rounds: u32, quick: bool, progress: bool) -> Result<Self, String> {
        Ok(Self {
            // As long as this thread may use all cores.
            machine: machine(),
            cores: Cores::divide().map_err(|error| format!("the cores are not known: {error}"))?,
            rounds,
            quick,
            progress,
        })
    }

    /// Measures all cases in turn, round after round (A B A B), so that whatever else the machine does hits them alike.
    ///
    /// # Errors
    /// What ended it: a server that failed, or the user.
    pub(super) fn measure(&self, cases: &[Case<'_>]) -> Result<Vec<Rounds>, String> {
        let mut all = vec![Rounds::default(); cases.len()];
        for round in 1..=self.rounds {
            for (case, rounds) in cases.iter().zip(&mut all) {
                if self.progress {
                    eprint!(
                        "\rround {round} of {}: {}\x1b[K",
                        self.rounds, case.server.name
                    );
                }
                let (test, plan) = self.once(case)?;
                rounds.0.push(Point::of(&test, &plan));
            }
        }
        if self.progress {
            eprint!("\r\x1b[K");
        }
        Ok(all)
    }

    /// One measurement, with the plan that was followed.
    ///
    /// # Errors
    /// What ended it.
    pub(super) fn once(&self, case: &Case<'_>) -> Result<(TestResult, Plan), String> {
        let server = case.server;
        if interrupted() {
            return Err("interrupted".into());
        }
        let plan = Plan {
            address: server.address(),
            dialect: server.dialect,
            server_pid: Some(server.pid()),
            progress: false,
            ..case.plan.clone()
        };
        let failed = |reason: &str| format!("{}: {reason}", server.name);
        let mut outcome = measure::run(&plan).map_err(|error| failed(&error))?;
        if let Some(failure) = &outcome.failure {
            return Err(failed(failure));
        }
        let test = outcome
            .tests
            .pop()
            .ok_or_else(|| failed("nothing was measured"))?;
        match &test.tally.failure {
            Some(failure) => Err(failed(failure)),
            None => Ok((test, plan)),
        }
    }
}

/// The machine, in a line.
fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = ant_cache_host::process::physical_memory() >> 30;
    let system = rustix::system::uname();
    format!(
        "{model}, {cores} cores, {memory} GiB, {} {}",
        system.sysname().to_string_lossy(),
        system.release().to_string_lossy()
    )
}
