//! Replies as Python objects.

use ant_cache_core::client::Value;
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyInt, PyList, PyString, PyTuple};

use crate::errors::Class;
use crate::profile::Profile;

/// What the replies of a [`Request`](crate::request::Request) become.
#[derive(Debug)]
pub(crate) enum Shape {
    /// A value, by the serializer where there is one; `default` where there is none.
    Value {
        decode: bool,
        default: Option<Py<PyAny>>,
    },
    /// The same; where there is none, a `KeyError`.
    Item { decode: bool, key: Py<PyAny> },
    /// The values that there are, a dict by the keys they were asked by.
    Found { decode: bool, keys: Py<PyTuple> },
    /// `None`, where the server says OK.
    Done,
    /// `None`, where the server says OK to every one of so many requests.
    AllDone(usize),
    /// `bool`: whether a value was stored.
    Stored,
    /// `bool`: whether a number is not 0.
    Flag,
    /// `None`; where the number is 0, a `KeyError`.
    Gone { key: Py<PyAny> },
    /// A number; 0 where nothing was asked.
    Integer,
    /// Seconds to live; infinite for ever, `None` where there is no such key.
    Ttl,
    /// The name of a type, or `None`.
    Type,
    /// Text.
    Text,
    /// Keys, without their namespace.
    Keys { decode: bool },
    /// A cursor and keys.
    Scan { decode: bool },
    /// Whatever the server says.
    Raw { decode: bool },
}

/// Milliseconds that are as good as no end: what [`request`](crate::request) sends for want of a way to say so.
const ENDLESS: i64 = 1000 * 365 * 24 * 3600 * 1000;

/// A reply and where it came from.
struct Reply<'p, 'py> {
    profile: &'p Profile,
    command: &'p str,
    py: Python<'py>,
}

type Made<'py> = PyResult<Bound<'py, PyAny>>;

impl Shape {
    /// Makes the object that the call returns out of its replies.
    ///
    /// Fails with what the server answered, or where that is not what the command's reply looks like.
    pub(crate) fn make<'py, B: AsRef<[u8]>>(
        self,
        py: Python<'py>,
        profile: &Profile,
        command: &str,
        replies: &mut impl Iterator<Item = Value<B>>,
    ) -> Made<'py> {
        let reply = Reply {
            profile,
            command,
            py,
        };
        match self {
            Self::Found { decode, keys } => return reply.found(keys.bind(py), replies, decode),
            Self::AllDone(count) => {
                for value in replies.take(count) {
                    reply.done(&value)?;
                }
                return Ok(py.None().into_bound(py));
            }
            _ => {}
        }
        match (self, replies.next()) {
            (_, Some(Value::Error(message))) => Err(reply.error(&message)),
            (Self::Integer, None) => 0.into_bound_py_any(py),
            (shape, Some(value)) => reply.one(shape, value),
            (_, None) => Err(reply.unexpected()),
        }
    }
}

impl<'py> Reply<'_, 'py> {
    fn one<B: AsRef<[u8]>>(&self, shape: Shape, value: Value<B>) -> Made<'py> {
        let py = self.py;
        match (shape, value) {
            (Shape::Value { default, .. }, Value::Null) => default.into_bound_py_any(py),
            (Shape::Item { key, .. } | Shape::Gone { key }, Value::Null | Value::Integer(0)) => {
                Err(PyKeyError::new_err(key))
            }
            (Shape::Value { decode, .. } | Shape::Item { decode, .. }, value) => {
                self.value(value, decode)
            }
            (Shape::Done, value) => {
                self.done(&value)?;
                Ok(py.None().into_bound(py))
            }
            (Shape::Stored, Value::Status(_)) => true.into_bound_py_any(py),
            (Shape::Stored, Value::Null) => false.into_bound_py_any(py),
            (Shape::Stored | Shape::Flag, Value::Integer(number)) => {
                (number != 0).into_bound_py_any(py)
            }
            (Shape::Gone { .. }, Value::Integer(_)) => Ok(py.None().into_bound(py)),
            (Shape::Integer, Value::Integer(number)) => number.into_bound_py_any(py),
            (Shape::Ttl, Value::Integer(-2)) => Ok(py.None().into_bound(py)),
            (Shape::Ttl, Value::Integer(millis)) if (0..ENDLESS).contains(&millis) => {
                (millis as f64 / 1000.0).into_bound_py_any(py)
            }
            (Shape::Ttl, Value::Integer(_)) => f64::INFINITY.into_bound_py_any(py),
            (Shape::Type, Value::Status(name)) if name.as_ref() == b"none" => {
                Ok(py.None().into_bound(py))
            }
            (Shape::Type | Shape::Text, value) => match value.as_bytes() {
                Some(text) => Ok(PyString::new(py, &String::from_utf8_lossy(text)).into_any()),
                None => Err(self.unexpected()),
            },
            (Shape::Keys { decode }, Value::Array(keys)) => Ok(self.keys(keys, decode)?.into_any()),
            (Shape::Scan { decode }, Value::Array(parts)) => self.scanned(parts, decode),
            (Shape::Raw { decode }, value) => self.raw(value, decode),
            _ => Err(self.unexpected()),
        }
    }

    fn done<B: AsRef<[u8]>>(&self, value: &Value<B>) -> PyResult<()> {
        match value {
            Value::Status(_) => Ok(()),
            Value::Error(message) => Err(self.error(message)),
            _ => Err(self.unexpected()),
        }
    }

    fn found<B: AsRef<[u8]>>(
        &self,
        keys: &Bound<'py, PyTuple>,
        replies: &mut impl Iterator<Item = Value<B>>,
        decode: bool,
    ) -> Made<'py> {
        let found = PyDict::new(self.py);
        let keys = keys.iter_borrowed();
        let put = |(key, value): (Borrowed<'_, 'py, PyAny>, Value<B>)| match value {
            Value::Null => Ok(()),
            Value::Error(message) => Err(self.error(&message)),
            value => found.set_item(key, self.value(value, decode)?),
        };
        if self.profile.typed {
            keys.zip(replies).try_for_each(put)?;
        } else if keys.len() > 0 {
            match replies.next() {
                Some(Value::Array(values)) if values.len() == keys.len() => {
                    keys.zip(values).try_for_each(put)?;
                }
                Some(Value::Error(message)) => return Err(self.error(&message)),
                _ => return Err(self.unexpected()),
            }
        }
        Ok(found.into_any())
    }

    /// A value of any type. Only strings come from the serializer.
    fn value<B: AsRef<[u8]>>(&self, value: Value<B>, decode: bool) -> Made<'py> {
        match (value, &self.profile.serializer) {
            (Value::Bulk(bytes), Some(serializer)) => {
                let bytes = PyBytes::new(self.py, bytes.as_ref());
                serializer.bind(self.py).call_method1("loads", (bytes,))
            }
            (Value::Bulk(bytes), None) => self.string(bytes.as_ref(), decode),
            (value @ (Value::Array(_) | Value::Map(_)), _) => self.raw(value, decode),
            _ => Err(self.unexpected()),
        }
    }

    #[inline]
    fn string(&self, bytes: &[u8], decode: bool) -> Made<'py> {
        if !decode {
            return Ok(PyBytes::new(self.py, bytes).into_any());
        }
        match core::str::from_utf8(bytes) {
            Ok(text) => Ok(PyString::new(self.py, text).into_any()),
            Err(error) => {
                let message = format!("not UTF-8, ask for it with decode=False: {error}");
                let place = self.profile.place(self.command);
                Err(place.error(self.py, Class::Data, &message))
            }
        }
    }

    fn raw<B: AsRef<[u8]>>(&self, value: Value<B>, decode: bool) -> Made<'py> {
        let py = self.py;
        match value {
            Value::Null => Ok(py.None().into_bound(py)),
            Value::Status(text) => {
                Ok(PyString::new(py, &String::from_utf8_lossy(text.as_ref())).into_any())
            }
            Value::Error(message) => {
                let error = self.error(&message);
                Ok(error.into_value(py).into_bound(py).into_any())
            }
            Value::Integer(number) => number.into_bound_py_any(py),
            Value::Bulk(bytes) | Value::Verbatim { text: bytes, .. } => {
                self.string(bytes.as_ref(), decode)
            }
            Value::Double(number) => number.into_bound_py_any(py),
            Value::Bool(flag) => flag.into_bound_py_any(py),
            Value::BigNumber(digits) => {
                let digits = PyString::new(py, &String::from_utf8_lossy(digits.as_ref()));
                py.get_type::<PyInt>().call1((digits,))
            }
            Value::Array(items) | Value::Set(items) | Value::Push(items) => {
                let list = PyList::empty(py);
                for item in items {
                    list.append(self.raw(item, decode)?)?;
                }
                Ok(list.into_any())
            }
            Value::Map(pairs) => {
                let dict = PyDict::new(py);
                for (key, value) in pairs {
                    let (key, value) = (self.raw(key, decode)?, self.raw(value, decode)?);
                    // An array as a key: no server of this kind sends one.
                    if dict.set_item(key, value).is_err() {
                        return Err(self.unexpected());
                    }
                }
                Ok(dict.into_any())
            }
            _ => Err(self.unexpected()),
        }
    }

    /// Keys without their namespace. What does not begin with it was not asked for.
    fn keys<B: AsRef<[u8]>>(
        &self,
        keys: Vec<Value<B>>,
        decode: bool,
    ) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(self.py);
        for key in keys {
            let Value::Bulk(key) = key else {
                return Err(self.unexpected());
            };
            if let Some(key) = key.as_ref().strip_prefix(&self.profile.namespace[..]) {
                list.append(self.string(key, decode)?)?;
            }
        }
        Ok(list)
    }

    fn scanned<B: AsRef<[u8]>>(&self, parts: Vec<Value<B>>, decode: bool) -> Made<'py> {
        let Ok([Value::Bulk(cursor), Value::Array(keys)]) = <[Value<B>; 2]>::try_from(parts) else {
            return Err(self.unexpected());
        };
        let cursor = core::str::from_utf8(cursor.as_ref()).ok();
        let Some(cursor) = cursor.and_then(|cursor| cursor.parse::<u64>().ok()) else {
            return Err(self.unexpected());
        };
        (cursor, self.keys(keys, decode)?).into_bound_py_any(self.py)
    }

    fn error(&self, message: &impl AsRef<[u8]>) -> PyErr {
        let place = self.profile.place(self.command);
        place.reply(self.py, message.as_ref())
    }

    fn unexpected(&self) -> PyErr {
        let place = self.profile.place(self.command);
        place.error(
            self.py,
            Class::Protocol,
            "the server answered with something else than this command's reply",
        )
    }
}
