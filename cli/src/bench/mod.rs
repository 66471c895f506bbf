//! `ant-cache-cli bench`: a load generator that checks every reply.
//!
//! [`workload`] says what is asked for, [`wire`] how it goes over the wire and which reply must come; an
//! [`engine::Engine`] drives the [`connection`]s of one thread, [`measure`] runs all threads through the phases of
//! each test, and [`report`] prints what came out.

mod args;
mod connection;
mod engine;
mod interrupt;
mod keys;
mod load;
mod measure;
mod plan;
mod progress;
mod random;
mod report;
mod sample;
mod tally;
mod target;
mod timeline;
mod values;
mod wire;
mod workload;

use std::io::{self, Write};
use std::process::ExitCode;

pub(crate) use args::Args;

/// Some reply was wrong, or the server failed during the run.
const FAILED: u8 = 1;
/// The run could not begin.
const UNUSABLE: u8 = 2;

/// Runs the tests and prints their results.
pub(crate) fn run(args: &Args) -> ExitCode {
    if let Err(error) = interrupt::watch() {
        eprintln!("ant-cache-cli bench: signals cannot be watched: {error}");
        return ExitCode::from(UNUSABLE);
    }
    let plan = args.plan();
    let ran = plan.and_then(|plan| measure::run(&plan).map(|outcome| (plan, outcome)));
    let (plan, outcome) = match ran {
        Ok(ran) => ran,
        Err(error) => {
            eprintln!("ant-cache-cli bench: {error}");
            return ExitCode::from(UNUSABLE);
        }
    };
    let text = report::render(&plan, &outcome, args.format());
    if let Err(error) = io::stdout().write_all(text.as_bytes()) {
        eprintln!("ant-cache-cli bench: the results cannot be printed: {error}");
        return ExitCode::from(FAILED);
    }
    if let Some(failure) = &outcome.failure {
        eprintln!("ant-cache-cli bench: {}: {failure}", plan.address);
    }
    if outcome.is_clean() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FAILED)
    }
}
