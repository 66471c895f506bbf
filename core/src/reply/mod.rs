//! From results to bytes, in the dialect of the request.
//!
//! A command describes its result once, with the calls of [`Reply`]; the wire decides how it looks. An aggregate
//! ([`Reply::array`], [`Reply::map`], …) announces its length, and its elements follow as further calls. Where the
//! length is known only in the end, [`Reply::elements`] encodes the elements on their own and [`Reply::body`] puts
//! the aggregate around them. An aggregate that is written in several turns goes on with [`Reply::resume`].

mod resp;
mod text;

use alloc::string::ToString;
use core::fmt::Display;
use core::ops::Range;

pub use text::Nesting;

use crate::Output;
use crate::buffer::Blob;
use crate::number;
use crate::protocol::Eol;

/// The encoding of one reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// One line of text with this ending.
    Text(Eol),
    /// RESP version 2.
    Resp2,
    /// RESP version 3.
    Resp3,
}

/// The kinds of aggregates. Wires that lack one send the nearest that they have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// An array. Text: `[e1 e2 …]`.
    Array,
    /// An array whose text is JSON, where a null must differ from a string.
    JsonArray,
    /// An array whose text is the elements separated by a space, or these words where there are none.
    Words {
        /// What stands for no elements.
        empty: &'static str,
    },
    /// Keys and values in turn. RESP2: an array of both; text: an object of JSON.
    Map,
    /// RESP3: a set; else an array.
    Set,
    /// RESP3: data that answers no request; else an array.
    Push,
}

/// Writes exactly one reply to an [`Output`].
///
/// ```
/// use ant_cache_core::Output;
/// use ant_cache_core::protocol::Eol;
/// use ant_cache_core::reply::{Reply, Wire};
///
/// for (wire, expected) in [
///     (Wire::Text(Eol::Lf), "{\"n\":1}\n"),
///     (Wire::Resp2, "*2\r\n$1\r\nn\r\n:1\r\n"),
///     (Wire::Resp3, "%1\r\n$1\r\nn\r\n:1\r\n"),
/// ] {
///     let mut output = Output::new();
///     let mut reply = Reply::new(&mut output, wire);
///     reply.map(1);
///     reply.bulk(b"n");
///     reply.integer(1);
///     assert_eq!(output.to_vec(), expected.as_bytes());
/// }
/// ```
#[derive(Debug)]
pub struct Reply<'a> {
    out: &'a mut Output,
    wire: Wire,
    nesting: Nesting,
}

impl<'a> Reply<'a> {
    /// A reply in `wire`'s encoding.
    #[inline]
    pub const fn new(out: &'a mut Output, wire: Wire) -> Self {
        Self {
            out,
            wire,
            nesting: Nesting::TOP,
        }
    }

    /// The encoding.
    #[must_use]
    #[inline]
    pub const fn wire(&self) -> Wire {
        self.wire
    }

    /// Stops in the middle of an aggregate, to go on in another turn.
    #[must_use]
    pub fn suspend(self) -> Nesting {
        self.nesting
    }

    /// Goes on where a reply of the same wire was suspended.
    #[must_use]
    pub const fn resume(out: &'a mut Output, wire: Wire, nesting: Nesting) -> Self {
        Self { out, wire, nesting }
    }

    /// Encodes elements of an aggregate whose length is not yet known, without the aggregate itself. More elements can
    /// be added to the same output by calling this again (for a map: after a value).
    ///
    /// ```
    /// # use ant_cache_core::Output;
    /// # use ant_cache_core::reply::{Reply, Shape, Wire};
    /// let (mut body, mut output) = (Output::new(), Output::new());
    /// Reply::elements(&mut body, Wire::Resp2, Shape::Array).integer(7);
    /// Reply::elements(&mut body, Wire::Resp2, Shape::Array).integer(8);
    /// Reply::new(&mut output, Wire::Resp2).body(Shape::Array, 2, &mut body);
    /// assert_eq!(output.to_vec(), b"*2\r\n:7\r\n:8\r\n");
    /// ```
    #[must_use]
    pub const fn elements(out: &'a mut Output, wire: Wire, shape: Shape) -> Self {
        let nesting = Nesting::inside(shape, out.is_empty());
        Self { out, wire, nesting }
    }

    /// An aggregate of `len` elements (of a map: pairs) that [`elements`](Self::elements) has encoded for the same wire
    /// and shape; `body` is empty afterwards. In text, an aggregate around it must not be one of JSON, unless this one
    /// is too.
    pub fn body(&mut self, shape: Shape, len: usize, body: &mut Output) {
        match self.wire {
            Wire::Text(eol) => self.text_body(eol, shape, len, body),
            wire => {
                resp::aggregate(self.out, wire, shape, len);
                self.out.append(body);
            }
        }
    }

    /// `OK`.
    #[inline]
    pub fn ok(&mut self) {
        match self.wire {
            Wire::Text(eol) => self.text_word(eol, b"OK"),
            _ => self.out.put(b"+OK\r\n"),
        }
    }

    /// A short fixed word, in RESP a simple string. It must not contain CR or LF.
    #[inline]
    pub fn status(&mut self, word: &str) {
        debug_assert!(!word.contains(['\r', '\n']), "a status is one line");
        match self.wire {
            Wire::Text(eol) => self.text_word(eol, word.as_bytes()),
            _ => resp::line(self.out, b"+", word.as_bytes()),
        }
    }

    /// An error, with its code: `ERR syntax error`, `WRONGTYPE Operation against …`. In text it reads `ERROR syntax
    /// error`, without the code where that is `ERR`. A CR or LF in it is sent as a space.
    #[cold]
    pub fn error(&mut self, message: impl Display) {
        self.error_bytes(message.to_string().as_bytes());
    }

    /// The same for a message that repeats bytes of the client, which need not be UTF-8.
    #[cold]
    pub fn error_bytes(&mut self, message: &[u8]) {
        match self.wire {
            Wire::Text(eol) => self.text_error(eol, message),
            _ => resp::error(self.out, message),
        }
    }

    /// Nothing, where a value could be.
    #[inline]
    pub fn null(&mut self) {
        match self.wire {
            Wire::Text(eol) => self.text_null(eol),
            Wire::Resp2 => self.out.put(b"$-1\r\n"),
            Wire::Resp3 => self.out.put(b"_\r\n"),
        }
    }

    /// Nothing, where an array could be.
    pub fn null_array(&mut self) {
        match self.wire {
            Wire::Resp2 => self.out.put(b"*-1\r\n"),
            _ => self.null(),
        }
    }

    /// A whole number.
    #[inline]
    pub fn integer(&mut self, value: i64) {
        match self.wire {
            Wire::Text(eol) => self.text_number(eol, itoa::Buffer::new().format(value).as_bytes()),
            _ => resp::integer(self.out, value),
        }
    }

    /// Whether something is so: 1 or 0.
    #[inline]
    pub fn bool(&mut self, value: bool) {
        self.integer(i64::from(value));
    }

    /// A floating-point number of up to 17 digits, as C's `%.17g` prints it.
    pub fn double(&mut self, value: f64) {
        let text = number::General::new(value);
        match self.wire {
            Wire::Text(eol) if value.is_finite() => self.text_number(eol, text.as_bytes()),
            Wire::Text(eol) => self.text_string(eol, text.as_bytes()),
            Wire::Resp2 => resp::bulk(self.out, text.as_bytes()),
            Wire::Resp3 => resp::line(self.out, b",", text.as_bytes()),
        }
    }

    /// A string of bytes.
    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) {
        match self.wire {
            Wire::Text(eol) => self.text_string(eol, bytes),
            _ => resp::bulk(self.out, bytes),
        }
    }

    /// A string of bytes that are shared, not copied, unless text needs escapes in them.
    #[inline]
    pub fn blob(&mut self, blob: &Blob) {
        self.blob_range(blob, 0..blob.len());
    }

    /// The same for a part of a blob. A part that is shorter than any blob is copied like any short string.
    ///
    /// # Panics
    /// If the range lies outside the blob.
    pub fn blob_range(&mut self, blob: &Blob, range: Range<usize>) {
        if range.len() < Blob::MIN {
            return self.bulk(&blob[range]);
        }
        match self.wire {
            Wire::Text(eol) => self.text_blob(eol, blob, range),
            _ => resp::blob(self.out, blob, range),
        }
    }

    /// Several lines for people, such as INFO's. Text: the lines, each ended as the request was, and `END`.
    pub fn verbatim(&mut self, text: &str) {
        match self.wire {
            Wire::Text(eol) => self.text_lines(eol, text),
            Wire::Resp2 => resp::bulk(self.out, text.as_bytes()),
            Wire::Resp3 => resp::verbatim(self.out, text),
        }
    }

    /// A line as it is, for replies that only the text dialect has. It must not contain LF.
    pub fn raw_line(&mut self, line: &[u8]) {
        debug_assert!(!line.contains(&b'\n'), "a line is one line");
        match self.wire {
            Wire::Text(eol) => self.text_number(eol, line),
            _ => resp::line(self.out, b"+", line),
        }
    }

    /// Begins an array; `len` elements follow. Text: `[e1 e2 …]`.
    #[inline]
    pub fn array(&mut self, len: usize) {
        self.aggregate(Shape::Array, len);
    }

    /// Begins an array; `len` elements follow. Text: JSON, where a null must differ from a string.
    pub fn array_json(&mut self, len: usize) {
        self.aggregate(Shape::JsonArray, len);
    }

    /// Begins an array; `len` elements follow. Text: the elements, or `empty` where there are none.
    pub fn words(&mut self, len: usize, empty: &'static str) {
        self.aggregate(Shape::Words { empty }, len);
    }

    /// Begins a map; `len` keys, each with its value, follow. Text: an object of JSON.
    pub fn map(&mut self, len: usize) {
        self.aggregate(Shape::Map, len);
    }

    /// Begins a set; `len` elements follow.
    pub fn set(&mut self, len: usize) {
        self.aggregate(Shape::Set, len);
    }

    /// Begins data that answers no request; `len` elements follow.
    pub fn push(&mut self, len: usize) {
        self.aggregate(Shape::Push, len);
    }

    #[inline]
    fn aggregate(&mut self, shape: Shape, len: usize) {
        match self.wire {
            Wire::Text(eol) => self.text_aggregate(eol, shape, len),
            wire => resp::aggregate(self.out, wire, shape, len),
        }
    }
}
