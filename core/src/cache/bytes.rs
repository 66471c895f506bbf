//! What comes out of a cache.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::ops::Deref;

use crate::Blob;
use crate::store::Data;

/// A key or value that was taken out of a [`Cache`](super::Cache): immutable bytes, owned, cheap to clone.
///
/// Up to [`Bytes::IN_PLACE`] bytes lie in the value itself; more are reference-counted. From 1 KiB on they are the very
/// bytes that the cache holds, and stay alive for as long as anyone has them, whatever happens to the entry.
///
/// It dereferences to `[u8]`, and compares like one.
#[derive(Clone)]
pub struct Bytes(Repr);

#[derive(Clone)]
enum Repr {
    Small { len: u8, bytes: Words },
    Shared(Arc<[u8]>),
    Blob(Blob),
}

/// Bytes that begin where a word does: whoever reads them does it by the word.
#[derive(Clone)]
#[repr(align(8))]
struct Words([u8; Bytes::IN_PLACE]);

impl Bytes {
    /// Up to this many bytes need no memory of their own. With it, a `Bytes` is as large as a cache line.
    pub const IN_PLACE: usize = 56;

    const EMPTY: Self = Self(Repr::Small {
        len: 0,
        bytes: Words([0; Self::IN_PLACE]),
    });

    /// A copy of `bytes`.
    pub(super) fn copy(bytes: &[u8]) -> Self {
        let mut copy = Self::EMPTY;
        copy.fill(bytes);
        copy
    }

    /// Becomes a copy of `bytes`, where it is: moving 64 bytes that were just written in pieces costs more than writing
    /// them.
    #[inline(always)]
    fn fill(&mut self, bytes: &[u8]) {
        if let Repr::Small { len, bytes: small } = &mut self.0
            && let Some(place) = small.0.get_mut(..bytes.len())
        {
            copy_words(place, bytes);
            *len = bytes.len() as u8;
        } else {
            self.0 = Repr::Shared(bytes.into());
        }
    }

    /// Puts what the store holds into `to`, large values shared with it.
    #[inline(always)]
    pub(super) fn take(data: Option<&Data<'_>>, to: &mut Option<Self>) {
        let Some(data) = data else {
            *to = None;
            return;
        };
        let to = to.insert(Self::EMPTY);
        match data {
            Data::Inline(bytes) => to.fill(bytes),
            Data::Blob(blob) => to.0 = Repr::Blob((*blob).clone()),
        }
    }
}

/// Copies bytes to the start of a word, for a reader who comes at once and takes a word at a time. A processor hands on what
/// was just written only from one write that covers all that is read; where two do, as those of an ordinary copy which
/// overlap, it waits until both are in the cache (Intel's optimization manual, "store forwarding"). So the last bytes are
/// written first, and whole words over them.
#[inline]
fn copy_words(to: &mut [u8], from: &[u8]) {
    let words = from.len() & !7;
    if let (Some(last_to), Some(last)) = (to.last_chunk_mut::<8>(), from.last_chunk::<8>()) {
        *last_to = *last;
        to[..words].copy_from_slice(&from[..words]);
    } else {
        to.copy_from_slice(from);
    }
}

/// Takes the bytes, if they are many; else copies them.
impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        if bytes.len() < Blob::MIN {
            Self::copy(&bytes)
        } else {
            Blob::new(bytes).into()
        }
    }
}

/// Shares the value; nothing is copied.
impl From<Blob> for Bytes {
    fn from(blob: Blob) -> Self {
        Self(Repr::Blob(blob))
    }
}

impl Deref for Bytes {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Repr::Small { len, bytes } => &bytes.0[..usize::from(*len)],
            Repr::Shared(bytes) => bytes,
            Repr::Blob(blob) => blob,
        }
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl From<Bytes> for Vec<u8> {
    fn from(bytes: Bytes) -> Self {
        bytes.to_vec()
    }
}

/// The bytes as text, what is not printable ASCII escaped.
impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.escape_ascii())
    }
}

impl PartialEq for Bytes {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Bytes {}

impl Hash for Bytes {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl PartialEq<[u8]> for Bytes {
    fn eq(&self, other: &[u8]) -> bool {
        **self == *other
    }
}

impl PartialEq<&[u8]> for Bytes {
    fn eq(&self, other: &&[u8]) -> bool {
        **self == **other
    }
}

impl<const N: usize> PartialEq<[u8; N]> for Bytes {
    fn eq(&self, other: &[u8; N]) -> bool {
        **self == *other
    }
}

impl<const N: usize> PartialEq<&[u8; N]> for Bytes {
    fn eq(&self, other: &&[u8; N]) -> bool {
        **self == **other
    }
}

impl PartialEq<Vec<u8>> for Bytes {
    fn eq(&self, other: &Vec<u8>) -> bool {
        **self == **other
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::vec;

    #[test]
    fn it_is_a_cache_line_with_room_for_none() {
        assert_eq!(size_of::<Bytes>(), 64);
        assert_eq!(size_of::<Option<Bytes>>(), 64);
    }

    #[test]
    fn every_length_comes_out_as_it_went_in() {
        for len in (0..=72).chain([255, 1023, 1024, 5000]) {
            let bytes: Vec<u8> = (0..len).map(|byte| byte as u8).collect();
            let copied = Bytes::copy(&bytes);
            assert_eq!(copied, bytes);
            let shared = Bytes::from(Blob::new(bytes.clone()));
            assert_eq!(shared, copied);
            assert_eq!(Vec::from(shared.clone()), bytes);
        }
    }

    #[test]
    fn a_clone_of_a_large_value_shares_it() {
        let bytes = Bytes::copy(&[7; 100]);
        assert_eq!(bytes.as_ptr(), bytes.clone().as_ptr());
        let blob = Bytes::from(Blob::new(vec![7; 2000]));
        assert_eq!(blob.as_ptr(), blob.clone().as_ptr());
    }

    #[test]
    fn it_shows_itself_as_text() {
        assert_eq!(format!("{:?}", Bytes::copy(b"a\n\xff")), r#"b"a\n\xff""#);
    }
}
