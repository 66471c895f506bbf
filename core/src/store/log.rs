//! The memory of a shard: entries one behind the other in extents of 16 KiB.
//!
//! An entry is appended at the head; replacing or deleting it leaves dead bytes, and the shard gets those back by
//! copying what lives of the sparsest extent to the head and giving the extent back whole. A small log has smaller
//! extents, so that a thousand shards with a few keys each do not hold a thousand times 16 KiB. One allocation an entry
//! cannot do this: with the size classes of an allocator and 8-byte slots, 43 bytes of data cost 83 to 90, and a
//! change of sizes strands memory for good.
//!
//! Entries only ever move towards the head. So a [`Position`] splits the log into what a walk has seen and what it has
//! yet to see, and a walk from the oldest position to the newest meets every entry that is present throughout.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;

use super::entry::{self, Header};
use crate::prefetch::prefetch;

/// Bits of a handle that are the offset in an extent.
const OFFSET_BITS: u32 = 14;

/// Bytes of an extent. Small enough that cleaning one under the lock takes a few microseconds, large enough that what
/// does not fit at its end is a small part.
pub(super) const EXTENT: usize = 1 << OFFSET_BITS;

/// Extents that a shard can have: what is left of a 4-byte handle.
const MAX_EXTENTS: usize = 1 << (32 - OFFSET_BITS);

/// Bytes of the first extents.
const MIN_EXTENT: usize = 1 << 10;

/// An entry larger than this gets an extent of its own. Values are out of line from 1 KiB on, so only entries with huge
/// keys are. Less than a quarter of a full-sized extent is lost at its end.
const MAX_SHARED: usize = EXTENT / 4 - entry::PADDING;

/// Where an entry is: number of the extent and offset in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Handle(pub(super) u32);

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

/// A place in the order in which a shard's entries were written. Never reused: it grows with every extent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(pub u64);

impl Position {
    const fn new(sequence: u64, offset: usize) -> Self {
        Self(sequence << OFFSET_BITS | offset as u64)
    }

    const fn sequence(self) -> u64 {
        self.0 >> OFFSET_BITS
    }

    const fn offset(self) -> usize {
        self.0 as usize & (EXTENT - 1)
    }
}

/// What is known of an extent besides its bytes.
#[derive(Debug)]
struct Extent {
    used: usize,
    live: usize,
    sequence: u64,
}

impl Extent {
    /// Bytes of dead entries.
    const fn dead(&self) -> usize {
        self.used - self.live
    }

    /// The position of an offset in this extent, up to its very end.
    const fn position(&self, offset: usize) -> Position {
        if offset < EXTENT {
            Position::new(self.sequence, offset)
        } else {
            Position::new(self.sequence + 1, 0)
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
    free: Vec<u32>,
    /// Numbers from the oldest to the head, by ascending sequence.
    order: VecDeque<u32>,
    next_sequence: u64,
    /// Bytes of dead entries.
    dead: usize,
    /// Bytes of all extents.
    total: usize,
}

impl Log {
    /// An empty log whose first extent has this sequence.
    pub(super) const fn new(next_sequence: u64) -> Self {
        Self {
            bytes: Vec::new(),
            extents: Vec::new(),
            free: Vec::new(),
            order: VecDeque::new(),
            next_sequence,
            dead: 0,
            total: 0,
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

    /// Room for a new entry of `size` bytes; `None` where the shard has no more extents.
    pub(super) fn append(&mut self, size: usize) -> Option<(Handle, &mut [u8])> {
        let number = if size > MAX_SHARED {
            self.open_alone(size)?
        } else {
            self.head_for(size)?
        };
        let extent = &mut self.extents[number as usize];
        let offset = extent.used;
        extent.used += size;
        extent.live += size;
        Some((
            Handle::new(number, offset),
            &mut self.bytes[number as usize][offset..offset + size],
        ))
    }

    /// The head, or a new one where it has no room.
    #[inline]
    fn head_for(&mut self, size: usize) -> Option<u32> {
        if let Some(&number) = self.order.back() {
            let used = self.extents[number as usize].used;
            if used + size + entry::PADDING <= self.bytes[number as usize].len() {
                return Some(number);
            }
        }
        // An eighth of what is there, so that the unused end of the head is a small part of the whole.
        let shared = (self.total / 8)
            .next_power_of_two()
            .clamp(MIN_EXTENT, EXTENT);
        self.open(shared.max(size + entry::PADDING))
    }

    /// An extent for one large entry. It goes before the head, which keeps its room and takes a later sequence: for a
    /// walk, all entries in it have moved.
    fn open_alone(&mut self, size: usize) -> Option<u32> {
        let number = self.open(size + entry::PADDING)?;
        if let Some(before) = self.order.len().checked_sub(2) {
            let head = self.order[before];
            self.extents[head as usize].sequence = self.next_sequence;
            self.next_sequence += 1;
            self.order.swap(before, before + 1);
        }
        Some(number)
    }

    /// A new extent at the end of the order.
    fn open(&mut self, size: usize) -> Option<u32> {
        // Behind the head, an extent goes with its last live entry. One that has none already goes here.
        if let Some(&head) = self.order.back()
            && self.extents[head as usize].live == 0
        {
            self.close(head);
        }
        let bytes = vec![0; size].into();
        let extent = Extent {
            used: 0,
            live: 0,
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
        self.total += size;
        self.order.push_back(number);
        Some(number)
    }

    /// Marks an entry of `size` bytes as dead; an extent without a live entry is given back.
    pub(super) fn kill(&mut self, handle: Handle, size: usize) {
        entry::kill(self.at_mut(handle));
        let number = handle.extent();
        let extent = &mut self.extents[number as usize];
        extent.live -= size;
        self.dead += size;
        if extent.live == 0 && self.order.back() != Some(&number) {
            self.close(number);
        }
    }

    /// Gives an extent back.
    fn close(&mut self, number: u32) {
        let extent = &mut self.extents[number as usize];
        let sequence = extent.sequence;
        self.dead -= extent.dead();
        extent.used = 0;
        extent.live = 0;
        let bytes = core::mem::take(&mut self.bytes[number as usize]);
        self.total -= bytes.len();
        if let Some(place) = self.place(sequence) {
            self.order.remove(place);
        }
        self.free.push(number);
    }

    /// The index in `order` of the first extent of at least this sequence.
    fn place(&self, sequence: u64) -> Option<usize> {
        let place = self
            .order
            .partition_point(|&number| self.extents[number as usize].sequence < sequence);
        (place < self.order.len()).then_some(place)
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
        let (&head, closed) = (self.order.back()?, self.order.len() - 1);
        let size = |number: u32| self.bytes[number as usize].len();
        let dead = |number: u32| self.extents[number as usize].dead();
        if !Self::is_wasteful(self.dead - dead(head), self.total - size(head)) {
            return None;
        }
        let closed = self.order.iter().take(closed).copied();
        closed.max_by_key(|&number| dead(number) * EXTENT / size(number))
    }

    /// The live entries of an extent, with their headers.
    pub(super) fn entries(&self, number: u32) -> impl Iterator<Item = (Handle, Header)> + '_ {
        let (extent, bytes) = (&self.extents[number as usize], &self.bytes[number as usize]);
        let mut offset = 0;
        core::iter::from_fn(move || {
            if offset >= extent.used {
                return None;
            }
            let header = Header::read(&bytes[offset..]);
            let handle = Handle::new(number, offset);
            offset += header.size();
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
        let mut place = self.place(from.sequence())?;
        // Behind an extent that was given back, the walk goes on at the start of the next.
        let mut offset = if self.extents[self.order[place] as usize].sequence == from.sequence() {
            from.offset()
        } else {
            0
        };
        while let Some(&number) = self.order.get(place) {
            let extent = &self.extents[number as usize];
            while offset < extent.used {
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

    /// The position behind the newest entry.
    pub(super) fn head(&self) -> Position {
        self.order
            .back()
            .map_or(Position::new(self.next_sequence, 0), |&number| {
                let extent = &self.extents[number as usize];
                extent.position(extent.used)
            })
    }

    /// The position of an entry.
    pub(super) fn position(&self, handle: Handle) -> Position {
        Position::new(
            self.extents[handle.extent() as usize].sequence,
            handle.offset(),
        )
    }

    /// Bytes of memory.
    pub(super) fn memory(&self) -> usize {
        self.total
            + self.extents.capacity() * size_of::<Extent>()
            + self.bytes.capacity() * size_of::<Box<[u8]>>()
            + (self.free.capacity() + self.order.capacity()) * size_of::<u32>()
    }

    /// Bytes of live entries, and of the memory that they lie in.
    #[cfg(test)]
    pub(super) fn occupancy(&self) -> (usize, usize) {
        (
            self.extents.iter().map(|extent| extent.live).sum(),
            self.total,
        )
    }

    /// Checks every sum and order against the entries themselves.
    #[cfg(test)]
    pub(super) fn validate(&self) {
        let mut dead = 0;
        let mut total = 0;
        let mut last = None;
        for &number in &self.order {
            let extent = &self.extents[number as usize];
            assert!(last < Some(extent.sequence), "extents out of order");
            last = Some(extent.sequence);
            let sum: usize = self.entries(number).map(|(_, header)| header.size()).sum();
            assert_eq!(sum, extent.live, "live bytes of extent {number}");
            let is_head = self.order.back() == Some(&number);
            assert!(is_head || sum > 0, "an extent without a live entry goes");
            let room = self.bytes[number as usize].len();
            assert!(extent.used <= room);
            dead += extent.dead();
            total += room;
        }
        assert_eq!((dead, total), (self.dead, self.total));
        assert_eq!(
            self.order.len() + self.free.len(),
            self.extents.len(),
            "every extent is in order or free"
        );
    }
}
