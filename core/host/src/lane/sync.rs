//! The one place that chooses between the real atomics and those of the model checker.

use std::sync::PoisonError;

#[cfg(loom)]
pub(crate) use checked::{AtomicBool, AtomicU64};
#[cfg(loom)]
pub(crate) use loom::sync::{Mutex, MutexGuard, atomic::fence};
#[cfg(not(loom))]
pub(crate) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU64, fence},
};

/// The lock, even if a thread panicked while it held it: what these locks guard is never left half changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Loom's atomics, each with a shadow that every access changes first.
///
/// Loom finds the orders to try by remembering the last access to each object, and one thread's load hides another's
/// that came before it: with loom 0.7.3, `load; compare_exchange` in two threads is never tried with one thread wholly
/// before the other. Changes are never hidden, and a relaxed one of another object orders nothing.
#[cfg(loom)]
mod checked {
    use std::sync::atomic::Ordering::{self, Relaxed};

    macro_rules! checked {
        ($name:ident, $value:ty) => {
            #[derive(Debug)]
            pub(crate) struct $name(loom::sync::atomic::$name, loom::sync::atomic::AtomicBool);

            impl Default for $name {
                fn default() -> Self {
                    Self::new(<$value>::default())
                }
            }

            // Each has the same face; not every method of both is used.
            #[allow(dead_code)]
            impl $name {
                pub(crate) fn new(value: $value) -> Self {
                    Self(
                        loom::sync::atomic::$name::new(value),
                        loom::sync::atomic::AtomicBool::new(false),
                    )
                }

                fn access(&self) -> &loom::sync::atomic::$name {
                    self.1.swap(true, Relaxed);
                    &self.0
                }

                pub(crate) fn load(&self, order: Ordering) -> $value {
                    self.access().load(order)
                }

                pub(crate) fn store(&self, value: $value, order: Ordering) {
                    self.access().store(value, order);
                }

                pub(crate) fn swap(&self, value: $value, order: Ordering) -> $value {
                    self.access().swap(value, order)
                }

                pub(crate) fn compare_exchange(
                    &self,
                    from: $value,
                    to: $value,
                    success: Ordering,
                    failure: Ordering,
                ) -> Result<$value, $value> {
                    self.access().compare_exchange(from, to, success, failure)
                }
            }
        };
    }

    checked!(AtomicBool, bool);
    checked!(AtomicU64, u64);
}
