//! What every runtime and architecture must do. Each function is one test, of the shape that it is given.
//!
//! Nothing here waits for time to pass: the server's clock is moved by the test, and where two connections meet, the
//! test waits for what one of them is sent. A server that does not answer at all ends a test after a minute.

pub mod abuse;
pub mod connections;
pub mod dialogue;
pub mod load;
pub mod monitor;
pub mod races;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

use crate::Client;
use crate::client::PATIENCE;

pub use crate::child::serve;

/// Makes all tests of the suite for each shape: a name, and an expression of the runtime.
///
/// ```no_run
/// use ant_cache_runtime_std::Single;
///
/// ant_cache_tests::suite! {
///     std_single: Single::default();
/// }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! suite {
    ($($name:ident: $runtime:expr;)+) => {$(
        mod $name {
            #[allow(unused_imports, reason = "the expression need not name anything from around it")]
            use super::*;

            fn serve(
                host: ::std::sync::Arc<::ant_cache_host::Host>,
                listeners: ::ant_cache_host::Listeners,
                shutdown: ::ant_cache_host::Shutdown,
            ) -> ::std::io::Result<()> {
                ::ant_cache_host::Runtime::serve($runtime, host, listeners, shutdown)
            }

            const SHAPE: $crate::Shape = $crate::Shape {
                serve,
                child: concat!(stringify!($name), "::child"),
            };

            /// No test: serves where another test has started it for that.
            #[test]
            #[ignore = "a server for other tests"]
            fn child() {
                $crate::suite::serve(SHAPE);
            }

            $crate::suite_tests! {
                dialogue: every_reply, versions_of_resp, split_at_every_position, one_byte_a_packet, pipelined, through_a_unix_socket,
                    large_values, time_to_live;
                connections: request_and_end_in_one_packet, half_a_request_and_the_end, quit, auth_in_time,
                    auth_too_late, a_large_request_before_auth, too_many, five_hundred_at_once, coming_and_going, idle,
                    shutdown_answers_what_was_received, shutdown_waits_for_the_reader;
                load: a_client_that_takes_nothing_is_paused, a_client_that_takes_nothing_is_closed,
                    a_long_command_delays_nobody;
                monitor: both_dialects, until_reset, many, a_slow_one_is_closed;
                races: increments, pairs, winners, walks;
                abuse: garbage, half_requests_for_ever, promises, negative_lengths, two_million_arguments,
                    a_million_arguments, an_open_quote, a_line_without_end;
            }
        }
    )+};
}

/// Tests from functions.
#[doc(hidden)]
#[macro_export]
macro_rules! suite_tests {
    ($($module:ident: $($test:ident),+;)+) => {$(
        mod $module {
            $(
                #[test]
                fn $test() {
                    $crate::suite::$module::$test(super::SHAPE);
                }
            )+
        }
    )+};
}

/// Waits until something holds that another thread brings about.
///
/// # Panics
/// If it does not within a minute.
#[track_caller]
pub fn eventually(mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "it never holds");
        std::thread::yield_now();
    }
}

/// Does something while another client goes on with its work, which must not notice.
fn witnessed<T>(mut witness: Client, act: impl FnOnce() -> T) -> T {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // At least one round after the act, so that a server that was taken down is noticed.
            let mut last = false;
            while !last {
                last = over.load(Relaxed);
                assert_eq!(witness.text("SET witness \"all is well\""), "OK");
                assert_eq!(witness.text("GET witness"), "all is well");
            }
        });
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(act));
        over.store(true, Relaxed);
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
