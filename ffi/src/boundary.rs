//! Where C's calls arrive: nothing unwinds past this.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::status::antcache_status;

/// How a call went; with `?`, a failure ends it.
pub(crate) type Outcome<T = antcache_status> = Result<T, antcache_status>;

/// Runs the body of a call. A panic is a status: unwinding into C is undefined behaviour.
///
/// What the body changed when it panicked may be half done, so whoever gives it access to an object poisons that
/// object: see [`crate::handle::call`].
pub(crate) fn guarded(body: impl FnOnce() -> Outcome) -> antcache_status {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(status) | Err(status)) => status,
        Err(payload) => {
            // Its destructor could panic again, and whoever panicked has lost more than this.
            std::mem::forget(payload);
            antcache_status::ANTCACHE_PANIC
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_status() {
        let status = guarded(|| panic!("on purpose"));
        assert_eq!(status, antcache_status::ANTCACHE_PANIC);
        let status = guarded(|| std::panic::panic_any(Bomb));
        assert_eq!(status, antcache_status::ANTCACHE_PANIC);
    }

    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }
}
