//! The store in the process of the interpreter.
//!
//! Keys are `str` or `bytes`, and as in a dict `"a"` and `b"a"` are two: bytes are stored behind a byte that UTF-8 does not
//! have, so that the keys that people use are not copied for a look-up. Behind a value stands a byte that says what it is:
//! in front of text it would keep the interpreter from reading that by the word.

use std::borrow::Cow;
use std::sync::Arc;

use ant_cache_core::Eviction;
use ant_cache_core::cache::{Bytes, Insert, InsertError, Ttl};
use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};

use crate::errors::Class;
use crate::profile::Profile;

/// In front of a key that is `bytes`.
const BYTES_KEY: u8 = 0xff;

/// Behind a value that is `bytes`.
const BYTES: u8 = b'b';
/// Behind a value that is `str`.
const TEXT: u8 = b's';
/// Behind a value that is anything else.
const PICKLE: u8 = b'p';

/// A cache in this process, and the native base of `antcache.Cache`.
#[pyclass(frozen, subclass, module = "antcache._antcache")]
pub(crate) struct Cache {
    cache: Arc<ant_cache_core::Cache>,
    /// The time to live of what is set without one.
    ttl: Option<core::time::Duration>,
    max_entries: Option<u64>,
    /// For arguments and their errors.
    profile: Profile,
}

type Object<'a, 'py> = &'a Bound<'py, PyAny>;

/// `pickle.dumps` and `pickle.loads`.
fn pickle<'py>(py: Python<'py>, function: &str) -> PyResult<Bound<'py, PyAny>> {
    static PICKLE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let module = PICKLE.get_or_try_init(py, || py.import("pickle").map(Bound::unbind))?;
    module.bind(py).getattr(function)
}

/// A value as it is stored.
fn pack(value: Object<'_, '_>) -> PyResult<Vec<u8>> {
    let packed = |mark: u8, bytes: &[u8]| {
        let mut packed = Vec::with_capacity(1 + bytes.len());
        packed.extend_from_slice(bytes);
        packed.push(mark);
        packed
    };
    if let Ok(bytes) = value.cast_exact::<PyBytes>() {
        return Ok(packed(BYTES, bytes.as_bytes()));
    }
    // A string with lone surrogates is left to pickle.
    if let Ok(Ok(text)) = value.cast_exact::<PyString>().map(|text| text.to_str()) {
        return Ok(packed(TEXT, text.as_bytes()));
    }
    const PROTOCOL: u8 = 5;
    let pickled = pickle(value.py(), "dumps")?.call1((value, PROTOCOL))?;
    Ok(packed(PICKLE, pickled.cast::<PyBytes>()?.as_bytes()))
}

/// A result that fits registers. A [`PyResult`] goes through memory, is read from there by pieces other than those it was
/// written in, and the processor waits: 4 of 50 ns.
pub(crate) type Thin<T> = Result<T, Box<PyErr>>;

/// A stored value as the object that it was. Inlined, since it is called through a closure.
#[inline(always)]
fn unpack<'py>(py: Python<'py>, stored: &[u8]) -> Thin<Bound<'py, PyAny>> {
    match stored {
        [bytes @ .., BYTES] => Ok(PyBytes::new(py, bytes).into_any()),
        [text @ .., TEXT] => PyString::from_bytes(py, text)
            .map(Bound::into_any)
            .map_err(Box::new),
        _ => unpickle(py, stored).map_err(Box::new),
    }
}

#[inline(never)]
fn unpickle<'py>(py: Python<'py>, stored: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    match stored {
        [pickled @ .., PICKLE] => pickle(py, "loads")?.call1((PyBytes::new(py, pickled),)),
        _ => Err(PyValueError::new_err("not a value of this cache")),
    }
}

/// A stored key as the object that it was.
fn key_object<'py>(py: Python<'py>, key: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    match key {
        [BYTES_KEY, bytes @ ..] => Ok(PyBytes::new(py, bytes).into_any()),
        text => PyString::from_bytes(py, text).map(Bound::into_any),
    }
}

/// A key that is text, as it is stored.
#[inline]
fn text<'a>(key: &'a Bound<'_, PyAny>) -> Option<&'a [u8]> {
    let text = key.cast::<PyString>().ok()?.to_str().ok()?;
    Some(text.as_bytes())
}

impl Cache {
    /// A key as it is stored.
    fn key<'a>(&self, key: &'a Bound<'_, PyAny>, method: &str) -> PyResult<Cow<'a, [u8]>> {
        if let Some(text) = text(key) {
            return Ok(Cow::Borrowed(text));
        }
        let bytes = self.profile.string(key, method, "a key")?;
        Ok(Cow::Owned([&[BYTES_KEY], &bytes[..]].concat()))
    }

    /// The value of a key. Part of its callers: out of line, their result goes through memory.
    #[inline(always)]
    pub(crate) fn find<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        method: &str,
    ) -> Thin<Option<Bound<'py, PyAny>>> {
        let unpack = |stored: &Bytes| unpack(key.py(), stored);
        let found = match text(key) {
            Some(text) => self.cache.get_with(text, unpack),
            None => self.cache.get_with(self.key(key, method)?, unpack),
        };
        found.transpose()
    }

    /// How an entry is put in: with the time to live of the call, or of the cache.
    fn how(&self, ttl: Option<Object<'_, '_>>, method: &str) -> PyResult<Insert> {
        let own = self.profile.ttl(ttl, method)?;
        let ttl = own.map(core::time::Duration::from_millis).or(self.ttl);
        Ok(ttl.map_or_else(Insert::new, |ttl| Insert::new().ttl(ttl)))
    }

    fn refused(&self, py: Python<'_>, method: &str, error: InsertError) -> PyErr {
        let class = match error {
            InsertError::Full => Class::Full,
            _ => Class::Data,
        };
        self.profile
            .place(method)
            .error(py, class, &error.to_string())
    }

    fn insert(
        &self,
        key: Object<'_, '_>,
        value: Object<'_, '_>,
        how: &Insert,
        method: &str,
    ) -> PyResult<bool> {
        let (name, packed) = (self.key(key, method)?, pack(value)?);
        let inserted = self.cache.insert_with(name, packed, how);
        inserted.map_err(|error| self.refused(key.py(), method, error))
    }
}

#[pymethods]
impl Cache {
    #[new]
    #[pyo3(signature = (*, max_memory=None, max_entries=None, ttl=None, eviction="adaptive"))]
    fn new(
        max_memory: Option<u64>,
        max_entries: Option<u64>,
        ttl: Option<&Bound<'_, PyAny>>,
        eviction: &str,
    ) -> PyResult<Self> {
        let profile = Profile::new("cache".to_owned(), None, None, false, 3)?;
        let Some(policy) = Eviction::from_name(eviction) else {
            let known = Eviction::ALL.map(Eviction::name).join(", ");
            let message = format!("there is no eviction '{eviction}'; there are {known}");
            return Err(PyValueError::new_err(message));
        };
        if max_memory == Some(0) || max_entries == Some(0) {
            return Err(PyValueError::new_err(
                "max_memory and max_entries must be positive, or None for no bound",
            ));
        }
        let mut builder = ant_cache_core::Cache::builder().eviction(policy);
        if let Some(bytes) = max_memory {
            builder = builder.max_memory(bytes);
        }
        if let Some(entries) = max_entries {
            builder = builder.max_entries(entries);
        }
        let ttl = profile.ttl(ttl, "Cache")?;
        Ok(Self {
            cache: Arc::new(builder.build()),
            ttl: ttl.map(core::time::Duration::from_millis),
            max_entries,
            profile,
        })
    }

    /// The bound on entries, if there is one.
    #[getter]
    fn max_entries(&self) -> Option<u64> {
        self.max_entries
    }

    /// The bound on memory in bytes, if there is one.
    #[getter]
    fn max_memory(&self) -> Option<u64> {
        Some(self.cache.max_memory()).filter(|bytes| *bytes != u64::MAX)
    }

    /// The value of a key, or `default`.
    #[pyo3(signature = (key, default=None))]
    fn get<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let found = self.find(key, "get").map_err(|error| *error)?;
        Ok(found.or(default))
    }

    /// Sets a key. Returns whether it was set, which only `nx` and `xx` prevent.
    #[pyo3(signature = (key, value, ttl=None, *, nx=false, xx=false))]
    fn set(
        &self,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
        ttl: Option<&Bound<'_, PyAny>>,
        nx: bool,
        xx: bool,
    ) -> PyResult<bool> {
        let how = self.how(ttl, "set")?;
        let how = match (nx, xx) {
            (false, false) => how,
            (true, false) => how.only_if_absent(),
            (false, true) => how.only_if_present(),
            (true, true) => {
                let message = "nx and xx exclude each other";
                let place = self.profile.place("set");
                return Err(place.error(key.py(), Class::Data, message));
            }
        };
        self.insert(key, value, &how, "set")
    }

    /// The value of a key; where there is none, what `load()` returns, which is set.
    #[pyo3(signature = (key, load, ttl=None))]
    fn get_or_set<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        load: &Bound<'py, PyAny>,
        ttl: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (py, how) = (key.py(), self.how(ttl, "get_or_set")?);
        let key = self.key(key, "get_or_set")?;
        let load = load.clone().unbind();
        // Others may have to wait for it, or it for others.
        let stored: Bytes = py.detach(|| {
            self.cache.get_or_try_insert_with(&key, &how, || {
                Python::attach(|py| pack(&load.bind(py).call0()?))
            })
        })?;
        unpack(py, &stored).map_err(|error| *error)
    }

    /// Deletes a key. Returns whether there was one.
    fn delete(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(self.cache.remove(self.key(key, "delete")?))
    }

    /// Gives a key a new time to live, or none. Returns whether there is such a key.
    #[pyo3(signature = (key, ttl))]
    fn expire(&self, key: &Bound<'_, PyAny>, ttl: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
        let ttl = self.profile.ttl(ttl, "expire")?;
        let ttl = ttl.map(core::time::Duration::from_millis);
        Ok(self.cache.expire(self.key(key, "expire")?, ttl))
    }

    /// The seconds that a key has to live: infinite for ever, `None` where there is no such key.
    fn ttl(&self, key: &Bound<'_, PyAny>) -> PyResult<Option<f64>> {
        let ttl = self.cache.ttl(self.key(key, "ttl")?);
        Ok(ttl.map(|ttl| match ttl {
            Ttl::Unlimited => f64::INFINITY,
            Ttl::Left(left) => left.as_secs_f64(),
        }))
    }

    /// Deletes all keys.
    fn clear(&self, py: Python<'_>) {
        py.detach(|| self.cache.clear());
    }

    /// Counts, of what there is and what was done.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = self.cache.stats();
        let dict = PyDict::new(py);
        for (name, number) in [
            ("entries", stats.entries),
            ("memory", stats.memory),
            ("hits", stats.hits),
            ("misses", stats.misses),
            ("loads", stats.loads),
            ("evictions", stats.evictions),
            ("expirations", stats.expirations),
        ] {
            dict.set_item(name, number)?;
        }
        Ok(dict)
    }

    /// The keys, or pairs of keys and values, as a list.
    #[pyo3(signature = (*, values=false))]
    fn _list<'py>(&self, py: Python<'py>, values: bool) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for (key, value) in self.cache.iter() {
            let key = key_object(py, &key)?;
            if values {
                let value = unpack(py, &value).map_err(|error| *error)?;
                list.append((key, value))?;
            } else {
                list.append(key)?;
            }
        }
        Ok(list)
    }

    fn __len__(&self) -> usize {
        usize::try_from(self.cache.len()).unwrap_or(usize::MAX)
    }

    fn __bool__(&self) -> bool {
        // A cache without entries is a cache all the same.
        true
    }

    fn __contains__(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(self.cache.contains(self.key(key, "in")?))
    }

    fn __getitem__<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let found = self.find(key, "[]").map_err(|error| *error)?;
        found.ok_or_else(|| PyKeyError::new_err(key.clone().unbind()))
    }

    fn __setitem__(&self, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let how = self.how(None, "[]")?;
        self.insert(key, value, &how, "[]").map(|_| ())
    }

    fn __delitem__(&self, key: &Bound<'_, PyAny>) -> PyResult<()> {
        if self.cache.remove(self.key(key, "del")?) {
            Ok(())
        } else {
            Err(PyKeyError::new_err(key.clone().unbind()))
        }
    }
}
