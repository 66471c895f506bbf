//! The common suite for each runtime and architecture.

use std::num::NonZeroUsize;

use ant_cache_custom_runtime::PollLoop;
use ant_cache_runtime_smol as smol;
use ant_cache_runtime_std as threads;
use ant_cache_tests::Embedded;

const fn number(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).expect("not zero")
}

/// Workers and lanes.
fn std_pooled(workers: usize, lanes: usize) -> threads::Pooled {
    threads::Pooled {
        lanes: number(lanes),
        ..threads::Pooled::new(number(workers))
    }
}

/// Workers and lanes.
fn smol_pooled(workers: usize, lanes: usize) -> smol::Pooled {
    smol::Pooled {
        lanes: number(lanes),
        ..smol::Pooled::new(number(workers))
    }
}

ant_cache_tests::suite! {
    std_single: threads::Single::default();
    std_pooled: std_pooled(8, 2);
    std_pooled_alone: std_pooled(1, 1);
    smol_single: smol::Single::new(number(2));
    smol_single_alone: smol::Single::new(number(1));
    smol_pooled: smol_pooled(8, 2);
    smol_pooled_alone: smol_pooled(1, 1);
    smol_embedded: Embedded;
    custom: PollLoop;
}
