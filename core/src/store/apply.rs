//! Applying records that were read back.

use super::{Effect, NewData, Store};
use crate::Millis;
use crate::journal::Record;

impl Store {
    /// Makes a change that was made before. What had ended by `now` was gone then.
    ///
    /// Changes of one key must be applied in their order.
    pub fn apply(&self, record: &Record<'_>, now: Millis) {
        let (key, effect) = match *record {
            Record::Set {
                kind,
                key,
                value,
                expires,
            } => {
                let data = NewData::copy(value);
                let set = Effect::Set {
                    kind,
                    data,
                    expires,
                };
                (key, set)
            }
            Record::Delete { key } => (key, Effect::Delete),
            Record::Expire { key, expires } => (key, Effect::Expire(expires)),
            Record::Patch { key, offset, bytes } => (key, Effect::Patch { offset, bytes }),
            Record::Flush => {
                self.flush();
                return;
            }
        };
        let key = self.key(key);
        let mut shard = self.lock(self.shard_of(&key));
        // It was there when this was recorded. Where it has gone for want of room, it stays away.
        let gone = matches!(effect, Effect::Patch { .. }) && shard.peek(&key, now).is_none();
        let committed = (!gone).then(|| shard.commit(&key, effect, now));
        drop(shard);
        drop(committed);
    }
}
