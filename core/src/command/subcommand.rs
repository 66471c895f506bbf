//! Commands of several: CLIENT, COMMAND, CONFIG.

use alloc::format;
use alloc::string::String;

use super::error::echoed;
use super::{Command, Error, fits};
use crate::exec::{Args, Exec, Outcome, Step};

/// One of the commands that share a name.
#[derive(Debug)]
pub struct Subcommand {
    /// Its name in lower case.
    pub name: &'static str,
    /// Words of a request, both names included: exactly so many, or at least `-arity` where it is negative.
    pub arity: i16,
    /// Its arguments, as people write them.
    pub usage: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// Does it.
    pub(super) run: fn(&mut Exec<'_>, &Args<'_>) -> Outcome,
}

/// The subcommand that every such command has.
pub(super) const HELP: Subcommand = Subcommand {
    name: "help",
    arity: 2,
    usage: "",
    summary: "Lists the subcommands",
    run: help,
};

impl Command {
    /// The subcommand of this name, in any case.
    pub(super) fn subcommand(&self, name: &[u8]) -> Option<&'static Subcommand> {
        self.subcommands()
            .iter()
            .find(|sub| sub.name.as_bytes().eq_ignore_ascii_case(name))
    }
}

/// Runs the subcommand that the second word names.
pub(super) fn run(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    let (command, name) = (exec.command, args.get(1));
    let Some(sub) = command.subcommand(name) else {
        return Err(Error::Made(format!(
            "ERR unknown subcommand '{}'. Try {} HELP.",
            echoed(name),
            command.name.to_ascii_uppercase()
        )));
    };
    if !fits(sub.arity, args.len()) {
        return Err(Error::Made(format!(
            "ERR wrong number of arguments for '{}|{}' command",
            command.name, sub.name
        )));
    }
    (sub.run)(exec, args)
}

fn help(exec: &mut Exec<'_>, _args: &Args<'_>) -> Outcome {
    let command = exec.command;
    let name = command.name.to_ascii_uppercase();
    let mut lines = alloc::vec![format!(
        "{name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    )];
    for sub in command.subcommands() {
        lines.push(join(&sub.name.to_ascii_uppercase(), sub.usage));
        lines.push(format!("    {}.", sub.summary));
    }
    if exec.is_text() {
        exec.reply().verbatim(&lines.join("\n"));
        return Ok(Step::Done);
    }
    let mut reply = exec.reply();
    reply.array(lines.len());
    for line in &lines {
        reply.status(line);
    }
    Ok(Step::Done)
}

/// A name and its arguments, where it takes any.
pub(super) fn join(name: &str, usage: &str) -> String {
    if usage.is_empty() {
        name.into()
    } else {
        format!("{name} {usage}")
    }
}
