//! `ant-cache-cli doctor`: whether this machine lets a server be fast, and what to change where it does not.
//!
//! [`facts`] reads what the kernel tells, [`rules`] judges it.

mod facts;
mod rules;

use core::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value, json};

use facts::Facts;
use rules::{Finding, Needs, Verdict, examine};

/// Reads this machine's limits and settings, and says what to change for a server, and why. It changes nothing.
///
/// Exit status: 0 if a server runs well here, 1 if there is a problem (with --strict: anything to change), 2 if the
/// settings cannot be read.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Process whose limits and control groups are looked at, such as a running server; without it, those that a server
    /// started here would have.
    #[arg(long, value_name = "PID")]
    pid: Option<u32>,
    /// Connections that the server shall have at the same time.
    #[arg(
        long, value_name = "N", default_value_t = 10_000,
        value_parser = clap::value_parser!(u64).range(1..=1_000_000)
    )]
    connections: u64,
    /// Take advice for a problem, too.
    #[arg(long)]
    strict: bool,
    /// Print the findings as JSON.
    #[arg(long)]
    json: bool,
}

/// Something is to be changed.
const SICK: u8 = 1;
/// Nothing can be said.
const UNUSABLE: u8 = 2;

/// Examines the machine and prints what was found.
pub(crate) fn run(args: &Args) -> ExitCode {
    let process = args.pid.map_or("self".to_owned(), |pid| pid.to_string());
    let facts = match Facts::read(Path::new("/"), &process) {
        Ok(facts) => facts,
        Err(error) => {
            eprintln!(
                "ant-cache-cli doctor: the limits of process {process} cannot be read: {error}"
            );
            return ExitCode::from(UNUSABLE);
        }
    };
    let needs = Needs {
        connections: args.connections,
    };
    let findings = examine(&facts, needs);
    let text = if args.json {
        format!("{:#}\n", json(&findings))
    } else {
        report(&findings)
    };
    if let Err(error) = io::stdout().write_all(text.as_bytes()) {
        eprintln!("ant-cache-cli doctor: the findings cannot be printed: {error}");
        return ExitCode::from(UNUSABLE);
    }
    let tolerated = if args.strict {
        Verdict::Unknown
    } else {
        Verdict::Advice
    };
    if worst(&findings) > tolerated {
        ExitCode::from(SICK)
    } else {
        ExitCode::SUCCESS
    }
}

fn worst(findings: &[Finding]) -> Verdict {
    let verdicts = findings.iter().map(|finding| finding.verdict);
    verdicts.max().unwrap_or(Verdict::Good)
}

fn label(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Good => "ok",
        Verdict::Unknown => "unknown",
        Verdict::Advice => "advice",
        Verdict::Problem => "problem",
    }
}

/// The findings for people: a line each, with what to do and why below those that should change.
fn report(findings: &[Finding]) -> String {
    let width = |of: fn(&Finding) -> &str| {
        let widths = findings.iter().map(|finding| of(finding).chars().count());
        widths.max().unwrap_or(0)
    };
    let (names, values) = (
        width(|finding| finding.name),
        width(|finding| &finding.value),
    );
    let mut out = String::new();
    for finding in findings {
        let _ = writeln!(
            out,
            "{:<7}  {:<names$}  {:<values$}  want: {}",
            label(finding.verdict),
            finding.name,
            finding.value,
            finding.wanted
        );
        if let Some(change) = &finding.change {
            let _ = writeln!(out, "         why: {}\n         do:  {change}", finding.why);
        }
    }
    let count = |verdict| findings.iter().filter(|it| it.verdict == verdict).count();
    let _ = writeln!(
        out,
        "{} problems, {} to improve, {} unknown, {} ok",
        count(Verdict::Problem),
        count(Verdict::Advice),
        count(Verdict::Unknown),
        count(Verdict::Good)
    );
    out
}

fn json(findings: &[Finding]) -> Value {
    let list: Vec<Value> = findings
        .iter()
        .map(|finding| {
            json!({
                "name": finding.name,
                "verdict": label(finding.verdict),
                "value": finding.value,
                "wanted": finding.wanted,
                "why": finding.why,
                "change": finding.change,
            })
        })
        .collect();
    json!({ "verdict": label(worst(findings)), "findings": list })
}
