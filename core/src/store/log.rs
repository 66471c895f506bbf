//! The memory of a shard: entries one behind the other in extents of 16 KiB.
//!
//! An entry is appended at the head; replacing or deleting it leaves dead bytes, and the shard gets those back by
//! copying what lives of the sparsest extent to the head and giving the extent back whole. A small log has smaller
//! extents, so that a thousand shards with a few keys each do not hold a thousand times 16 KiB. One allocation an entry
//! cannot do this: with the size classes of an allocator and 8-byte slots, 43 bytes of data cost 83 to 90, and a
//! change of sizes strands memory for good.
//!
//! The extents stand in two queues, which eviction works on (see `evict.rs`): new entries go to the head of the Window,
//! and what has proved itself moves to that of the Main queue. At each tail a hand looks at one entry after the other
//! and lets it go or moves it to a head; an extent that the hand has passed is empty, and is given back.
//!
//! Entries only ever move towards the head of their queue, or from the Window to Main. So a [`Position`] splits the log
//! into what a walk has seen and what it has yet to see, and a walk through the Window and then through Main, from the
//! oldest position to the newest, meets every entry that is present throughout.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;

use super::entry::{self, Header};
use super::position::{Position, Queue};
use crate::prefetch::prefetch;

/// Bits of a handle that are the offset in an extent.
pub(super) const OFFSET_BITS: u32 = 14;

/// Bytes of an extent. Small enough that cleaning one under the lock takes a few microseconds, large enough that what
/// does not fit at its end is a small part.
pub(super) const EXTENT: usize = 1 << OFFSET_BITS;

/// Extents that a shard can have: what is left of a 4-byte handle.
const MAX_EXTENTS: usize = 1 << (32 - OFFSET_BITS);

/// Bytes of a queue's first extents.
const MIN_EXTENT: usize = 1 << 10;

/// An entry larger than this gets an extent of its own. Values are out of line from 1 KiB on, so only entries with huge
/// keys are. Less than a quarter of a full-sized extent is lost at its end.
const MAX_SHARED: usize = EXTENT / 4 - entry::PADDING;

/// Bytes ahead of the entry at hand that are asked for while an extent is read.
const AHEAD: usize = 512;

/// Where an entry is: number of the extent and offset in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Handle(pub(super) u32);

impl Handle {
    const fn new(extent: u32, offset: usize) -> Self {
        Self(extent << OFFSET_BITS | offset as u32)
    }

    pub(super) const fn extent(self) -> u32 {
        self.0 >> OFFSET_BITS
    }

    const fn offset(self) -> usize {
        self.0 as usize & (EXTENT - 1)
    }
}

/// What is known of an extent besides its bytes.
#[derive(Debug)]
struct Extent {
    used: u32,
    /// Bytes of live entries, and their number.
    live: u32,
    entries: u32,
    queue: Queue,
    sequence: u64,
}

impl Extent {
    /// Bytes of dead entries.
    const fn dead(&self) -> usize {
        (self.used - self.live) as usize
    }

    /// The position of an offset in this extent, up to its very end.
    const fn position(&self, offset: usize) -> Position {
        if offset < EXTENT {
            Position::new(self.queue, self.sequence, offset)
        } else {
            Position::new(self.queue, self.sequence + 1, 0)
        }
    }
}

/// The extents of one queue.
#[derive(Debug)]
struct Line {
    /// Numbers from the oldest to the head, by ascending sequence.
    order: VecDeque<u32>,
    /// An extent and the offset in it up to which the hand has seen that all is dead; meant while that extent is the
    /// oldest.
    hand: (u32, u32),
    /// Live entries.
    entries: usize,
    /// Bytes of its extents.
    total: usize,
}

impl Line {
    const fn new() -> Self {
        Self {
            order: VecDeque::new(),
            hand: (0, 0),
            entries: 0,
            total: 0,
        }
    }
}

/// The extents of one shard.
#[derive(Debug)]
#[repr(C)] // What every look-up reads comes first.
pub(super) struct Log {
    /// The extents' bytes, by number; an empty one is free. Apart from what else is known of them: a look-up reads only
    /// this, and finds it in the cache more often the smaller it is.
    bytes: Vec<Box<[u8]>>,
    extents: Vec<Extent>,
    /// Bytes of dead entries.
    dead: usize,
    /// Bytes of all extents.
    total: usize,
    /// Bytes of memory in all.
    memory: usize,
    free: Vec<u32>,
    /// The Window and Main.
    lines: [Line; 2],
    next_sequence: u64,
    /// Bytes by which the ends of extents are set off in their queue: see [`head_for`](Self::head_for).
    phase: usize,
}

impl Log {
    /// Bytes at its start that a look-up reads.
    #[cfg(test)]
    pub(super) const HEAD: usize = size_of::<Vec<Box<[u8]>>>();

    /// An empty log whose first extent has this sequence. Logs of different phases do not grow at the same moments.
    pub(super) const fn new(next_sequence: u64, phase: usize) -> Self {
        Self {
            bytes: Vec::new(),
            extents: Vec::new(),
            dead: 0,
            total: 0,
            memory: 0,
            free: Vec::new(),
            lines: [Line::new(), Line::new()],
            next_sequence,
            phase: phase * MIN_EXTENT % EXTENT,
        }
    }

    /// The sequence of the next extent.
    pub(super) const fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// The bytes from `handle`'s entry on.
    #[inline]
    pub(super) fn at(&self, handle: Handle) -> &[u8] {
        &self.bytes[handle.extent() as usize][handle.offset()..]
    }

    /// Asks for the first bytes of an entry: header, key and a small value lie in one or two lines.
    #[inline]
    pub(super) fn prefetch(&self, handle: Handle) {
        let entry = self.at(handle).as_ptr().addr();
        prefetch(entry);
        prefetch(entry + 48);
    }

    /// The bytes from `handle`'s entry on, for a change in place.
    pub(super) fn at_mut(&mut self, handle: Handle) -> &mut [u8] {
        &mut self.bytes[handle.extent() as usize][handle.offset()..]
    }

    const fn line(&self, queue: Queue) -> &Line {
        &self.lines[queue as usize]
    }

    /// The queue of an entry.
    pub(super) fn queue_of(&self, handle: Handle) -> Queue {
        self.extents[handle.extent() as usize].queue
    }

    /// Live entries of a queue.
    pub(super) const fn entries_in(&self, queue: Queue) -> usize {
        self.line(queue).entries
    }

    /// Room for a new entry of `size` bytes at the head of a queue; `None` where the shard has no more extents.
    pub(super) fn append(&mut self, queue: Queue, size: usize) -> Option<(Handle, &mut [u8])> {
        let number = if size > MAX_SHARED {
            self.open_alone(queue, size)?
        } else {
            self.head_for(queue, size)?
        };
        let extent = &mut self.extents[number as usize];
        let offset = extent.used as usize;
        extent.used += size as u32;
        extent.live += size as u32;
        extent.entries += 1;
        self.lines[queue as usize].entries += 1;
        Some((
            Handle::new(number, offset),
            &mut self.bytes[number as usize][offset..offset + size],
        ))
    }

    /// The head of a queue, or a new one where it has no room.
    #[inline]
    fn head_for(&mut self, queue: Queue, size: usize) -> Option<u32> {
        let line = self.line(queue);
        if let Some(&number) = line.order.back() {
            let used = self.extents[number as usize].used as usize;
            if used + size + entry::PADDING <= self.bytes[number as usize].len() {
                return Some(number);
            }
        }
        // An eighth of what is there, so that the unused end of the head is a small part of the whole. Less where that
        // crosses a multiple of itself: shards fill evenly, and but for their phases the heads of all were new at once,
        // which cost up to 4 bytes an entry.
        let eighth = (line.total / 8)
            .next_power_of_two()
            .clamp(MIN_EXTENT, EXTENT);
        // Extents of one entry have any size: to the unit.
        let units = ((line.total + self.phase) / MIN_EXTENT) | (EXTENT / MIN_EXTENT);
        let aligned = MIN_EXTENT << units.trailing_zeros();
        let least = size + entry::PADDING;
        let shared = if aligned < least {
            eighth
        } else {
            eighth.min(aligned)
        };
        self.open(queue, shared.max(least))
    }

    /// An extent for one large entry. It goes before the head, which keeps its room and takes a later sequence: for a
    /// walk, all entries in it have moved.
    fn open_alone(&mut self, queue: Queue, size: usize) -> Option<u32> {
        let number = self.open(queue, size + entry::PADDING)?;
        self.keep_head(queue);
        Some(number)
    }

    /// Lets the extent before the newest one, which has no room to use, be the head again.
    fn keep_head(&mut self, queue: Queue) {
        let order = &mut self.lines[queue as usize].order;
        if let Some(before) = order.len().checked_sub(2) {
            self.extents[order[before] as usize].sequence = self.next_sequence;
            self.next_sequence += 1;
            order.swap(before, before + 1);
        }
    }

    /// A new extent at the end of a queue.
    fn open(&mut self, queue: Queue, size: usize) -> Option<u32> {
        // Behind the head, an extent goes with its last live entry. One that has none already goes here.
        if let Some(&head) = self.line(queue).order.back()
            && self.extents[head as usize].live == 0
        {
            self.close(head);
        }
        let bytes = vec![0; size].into();
        let extent = Extent {
            used: 0,
            live: 0,
            entries: 0,
            queue,
            sequence: self.next_sequence,
        };
        let number = match self.free.pop() {
            Some(number) => {
                self.extents[number as usize] = extent;
                self.bytes[number as usize] = bytes;
                number
            }
            None if self.extents.len() < MAX_EXTENTS => {
                self.extents.push(extent);
                self.bytes.push(bytes);
                (self.extents.len() - 1) as u32
            }
            None => return None,
        };
        self.next_sequence += 1;
        let line = &mut self.lines[queue as usize];
        line.order.push_back(number);
        line.total += size;
        self.total += size;
        self.recount();
        Some(number)
    }

    /// Moves an entry of `size` bytes to the head of a queue; `None` where the shard has no more extents.
    pub(super) fn relocate(&mut self, old: Handle, size: usize, queue: Queue) -> Option<Handle> {
        let (new, _) = self.append(queue, size)?;
        let from = old.offset()..old.offset() + size;
        let (source, target) = (old.extent() as usize, new.extent() as usize);
        if source == target {
            self.bytes[source].copy_within(from, new.offset());
        } else if let Ok([source, target]) = self.bytes.get_disjoint_mut([source, target]) {
            target[new.offset()..new.offset() + size].copy_from_slice(&source[from]);
        }
        self.kill(old, size);
        Some(new)
    }

    /// Marks an entry of `size` bytes as dead; an extent without a live entry is given back.
    pub(super) fn kill(&mut self, handle: Handle, size: usize) {
        entry::kill(self.at_mut(handle));
        let number = handle.extent();
        let extent = &mut self.extents[number as usize];
        extent.live -= size as u32;
        extent.entries -= 1;
        self.dead += size;
        let line = &mut self.lines[extent.queue as usize];
        line.entries -= 1;
        if extent.live == 0 && line.order.back() != Some(&number) {
            self.close(number);
        }
    }

    /// Gives back the head of a queue without entries. [`kill`](Self::kill) leaves it to the next entry, which often comes soon.
    pub(super) fn close_empty(&mut self) {
        for queue in [Queue::Window, Queue::Main] {
            let line = self.line(queue);
            if line.entries == 0
                && let Some(&head) = line.order.back()
            {
                self.close(head);
            }
        }
    }

    /// Gives an extent back.
    fn close(&mut self, number: u32) {
        let extent = &mut self.extents[number as usize];
        let (queue, sequence) = (extent.queue, extent.sequence);
        self.dead -= extent.dead();
        extent.used = 0;
        extent.live = 0;
        let size = core::mem::take(&mut self.bytes[number as usize]).len();
        self.total -= size;
        let place = self.place(queue, sequence);
        let line = &mut self.lines[queue as usize];
        line.total -= size;
        if let Some(place) = place {
            line.order.remove(place);
        }
        if line.hand.0 == number {
            line.hand = (0, 0);
        }
        self.free.push(number);
        self.recount();
    }

    /// The index in its queue of the first extent of at least this sequence.
    fn place(&self, queue: Queue, sequence: u64) -> Option<usize> {
        let order = &self.line(queue).order;
        let place =
            order.partition_point(|&number| self.extents[number as usize].sequence < sequence);
        (place < order.len()).then_some(place)
    }

    /// The live entry at the tail of a queue, where its hand stands; `None` where there is none.
    pub(super) fn hand(&mut self, queue: Queue) -> Option<(Handle, Header)> {
        let line = &mut self.lines[queue as usize];
        if line.entries == 0 {
            return None;
        }
        let number = *line.order.front()?;
        if line.hand.0 != number {
            line.hand = (number, 0);
        }
        let (extent, bytes) = (&self.extents[number as usize], &self.bytes[number as usize]);
        while line.hand.1 < extent.used {
            let header = Header::read(&bytes[line.hand.1 as usize..]);
            if !header.dead() {
                return Some((Handle::new(number, line.hand.1 as usize), header));
            }
            line.hand.1 += header.size() as u32;
        }
        unreachable!("the oldest extent has a live entry, and the hand passes none");
    }

    /// Moves the oldest extent of the Window to Main as it is, if it has at most `most` live entries and is not the
    /// head; returns how many it has. For a walk, all its entries have moved.
    pub(super) fn hand_over(&mut self, most: usize) -> Option<usize> {
        let [window, main] = &mut self.lines;
        let &number = window.order.front()?;
        let extent = &mut self.extents[number as usize];
        let entries = extent.entries as usize;
        if window.order.len() == 1 || entries > most {
            return None;
        }
        extent.queue = Queue::Main;
        let size = self.bytes[number as usize].len();
        window.order.pop_front();
        window.entries -= entries;
        window.total -= size;
        main.entries += entries;
        main.total += size;
        main.order.push_back(number);
        extent.sequence = self.next_sequence;
        self.next_sequence += 1;
        self.keep_head(Queue::Main);
        self.recount();
        Some(entries)
    }

    /// An extent worth cleaning, if more than a quarter of the log's memory is dead, and no less than the smallest
    /// extents, so that a nearly empty shard is left alone. The one with the largest dead part: what is moved for it is
    /// paid by what comes back. (Room that an extent's end was too short for is not counted: it would not come back.)
    #[inline]
    pub(super) fn sparsest(&self) -> Option<u32> {
        if Self::is_wasteful(self.dead, self.total) {
            self.sparsest_closed()
        } else {
            None
        }
    }

    const fn is_wasteful(dead: usize, total: usize) -> bool {
        dead >= 4 * MIN_EXTENT && dead >= total / 4
    }

    #[cold]
    fn sparsest_closed(&self) -> Option<u32> {
        let size = |number: u32| self.bytes[number as usize].len();
        let dead = |number: u32| self.extents[number as usize].dead();
        let heads = || self.lines.iter().filter_map(|line| line.order.back());
        let dead_in_heads: usize = heads().map(|&head| dead(head)).sum();
        let size_of_heads: usize = heads().map(|&head| size(head)).sum();
        if !Self::is_wasteful(self.dead - dead_in_heads, self.total - size_of_heads) {
            return None;
        }
        let closed = self.lines.iter().flat_map(|Line { order, .. }| {
            order.iter().take(order.len().saturating_sub(1)).copied()
        });
        closed.max_by_key(|&number| dead(number) * EXTENT / size(number))
    }

    /// Number of live entries of an extent.
    pub(super) fn count(&self, number: u32) -> usize {
        self.extents[number as usize].entries as usize
    }

    /// The live entries of an extent, with their headers. What comes next is asked for ahead: where an entry begins is
    /// known only from the one before it.
    pub(super) fn entries(&self, number: u32) -> impl Iterator<Item = (Handle, Header)> + '_ {
        let (extent, bytes) = (&self.extents[number as usize], &self.bytes[number as usize]);
        let mut offset = 0;
        core::iter::from_fn(move || {
            if offset >= extent.used as usize {
                return None;
            }
            let header = Header::read(&bytes[offset..]);
            let handle = Handle::new(number, offset);
            offset += header.size();
            prefetch(bytes.as_ptr().addr() + offset + AHEAD);
            Some((handle, header))
        })
        .filter(|(_, header)| !header.dead())
    }

    /// Calls `visit` with live entries from `from` on, until it says to stop or `steps` entries were passed, dead ones
    /// included; those passed are taken off `steps`. Returns where to go on; `None` at the end.
    pub(super) fn walk(
        &self,
        from: Position,
        steps: &mut usize,
        mut visit: impl FnMut(Handle, &Header) -> bool,
    ) -> Option<Position> {
        let mut from = from;
        if from.queue() == Queue::Window {
            if let Some(next) = self.walk_queue(from, steps, &mut visit) {
                return Some(next);
            }
            from = Position::new(Queue::Main, 0, 0);
        }
        self.walk_queue(from, steps, &mut visit)
    }

    fn walk_queue(
        &self,
        from: Position,
        steps: &mut usize,
        visit: &mut impl FnMut(Handle, &Header) -> bool,
    ) -> Option<Position> {
        let order = &self.line(from.queue()).order;
        let mut place = self.place(from.queue(), from.sequence())?;
        // Behind an extent that was given back, the walk goes on at the start of the next.
        let mut offset = if self.extents[order[place] as usize].sequence == from.sequence() {
            from.offset()
        } else {
            0
        };
        while let Some(&number) = order.get(place) {
            let extent = &self.extents[number as usize];
            while offset < extent.used as usize {
                if *steps == 0 {
                    return Some(extent.position(offset));
                }
                *steps -= 1;
                let header = Header::read(&self.bytes[number as usize][offset..]);
                let handle = Handle::new(number, offset);
                offset += header.size();
                if !header.dead() && !visit(handle, &header) {
                    return Some(extent.position(offset));
                }
            }
            place += 1;
            offset = 0;
        }
        None
    }

    /// The position behind the newest entry of a queue.
    pub(super) fn head(&self, queue: Queue) -> Position {
        self.line(queue).order.back().map_or(
            Position::new(queue, self.next_sequence, 0),
            |&number| {
                let extent = &self.extents[number as usize];
                extent.position(extent.used as usize)
            },
        )
    }

    /// The position of an entry.
    pub(super) fn position(&self, handle: Handle) -> Position {
        self.extents[handle.extent() as usize].position(handle.offset())
    }

    /// Bytes of memory.
    #[inline]
    pub(super) const fn memory(&self) -> usize {
        self.memory
    }

    fn recount(&mut self) {
        let orders: usize = self.lines.iter().map(|line| line.order.capacity()).sum();
        self.memory = self.total
            + self.extents.capacity() * size_of::<Extent>()
            + self.bytes.capacity() * size_of::<Box<[u8]>>()
            + (self.free.capacity() + orders) * size_of::<u32>();
    }

    /// Bytes of live entries, and of the memory that they lie in.
    #[cfg(test)]
    pub(super) fn occupancy(&self) -> (usize, usize) {
        let live = self.extents.iter().map(|extent| extent.live as usize);
        (live.sum(), self.total)
    }

    /// Checks every sum and order against the entries themselves.
    #[cfg(test)]
    pub(super) fn validate(&self) {
        let (mut dead, mut total) = (0, 0);
        for queue in [Queue::Window, Queue::Main] {
            let line = self.line(queue);
            let (mut last, mut entries, mut size) = (None, 0, 0);
            for &number in &line.order {
                let extent = &self.extents[number as usize];
                assert_eq!(extent.queue, queue);
                assert!(last < Some(extent.sequence), "extents out of order");
                assert!(extent.sequence < self.next_sequence);
                last = Some(extent.sequence);
                let sizes = self.entries(number).map(|(_, header)| header.size());
                let (count, sum) = sizes.fold((0, 0), |(count, sum), size| (count + 1, sum + size));
                assert_eq!((count, sum), (extent.entries, extent.live as usize));
                let is_head = line.order.back() == Some(&number);
                assert!(is_head || sum > 0, "an extent without a live entry goes");
                let room = self.bytes[number as usize].len();
                assert!(extent.used as usize <= room);
                entries += count as usize;
                dead += extent.dead();
                size += room;
            }
            assert_eq!((entries, size), (line.entries, line.total));
            total += size;
            let (number, offset) = line.hand;
            if line.order.front() == Some(&number) {
                let mut passed = self.entries(number).map(|(handle, _)| handle.offset());
                assert!(
                    passed.all(|at| at >= offset as usize),
                    "the hand passed a live entry"
                );
            }
        }
        assert_eq!((dead, total), (self.dead, self.total));
        let ordered: usize = self.lines.iter().map(|line| line.order.len()).sum();
        assert_eq!(
            ordered + self.free.len(),
            self.extents.len(),
            "every extent is in order or free"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Appends an entry of `size` bytes under a key of as many less 4.
    fn append(log: &mut Log, size: usize) {
        let form = entry::Anchor::default().form(None);
        let key = vec![0; size - if size < 260 { 4 } else { 5 }];
        let value = entry::Stored::Inline(&[]);
        assert_eq!(entry::size(&key, value, form), size);
        let (_, bytes) = log.append(Queue::Window, size).expect("an extent");
        entry::write(bytes, entry::Kind::String, &key, value, None, form);
    }

    /// An extent of an odd size, or entries that are larger than the smallest, must not make all later ones small.
    #[test]
    fn extents_grow_whatever_the_first_were() {
        for phase in 0..16 {
            for (first, size) in [
                (64, 64),
                (1_031, 64),
                (5_001, 64),
                (1_031, 1_031),
                (64, 2_101),
            ] {
                let mut log = Log::new(1, phase);
                append(&mut log, first);
                (0..400_000 / size).for_each(|_| append(&mut log, size));
                let count = log.extents.len();
                assert!(count < 60, "{count} of {first}, {size}, {phase}");
                log.validate();
            }
        }
    }

    /// Shards fill evenly: were they to open their extents together, memory would grow in leaps.
    #[test]
    fn logs_of_different_phases_grow_at_different_moments() {
        const ENTRY: usize = 64;
        let mut logs: Vec<Log> = (0..16).map(|phase| Log::new(1, phase)).collect();
        let mut last = 0;
        for number in 0..2_000 {
            for log in &mut logs {
                append(log, ENTRY);
            }
            let total: usize = logs.iter().map(|log| log.total).sum();
            // Each of the sixteen begins with an extent; then they take turns.
            let most = if number == 0 {
                16 * MIN_EXTENT
            } else {
                2 * EXTENT
            };
            assert!(total - last <= most, "{} bytes at {number}", total - last);
            last = total;
        }
        logs.iter().for_each(Log::validate);
    }
}
