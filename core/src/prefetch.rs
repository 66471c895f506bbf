//! The one place with `unsafe` of this crate: asking the processor for a cache line ahead of its use.
//!
//! A look-up among a million keys is a chain of cache misses. With the lines of a whole pipeline asked for first, the
//! misses overlap; `cargo bench --bench engine` shows what that is worth.
#![allow(unsafe_code)]

/// Asks for the cache line at `address`. A hint: it reads nothing, and any address is allowed.
#[inline(always)]
pub(crate) fn prefetch(address: usize) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the instruction is part of SSE, which every x86-64 processor has, and it neither faults nor reads
    // whatever the address, so no obligation rests on the pointer.
    unsafe {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(core::ptr::without_provenance(address));
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// Asks for the cache line at `address` in order to write it: where another core has changed it last, it comes once for
/// good, instead of once to be read and once more to be owned. A hint as [`prefetch`] is.
#[inline(always)]
pub(crate) fn prefetch_write(address: usize) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: `prefetchw` neither faults nor reads nor changes a register, whatever the address. It is part of AMD64;
    // processors of Intel that do not know it pass it over. (The intrinsic becomes a plain prefetch unless the compiler
    // is told that the processor knows it.)
    unsafe {
        core::arch::asm!(
            "prefetchw [{}]",
            in(reg) address,
            options(nostack, preserves_flags, readonly)
        );
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}
