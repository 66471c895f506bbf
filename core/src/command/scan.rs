//! Commands on all keys: KEYS, SCAN, RANDOMKEY.
//!
//! A shard's log is walked from its oldest entry to its newest. Entries only ever move towards the newest, when they
//! are rewritten or their extent is cleaned, so a walk meets every key that is present throughout; one that moved
//! from behind the walk to before it is met twice.
//!
//! A walk goes in slices. Under the lock, keys are only copied out ([`Batch`]), for some 10 µs; patterns are matched
//! and replies are written without it. KEYS goes on in later turns until it is through, SCAN in the client's next
//! request.

use alloc::boxed::Box;
use alloc::vec::Vec;

use hashbrown::HashTable;

use super::Error;
use crate::exec::{Args, Continue, Exec, Outcome, Step};
use crate::glob;
use crate::reply::{Reply, Shape};
use crate::store::{Effect, Kind, Position, Tour};
use crate::{Budget, Output};

/// Entries that are passed under one lock: 10 to 20 ns each, in the order of memory.
const SLICE: usize = 512;

/// Bytes of keys after which a slice ends early.
const SLICE_BYTES: usize = 16 << 10;

/// Keys that were copied out of a shard.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Batch {
    fn push(&mut self, key: &[u8]) {
        self.bytes.extend_from_slice(key);
        self.ends.push(self.bytes.len());
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    fn keys(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let key = &self.bytes[start..end];
            start = end;
            key
        })
    }
}

/// What a slice costs, in nanoseconds, until it makes up a unit of the budget.
#[derive(Default)]
struct Cost(usize);

impl Cost {
    /// Looking into a shard.
    const SHARD: usize = 25;
    /// Passing an entry, and copying its key out.
    const ENTRY: usize = 15;
    /// Writing a key to a reply, and remembering that.
    const REPORT: usize = 40;

    /// Matching the keys of a batch. (A pattern and keys that are made for it can take more: the product of their
    /// lengths.)
    fn matching(pattern: &[u8], batch: &Batch) -> usize {
        if pattern == b"*" {
            0
        } else {
            batch.ends.len() * 15 + batch.bytes.len() * 2
        }
    }

    fn pay(&mut self, nanos: usize, budget: &mut Budget) {
        self.0 += nanos;
        budget.spend(self.0 / 100);
        self.0 %= 100;
    }
}

pub(super) fn keys(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    if args.len() > 2 || args.len() == 1 && !exec.is_text() {
        return Err(Error::Arity(exec.command, args.len()));
    }
    let pattern = pattern(args);
    if !pattern.iter().any(|byte| b"*?[\\".contains(byte)) {
        let key = exec.store().key(pattern);
        let found = exec.shard(&key).peek(&key, exec.now).is_some();
        let mut reply = exec.reply();
        reply.words(usize::from(found), Keys::NONE);
        if found {
            reply.bulk(pattern);
        }
        return Ok(Step::Done);
    }
    let mut rest = Box::new(Keys {
        batch: Batch {
            bytes: Vec::with_capacity(SLICE_BYTES * 2),
            ends: Vec::with_capacity(SLICE),
        },
        body: Output::new(),
        count: 0,
        tour: Tour::new(SLICE),
        reported: HashTable::new(),
        cost: Cost::default(),
    });
    Ok(if rest.resume(exec, args) {
        Step::Done
    } else {
        Step::More(rest)
    })
}

/// The pattern of KEYS.
fn pattern<'a>(args: &Args<'a>) -> &'a [u8] {
    if args.len() > 1 { args.get(1) } else { b"*" }
}

/// A KEYS under way.
struct Keys {
    batch: Batch,
    /// The keys that were found, encoded.
    body: Output,
    /// Their number.
    count: usize,
    tour: Tour,
    /// Hashes of the keys of this shard that were reported, unless one slice was enough for all of it. Entries that
    /// are met twice are known by them. (That two different keys of a million have the same one happens once in
    /// 30 million such walks.)
    reported: HashTable<u64>,
    cost: Cost,
}

impl Keys {
    /// What the text dialect says where there are none.
    const NONE: &str = "EMPTY";
    const SHAPE: Shape = Shape::Words { empty: Self::NONE };

    /// Walks one slice of a shard.
    fn slice(&mut self, exec: &mut Exec<'_>, pattern: &[u8]) {
        self.batch.clear();
        let met = self.tour.slice(exec.store(), exec.now, |key, _| {
            self.batch.push(key);
            key.len()
        });
        let matched = self.report(exec, pattern, met.first && met.last);
        let nanos = Cost::SHARD
            + met.passed * Cost::ENTRY
            + Cost::matching(pattern, &self.batch)
            + matched * Cost::REPORT;
        self.cost.pay(nanos, exec.budget);
        if met.last {
            self.reported.clear();
        }
    }

    /// Writes the keys of the batch that match; returns how many do.
    fn report(&mut self, exec: &Exec<'_>, pattern: &[u8], complete: bool) -> usize {
        let mut reply = Reply::elements(&mut self.body, exec.wire(), Self::SHAPE);
        let before = self.count;
        for key in self.batch.keys().filter(|key| glob::matches(pattern, key)) {
            if !complete {
                let hash = exec.store().key(key).hash();
                if self.reported.find(hash, |&other| other == hash).is_some() {
                    continue;
                }
                self.reported.insert_unique(hash, hash, |&hash| hash);
            }
            reply.bulk(key);
            self.count += 1;
        }
        self.count - before
    }
}

impl Continue for Keys {
    fn resume(&mut self, exec: &mut Exec<'_>, args: &Args<'_>) -> bool {
        while !self.tour.is_over(exec.store()) {
            self.slice(exec, pattern(args));
            if exec.budget.is_spent() {
                return false;
            }
        }
        exec.reply().body(Self::SHAPE, self.count, &mut self.body);
        true
    }

    fn memory(&self) -> usize {
        self.body.own_memory()
    }
}

/// Where a SCAN goes on. As a number: the shard in the low 12 bits, the position in its log above. 0 is the start, and
/// as a reply the end; it is no place within a scan, since logs begin behind position 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cursor {
    shard: usize,
    at: Position,
}

impl Cursor {
    const SHARD_BITS: u32 = 12;

    /// Reads a number as Redis does, which takes C's `strtoul`: also a sign, and nothing for 0.
    fn parse(word: &[u8]) -> Option<Self> {
        let (negative, digits) = match word {
            [b'-', digits @ ..] => (true, digits),
            [b'+', digits @ ..] => (false, digits),
            digits => (false, digits),
        };
        if digits.is_empty() && !word.is_empty() {
            return None;
        }
        let number = digits.iter().try_fold(0u64, |number, byte| {
            let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
            number.checked_mul(10)?.checked_add(digit)
        })?;
        let number = if negative {
            number.wrapping_neg()
        } else {
            number
        };
        let shard = (number & ((1 << Self::SHARD_BITS) - 1)) as usize;
        Some(Self {
            shard,
            at: Position(number >> Self::SHARD_BITS),
        })
    }

    const fn number(self) -> u64 {
        self.at.0 << Self::SHARD_BITS | self.shard as u64
    }
}

/// What SCAN was asked for.
struct Scan<'a> {
    pattern: &'a [u8],
    count: usize,
    /// `Some(None)`: a type of Redis that no value here has.
    kind: Option<Option<Kind>>,
}

impl<'a> Scan<'a> {
    fn parse(args: &Args<'a>) -> Result<Self, Error> {
        let mut scan = Self {
            pattern: b"*",
            count: 10,
            kind: None,
        };
        let mut index = 2;
        while index < args.len() {
            if index + 1 == args.len() {
                return Err(Error::Syntax);
            }
            if args.is(index, "MATCH") {
                scan.pattern = args.get(index + 1);
            } else if args.is(index, "COUNT") {
                let count = usize::try_from(args.integer(index + 1)?);
                scan.count = count.ok().filter(|&count| count > 0).ok_or(Error::Syntax)?;
            } else if args.is(index, "TYPE") {
                scan.kind = Some(kind(args, index + 1));
            } else {
                return Err(Error::Syntax);
            }
            index += 2;
        }
        Ok(scan)
    }

    /// Copies the next keys out, whatever the pattern: as many as were asked for, or what the budget allows. Returns
    /// where to go on; `None` at the end.
    ///
    /// Where the shard says that a walk must hurry to come to its end, it is twice as many for each step of the pace,
    /// and the budget does not count.
    fn gather(&self, exec: &mut Exec<'_>, from: Cursor, batch: &mut Batch) -> Option<Cursor> {
        let Cursor { mut shard, mut at } = from;
        let (mut visited, mut cost) = (0, Cost::default());
        while shard < exec.store().shards() {
            let mut locked = exec.store().lock(shard);
            let pace = locked.pace(at);
            let (slice, bytes) = (SLICE << pace, SLICE_BYTES << pace);
            let most = if pace == 0 {
                self.count
            } else {
                self.count.min(SLICE) << pace
            };
            let mut steps = slice;
            let next = locked.walk(at, &mut steps, exec.now, |_, key, item| {
                if self.kind.is_none_or(|kind| kind == Some(item.kind)) {
                    batch.push(key);
                }
                visited += 1;
                visited < most && batch.bytes.len() < bytes
            });
            drop(locked);
            cost.pay(Cost::SHARD + (slice - steps) * Cost::ENTRY, exec.budget);
            match next {
                Some(next) => at = next,
                None => (shard, at) = (shard + 1, Position::default()),
            }
            let spent = exec.budget.is_spent() && (pace == 0 || next.is_none());
            if visited >= most || batch.bytes.len() >= bytes || spent {
                break;
            }
        }
        (shard < exec.store().shards()).then_some(Cursor { shard, at })
    }
}

/// The kind that a word after TYPE names, as Redis or as the text dialect calls it.
fn kind(args: &Args<'_>, index: usize) -> Option<Kind> {
    let names = [
        ("string", Kind::String),
        ("list", Kind::Array),
        ("array", Kind::Array),
        ("hash", Kind::Object),
        ("object", Kind::Object),
    ];
    names
        .into_iter()
        .find(|(name, _)| args.is(index, name))
        .map(|(_, kind)| kind)
}

pub(super) fn scan(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    let from = Cursor::parse(args.get(1)).ok_or(Error::Other("ERR invalid cursor"))?;
    let scan = Scan::parse(args)?;
    let mut batch = Batch::default();
    let next = scan.gather(exec, from, &mut batch);
    let found: Vec<_> = batch
        .keys()
        .filter(|key| glob::matches(scan.pattern, key))
        .collect();
    let nanos = Cost::matching(scan.pattern, &batch) + found.len() * Cost::REPORT;
    exec.budget.spend(nanos / 100);
    let mut reply = exec.reply();
    reply.array(2);
    reply.bulk(
        itoa::Buffer::new()
            .format(next.map_or(0, Cursor::number))
            .as_bytes(),
    );
    reply.array(found.len());
    for key in found {
        reply.bulk(key);
    }
    Ok(Step::Done)
}

pub(super) fn randomkey(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    Ok(if Draw.resume(exec, args) {
        Step::Done
    } else {
        Step::More(Box::new(Draw))
    })
}

/// A RANDOMKEY under way. Keys that are drawn and have ended go, so that it finds one that has not, or none at all.
struct Draw;

impl Continue for Draw {
    fn resume(&mut self, exec: &mut Exec<'_>, _: &Args<'_>) -> bool {
        /// Draws before the budget is looked at and the shards are counted anew.
        const DRAWS: usize = 100;
        loop {
            let store = exec.store();
            // How many keys the shards up to each hold: so each key has the same chance, few or many as they are.
            let mut total = 0;
            let ends: Vec<u64> = (0..store.shards())
                .map(|shard| {
                    total += store.lock(shard).len() as u64;
                    total
                })
                .collect();
            if total == 0 {
                exec.reply().null();
                return true;
            }
            for _ in 0..DRAWS {
                let draw = store.random() % total;
                let mut shard = store.lock(ends.partition_point(|&end| end <= draw));
                match shard.sample(store.random(), exec.now) {
                    Some((key, false)) => {
                        exec.reply().bulk(key);
                        return true;
                    }
                    Some((key, true)) => {
                        let key = key.to_vec();
                        let committed = shard.commit(&store.key(&key), Effect::Delete, exec.now);
                        drop(shard);
                        drop(committed);
                    }
                    None => {}
                }
            }
            exec.budget
                .spend(ends.len() * Cost::SHARD / 100 + DRAWS * 3);
            if exec.budget.is_spent() {
                return false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn cursors_come_back_as_they_went() {
        for (shard, at) in [
            (0, 1 << 14),
            (1, 0),
            (255, 99 << 14 | 16_383),
            (4095, (1 << 52) - 1),
        ] {
            let cursor = Cursor {
                shard,
                at: Position(at),
            };
            assert_eq!(
                Cursor::parse(cursor.number().to_string().as_bytes()),
                Some(cursor)
            );
        }
    }

    #[test]
    fn cursors_are_read_as_by_strtoul() {
        let start = Cursor {
            shard: 0,
            at: Position(0),
        };
        for word in [&b"0"[..], b"", b"-0", b"+0", b"000"] {
            assert_eq!(Cursor::parse(word), Some(start));
        }
        assert_eq!(
            Cursor::parse(b"-1"),
            Cursor::parse(u64::MAX.to_string().as_bytes())
        );
        for word in [
            &b"x"[..],
            b"1x",
            b" 1",
            b"1 ",
            b"-",
            b"+",
            b"0x1",
            b"18446744073709551616",
        ] {
            assert_eq!(Cursor::parse(word), None);
        }
    }
}
