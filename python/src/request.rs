//! Calls as requests: what goes to the server, and what becomes of its replies.

use std::borrow::Cow;

use ant_cache_host::client::Requests;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyInt, PyList, PyMapping, PyTuple};

use crate::args::is_string;
use crate::errors::Class;
use crate::profile::Profile;
use crate::reply::Shape;

/// A life that stands for one without end, where the server's syntax needs one: see [`array`].
const ENDLESS: &str = "10000y";

/// One call of a method, ready to be sent.
#[derive(Debug)]
pub(crate) struct Request {
    /// Encoded; more than one for the calls that ask about several keys.
    pub(crate) wire: Requests,
    /// What the replies become.
    pub(crate) shape: Shape,
    /// The command's name, for the texts of exceptions.
    pub(crate) name: Cow<'static, str>,
    /// Whether it does no harm to carry it out twice, so that it may be sent again after a connection broke.
    pub(crate) repeatable: bool,
}

impl Request {
    fn new<A: AsRef<[u8]>>(name: &'static str, args: &[A], shape: Shape) -> Self {
        let mut wire = Requests::default();
        // It always has a name.
        let _ = wire.push(args);
        Self {
            wire,
            shape,
            name: Cow::Borrowed(name),
            repeatable: false,
        }
    }

    fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }
}

type Object<'a, 'py> = &'a Bound<'py, PyAny>;

/// The command that gets a value of any type, or the one that every server knows.
fn getter(profile: &Profile) -> &'static str {
    if profile.typed { "FETCH" } else { "GET" }
}

pub(crate) fn get(
    profile: &Profile,
    key: Object<'_, '_>,
    default: Option<Py<PyAny>>,
    decode: Option<bool>,
) -> PyResult<Request> {
    let name = getter(profile);
    let key = profile.full_key(key, name)?;
    let decode = decode.unwrap_or(profile.decode);
    let shape = Shape::Value { decode, default };
    Ok(Request::new(name, &[name.as_bytes(), &key], shape).repeatable())
}

/// [`get`] for `client[key]`.
pub(crate) fn item(profile: &Profile, key: Object<'_, '_>) -> PyResult<Request> {
    let mut request = get(profile, key, None, None)?;
    request.shape = Shape::Item {
        decode: profile.decode,
        key: key.clone().unbind(),
    };
    Ok(request)
}

pub(crate) fn get_many(
    profile: &Profile,
    keys: Object<'_, '_>,
    decode: Option<bool>,
) -> PyResult<Request> {
    let name = if profile.typed { "FETCH" } else { "MGET" };
    let decode = decode.unwrap_or(profile.decode);
    let keys = listed(profile, keys, name)?;
    let mut wire = Requests::default();
    if profile.typed {
        for key in keys.iter_borrowed() {
            let _ = wire.push(&[name.as_bytes(), &profile.full_key(&key, name)?]);
        }
    } else if !keys.is_empty() {
        push_all(profile, &mut wire, name, &keys)?;
    }
    let keys = keys.unbind();
    Ok(Request {
        wire,
        shape: Shape::Found { decode, keys },
        name: Cow::Borrowed(name),
        repeatable: true,
    })
}

pub(crate) fn set(
    profile: &Profile,
    key: Object<'_, '_>,
    value: Object<'_, '_>,
    ttl: Option<Object<'_, '_>>,
    nx: bool,
    xx: bool,
) -> PyResult<Request> {
    let mut request = Request {
        wire: Requests::default(),
        shape: Shape::Stored,
        name: Cow::Borrowed("SET"),
        repeatable: !nx && !xx,
    };
    let full_key = profile.full_key(key, "SET")?;
    let ttl = profile.ttl(ttl, "SET")?;
    if nx && xx {
        let message = "nx and xx exclude each other";
        return Err(profile.place("SET").error(key.py(), Class::Data, message));
    }
    let how = How { ttl, nx, xx };
    if let Some(serializer) = &profile.serializer {
        let dumped = serializer.bind(key.py()).call_method1("dumps", (value,))?;
        let bytes = profile.string(&dumped, "SET", "what a serializer dumps")?;
        string(&mut request, &full_key, &bytes, how);
    } else if let Ok(list) = value.cast::<PyList>() {
        array(profile, &mut request, &full_key, list.as_any(), how)?;
    } else if let Ok(tuple) = value.cast::<PyTuple>() {
        array(profile, &mut request, &full_key, tuple.as_any(), how)?;
    } else if let Ok(dict) = value.cast::<PyDict>() {
        object(profile, &mut request, &full_key, dict, how)?;
    } else {
        let bytes = profile.scalar(value, "SET", "a value")?;
        string(&mut request, &full_key, &bytes, how);
    }
    Ok(request)
}

/// How a value is set.
#[derive(Clone, Copy)]
struct How {
    /// Milliseconds.
    ttl: Option<u64>,
    nx: bool,
    xx: bool,
}

fn string(request: &mut Request, key: &[u8], value: &[u8], how: How) {
    let mut digits = itoa::Buffer::new();
    let mut args: [&[u8]; 6] = [b"SET", key, value, b"", b"", b""];
    let mut len = 3;
    if let Some(ttl) = how.ttl {
        args[3] = b"PX";
        args[4] = digits.format(ttl).as_bytes();
        len = 5;
    }
    if how.nx || how.xx {
        args[len] = if how.nx { b"NX" } else { b"XX" };
        len += 1;
    }
    let _ = request.wire.push(&args[..len]);
}

/// An array is told to the server as words behind the key, where a first word `-t` means a time to live. One that
/// begins with these two bytes is therefore sent behind a time to live that never comes.
fn array(
    profile: &Profile,
    request: &mut Request,
    key: &[u8],
    items: Object<'_, '_>,
    how: How,
) -> PyResult<()> {
    let name = if how.nx { "SETSNX" } else { "SETS" };
    let objects = items.try_iter()?.collect::<PyResult<Vec<_>>>()?;
    let mut words = Vec::with_capacity(objects.len());
    for object in &objects {
        words.push(profile.scalar(object, name, "an element")?);
    }
    composite(profile, request, items, name, key, &words, how)
}

fn object(
    profile: &Profile,
    request: &mut Request,
    key: &[u8],
    dict: &Bound<'_, PyDict>,
    how: How,
) -> PyResult<()> {
    let name = if how.nx { "SETXNX" } else { "SETX" };
    let objects: Vec<_> = dict
        .iter()
        .flat_map(|(field, value)| [field, value])
        .collect();
    let mut words = Vec::with_capacity(objects.len());
    for object in &objects {
        words.push(profile.scalar(object, name, "a field or its value")?);
    }
    composite(profile, request, dict.as_any(), name, key, &words, how)
}

fn composite(
    profile: &Profile,
    request: &mut Request,
    value: Object<'_, '_>,
    name: &'static str,
    key: &[u8],
    words: &[Cow<'_, [u8]>],
    how: How,
) -> PyResult<()> {
    request.name = Cow::Borrowed(name);
    let refuse = |message| Err(profile.place(name).error(value.py(), Class::Data, message));
    let Some(first) = words.first() else {
        return refuse("an empty list, tuple or dict cannot be stored");
    };
    if how.xx {
        return refuse("xx is for strings only");
    }
    let ttl = match how.ttl {
        Some(millis) => Some(format!("{millis}ms")),
        None => (**first == *b"-t").then(|| ENDLESS.to_owned()),
    };
    let mut args: Vec<&[u8]> = Vec::with_capacity(words.len() + 4);
    args.extend([name.as_bytes(), key]);
    if let Some(ttl) = &ttl {
        args.extend([&b"-t"[..], ttl.as_bytes()]);
    }
    args.extend(words.iter().map(|word| &**word));
    let _ = request.wire.push(&args);
    Ok(())
}

pub(crate) fn set_many(
    profile: &Profile,
    values: &Bound<'_, PyMapping>,
    ttl: Option<Object<'_, '_>>,
) -> PyResult<Request> {
    let mut wire = Requests::default();
    for pair in values.items()?.iter() {
        let (key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = pair.extract()?;
        wire.append(&set(profile, &key, &value, ttl, false, false)?.wire);
    }
    Ok(Request {
        shape: Shape::AllDone(wire.len()),
        wire,
        name: Cow::Borrowed("SET"),
        repeatable: true,
    })
}

pub(crate) fn delete_many(profile: &Profile, keys: Object<'_, '_>) -> PyResult<Request> {
    let keys = listed(profile, keys, "DEL")?;
    let mut wire = Requests::default();
    if !keys.is_empty() {
        push_all(profile, &mut wire, "DEL", &keys)?;
    }
    Ok(Request {
        repeatable: wire.is_empty(),
        wire,
        shape: Shape::Integer,
        name: Cow::Borrowed("DEL"),
    })
}

/// Adds the one request about all of the keys.
fn push_all(
    profile: &Profile,
    wire: &mut Requests,
    name: &'static str,
    keys: &Bound<'_, PyTuple>,
) -> PyResult<()> {
    let keys: Vec<_> = keys.iter_borrowed().collect();
    let mut args = Vec::with_capacity(1 + keys.len());
    args.push(Cow::Borrowed(name.as_bytes()));
    for key in &keys {
        args.push(profile.full_key(key, name)?);
    }
    let _ = wire.push(&args);
    Ok(())
}

/// The keys of a call that has several: any iterable but a string, whose characters nobody means.
fn listed<'py>(
    profile: &Profile,
    keys: &Bound<'py, PyAny>,
    command: &str,
) -> PyResult<Bound<'py, PyTuple>> {
    // What others do not change meanwhile.
    if let Ok(list) = keys.cast_exact::<PyList>() {
        return Ok(list.to_tuple());
    }
    if let Ok(tuple) = keys.cast_exact::<PyTuple>() {
        return Ok(tuple.clone());
    }
    match keys.try_iter() {
        Ok(objects) if !is_string(keys) => {
            PyTuple::new(keys.py(), objects.collect::<PyResult<Vec<_>>>()?)
        }
        _ => Err(profile.bad_type(keys, command, "keys must be an iterable of str or bytes")),
    }
}

/// A command that has a key and nothing else.
pub(crate) fn about(
    profile: &Profile,
    name: &'static str,
    key: Object<'_, '_>,
    shape: Shape,
    repeatable: bool,
) -> PyResult<Request> {
    let full_key = profile.full_key(key, name)?;
    let request = Request::new(name, &[name.as_bytes(), &full_key], shape);
    Ok(Request {
        repeatable,
        ..request
    })
}

pub(crate) fn incr(
    profile: &Profile,
    key: Object<'_, '_>,
    amount: Option<Object<'_, '_>>,
    negative: bool,
) -> PyResult<Request> {
    let name = if negative { "DECRBY" } else { "INCRBY" };
    let amount = match amount {
        None => Cow::Borrowed(&b"1"[..]),
        Some(amount) if amount.is_instance_of::<PyInt>() && amount.extract::<i64>().is_ok() => {
            profile.scalar(amount, name, "an amount")?
        }
        Some(amount) => {
            return Err(profile.bad_type(amount, name, "an amount must be an int of 64 bits"));
        }
    };
    let key = profile.full_key(key, name)?;
    let args = [name.as_bytes(), &key, &amount];
    Ok(Request::new(name, &args, Shape::Integer))
}

pub(crate) fn expire(
    profile: &Profile,
    key: Object<'_, '_>,
    ttl: Object<'_, '_>,
) -> PyResult<Request> {
    let name = "PEXPIRE";
    let key = profile.full_key(key, name)?;
    let ttl = profile
        .ttl(Some(ttl), name)?
        .unwrap_or_default()
        .to_string();
    let args = [name.as_bytes(), &key, ttl.as_bytes()];
    Ok(Request::new(name, &args, Shape::Flag).repeatable())
}

/// The pattern (all keys, where there is none) behind the namespace, whose own special characters are escaped.
fn pattern(
    profile: &Profile,
    matching: Option<Object<'_, '_>>,
    command: &str,
) -> PyResult<Vec<u8>> {
    let mut full = Vec::with_capacity(profile.namespace.len());
    for &byte in &profile.namespace {
        if matches!(byte, b'*' | b'?' | b'[' | b']' | b'^' | b'\\') {
            full.push(b'\\');
        }
        full.push(byte);
    }
    match matching {
        Some(pattern) => full.extend_from_slice(&profile.string(pattern, command, "a pattern")?),
        None => full.push(b'*'),
    }
    Ok(full)
}

pub(crate) fn keys(
    profile: &Profile,
    matching: Option<Object<'_, '_>>,
    decode: Option<bool>,
) -> PyResult<Request> {
    let pattern = pattern(profile, matching, "KEYS")?;
    let decode = decode.unwrap_or(profile.decode);
    Ok(Request::new("KEYS", &[b"KEYS", &pattern[..]], Shape::Keys { decode }).repeatable())
}

pub(crate) fn scan(
    profile: &Profile,
    cursor: u64,
    matching: Option<Object<'_, '_>>,
    count: u32,
    decode: Option<bool>,
) -> PyResult<Request> {
    let (cursor, count) = (cursor.to_string(), count.max(1).to_string());
    let mut args = vec![&b"SCAN"[..], cursor.as_bytes(), b"COUNT", count.as_bytes()];
    let pattern = pattern(profile, matching, "SCAN")?;
    if pattern != b"*" {
        args.extend([&b"MATCH"[..], &pattern]);
    }
    let decode = decode.unwrap_or(profile.decode);
    Ok(Request::new("SCAN", &args, Shape::Scan { decode }).repeatable())
}

pub(crate) fn ping() -> Request {
    Request::new("PING", &["PING"], Shape::Text).repeatable()
}

pub(crate) fn flush_all(profile: &Profile, py: Python<'_>) -> PyResult<Request> {
    if profile.namespace.is_empty() {
        return Ok(Request::new("FLUSHALL", &["FLUSHALL"], Shape::Done).repeatable());
    }
    let message =
        "it would delete the keys of every namespace; delete those of scan_iter() instead";
    Err(profile.place("FLUSHALL").error(py, Class::Data, message))
}

/// Any command, its words as they are: the namespace and the serializer are for methods that know what is a key.
pub(crate) fn execute(
    profile: &Profile,
    words: &Bound<'_, PyTuple>,
    decode: Option<bool>,
) -> PyResult<Request> {
    let command = words.get_item(0).ok();
    let name = match &command {
        Some(name) => {
            String::from_utf8_lossy(&profile.string(name, "execute", "a command")?).into_owned()
        }
        None => String::new(),
    };
    if name.is_empty() {
        let message = "a request needs at least the name of a command";
        return Err(profile
            .place("execute")
            .error(words.py(), Class::Data, message));
    }
    let objects: Vec<_> = words.iter().collect();
    let mut args = Vec::with_capacity(objects.len());
    for object in &objects {
        args.push(profile.scalar(object, &name, "an argument")?);
    }
    let mut wire = Requests::default();
    let _ = wire.push(&args);
    Ok(Request {
        wire,
        shape: Shape::Raw {
            decode: decode.unwrap_or(profile.decode),
        },
        name: Cow::Owned(name.chars().take(32).collect()),
        repeatable: false,
    })
}
