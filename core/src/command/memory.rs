//! MEMORY and BIGKEYS: who holds how much.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;
use core::cmp::Reverse;

use super::Error;
use super::error::echoed;
use super::generic::kind_name;
use super::subcommand::{self, Subcommand};
use crate::exec::{Args, Continue, Exec, Outcome, Step};
use crate::facts::Section;
use crate::store::packed::{Array, Object};
use crate::store::{Item, Kind, Position};

#[rustfmt::skip]
pub(super) static MEMORY: [Subcommand; 3] = [
    Subcommand { name: "stats", arity: 2, usage: "", summary: "Tells who holds how much memory", run: stats },
    Subcommand { name: "usage", arity: -3, usage: "key [SAMPLES count]", summary: "Returns how much memory a key takes, with its value", run: usage },
    subcommand::HELP,
];

fn usage(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    match args.len() {
        3 => {}
        // All of a value lies in one piece: there is nothing to sample.
        5 if args.is(3, "SAMPLES") => {
            if args.integer(4)? < 0 {
                return Err(Error::Syntax);
            }
        }
        _ => return Err(Error::Syntax),
    }
    let bytes = args.get(2);
    if bytes.len() > crate::limits::MAX_KEY {
        return Err(Error::KeyTooLong);
    }
    let key = exec.store().key(bytes);
    let memory = exec
        .shard(&key)
        .peek(&key, exec.now)
        .map(|item| item.memory(bytes));
    match memory {
        Some(memory) => exec.reply().integer(memory as i64),
        None => exec.reply().null(),
    }
    Ok(Step::Done)
}

/// What INFO tells of memory, by the names that Redis has for it here.
fn stats(exec: &mut Exec<'_>, _args: &Args<'_>) -> Outcome {
    const NAMES: [(&str, &str); 10] = [
        ("total.allocated", "used_memory"),
        ("startup.allocated", "used_memory_startup"),
        ("clients.normal", "used_memory_clients"),
        ("aof.buffer", "mem_aof_buffer"),
        ("dataset.bytes", "used_memory_dataset"),
        ("allocator.allocated", "allocator_allocated"),
        ("allocator.active", "allocator_active"),
        ("allocator.resident", "allocator_resident"),
        ("resident", "used_memory_rss"),
        ("fragmentation.bytes", "mem_fragmentation_bytes"),
    ];
    let report = exec.service.report(exec.now);
    exec.budget.spend(300);
    let memory = report.section(Section::Memory);
    let value = |field: &str| -> Option<i64> {
        let (_, value) = memory.iter().find(|(name, _)| name == field)?;
        value.parse().ok()
    };
    let keys = exec.store().len() as i64;
    let dataset = value("used_memory_dataset").unwrap_or(0);
    let mut fields: Vec<(&str, i64)> = NAMES
        .into_iter()
        .filter_map(|(name, field)| Some((name, value(field)?)))
        .collect();
    fields.push(("keys.count", keys));
    fields.push(("keys.bytes-per-key", dataset.checked_div(keys).unwrap_or(0)));
    let mut reply = exec.reply();
    reply.map(fields.len());
    for (name, value) in fields {
        reply.bulk(name.as_bytes());
        reply.integer(value);
    }
    Ok(Step::Done)
}

/// A key that takes much memory.
struct Big {
    memory: usize,
    key: Box<[u8]>,
    kind: Kind,
    /// Bytes of a string, elements of an array, fields of an object.
    length: usize,
}

/// A BIGKEYS under way. Shards hold their keys by hash, so that a few of them are a fair sample of all.
struct Search {
    /// Shards that were walked, and the place in the next one.
    walked: usize,
    at: Position,
    /// The shard that was first.
    first: usize,
    /// Entries that are still to be looked at.
    left: usize,
    /// How many are wanted.
    count: usize,
    /// The biggest so far, biggest first.
    found: Vec<Big>,
}

/// The most keys that BIGKEYS and HOTKEYS tell.
pub(super) const MOST: usize = 128;

/// Entries that are looked at under one lock.
const SLICE: usize = 256;

pub(super) fn big_keys(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    let (mut count, mut samples) = (10, 100_000);
    let mut index = 1;
    while index < args.len() {
        if args.is(index, "COUNT") {
            count = option(args, index, MOST)?;
        } else if args.is(index, "SAMPLES") {
            samples = option(args, index, usize::MAX)?;
        } else {
            return Err(Error::Syntax);
        }
        index += 2;
    }
    let mut search = Search {
        walked: 0,
        at: Position::default(),
        first: exec.store().random() as usize % exec.store().shards(),
        left: samples,
        count,
        found: Vec::new(),
    };
    Ok(if search.resume(exec, args) {
        Step::Done
    } else {
        Step::More(Box::new(search))
    })
}

/// The number behind the option at `index`, from 1 to `most`.
pub(super) fn option(args: &Args<'_>, index: usize, most: usize) -> Result<usize, Error> {
    if index + 1 == args.len() {
        return Err(Error::Syntax);
    }
    let number = usize::try_from(args.integer(index + 1)?).ok();
    let number = number.filter(|number| (1..=most).contains(number));
    number.ok_or_else(|| {
        let name = echoed(args.get(index)).to_ascii_uppercase();
        let bound = if most == usize::MAX {
            alloc::string::String::from("positive")
        } else {
            format!("from 1 to {most}")
        };
        Error::Made(format!("ERR {name} must be {bound}"))
    })
}

impl Search {
    /// Takes a key in, where it is among the biggest.
    fn offer(&mut self, key: &[u8], item: Item<'_>) {
        let memory = item.memory(key);
        if self.found.len() == self.count {
            if self.found.last().is_none_or(|least| least.memory >= memory) {
                return;
            }
            self.found.pop();
        }
        // Met twice where it moved meanwhile.
        if self.found.iter().any(|big| *big.key == *key) {
            return;
        }
        let bytes = item.data.bytes();
        let length = match item.kind {
            Kind::String => bytes.len(),
            Kind::Array => Array::new(bytes).len(),
            Kind::Object => Object::new(bytes).len(),
        };
        let at = self
            .found
            .partition_point(|big| Reverse(big.memory) <= Reverse(memory));
        let big = Big {
            memory,
            key: key.into(),
            kind: item.kind,
            length,
        };
        self.found.insert(at, big);
    }

    fn reply(&self, exec: &mut Exec<'_>) {
        let text = exec.is_text();
        let mut reply = exec.reply();
        reply.array_json(self.found.len());
        for big in &self.found {
            reply.array(4);
            reply.bulk(&big.key);
            reply.bulk(kind_name(Some(big.kind), text).as_bytes());
            reply.integer(big.memory as i64);
            reply.integer(big.length as i64);
        }
    }
}

impl Continue for Search {
    fn resume(&mut self, exec: &mut Exec<'_>, _: &Args<'_>) -> bool {
        let shards = exec.store().shards();
        while self.walked < shards && self.left > 0 {
            let slice = SLICE.min(self.left);
            let mut steps = slice;
            let shard = exec.store().lock((self.first + self.walked) % shards);
            let next = shard.walk(self.at, &mut steps, exec.now, |_, key, item| {
                self.offer(key, item);
                true
            });
            drop(shard);
            self.left -= slice - steps;
            match next {
                Some(next) => self.at = next,
                None => (self.walked, self.at) = (self.walked + 1, Position::default()),
            }
            exec.budget.spend(1 + (slice - steps) / 4);
            if exec.budget.is_spent() && self.walked < shards && self.left > 0 {
                return false;
            }
        }
        self.reply(exec);
        true
    }
}
