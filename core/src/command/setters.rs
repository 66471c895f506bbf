//! What Ant-Cache adds to Redis's commands: arrays and objects set as a whole, and read in their own type.

use alloc::vec::Vec;

use super::{Error, elements, options};
use crate::Millis;
use crate::exec::{Args, Exec, Outcome, Step};
use crate::store::packed::{pack_array, pack_object};
use crate::store::{Effect, Kind, NewData};

/// A value that was packed from the words of a request, before any lock.
struct Packed {
    kind: Kind,
    bytes: Vec<u8>,
    expires: Option<Millis>,
}

impl Packed {
    fn array(exec: &mut Exec<'_>, args: &Args<'_>) -> Result<Self, Error> {
        let (expires, at) = options::ttl(exec, args, 1)?;
        let bytes = pack_array(args.from(at));
        Ok(Self {
            kind: Kind::Array,
            bytes,
            expires,
        }
        .paid(exec, args))
    }

    fn object(exec: &mut Exec<'_>, args: &Args<'_>) -> Result<Self, Error> {
        let (expires, at) = options::ttl(exec, args, 2)?;
        let words = args.len() - at;
        if !words.is_multiple_of(2) {
            return Err(Error::Made(alloc::format!(
                "ERR {} requires even number of arguments for key-value pairs",
                exec.command.name.to_ascii_uppercase()
            )));
        }
        let pairs = args.from(at).step_by(2).zip(args.from(at + 1).step_by(2));
        let bytes = pack_object(pairs);
        Ok(Self {
            kind: Kind::Object,
            bytes,
            expires,
        }
        .paid(exec, args))
    }

    /// Takes the work of packing off the budget.
    fn paid(self, exec: &mut Exec<'_>, args: &Args<'_>) -> Self {
        exec.budget.spend(args.len() / 4 + self.bytes.len() / 1024);
        self
    }

    fn set(mut self, exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
        let key = exec.key(args);
        let Self { kind, expires, .. } = self;
        let data = NewData::take(&mut self.bytes);
        exec.commit(
            exec.shard(&key),
            &key,
            Effect::Set {
                kind,
                data,
                expires,
            },
        );
        exec.reply().ok();
        Ok(Step::Done)
    }

    fn set_if_absent(mut self, exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
        let data = NewData::take(&mut self.bytes);
        set_if_absent(exec, args, self.kind, data, self.expires)
    }
}

/// Sets the first key unless it exists, and says whether it did.
pub(super) fn set_if_absent(
    exec: &mut Exec<'_>,
    args: &Args<'_>,
    kind: Kind,
    data: NewData<'_>,
    expires: Option<Millis>,
) -> Outcome {
    let key = exec.key(args);
    let shard = exec.shard(&key);
    let absent = shard.peek(&key, exec.now).is_none();
    if absent {
        exec.commit(
            shard,
            &key,
            Effect::Set {
                kind,
                data,
                expires,
            },
        );
    }
    match (exec.is_text(), absent) {
        (true, true) => exec.reply().ok(),
        (true, false) => exec.reply().status("NOT_SET"),
        (false, set) => exec.reply().bool(set),
    }
    Ok(Step::Done)
}

pub(super) fn sets(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    Packed::array(exec, args)?.set(exec, args)
}

pub(super) fn setx(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    Packed::object(exec, args)?.set(exec, args)
}

pub(super) fn setsnx(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    Packed::array(exec, args)?.set_if_absent(exec, args)
}

pub(super) fn setxnx(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    Packed::object(exec, args)?.set_if_absent(exec, args)
}

pub(super) fn fetch(exec: &mut Exec<'_>, args: &Args<'_>) -> Outcome {
    let key = exec.key(args);
    let mut shard = exec.shard(&key);
    let item = shard.get(&key, exec.now);
    exec.count_read(item.is_some());
    match item {
        Some(item) => Ok(elements::send_value(exec, &item)),
        None => {
            exec.reply().null();
            Ok(Step::Done)
        }
    }
}
