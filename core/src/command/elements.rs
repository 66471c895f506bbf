//! Replies that consist of what a stored array or object holds.
//!
//! A value of less than [`Blob::MIN`] bytes is sent at once, under the lock of its shard. A larger one is shared, and
//! sent in slices without the lock: as many elements a turn as its budget allows.

use alloc::boxed::Box;
use core::ops::Range;

use crate::Blob;
use crate::exec::{Args, Continue, Exec, Step};
use crate::reply::{Nesting, Reply};
use crate::store::packed::{Array, Object};
use crate::store::{Data, Item, Kind};

/// Elements that are sent between two looks at the budget.
const BATCH: usize = 64;

/// What of a value is sent, and in which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    /// The elements of an array.
    Elements,
    /// The fields of an object with their values, in their own order.
    Pairs,
    /// The same by ascending bytes of the field.
    Sorted,
    /// The fields of an object.
    Fields,
    /// The values of an object.
    Values,
}

/// Replies with a value of any kind, in its own type.
pub(super) fn send_value(exec: &mut Exec<'_>, item: &Item<'_>) -> Step {
    let view = match item.kind {
        Kind::String => {
            super::string::send(&mut exec.reply(), item.data);
            return Step::Done;
        }
        Kind::Array => View::Elements,
        Kind::Object if exec.is_text() => View::Sorted,
        Kind::Object => View::Pairs,
    };
    send(exec, item.data, view)
}

/// Replies with all that `view` shows of a value.
pub(super) fn send(exec: &mut Exec<'_>, data: Data<'_>, view: View) -> Step {
    let len = match view {
        View::Elements => Array::new(data.bytes()).len(),
        _ => Object::new(data.bytes()).len(),
    };
    send_range(exec, data, view, 0..len)
}

/// Replies with the items in `range`, which lies within the value.
pub(super) fn send_range(
    exec: &mut Exec<'_>,
    data: Data<'_>,
    view: View,
    range: Range<usize>,
) -> Step {
    let mut reply = exec.reply();
    match view {
        View::Pairs | View::Sorted => reply.map(range.len()),
        View::Elements | View::Fields | View::Values => reply.array(range.len()),
    }
    match data {
        Data::Blob(blob) if !range.is_empty() => {
            let nesting = reply.suspend();
            let blob = blob.clone();
            Step::More(Box::new(Rest {
                blob,
                view,
                range,
                nesting,
            }))
        }
        _ => {
            put(&mut reply, data, view, range);
            Step::Done
        }
    }
}

/// Writes the items in `range`; returns how many bytes of them were copied.
fn put(reply: &mut Reply<'_>, data: Data<'_>, view: View, range: Range<usize>) -> usize {
    let mut copied = 0;
    let mut element = |bytes| copied += put_part(reply, data, bytes);
    if view == View::Elements {
        let array = Array::new(data.bytes());
        array
            .iter_from(range.start)
            .take(range.len())
            .for_each(element);
        return copied;
    }
    let object = Object::new(data.bytes());
    if view == View::Sorted {
        for (field, value) in object.sorted_from(range.start).take(range.len()) {
            element(field);
            element(value);
        }
        return copied;
    }
    for (field, value) in object.iter_from(range.start).take(range.len()) {
        if view != View::Values {
            element(field);
        }
        if view != View::Fields {
            element(value);
        }
    }
    copied
}

/// Writes a part of a value, sharing it where it is large; returns how many bytes were copied.
pub(super) fn put_part(reply: &mut Reply<'_>, data: Data<'_>, part: &[u8]) -> usize {
    match data {
        Data::Blob(blob) if part.len() >= Blob::MIN => {
            reply.blob_range(blob, blob.range_of(part));
            0
        }
        _ => {
            reply.bulk(part);
            part.len()
        }
    }
}

/// What is still to be sent of a large value.
struct Rest {
    blob: Blob,
    view: View,
    range: Range<usize>,
    nesting: Nesting,
}

impl Continue for Rest {
    fn resume(&mut self, exec: &mut Exec<'_>, _: &Args<'_>) -> bool {
        let wire = exec.wire();
        let mut reply = Reply::resume(exec.output, wire, core::mem::take(&mut self.nesting));
        while !self.range.is_empty() {
            let start = self.range.start;
            let end = self.range.end.min(start + BATCH);
            let copied = put(&mut reply, Data::Blob(&self.blob), self.view, start..end);
            self.range.start = end;
            // An item costs 30 to 60 ns, a kilobyte about 100.
            exec.budget.spend((end - start) / 2 + copied / 1024);
            if exec.budget.is_spent() {
                break;
            }
        }
        self.nesting = reply.suspend();
        self.range.is_empty()
    }
}
