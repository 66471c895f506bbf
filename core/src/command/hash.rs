//! Objects, read as Redis reads hashes.

use alloc::boxed::Box;

use super::elements::{self, View};
use super::of_kind;
use crate::Blob;
use crate::exec::{Args, Continue, Exec, Outcome, Step};
use crate::reply::{Nesting, Reply};
use crate::store::packed::Object;
use crate::store::{Data, Kind};

/// Fields of an HMGET that are looked up between two looks at the budget; of a small object, under the lock.
const BATCH: usize = 64;

pub(super) fn hget(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    let key = exec.key(args);
    let mut shard = exec.shard(&key);
    let item = of_kind(Kind::Object, shard.get(&key, exec.now))?;
    exec.count_read(item.is_some());
    let data = item.map(|item| item.data);
    put_field(&mut exec.reply(), data, args.get(2));
    Ok(Step::Done)
}

/// Writes the value of one field, null where there is none; returns how many bytes were copied.
fn put_field(reply: &mut Reply<'_>, data: Option<Data<'_>>, field: &[u8]) -> usize {
    let found = data.and_then(|data| Some((data, Object::new(data.bytes()).get(field)?)));
    match found {
        Some((data, value)) => elements::put_part(reply, data, value),
        None => {
            reply.null();
            0
        }
    }
}

pub(super) fn hmget(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    let key = exec.key(args);
    let mut shard = exec.shard(&key);
    let item = of_kind(Kind::Object, shard.get(&key, exec.now))?;
    exec.count_read(item.is_some());
    let data = item.map(|item| item.data);
    let mut reply = exec.reply();
    reply.array_json(args.len() - 2);
    let at_once = !matches!(data, Some(Data::Blob(_))) && args.len() - 2 <= BATCH;
    if at_once {
        args.from(2).for_each(|field| {
            put_field(&mut reply, data, field);
        });
        return Ok(Step::Done);
    }
    let nesting = reply.suspend();
    let blob = data.map(|data| match data {
        Data::Inline(bytes) => Blob::new(bytes.to_vec()),
        Data::Blob(blob) => blob.clone(),
    });
    Ok(Step::More(Box::new(Hmget {
        blob,
        next: 2,
        nesting,
    })))
}

/// A long HMGET under way: the fields before `next` are answered.
struct Hmget {
    /// The object; `None` where there is no such key.
    blob: Option<Blob>,
    next: usize,
    nesting: Nesting,
}

impl Continue for Hmget {
    fn resume(&mut self, exec: &mut Exec<'_>, args: &Args<'_>) -> bool {
        let wire = exec.wire();
        let mut reply = Reply::resume(exec.output, wire, core::mem::take(&mut self.nesting));
        let data = self.blob.as_ref().map(Data::Blob);
        while self.next < args.len() {
            let end = args.len().min(self.next + BATCH);
            let fields = self.next..end;
            let copied: usize = fields
                .clone()
                .map(|index| put_field(&mut reply, data, args.get(index)))
                .sum();
            self.next = end;
            // A search among 100 fields, or in a sorted million, takes 200 to 500 ns.
            exec.budget.spend(fields.len() * 4 + copied / 1024);
            if exec.budget.is_spent() {
                break;
            }
        }
        self.nesting = reply.suspend();
        self.next == args.len()
    }
}

/// Replies with what `view` shows of an object; with nothing of it where the key is absent.
fn all(exec: &mut Exec<'_>, args: &Args<'_>, view: View) -> Outcome {
    let key = exec.key(args);
    let mut shard = exec.shard(&key);
    let item = of_kind(Kind::Object, shard.get(&key, exec.now))?;
    exec.count_read(item.is_some());
    match item {
        Some(item) => return Ok(elements::send(exec, item.data, view)),
        None if view == View::Pairs => exec.reply().map(0),
        None => exec.reply().array(0),
    }
    Ok(Step::Done)
}

pub(super) fn hgetall(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    all(exec, args, View::Pairs)
}

pub(super) fn hkeys(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    all(exec, args, View::Fields)
}

pub(super) fn hvals(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    all(exec, args, View::Values)
}

pub(super) fn hlen(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    let key = exec.key(args);
    let mut shard = exec.shard(&key);
    let item = of_kind(Kind::Object, shard.get(&key, exec.now))?;
    exec.count_read(item.is_some());
    let len = item.map_or(0, |item| Object::new(item.data.bytes()).len());
    exec.reply().integer(len as i64);
    Ok(Step::Done)
}

pub(super) fn hexists(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    let key = exec.key(args);
    let mut shard = exec.shard(&key);
    let item = of_kind(Kind::Object, shard.get(&key, exec.now))?;
    exec.count_read(item.is_some());
    let exists = item.is_some_and(|item| Object::new(item.data.bytes()).get(args.get(2)).is_some());
    exec.reply().bool(exists);
    Ok(Step::Done)
}
