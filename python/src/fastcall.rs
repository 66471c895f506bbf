//! `Cache.get` as the interpreter calls it, without what pyo3 does around every call: with a look-up of 40 ns that was a
//! sixth of all. The crate's `unsafe` is here.
//!
//! pyo3's own method stays what it is, and is called for whatever is not one or two arguments by position.

use std::ffi::CString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::panic::PanicException;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple};

use crate::cache::Cache;

/// `Cache.get` as pyo3 made it.
static GENERAL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// Puts the fast `get` into the class, in front of pyo3's. Before anybody derives from it.
pub(crate) fn install(py: Python<'_>) -> PyResult<()> {
    let class = py.get_type::<Cache>();
    let general = class.getattr("get")?;
    let signature: String = general.getattr("__text_signature__")?.extract()?;
    let doc: String = general.getattr("__doc__")?.extract()?;
    let doc = CString::new(format!("get{signature}\n--\n\n{doc}"))?;
    GENERAL.get_or_init(py, || general.unbind());
    // A method's definition and its text live as long as the class, which is for ever.
    let method = Box::leak(Box::new(ffi::PyMethodDef {
        ml_name: c"get".as_ptr(),
        ml_meth: ffi::PyMethodDefPointer {
            PyCFunctionFastWithKeywords: get,
        },
        ml_flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
        ml_doc: doc.into_raw(),
    }));
    // SAFETY: the class is a type, and the definition one of a method that lives for ever; what is returned is a new
    // reference, or null with an exception set.
    let descriptor = unsafe {
        let descriptor = ffi::PyDescr_NewMethod(class.as_type_ptr(), method);
        Bound::from_owned_ptr_or_err(py, descriptor)?
    };
    class.setattr("get", descriptor)
}

/// A new reference, or null with an exception set.
///
/// # Safety
/// The interpreter calls it, by the rules of `METH_FASTCALL | METH_KEYWORDS`: the thread is attached, `slf` is an instance
/// of the class whose method this is, and at `args` are `count` arguments by position and as many as `names`, a tuple or
/// null, has items; they outlive the call.
unsafe extern "C" fn get(
    slf: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: see above.
    let py = unsafe { Python::assume_attached() };
    let done = catch_unwind(AssertUnwindSafe(|| {
        if !names.is_null() || !matches!(count, 1 | 2) {
            // SAFETY: handed on as it came.
            let called = unsafe { general(py, slf, args, count, names) };
            return called.unwrap_or_else(|error| raise(py, error));
        }
        // SAFETY: see above; there are one or two arguments, and both are objects. pyo3's class has no data but `Cache`'s.
        let (cache, key, default) = unsafe {
            let default = (count == 2).then(|| Borrowed::from_ptr(py, *args.add(1)));
            let cache = Borrowed::from_ptr(py, slf).cast_unchecked::<Cache>();
            (cache, Borrowed::from_ptr(py, *args), default)
        };
        match cache.get().find(&key, "get") {
            Ok(Some(found)) => found.into_ptr(),
            Ok(None) => default.map_or_else(
                || py.None().into_ptr(),
                |default| default.to_owned().into_ptr(),
            ),
            Err(error) => raise(py, *error),
        }
    }));
    done.unwrap_or_else(|_| raise(py, PanicException::new_err("Cache.get panicked")))
}

/// Sets the exception that the interpreter looks for where a call returns this null.
#[cold]
fn raise(py: Python<'_>, error: PyErr) -> *mut ffi::PyObject {
    error.restore(py);
    ptr::null_mut()
}

/// Calls pyo3's method with the same arguments.
///
/// # Safety
/// That of [`get`].
#[cold]
unsafe fn general(
    py: Python<'_>,
    slf: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> PyResult<*mut ffi::PyObject> {
    let count = usize::try_from(count)?;
    // SAFETY: only asked for what is there; see `get`.
    let argument = |at: usize| unsafe { Borrowed::from_ptr(py, *args.add(at)) };
    // SAFETY: an object, alive during the call.
    let slf = unsafe { Borrowed::from_ptr(py, slf) };
    let named = PyDict::new(py);
    if !names.is_null() {
        // SAFETY: an object, alive during the call.
        let names = unsafe { Borrowed::from_ptr(py, names) };
        for (at, name) in names.cast::<PyTuple>()?.iter_borrowed().enumerate() {
            named.set_item(name, argument(count + at))?;
        }
    }
    let positional = PyTuple::new(
        py,
        std::iter::once(slf)
            .chain((0..count).map(argument))
            .collect::<Vec<_>>(),
    )?;
    let general = GENERAL.get(py).map(|general| general.bind(py));
    let general =
        general.ok_or_else(|| PyRuntimeError::new_err("Cache.get is not yet installed"))?;
    Ok(general.call(positional, Some(&named))?.into_ptr())
}
