//! The guide's load profiles, from light to extreme: requests come by the clock.

use super::mebibytes;
use crate::bench::lab::{Case, Lab};
use crate::bench::plan::Plan;
use crate::bench::suite::{Part, Table, Target, number};
use crate::bench::workload::Mix;

struct Profile {
    name: &'static str,
    /// Requests a second; the last one takes what it gets.
    rate: Option<f64>,
    clients: u32,
    workers: u32,
}

const PROFILES: [Profile; 4] = [
    Profile {
        name: "light",
        rate: Some(1_000.0),
        clients: 100,
        workers: 50,
    },
    Profile {
        name: "medium",
        rate: Some(10_000.0),
        clients: 500,
        workers: 100,
    },
    Profile {
        name: "high",
        rate: Some(50_000.0),
        clients: 2_000,
        workers: 200,
    },
    Profile {
        name: "extreme",
        rate: None,
        clients: 5_000,
        workers: 500,
    },
];

pub(in crate::bench::suite) fn run(lab: &Lab) -> Result<Part, String> {
    let mut servers = Vec::new();
    for profile in &PROFILES {
        servers.push(lab.server(profile.name, &["--workers", &profile.workers.to_string()])?);
    }
    let cases: Vec<Case<'_>> = servers
        .iter()
        .zip(&PROFILES)
        .map(|(server, profile)| Case {
            server,
            plan: Plan {
                rate: profile.rate,
                clients: profile.clients,
                ..lab.plan(Mix::sets_to_gets(1, 9), lab.seconds(2.0))
            },
        })
        .collect();
    let results = lab.measure(&cases)?;

    let mut part = Part {
        title: "Load profiles".into(),
        about: "One SET to nine GETs. Requests come by the clock, so that latencies count from when a request was due; the \
                extreme profile sends as fast as replies come."
            .into(),
        ..Part::default()
    };
    let mut table = Table::new(
        "",
        &[
            "profile",
            "connections",
            "workers",
            "wanted/s",
            "reached/s",
            "mean, µs",
            "P95, µs",
            "P99, µs",
            "P99.9, µs",
            "server's cores",
            "MiB",
        ],
    );
    for (profile, rounds) in PROFILES.iter().zip(&results) {
        table.rows.push(vec![
            profile.name.to_owned(),
            number(profile.clients.into()),
            profile.workers.to_string(),
            profile.rate.map_or("all".into(), number),
            number(rounds.median(|point| point.per_second)),
            number(rounds.median(|point| point.mean)),
            number(rounds.median(|point| point.p95)),
            number(rounds.median(|point| point.p99)),
            number(rounds.median(|point| point.p999)),
            format!("{:.2}", rounds.median(|point| point.cores)),
            mebibytes(rounds),
        ]);
        if let Some(rate) = profile.rate {
            let what = format!("profile {}, P99", profile.name);
            let p99 = rounds.median(|point| point.p99) / 1000.0;
            part.targets.push(Target::below(&what, 5.0, p99, " ms"));
            let unsent = rounds.sum(|point| point.unsent);
            if unsent > 0 {
                part.notes.push(format!(
                    "{}: of {} requests a second some were never sent ({unsent} in all): no connection was free.",
                    profile.name,
                    number(rate)
                ));
            }
        }
    }
    part.tables.push(table);
    Ok(part)
}
