//! COMMAND: the table as client libraries and shells read it.

use alloc::vec::Vec;

use super::subcommand::{self, Subcommand};
use super::{Command, Error, Flags, Group, Keys, find, fits, options, table, usage};
use crate::exec::{Args, Exec, Outcome, Step};
use crate::glob;
use crate::reply::Reply;

#[rustfmt::skip]
pub(super) static COMMAND: [Subcommand; 6] = [
    Subcommand { name: "count", arity: 2, usage: "", summary: "Returns the number of commands", run: count },
    Subcommand { name: "docs", arity: -2, usage: "[name [name ...]]", summary: "Describes commands to people", run: docs },
    Subcommand { name: "getkeys", arity: -4, usage: "command argument [argument ...]", summary: "Returns the keys of a request", run: get_keys },
    Subcommand { name: "info", arity: -2, usage: "[name [name ...]]", summary: "Describes commands to programs", run: info },
    Subcommand { name: "list", arity: -2, usage: "[FILTERBY <MODULE name | ACLCAT category | PATTERN pattern>]", summary: "Returns the names of commands", run: list },
    subcommand::HELP,
];

/// A table of 80 commands costs about this much, in units of the budget.
const WHOLE_TABLE: usize = 500;

pub(super) fn command(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    if args.len() > 1 {
        subcommand::run(exec, args)
    } else {
        info(exec, args)
    }
}

/// A command, or one of its subcommands: COMMAND tells both in the same form.
#[derive(Clone, Copy)]
struct Entry {
    command: &'static Command,
    sub: Option<&'static Subcommand>,
}

impl Entry {
    /// Looks for `name` or `name|subname`.
    fn find(name: &[u8]) -> Option<Self> {
        let Some(bar) = name.iter().position(|&byte| byte == b'|') else {
            return find(name).map(Self::of);
        };
        let command = find(&name[..bar])?;
        let sub = command.subcommand(&name[bar + 1..])?;
        Some(Self {
            command,
            sub: Some(sub),
        })
    }

    const fn of(command: &'static Command) -> Self {
        Self { command, sub: None }
    }

    fn subs(self) -> impl ExactSizeIterator<Item = Self> {
        let subs = if self.sub.is_some() {
            &[]
        } else {
            self.command.subcommands()
        };
        subs.iter().map(move |sub| Self {
            sub: Some(sub),
            ..self
        })
    }

    fn name(self, reply: &mut Reply<'_>) {
        match self.sub {
            Some(sub) => reply.bulk(subcommand_name(self.command, sub).as_bytes()),
            None => reply.bulk(self.command.name.as_bytes()),
        }
    }
}

fn subcommand_name(command: &Command, sub: &Subcommand) -> alloc::string::String {
    alloc::format!("{}|{}", command.name, sub.name)
}

/// The entries that a request names from its third word on, `None` for a wrong name; all commands where it names none.
fn entries(exec: &mut Exec<'_>, args: &Args<'_>) -> Result<Vec<Option<Entry>>, Error> {
    options::few(args, 2)?;
    let entries: Vec<_> = match args.len() {
        ..3 => table()
            .iter()
            .map(|command| Some(Entry::of(command)))
            .collect(),
        _ => args.from(2).map(Entry::find).collect(),
    };
    exec.budget
        .spend(entries.len() * WHOLE_TABLE / table().len());
    Ok(entries)
}

fn count(exec: &mut Exec<'_>, _args: &Args<'_>) -> Outcome {
    exec.reply().integer(table().len() as i64);
    Ok(Step::Done)
}

fn info(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    let entries = entries(exec, args)?;
    let mut reply = exec.reply();
    reply.array_json(entries.len());
    for entry in entries {
        match entry {
            Some(entry) => describe(&mut reply, entry),
            None => reply.null(),
        }
    }
    Ok(Step::Done)
}

/// Name, arity, flags, first key, last key, step, categories, tips, places of keys, subcommands.
fn describe(reply: &mut Reply<'_>, entry: Entry) {
    let Entry { command, sub } = entry;
    let Keys { first, last, step } = command.keys;
    reply.array(10);
    entry.name(reply);
    reply.integer(i64::from(sub.map_or(command.arity, |sub| sub.arity)));
    words(reply, flags(command));
    for number in [first as i64, i64::from(last), step as i64] {
        reply.integer(number);
    }
    words(reply, categories(command));
    reply.set(0);
    reply.set(usize::from(first > 0));
    if first > 0 {
        key_places(reply, command);
    }
    let subs = entry.subs();
    match subs.len() {
        0 => reply.set(0),
        len => reply.array(len),
    }
    for sub in subs {
        describe(reply, sub);
    }
}

/// A set of the words that apply.
fn words<const N: usize>(reply: &mut Reply<'_>, words: [(&str, bool); N]) {
    reply.set(words.iter().filter(|(_, applies)| *applies).count());
    for (word, _) in words.iter().filter(|(_, applies)| *applies) {
        reply.status(word);
    }
}

fn flags(command: &Command) -> [(&'static str, bool); 6] {
    [
        ("write", command.flags.has(Flags::WRITE)),
        ("readonly", command.flags.has(Flags::READ)),
        ("denyoom", command.flags.has(Flags::DENY_OOM)),
        ("admin", command.flags.has(Flags::ADMIN)),
        ("fast", command.flags.has(Flags::FAST)),
        ("no_auth", command.flags.has(Flags::NO_AUTH)),
    ]
}

/// Redis's categories of access, which follow from flags and family.
fn categories(command: &Command) -> [(&'static str, bool); 11] {
    let (flags, group) = (command.flags, command.group);
    [
        ("@keyspace", group == Group::Generic),
        ("@write", flags.has(Flags::WRITE)),
        ("@read", flags.has(Flags::READ)),
        ("@admin", flags.has(Flags::ADMIN)),
        ("@dangerous", flags.has(Flags::ADMIN)),
        ("@string", group == Group::String),
        ("@list", group == Group::List),
        ("@hash", group == Group::Hash),
        ("@connection", group == Group::Connection),
        ("@fast", flags.has(Flags::FAST)),
        ("@slow", !flags.has(Flags::FAST)),
    ]
}

/// Where the keys stand, in the form that clients of a cluster read.
fn key_places(reply: &mut Reply<'_>, command: &Command) {
    let Keys { first, last, step } = command.keys;
    let writes = command.flags.has(Flags::WRITE);
    reply.map(3);
    reply.bulk(b"flags");
    words(
        reply,
        [
            ("RW", writes),
            ("RO", !writes),
            ("access", true),
            ("update", writes),
        ],
    );
    reply.bulk(b"begin_search");
    reply.map(2);
    reply.bulk(b"type");
    reply.bulk(b"index");
    reply.bulk(b"spec");
    numbers(reply, &[("index", first as i64)]);
    reply.bulk(b"find_keys");
    reply.map(2);
    reply.bulk(b"type");
    reply.bulk(b"range");
    reply.bulk(b"spec");
    // Counted from the first key, where it is not counted from the end.
    let last = if last < 0 {
        i64::from(last)
    } else {
        i64::from(last) - first as i64
    };
    numbers(
        reply,
        &[("lastkey", last), ("keystep", step as i64), ("limit", 0)],
    );
}

fn numbers(reply: &mut Reply<'_>, fields: &[(&str, i64)]) {
    reply.map(fields.len());
    for (name, value) in fields {
        reply.bulk(name.as_bytes());
        reply.integer(*value);
    }
}

fn docs(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    let entries = entries(exec, args)?;
    let mut reply = exec.reply();
    reply.map(entries.iter().flatten().count());
    for entry in entries.into_iter().flatten() {
        document(&mut reply, entry);
    }
    Ok(Step::Done)
}

/// The name, then what is to be known of it.
fn document(reply: &mut Reply<'_>, entry: Entry) {
    let Entry { command, sub } = entry;
    let (summary, usage) = sub.map_or((command.summary, command.usage), |sub| {
        (sub.summary, sub.usage)
    });
    let subs = entry.subs();
    let arguments = if subs.len() > 0 {
        Vec::new()
    } else {
        usage::parse(usage)
    };
    entry.name(reply);
    reply.map(3 + usize::from(!arguments.is_empty()) + usize::from(subs.len() > 0));
    let fields = [
        ("summary", summary),
        ("since", "0.1.0"),
        ("group", command.group.name()),
    ];
    for (field, value) in fields {
        reply.bulk(field.as_bytes());
        reply.bulk(value.as_bytes());
    }
    if !arguments.is_empty() {
        reply.bulk(b"arguments");
        reply.array(arguments.len());
        arguments
            .iter()
            .for_each(|argument| argument.describe(reply));
    }
    if subs.len() > 0 {
        reply.bulk(b"subcommands");
        reply.map(subs.len());
        subs.for_each(|sub| document(reply, sub));
    }
}

fn list(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    let names: Vec<_> = match args.len() {
        2 => table().iter().collect(),
        5 if args.is(2, "FILTERBY") => filtered(args)?,
        _ => return Err(Error::Syntax),
    };
    let mut reply = exec.reply();
    reply.array(names.len());
    for command in names {
        reply.bulk(command.name.as_bytes());
    }
    Ok(Step::Done)
}

/// The commands that COMMAND LIST FILTERBY asks for.
fn filtered(args: &Args<'_>) -> Result<Vec<&'static Command>, Error> {
    let commands = table().iter();
    if args.is(3, "MODULE") {
        return Ok(Vec::new());
    }
    if args.is(3, "ACLCAT") {
        let in_category = |command: &&Command| {
            let mut categories = categories(command).into_iter();
            categories.any(|(name, applies)| applies && args.is(4, &name[1..]))
        };
        return Ok(commands.filter(in_category).collect());
    }
    if args.is(3, "PATTERN") {
        let pattern = options::name_pattern(args.get(4))?;
        return Ok(commands
            .filter(|command| glob::matches(&pattern, command.name.as_bytes()))
            .collect());
    }
    Err(Error::Syntax)
}

fn get_keys(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    /// Where the request begins whose keys are wanted.
    const REQUEST: usize = 2;
    let command = find(args.get(REQUEST)).ok_or(Error::Other("ERR Invalid command specified"))?;
    let len = args.len() - REQUEST;
    if command.keys == Keys::NONE {
        return Err(Error::Other("ERR The command has no key arguments"));
    }
    if !fits(command.arity, len) {
        return Err(Error::Other(
            "ERR Invalid number of arguments specified for command",
        ));
    }
    exec.budget.spend(len / 4);
    let keys: Vec<_> = command
        .keys
        .of(len)
        .map(|index| args.get(REQUEST + index))
        .collect();
    let mut reply = exec.reply();
    reply.array(keys.len());
    keys.iter().for_each(|key| reply.bulk(key));
    Ok(Step::Done)
}
