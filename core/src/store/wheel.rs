//! When entries end: a timing wheel of hash remnants.
//!
//! An item does not say where its entry is but 26 bits of its key's hash, enough to find it through the index. So an
//! entry can move without its item, and an item is 4 bytes. Nothing is done to an item when its entry is deleted or
//! lives longer: it comes up at its time, and the caller looks what is behind it, removes what has ended, and files
//! the rest anew. An entry needs one item at or before its end; how that is kept up is the caller's part.
//!
//! Time is divided into ticks of 864 ms and windows of 64 ticks. Items of the present window lie in runs, sorted by
//! their ticks. Items of later windows lie unsorted in bags: one window wide while less than eight windows ahead (seven
//! minutes), four wide while less than 32 ahead, and so on. A bag of one window is sorted into a run at its time. A wider one
//! comes up item by item, to be filed anew: by a factor of four a step, so that few bags are ever part full, and one
//! second look-up in the life of an entry that lasts minutes is all it costs.
//!
//! Slots in arrays, as a timing wheel is usually drawn, would be mostly empty: the heads alone of 256 slots outweigh the
//! items of a shard with a few hundred keys. A heap in place of the runs was tried: 260 ns an item, nearly all of them
//! waiting for memory, for what a sorted run gives from one cache line for sixteen items.

use alloc::vec::Vec;
use core::cmp::Reverse;

use crate::Millis;
use crate::ledger::allocation;

/// Milliseconds of a tick: how late an item comes up at most. The longer, the more come up together: they share lines and
/// pages, and one cleaning up behind them. What is left of the second in which memory is back is housekeeping's.
pub(super) const TICK: u64 = 864;

/// Ticks of a window, as a power of two: what is left of 32 bits beside a remnant.
const WINDOW_BITS: u32 = u32::BITS - Remnant::BITS;

/// Items of a bag or run at most. It is sorted in one go, and copied when it grows: within 20 µs.
const BAG: usize = 2048;

/// Items of the present window that are put into a run together.
const LATE: usize = 128;

/// The part of a key's hash by which the index finds its entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Remnant(u32);

impl Remnant {
    /// Bits of a remnant.
    pub(super) const BITS: u32 = 26;

    /// The low [`BITS`](Self::BITS) bits of `bits`.
    pub(super) const fn new(bits: u32) -> Self {
        Self(bits & ((1 << Self::BITS) - 1))
    }

    pub(super) const fn bits(self) -> u32 {
        self.0
    }
}

/// A remnant, and above it the tick in its window. The earliest is the greatest, and the last in a run.
type Item = Reverse<u32>;

const fn item(tick: u64, remnant: Remnant) -> Item {
    let tick = tick as u32 & ((1 << WINDOW_BITS) - 1);
    Reverse(tick << Remnant::BITS | remnant.0)
}

const fn tick_of(item: Item) -> u64 {
    (item.0 >> Remnant::BITS) as u64
}

/// Items of one later window, or of several.
#[derive(Debug)]
struct Bag {
    /// The first window.
    start: u64,
    /// Whether there are several windows. The ticks of its items say nothing then.
    wide: bool,
    items: Vec<Item>,
}

impl Bag {
    const fn key(&self) -> (u64, bool) {
        (self.start, self.wide)
    }
}

/// The items of one shard.
#[derive(Debug, Default)]
pub(super) struct Wheel {
    /// Milliseconds that this wheel is ahead of time.
    phase: u64,
    /// The window of the runs. What should have come up before is in them too, at tick 0.
    window: u64,
    /// Runs, none of them empty.
    near: Vec<Vec<Item>>,
    /// What was filed for this window when it had begun, until [`merge`](Self::merge) sorts it in.
    late: Vec<Item>,
    /// The first tick among those.
    late_next: u64,
    /// Later windows, the latest first. None of the bags is empty; the first of several with one key takes new items.
    far: Vec<Bag>,
    /// The first tick at which something comes up, or one before it.
    next: u64,
    len: usize,
    /// Items that there is room for.
    room: usize,
}

impl Wheel {
    /// An empty wheel. Wheels of different phases, in milliseconds, do not turn at the same moments.
    pub(super) fn new(phase: u64) -> Self {
        Self {
            phase,
            late_next: u64::MAX,
            next: u64::MAX,
            ..Self::default()
        }
    }

    /// An empty wheel of the same phase.
    pub(super) fn successor(&self) -> Self {
        Self::new(self.phase)
    }

    /// Number of items.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Bytes of memory.
    pub(super) const fn memory(&self) -> usize {
        self.room * size_of::<Item>()
            + allocation(self.far.capacity() * size_of::<Bag>())
            + allocation(self.near.capacity() * size_of::<Vec<Item>>())
    }

    /// When [`pop`](Self::pop) has something to give, or a moment before; `None` where there are no items.
    pub(super) fn due(&self) -> Option<Millis> {
        (self.len > 0).then(|| {
            let moment = self.next.saturating_mul(TICK);
            Millis(moment.saturating_sub(self.phase))
        })
    }

    /// The tick that has begun.
    const fn tick_at(&self, now: Millis) -> u64 {
        now.0.saturating_add(self.phase) / TICK
    }

    /// The first tick at whose beginning an entry that ends at `end` has ended.
    const fn tick_after(&self, end: Millis) -> u64 {
        end.0.saturating_add(self.phase).div_ceil(TICK)
    }

    /// Files an item that comes up when `end` has come, or some time before.
    pub(super) fn insert(&mut self, remnant: Remnant, end: Millis, now: Millis) {
        let present = self.tick_at(now) >> WINDOW_BITS;
        if self.near.is_empty() && self.late.is_empty() {
            self.window = self.window.max(present);
        }
        let tick = self.tick_after(end);
        let window = tick >> WINDOW_BITS;
        self.len += 1;
        if window <= self.window {
            let tick = tick.max(self.window << WINDOW_BITS);
            self.next = self.next.min(tick);
            self.push_late(tick, remnant);
            return;
        }
        // One window wide below a distance of 8, four below 32, sixteen below 128: never less than its width ahead, so
        // that it begins in the future.
        let distance = window.saturating_sub(present).max(2);
        let width = 1 << ((distance.ilog2() - 1) / 2 * 2);
        let start = window & !(width - 1);
        self.next = self.next.min(start << WINDOW_BITS);
        self.push_far((start, width > 1), item(tick, remnant));
    }

    fn push_late(&mut self, tick: u64, remnant: Remnant) {
        if self.late.len() == LATE {
            self.merge();
        }
        reserve(&mut self.late, 1, &mut self.room);
        self.late.push(item(tick, remnant));
        self.late_next = self.late_next.min(tick);
    }

    /// Sorts the late items into a run.
    fn merge(&mut self) {
        let mut late = core::mem::take(&mut self.late);
        self.late_next = u64::MAX;
        late.sort_unstable();
        match self.near.last_mut() {
            Some(run) if run.len() + late.len() <= BAG => {
                reserve(run, late.len(), &mut self.room);
                run.append(&mut late);
                // Stable sorting finds the two sorted parts, and merges them.
                run.sort();
                self.room -= late.capacity();
            }
            _ => self.near.push(late),
        }
    }

    fn push_far(&mut self, key: (u64, bool), item: Item) {
        let place = self.far.partition_point(|bag| bag.key() > key);
        let takes = |bag: &Bag| bag.key() == key && bag.items.len() < BAG;
        if !self.far.get(place).is_some_and(takes) {
            let (start, wide) = key;
            let items = Vec::new();
            self.far.insert(place, Bag { start, wide, items });
        }
        let items = &mut self.far[place].items;
        reserve(items, 1, &mut self.room);
        items.push(item);
    }

    /// Takes out items that have come up, as many as there are and `to` holds; says how many. Items whose end has come are
    /// first.
    pub(super) fn pop(&mut self, now: Millis, to: &mut [Remnant]) -> usize {
        let tick = self.tick_at(now);
        if self.late_next <= tick {
            self.merge();
        }
        let mut count = 0;
        while count < to.len() {
            let more = self.pop_near(tick, &mut to[count..]);
            count += more;
            if more > 0 {
                continue;
            }
            match self.far.last() {
                Some(bag) if bag.start <= tick >> WINDOW_BITS => {
                    if bag.wide {
                        count += self.pop_far(&mut to[count..]);
                    } else {
                        self.open();
                    }
                }
                _ => {
                    self.settle();
                    break;
                }
            }
        }
        count
    }

    /// Takes items out of the earliest bag, until `to` is full; says how many.
    fn pop_far(&mut self, to: &mut [Remnant]) -> usize {
        let Some(bag) = self.far.last_mut() else {
            return 0;
        };
        let left = bag.items.len().saturating_sub(to.len());
        let items = bag.items.drain(left..).rev();
        let count = items.len();
        for (place, Reverse(bits)) in to.iter_mut().zip(items) {
            *place = Remnant::new(bits);
        }
        self.len -= count;
        if bag.items.is_empty() {
            self.room -= bag.items.capacity();
            self.far.pop();
        }
        count
    }

    /// Takes items out of a run that come up at `now` or before, each once, until `to` is full; says how many.
    fn pop_near(&mut self, now: u64, to: &mut [Remnant]) -> usize {
        let base = self.window << WINDOW_BITS;
        let is_up = |first: &mut Item| base + tick_of(*first) <= now;
        let mut runs = self.near.iter_mut();
        let Some(place) = runs.rposition(|run| run.last_mut().is_some_and(is_up)) else {
            return 0;
        };
        // What has come up is mostly in one run. It is the last then, and found at once the next time.
        let last = self.near.len() - 1;
        self.near.swap(place, last);
        let run = &mut self.near[last];
        let (before, len) = (run.capacity(), run.len());
        let mut count = 0;
        while count < to.len()
            && let Some(item) = run.pop_if(is_up)
        {
            to[count] = Remnant::new(item.0);
            count += 1;
            while run.pop_if(|next| *next == item).is_some() {}
        }
        self.len -= len - run.len();
        if run.is_empty() {
            self.room -= before;
            self.near.pop();
        } else if run.len() < before / 2 {
            run.shrink_to(room_for(run.len()));
            self.room -= before - run.capacity();
        }
        count
    }

    /// Sorts the earliest bag, of one window, into a run.
    fn open(&mut self) {
        let Some(mut bag) = self.far.pop() else {
            return;
        };
        if bag.start > self.window {
            debug_assert!(
                self.near.is_empty() && self.late.is_empty(),
                "an older window has come up entirely"
            );
            self.window = bag.start;
        } else if bag.start < self.window {
            for item in &mut bag.items {
                *item = self::item(0, Remnant::new(item.0));
            }
        }
        bag.items.sort_unstable();
        self.near.push(bag.items);
    }

    /// Notes when the next item comes up.
    fn settle(&mut self) {
        let base = self.window << WINDOW_BITS;
        let firsts = self.near.iter().filter_map(|run| run.last());
        let near = firsts.map(|&first| base + tick_of(first)).min();
        let far = self.far.last().map(|bag| bag.start << WINDOW_BITS);
        let first = near.into_iter().chain(far).min();
        self.next = first.map_or(self.late_next, |first| first.min(self.late_next));
    }
}

/// Items that a list of `len` has room for: what else the allocator would round up to.
const fn room_for(len: usize) -> usize {
    allocation(len * size_of::<Item>()) / size_of::<Item>()
}

/// Makes room for `more` items, and adds what was allocated to `room`.
#[inline]
fn reserve(items: &mut Vec<Item>, more: usize, room: &mut usize) {
    let before = items.capacity();
    if before - items.len() < more {
        items.reserve_exact(room_for(items.len() + more) - items.len());
        *room += items.capacity() - before;
    }
}

#[cfg(test)]
impl Wheel {
    /// When the first item of a remnant comes up.
    pub(super) fn first_of(&self, remnant: Remnant) -> Option<Millis> {
        let is_of = |item: &Item| Remnant::new(item.0) == remnant;
        let base = self.window << WINDOW_BITS;
        let near = self.near.iter().flatten().chain(&self.late);
        let near = near
            .filter(|item| is_of(item))
            .map(|&item| base + tick_of(item));
        let far = self
            .far
            .iter()
            .filter(|bag| bag.items.iter().any(is_of))
            .map(|bag| {
                let items = bag.items.iter().filter(|item| is_of(item));
                let tick = items
                    .map(|&item| if bag.wide { 0 } else { tick_of(item) })
                    .min();
                (bag.start << WINDOW_BITS) + tick.unwrap_or(0)
            });
        let tick = near.chain(far).min()?;
        Some(Millis(tick.saturating_mul(TICK).saturating_sub(self.phase)))
    }

    /// Checks order, sums and bounds.
    pub(super) fn validate(&self) {
        let keys: Vec<_> = self.far.iter().map(Bag::key).collect();
        assert!(
            keys.is_sorted_by(|before, after| before >= after),
            "the latest bag is first"
        );
        let near = self.near.iter().map(|run| (run.len(), run.capacity()));
        let far = self
            .far
            .iter()
            .map(|bag| (bag.items.len(), bag.items.capacity()));
        let (mut items, mut room) = (self.late.len(), self.late.capacity());
        for (len, capacity) in near.chain(far) {
            assert!(0 < len && len <= BAG, "a bag of {len} items");
            items += len;
            room += capacity;
        }
        assert_eq!((items, room), (self.len, self.room));
        assert!(self.near.iter().all(|run| run.is_sorted()));
        let base = self.window << WINDOW_BITS;
        let late = self.late.iter().map(|&item| base + tick_of(item)).min();
        assert_eq!(late.unwrap_or(u64::MAX), self.late_next);
        assert!(self.next <= self.late_next);
        for first in self.near.iter().filter_map(|run| run.last()) {
            assert!(self.next <= base + tick_of(*first));
        }
        for bag in &self.far {
            assert!(self.next <= bag.start << WINDOW_BITS);
        }
    }
}

#[cfg(test)]
mod tests;
