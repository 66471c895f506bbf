//! An allocator over a fixed piece of memory: what a program has where nobody else manages memory.
//!
//! Blocks are powers of two. A block that is freed goes to the list of its size and serves the next request of that
//! size; new ones are cut from the front of what was never used. Nothing is ever merged: simple, bounded, and good
//! enough for a cache of a known size.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, Ordering};

/// Bytes that there are in all.
const SIZE: usize = 16 << 20;

/// The smallest block: room for the link of a free one.
const SMALLEST: usize = 16;

/// Blocks are aligned to their size, but not further than to this.
const ALIGN: usize = 4096;

/// Sizes of blocks: 16 bytes to all of the memory.
const CLASSES: usize = (SIZE / SMALLEST).ilog2() as usize + 1;

#[repr(C, align(4096))]
struct Memory([u8; SIZE]);

/// The allocator.
pub(crate) struct Arena {
    memory: UnsafeCell<Memory>,
    state: UnsafeCell<State>,
    locked: AtomicBool,
}

struct State {
    /// Offset of the first byte that was never handed out.
    unused: usize,
    /// The first free block of each size; each begins with the address of the next.
    free: [*mut u8; CLASSES],
}

// SAFETY: `state` is only reached through `with`, one at a time; a byte of `memory` belongs to the owner of its block,
// or to the state while the block is free.
unsafe impl Sync for Arena {}

impl Arena {
    /// The whole memory, unused.
    pub(crate) const fn new() -> Self {
        Self {
            memory: UnsafeCell::new(Memory([0; SIZE])),
            state: UnsafeCell::new(State {
                unused: 0,
                free: [null_mut(); CLASSES],
            }),
            locked: AtomicBool::new(false),
        }
    }

    fn with<R>(&self, work: impl FnOnce(&mut State) -> R) -> R {
        while self.locked.swap(true, Ordering::Acquire) {
            core::hint::spin_loop();
        }
        // SAFETY: whoever holds the flag is the only one here, and `work` calls nothing that allocates.
        let result = work(unsafe { &mut *self.state.get() });
        self.locked.store(false, Ordering::Release);
        result
    }
}

/// The size of the block for `layout` and its place among the sizes; `None` where no block serves.
fn class_of(layout: Layout) -> Option<(usize, usize)> {
    let size = layout.size().max(layout.align()).max(SMALLEST);
    let size = size.checked_next_power_of_two()?;
    let class = (size / SMALLEST).ilog2() as usize;
    (layout.align() <= ALIGN && class < CLASSES).then_some((size, class))
}

// SAFETY: a block is at least as large and as aligned as its layout asks for, and belongs to one owner until it comes
// back; `class_of` gives the same answer for the same layout.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some((size, class)) = class_of(layout) else {
            return null_mut();
        };
        self.with(|state| {
            let block = state.free[class];
            if !block.is_null() {
                // SAFETY: a free block holds the address of the next one, see `dealloc`.
                state.free[class] = unsafe { block.cast::<*mut u8>().read() };
                return block;
            }
            let start = state.unused.next_multiple_of(size.min(ALIGN));
            match start.checked_add(size) {
                Some(end) if end <= SIZE => {
                    state.unused = end;
                    // SAFETY: `start` lies within the memory.
                    unsafe { self.memory.get().cast::<u8>().add(start) }
                }
                _ => null_mut(),
            }
        })
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some((_, class)) = class_of(layout) else {
            return;
        };
        self.with(|state| {
            // SAFETY: the block is ours again, is aligned to at least `SMALLEST`, and has room for an address.
            unsafe { block.cast::<*mut u8>().write(state.free[class]) };
            state.free[class] = block;
        });
    }
}
