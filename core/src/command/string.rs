//! Strings.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::options::{self, Clock, Lifetime};
use super::{Error, of_kind};
use crate::exec::{Args, Continue, Exec, Outcome, Step};
use crate::limits;
use crate::number::{self, LongDouble};
use crate::reply::{Nesting, Reply};
use crate::store::{Data, Effect, Item, Kind, NewData};

/// Keys of an MGET that are read under one lock: they are seen at one moment. Longer ones go on in further turns.
pub(super) const TOGETHER: usize = 256;

pub(super) fn get(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    let key = exec.key(args);
    let mut shard = exec.shard(&key);
    let item = shard.get(&key, exec.now);
    exec.count_read(item.is_some());
    match item {
        None => exec.reply().null(),
        Some(item) if item.kind == Kind::String => send(&mut exec.reply(), item.data),
        Some(item) if exec.is_text() => return Ok(super::elements::send_value(exec, &item)),
        Some(_) => return Err(Error::WrongType),
    }
    Ok(Step::Done)
}

/// Replies with a string: a small one is copied under the lock, a large one is shared.
#[inline]
pub(super) fn send(reply: &mut Reply<'_>, data: Data<'_>) {
    match data {
        Data::Inline(bytes) => reply.bulk(bytes),
        Data::Blob(blob) => reply.blob(blob),
    }
}

/// What SET was asked for besides key and value.
struct SetOptions {
    lifetime: Lifetime,
    only_new: bool,
    only_existing: bool,
    get: bool,
}

impl SetOptions {
    /// Reads the words from `first` on as Redis does.
    fn parse(args: &Args<'_>, first: usize) -> Result<Self, Error> {
        let lifetime = Lifetime::new("KEEPTTL");
        let mut options = Self {
            lifetime,
            only_new: false,
            only_existing: false,
            get: false,
        };
        let mut index = first;
        while index < args.len() {
            if args.is(index, "NX") && !options.only_existing {
                options.only_new = true;
            } else if args.is(index, "XX") && !options.only_new {
                options.only_existing = true;
            } else if args.is(index, "GET") {
                options.get = true;
            } else {
                match options.lifetime.read(args, index) {
                    0 => return Err(Error::Syntax),
                    words => index += words - 1,
                }
            }
            index += 1;
        }
        Ok(options)
    }

    /// Whether what is there already does not matter.
    const fn is_plain(&self) -> bool {
        !(self.get || self.only_new || self.only_existing || self.lifetime.worded)
    }
}

pub(super) fn set(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    let (ttl, at) = options::ttl(exec, args, 1)?;
    let (value, last) = if exec.is_text() {
        (args.joined(at), args.len())
    } else {
        (args.get(at), at + 1)
    };
    let options = SetOptions::parse(args, last)?;
    if ttl.is_some() && options.lifetime.is_given() {
        return Err(Error::Syntax);
    }
    let mut expires = ttl.or(options.lifetime.end(exec, args)?);
    let key = exec.key(args);
    let data = NewData::copy(value);
    let shard = exec.shard(&key);
    if options.is_plain() {
        exec.commit(
            shard,
            &key,
            Effect::Set {
                kind: Kind::String,
                data,
                expires,
            },
        );
        exec.reply().ok();
        return Ok(Step::Done);
    }
    let old = shard.peek(&key, exec.now);
    if options.get {
        exec.count_read(old.is_some());
        send_or_null(exec, of_kind(Kind::String, old)?);
    }
    let write = if old.is_some() {
        !options.only_new
    } else {
        !options.only_existing
    };
    if options.lifetime.worded {
        expires = old.and_then(|item| item.expires);
    }
    if write {
        exec.commit(
            shard,
            &key,
            Effect::Set {
                kind: Kind::String,
                data,
                expires,
            },
        );
    }
    if !options.get {
        if write {
            exec.reply().ok()
        } else {
            exec.reply().null()
        }
    }
    Ok(Step::Done)
}

/// Replies with a string, if there is one.
fn send_or_null(exec: &mut Exec<'_>, item: Option<Item<'_>>) {
    match item {
        Some(item) => send(&mut exec.reply(), item.data),
        None => exec.reply().null(),
    }
}

pub(super) fn setnx(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    let (expires, at) = options::ttl(exec, args, 1)?;
    let value = if exec.is_text() {
        args.joined(at)
    } else {
        args.get(at)
    };
    if !exec.is_text() && args.len() != at + 1 {
        return Err(Error::Arity(exec.command, args.len()));
    }
    super::setters::set_if_absent(exec, args, Kind::String, NewData::copy(value), expires)
}

fn set_with(exec: &mut Exec<'_>, args: &Args<'_>, clock: Clock) -> Outcome {
    let expires = Some(options::end_of_life(exec, args, 2, clock)?);
    let (key, data) = (exec.key(args), NewData::copy(args.get(3)));
    exec.commit(
        exec.shard(&key),
        &key,
        Effect::Set {
            kind: Kind::String,
            data,
            expires,
        },
    );
    exec.reply().ok();
    Ok(Step::Done)
}

pub(super) fn setex(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    set_with(exec, args, Clock::Seconds)
}

pub(super) fn psetex(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    set_with(exec, args, Clock::Millis)
}

/// Replies with the string under the first key, then changes the key, if there is one.
fn get_and(
    exec: &mut Exec<'_>,
    args: &Args<'_>,
    effect: impl FnOnce(&Exec<'_>) -> Result<Option<Effect<'static>>, Error>,
) -> Outcome {
    let key = exec.key(args);
    let mut shard = exec.shard(&key);
    let old = of_kind(Kind::String, shard.get(&key, exec.now))?;
    exec.count_read(old.is_some());
    let effect = if old.is_some() { effect(exec)? } else { None };
    send_or_null(exec, old);
    if let Some(effect) = effect {
        exec.commit(shard, &key, effect);
    }
    Ok(Step::Done)
}

pub(super) fn getset(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    let key = exec.key(args);
    let data = NewData::copy(args.get(2));
    let shard = exec.shard(&key);
    let old = of_kind(Kind::String, shard.peek(&key, exec.now))?;
    exec.count_read(old.is_some());
    send_or_null(exec, old);
    exec.commit(
        shard,
        &key,
        Effect::Set {
            kind: Kind::String,
            data,
            expires: None,
        },
    );
    Ok(Step::Done)
}

pub(super) fn getdel(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    get_and(exec, args, |_| Ok(Some(Effect::Delete)))
}

pub(super) fn getex(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    let mut lifetime = Lifetime::new("PERSIST");
    let mut index = 2;
    while index < args.len() {
        match lifetime.read(args, index) {
            0 => return Err(Error::Syntax),
            words => index += words,
        }
    }
    // As in Redis, a time is looked at only where there is a string to get it.
    get_and(exec, args, |exec| {
        let end = lifetime.end(exec, args)?;
        Ok(lifetime.is_given().then_some(Effect::Expire(end)))
    })
}

pub(super) fn mget(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    let mut reply = exec.reply();
    reply.array_json(args.len() - 1);
    let mut rest = Mget {
        next: 1,
        nesting: reply.suspend(),
    };
    Ok(if rest.resume(exec, args) {
        Step::Done
    } else {
        Step::More(Box::new(rest))
    })
}

/// An MGET under way: the header and the values before `next` are written.
struct Mget {
    next: usize,
    nesting: Nesting,
}

impl Continue for Mget {
    fn resume(&mut self, exec: &mut Exec<'_>, args: &Args<'_>) -> bool {
        let wire = exec.wire();
        while self.next < args.len() && !exec.budget.is_spent() {
            let end = args.len().min(self.next + TOGETHER);
            let keys = (self.next..end)
                .map(|index| exec.store().key(args.get(index)))
                .collect();
            let mut shards = exec.lock(keys);
            let mut reply = Reply::resume(exec.output, wire, core::mem::take(&mut self.nesting));
            let mut hits = 0;
            for index in 0..shards.len() {
                match shards.get(&shards.key(index), exec.now) {
                    Some(item) if item.kind == Kind::String => {
                        hits += 1;
                        send(&mut reply, item.data);
                    }
                    _ => reply.null(),
                }
            }
            self.nesting = reply.suspend();
            exec.stats.hits.add(hits);
            exec.stats.misses.add((end - self.next) as u64 - hits);
            exec.budget.spend((end - self.next) * 2);
            self.next = end;
        }
        self.next == args.len()
    }
}

pub(super) fn mset(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    set_many(exec, args, false)?;
    exec.reply().ok();
    Ok(Step::Done)
}

pub(super) fn msetnx(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    let set = set_many(exec, args, true)?;
    exec.reply().integer(i64::from(set));
    Ok(Step::Done)
}

/// Sets all pairs under one lock; with `only_new`, none of them if one of the keys exists.
fn set_many(exec: &mut Exec<'_>, args: &Args<'_>, only_new: bool) -> Result<bool, Error> {
    if args.len().is_multiple_of(2) {
        return Err(Error::Arity(exec.command, args.len()));
    }
    exec.budget.spend(args.len());
    let data: Vec<_> = args.from(2).step_by(2).map(NewData::copy).collect();
    let mut shards = exec.shards(args);
    if only_new
        && (0..shards.len()).any(|index| shards.peek(&shards.key(index), exec.now).is_some())
    {
        return Ok(false);
    }
    for (index, data) in data.into_iter().enumerate() {
        let key = shards.key(index);
        shards.commit(
            &key,
            Effect::Set {
                kind: Kind::String,
                data,
                expires: None,
            },
            exec.now,
        );
    }
    Ok(true)
}

/// Writes `bytes` into the string at the offset that `offset` computes from its length; replies with the new length.
fn patch(
    exec: &mut Exec<'_>,
    args: &Args<'_>,
    bytes: &[u8],
    offset: impl FnOnce(Option<usize>) -> Option<usize>,
) -> Outcome {
    let key = exec.key(args);
    let shard = exec.shard(&key);
    let old =
        of_kind(Kind::String, shard.peek(&key, exec.now))?.map(|item| item.data.bytes().len());
    let mut len = old.unwrap_or(0);
    if let Some(offset) = offset(old) {
        if offset.saturating_add(bytes.len()) > limits::MAX_STRING {
            return Err(Error::Other(
                "ERR string exceeds maximum allowed size (64 MiB)",
            ));
        }
        len = len.max(offset + bytes.len());
        exec.commit(shard, &key, Effect::Patch { offset, bytes });
    }
    exec.reply().integer(len as i64);
    Ok(Step::Done)
}

pub(super) fn append(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    let bytes = args.get(2);
    // Nothing appended to an absent key still makes an empty string of it.
    patch(exec, args, bytes, |len| {
        (len.is_none() || !bytes.is_empty()).then(|| len.unwrap_or(0))
    })
}

pub(super) fn setrange(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    let offset = usize::try_from(args.integer(2)?)
        .map_err(|_| Error::Other("ERR offset is out of range"))?;
    let bytes = args.get(3);
    patch(exec, args, bytes, |_| (!bytes.is_empty()).then_some(offset))
}

pub(super) fn strlen(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    let key = exec.key(args);
    let mut shard = exec.shard(&key);
    let item = of_kind(Kind::String, shard.get(&key, exec.now))?;
    exec.count_read(item.is_some());
    exec.reply()
        .integer(item.map_or(0, |item| item.data.bytes().len() as i64));
    Ok(Step::Done)
}

pub(super) fn getrange(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    let (first, last) = (args.integer(2)?, args.integer(3)?);
    let key = exec.key(args);
    let mut shard = exec.shard(&key);
    let item = of_kind(Kind::String, shard.get(&key, exec.now))?;
    exec.count_read(item.is_some());
    let Some(item) = item else {
        exec.reply().bulk(b"");
        return Ok(Step::Done);
    };
    let range = range(first, last, item.data.bytes().len());
    match item.data {
        Data::Inline(bytes) => exec.reply().bulk(&bytes[range]),
        Data::Blob(blob) => exec.reply().blob_range(blob, range),
    }
    Ok(Step::Done)
}

/// The part of `len` items that Redis means by `first` and `last`: inclusive, negative numbers from the end, clamped.
pub(super) fn range(first: i64, last: i64, len: usize) -> core::ops::Range<usize> {
    let len = len as i64;
    if first < 0 && last < 0 && first > last {
        return 0..0;
    }
    let absolute = |index: i64| {
        if index < 0 {
            (index.saturating_add(len)).max(0)
        } else {
            index
        }
    };
    let (first, last) = (absolute(first), absolute(last).min(len - 1));
    if first > last {
        0..0
    } else {
        first as usize..last as usize + 1
    }
}

/// Adds to the number under `key` and replies with the sum; an absent key counts as 0. The time to live stays.
fn add(exec: &mut Exec<'_>, args: &Args<'_>, by: i64) -> Outcome {
    let key = exec.key(args);
    let shard = exec.shard(&key);
    let old = of_kind(Kind::String, shard.peek(&key, exec.now))?;
    let number = match &old {
        Some(item) => number::parse_i64(item.data.bytes()).ok_or(Error::NotInteger)?,
        None => 0,
    };
    let sum = number
        .checked_add(by)
        .ok_or(Error::Other("ERR increment or decrement would overflow"))?;
    let expires = old.and_then(|item| item.expires);
    let mut digits = itoa::Buffer::new();
    let data = NewData::Bytes(digits.format(sum).as_bytes());
    exec.commit(
        shard,
        &key,
        Effect::Set {
            kind: Kind::String,
            data,
            expires,
        },
    );
    exec.reply().integer(sum);
    Ok(Step::Done)
}

pub(super) fn incr(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    add(exec, args, 1)
}

pub(super) fn decr(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    add(exec, args, -1)
}

pub(super) fn incrby(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    add(exec, args, args.integer(2)?)
}

pub(super) fn decrby(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    let by = args
        .integer(2)?
        .checked_neg()
        .ok_or(Error::Other("ERR decrement would overflow"))?;
    add(exec, args, by)
}

pub(super) fn incrbyfloat(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    let key = exec.key(args);
    let shard = exec.shard(&key);
    let old = of_kind(Kind::String, shard.peek(&key, exec.now))?;
    let parse = |text| LongDouble::parse(text).ok_or(Error::NotFloat);
    let number = parse(old.map_or(b"0", |item| item.data.bytes()))?;
    let sum = number.checked_add(parse(args.get(2))?);
    let sum = sum.ok_or(Error::Other("ERR increment would produce NaN or Infinity"))?;
    let expires = old.and_then(|item| item.expires);
    let text = alloc::format!("{sum}").into_bytes();
    let effect = Effect::Set {
        kind: Kind::String,
        data: NewData::copy(&text),
        expires,
    };
    exec.commit(shard, &key, effect);
    exec.reply().bulk(&text);
    Ok(Step::Done)
}
