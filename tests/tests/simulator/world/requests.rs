//! Random commands.

use super::World;
use crate::client::Scan;
use crate::command::{Bytes, FATAL, Op, REFUSED, STRANGER, Tongue, Value};

impl World<'_> {
    fn key(&mut self) -> Bytes {
        key(self.random.below(self.swarm.keys))
    }

    fn keys(&mut self, most: usize) -> Vec<Bytes> {
        (0..1 + self.random.below(most))
            .map(|_| self.key())
            .collect()
    }

    /// A string that no other is equal to, unless it is a number.
    pub(super) fn text(&mut self) -> Bytes {
        self.values += 1;
        if self.random.once_in(3) {
            return self.random.below(1000).to_string().into_bytes();
        }
        let mut text = format!("v{}", self.values).into_bytes();
        if self.random.once_in(3) {
            text.resize(text.len() + self.random.below(self.swarm.value), b'x');
        }
        text
    }

    fn value(&mut self) -> Value {
        // Elements of a few bytes, so many that a large value is made of them.
        let elements = 1 + self.random.below(self.swarm.value.min(5_000) / 4 + 4);
        match self.random.below(5) {
            0 => Value::List((0..elements).map(|_| self.short()).collect()),
            1 => {
                let pairs =
                    (0..elements / 2 + 1).map(|n| (format!("f{n}").into_bytes(), self.short()));
                Value::Object(pairs.collect())
            }
            _ => Value::Text(self.text()),
        }
    }

    fn short(&mut self) -> Bytes {
        self.values += 1;
        self.values.to_string().into_bytes()
    }

    /// A request of a connection.
    pub(super) fn op(&mut self, at: usize, tongue: Tongue) -> Op {
        if self.connections[at].client.stranger {
            return Op::Refused(STRANGER);
        }
        let text = tongue.is_text();
        match self.random.below(100) {
            0..20 => Op::Set {
                key: self.key(),
                value: self.value(),
                ttl: self
                    .random
                    .once_in(4)
                    .then(|| 1 + self.random.below(300) as u64),
                only_new: self.random.once_in(5),
            },
            20..35 => Op::Get(self.key()),
            35..43 => self.edit(),
            43..51 => self.about(),
            51..57 => self.several(),
            57..65 => self.walk(at, text),
            65..67 => Op::FlushAll,
            67..70 => Op::Ping,
            70..72 => Op::Echo(self.text()),
            72..74 => {
                let fatal = self.random.once_in(20);
                Op::Refused(if fatal {
                    FATAL
                } else {
                    self.random.pick(REFUSED)
                })
            }
            74 if self.random.once_in(5) => Op::Quit,
            _ if text => Op::Get(self.key()),
            75..80 => Op::Rename {
                from: self.key(),
                to: self.key(),
                only_new: self.random.once_in(3),
            },
            80..86 => Op::Fetch(self.key()),
            86..92 => Op::Range(self.key()),
            92..98 => Op::Fields(self.key()),
            _ => Op::RandomKey,
        }
    }

    /// A change of what is there.
    fn edit(&mut self) -> Op {
        let key = self.key();
        match self.random.below(7) {
            0..2 => Op::Add(key, self.random.below(100) as i64 - 50),
            2 => Op::Append(key, self.text()),
            3 => Op::GetSet(key, self.text()),
            4 => Op::GetDel(key),
            5 => Op::Expire(key, 1 + self.random.below(200) as u64),
            _ => Op::Persist(key),
        }
    }

    /// A question about a key.
    fn about(&mut self) -> Op {
        let key = self.key();
        match self.random.below(4) {
            0 => Op::Strlen(key),
            1 => Op::Type(key),
            2 => Op::Pttl(key),
            _ => Op::Exists(vec![key]),
        }
    }

    /// Several keys at once, sometimes more than are locked together.
    fn several(&mut self) -> Op {
        let most = if self.random.once_in(3) { 1_000 } else { 20 };
        match self.random.below(5) {
            0 => Op::Mget(self.keys(most)),
            1 => Op::Exists(self.keys(most)),
            2 => Op::Del(self.keys(most)),
            _ => {
                let keys = self.keys(20);
                Op::Mset {
                    pairs: keys.into_iter().map(|key| (key, self.text())).collect(),
                    only_new: self.random.once_in(3),
                }
            }
        }
    }

    /// All keys.
    fn walk(&mut self, at: usize, text: bool) -> Op {
        let client = &mut self.connections[at].client;
        let waits = client
            .pending
            .iter()
            .any(|pending| matches!(pending.op, Op::Scan { .. }));
        if !text && !waits && self.random.once_in(2) {
            let cursor = client.scan.get_or_insert_with(Scan::new).cursor.clone();
            return Op::Scan {
                cursor,
                count: 1 + self.random.below(20),
            };
        }
        match self.random.below(4) {
            0 => Op::DbSize,
            1 => Op::Keys(format!("k{}", self.random.below(10)).into_bytes()),
            _ => Op::Keys(b"k".to_vec()),
        }
    }
}

/// The key of a number.
pub(super) fn key(n: usize) -> Bytes {
    format!("k{n}").into_bytes()
}
