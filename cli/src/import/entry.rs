//! From what a file holds to the requests that make it.

use super::rdb::{Record, Skipped, Value};
use crate::load::Request;

/// A key that can be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: Vec<u8>,
    pub(crate) kind: Kind,
    /// The value; elements; fields and values in turn.
    pub(crate) words: Vec<Vec<u8>>,
    /// The end of its life, in milliseconds since the Unix epoch.
    pub(crate) expires: Option<i64>,
}

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    String,
    List,
    Hash,
}

/// Why a key is not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reason {
    Value(Skipped),
    Expired,
}

impl Entry {
    /// What there is to set of a record.
    pub(super) fn new(record: Record, now: i64) -> Result<Self, Reason> {
        let (kind, words) = match record.value {
            Value::Skipped(skipped) => return Err(Reason::Value(skipped)),
            Value::String(string) => (Kind::String, vec![string]),
            Value::List(elements) => (Kind::List, elements),
            Value::Hash(pairs) => (Kind::Hash, pairs),
        };
        if record.expires.is_some_and(|end| end <= now) {
            return Err(Reason::Expired);
        }
        Ok(Self {
            key: record.key,
            kind,
            words,
            expires: record.expires,
        })
    }

    /// The request that sets the key, and where that cannot tell the end of its life to the millisecond, one that does.
    pub(crate) fn into_requests(self, now: i64) -> (Request, Option<Request>) {
        let name = match self.kind {
            Kind::String => return (self.set(), None),
            Kind::List => "SETS",
            Kind::Hash => "SETX",
        };
        let mut set = vec![name.into(), self.key.clone()];
        // A first word `-t` would be taken for the option, were the option not there.
        let guard = self.words.first().is_some_and(|word| word == b"-t");
        let expire = match self.expires {
            // Should the second request not arrive, the key ends all the same.
            Some(end) => {
                let left = end.saturating_sub(now).clamp(1, YEAR);
                set.extend([b"-t".to_vec(), format!("{left}ms").into_bytes()]);
                Some(vec![
                    b"PEXPIREAT".to_vec(),
                    self.key,
                    end.to_string().into_bytes(),
                ])
            }
            None if guard => {
                set.extend([b"-t".to_vec(), b"1y".to_vec()]);
                Some(vec![b"PERSIST".to_vec(), self.key])
            }
            None => None,
        };
        set.extend(self.words);
        (set, expire)
    }

    fn set(self) -> Request {
        let mut set = vec![b"SET".to_vec(), self.key];
        set.extend(self.words);
        if let Some(end) = self.expires {
            set.extend([b"PXAT".to_vec(), end.to_string().into_bytes()]);
        }
        set
    }
}

/// Long enough until the next request arrives.
const YEAR: i64 = 365 * 24 * 60 * 60 * 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn record(value: Value, expires: Option<i64>) -> Record {
        Record {
            database: 0,
            key: b"k".to_vec(),
            expires,
            value,
        }
    }

    fn words(text: &str) -> Vec<Vec<u8>> {
        text.split(' ').map(Into::into).collect()
    }

    fn requests(value: Value, expires: Option<i64>) -> Vec<String> {
        let entry = Entry::new(record(value, expires), 1_000).unwrap();
        let (set, expire) = entry.into_requests(1_000);
        let show = |request: Request| request.join(&b' ').escape_ascii().to_string();
        core::iter::once(set).chain(expire).map(show).collect()
    }

    #[test]
    fn requests_with_and_without_an_end() {
        let string = Value::String(b"v".to_vec());
        assert_eq!(requests(string.clone(), None), ["SET k v"]);
        assert_eq!(requests(string, Some(5_000)), ["SET k v PXAT 5000"]);
        let list = Value::List(words("a b"));
        assert_eq!(requests(list.clone(), None), ["SETS k a b"]);
        assert_eq!(
            requests(list.clone(), Some(5_000)),
            ["SETS k -t 4000ms a b", "PEXPIREAT k 5000"]
        );
        let far = i64::MAX.to_string();
        assert_eq!(
            requests(list, Some(i64::MAX))[1],
            format!("PEXPIREAT k {far}")
        );
        assert_eq!(requests(Value::Hash(words("f v")), None), ["SETX k f v"]);
    }

    #[test]
    fn a_word_that_looks_like_the_option() {
        assert_eq!(requests(Value::String(b"-t".to_vec()), None), ["SET k -t"]);
        let hash = Value::Hash(words("-t 5s"));
        assert_eq!(
            requests(hash.clone(), None),
            ["SETX k -t 1y -t 5s", "PERSIST k"]
        );
        assert_eq!(
            requests(hash, Some(2_000)),
            ["SETX k -t 1000ms -t 5s", "PEXPIREAT k 2000"]
        );
    }

    #[test]
    fn what_is_left_out() {
        let set = record(Value::Skipped(Skipped::Set), None);
        assert_eq!(Entry::new(set, 0), Err(Reason::Value(Skipped::Set)));
        for expires in [i64::MIN, 0, 1_000] {
            let old = record(Value::String(Vec::new()), Some(expires));
            assert_eq!(Entry::new(old, 1_000), Err(Reason::Expired));
        }
    }
}
