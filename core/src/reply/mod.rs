//! From results to bytes, in the dialect of the request.

mod resp;
mod text;

use crate::Output;
use crate::buffer::Blob;
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

/// Writes exactly one reply to an [`Output`].
#[derive(Debug)]
pub struct Reply<'a> {
    out: &'a mut Output,
    wire: Wire,
}

impl<'a> Reply<'a> {
    /// A reply in `wire`'s encoding.
    pub fn new(out: &'a mut Output, wire: Wire) -> Self {
        Self { out, wire }
    }

    /// A value as the bytes of a [`Blob`], not copied where the encoding allows it.
    pub fn blob(&mut self, blob: &Blob) {
        let _ = blob;
    }
}
