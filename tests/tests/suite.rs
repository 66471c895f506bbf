//! The common suite for each runtime and architecture.

use std::num::NonZeroUsize;

use ant_cache_runtime_std::{Pooled, Single};

/// Workers and lanes.
fn pooled(workers: usize, lanes: usize) -> Pooled {
    let number = |n| NonZeroUsize::new(n).expect("not zero");
    Pooled {
        lanes: number(lanes),
        ..Pooled::new(number(workers))
    }
}

ant_cache_tests::suite! {
    std_single: Single::default();
    std_pooled: pooled(8, 2);
    std_pooled_alone: pooled(1, 1);
}
