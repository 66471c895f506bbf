//! Requests that are collected, to be sent together.

use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};

use ant_cache_core::client::Value;
use ant_cache_host::client::Requests;
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::commands::{Run, commands};
use crate::profile::Profile;
use crate::reply::Shape;
use crate::request::Request;

/// Requests that are collected, to be sent together: the native base of pipelines. Every method returns the batch.
#[pyclass(frozen, subclass, module = "antcache._antcache")]
pub(crate) struct Batch {
    profile: Py<Profile>,
    calls: Mutex<Calls>,
}

/// What a batch has collected.
#[derive(Debug)]
pub(crate) struct Calls {
    pub(crate) wire: Requests,
    /// Whether all of them may be sent twice.
    pub(crate) repeatable: bool,
    /// What becomes of their replies, how many those are, and the command's name.
    calls: Vec<(Shape, usize, Cow<'static, str>)>,
}

impl Default for Calls {
    fn default() -> Self {
        Self {
            wire: Requests::default(),
            repeatable: true,
            calls: Vec::new(),
        }
    }
}

impl Calls {
    pub(crate) fn push(&mut self, request: Request) {
        self.wire.append(&request.wire);
        self.repeatable &= request.repeatable;
        let replies = request.wire.len();
        self.calls.push((request.shape, replies, request.name));
    }

    /// The first command, which stands for all in the text of an exception.
    pub(crate) fn name(&self) -> &str {
        self.calls.first().map_or("pipeline", |(_, _, name)| name)
    }

    /// The results in the order of the calls. What failed is an exception in its place.
    pub(crate) fn make<'py, B: AsRef<[u8]>>(
        self,
        py: Python<'py>,
        profile: &Profile,
        mut replies: impl ExactSizeIterator<Item = Value<B>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let results = PyList::empty(py);
        for (shape, count, name) in self.calls {
            let others = replies.len().saturating_sub(count);
            match shape.make(py, profile, &name, &mut replies) {
                Ok(result) => results.append(result)?,
                Err(error) => results.append(error.into_value(py))?,
            }
            // One that fails half way leaves the others theirs.
            while replies.len() > others {
                replies.next();
            }
        }
        Ok(results.into_any())
    }
}

impl Batch {
    /// What was collected; the batch is empty then.
    pub(crate) fn take(&self) -> Calls {
        core::mem::take(&mut *self.calls.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Run for Batch {
    fn profile(slf: &Bound<'_, Self>) -> Py<Profile> {
        slf.get().profile.clone_ref(slf.py())
    }

    fn run<'py>(slf: &Bound<'py, Self>, request: Request) -> PyResult<Bound<'py, PyAny>> {
        let calls = &slf.get().calls;
        calls
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(request);
        Ok(slf.clone().into_any())
    }
}

commands!(Batch {
    #[new]
    fn new(profile: Py<Profile>) -> Self {
        Self {
            profile,
            calls: Mutex::default(),
        }
    }

    /// The number of calls that wait to be sent.
    fn __len__(&self) -> usize {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).calls.len()
    }

    /// Forgets what was collected.
    fn clear(&self) {
        drop(self.take());
    }
});
