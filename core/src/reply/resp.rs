//! RESP, versions 2 and 3.

use core::ops::Range;

use super::{Shape, Wire};
use crate::Output;
use crate::buffer::Blob;

/// A byte that tells the type, then a line.
pub(super) fn line(out: &mut Output, kind: &[u8; 1], text: &[u8]) {
    out.put_parts([kind, text, b"\r\n"]);
}

#[inline]
pub(super) fn integer(out: &mut Output, value: i64) {
    match u8::try_from(value) {
        // The usual replies to DEL, EXISTS, SETNX, EXPIRE.
        Ok(digit @ 0..=9) => out.put(&[b':', b'0' + digit, b'\r', b'\n']),
        _ => line(out, b":", itoa::Buffer::new().format(value).as_bytes()),
    }
}

#[inline]
pub(super) fn bulk(out: &mut Output, bytes: &[u8]) {
    // Short lengths are written as constants' worth of bytes: no itoa, no copy of unknown length.
    match u8::try_from(bytes.len()) {
        Ok(len @ 0..=9) => out.put_parts([&[b'$', b'0' + len, b'\r', b'\n'], bytes, b"\r\n"]),
        Ok(len @ 10..=99) => {
            out.put_parts([
                &[b'$', b'0' + len / 10, b'0' + len % 10, b'\r', b'\n'],
                bytes,
                b"\r\n",
            ]);
        }
        _ => {
            let mut digits = itoa::Buffer::new();
            out.put_parts([
                b"$",
                digits.format(bytes.len()).as_bytes(),
                b"\r\n",
                bytes,
                b"\r\n",
            ]);
        }
    }
}

pub(super) fn blob(out: &mut Output, blob: &Blob, range: Range<usize>) {
    line(
        out,
        b"$",
        itoa::Buffer::new().format(range.len()).as_bytes(),
    );
    out.put_blob(blob.clone(), range);
    out.put(b"\r\n");
}

/// A verbatim string of version 3.
pub(super) fn verbatim(out: &mut Output, text: &str) {
    let mut digits = itoa::Buffer::new();
    out.put_parts([
        b"=",
        digits.format(text.len() + 4).as_bytes(),
        b"\r\ntxt:",
        text.as_bytes(),
        b"\r\n",
    ]);
}

/// The header of an aggregate.
#[inline]
pub(super) fn aggregate(out: &mut Output, wire: Wire, shape: Shape, len: usize) {
    let (kind, len) = match (shape, wire) {
        (Shape::Map, Wire::Resp3) => (b"%", len),
        (Shape::Map, _) => (b"*", 2 * len),
        (Shape::Set, Wire::Resp3) => (b"~", len),
        (Shape::Push, Wire::Resp3) => (b">", len),
        _ => (b"*", len),
    };
    line(out, kind, itoa::Buffer::new().format(len).as_bytes());
}

pub(super) fn error(out: &mut Output, message: &[u8]) {
    out.put(b"-");
    one_line(out, message);
    out.put(b"\r\n");
}

/// The message with a space for each CR and LF, none of them at its ends, as Redis does it.
pub(super) fn one_line(out: &mut Output, message: &[u8]) {
    let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let start = message
        .iter()
        .position(|byte| !is_end(byte))
        .unwrap_or(message.len());
    let end = message
        .iter()
        .rposition(|byte| !is_end(byte))
        .map_or(start, |last| last + 1);
    let message = &message[start..end];
    for (i, part) in message
        .split(|byte| matches!(byte, b'\r' | b'\n'))
        .enumerate()
    {
        if i > 0 {
            out.put(b" ");
        }
        out.put(part);
    }
}
