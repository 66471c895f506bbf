//! What survives: power cuts at every moment, disks that fail, files that are damaged.
//!
//! A server without threads (`server.rs`: the real service, sessions, log and snapshots, driven by a script) writes to a
//! disk in memory (`disk.rs`). `cuts.rs` looks at everything that a power cut may leave, `faults.rs` lets each call
//! fail, `damage.rs` has a line for each way in which files may be spoilt, `race.rs` changes keys while the log is written.
//!
//! `PERSIST_RUNS=n` makes n times as many runs of what is random, and looks at n times as many states after each cut.

mod cuts;
mod damage;

mod disk;
mod faults;
mod race;
mod server;

/// How much longer than usual to look.
fn runs() -> usize {
    std::env::var("PERSIST_RUNS").map_or(1, |text| text.parse().expect("a number"))
}

/// Random numbers from a seed (SplitMix64).
fn random(mut state: u64) -> impl FnMut() -> u64 {
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
