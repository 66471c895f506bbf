//! Replies as a tree, for C to read.

use core::ffi::c_char;
use core::ptr;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ant_cache_core::client::Value;

use crate::boundary::{Outcome, guarded};
use crate::handle::registry;
use crate::memory::Out;
use crate::status::antcache_status::{self, *};

/// What a reply is. The numbers are those of hiredis.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum antcache_reply_type {
    /// A byte string: `str`, `len`.
    ANTCACHE_REPLY_STRING = 1,
    /// An array: `elements`, `count`.
    ANTCACHE_REPLY_ARRAY = 2,
    /// An integer: `integer`.
    ANTCACHE_REPLY_INTEGER = 3,
    /// Nothing.
    ANTCACHE_REPLY_NIL = 4,
    /// A status such as "OK": `str`, `len`.
    ANTCACHE_REPLY_STATUS = 5,
    /// An error, whose message begins with a code in capitals: `str`, `len`.
    ANTCACHE_REPLY_ERROR = 6,
    /// RESP 3: a double: `number`.
    ANTCACHE_REPLY_DOUBLE = 7,
    /// RESP 3: a boolean: `integer`, 0 or 1.
    ANTCACHE_REPLY_BOOL = 8,
    /// RESP 3: a map, keys and values in turn: `elements`, `count`, which is even.
    ANTCACHE_REPLY_MAP = 9,
    /// RESP 3: a set: `elements`, `count`.
    ANTCACHE_REPLY_SET = 10,
    /// RESP 3: an integer of any size, as digits: `str`, `len`.
    ANTCACHE_REPLY_BIGNUM = 13,
    /// RESP 3: a text with a note of how to show it, which is left out: `str`, `len`.
    ANTCACHE_REPLY_VERB = 14,
}

use antcache_reply_type::*;

/// A reply, and each of its elements. All of it belongs to the reply that a function wrote, which antcache_reply_free
/// frees with its elements. Fields that its type does not name are 0.
#[repr(C)]
#[derive(Debug)]
pub struct antcache_reply {
    /// What it is, and so which of the fields it has.
    pub r#type: antcache_reply_type,
    /// An integer or boolean.
    pub integer: i64,
    /// A double.
    pub number: f64,
    /// Bytes of a string of any kind, a NUL behind them.
    pub str: *const c_char,
    /// How many they are, without the NUL.
    pub len: usize,
    /// The elements of an array, a set or a map, one behind the other.
    pub elements: *const antcache_reply,
    /// How many they are.
    pub count: usize,
}

/// A reply with what it points to. It begins with the reply, so that both have one address.
#[repr(C)]
struct Root {
    reply: antcache_reply,
    kind: AtomicU64,
    kept: Kept,
}

/// What the nodes of a tree point to.
#[derive(Default)]
struct Kept {
    strings: Vec<Vec<u8>>,
    elements: Vec<Box<[antcache_reply]>>,
}

const KIND: &[u8; 8] = b"antreply";
const FREED: u64 = 0;

/// Hands a reply over to C.
pub(crate) fn give(value: Value, to: Out<'_, *mut antcache_reply>) -> Outcome {
    let mut kept = Kept::default();
    let reply = kept.node(value);
    let kind = AtomicU64::new(u64::from_ne_bytes(*KIND));
    let pointer = Box::into_raw(Box::new(Root { reply, kind, kept })).cast::<antcache_reply>();
    registry::add(pointer.addr(), KIND)?;
    to.write(pointer);
    Ok(ANTCACHE_OK)
}

impl Kept {
    /// The node of a value. As deep as the decoder lets a reply be.
    fn node(&mut self, value: Value) -> antcache_reply {
        match value {
            Value::Status(text) => self.string(ANTCACHE_REPLY_STATUS, text),
            Value::Error(text) => self.string(ANTCACHE_REPLY_ERROR, text),
            Value::Bulk(bytes) => self.string(ANTCACHE_REPLY_STRING, bytes),
            Value::BigNumber(digits) => self.string(ANTCACHE_REPLY_BIGNUM, digits),
            Value::Verbatim { text, .. } => self.string(ANTCACHE_REPLY_VERB, text),
            Value::Integer(integer) => antcache_reply {
                integer,
                ..empty(ANTCACHE_REPLY_INTEGER)
            },
            Value::Bool(flag) => antcache_reply {
                integer: i64::from(flag),
                ..empty(ANTCACHE_REPLY_BOOL)
            },
            Value::Double(number) => antcache_reply {
                number,
                ..empty(ANTCACHE_REPLY_DOUBLE)
            },
            Value::Array(items) => self.items(ANTCACHE_REPLY_ARRAY, items.into_iter()),
            Value::Set(items) | Value::Push(items) => {
                self.items(ANTCACHE_REPLY_SET, items.into_iter())
            }
            Value::Map(pairs) => {
                let items = pairs.into_iter().flat_map(|(key, value)| [key, value]);
                self.items(ANTCACHE_REPLY_MAP, items)
            }
            // `Null`, and what later versions know.
            _ => empty(ANTCACHE_REPLY_NIL),
        }
    }

    fn string(&mut self, kind: antcache_reply_type, mut bytes: Vec<u8>) -> antcache_reply {
        let len = bytes.len();
        bytes.reserve_exact(1);
        bytes.push(0);
        // The bytes stay where they are when the list grows.
        let str = bytes.as_ptr().cast();
        self.strings.push(bytes);
        antcache_reply {
            str,
            len,
            ..empty(kind)
        }
    }

    fn items(
        &mut self,
        kind: antcache_reply_type,
        items: impl Iterator<Item = Value>,
    ) -> antcache_reply {
        let nodes: Box<[_]> = items.map(|item| self.node(item)).collect();
        let (elements, count) = (nodes.as_ptr(), nodes.len());
        self.elements.push(nodes);
        antcache_reply {
            elements,
            count,
            ..empty(kind)
        }
    }
}

const fn empty(kind: antcache_reply_type) -> antcache_reply {
    antcache_reply {
        r#type: kind,
        integer: 0,
        number: 0.0,
        str: ptr::null(),
        len: 0,
        elements: ptr::null(),
        count: 0,
    }
}

/// Frees a reply and its elements. NULL is nothing to free; an element is not to be freed for itself.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn antcache_reply_free(reply: *mut antcache_reply) -> antcache_status {
    if reply.is_null() {
        return ANTCACHE_OK;
    }
    guarded(|| {
        let root = reply.cast::<Root>();
        if !root.is_aligned() {
            return Err(ANTCACHE_NULL);
        }
        registry::check(reply.addr(), KIND)?;
        // SAFETY: by the conventions, and in a debug build because it is registered, `give` made it and nobody has freed it.
        let kind = unsafe { &(*root).kind };
        if kind.swap(FREED, Relaxed) != u64::from_ne_bytes(*KIND) {
            return Err(ANTCACHE_BAD_HANDLE);
        }
        registry::remove(reply.addr());
        // SAFETY: as above: it is a box of `give`'s.
        drop(unsafe { Box::from_raw(root) });
        Ok(ANTCACHE_OK)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_has_every_node_in_its_place() {
        let word = |text: &str| Value::Bulk(text.into());
        let value = Value::Array(vec![
            Value::Map(vec![(word("k"), Value::Integer(7))]),
            Value::Null,
            Value::Array(vec![]),
            Value::Double(1.5),
            Value::Bool(true),
        ]);
        let mut kept = Kept::default();
        let root = kept.node(value);
        assert_eq!((root.r#type, root.count), (ANTCACHE_REPLY_ARRAY, 5));
        let types: Vec<_> = kept.elements.last().unwrap().iter().collect();
        assert_eq!(types[0].r#type, ANTCACHE_REPLY_MAP);
        assert_eq!(types[0].count, 2);
        assert_eq!(types[1].r#type, ANTCACHE_REPLY_NIL);
        assert_eq!(types[2].count, 0);
        assert_eq!(types[3].number.to_bits(), 1.5f64.to_bits());
        assert_eq!(types[4].integer, 1);
        assert_eq!(kept.strings, [b"k\0"]);
    }
}
