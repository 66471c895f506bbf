//! Arrays, objects, and values of any kind.

use core::ffi::c_void;

use ant_cache_core::cache::Value;
use ant_cache_core::store::Kind;

use crate::cache::{antcache_cache, how, stored};
use crate::handle::{self, Object};
use crate::memory::{self, Out};
use crate::status::antcache_status::{self, *};

/// What a value in a cache is.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum antcache_kind {
    /// Bytes.
    ANTCACHE_KIND_STRING = 0,
    /// A sequence of byte strings.
    ANTCACHE_KIND_ARRAY = 1,
    /// Fields, byte strings that differ, and a byte string for each.
    ANTCACHE_KIND_OBJECT = 2,
}

/// A value that was taken out of a cache. It stays as it is, whatever becomes of the entry and of the cache, until
/// antcache_value_free; and so do the bytes that are read from it.
pub struct antcache_value {
    value: Value,
}

impl Object for antcache_value {
    const KIND: &'static [u8; 8] = b"antvalue";
    const PLAIN: bool = true;
}

/// Stores an array of `count` byte strings under a key; `elements` has their addresses, `element_lens` their lengths.
/// At most ANTCACHE_MAX_COUNT, and ANTCACHE_MAX_VALUE bytes in all. Otherwise as antcache_cache_set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_cache_set_array(
    cache: *mut antcache_cache,
    key: *const c_void,
    key_len: usize,
    elements: *const *const c_void,
    element_lens: *const usize,
    count: usize,
    ttl_ms: u64,
    flags: u32,
) -> antcache_status {
    let body = |cache: &antcache_cache| {
        // SAFETY: the conventions are those of `key` and `strings`.
        let (key, elements) = unsafe {
            (
                memory::key(key, key_len)?,
                memory::strings(elements, element_lens, count)?,
            )
        };
        let how = how(ttl_ms, flags)?;
        stored(
            cache
                .cache
                .insert_array(key, elements.iter().copied(), &how),
        )
    };
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(cache, body) }
}

/// Stores an object of `count` fields under a key. Of a field that comes twice, the last value counts. Otherwise as
/// antcache_cache_set_array.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_cache_set_object(
    cache: *mut antcache_cache,
    key: *const c_void,
    key_len: usize,
    fields: *const *const c_void,
    field_lens: *const usize,
    values: *const *const c_void,
    value_lens: *const usize,
    count: usize,
    ttl_ms: u64,
    flags: u32,
) -> antcache_status {
    let body = |cache: &antcache_cache| {
        // SAFETY: the conventions are those of `key` and `strings`.
        let (key, fields, values) = unsafe {
            (
                memory::key(key, key_len)?,
                memory::strings(fields, field_lens, count)?,
                memory::strings(values, value_lens, count)?,
            )
        };
        let how = how(ttl_ms, flags)?;
        let pairs = fields.into_iter().zip(values);
        stored(cache.cache.insert_object(key, pairs, &how))
    };
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(cache, body) }
}

/// Takes the value of a key, whatever its kind, to be freed by antcache_value_free. ANTCACHE_NOT_FOUND.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_cache_get_value(
    cache: *const antcache_cache,
    key: *const c_void,
    key_len: usize,
    value: *mut *mut antcache_value,
) -> antcache_status {
    let body = |cache: &antcache_cache| {
        // SAFETY: the conventions are those of `key` and `Out::new`.
        let (key, to) = unsafe { (memory::key(key, key_len)?, Out::new(value)?) };
        match cache.cache.value(key) {
            None => Ok(ANTCACHE_NOT_FOUND),
            Some(value) => handle::give(antcache_value { value }, to),
        }
    };
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(cache, body) }
}

/// Frees a value. NULL is nothing to free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_value_free(value: *mut antcache_value) -> antcache_status {
    // SAFETY: the conventions are those of `free`.
    unsafe { handle::free(value) }
}

/// Writes what a value is, and to `count`, which may be NULL, how many elements or fields it has; 1 for a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_value_kind(
    value: *const antcache_value,
    kind: *mut antcache_kind,
    count: *mut usize,
) -> antcache_status {
    let body = |value: &antcache_value| {
        // SAFETY: the conventions are those of `Out::new` and `Out::optional`.
        let (to, to_count) = unsafe { (Out::new(kind)?, Out::optional(count)?) };
        let value = &value.value;
        let (kind, count) = match value.kind() {
            Kind::String => (antcache_kind::ANTCACHE_KIND_STRING, 1),
            Kind::Array => (
                antcache_kind::ANTCACHE_KIND_ARRAY,
                value.as_array().map_or(0, |array| array.len()),
            ),
            Kind::Object => (
                antcache_kind::ANTCACHE_KIND_OBJECT,
                value.as_object().map_or(0, |object| object.len()),
            ),
        };
        to.write(kind);
        if let Some(to) = to_count {
            to.write(count);
        }
        Ok(ANTCACHE_OK)
    };
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(value, body) }
}

/// Bytes on their way to C, which owns neither them nor the value that they are part of.
fn lend(bytes: &[u8], to: Out<'_, *const c_void>, to_len: Out<'_, usize>) {
    to.write(bytes.as_ptr().cast());
    to_len.write(bytes.len());
}

/// Writes the element `index` of an array, counted from 0, or with index 0 a string itself. The bytes belong to the value.
/// ANTCACHE_WRONG_TYPE for an object; ANTCACHE_NOT_FOUND past the end.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_value_element(
    value: *const antcache_value,
    index: usize,
    data: *mut *const c_void,
    len: *mut usize,
) -> antcache_status {
    let body = |value: &antcache_value| {
        // SAFETY: the conventions are those of `Out::new`.
        let (to, to_len) = unsafe { (Out::new(data)?, Out::new(len)?) };
        let value = &value.value;
        let element = match value.kind() {
            Kind::String => value.as_string().filter(|_| index == 0),
            Kind::Array => value
                .as_array()
                .and_then(|array| array.iter_from(index).next()),
            Kind::Object => return Err(ANTCACHE_WRONG_TYPE),
        };
        Ok(match element {
            None => ANTCACHE_NOT_FOUND,
            Some(element) => {
                lend(element, to, to_len);
                ANTCACHE_OK
            }
        })
    };
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(value, body) }
}

/// Writes the field `index` of an object, counted from 0 in the order in which they were stored, and its value. The bytes
/// belong to the value. ANTCACHE_WRONG_TYPE where it is no object; ANTCACHE_NOT_FOUND past the end.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_value_field(
    value: *const antcache_value,
    index: usize,
    field: *mut *const c_void,
    field_len: *mut usize,
    data: *mut *const c_void,
    len: *mut usize,
) -> antcache_status {
    let body = |value: &antcache_value| {
        // SAFETY: the conventions are those of `Out::new`.
        let (name, name_len, to, to_len) = unsafe {
            (
                Out::new(field)?,
                Out::new(field_len)?,
                Out::new(data)?,
                Out::new(len)?,
            )
        };
        let object = value.value.as_object().ok_or(ANTCACHE_WRONG_TYPE)?;
        let found = object.iter_from(index).next();
        Ok(match found {
            None => ANTCACHE_NOT_FOUND,
            Some((field, data)) => {
                lend(field, name, name_len);
                lend(data, to, to_len);
                ANTCACHE_OK
            }
        })
    };
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(value, body) }
}

/// Writes the value of a field of an object. The bytes belong to the value. ANTCACHE_WRONG_TYPE where it is no object;
/// ANTCACHE_NOT_FOUND where it has no such field.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_value_lookup(
    value: *const antcache_value,
    field: *const c_void,
    field_len: usize,
    data: *mut *const c_void,
    len: *mut usize,
) -> antcache_status {
    let body = |value: &antcache_value| {
        // SAFETY: the conventions are those of `value` and `Out::new`.
        let (field, to, to_len) = unsafe {
            (
                memory::value(field, field_len)?,
                Out::new(data)?,
                Out::new(len)?,
            )
        };
        let object = value.value.as_object().ok_or(ANTCACHE_WRONG_TYPE)?;
        Ok(match object.get(field) {
            None => ANTCACHE_NOT_FOUND,
            Some(data) => {
                lend(data, to, to_len);
                ANTCACHE_OK
            }
        })
    };
    // SAFETY: the conventions are those of `call`.
    unsafe { handle::call(value, body) }
}
