//! The text dialect: one line, whatever was stored.
//!
//! RESP announces the length of an aggregate and needs nothing more. Text puts separators between elements and a
//! bracket behind the last, so the encoder counts what is missing in each aggregate that is open ([`Nesting`]).

use alloc::vec::Vec;
use core::ops::Range;

use super::resp::one_line;
use super::{Reply, Shape};
use crate::Output;
use crate::buffer::Blob;
use crate::protocol::Eol;

/// Where a reply in parts goes on: the aggregates that are open.
#[derive(Debug, Default)]
pub struct Nesting {
    /// The innermost one; none at the top of the reply.
    open: Option<Frame>,
    /// Those around it. The usual reply has none, and takes no memory here.
    outer: Vec<Frame>,
}

/// An aggregate that lacks elements.
#[derive(Clone, Copy, Debug)]
struct Frame {
    notation: Notation,
    /// Elements that have not begun or not ended, keys and values of an object counted both.
    missing: usize,
    /// Whether nothing stands in it yet.
    fresh: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Notation {
    /// `[a b]`
    Brackets,
    /// `a b`
    Words,
    /// `["a","b"]`
    JsonArray,
    /// `{"a":"b"}`
    JsonObject,
}

/// How a string is written, by where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// It is the whole reply.
    Line,
    /// Among others, separated by spaces.
    Element,
    /// A value of JSON.
    Json,
    /// A key of an object of JSON, which only a string can be.
    JsonKey,
}

impl Nesting {
    /// No aggregate is open.
    pub(super) const TOP: Self = Self {
        open: None,
        outer: Vec::new(),
    };

    /// Inside an aggregate that never ends; `fresh` where nothing stands in it yet.
    pub(super) const fn inside(shape: Shape, fresh: bool) -> Self {
        // Even, so that an object begins with a key.
        let missing = usize::MAX - 1;
        Self {
            open: Some(Frame {
                notation: Notation::of(shape),
                missing,
                fresh,
            }),
            outer: Vec::new(),
        }
    }
}

impl Notation {
    const fn of(shape: Shape) -> Self {
        match shape {
            Shape::Array | Shape::Set | Shape::Push => Self::Brackets,
            Shape::Words { .. } => Self::Words,
            Shape::JsonArray => Self::JsonArray,
            Shape::Map => Self::JsonObject,
        }
    }

    /// The notation at this place: inside JSON everything is JSON, and only a whole reply goes without brackets.
    const fn at(self, place: Place) -> Self {
        match (place, self) {
            (_, Self::JsonObject) => Self::JsonObject,
            (Place::Json | Place::JsonKey, _) => Self::JsonArray,
            (Place::Element, Self::Words) => Self::Brackets,
            _ => self,
        }
    }

    const fn brackets(self) -> (&'static [u8], &'static [u8]) {
        match self {
            Self::Words => (b"", b""),
            Self::Brackets | Self::JsonArray => (b"[", b"]"),
            Self::JsonObject => (b"{", b"}"),
        }
    }
}

const fn line_end(eol: Eol) -> &'static [u8] {
    match eol {
        Eol::Lf => b"\n",
        Eol::CrLf => b"\r\n",
    }
}

impl Reply<'_> {
    /// Writes what separates the next element from the one before, and says how it is to be written.
    fn begin(&mut self) -> Place {
        let Some(frame) = &mut self.nesting.open else {
            return Place::Line;
        };
        let is_value = frame.missing % 2 == 1;
        let (separator, place): (&[u8], _) = match frame.notation {
            Notation::Brackets | Notation::Words => (b" ", Place::Element),
            Notation::JsonArray => (b",", Place::Json),
            Notation::JsonObject if is_value => (b":", Place::Json),
            Notation::JsonObject => (b",", Place::JsonKey),
        };
        if !frame.fresh {
            self.out.put(separator);
        }
        frame.fresh = false;
        place
    }

    /// The element that was begun is complete, and with it each aggregate whose last one it is.
    fn finish(&mut self, eol: Eol) {
        while let Some(frame) = &mut self.nesting.open {
            frame.missing -= 1;
            if frame.missing > 0 {
                return;
            }
            self.out.put(frame.notation.brackets().1);
            self.nesting.open = self.nesting.outer.pop();
        }
        self.out.put(line_end(eol));
    }

    pub(super) fn text_aggregate(&mut self, eol: Eol, shape: Shape, len: usize) {
        let notation = Notation::of(shape).at(self.begin());
        self.out.put(notation.brackets().0);
        if len == 0 {
            self.close_empty(shape, notation);
            return self.finish(eol);
        }
        let missing = if notation == Notation::JsonObject {
            2 * len
        } else {
            len
        };
        let frame = Frame {
            notation,
            missing,
            fresh: true,
        };
        self.nesting.outer.extend(self.nesting.open.replace(frame));
    }

    pub(super) fn text_body(&mut self, eol: Eol, shape: Shape, len: usize, body: &mut Output) {
        let notation = Notation::of(shape).at(self.begin());
        self.out.put(notation.brackets().0);
        if len == 0 {
            self.close_empty(shape, notation);
        } else {
            self.out.append(body);
            self.out.put(notation.brackets().1);
        }
        self.finish(eol);
    }

    fn close_empty(&mut self, shape: Shape, notation: Notation) {
        match (shape, notation) {
            (Shape::Words { empty }, Notation::Words) => self.out.put(empty.as_bytes()),
            _ => self.out.put(notation.brackets().1),
        }
    }

    #[inline]
    pub(super) fn text_string(&mut self, eol: Eol, bytes: &[u8]) {
        // Nearly every reply, in one piece: half the time of begin, put and finish.
        if self.nesting.open.is_none() && is_bare(Place::Line, bytes) {
            return put_line(self.out, bytes, eol);
        }
        let place = self.begin();
        match place {
            Place::Json | Place::JsonKey => json_string(self.out, bytes),
            _ if is_bare(place, bytes) => self.out.put(bytes),
            _ => quoted(self.out, bytes),
        }
        self.finish(eol);
    }

    /// A string that needs no quotes as a whole line.
    #[inline]
    pub(super) fn text_word(&mut self, eol: Eol, word: &[u8]) {
        if self.nesting.open.is_none() {
            return put_line(self.out, word, eol);
        }
        self.text_string(eol, word);
    }

    pub(super) fn text_blob(&mut self, eol: Eol, blob: &Blob, range: Range<usize>) {
        let place = self.begin();
        let bytes = &blob[range.clone()];
        match place {
            Place::Json | Place::JsonKey => json_string(self.out, bytes),
            _ if is_bare(place, bytes) => self.out.put_blob(blob.clone(), range),
            _ => quoted(self.out, bytes),
        }
        self.finish(eol);
    }

    /// Text that needs no quotes anywhere but as a key of an object.
    pub(super) fn text_number(&mut self, eol: Eol, digits: &[u8]) {
        if self.nesting.open.is_none() {
            return put_line(self.out, digits, eol);
        }
        if self.begin() == Place::JsonKey {
            json_string(self.out, digits);
        } else {
            self.out.put(digits);
        }
        self.finish(eol);
    }

    pub(super) fn text_null(&mut self, eol: Eol) {
        match self.begin() {
            Place::Json => self.out.put(b"null"),
            Place::JsonKey => json_string(self.out, b"null"),
            Place::Line | Place::Element => self.out.put(b"NULL"),
        }
        self.finish(eol);
    }

    pub(super) fn text_error(&mut self, eol: Eol, message: &[u8]) {
        let message = message.strip_prefix(b"ERR ").unwrap_or(message);
        if self.nesting.open.is_some() {
            return self.text_string(eol, &[b"ERROR ", message].concat());
        }
        self.out.put(b"ERROR ");
        one_line(self.out, message);
        self.finish(eol);
    }

    pub(super) fn text_lines(&mut self, eol: Eol, text: &str) {
        if self.nesting.open.is_some() {
            return self.text_string(eol, text.as_bytes());
        }
        for line in text.lines() {
            put_line(self.out, line.as_bytes(), eol);
        }
        put_line(self.out, b"END", eol);
    }
}

#[inline]
fn put_line(out: &mut Output, line: &[u8], eol: Eol) {
    match eol {
        Eol::Lf => out.put_parts([line, b"\n"]),
        Eol::CrLf => out.put_parts([line, b"\r\n"]),
    }
}

/// Whether a string can stand here as it is.
fn is_bare(place: Place, bytes: &[u8]) -> bool {
    match place {
        Place::Line => {
            bytes.first() != Some(&b'"') && memchr::memchr2(b'\r', b'\n', bytes).is_none()
        }
        _ => {
            let special = |byte: &u8| {
                matches!(byte, b'"' | b'\'' | b'[' | b']' | b' ') || byte.is_ascii_control()
            };
            !bytes.is_empty() && !bytes.iter().any(special)
        }
    }
}

/// A token that the parser of requests reads as these bytes.
fn quoted(out: &mut Output, bytes: &[u8]) {
    out.put(b"\"");
    escaped(out, bytes, |byte| match byte {
        b'\n' => Some(Escape::Short(b'n')),
        b'\r' => Some(Escape::Short(b'r')),
        b'\t' => Some(Escape::Short(b't')),
        b'"' | b'\\' => Some(Escape::Short(byte)),
        _ if byte.is_ascii_control() => Some(Escape::Hex(b"\\x")),
        _ => None,
    });
    out.put(b"\"");
}

/// A string of JSON (RFC 8259). A byte that is no part of valid UTF-8 becomes the character of its number (Latin-1), so
/// that the line is valid JSON whatever was stored.
fn json_string(out: &mut Output, bytes: &[u8]) {
    out.put(b"\"");
    for chunk in bytes.utf8_chunks() {
        escaped(out, chunk.valid().as_bytes(), |byte| match byte {
            b'\n' => Some(Escape::Short(b'n')),
            b'\r' => Some(Escape::Short(b'r')),
            b'\t' => Some(Escape::Short(b't')),
            b'"' | b'\\' => Some(Escape::Short(byte)),
            0..0x20 => Some(Escape::Hex(b"\\u00")),
            _ => None,
        });
        escaped(out, chunk.invalid(), |_| Some(Escape::Hex(b"\\u00")));
    }
    out.put(b"\"");
}

/// What a byte is replaced by.
enum Escape {
    /// A backslash and this.
    Short(u8),
    /// This and two hexadecimal digits.
    Hex(&'static [u8]),
}

/// Writes `bytes`, those that are not to be escaped in runs.
#[inline]
fn escaped(out: &mut Output, bytes: &[u8], escape: impl Fn(u8) -> Option<Escape>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut done = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        let Some(escape) = escape(byte) else { continue };
        let run = &bytes[done..at];
        match escape {
            Escape::Short(letter) => out.put_parts([run, &[b'\\', letter]]),
            Escape::Hex(prefix) => {
                let digits = [
                    DIGITS[usize::from(byte >> 4)],
                    DIGITS[usize::from(byte & 15)],
                ];
                out.put_parts([run, prefix, &digits]);
            }
        }
        done = at + 1;
    }
    out.put(&bytes[done..]);
}
