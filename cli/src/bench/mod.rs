//! `ant-cache-cli bench`: a load generator that checks every reply.
//!
//! [`workload`] says what is asked for, [`wire`] how it goes over the wire and which reply must come; an
//! [`engine::Engine`] drives the [`connection`]s of one thread, [`measure`] runs all threads through the phases of
//! each test, and [`report`] prints what came out.

mod args;
mod connection;
mod engine;
mod measure;
mod random;
mod report;
mod sample;
mod target;
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
    let outcome = match args.tests().and_then(|tests| measure::run(args, &tests)) {
        Ok(outcome) => outcome,
        Err(error) => {
            eprintln!("ant-cache-cli bench: {error}");
            return ExitCode::from(UNUSABLE);
        }
    };
    let mut text = String::new();
    if args.json {
        text = format!("{:#}\n", report::json(args, &outcome));
    } else if !outcome.tests.is_empty() {
        text = report::table(args, &outcome);
    }
    if let Err(error) = io::stdout().write_all(text.as_bytes()) {
        eprintln!("ant-cache-cli bench: the results cannot be printed: {error}");
        return ExitCode::from(FAILED);
    }
    if let Some(failure) = &outcome.failure {
        eprintln!("ant-cache-cli bench: {}: {failure}", args.address());
    }
    if outcome.is_clean() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FAILED)
    }
}
