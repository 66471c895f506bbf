//! Which of a shard's entries are worth keeping: the memory of the default policy.
//!
//! New entries enter the Window, a CLOCK; what falls out of it competes with what Main's CLOCK gives up: the one that was
//! asked for more often stays, at a tie Main's. How often, the [`History`] knows, also of keys that are not stored.
//! (Admission by frequency: Einziger, Friedman, Manes, TinyLFU, 2017.) How large the Window should be depends on the
//! load. Two [`Ghosts`] remember what went last: who asks for a reject of the Window shows that it is too small, who
//! asks for a victim of Main shows that it is too large. (The idea of ARC: Megiddo, Modha, 2003.)
//!
//! Reads only count in the entry itself; the hands carry those counts over as they pass. All numbers below were chosen
//! by replaying traces; docs/EVICTION.md has the tables.

use alloc::boxed::Box;
use alloc::vec;

/// Slots of the history for each entry.
const HISTORY_PER_ENTRY: usize = 2;

/// Slots of the history at least: a shard of a dozen entries needs more for each.
const LEAST_HISTORY: usize = 256;

/// All counts are halved when this many requests an entry were counted.
const AGING: usize = 20;

/// The part of all entries that a ghost remembers, as a divisor: 7 %.
const GHOSTS: usize = 14;

/// Parts that the share of the Window is counted in.
const WHOLE: u32 = 1 << 16;

/// The Window's least and greatest share: 1 % and 99 %. It begins with the least.
const LEAST: u32 = WHOLE / 100;
const MOST: u32 = WHOLE - LEAST;

/// How much a ghost that is asked for moves the share: a thousandth, one entry at least.
const STEP: u32 = WHOLE / 1000;

/// What the default policy knows besides the entries. It takes no memory until it is [`resize`](Self::resize)d.
#[derive(Debug)]
pub(super) struct Policy {
    /// The Window's share of the entries, in parts of [`WHOLE`].
    window: u32,
    /// Entries that history and ghosts are made for; 0 while there is no bound to keep.
    entries: usize,
    history: History,
    rejects: Ghosts,
    victims: Ghosts,
    /// Entries that the Window has yet to hand to Main because its share has become smaller.
    pub(super) surplus: usize,
    /// Random numbers drawn.
    drawn: u64,
}

impl Policy {
    pub(super) fn new() -> Self {
        Self {
            window: LEAST,
            entries: 0,
            history: History::new(0),
            rejects: Ghosts::new(0),
            victims: Ghosts::new(0),
            surplus: 0,
            drawn: 0,
        }
    }

    /// A random number; good enough to choose entries by. (SplitMix64: Steele, Lea, Flood, 2014.)
    pub(super) fn random(&mut self) -> u64 {
        self.drawn = self.drawn.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.drawn;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Heads or tails.
    pub(super) fn toss(&mut self) -> bool {
        self.random() >> 63 == 1
    }

    /// Makes room for what must be known of so many entries. Counts are kept, ghosts are not; nothing happens while the
    /// present room is about right.
    pub(super) fn resize(&mut self, entries: usize) {
        if entries <= self.entries + self.entries / 4 && entries >= self.entries / 4 {
            return;
        }
        self.entries = entries.max(1);
        self.history.resize(self.entries);
        let remembered = (entries / GHOSTS).max(2);
        self.rejects = Ghosts::new(remembered);
        self.victims = Ghosts::new(remembered);
    }

    /// How many of so many entries the Window should have.
    pub(super) fn window(&self, entries: usize) -> usize {
        ((entries as u64 * u64::from(self.window)) >> 16).max(1) as usize
    }

    /// A key came that is not stored.
    pub(super) fn missed(&mut self, hash: u64) {
        if self.entries == 0 {
            return;
        }
        let step = STEP.max(WHOLE / self.entries as u32);
        let before = self.window(self.entries);
        if self.rejects.recall(hash) {
            self.window = (self.window + step).min(MOST);
        } else if self.victims.recall(hash) {
            self.window = self.window.saturating_sub(step).max(LEAST);
            self.surplus += before - self.window(self.entries);
        }
    }

    /// A hand passed an entry that was asked for so often since the last time.
    pub(super) fn passed(&mut self, hash: u64, times: u8) {
        if times > 0 {
            self.history.count(hash, times);
        }
    }

    /// Whether what falls out of the Window was asked for more often than what Main would give up for it.
    pub(super) fn prefers(&self, candidate: u64, victim: u64) -> bool {
        self.history.estimate(candidate) > self.history.estimate(victim)
    }

    /// An entry was not let into Main.
    pub(super) fn rejected(&mut self, hash: u64) {
        self.rejects.remember(hash);
    }

    /// An entry of Main went.
    pub(super) fn evicted(&mut self, hash: u64) {
        self.victims.remember(hash);
    }

    /// Bytes of memory.
    pub(super) fn memory(&self) -> usize {
        size_of_val(&*self.history.buckets)
            + size_of_val(&*self.rejects.buckets)
            + size_of_val(&*self.victims.buckets)
    }
}

/// Which of `count` buckets a hash belongs to. Its high bits decide, so that a table that grows keeps their order.
fn bucket_of(hash: u64, count: usize) -> usize {
    // The index and the shards use other bits of the same hash; multiplied, all of them count.
    let mixed = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((u128::from(mixed) * count as u128) >> 64) as usize
}

/// How often keys were asked for, lately: a table of small tags and counts. It takes no more than one cache line a
/// question, and less memory than a count-min sketch that is as often right.
#[derive(Debug)]
struct History {
    /// Each slot: a tag of 12 bits, the count above it. A count of 0 is a free slot.
    buckets: Box<[[u16; WAYS]]>,
    /// Counted since the counts were halved last.
    counted: usize,
    /// When to halve them.
    aging: usize,
    /// Where the next search for the least count begins: without it, the first slots would always lose.
    turn: usize,
}

const WAYS: usize = 8;
const TAG: u16 = 0x0fff;
const ONE: u16 = TAG + 1;
const MAX_COUNT: u16 = 15;

impl History {
    fn new(entries: usize) -> Self {
        let slots = match entries {
            0 => 0,
            entries => (entries * HISTORY_PER_ENTRY).max(LEAST_HISTORY),
        };
        Self {
            buckets: vec![[0; WAYS]; slots.div_ceil(WAYS)].into(),
            aging: entries * AGING,
            counted: 0,
            turn: 0,
        }
    }

    /// Takes another size. A bucket of the new table gets what the one knew that its keys came from.
    fn resize(&mut self, entries: usize) {
        let old = core::mem::replace(self, Self::new(entries));
        let (from, to) = (old.buckets.len(), self.buckets.len());
        if from > 0 {
            for (place, bucket) in self.buckets.iter_mut().enumerate() {
                *bucket = old.buckets[place * from / to];
            }
        }
        self.counted = old.counted;
    }

    fn place(&self, hash: u64) -> (usize, u16) {
        (bucket_of(hash, self.buckets.len()), hash as u16 & TAG)
    }

    fn estimate(&self, hash: u64) -> u16 {
        let (bucket, tag) = self.place(hash);
        let same = |slot: &&u16| **slot >= ONE && **slot & TAG == tag;
        self.buckets[bucket]
            .iter()
            .find(same)
            .map_or(0, |slot| slot / ONE)
    }

    fn count(&mut self, hash: u64, times: u8) {
        let (bucket, tag) = self.place(hash);
        let bucket = &mut self.buckets[bucket];
        let times = u16::from(times).min(MAX_COUNT);
        if let Some(slot) = bucket
            .iter_mut()
            .find(|slot| **slot >= ONE && **slot & TAG == tag)
        {
            *slot = (*slot / ONE + times).min(MAX_COUNT) * ONE + tag;
        } else {
            self.turn = self.turn.wrapping_add(1);
            let turn = self.turn;
            let least = (0..WAYS)
                .map(|way| (way + turn) % WAYS)
                .min_by_key(|&way| bucket[way] / ONE);
            bucket[least.unwrap_or(0)] = times * ONE + tag;
        }
        self.counted += usize::from(times);
        if self.counted >= self.aging {
            self.age();
        }
    }

    /// Halves all counts: 16 slots a nanosecond.
    #[cold]
    fn age(&mut self) {
        for slot in self.buckets.iter_mut().flatten() {
            *slot = *slot / ONE / 2 * ONE + (*slot & TAG);
        }
        self.counted /= 2;
    }
}

/// The keys that went last, by parts of their hashes.
#[derive(Debug)]
struct Ghosts {
    /// Each slot: a tag in the low half, the moment in the high one. Moment 0 is a free slot.
    buckets: Box<[[u32; GHOST_WAYS]]>,
    /// Keys that are remembered.
    most: u32,
    /// Keys ever remembered, and how many of them make a moment.
    remembered: u32,
    shift: u32,
}

const GHOST_WAYS: usize = 4;

impl Ghosts {
    fn new(most: usize) -> Self {
        let most = most.min(1 << 30) as u32;
        Self {
            // Half as many again as are remembered: a bucket that is full forgets its oldest.
            buckets: vec![[0; GHOST_WAYS]; (most as usize * 3 / 2).div_ceil(GHOST_WAYS)].into(),
            most,
            remembered: 0,
            shift: (most >> 13).checked_ilog2().map_or(0, |log| log + 1),
        }
    }

    /// Moments follow each other from 1 to 65,535, then from 1 again.
    fn moment(&self, remembered: u32) -> u32 {
        (remembered >> self.shift) % 0xffff + 1
    }

    /// Moments since the one of a slot.
    fn age(&self, slot: u32) -> u32 {
        let (now, then) = (self.moment(self.remembered), slot >> 16);
        if now >= then {
            now - then
        } else {
            now + 0xffff - then
        }
    }

    fn remember(&mut self, hash: u64) {
        if self.buckets.is_empty() {
            return;
        }
        self.remembered = self.remembered.wrapping_add(1);
        let bucket = bucket_of(hash, self.buckets.len());
        let tag = hash as u32 & 0xffff;
        let oldest = (0..GHOST_WAYS).max_by_key(|&way| match self.buckets[bucket][way] {
            slot if slot >> 16 == 0 => u32::MAX,
            slot => self.age(slot),
        });
        self.buckets[bucket][oldest.unwrap_or(0)] = self.moment(self.remembered) << 16 | tag;
    }

    /// Whether the key is remembered; it no longer is afterwards.
    fn recall(&mut self, hash: u64) -> bool {
        if self.buckets.is_empty() {
            return false;
        }
        let bucket = bucket_of(hash, self.buckets.len());
        let tag = hash as u32 & 0xffff;
        let way = (0..GHOST_WAYS).find(|&way| {
            let slot = self.buckets[bucket][way];
            slot >> 16 != 0 && slot & 0xffff == tag && self.age(slot) << self.shift <= self.most
        });
        if let Some(way) = way {
            self.buckets[bucket][way] = 0;
        }
        way.is_some()
    }
}
