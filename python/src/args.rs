//! Python objects as arguments of requests.

use std::borrow::Cow;

use ant_cache_core::limits::MAX_KEY;
use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyByteArray, PyBytes, PyDelta, PyFloat, PyInt, PyMemoryView, PyString};

use crate::errors::{Class, Place};
use crate::profile::Profile;

/// The longest time to live in milliseconds that a float still counts exactly; longer ones come from mistakes.
const MAX_TTL: f64 = (1u64 << 53) as f64;

impl Profile {
    pub(crate) fn place<'a>(&'a self, command: &'a str) -> Place<'a> {
        Place {
            node: &self.node,
            command,
        }
    }

    /// The key behind the namespace.
    #[inline]
    pub(crate) fn full_key<'a>(
        &self,
        key: &'a Bound<'_, PyAny>,
        command: &str,
    ) -> PyResult<Cow<'a, [u8]>> {
        let bytes = self.string(key, command, "a key")?;
        let refuse = |message: &str| Err(self.place(command).error(key.py(), Class::Data, message));
        if bytes.is_empty() {
            return refuse("a key must not be empty");
        }
        if self.namespace.len() + bytes.len() > MAX_KEY {
            return refuse(&format!(
                "a key has at most {MAX_KEY} bytes, this one has {} with its namespace",
                self.namespace.len() + bytes.len()
            ));
        }
        if self.namespace.is_empty() {
            return Ok(bytes);
        }
        Ok(Cow::Owned([&self.namespace[..], &bytes].concat()))
    }

    /// The bytes of a `str` or bytes-like object.
    #[inline]
    pub(crate) fn string<'a>(
        &self,
        object: &'a Bound<'_, PyAny>,
        command: &str,
        what: &str,
    ) -> PyResult<Cow<'a, [u8]>> {
        if let Ok(text) = object.cast::<PyString>() {
            return self.utf8(text, command, what);
        }
        if let Ok(bytes) = object.cast::<PyBytes>() {
            return Ok(Cow::Borrowed(bytes.as_bytes()));
        }
        if let Some(bytes) = other_bytes(object)? {
            return Ok(Cow::Owned(bytes));
        }
        Err(self.bad_type(object, command, &format!("{what} must be str or bytes")))
    }

    /// The same, or the digits of an `int`: what a value of type string can be made of.
    #[inline]
    pub(crate) fn scalar<'a>(
        &self,
        object: &'a Bound<'_, PyAny>,
        command: &str,
        what: &str,
    ) -> PyResult<Cow<'a, [u8]>> {
        if object.is_instance_of::<PyInt>() && !object.is_instance_of::<PyBool>() {
            return integer(object);
        }
        if is_string(object) {
            return self.string(object, command, what);
        }
        Err(self.bad_type(
            object,
            command,
            &format!("{what} must be str, bytes or int"),
        ))
    }

    fn utf8<'a>(
        &self,
        text: &'a Bound<'_, PyString>,
        command: &str,
        what: &str,
    ) -> PyResult<Cow<'a, [u8]>> {
        match text.to_str() {
            Ok(text) => Ok(Cow::Borrowed(text.as_bytes())),
            Err(_) => {
                let message = format!("{what} has lone surrogates, which UTF-8 cannot encode");
                Err(self.place(command).error(text.py(), Class::Data, &message))
            }
        }
    }

    pub(crate) fn bad_type(&self, object: &Bound<'_, PyAny>, command: &str, rule: &str) -> PyErr {
        let class = object.get_type();
        let name = class
            .name()
            .map_or_else(|_| "an unknown type".to_owned(), |name| name.to_string());
        let message = format!("{rule}, not {name}");
        self.place(command)
            .error(object.py(), Class::DataType, &message)
    }

    /// A time to live in milliseconds, rounded up. `None` stays `None`.
    pub(crate) fn ttl(
        &self,
        ttl: Option<&Bound<'_, PyAny>>,
        command: &str,
    ) -> PyResult<Option<u64>> {
        let Some(ttl) = ttl else {
            return Ok(None);
        };
        let seconds: f64 = if ttl.is_instance_of::<PyDelta>() {
            ttl.call_method0("total_seconds")?.extract()?
        } else if (ttl.is_instance_of::<PyInt>() && !ttl.is_instance_of::<PyBool>())
            || ttl.is_instance_of::<PyFloat>()
        {
            match ttl.extract::<f64>() {
                Err(error) if error.is_instance_of::<PyOverflowError>(ttl.py()) => f64::INFINITY,
                other => other?,
            }
        } else {
            return Err(self.bad_type(
                ttl,
                command,
                "a ttl must be a timedelta, or seconds as int or float",
            ));
        };
        // A fraction of a millisecond is rounded up, but not what is only the error of a float.
        let millis = (seconds * 1000.0 - 1e-6).ceil();
        if (1.0..=MAX_TTL).contains(&millis) {
            Ok(Some(millis as u64))
        } else {
            let message = format!("a ttl must be positive and finite, not {seconds} seconds");
            Err(self.place(command).error(ttl.py(), Class::Data, &message))
        }
    }
}

/// Whether it is what [`Profile::string`] takes.
pub(crate) fn is_string(object: &Bound<'_, PyAny>) -> bool {
    object.is_instance_of::<PyString>()
        || object.is_instance_of::<PyBytes>()
        || object.is_instance_of::<PyByteArray>()
        || object.is_instance_of::<PyMemoryView>()
}

/// A copy of the bytes of what is like bytes without being so: `bytearray`, `memoryview`.
fn other_bytes(object: &Bound<'_, PyAny>) -> PyResult<Option<Vec<u8>>> {
    if let Ok(bytes) = object.cast::<PyByteArray>() {
        return Ok(Some(bytes.to_vec()));
    }
    if let Ok(view) = object.cast::<PyMemoryView>() {
        let bytes = view.call_method0("tobytes")?;
        return Ok(Some(bytes.cast::<PyBytes>()?.as_bytes().to_vec()));
    }
    Ok(None)
}

/// The decimal digits of an `int` of any size.
pub(crate) fn integer(object: &Bound<'_, PyAny>) -> PyResult<Cow<'static, [u8]>> {
    let mut digits = itoa::Buffer::new();
    let text = match object.extract::<i64>() {
        Ok(number) => digits.format(number).as_bytes().to_vec(),
        Err(_) => object
            .py()
            .get_type::<PyInt>()
            .call_method1("__repr__", (object,))?
            .extract::<String>()?
            .into_bytes(),
    };
    Ok(Cow::Owned(text))
}
