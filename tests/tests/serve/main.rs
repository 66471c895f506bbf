//! What a server of each runtime and architecture does with its connections, faults included.

mod cases;
mod harness;
#[cfg(target_os = "linux")]
mod pool;
mod wakes;

use std::num::NonZeroUsize;

use ant_cache_custom_runtime::PollLoop;
use ant_cache_runtime_smol as smol;
use ant_cache_runtime_std as threads;
use ant_cache_tests::Embedded;

const fn number(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).expect("not zero")
}

fn std_pool(workers: usize, lanes: usize) -> threads::Pooled {
    threads::Pooled {
        lanes: number(lanes),
        ..threads::Pooled::new(number(workers))
    }
}

fn smol_pool(workers: usize, lanes: usize) -> smol::Pooled {
    smol::Pooled {
        lanes: number(lanes),
        ..smol::Pooled::new(number(workers))
    }
}

/// The cases of [`cases`], each as a test of one shape.
macro_rules! shape {
    ($shape:ident, $runtime:expr; $($case:ident)+) => {
        mod $shape {
            use super::*;
            $(#[test]
            fn $case() {
                cases::$case(|| $runtime, concat!(stringify!($shape), "::", stringify!($case)));
            })+
        }
    };
}

macro_rules! shapes {
    ($($case:ident)+) => {
        shape!(std_single, threads::Single::default(); $($case)+);
        shape!(std_pooled, threads::Pooled::new(number(8)); $($case)+);
        shape!(smol_single, smol::Single::default(); $($case)+);
        shape!(smol_pooled, smol::Pooled::new(number(8)); $($case)+);
        shape!(smol_embedded, Embedded; $($case)+);
        shape!(custom, PollLoop; $($case)+);
    };
}

shapes! {
    request_and_end_in_one_packet
    bytes_one_at_a_time
    pipelines_of_any_size
    a_client_that_writes_all_before_it_reads
    a_client_that_never_reads
    an_idle_client
    a_protocol_error_reaches_a_client_that_is_still_sending
    quit_answers_and_closes
    too_many_connections
    a_thousand_connections
    descriptors_exhausted
    a_unix_socket
    a_panic_closes_one_connection
    a_client_that_vanishes
    shutdown_answers_what_was_received
    shutdown_answers_a_thousand_busy_connections
    shutdown_closes_idle_connections
    long_commands_delay_nobody
    time_is_the_hosts
}

/// The cases of [`pool`], each as a test of both pools with a gate of its own.
macro_rules! pools {
    ($($case:ident: $std_gate:literal, $smol_gate:literal;)+) => {
        mod std_pool_alone {
            use super::*;
            $(#[test]
            fn $case() {
                pool::$case(std_pool, $std_gate);
            })+
            #[test]
            fn wakes_reach_those_who_move() {
                wakes::those_who_move(std_pool);
            }
            #[test]
            fn wakes_reach_a_lane_that_polls_busily() {
                wakes::a_lane_that_polls_busily(std_pool);
            }
            #[test]
            fn wakes_reach_a_turn_that_is_stuck() {
                wakes::a_turn_that_is_stuck(std_pool, 7);
            }
        }
        mod smol_pool_alone {
            use super::*;
            $(#[test]
            fn $case() {
                pool::$case(smol_pool, $smol_gate);
            })+
            #[test]
            fn wakes_reach_those_who_move() {
                wakes::those_who_move(smol_pool);
            }
            #[test]
            fn wakes_reach_a_lane_that_polls_busily() {
                wakes::a_lane_that_polls_busily(smol_pool);
            }
            #[test]
            fn wakes_reach_a_turn_that_is_stuck() {
                wakes::a_turn_that_is_stuck(smol_pool, 17);
            }
        }
    };
}

pools! {
    a_spare_takes_over_from_a_leader_that_runs_for_too_long: 0, 10;
    a_spare_takes_over_from_a_leader_that_is_blocked: 1, 11;
    without_a_spare_one_is_hired: 2, 12;
    many_leaders_may_be_stuck_at_once: 3, 13;
    who_is_due_with_a_stuck_turn_is_served: 8, 18;
    a_stuck_turn_does_not_keep_the_server_from_stopping: 4, 14;
    the_numbers_add_up: 5, 15;
    work_moves_to_an_idle_lane: 6, 16;
}

/// The cases of [`wakes`], as those above.
macro_rules! wakes {
    ($($shape:ident, $runtime:expr;)+) => {$(
        mod $shape {
            use super::super::*;
            #[test]
            fn no_wake_is_lost() {
                wakes::no_wake_is_lost($runtime);
            }
        }
    )+};
}

mod woken {
    wakes! {
        std_single, threads::Single::default();
        std_pooled, std_pool(8, 2);
        std_pooled_alone, std_pool(1, 1);
        smol_single, smol::Single::new(number(2));
        smol_pooled, smol_pool(8, 2);
        smol_pooled_alone, smol_pool(1, 1);
        smol_embedded, Embedded;
        custom, PollLoop;
    }
}
