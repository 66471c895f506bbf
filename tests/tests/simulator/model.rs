//! The naive model: what the commands mean, one after the other.

use std::collections::{BTreeMap, BTreeSet};

use ant_cache_core::Millis;

use crate::command::{Answer, Bytes, Op, Value};

#[derive(Debug)]
pub(crate) struct Model {
    entries: BTreeMap<Bytes, Entry>,
    now: Millis,
    /// Keys that have expired and were not written, deleted or flushed since: DBSIZE may count them for a while.
    pub(crate) expired: BTreeSet<Bytes>,
    changes: Vec<Change>,
    /// Raised by whatever may change an answer.
    pub(crate) version: u64,
}

#[derive(Clone, Debug)]
struct Entry {
    value: Value,
    expires: Option<Millis>,
}

/// What concerns those who walk the keys.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Added(Bytes),
    Removed(Bytes),
}

impl Model {
    pub(crate) fn new(now: Millis) -> Self {
        Self {
            entries: BTreeMap::new(),
            now,
            expired: BTreeSet::new(),
            changes: Vec::new(),
            version: 0,
        }
    }

    /// The keys that there are.
    pub(crate) fn keys(&self) -> BTreeSet<Bytes> {
        self.entries.keys().cloned().collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn has(&self, key: &Bytes) -> bool {
        self.entries.contains_key(key)
    }

    /// The string at a key.
    pub(crate) fn string(&self, key: &Bytes) -> Option<Bytes> {
        match &self.entries.get(key)?.value {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        }
    }

    /// The next moment at which a key expires.
    pub(crate) fn next_expiry(&self) -> Option<Millis> {
        let ends = self.entries.values().filter_map(|entry| entry.expires);
        ends.min()
    }

    /// What has changed since the last call.
    pub(crate) fn changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// Lets time pass.
    pub(crate) fn advance(&mut self, now: Millis) {
        self.now = now;
        let due = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.expires.is_some_and(|expires| expires <= now));
        for key in due.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
            self.remove(&key);
            self.expired.insert(key);
        }
    }

    fn put(&mut self, key: &Bytes, value: Value, expires: Option<Millis>) {
        self.version += 1;
        self.expired.remove(key);
        let entry = Entry { value, expires };
        if self.entries.insert(key.clone(), entry).is_none() {
            self.changes.push(Change::Added(key.clone()));
        }
    }

    pub(crate) fn remove(&mut self, key: &Bytes) -> Option<Value> {
        self.expired.remove(key);
        let entry = self.entries.remove(key)?;
        self.version += 1;
        self.changes.push(Change::Removed(key.clone()));
        Some(entry.value)
    }

    /// Replaces the string at a key by what `change` makes of it; its time to live stays.
    fn edit(
        &mut self,
        key: &Bytes,
        change: impl FnOnce(Bytes) -> Result<(Bytes, i64), Answer>,
    ) -> Answer {
        let (old, expires) = match self.entries.get(key) {
            None => (Vec::new(), None),
            Some(Entry {
                value: Value::Text(text),
                expires,
            }) => (text.clone(), *expires),
            Some(_) => return Answer::WRONG_TYPE,
        };
        match change(old) {
            Ok((new, reply)) => {
                self.put(key, Value::Text(new), expires);
                Answer::Integer(reply)
            }
            Err(error) => error,
        }
    }

    /// What a command answers, without doing it. Those that only read.
    pub(crate) fn read(&self, op: &Op, text: bool) -> Answer {
        let value = |key| self.entries.get(key).map(|entry| entry.value.clone());
        let whole = |value: Option<Value>| value.map_or(Answer::Null, Answer::Value);
        match op {
            Op::Fetch(key) => whole(value(key)),
            Op::Get(key) => match value(key) {
                Some(Value::List(_) | Value::Object(_)) if !text => Answer::WRONG_TYPE,
                value => whole(value),
            },
            Op::Range(key) => match value(key) {
                None => Answer::Value(Value::List(Vec::new())),
                Some(list @ Value::List(_)) => Answer::Value(list),
                Some(_) => Answer::WRONG_TYPE,
            },
            Op::Fields(key) => match value(key) {
                None => Answer::Value(Value::Object(Vec::new())),
                Some(object @ Value::Object(_)) => Answer::Value(object),
                Some(_) => Answer::WRONG_TYPE,
            },
            Op::Mget(keys) => Answer::Several(keys.iter().map(|key| self.string(key)).collect()),
            Op::Exists(keys) => {
                Answer::Integer(keys.iter().filter(|key| self.has(key)).count() as i64)
            }
            Op::Strlen(key) => match value(key) {
                None => Answer::Integer(0),
                Some(Value::Text(text)) => Answer::Integer(text.len() as i64),
                Some(_) => Answer::WRONG_TYPE,
            },
            Op::Type(key) => Answer::Type(value(key)),
            Op::Pttl(key) => Answer::Integer(match self.entries.get(key) {
                None => -2,
                Some(entry) => entry
                    .expires
                    .map_or(-1, |expires| expires.since(self.now) as i64),
            }),
            Op::Ping => Answer::Pong,
            Op::Echo(text) => Answer::Value(Value::Text(text.clone())),
            Op::Quit => Answer::Ok,
            Op::Auth => Answer::Authenticated,
            other => unreachable!("{other:?} is no plain read"),
        }
    }

    /// Does a command; its reply.
    pub(crate) fn execute(&mut self, op: &Op, text: bool) -> Answer {
        match op {
            Op::Set {
                key,
                value,
                ttl,
                only_new,
            } => {
                if *only_new && self.has(key) {
                    return Answer::Set(false);
                }
                let expires = ttl.map(|ms| self.now.plus(ms));
                self.put(key, value.clone(), expires);
                if *only_new {
                    Answer::Set(true)
                } else {
                    Answer::Ok
                }
            }
            Op::GetSet(..) | Op::GetDel(..) => self.take(op),
            Op::Rename { from, to, only_new } => self.rename(from, to, *only_new),
            Op::Mset { pairs, only_new } => {
                if *only_new && pairs.iter().any(|(key, _)| self.has(key)) {
                    return Answer::Integer(0);
                }
                for (key, value) in pairs {
                    self.put(key, Value::Text(value.clone()), None);
                }
                if *only_new {
                    Answer::Integer(1)
                } else {
                    Answer::Ok
                }
            }
            Op::Del(keys) => {
                let deleted = keys.iter().filter(|key| self.remove(key).is_some()).count();
                match keys.len() {
                    1 => Answer::Found(deleted == 1),
                    _ => Answer::Integer(deleted as i64),
                }
            }
            Op::Add(key, by) => self.edit(key, |old| {
                let error = Answer::Error("ERR value is not an integer or out of range");
                let old = if old.is_empty() {
                    "0".into()
                } else {
                    String::from_utf8_lossy(&old).into_owned()
                };
                let new = old.parse::<i64>().map_err(|_| error)? + by;
                Ok((new.to_string().into_bytes(), new))
            }),
            Op::Append(key, tail) => self.edit(key, |old| {
                let new = [&old[..], tail].concat();
                let len = new.len() as i64;
                Ok((new, len))
            }),
            Op::Expire(key, ms) => {
                let expires = self.now.plus(*ms);
                self.set_expiry(key, Some(expires))
            }
            Op::Persist(key) => {
                let had = self
                    .entries
                    .get(key)
                    .is_some_and(|entry| entry.expires.is_some());
                let found = self.set_expiry(key, None);
                // To people it says whether the key is there now without an end; to Redis's clients, what changed.
                if text { found } else { Answer::Found(had) }
            }
            Op::FlushAll => {
                for key in self.keys() {
                    self.remove(&key);
                }
                self.expired.clear();
                Answer::Ok
            }
            read => self.read(read, text),
        }
    }

    fn take(&mut self, op: &Op) -> Answer {
        let (Op::GetSet(key, _) | Op::GetDel(key)) = op else {
            unreachable!("one of both")
        };
        let old = match self.read(&Op::Get(key.clone()), false) {
            Answer::Null if matches!(op, Op::GetDel(_)) => return Answer::Null,
            Answer::Error(_) => return Answer::WRONG_TYPE,
            old => old,
        };
        match op {
            Op::GetSet(key, new) => self.put(key, Value::Text(new.clone()), None),
            _ => _ = self.remove(key),
        }
        old
    }

    fn set_expiry(&mut self, key: &Bytes, expires: Option<Millis>) -> Answer {
        let entry = self.entries.get_mut(key);
        let found = entry.map(|entry| entry.expires = expires).is_some();
        Answer::Found(found)
    }

    fn rename(&mut self, from: &Bytes, to: &Bytes, only_new: bool) -> Answer {
        let Some(entry) = self.entries.get(from).cloned() else {
            return Answer::Error("ERR no such key");
        };
        if only_new && self.has(to) {
            return Answer::Integer(0);
        }
        if from != to {
            self.remove(from);
            self.put(to, entry.value, entry.expires);
        }
        if only_new {
            Answer::Integer(1)
        } else {
            Answer::Ok
        }
    }
}
