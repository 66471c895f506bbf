//! How long the system is asked to wait.

use std::time::Duration;

use rustix::event::Timespec;

/// A duration for rustix, rounded up to milliseconds: a timeout must not end before its time.
#[must_use]
pub fn timespec(time: Duration) -> Timespec {
    let ms = i64::try_from(time.as_millis())
        .unwrap_or(i64::MAX)
        .saturating_add(i64::from(!time.subsec_nanos().is_multiple_of(1_000_000)));
    Timespec {
        tv_sec: ms / 1000,
        tv_nsec: ms % 1000 * 1_000_000,
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn it_rounds_up() {
        let parts = |time| {
            let Timespec { tv_sec, tv_nsec } = timespec(time);
            (tv_sec, tv_nsec)
        };
        assert_eq!(parts(Duration::ZERO), (0, 0));
        assert_eq!(parts(Duration::from_nanos(1)), (0, 1_000_000));
        assert_eq!(parts(Duration::from_millis(2_500)), (2, 500_000_000));
        assert_eq!(parts(Duration::from_micros(999_001)), (1, 0));
        assert!(parts(Duration::MAX).0 > 0);
    }
}
