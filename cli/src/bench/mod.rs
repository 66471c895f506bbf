//! `ant-cache-cli bench`: a load generator that checks every reply.
//!
//! A [`plan::Plan`] says what to measure. [`workload`], [`keys`] and [`values`] are what is asked for, [`wire`] is how it
//! goes over the wire and which reply must come, [`load`] when it is due. An [`engine::Engine`] drives the
//! [`connection`]s of one thread, [`measure`] runs all threads through the phases of each test, and [`report`] prints what
//! came out.
//!
//! Above that, a [`lab`] starts servers and measures them in turn, a [`suite`] is a list of such measurements, and
//! [`render`] makes pages, documents and pictures of what they found.

mod args;
mod connection;
mod engine;
mod interrupt;
mod keys;
mod lab;
mod load;
mod measure;
mod plan;
mod progress;
mod random;
mod render;
mod report;
mod sample;
mod suite;
mod tally;
mod target;
mod timeline;
mod values;
mod wire;
mod workload;

use std::io::{self, Write};
use std::process::ExitCode;

pub(crate) use args::Args;
use args::Task;
use lab::Lab;
use plan::Plan;
use report::Format;

/// Some reply was wrong, or the server failed during the run.
const FAILED: u8 = 1;
/// The run could not begin.
const UNUSABLE: u8 = 2;

/// Runs the tests and prints their results.
pub(crate) fn run(args: &Args) -> ExitCode {
    let done = interrupt::watch()
        .map_err(|error| format!("signals cannot be watched: {error}"))
        .and_then(|()| args.task())
        .and_then(|task| match task {
            Task::Server(plan) => measure_server(&plan, args.format()),
            Task::Peers(plan, rounds) => measure_peers(&plan, rounds, args.format()),
            Task::Suite(options) => measure_suite(&options),
        });
    let (text, clean) = match done {
        Ok(done) => done,
        Err(error) => {
            complain(&error);
            return ExitCode::from(UNUSABLE);
        }
    };
    if let Err(error) = io::stdout().write_all(text.as_bytes()) {
        complain(&format!("the results cannot be printed: {error}"));
        return ExitCode::from(FAILED);
    }
    if clean {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FAILED)
    }
}

fn complain(message: &str) {
    eprintln!("ant-cache-cli bench: {message}");
}

/// What to print, and whether all was right.
type Done = Result<(String, bool), String>;

fn measure_server(plan: &Plan, format: Format) -> Done {
    let outcome = measure::run(plan)?;
    if let Some(failure) = &outcome.failure {
        complain(&format!("{}: {failure}", plan.address));
    }
    Ok((report::render(plan, &outcome, format), outcome.is_clean()))
}

fn measure_peers(plan: &Plan, rounds: u32, format: Format) -> Done {
    let lab = Lab::new(rounds, false, plan.progress)?;
    let comparison = suite::compare(&lab, plan)?;
    for left_out in &comparison.left_out {
        complain(&format!("left out: {left_out}"));
    }
    let text = if format == Format::Json {
        format!("{:#}\n", comparison.json(&lab))
    } else {
        comparison.text(&lab)
    };
    Ok((text, comparison.errors() == 0))
}

fn measure_suite(options: &suite::Options) -> Done {
    let report = suite::run(options)?;
    Ok((report.text(), report.failed.is_empty()))
}
