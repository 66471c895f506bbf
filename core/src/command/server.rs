//! The server as a whole: its commands, its keys, its time.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::error::echoed;
use super::subcommand::join;
use super::{Command, Error, Group, find, table};
use crate::exec::{Args, Exec, Outcome, Step};

pub(super) fn help(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    let lines = match args.len() {
        1 => families(),
        2 => topic(args.get(1)).ok_or_else(|| {
            let asked = echoed(args.get(1));
            Error::Made(format!("ERR no help for '{asked}'. Try HELP."))
        })?,
        len => return Err(Error::Arity(exec.command, len)),
    };
    exec.reply().verbatim(&lines.join("\n"));
    Ok(Step::Done)
}

/// The commands of each family.
fn families() -> Vec<String> {
    let mut lines = alloc::vec![String::from("HELP command or HELP @family tells more.")];
    for group in Group::ALL {
        let names: Vec<_> = of(group)
            .map(|command| command.name.to_ascii_uppercase())
            .collect();
        lines.push(format!("@{}: {}", group.name(), names.join(" ")));
    }
    lines
}

fn of(group: Group) -> impl Iterator<Item = &'static Command> {
    table().iter().filter(move |command| command.group == group)
}

/// A command, or all of a family.
fn topic(asked: &[u8]) -> Option<Vec<String>> {
    if let [b'@', family @ ..] = asked {
        let group = Group::ALL
            .into_iter()
            .find(|group| group.name().as_bytes().eq_ignore_ascii_case(family))?;
        return Some(of(group).flat_map(describe).collect());
    }
    find(asked).map(describe)
}

fn describe(command: &'static Command) -> Vec<String> {
    let name = command.name.to_ascii_uppercase();
    let mut lines = alloc::vec![
        join(&name, command.usage),
        format!("    {}.", command.summary)
    ];
    for sub in command.subcommands() {
        lines.push(join(
            &format!("{name} {}", sub.name.to_ascii_uppercase()),
            sub.usage,
        ));
        lines.push(format!("    {}.", sub.summary));
    }
    lines
}

pub(super) fn dbsize(exec: &mut Exec<'_>, _args: &Args<'_>) -> Outcome {
    let keys = exec.store().len();
    exec.reply().integer(keys as i64);
    Ok(Step::Done)
}

/// Empties the store at once; memory comes back in the background, so that SYNC and ASYNC are the same.
pub(super) fn flush(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    match args.len() {
        1 => {}
        2 if args.is(1, "ASYNC") || args.is(1, "SYNC") => {}
        _ => return Err(Error::Syntax),
    }
    let epoch = exec.store().flush();
    if exec.store().journal().is_recording() {
        exec.touch(epoch);
    }
    exec.reply().ok();
    Ok(Step::Done)
}

/// Redis answers nothing to who monitors already; here each request has its reply.
pub(super) fn monitor(exec: &mut Exec<'_>, _args: &Args<'_>) -> Outcome {
    if exec.client.monitor.is_none() {
        let (service, wire) = (exec.service, exec.wire());
        exec.client.monitor = Some(service.monitors.join(wire, &service.settings));
    }
    exec.reply().ok();
    Ok(Step::Done)
}

pub(super) fn time(exec: &mut Exec<'_>, _args: &Args<'_>) -> Outcome {
    let now = exec.now.0;
    let mut reply = exec.reply();
    reply.array(2);
    for number in [now / 1000, now % 1000 * 1000] {
        reply.bulk(itoa::Buffer::new().format(number).as_bytes());
    }
    Ok(Step::Done)
}
