//! Requests on their way out, and replies until all have come.

use core::ops::Range;

use ant_cache_core::client::{Decoder, ReplyLimits, SpanDecoder, Value, encode};

use super::ErrorKind;

/// Requests that go out together, encoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    bytes: Vec<u8>,
    count: usize,
}

impl Requests {
    /// Encodes requests, the command's name first in each.
    ///
    /// # Errors
    /// [`ErrorKind::NoArguments`] where one of them has not even that.
    pub fn encode<'a, A: AsRef<[u8]> + 'a>(
        requests: impl Iterator<Item = &'a [A]>,
    ) -> Result<Self, ErrorKind> {
        let mut encoded = Self::default();
        for args in requests {
            encoded.push(args)?;
        }
        Ok(encoded)
    }

    /// Adds a request behind the others.
    ///
    /// # Errors
    /// [`ErrorKind::NoArguments`] where it has not even a command's name.
    pub fn push<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Result<(), ErrorKind> {
        if args.is_empty() {
            return Err(ErrorKind::NoArguments);
        }
        encode(args, &mut self.bytes);
        self.count += 1;
        Ok(())
    }

    /// Adds all of `more` behind the others.
    pub fn append(&mut self, more: &Self) {
        self.bytes.extend_from_slice(&more.bytes);
        self.count += more.count;
    }

    /// Removes all requests, and keeps their memory for others where it is no more than 64 KiB.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(64 << 10);
        self.count = 0;
    }

    /// How many requests there are, which is how many replies will come.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// What is to be sent.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether there are no requests.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// The replies to [`Requests`], as they arrive.
#[derive(Debug)]
pub struct Replies<'d> {
    decoder: &'d mut Decoder,
    values: Vec<Value>,
    expected: usize,
}

impl<'d> Replies<'d> {
    /// No reply has come yet. `decoder` is the connection's own.
    #[must_use]
    pub fn new(decoder: &'d mut Decoder, requests: &Requests) -> Self {
        Self {
            decoder,
            values: Vec::with_capacity(requests.count),
            expected: requests.count,
        }
    }

    /// Takes what arrived; true once all replies are complete. What the server pushes on its own account is left out.
    ///
    /// # Errors
    /// [`ErrorKind::Decode`] for what is no reply, [`ErrorKind::Unasked`] for one too many. The connection is of no
    /// further use.
    pub fn take(&mut self, mut bytes: &[u8]) -> Result<bool, ErrorKind> {
        while let Some(value) = self.decoder.decode(&mut bytes)? {
            file(value, &mut self.values, self.expected)?;
        }
        Ok(self.values.len() == self.expected && !self.decoder.is_inside())
    }

    /// The replies, in the order of the requests.
    #[must_use]
    pub fn into_values(self) -> Vec<Value> {
        self.values
    }
}

/// The replies to [`Requests`], as they arrive: their bytes stay together, and no string of them is allocated.
#[derive(Debug)]
pub struct PackedReplies {
    buffer: Vec<u8>,
    decoder: SpanDecoder,
    values: Vec<Value<Range<usize>>>,
    expected: usize,
}

impl PackedReplies {
    /// No reply has come yet.
    #[must_use]
    pub fn new(requests: &Requests, limits: ReplyLimits) -> Self {
        Self {
            buffer: Vec::new(),
            decoder: SpanDecoder::new(limits),
            values: Vec::with_capacity(requests.count),
            expected: requests.count,
        }
    }

    /// As [`Replies::take`].
    ///
    /// # Errors
    /// As [`Replies::take`].
    pub fn take(&mut self, bytes: &[u8]) -> Result<bool, ErrorKind> {
        self.buffer.extend_from_slice(bytes);
        while let Some(value) = self.decoder.decode(&self.buffer)? {
            file(value, &mut self.values, self.expected)?;
        }
        Ok(self.values.len() == self.expected && self.decoder.is_at(self.buffer.len()))
    }

    /// Takes the replies out, in the order of the requests.
    pub fn drain(&mut self) -> impl ExactSizeIterator<Item = Value<&[u8]>> {
        let buffer = &self.buffer[..];
        let values = self.values.drain(..);
        values.map(move |value| value.map(&|span| &buffer[span]))
    }
}

/// Puts a reply behind the others, unless it is what nobody waits for.
#[inline]
fn file<B>(value: Value<B>, values: &mut Vec<Value<B>>, expected: usize) -> Result<(), ErrorKind> {
    match value {
        Value::Push(_) => {}
        _ if values.len() == expected => return Err(ErrorKind::Unasked),
        value => values.push(value),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ping_and_get() -> Requests {
        let requests: [&[&str]; 2] = [&["PING"], &["GET", "k"]];
        Requests::encode(requests.into_iter()).expect("both have a name")
    }

    #[test]
    fn requests_are_counted_and_must_have_a_name() {
        let requests = ping_and_get();
        assert_eq!(
            requests.bytes(),
            b"*1\r\n$4\r\nPING\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"
        );
        assert_eq!((requests.len(), requests.is_empty()), (2, false));
        let mut both = requests.clone();
        both.append(&requests);
        assert_eq!(both.len(), 4);
        assert_eq!(both.bytes(), [requests.bytes(); 2].concat());
        both.clear();
        assert_eq!(both, Requests::default());
        let nameless: [&[&str]; 2] = [&["PING"], &[]];
        let refused = Requests::encode(nameless.into_iter());
        assert!(matches!(refused, Err(ErrorKind::NoArguments)));
    }

    #[test]
    fn replies_are_complete_with_the_last_byte_and_pushes_are_left_out() {
        let (requests, mut decoder) = (ping_and_get(), Decoder::default());
        let bytes = b"+PONG\r\n>1\r\n+news\r\n$1\r\nv\r\n";
        let mut replies = Replies::new(&mut decoder, &requests);
        let mut packed = PackedReplies::new(&requests, ReplyLimits::default());
        for (place, byte) in bytes.iter().enumerate() {
            let last = place + 1 == bytes.len();
            assert_eq!(replies.take(&[*byte]).expect("a valid reply"), last);
            assert_eq!(packed.take(&[*byte]).expect("a valid reply"), last);
        }
        let values = [Value::Status(b"PONG".into()), Value::Bulk(b"v".into())];
        assert_eq!(replies.into_values(), values);
        let packed: Vec<_> = packed.drain().collect();
        assert_eq!(packed, [Value::Status(&b"PONG"[..]), Value::Bulk(b"v")]);
    }

    #[test]
    fn one_reply_too_many_is_nobody_s() {
        let (requests, mut decoder) = (ping_and_get(), Decoder::default());
        let bytes = b"+PONG\r\n+PONG\r\n+PONG\r\n";
        let taken = Replies::new(&mut decoder, &requests).take(bytes);
        assert!(matches!(taken, Err(ErrorKind::Unasked)), "{taken:?}");
        let taken = PackedReplies::new(&requests, ReplyLimits::default()).take(bytes);
        assert!(matches!(taken, Err(ErrorKind::Unasked)), "{taken:?}");
    }

    #[test]
    fn a_begun_reply_behind_the_last_is_waited_for() {
        let (requests, mut decoder) = (ping_and_get(), Decoder::default());
        let bytes = b"+PONG\r\n+PONG\r\n>1\r\n";
        let mut replies = Replies::new(&mut decoder, &requests);
        assert!(!replies.take(bytes).expect("valid so far"));
        let mut packed = PackedReplies::new(&requests, ReplyLimits::default());
        assert!(!packed.take(bytes).expect("valid so far"));
    }
}
