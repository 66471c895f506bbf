//! Arrays and objects as bytes.
//!
//! Small (up to 128 elements and 4 KiB), the elements stand one behind the other, each with its length before it:
//!
//! ```text
//! 0 | count varint | (length varint | bytes)*
//! ```
//!
//! Large, a table of offsets comes first, so that one element is found without a walk; an object has the order of its
//! fields sorted by bytes too, for a binary search:
//!
//! ```text
//! 1 | count u32 | end offsets u32 * count | (object: sorted order u32 * count) | the small form's (length | bytes)*
//! ```
//!
//! An object's elements are its fields and values in turn, in the order in which the fields first appeared.

use alloc::vec::Vec;

/// The most elements (of an object, fields) without a table of offsets.
const SMALL_COUNT: usize = 128;

/// The most bytes of elements without a table of offsets.
const SMALL_BYTES: usize = 4 << 10;

fn put_varint(to: &mut Vec<u8>, mut n: usize) {
    while n >= 0x80 {
        to.push(n as u8 | 0x80);
        n >>= 7;
    }
    to.push(n as u8);
}

/// Reads a varint at `*at`; the bytes were written by [`put_varint`].
fn take_varint(bytes: &[u8], at: &mut usize) -> usize {
    let (mut n, mut shift) = (0, 0);
    loop {
        let byte = bytes[*at];
        *at += 1;
        n |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return n;
        }
        shift += 7;
    }
}

fn take_element<'a>(bytes: &'a [u8], at: &mut usize) -> &'a [u8] {
    let len = take_varint(bytes, at);
    *at += len;
    &bytes[*at - len..*at]
}

fn put_element(to: &mut Vec<u8>, element: &[u8]) {
    put_varint(to, element.len());
    to.extend_from_slice(element);
}

fn word(bytes: &[u8], index: usize) -> usize {
    let at = index * 4;
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]) as usize
}

/// Packs the elements of an array.
#[must_use]
pub fn pack_array<'e>(elements: impl ExactSizeIterator<Item = &'e [u8]> + Clone) -> Vec<u8> {
    let count = elements.len();
    let bytes: usize = elements.clone().map(|element| element.len() + 4).sum();
    let mut packed = Vec::with_capacity(bytes + 8);
    if count <= SMALL_COUNT && bytes <= SMALL_BYTES {
        packed.push(0);
        put_varint(&mut packed, count);
        elements.for_each(|element| put_element(&mut packed, element));
    } else {
        let table = large(&mut packed, count, 1);
        for (index, element) in elements.enumerate() {
            put_element(&mut packed, element);
            put_end(&mut packed, table, count, index, 1);
        }
    }
    packed
}

/// Packs an object's fields and values. Of a field that repeats, the last value wins and the first place stays.
#[must_use]
pub fn pack_object<'e>(pairs: impl Iterator<Item = (&'e [u8], &'e [u8])>) -> Vec<u8> {
    let mut kept: Vec<(&[u8], &[u8])> = pairs.collect();
    let mut order: Vec<u32> = (0..kept.len() as u32).collect();
    order.sort_by_key(|&index| (kept[index as usize].0, index));
    // Within a run of the same field, the first place takes the last value.
    let mut repeated = false;
    for place in (1..order.len()).rev() {
        let (before, index) = (order[place - 1] as usize, order[place] as usize);
        if kept[before].0 == kept[index].0 {
            kept[before].1 = kept[index].1;
            repeated = true;
        }
    }
    if repeated {
        order.dedup_by_key(|&mut index| kept[index as usize].0);
        let mut stays: Vec<u32> = order.clone();
        stays.sort_unstable();
        kept = stays.iter().map(|&index| kept[index as usize]).collect();
        for index in &mut order {
            *index = stays.partition_point(|stay| stay < index) as u32;
        }
    }
    let bytes: usize = kept
        .iter()
        .map(|(field, value)| field.len() + value.len() + 8)
        .sum();
    let mut packed = Vec::with_capacity(bytes + 8);
    if kept.len() <= SMALL_COUNT && bytes <= SMALL_BYTES {
        packed.push(0);
        put_varint(&mut packed, kept.len());
        for (field, value) in kept {
            put_element(&mut packed, field);
            put_element(&mut packed, value);
        }
    } else {
        let table = large(&mut packed, kept.len(), 2);
        for (place, index) in order.iter().enumerate() {
            let at = table + (kept.len() + place) * 4;
            packed[at..at + 4].copy_from_slice(&index.to_le_bytes());
        }
        let count = kept.len();
        for (index, (field, value)) in kept.into_iter().enumerate() {
            put_element(&mut packed, field);
            put_element(&mut packed, value);
            put_end(&mut packed, table, count, index, 2);
        }
    }
    packed
}

/// Begins the large form with room for `tables` tables; returns where they start.
fn large(packed: &mut Vec<u8>, count: usize, tables: usize) -> usize {
    packed.push(1);
    packed.extend_from_slice(&(count as u32).to_le_bytes());
    let table = packed.len();
    packed.resize(table + count * 4 * tables, 0);
    table
}

/// Notes where the element that was just written ends.
fn put_end(packed: &mut [u8], table: usize, count: usize, index: usize, tables: usize) {
    let end = (packed.len() - table - count * 4 * tables) as u32;
    packed[table + index * 4..table + index * 4 + 4].copy_from_slice(&end.to_le_bytes());
}

/// What both forms of both kinds share: the number of items, their bytes, and the tables of the large form.
#[derive(Clone, Copy, Debug)]
struct Layout<'a> {
    count: usize,
    /// End offsets, and for an object the sorted order; empty in the small form.
    tables: &'a [u8],
    body: &'a [u8],
}

impl<'a> Layout<'a> {
    fn read(packed: &'a [u8], tables: usize) -> Self {
        if packed[0] == 0 {
            let mut at = 1;
            let count = take_varint(packed, &mut at);
            Self {
                count,
                tables: &[],
                body: &packed[at..],
            }
        } else {
            let count = word(&packed[1..], 0);
            let (tables, body) = packed[5..].split_at(count * 4 * tables);
            Self {
                count,
                tables,
                body,
            }
        }
    }

    /// Where the item with this index starts in the body.
    fn start(&self, index: usize, elements: usize) -> usize {
        if index == 0 {
            0
        } else if self.tables.is_empty() {
            let mut at = 0;
            for _ in 0..index * elements {
                take_element(self.body, &mut at);
            }
            at
        } else {
            word(self.tables, index - 1)
        }
    }
}

/// A packed array.
#[derive(Clone, Copy, Debug)]
pub struct Array<'a>(Layout<'a>);

impl<'a> Array<'a> {
    /// Reads what [`pack_array`] wrote.
    #[must_use]
    pub fn new(packed: &'a [u8]) -> Self {
        Self(Layout::read(packed, 1))
    }

    /// Number of elements.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.count
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.count == 0
    }

    /// The elements from the `first`-th on.
    pub fn iter_from(&self, first: usize) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let Layout { count, body, .. } = self.0;
        let first = first.min(count);
        let mut at = self.0.start(first, 1);
        (first..count).map(move |_| take_element(body, &mut at))
    }

    /// All elements.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.iter_from(0)
    }
}

/// A packed object.
#[derive(Clone, Copy, Debug)]
pub struct Object<'a>(Layout<'a>);

impl<'a> Object<'a> {
    /// Reads what [`pack_object`] wrote.
    #[must_use]
    pub fn new(packed: &'a [u8]) -> Self {
        Self(Layout::read(packed, 2))
    }

    /// Number of fields.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.count
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.count == 0
    }

    /// Fields and values from the `first`-th on, in the order in which the fields first appeared.
    pub fn iter_from(&self, first: usize) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let Layout { count, body, .. } = self.0;
        let first = first.min(count);
        let mut at = self.0.start(first, 2);
        (first..count).map(move |_| (take_element(body, &mut at), take_element(body, &mut at)))
    }

    /// All fields and values.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        self.iter_from(0)
    }

    /// Fields and values by ascending bytes of the field, from the `first`-th on.
    ///
    /// The small form is sorted for it; the large form is stored with its order.
    pub fn sorted_from(
        &self,
        first: usize,
    ) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let layout = self.0;
        let Layout {
            count,
            tables,
            body,
        } = layout;
        let mut small: Vec<_> = Vec::new();
        let mut large = first.min(count)..count;
        if tables.is_empty() {
            large = 0..0;
            small.extend(self.iter());
            small.sort_unstable();
        }
        let large = large.map(move |place| {
            let mut at = layout.start(word(tables, count + place), 2);
            (take_element(body, &mut at), take_element(body, &mut at))
        });
        large.chain(small.into_iter().skip(first))
    }

    /// The value of `field`.
    #[must_use]
    pub fn get(&self, field: &[u8]) -> Option<&'a [u8]> {
        let Layout {
            count,
            tables,
            body,
        } = self.0;
        if tables.is_empty() {
            return self
                .iter()
                .find(|(name, _)| *name == field)
                .map(|(_, value)| value);
        }
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low + (high - low) / 2;
            let mut at = self.0.start(word(tables, count + middle), 2);
            let name = take_element(body, &mut at);
            match name.cmp(field) {
                core::cmp::Ordering::Equal => return Some(take_element(body, &mut at)),
                core::cmp::Ordering::Less => low = middle + 1,
                core::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::collection::vec as many;
    use proptest::prelude::*;

    /// The oracle: a list in order of first appearance.
    fn naive(pairs: &[(Vec<u8>, Vec<u8>)]) -> Vec<(&[u8], &[u8])> {
        let mut kept: Vec<(&[u8], &[u8])> = vec![];
        for (field, value) in pairs {
            match kept.iter_mut().find(|(name, _)| *name == field) {
                Some(pair) => pair.1 = value,
                None => kept.push((field, value)),
            }
        }
        kept
    }

    proptest! {
        #[test]
        fn arrays_come_back(elements in many(many(any::<u8>(), 0..200), 0..300)) {
            let packed = pack_array(elements.iter().map(|element| &element[..]));
            let array = Array::new(&packed);
            prop_assert_eq!(array.len(), elements.len());
            prop_assert_eq!(array.is_empty(), elements.is_empty());
            prop_assert!(array.iter().eq(elements.iter().map(|element| &element[..])));
            for first in [0, 1, elements.len() / 2, elements.len(), elements.len() + 1] {
                let rest = elements.iter().skip(first).map(|element| &element[..]);
                prop_assert!(array.iter_from(first).eq(rest));
            }
        }

        #[test]
        fn objects_come_back(pairs in many((many(0..4u8, 0..5), many(any::<u8>(), 0..90)), 0..600)) {
            let packed = pack_object(pairs.iter().map(|(field, value)| (&field[..], &value[..])));
            let object = Object::new(&packed);
            let kept = naive(&pairs);
            prop_assert_eq!(object.len(), kept.len());
            prop_assert!(object.iter().eq(kept.iter().copied()));
            prop_assert!(object.iter_from(kept.len() / 2).eq(kept[kept.len() / 2..].iter().copied()));
            let mut sorted = kept.clone();
            sorted.sort_unstable();
            for first in [0, 1, kept.len() / 2, kept.len() + 1] {
                prop_assert!(object.sorted_from(first).eq(sorted.iter().copied().skip(first)));
            }
            for (field, value) in &kept {
                prop_assert_eq!(object.get(field), Some(*value));
            }
            prop_assert_eq!(object.get(b"absent"), None);
        }
    }

    #[test]
    fn a_small_element_costs_one_byte() {
        let packed = pack_array([&b"abc"[..], b"defg"].into_iter());
        assert_eq!(packed.len(), 2 + 3 + 4 + 2);
    }
}
