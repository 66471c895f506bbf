//! Arrays, read as Redis reads lists.

use core::ops::Range;

use super::elements::{self, View};
use super::of_kind;
use crate::exec::{Args, Exec, Outcome, Step};
use crate::store::Kind;
use crate::store::packed::Array;

pub(super) fn llen(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    let key = exec.key(args);
    let mut shard = exec.shard(&key);
    let item = of_kind(Kind::Array, shard.get(&key, exec.now))?;
    exec.count_read(item.is_some());
    let len = item.map_or(0, |item| Array::new(item.data.bytes()).len());
    exec.reply().integer(len as i64);
    Ok(Step::Done)
}

pub(super) fn lindex(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    let key = exec.key(args);
    let mut shard = exec.shard(&key);
    let item = of_kind(Kind::Array, shard.get(&key, exec.now))?;
    exec.count_read(item.is_some());
    let Some(item) = item else {
        exec.reply().null();
        return Ok(Step::Done);
    };
    let index = args.integer(2)?;
    let array = Array::new(item.data.bytes());
    let index = if index < 0 {
        index.saturating_add(array.len() as i64)
    } else {
        index
    };
    let element = usize::try_from(index)
        .ok()
        .and_then(|index| array.iter_from(index).next());
    match element {
        Some(element) => {
            elements::put_part(&mut exec.reply(), item.data, element);
        }
        None => exec.reply().null(),
    }
    Ok(Step::Done)
}

pub(super) fn lrange(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    let (first, last) = (args.integer(2)?, args.integer(3)?);
    let key = exec.key(args);
    let mut shard = exec.shard(&key);
    let item = of_kind(Kind::Array, shard.get(&key, exec.now))?;
    exec.count_read(item.is_some());
    let Some(item) = item else {
        exec.reply().array(0);
        return Ok(Step::Done);
    };
    let range = range(first, last, Array::new(item.data.bytes()).len());
    Ok(elements::send_range(exec, item.data, View::Elements, range))
}

/// The elements that Redis means by `first` and `last` in a list: inclusive, negative numbers from the end. Unlike in
/// a string, a `last` in front of the first element is no element at all.
fn range(first: i64, last: i64, len: usize) -> Range<usize> {
    let len = len as i64;
    let absolute = |index: i64| {
        if index < 0 {
            index.saturating_add(len)
        } else {
            index
        }
    };
    let (first, last) = (absolute(first).max(0), absolute(last).min(len - 1));
    if first > last {
        0..0
    } else {
        first as usize..last as usize + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_redis() {
        assert_eq!(range(0, -1, 3), 0..3);
        assert_eq!(range(-2, -1, 3), 1..3);
        assert_eq!(range(1, 1, 3), 1..2);
        assert_eq!(range(-9, 9, 3), 0..3);
        assert_eq!(range(i64::MIN, i64::MAX, 3), 0..3);
        for (first, last) in [(2, 1), (3, 9), (-9, -5), (0, -4), (i64::MAX, i64::MIN)] {
            assert!(range(first, last, 3).is_empty(), "{first} {last}");
        }
        assert!(range(0, -1, 0).is_empty());
    }
}
