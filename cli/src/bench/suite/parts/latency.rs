//! Latencies at parts of what the server can do, by the clock.

use super::STD_POOLED;
use crate::bench::lab::{Case, Lab, Point};
use crate::bench::measure::TestResult;
use crate::bench::plan::Plan;
use crate::bench::suite::{Axis, Part, Plot, Scale, Series, Table, number};
use crate::bench::workload::Mix;

/// Of the throughput that a closed loop reaches.
const PARTS: [f64; 4] = [0.2, 0.5, 0.7, 0.9];
/// The one whose course is shown.
const SHOWN: f64 = 0.5;

pub(in crate::bench::suite) fn run(lab: &Lab) -> Result<Part, String> {
    let server = lab.server("std pooled", STD_POOLED)?;
    let mix = Mix::sets_to_gets(1, 9);
    let closed = Case {
        server: &server,
        plan: lab.plan(mix.clone(), lab.seconds(1.0)),
    };
    let (test, plan) = lab.once(&closed)?;
    let most = Point::of(&test, &plan);

    let mut table = Table::new(
        "",
        &[
            "load",
            "wanted/s",
            "reached/s",
            "mean, µs",
            "P50, µs",
            "P95, µs",
            "P99, µs",
            "P99.9, µs",
            "max, µs",
        ],
    );
    let mut row = |name: String, wanted: String, point: &Point| {
        let figures = [
            point.per_second,
            point.mean,
            point.p50,
            point.p95,
            point.p99,
            point.p999,
            point.max,
        ];
        let mut cells = vec![name, wanted];
        cells.extend(figures.map(number));
        table.rows.push(cells);
    };
    let mut curves = Vec::new();
    let mut course = Vec::new();
    for part in PARTS {
        let case = Case {
            server: &server,
            plan: Plan {
                rate: Some((part * most.per_second).max(1.0)),
                ..lab.plan(mix.clone(), lab.seconds(4.0))
            },
        };
        let (test, plan) = lab.once(&case)?;
        let name = format!("{:.0} %", part * 100.0);
        row(
            name.clone(),
            plan.rate.map_or(String::new(), number),
            &Point::of(&test, &plan),
        );
        curves.push(curve(&name, &test));
        if part == SHOWN {
            course = over_time(&test);
        }
    }
    row("closed loop".into(), "all".into(), &most);
    curves.push(curve("closed loop", &test));

    Ok(Part {
        title: "Latency".into(),
        about: "Requests come by the clock, at parts of what the closed loop reached, over 100 connections to std pooled, one \
                SET to nine GETs; latencies count from when a request was due. One round of 4 seconds each."
            .into(),
        tables: vec![table],
        plots: vec![
            Plot {
                name: "latency".into(),
                title: "Latencies, cumulative".into(),
                x: Axis::new("latency, µs", Scale::Log),
                y: Axis::new("requests that take at most so long", Scale::Nines),
                series: curves,
            },
            Plot {
                name: "latency-over-time".into(),
                title: format!("Latency over time, at {:.0} % of the most", SHOWN * 100.0),
                x: Axis::new("seconds", Scale::Linear),
                y: Axis::new("latency, µs", Scale::Log),
                series: course,
            },
        ],
        ..Part::default()
    })
}

/// The cumulative distribution of a test's latencies in microseconds.
fn curve(name: &str, test: &TestResult) -> Series {
    let all = test.tally.all();
    let points = all
        .iter_quantiles(4)
        .map(|step| {
            (
                step.value_iterated_to() as f64 / 1000.0,
                step.quantile_iterated_to(),
            )
        })
        // Of the last few requests one cannot say how often they come.
        .filter(|&(_, quantile)| (1.0 - quantile) * all.len() as f64 >= 5.0);
    Series {
        name: name.to_owned(),
        points: points.collect(),
    }
}

fn over_time(test: &TestResult) -> Vec<Series> {
    let timeline = &test.tally.timeline;
    let stretch = timeline.stretch().as_secs_f64();
    let quantiles = [("P50", 0.5), ("P99", 0.99), ("max", 1.0)];
    quantiles
        .map(|(name, quantile)| Series {
            name: name.to_owned(),
            points: timeline
                .stretches()
                .iter()
                .enumerate()
                .filter(|(_, latencies)| !latencies.is_empty())
                .map(|(index, latencies)| {
                    let at = (index as f64 + 0.5) * stretch;
                    (at, latencies.value_at_quantile(quantile) as f64 / 1000.0)
                })
                .collect(),
        })
        .to_vec()
}
