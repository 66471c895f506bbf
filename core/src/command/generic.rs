//! Keys, whatever their value.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::Error;
use super::options::{self, Clock};
use super::string::TOGETHER;
use crate::exec::{Args, Continue, Exec, Outcome, Shards, Step};
use crate::store::{Data, Effect, Kind, NewData};
use crate::{Blob, Millis};

pub(super) fn exists(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    each(exec, args, |exec, shards, index| {
        let found = shards.peek(&shards.key(index), exec.now).is_some();
        exec.count_read(found);
        found
    })
}

pub(super) fn touch(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    each(exec, args, |exec, shards, index| {
        let found = shards.get(&shards.key(index), exec.now).is_some();
        exec.count_read(found);
        found
    })
}

pub(super) fn del(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    if args.len() > 2 {
        return each(exec, args, |exec, shards, index| {
            shards.commit(&shards.key(index), Effect::Delete, exec.now)
        });
    }
    let key = exec.key(args);
    let existed = exec.commit(exec.shard(&key), &key, Effect::Delete);
    found(exec, existed);
    Ok(Step::Done)
}

/// Says whether a key was there to be changed.
fn found(exec: &mut Exec<'_>, found: bool) {
    match (exec.is_text(), found) {
        (true, true) => exec.reply().ok(),
        (true, false) => exec.reply().status("NOT_FOUND"),
        (false, found) => exec.reply().bool(found),
    }
}

/// What is done with one of several keys that are locked together; returns whether it counts.
type Act = fn(&Exec<'_>, &mut Shards<'_, '_>, usize) -> bool;

/// Does the same with each key and replies with how many counted.
fn each(exec: &mut Exec<'_>, args: &Args<'_>, act: Act) -> Outcome {
    let mut rest = Each {
        next: 1,
        counted: 0,
        act,
    };
    Ok(if rest.resume(exec, args) {
        Step::Done
    } else {
        Step::More(Box::new(rest))
    })
}

/// A command on many keys under way: those before `next` are done.
struct Each {
    next: usize,
    counted: i64,
    act: Act,
}

impl Continue for Each {
    fn resume(&mut self, exec: &mut Exec<'_>, args: &Args<'_>) -> bool {
        while self.next < args.len() {
            let end = args.len().min(self.next + TOGETHER);
            let keys: Vec<_> = (self.next..end)
                .map(|index| exec.store().key(args.get(index)))
                .collect();
            let mut shards = exec.lock(keys);
            let counted = (0..shards.len()).filter(|&index| (self.act)(exec, &mut shards, index));
            self.counted += counted.count() as i64;
            drop(shards);
            exec.budget.spend((end - self.next) * 2);
            self.next = end;
            if exec.budget.is_spent() && end < args.len() {
                return false;
            }
        }
        exec.reply().integer(self.counted);
        true
    }
}

/// TYPE.
pub(super) fn kind(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    let key = exec.key(args);
    let kind = exec.shard(&key).peek(&key, exec.now).map(|item| item.kind);
    exec.count_read(kind.is_some());
    let name = kind_name(kind, exec.is_text());
    exec.reply().status(name);
    Ok(Step::Done)
}

/// What a kind of value is called, in text or by Redis.
pub(super) const fn kind_name(kind: Option<Kind>, text: bool) -> &'static str {
    match (kind, text) {
        (None, _) => "none",
        (Some(Kind::String), _) => "string",
        (Some(Kind::Array), true) => "array",
        (Some(Kind::Array), false) => "list",
        (Some(Kind::Object), true) => "object",
        (Some(Kind::Object), false) => "hash",
    }
}

/// Gives the first key's value and time to live to the second; with `only_new`, not if that exists. Returns whether it
/// did.
fn rename_to(exec: &Exec<'_>, args: &Args<'_>, only_new: bool) -> Result<bool, Error> {
    let mut shards = exec.shards(args);
    let (from, to) = (shards.key(0), shards.key(1));
    let item = shards
        .peek(&from, exec.now)
        .ok_or(Error::Other("ERR no such key"))?;
    if only_new && shards.peek(&to, exec.now).is_some() {
        return Ok(false);
    }
    if from.bytes() == to.bytes() {
        return Ok(true);
    }
    let mut small = [0; Blob::MIN];
    let data = match item.data {
        Data::Blob(blob) => NewData::Blob(blob.clone()),
        Data::Inline(bytes) => {
            let copy = &mut small[..bytes.len()];
            copy.copy_from_slice(bytes);
            NewData::Bytes(copy)
        }
    };
    let effect = Effect::Set {
        kind: item.kind,
        data,
        expires: item.expires,
    };
    shards.commit(&to, effect, exec.now);
    shards.commit(&from, Effect::Delete, exec.now);
    Ok(true)
}

pub(super) fn rename(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    rename_to(exec, args, false)?;
    exec.reply().ok();
    Ok(Step::Done)
}

pub(super) fn renamenx(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    let renamed = rename_to(exec, args, true)?;
    exec.reply().bool(renamed);
    Ok(Step::Done)
}

/// What the present end of life must be for EXPIRE to change it.
#[derive(Clone, Copy, Default)]
struct Condition {
    none: bool,
    some: bool,
    earlier: bool,
    later: bool,
}

impl Condition {
    /// Reads the words from `first` on.
    fn parse(args: &Args<'_>, first: usize) -> Result<Self, Error> {
        let mut condition = Self::default();
        for index in first..args.len() {
            let word = ["NX", "XX", "GT", "LT"]
                .into_iter()
                .position(|word| args.is(index, word));
            match word {
                Some(0) => condition.none = true,
                Some(1) => condition.some = true,
                Some(2) => condition.earlier = true,
                Some(_) => condition.later = true,
                None => return Err(Error::unsupported_option(args.get(index))),
            }
        }
        if condition.none && (condition.some || condition.earlier || condition.later) {
            return Err(Error::Other(
                "ERR NX and XX, GT or LT options at the same time are not compatible",
            ));
        }
        if condition.earlier && condition.later {
            return Err(Error::Other(
                "ERR GT and LT options at the same time are not compatible",
            ));
        }
        Ok(condition)
    }

    /// Whether `present` may become `new`. A key without a time to live ends later than any other.
    fn allows(self, present: Option<Millis>, new: i64) -> bool {
        let present = present.map(|Millis(moment)| i64::try_from(moment).unwrap_or(i64::MAX));
        match present {
            None => !self.some && !self.earlier,
            Some(present) => {
                !(self.none || self.earlier && new <= present || self.later && new >= present)
            }
        }
    }
}

/// Sets the end of life that the second argument means; one that has passed deletes the key.
fn expire_at(exec: &mut Exec<'_>, args: &Args<'_>, clock: Clock) -> Outcome {
    let condition = Condition::parse(args, 3)?;
    let amount = args.integer(2)?;
    let moment = clock
        .moment(amount, exec.now)
        .ok_or_else(|| options::invalid_expire(exec))?;
    let key = exec.key(args);
    let shard = exec.shard(&key);
    let item = shard.peek(&key, exec.now);
    let changed = item.is_some_and(|item| condition.allows(item.expires, moment));
    if changed {
        let end = u64::try_from(moment)
            .map(Millis)
            .ok()
            .filter(|&end| end > exec.now);
        let effect = end.map_or(Effect::Delete, |end| Effect::Expire(Some(end)));
        exec.commit(shard, &key, effect);
    } else {
        drop(shard);
    }
    exec.reply().bool(changed);
    Ok(Step::Done)
}

pub(super) fn expire(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    if !exec.is_text() {
        return expire_at(exec, args, Clock::Seconds);
    }
    if args.len() != 3 {
        return Err(Error::Arity(exec.command, args.len()));
    }
    let end = options::parse_ttl(exec, args.get(2))?;
    let key = exec.key(args);
    let existed = exec.commit(exec.shard(&key), &key, Effect::Expire(Some(end)));
    found(exec, existed);
    Ok(Step::Done)
}

pub(super) fn pexpire(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    expire_at(exec, args, Clock::Millis)
}

pub(super) fn expireat(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    expire_at(exec, args, Clock::UnixSeconds)
}

pub(super) fn pexpireat(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    expire_at(exec, args, Clock::UnixMillis)
}

/// Replies with a number made of the end of life, rounded to `unit` milliseconds; -1 without one, -2 without the key.
fn end_of_life(
    exec: &mut Exec<'_>,
    args: &Args<'_>,
    unit: u64,
    number: fn(Millis, Millis) -> u64,
) -> Outcome {
    let key = exec.key(args);
    let expires = exec
        .shard(&key)
        .peek(&key, exec.now)
        .map(|item| item.expires);
    exec.count_read(expires.is_some());
    let number = match expires {
        None => -2,
        Some(None) => -1,
        Some(Some(end)) => {
            let rounded = number(end, exec.now).saturating_add(unit / 2) / unit;
            i64::try_from(rounded).unwrap_or(i64::MAX)
        }
    };
    exec.reply().integer(number);
    Ok(Step::Done)
}

pub(super) fn ttl(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    end_of_life(exec, args, 1000, Millis::since)
}

pub(super) fn pttl(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    end_of_life(exec, args, 1, Millis::since)
}

pub(super) fn expiretime(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    end_of_life(exec, args, 1000, |end, _| end.0)
}

pub(super) fn pexpiretime(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    end_of_life(exec, args, 1, |end, _| end.0)
}

/// PERSIST. The text dialect tells whether the key exists, RESP whether its time to live went.
pub(super) fn persist(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    let key = exec.key(args);
    let shard = exec.shard(&key);
    let expires = shard.peek(&key, exec.now).map(|item| item.expires);
    if let Some(Some(_)) = expires {
        exec.commit(shard, &key, Effect::Expire(None));
    } else {
        drop(shard);
    }
    found(
        exec,
        if exec.is_text() {
            expires.is_some()
        } else {
            expires.flatten().is_some()
        },
    );
    Ok(Step::Done)
}
