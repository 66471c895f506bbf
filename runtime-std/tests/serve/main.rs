//! What a server of either architecture does with its connections.

mod cases;
mod harness;
#[cfg(target_os = "linux")]
mod pool;

use std::num::NonZeroUsize;

use ant_cache_runtime_std::{Pooled, Single};

/// The cases of [`cases`], each as a test of one architecture.
macro_rules! suite {
    ($architecture:ident, $runtime:expr; $($case:ident)+) => {
        mod $architecture {
            use super::*;
            $(#[test]
            fn $case() {
                cases::$case(|| $runtime, concat!(stringify!($architecture), "::", stringify!($case)));
            })+
        }
    };
}

macro_rules! suites {
    ($($case:ident)+) => {
        suite!(single, Single::default(); $($case)+);
        suite!(pooled, Pooled::new(NonZeroUsize::new(8).unwrap()); $($case)+);
    };
}

suites! {
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
    shutdown_closes_idle_connections
    long_commands_delay_nobody
    time_is_the_hosts
}
