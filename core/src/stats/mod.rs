//! What a server counts and measures of itself.
//!
//! [`Counters`] are declared once, one set a worker, so that no shared cache line is written on the hot path. What
//! takes longer to note than an addition (durations, hot keys, slow calls) is noted for one call in
//! [`PERIOD`], and for each of those that may be long: see [`Exec`](crate::exec::Exec).

mod hot;
mod latency;
mod metric;
mod slow;
mod timing;

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::command::{self, Code};
use crate::facts::Section;

pub use hot::HotKey;
pub(crate) use hot::HotKeys;
pub(crate) use latency::Latencies;
pub use latency::{Event, History, Sample};
pub use metric::{Kind, METRICS, Metric};
pub use slow::SlowCall;
pub(crate) use slow::{REDACTED, SlowLog, secret, shown};
pub use timing::CommandStats;
pub(crate) use timing::Timings;

/// A clock for durations: nanoseconds since any moment, never going back. Costs tens of nanoseconds.
pub type Stopwatch = fn() -> u64;

/// Of the calls of one command by one worker that are short by nature, one in so many is timed.
///
/// Two looks at a clock cost some 50 ns: at every call they would be 8 % of a pipelined request, like this they are 0.1 %.
pub const PERIOD: u64 = 128;

/// As many of the first calls are timed, so that there is something to tell of rare ones.
const FIRST: u64 = 64;

/// Of the timed ones, the key of one in so many is noted among the hot ones.
const NOTED: u64 = 2;

/// The golden ratio's part of 2^64. Its multiples are spread so evenly that every stretch of calls has its share of the
/// lowest ones, and so irregularly that no pattern in the calls, such as pipelines of 16, is always met at one place.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// Whether anything is counted and timed at all: only not in the program that `scripts/measure.py metrics` compares with.
pub(crate) const METERED: bool = !cfg!(antcache_unmetered);

/// Whether the call of this number, counted from 1, is to be timed.
#[inline]
pub(crate) const fn is_timed(call: u64) -> bool {
    call.wrapping_mul(GOLDEN) < u64::MAX / PERIOD || call <= FIRST
}

/// Whether the key of the call of this number is to be noted.
pub(crate) const fn is_noted(call: u64) -> bool {
    call.wrapping_mul(GOLDEN) < u64::MAX / (PERIOD * NOTED)
}

/// A number that follows from that of a call, and tells nothing of whether the call is timed.
pub(crate) const fn scrambled(call: u64) -> u64 {
    (call ^ call >> 7).wrapping_mul(GOLDEN.wrapping_mul(GOLDEN)) >> 33
}

/// A number that one thread writes and any thread reads.
///
/// The writer uses a plain load and store instead of an atomic addition: an addition that nobody else performs needs
/// no lock on the bus.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`. Only the owner of the set may call this.
    #[inline]
    pub fn add(&self, n: u64) {
        self.bump(n);
    }

    /// Adds `n` and returns the sum.
    #[inline]
    fn bump(&self, n: u64) -> u64 {
        if !METERED {
            return 0;
        }
        let sum = self.0.load(Relaxed).wrapping_add(n);
        self.0.store(sum, Relaxed);
        sum
    }

    /// The present value.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A number for each of `N` kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Each<T, const N: usize>([T; N]);

/// A number for each command, by [`Command::number`](crate::command::Command::number); the last is for what is none.
pub type ByCommand<T> = Each<T, { command::COUNT + 1 }>;

/// A number for each [`Code`] of an error, in the order of [`Code::ALL`].
pub type ByCode<T> = Each<T, { Code::ALL.len() }>;

impl<const N: usize> Default for Each<Counter, N> {
    fn default() -> Self {
        Self([const { Counter(AtomicU64::new(0)) }; N])
    }
}

impl<const N: usize> Each<Counter, N> {
    /// Counts one more of a kind and returns how many there are now. Only the owner of the set may call this.
    #[inline]
    pub(crate) fn bump(&self, number: u8) -> u64 {
        self.0[usize::from(number)].bump(1)
    }
}

impl<const N: usize> Default for Each<u64, N> {
    fn default() -> Self {
        Self([0; N])
    }
}

impl<const N: usize> Each<u64, N> {
    /// The count of one kind.
    #[must_use]
    pub const fn of(&self, number: usize) -> u64 {
        self.0[number]
    }

    fn add(&mut self, counters: &Each<Counter, N>) {
        for (sum, counter) in self.0.iter_mut().zip(&counters.0) {
            *sum = sum.wrapping_add(counter.value());
        }
    }

    fn since(&self, earlier: &Self) -> Self {
        let mut since = *self;
        for (count, before) in since.0.iter_mut().zip(&earlier.0) {
            *count = count.wrapping_sub(*before);
        }
        since
    }
}

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident: $section:ident, $info:literal, $prometheus:literal;)+) => {
        /// One worker's counters. Made by [`Service::counters`](crate::Service::counters), which keeps it in its sum.
        // Two workers' sets share no cache line, nor a pair of lines that the processor fetches together.
        #[repr(align(128))]
        #[derive(Debug, Default)]
        pub struct Counters {
            $($(#[doc = $doc])+ pub $name: Counter,)+
            /// Requests of each command.
            pub calls: ByCommand<Counter>,
            /// Those of them that were refused before they ran.
            pub rejections: ByCommand<Counter>,
            /// Those of them that ran and were answered with an error.
            pub failures: ByCommand<Counter>,
            /// Errors of each code.
            pub codes: ByCode<Counter>,
        }

        impl Counters {
            /// Counts an error that a client is told.
            pub(crate) fn count_error(&self, code: Code) {
                self.errors.add(1);
                self.codes.bump(code as u8);
            }
        }

        /// A sum of [`Counters`].
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Totals {
            $($(#[doc = $doc])+ pub $name: u64,)+
            /// Requests of each command.
            pub calls: ByCommand<u64>,
            /// Those of them that were refused before they ran.
            pub rejections: ByCommand<u64>,
            /// Those of them that ran and were answered with an error.
            pub failures: ByCommand<u64>,
            /// Errors of each code.
            pub codes: ByCode<u64>,
        }

        /// What of [`Totals`] is one number.
        pub(crate) const COUNTERS: &[Metric] = &[$(Metric {
            section: Section::$section,
            field: $info,
            name: concat!("antcache_", $prometheus),
            kind: Kind::Counter,
            help: concat!($($doc),+).trim_ascii(),
            divisor: 1,
        },)+];

        impl Totals {
            /// Adds one worker's counters.
            pub fn add(&mut self, counters: &Counters) {
                $(self.$name = self.$name.wrapping_add(counters.$name.value());)+
                self.calls.add(&counters.calls);
                self.rejections.add(&counters.rejections);
                self.failures.add(&counters.failures);
                self.codes.add(&counters.codes);
            }

            /// What was counted since `earlier`, an older sum of the same counters.
            #[must_use]
            pub fn since(&self, earlier: &Self) -> Self {
                Self {
                    $($name: self.$name.wrapping_sub(earlier.$name),)+
                    calls: self.calls.since(&earlier.calls),
                    rejections: self.rejections.since(&earlier.rejections),
                    failures: self.failures.since(&earlier.failures),
                    codes: self.codes.since(&earlier.codes),
                }
            }

            /// The numbers of [`COUNTERS`], in order.
            fn numbers(&self) -> impl Iterator<Item = u64> + use<> {
                [$(self.$name),+].into_iter()
            }

            /// Name and value of what INFO tells in a section.
            pub(crate) fn section(&self, section: Section) -> impl Iterator<Item = (&'static str, u64)> {
                let fields = COUNTERS.iter().zip(self.numbers());
                let fields = fields.filter(move |(metric, _)| metric.section == section);
                fields.map(|(metric, value)| (metric.field, value))
            }
        }
    };
}

counters! {
    /// Requests answered by a command or refused before one ran: unknown names and wrong numbers of words count too.
    commands: Stats, "total_commands_processed", "commands_processed_total";
    /// Reads that found their key.
    hits: Stats, "keyspace_hits", "hits_total";
    /// Reads that did not find their key.
    misses: Stats, "keyspace_misses", "misses_total";
    /// Requests answered with an error.
    errors: Stats, "total_error_replies", "errors_total";
    /// Bytes received.
    bytes_in: Stats, "total_net_input_bytes", "received_bytes_total";
    /// Bytes sent.
    bytes_out: Stats, "total_net_output_bytes", "sent_bytes_total";
    /// Requests that were no valid protocol.
    protocol_errors: Antcache, "protocol_errors", "protocol_errors_total";
    /// Connections closed after the client said QUIT.
    closed_quit: Antcache, "closed_quit", "closed_quit_total";
    /// Connections closed after the client had closed its side.
    closed_eof: Antcache, "closed_eof", "closed_eof_total";
    /// Connections closed for bytes that were no valid protocol.
    closed_protocol: Antcache, "closed_protocol", "closed_protocol_total";
    /// Connections that broke.
    closed_broken: Antcache, "closed_broken", "closed_broken_total";
    /// Connections closed because the client took no reply for too long.
    closed_stalled: Antcache, "closed_stalled", "closed_stalled_total";
    /// Connections closed because they were idle for too long.
    closed_idle: Antcache, "closed_idle", "closed_idle_total";
    /// Connections closed because they did not authenticate in time.
    closed_unauthenticated: Antcache, "closed_unauthenticated", "closed_unauthenticated_total";
    /// Connections closed because they did not take what MONITOR shows in time.
    closed_lagging: Antcache, "closed_lagging", "closed_lagging_total";
    /// Connections closed by a panic while serving them.
    closed_panicked: Antcache, "closed_panicked", "closed_panicked_total";
    /// Connections closed at once because the system had no thread for them.
    closed_threadless: Antcache, "closed_threadless", "closed_threadless_total";
    /// Times that accepting was suspended because descriptors or memory were exhausted.
    accept_exhausted: Antcache, "accept_pauses", "accept_pauses_total";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_call_in_a_period_is_timed_at_every_place_of_a_pipeline() {
        const CALLS: u64 = 1 << 20;
        for pipeline in [1, 2, 16, 64, 100] {
            let mut places = alloc::vec![0_u64; pipeline];
            for call in FIRST + 1..=CALLS {
                places[call as usize % pipeline] += u64::from(is_timed(call));
            }
            let fair = CALLS / PERIOD / pipeline as u64;
            assert!(
                places
                    .iter()
                    .all(|&n| (fair * 9 / 10..=fair * 11 / 10).contains(&n)),
                "pipelines of {pipeline}: {places:?} for {fair}"
            );
        }
        assert!((1..=FIRST).all(is_timed));
        let noted = (1..=CALLS).filter(|&call| is_noted(call)).count() as u64;
        assert!(noted.abs_diff(CALLS / PERIOD / NOTED) < 10, "{noted}");
        assert!((1..=CALLS).all(|call| is_timed(call) || !is_noted(call)));
    }

    #[test]
    fn sums_are_taken_and_subtracted_field_by_field() {
        let counters = Counters::default();
        counters.hits.add(3);
        assert_eq!((counters.calls.bump(7), counters.calls.bump(7)), (1, 2));
        let mut earlier = Totals::default();
        earlier.add(&counters);
        counters.hits.add(4);
        counters.calls.bump(7);
        counters.failures.bump(8);
        let mut now = Totals::default();
        now.add(&counters);
        let since = now.since(&earlier);
        assert_eq!((now.hits, since.hits, since.misses), (7, 4, 0));
        assert_eq!(
            (now.calls.of(7), since.calls.of(7), since.failures.of(8)),
            (3, 1, 1)
        );
        let told = since
            .section(Section::Stats)
            .find(|(name, _)| *name == "keyspace_hits");
        assert_eq!(told, Some(("keyspace_hits", 4)));
    }
}
