//! What a server tells of itself, in the text format of Prometheus.

use std::fmt::Write;

use ant_cache_core::command::Report;
use ant_cache_core::facts::Section;
use ant_cache_core::stats::{CommandStats, METRICS};

/// The bounds of the histograms: powers of two in nanoseconds, from 256 ns to a second.
const BOUNDS: std::ops::RangeInclusive<u32> = 8..=30;

/// A number of a command.
type Count = fn(&CommandStats) -> u64;

/// All metrics. `info` is what never changes, as labels of one of them.
pub(super) fn render(report: &Report) -> String {
    let mut text = String::with_capacity(16 << 10);
    about(&mut text, report);
    numbers(&mut text, report);
    let counters: [(&str, &str, Count); 3] = [
        ("calls", "Calls by command.", |stats| stats.calls),
        (
            "rejections",
            "Requests by command that were refused before they ran.",
            |stats| stats.rejections,
        ),
        (
            "failures",
            "Calls by command that were answered with an error.",
            |stats| stats.failures,
        ),
    ];
    for (what, help, value) in counters {
        let name = format!("antcache_command_{what}_total");
        about_metric(&mut text, &name, "counter", help);
        for stats in report.commands() {
            let (command, value) = (stats.name(), value(stats));
            line(
                &mut text,
                format_args!("{name}{{command=\"{command}\"}} {value}"),
            );
        }
    }
    about_metric(
        &mut text,
        "antcache_error_replies_total",
        "counter",
        "Errors by their first word.",
    );
    for (code, count) in report.errors() {
        let code = code.name();
        line(
            &mut text,
            format_args!("antcache_error_replies_total{{code=\"{code}\"}} {count}"),
        );
    }
    let architecture = fact(report, Section::Antcache, "architecture");
    about_metric(
        &mut text,
        "antcache_command_duration_seconds",
        "histogram",
        "Time of those calls that were timed: of short ones one in 128, see docs/METRICS.md.",
    );
    for stats in report.commands() {
        histogram(&mut text, stats, &architecture);
    }
    text
}

// Writing to a string cannot fail.
fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    let _ = writeln!(text, "{line}");
}

fn about_metric(text: &mut String, name: &str, kind: &str, help: &str) {
    line(text, format_args!("# HELP {name} {help}"));
    line(text, format_args!("# TYPE {name} {kind}"));
}

/// A field of INFO; empty where it is not told.
fn fact(report: &Report, section: Section, name: &str) -> String {
    let fields = report.section(section).into_iter();
    let mut found = fields.filter(|(field, _)| field == name);
    escaped(&found.next().map(|(_, value)| value).unwrap_or_default())
}

/// A label's value.
fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

/// What stays as it is while a server runs.
fn about(text: &mut String, report: &Report) {
    let labels = [
        ("version", Section::Server, "antcache_version"),
        ("runtime", Section::Antcache, "runtime"),
        ("architecture", Section::Antcache, "architecture"),
        ("allocator", Section::Memory, "mem_allocator"),
        ("os", Section::Server, "os"),
    ]
    .map(|(label, section, field)| format!("{label}=\"{}\"", fact(report, section, field)));
    about_metric(text, "antcache_info", "gauge", "The server: always 1.");
    line(
        text,
        format_args!("antcache_info{{{}}} 1", labels.join(",")),
    );
}

/// The numbers of INFO.
fn numbers(text: &mut String, report: &Report) {
    for section in Section::ALL {
        let metrics = METRICS.iter().filter(|metric| metric.section == section);
        let mut metrics = metrics.peekable();
        if metrics.peek().is_none() {
            continue;
        }
        let fields = report.section(section);
        for metric in metrics {
            let told = fields.iter().find(|(name, _)| name == metric.field);
            let Some(value) = told.and_then(|(_, value)| value.parse::<f64>().ok()) else {
                continue;
            };
            let value = value / f64::from(metric.divisor);
            about_metric(text, metric.name, metric.kind.name(), metric.help);
            line(text, format_args!("{} {value}", metric.name));
        }
    }
}

fn histogram(text: &mut String, stats: &CommandStats, architecture: &str) {
    const NAME: &str = "antcache_command_duration_seconds";
    let (nanos, command) = (&stats.nanos, stats.name());
    if nanos.total() == 0 {
        return;
    }
    let labels = format!("command=\"{command}\",architecture=\"{architecture}\"");
    for bits in BOUNDS {
        let (bound, count) = (f64::from(1 << bits) / 1e9, nanos.at_most((1 << bits) - 1));
        line(
            text,
            format_args!("{NAME}_bucket{{{labels},le=\"{bound}\"}} {count}"),
        );
    }
    let total = nanos.total();
    line(
        text,
        format_args!("{NAME}_bucket{{{labels},le=\"+Inf\"}} {total}"),
    );
    line(
        text,
        format_args!("{NAME}_sum{{{labels}}} {}", nanos.sum() as f64 / 1e9),
    );
    line(text, format_args!("{NAME}_count{{{labels}}} {total}"));
}

#[cfg(all(test, not(loom)))]
mod tests {
    use ant_cache_core::service::Options;
    use ant_cache_core::{Budget, Input, Millis, Output, Service, Turn};

    use super::*;

    #[test]
    fn what_happens_is_told() {
        let service = Service::new(Options {
            stopwatch: Some(|| 0),
            ..Options::default()
        });
        let counters = service.counters();
        let mut session = service.connect(Millis(1)).unwrap();
        let (mut input, mut output) = (Input::new(), Output::new());
        let request = b"SET key value\nGET key\nGET\nGET none\nINCR key\n";
        input.spare()[..request.len()].copy_from_slice(request);
        input.filled(request.len());
        let mut turn = Turn {
            now: Millis(1),
            budget: Budget::TURN,
            stats: &counters,
        };
        session.turn(&mut turn, &mut input, &mut output);
        let text = render(&service.report(Millis(5_001)));
        for line in [
            "antcache_hits_total 1",
            "antcache_misses_total 1",
            "antcache_keys 1",
            "antcache_connections 1",
            "antcache_command_calls_total{command=\"get\"} 2",
            "antcache_command_rejections_total{command=\"get\"} 1",
            "antcache_command_failures_total{command=\"incr\"} 1",
            "antcache_command_duration_seconds_bucket{command=\"set\",architecture=\"\",le=\"0.000000256\"} 1",
            "antcache_command_duration_seconds_count{command=\"get\",architecture=\"\"} 2",
            "# TYPE antcache_hits_total counter",
            "# TYPE antcache_uptime_seconds gauge",
            "antcache_uptime_seconds 5",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }

    #[test]
    fn labels_are_escaped() {
        assert_eq!(escaped("a\\b\"c\nd"), "a\\\\b\\\"c\\nd");
    }
}
