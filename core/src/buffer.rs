//! The two buffers of a connection. Their owner moves bytes between them and the wire; a session only looks at
//! [`Input`] and only appends to [`Output`].

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::{Deref, Range};

use crate::held::Held;
use crate::ledger::allocation;

/// A large value: reference-counted bytes that go from the store to the socket without a copy.
///
/// Values from [`Blob::MIN`] bytes on are kept this way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob(Arc<Vec<u8>>);

impl Blob {
    /// From this many bytes on a value is a blob. Below, copying it under the lock is cheaper than the two
    /// reference counts and the extra slice of a vectored write.
    pub const MIN: usize = 1024;

    /// Takes the bytes; nothing is copied.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Arc::new(bytes))
    }

    /// The bytes for a change in place: free of charge where nobody else holds this blob, else a copy is made.
    pub fn make_mut(&mut self) -> &mut Vec<u8> {
        Arc::make_mut(&mut self.0)
    }

    /// Where `part`, a slice of these very bytes, lies among them.
    ///
    /// # Panics
    /// If it is a slice of something else.
    #[must_use]
    pub fn range_of(&self, part: &[u8]) -> Range<usize> {
        let start = part.as_ptr().addr().wrapping_sub(self.0.as_ptr().addr());
        let end = start.wrapping_add(part.len());
        assert!(start <= end && end <= self.0.len(), "a part of this blob");
        start..end
    }

    /// Bytes of memory that this blob occupies, its header included.
    #[must_use]
    pub fn memory(&self) -> usize {
        let header = size_of::<Vec<u8>>() + 2 * size_of::<usize>();
        allocation(self.0.capacity()) + allocation(header)
    }
}

impl Deref for Blob {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// Bytes that have arrived and are not yet consumed.
///
/// ```
/// # use ant_cache_core::Input;
/// let mut input = Input::new();
/// input.spare()[..4].copy_from_slice(b"PING");
/// input.filled(4);
/// assert_eq!(input.bytes(), b"PING");
/// ```
#[derive(Debug, Default)]
pub struct Input {
    buf: Vec<u8>,
    start: usize,
    end: usize,
    eof: bool,
}

impl Input {
    /// The room that [`spare`](Self::spare) offers at least. 16 KiB holds a pipeline of hundreds of small requests;
    /// more per read costs cache misses without saving system calls.
    pub const READ: usize = 16 << 10;

    /// An empty buffer; memory is taken at the first [`spare`](Self::spare).
    #[must_use]
    pub const fn new() -> Self {
        Self {
            buf: Vec::new(),
            start: 0,
            end: 0,
            eof: false,
        }
    }

    /// Room for the next bytes of the wire, never empty. It grows with what has arrived, not with what a header
    /// announced: a client that promises a gigabyte and sends nothing costs nothing.
    pub fn spare(&mut self) -> &mut [u8] {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
        if self.buf.len() - self.end < Self::READ / 2 {
            // First get back what was consumed in front; grow only where that is not enough.
            if self.start >= (self.end - self.start).max(Self::READ / 2) {
                self.buf.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
            }
            if self.buf.len() - self.end < Self::READ / 2 {
                let grown = (self.buf.len() * 2).max(Self::READ);
                self.buf.resize(grown, 0);
            }
        }
        &mut self.buf[self.end..]
    }

    /// Says that `n` bytes were put at the start of what [`spare`](Self::spare) gave.
    ///
    /// # Panics
    /// If `n` is more than the room that was offered.
    pub fn filled(&mut self, n: usize) {
        assert!(
            n <= self.buf.len() - self.end,
            "more filled than was offered"
        );
        self.end += n;
    }

    /// Says that nothing more will arrive.
    pub fn set_eof(&mut self) {
        self.eof = true;
    }

    /// Whether the wire has ended.
    #[must_use]
    pub const fn eof(&self) -> bool {
        self.eof
    }

    /// The bytes that wait.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.buf[self.start..self.end]
    }

    /// The bytes that wait, for a parser that unescapes in place.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.buf[self.start..self.end]
    }

    /// Forgets the first `n` bytes.
    ///
    /// # Panics
    /// If fewer wait.
    pub fn consume(&mut self, n: usize) {
        assert!(n <= self.end - self.start, "more consumed than waits");
        self.start += n;
    }

    /// Whether nothing waits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Makes it as new, for another connection, but keeps the memory.
    pub fn reset(&mut self) {
        (self.start, self.end, self.eof) = (0, 0, false);
    }

    /// Bytes of memory held.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.buf.capacity()
    }
}

/// Replies that wait to be sent: small ones in one growing piece, large values as shared [`Blob`]s between.
#[derive(Debug, Default)]
pub struct Output {
    sealed: VecDeque<Chunk>,
    tail: Vec<u8>,
    /// Bytes of the first chunk (of the tail, where none is sealed) that are already sent.
    sent: usize,
    len: usize,
    /// Bytes of memory of the sealed pieces, blobs aside.
    sealed_memory: usize,
    /// Boxed, since most connections never have one, and there may be ten thousand.
    held: Option<Box<Held>>,
}

#[derive(Debug)]
enum Chunk {
    Bytes(Vec<u8>),
    Blob(Blob, Range<usize>),
}

impl Chunk {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Blob(blob, range) => &blob[range.clone()],
        }
    }
}

impl Output {
    /// A tail of this size is sealed and a new one begun, so that a huge reply is never copied by growth.
    const SEAL: usize = 64 << 10;

    /// An empty buffer; memory is taken at the first byte.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            sealed: VecDeque::new(),
            tail: Vec::new(),
            sent: 0,
            len: 0,
            sealed_memory: 0,
            held: None,
        }
    }

    /// Bytes that wait.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing waits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that may be sent now. What follows tells of changes that are not durable yet.
    #[must_use]
    #[inline]
    pub fn ready(&self) -> usize {
        match &self.held {
            None => self.len,
            Some(held) => held.ready().unwrap_or(self.len),
        }
    }

    pub(crate) fn held(&self) -> Option<&Held> {
        self.held.as_deref()
    }

    pub(crate) fn held_mut(&mut self) -> &mut Option<Box<Held>> {
        &mut self.held
    }

    /// Appends bytes.
    #[inline]
    pub fn put(&mut self, bytes: &[u8]) {
        if self.tail.len() >= Self::SEAL {
            self.seal();
        }
        self.tail.extend_from_slice(bytes);
        self.len += bytes.len();
    }

    /// Appends several pieces, with one look at the room for all.
    ///
    /// Always inlined, so that pieces of a known length are stores: a call of memcpy for each costs twice the time.
    #[inline(always)]
    pub(crate) fn put_parts<const N: usize>(&mut self, parts: [&[u8]; N]) {
        if self.tail.len() >= Self::SEAL {
            self.seal();
        }
        let len = parts.iter().map(|part| part.len()).sum();
        self.tail.reserve(len);
        for part in parts {
            self.tail.extend_from_slice(part);
        }
        self.len += len;
    }

    /// Appends a part of a blob without a copy.
    ///
    /// # Panics
    /// If the range lies outside the blob.
    pub fn put_blob(&mut self, blob: Blob, range: Range<usize>) {
        let part = blob[range.clone()].len();
        if part == 0 {
            return;
        }
        self.seal();
        self.len += part;
        self.sealed.push_back(Chunk::Blob(blob, range));
    }

    /// Moves everything of `other` behind what waits here. Nothing of `other` may have been sent yet.
    pub fn append(&mut self, other: &mut Self) {
        debug_assert_eq!(other.sent, 0, "an output is appended whole");
        // A short one is copied, as a short value is: cheaper than two more slices to send.
        if other.len < Blob::MIN && other.sealed.is_empty() {
            self.put(&other.tail);
            other.tail.clear();
            other.len = 0;
            return;
        }
        other.seal();
        self.seal();
        self.sealed.append(&mut other.sealed);
        self.len += other.len;
        self.sealed_memory += other.sealed_memory;
        (other.len, other.sealed_memory) = (0, 0);
    }

    fn seal(&mut self) {
        if !self.tail.is_empty() {
            self.sealed_memory += self.tail.capacity();
            self.sealed
                .push_back(Chunk::Bytes(core::mem::take(&mut self.tail)));
        }
    }

    /// All that is to be sent, where it lies in one piece.
    #[must_use]
    pub fn whole(&self) -> Option<&[u8]> {
        self.sealed.is_empty().then(|| &self.tail[self.sent..])
    }

    /// Puts the next bytes to send into `to`, as many slices as fit, and says how many were used.
    pub fn slices<'a>(&'a self, to: &mut [&'a [u8]]) -> usize {
        let pieces = self
            .sealed
            .iter()
            .map(Chunk::bytes)
            .chain(core::iter::once(&self.tail[..]));
        let mut used = 0;
        let mut skip = self.sent;
        for (place, piece) in to.iter_mut().zip(pieces) {
            let piece = &piece[skip..];
            skip = 0;
            if piece.is_empty() {
                break;
            }
            *place = piece;
            used += 1;
        }
        used
    }

    /// Says that the first `n` bytes were sent.
    ///
    /// # Panics
    /// If fewer are [`ready`](Self::ready).
    pub fn consume(&mut self, n: usize) {
        assert!(n <= self.ready(), "more sent than may be");
        if let Some(held) = &mut self.held {
            held.sent(n);
        }
        self.discard(n);
    }

    /// Forgets the first `n` bytes.
    pub(crate) fn discard(&mut self, mut n: usize) {
        self.len -= n;
        while let Some(first) = self.sealed.front() {
            let rest = first.bytes().len() - self.sent;
            if n < rest {
                self.sent += n;
                return;
            }
            n -= rest;
            self.sent = 0;
            if let Some(Chunk::Bytes(bytes)) = self.sealed.pop_front() {
                self.sealed_memory -= bytes.capacity();
            }
        }
        self.sent += n;
        if self.sent == self.tail.len() {
            self.tail.clear();
            self.sent = 0;
        }
    }

    /// All that waits, copied together: for tests and for embedders that want one piece.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        let mut all = Vec::with_capacity(self.len);
        for chunk in &self.sealed {
            all.extend_from_slice(chunk.bytes());
        }
        all.extend_from_slice(&self.tail);
        all.drain(..self.sent);
        all
    }

    /// Bytes of memory held, blobs included though they may be shared.
    #[must_use]
    pub fn memory(&self) -> usize {
        let blobs = self.sealed.iter().map(|chunk| match chunk {
            Chunk::Bytes(_) => 0,
            Chunk::Blob(blob, _) => blob.len(),
        });
        blobs.sum::<usize>() + self.own_memory()
    }

    /// Bytes of memory held, blobs aside. In constant time.
    #[must_use]
    pub fn own_memory(&self) -> usize {
        let list = self.sealed.capacity() * size_of::<Chunk>();
        list + self.sealed_memory + self.tail.capacity() + self.held().map_or(0, Held::memory)
    }
}
