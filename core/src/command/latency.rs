//! LATENCY: how long commands take, and what may be done about it.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::subcommand::{self, Subcommand};
use super::{Report, options};
use crate::Histogram;
use crate::exec::{Args, Exec, Outcome, Step};
use crate::facts::Section;
use crate::settings::Settings;
use crate::stats::{CommandStats, Event};

#[rustfmt::skip]
pub(super) static LATENCY: [Subcommand; 6] = [
    Subcommand { name: "doctor", arity: 2, usage: "", summary: "Says what is slow, and what may be done about it", run: doctor },
    Subcommand { name: "histogram", arity: -2, usage: "[command [command ...]]", summary: "Returns how long commands took", run: histogram },
    Subcommand { name: "history", arity: 3, usage: "event", summary: "Returns when an event took long, and how long", run: history },
    Subcommand { name: "latest", arity: 2, usage: "", summary: "Returns the events that took long: when last, how long then, how long at most", run: latest },
    Subcommand { name: "reset", arity: -2, usage: "[event [event ...]]", summary: "Forgets events, all or those that are named", run: reset },
    subcommand::HELP,
];

/// Bounds of the histogram are powers of two in nanoseconds, told as the microseconds that they nearly are: 1, 2, 4 …
const MICROSECOND_BITS: u32 = 10;

/// The last bound: a little over a second.
const LAST_BITS: u32 = 30;

fn histogram(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    options::few(args, 2)?;
    let asked = |stats: &CommandStats| {
        args.len() == 2 || (2..args.len()).any(|at| args.is(at, stats.name()))
    };
    let mut commands = exec.service.commands();
    commands.retain(|stats| stats.command.is_some() && stats.nanos.total() > 0 && asked(stats));
    exec.budget.spend(commands.len() * 10);
    let mut reply = exec.reply();
    reply.map(commands.len());
    for stats in &commands {
        let bounds = bounds(&stats.nanos);
        reply.bulk(stats.name().as_bytes());
        reply.map(3);
        for (name, value) in [("calls", stats.calls), ("timed", stats.nanos.total())] {
            reply.bulk(name.as_bytes());
            reply.integer(value as i64);
        }
        reply.bulk(b"histogram_usec");
        reply.map(bounds.len());
        for (micros, count) in bounds {
            // Keys of JSON are strings.
            reply.bulk(itoa::Buffer::new().format(micros).as_bytes());
            reply.integer(count as i64);
        }
    }
    Ok(Step::Done)
}

/// Microseconds, and how many took no longer; from the first bound that has any to the one that has all.
fn bounds(nanos: &Histogram) -> Vec<(u64, u64)> {
    let mut bounds: Vec<(u64, u64)> = Vec::new();
    for bits in MICROSECOND_BITS..=LAST_BITS {
        let count = match bits {
            LAST_BITS => nanos.total(),
            _ => nanos.at_most((1 << bits) - 1),
        };
        if bounds.last().map_or(0, |&(_, before)| before) < count {
            bounds.push((1 << (bits - MICROSECOND_BITS), count));
        }
    }
    bounds
}

fn latest(exec: &mut Exec<'_>, _args: &Args<'_>) -> Outcome {
    let events = exec.service.latencies.lock().all();
    let mut reply = exec.reply();
    reply.array(events.len());
    for (event, history) in events {
        let latest = history
            .latest()
            .map_or([0; 2], |last| [last.second, last.ms]);
        reply.array(4);
        reply.bulk(event.name().as_bytes());
        for number in latest.into_iter().chain([history.max()]) {
            reply.integer(number as i64);
        }
    }
    Ok(Step::Done)
}

fn history(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    let events = exec.service.latencies.lock().all();
    let found = events
        .into_iter()
        .find(|(event, _)| args.is(2, event.name()));
    let history = found.map(|(_, history)| history).unwrap_or_default();
    let samples = history.samples();
    exec.budget.spend(samples.len());
    let mut reply = exec.reply();
    reply.array(samples.len());
    for sample in samples {
        reply.array(2);
        reply.integer(sample.second as i64);
        reply.integer(sample.ms as i64);
    }
    Ok(Step::Done)
}

fn reset(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    options::few(args, 2)?;
    let named =
        |event: &Event| args.len() == 2 || (2..args.len()).any(|at| args.is(at, event.name()));
    let mut latencies = exec.service.latencies.lock();
    let events = Event::ALL.into_iter().filter(named);
    let forgotten = events.filter(|&event| latencies.forget(event)).count();
    drop(latencies);
    exec.reply().integer(forgotten as i64);
    Ok(Step::Done)
}

fn doctor(exec: &mut Exec<'_>, _args: &Args<'_>) -> Outcome {
    let report = exec.service.report(exec.now);
    exec.budget.spend(500);
    let mut hints = hints(&report, &exec.service.settings);
    let events = exec.service.latencies.lock().all();
    for (event, history) in &events {
        let (name, seconds, max) = (event.name(), history.samples().len(), history.max());
        hints.push(format!(
            "- event {name} took long in {seconds} seconds, {max} ms at most: LATENCY HISTORY {name} tells when, SLOWLOG GET \
             which calls."
        ));
    }
    let text = if hints.is_empty() {
        String::from("Nothing stands out.")
    } else {
        hints.join("\n")
    };
    exec.reply().verbatim(&text);
    Ok(Step::Done)
}

/// What stands out, a line each, with what to do.
fn hints(report: &Report, settings: &Settings) -> Vec<String> {
    let mut hints = Vec::new();
    slow_commands(report.commands(), &mut hints);
    let number = |section, field: &str| -> u64 {
        let fields = report.section(section);
        let field = fields.iter().find(|(name, _)| name == field);
        field.and_then(|(_, value)| value.parse().ok()).unwrap_or(0)
    };
    let mut hint = |section, field: &str, least: u64, what: &str| {
        let value = number(section, field);
        if value >= least {
            hints.push(format!("- {field} is {value}: {what}"));
        }
    };
    hint(
        Section::Antcache,
        "slowlog_len",
        1,
        "SLOWLOG GET tells which calls were slow.",
    );
    hint(
        Section::Antcache,
        "lanes_taken_over",
        1,
        "turns were stuck for 20 ms or more; look at the slow log, and for swapping or a lack of cores.",
    );
    hint(
        Section::Antcache,
        "closed_stalled",
        1,
        "clients did not take their replies in time; they are slow, or ask for more than they can take.",
    );
    hint(
        Section::Antcache,
        "accept_pauses",
        1,
        "descriptors or memory ran out; raise the limit of open files (ulimit -n).",
    );
    hint(
        Section::Stats,
        "rejected_connections",
        1,
        "there were too many connections; raise maxclients (CONFIG SET maxclients) or let clients share connections.",
    );
    hint(
        Section::Stats,
        "expire_lag_p99_ms",
        1000,
        "expired keys are removed late: no core is free for housekeeping.",
    );
    if number(Section::Stats, "evicted_keys") > 0 {
        hints.push(String::from("- keys are evicted: each write may have to make room; raise maxmemory where reads miss."));
    }
    if settings.times_all() {
        let why = if settings.latency_threshold() > 0 {
            "latency-monitor-threshold is set"
        } else {
            "slowlog-log-slower-than is below 1000"
        };
        hints.push(format!(
            "- {why}: every call is timed, which costs each some 50 ns."
        ));
    }
    hints
}

/// Names the commands of which one call in a hundred takes a millisecond or longer.
fn slow_commands(commands: &[CommandStats], hints: &mut Vec<String>) {
    /// Nanoseconds.
    const SLOW: u64 = 1_000_000;
    let mut slow: Vec<_> = commands
        .iter()
        .filter(|stats| stats.nanos.percentile(99) >= SLOW)
        .collect();
    slow.sort_by_key(|stats| core::cmp::Reverse(stats.total_micros()));
    for stats in slow.into_iter().take(5) {
        let name = stats.name().to_ascii_uppercase();
        let [p50, p99] = [50, 99].map(|percent| stats.nanos.percentile(percent) as f64 / 1e6);
        let advice = match stats.name() {
            "keys" => "it walks through all keys; SCAN does so in small steps",
            "hgetall" | "hkeys" | "hvals" | "lrange" | "getrange" => {
                "the values are large; ask for parts of them (BIGKEYS names them)"
            }
            "mget" | "mset" | "msetnx" | "del" | "unlink" | "exists" | "touch" => {
                "many keys are named at once; several smaller requests let others pass"
            }
            "set" | "append" | "setrange" | "sets" | "setx" => {
                "the values are large, or room must be made for them"
            }
            _ => "look at the slow log (SLOWLOG GET)",
        };
        hints.push(format!(
            "- {name} takes {p50:.3} ms (median), {p99:.3} ms (99th percentile): {advice}."
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_double_and_end_with_all() {
        let mut nanos = Histogram::default();
        for value in [300, 900, 1_500, 1_900, 40_000, 5_000_000_000] {
            nanos.record(value);
        }
        assert_eq!(bounds(&nanos), [(1, 2), (2, 4), (64, 5), (1 << 20, 6)]);
        assert_eq!(bounds(&Histogram::default()), []);
    }

    #[test]
    fn commands_that_are_slow_are_named_with_advice() {
        let of = |name: &[u8], nanos: u64| {
            let mut histogram = Histogram::default();
            (0..10).for_each(|_| histogram.record(nanos));
            CommandStats {
                command: super::super::find(name),
                calls: 10,
                rejections: 0,
                failures: 0,
                nanos: histogram,
            }
        };
        let mut hints = Vec::new();
        slow_commands(
            &[
                of(b"get", 900),
                of(b"set", 2_000_000),
                of(b"keys", 80_000_000),
            ],
            &mut hints,
        );
        assert_eq!(hints.len(), 2);
        assert!(
            hints[0].starts_with("- KEYS takes") && hints[0].contains("SCAN"),
            "{hints:?}"
        );
        assert!(hints[1].starts_with("- SET takes 2."), "{hints:?}");
    }
}
