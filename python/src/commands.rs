//! The methods that clients, batches and channels have in common, written once.

use pyo3::prelude::*;

use crate::profile::Profile;
use crate::request::Request;

/// Where requests go from a method.
pub(crate) trait Run: pyo3::PyClass {
    /// What its requests have in common.
    fn profile(slf: &Bound<'_, Self>) -> Py<Profile>;

    /// Takes a request, and returns what the method returns.
    fn run<'py>(slf: &Bound<'py, Self>, request: Request) -> PyResult<Bound<'py, PyAny>>;
}

/// The `#[pymethods]` of a class that implements [`Run`]: its own, then the common ones. The stub documents them.
macro_rules! commands {
    ($class:ident { $($own:tt)* }) => {
        #[pyo3::pymethods]
        impl $class {
            $($own)*

            /// The value of a key, or `default`.
            #[pyo3(signature = (key, default=None, *, decode=None))]
            fn get<'py>(
                slf: &Bound<'py, Self>,
                key: &Bound<'py, PyAny>,
                default: Option<Py<PyAny>>,
                decode: Option<bool>,
            ) -> PyResult<Bound<'py, PyAny>> {
                let request = crate::request::get(Self::profile(slf).get(), key, default, decode)?;
                Self::run(slf, request)
            }

            /// Sets a key. Returns whether it was set, which only `nx` and `xx` prevent.
            #[pyo3(signature = (key, value, ttl=None, *, nx=false, xx=false))]
            fn set<'py>(
                slf: &Bound<'py, Self>,
                key: &Bound<'py, PyAny>,
                value: &Bound<'py, PyAny>,
                ttl: Option<&Bound<'py, PyAny>>,
                nx: bool,
                xx: bool,
            ) -> PyResult<Bound<'py, PyAny>> {
                let request =
                    crate::request::set(Self::profile(slf).get(), key, value, ttl, nx, xx)?;
                Self::run(slf, request)
            }

            /// Deletes a key. Returns whether there was one.
            fn delete<'py>(slf: &Bound<'py, Self>, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
                let shape = crate::reply::Shape::Flag;
                let request = crate::request::about(Self::profile(slf).get(), "DEL", key, shape, false)?;
                Self::run(slf, request)
            }

            /// The values of several keys that there are, as a dict.
            #[pyo3(signature = (keys, *, decode=None))]
            fn get_many<'py>(
                slf: &Bound<'py, Self>,
                keys: &Bound<'py, PyAny>,
                decode: Option<bool>,
            ) -> PyResult<Bound<'py, PyAny>> {
                let request = crate::request::get_many(Self::profile(slf).get(), keys, decode)?;
                Self::run(slf, request)
            }

            /// Sets several keys.
            #[pyo3(signature = (values, ttl=None))]
            fn set_many<'py>(
                slf: &Bound<'py, Self>,
                values: &Bound<'py, pyo3::types::PyMapping>,
                ttl: Option<&Bound<'py, PyAny>>,
            ) -> PyResult<Bound<'py, PyAny>> {
                let request = crate::request::set_many(Self::profile(slf).get(), values, ttl)?;
                Self::run(slf, request)
            }

            /// Deletes several keys. Returns how many there were.
            fn delete_many<'py>(
                slf: &Bound<'py, Self>,
                keys: &Bound<'py, PyAny>,
            ) -> PyResult<Bound<'py, PyAny>> {
                let request = crate::request::delete_many(Self::profile(slf).get(), keys)?;
                Self::run(slf, request)
            }

            /// Adds to the number at a key, which counts from 0. Returns the sum.
            #[pyo3(signature = (key, amount=None))]
            fn incr<'py>(
                slf: &Bound<'py, Self>,
                key: &Bound<'py, PyAny>,
                amount: Option<&Bound<'py, PyAny>>,
            ) -> PyResult<Bound<'py, PyAny>> {
                let request = crate::request::incr(Self::profile(slf).get(), key, amount, false)?;
                Self::run(slf, request)
            }

            /// Takes off the number at a key. Returns the difference.
            #[pyo3(signature = (key, amount=None))]
            fn decr<'py>(
                slf: &Bound<'py, Self>,
                key: &Bound<'py, PyAny>,
                amount: Option<&Bound<'py, PyAny>>,
            ) -> PyResult<Bound<'py, PyAny>> {
                let request = crate::request::incr(Self::profile(slf).get(), key, amount, true)?;
                Self::run(slf, request)
            }

            /// Gives a key a new time to live. Returns whether there is such a key.
            fn expire<'py>(
                slf: &Bound<'py, Self>,
                key: &Bound<'py, PyAny>,
                ttl: &Bound<'py, PyAny>,
            ) -> PyResult<Bound<'py, PyAny>> {
                let request = crate::request::expire(Self::profile(slf).get(), key, ttl)?;
                Self::run(slf, request)
            }

            /// Lets a key live for ever. Returns whether it had a time to live.
            fn persist<'py>(slf: &Bound<'py, Self>, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
                let shape = crate::reply::Shape::Flag;
                let request = crate::request::about(Self::profile(slf).get(), "PERSIST", key, shape, false)?;
                Self::run(slf, request)
            }

            /// The seconds that a key has to live: infinite for ever, `None` where there is no such key.
            fn ttl<'py>(slf: &Bound<'py, Self>, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
                let shape = crate::reply::Shape::Ttl;
                let request = crate::request::about(Self::profile(slf).get(), "PTTL", key, shape, true)?;
                Self::run(slf, request)
            }

            /// Counts as a use of a key, and gives it a new time to live if there is one. Returns whether there is
            /// such a key.
            #[pyo3(signature = (key, ttl=None))]
            fn touch<'py>(
                slf: &Bound<'py, Self>,
                key: &Bound<'py, PyAny>,
                ttl: Option<&Bound<'py, PyAny>>,
            ) -> PyResult<Bound<'py, PyAny>> {
                let shape = crate::reply::Shape::Flag;
                let profile = Self::profile(slf);
                let request = match ttl {
                    Some(ttl) => crate::request::expire(profile.get(), key, ttl)?,
                    None => crate::request::about(profile.get(), "TOUCH", key, shape, true)?,
                };
                Self::run(slf, request)
            }

            /// Whether there is such a key.
            fn exists<'py>(slf: &Bound<'py, Self>, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
                let shape = crate::reply::Shape::Flag;
                let request = crate::request::about(Self::profile(slf).get(), "EXISTS", key, shape, true)?;
                Self::run(slf, request)
            }

            /// The type of the value at a key: `"string"`, `"list"`, `"hash"`, or `None` where there is no such key.
            #[pyo3(name = "type")]
            fn kind<'py>(slf: &Bound<'py, Self>, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
                let shape = crate::reply::Shape::Type;
                let request = crate::request::about(Self::profile(slf).get(), "TYPE", key, shape, true)?;
                Self::run(slf, request)
            }

            /// The keys that match a pattern.
            #[pyo3(signature = (pattern=None, *, decode=None))]
            fn keys<'py>(
                slf: &Bound<'py, Self>,
                pattern: Option<&Bound<'py, PyAny>>,
                decode: Option<bool>,
            ) -> PyResult<Bound<'py, PyAny>> {
                let request = crate::request::keys(Self::profile(slf).get(), pattern, decode)?;
                Self::run(slf, request)
            }

            /// One step of a walk through the keys: the next cursor, and keys.
            #[pyo3(signature = (cursor=0, pattern=None, *, count=100, decode=None))]
            fn scan<'py>(
                slf: &Bound<'py, Self>,
                cursor: u64,
                pattern: Option<&Bound<'py, PyAny>>,
                count: u32,
                decode: Option<bool>,
            ) -> PyResult<Bound<'py, PyAny>> {
                let request =
                    crate::request::scan(Self::profile(slf).get(), cursor, pattern, count, decode)?;
                Self::run(slf, request)
            }

            /// Deletes all keys.
            fn flush_all<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
                let request = crate::request::flush_all(Self::profile(slf).get(), slf.py())?;
                Self::run(slf, request)
            }

            /// Whether the server answers: `"PONG"`.
            fn ping<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
                Self::run(slf, crate::request::ping())
            }

            /// Any command; returns its reply.
            #[pyo3(signature = (*words, decode=None))]
            fn execute<'py>(
                slf: &Bound<'py, Self>,
                words: &Bound<'py, pyo3::types::PyTuple>,
                decode: Option<bool>,
            ) -> PyResult<Bound<'py, PyAny>> {
                let request = crate::request::execute(Self::profile(slf).get(), words, decode)?;
                Self::run(slf, request)
            }
        }
    };
}

pub(crate) use commands;
