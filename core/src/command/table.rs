//! The command table.

use super::{Command, Error, Flags, Group, Keys};
use super::{
    connection, generic, hash, hotkeys, info, introspect, list, memory, persistence, scan, server,
    setters, string, subcommand,
};
use crate::exec::{Args, Exec, Outcome};

const READ: Flags = Flags::READ;
const READ_FAST: Flags = Flags::READ.and(Flags::FAST);
const WRITE: Flags = Flags::WRITE;
const WRITE_FAST: Flags = Flags::WRITE.and(Flags::FAST);
const FILL: Flags = Flags::WRITE.and(Flags::DENY_OOM);
const FILL_FAST: Flags = FILL.and(Flags::FAST);
const CONNECTION: Flags = Flags::FAST;
const OPEN: Flags = Flags::FAST.and(Flags::NO_AUTH);
const ADMIN: Flags = Flags::ADMIN;
const READ_LONG: Flags = Flags::READ.and(Flags::LONG);
const WRITE_LONG: Flags = Flags::WRITE.and(Flags::LONG);
const FILL_FAST_LONG: Flags = FILL_FAST.and(Flags::LONG);
const FILL_LONG: Flags = FILL.and(Flags::LONG);
const TELL: Flags = Flags::LONG;

type Run = fn(&mut Exec<'_>, &Args<'_>) -> Outcome;
/// Name, arity, flags, keys, function, usage, summary.
type Row = (
    &'static str,
    i16,
    Flags,
    Keys,
    Run,
    &'static str,
    &'static str,
);

#[rustfmt::skip]
const ANT_CACHE: &[Row] = &[
    ("sets", -3, FILL, Keys::ONE, setters::sets, "key [-t ttl] element [element ...]", "Sets an array"),
    ("setx", -4, FILL, Keys::ONE, setters::setx, "key [-t ttl] field value [field value ...]", "Sets an object"),
    ("setsnx", -3, FILL, Keys::ONE, setters::setsnx, "key [-t ttl] element [element ...]", "Sets an array unless the key exists"),
    ("setxnx", -4, FILL, Keys::ONE, setters::setxnx, "key [-t ttl] field value [field value ...]", "Sets an object unless the key exists"),
    ("fetch", 2, READ_FAST, Keys::ONE, setters::fetch, "key", "Gets a value of any type in its own type"),
];

#[rustfmt::skip]
const STRING: &[Row] = &[
    ("set", -3, FILL, Keys::ONE, string::set, "key [-t ttl] value [NX | XX] [GET] [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]", "Sets a string"),
    ("setnx", -3, FILL_FAST, Keys::ONE, string::setnx, "key [-t ttl] value", "Sets a string unless the key exists"),
    ("setex", 4, FILL, Keys::ONE, string::setex, "key seconds value", "Sets a string and its time to live"),
    ("psetex", 4, FILL, Keys::ONE, string::psetex, "key milliseconds value", "Sets a string and its time to live in milliseconds"),
    ("get", 2, READ_FAST, Keys::ONE, string::get, "key", "Gets a string; in the text dialect, a value of any type"),
    ("getset", 3, FILL_FAST, Keys::ONE, string::getset, "key value", "Sets a string and returns the old one"),
    ("getdel", 2, WRITE_FAST, Keys::ONE, string::getdel, "key", "Gets a string and deletes it"),
    ("getex", -2, WRITE_FAST, Keys::ONE, string::getex, "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST]", "Gets a string and changes its time to live"),
    ("mget", -2, READ_FAST, Keys::ALL, string::mget, "key [key ...]", "Gets several strings"),
    ("mset", -3, FILL, Keys::PAIRS, string::mset, "key value [key value ...]", "Sets several strings at once"),
    ("msetnx", -3, FILL, Keys::PAIRS, string::msetnx, "key value [key value ...]", "Sets several strings at once unless one of the keys exists"),
    ("append", 3, FILL_FAST_LONG, Keys::ONE, string::append, "key value", "Appends to a string"),
    ("strlen", 2, READ_FAST, Keys::ONE, string::strlen, "key", "Returns the length of a string"),
    ("getrange", 4, READ_LONG, Keys::ONE, string::getrange, "key start end", "Gets a part of a string"),
    ("setrange", 4, FILL_LONG, Keys::ONE, string::setrange, "key offset value", "Overwrites a part of a string"),
    ("incr", 2, FILL_FAST, Keys::ONE, string::incr, "key", "Adds one to a number"),
    ("decr", 2, FILL_FAST, Keys::ONE, string::decr, "key", "Takes one off a number"),
    ("incrby", 3, FILL_FAST, Keys::ONE, string::incrby, "key increment", "Adds to a number"),
    ("decrby", 3, FILL_FAST, Keys::ONE, string::decrby, "key decrement", "Takes off a number"),
    ("incrbyfloat", 3, FILL_FAST, Keys::ONE, string::incrbyfloat, "key increment", "Adds to a number with a fraction"),
];

#[rustfmt::skip]
const GENERIC: &[Row] = &[
    ("exists", -2, READ_FAST, Keys::ALL, generic::exists, "key [key ...]", "Counts which of the keys exist"),
    ("type", 2, READ_FAST, Keys::ONE, generic::kind, "key", "Returns the type of a value"),
    ("del", -2, WRITE, Keys::ALL, generic::del, "key [key ...]", "Deletes keys"),
    ("unlink", -2, WRITE_FAST, Keys::ALL, generic::del, "key [key ...]", "Deletes keys"),
    ("touch", -2, READ_FAST, Keys::ALL, generic::touch, "key [key ...]", "Counts which of the keys exist, as a use of them"),
    ("rename", 3, WRITE_LONG, Keys::TWO, generic::rename, "key newkey", "Renames a key, replacing the other"),
    ("renamenx", 3, WRITE_FAST, Keys::TWO, generic::renamenx, "key newkey", "Renames a key unless the other exists"),
    ("expire", -3, WRITE_FAST, Keys::ONE, generic::expire, "key seconds [NX | XX | GT | LT]", "Sets the time to live"),
    ("pexpire", -3, WRITE_FAST, Keys::ONE, generic::pexpire, "key milliseconds [NX | XX | GT | LT]", "Sets the time to live in milliseconds"),
    ("expireat", -3, WRITE_FAST, Keys::ONE, generic::expireat, "key unix-time-seconds [NX | XX | GT | LT]", "Sets the end of life"),
    ("pexpireat", -3, WRITE_FAST, Keys::ONE, generic::pexpireat, "key unix-time-milliseconds [NX | XX | GT | LT]", "Sets the end of life in milliseconds"),
    ("expiretime", 2, READ_FAST, Keys::ONE, generic::expiretime, "key", "Returns the end of life as a Unix time"),
    ("pexpiretime", 2, READ_FAST, Keys::ONE, generic::pexpiretime, "key", "Returns the end of life as a Unix time in milliseconds"),
    ("ttl", 2, READ_FAST, Keys::ONE, generic::ttl, "key", "Returns the time to live in seconds"),
    ("pttl", 2, READ_FAST, Keys::ONE, generic::pttl, "key", "Returns the time to live in milliseconds"),
    ("persist", 2, WRITE_FAST, Keys::ONE, generic::persist, "key", "Removes the time to live"),
    ("keys", -1, READ_LONG, Keys::NONE, scan::keys, "[pattern]", "Returns all keys that match a pattern"),
    ("scan", -2, READ_LONG, Keys::NONE, scan::scan, "cursor [MATCH pattern] [COUNT count] [TYPE type]", "Walks through the keys"),
    ("randomkey", 1, READ_LONG, Keys::NONE, scan::randomkey, "", "Returns a random key"),
];

#[rustfmt::skip]
const LIST: &[Row] = &[
    ("lrange", 4, READ_LONG, Keys::ONE, list::lrange, "key start stop", "Returns a range of an array's elements"),
    ("llen", 2, READ_FAST, Keys::ONE, list::llen, "key", "Returns the number of an array's elements"),
    ("lindex", 3, READ, Keys::ONE, list::lindex, "key index", "Returns one element of an array"),
];

#[rustfmt::skip]
const HASH: &[Row] = &[
    ("hget", 3, READ_FAST, Keys::ONE, hash::hget, "key field", "Returns the value of an object's field"),
    ("hmget", -3, READ_FAST, Keys::ONE, hash::hmget, "key field [field ...]", "Returns the values of several fields"),
    ("hgetall", 2, READ_LONG, Keys::ONE, hash::hgetall, "key", "Returns all fields and values of an object"),
    ("hkeys", 2, READ_LONG, Keys::ONE, hash::hkeys, "key", "Returns all fields of an object"),
    ("hvals", 2, READ_LONG, Keys::ONE, hash::hvals, "key", "Returns all values of an object"),
    ("hlen", 2, READ_FAST, Keys::ONE, hash::hlen, "key", "Returns the number of an object's fields"),
    ("hexists", 3, READ_FAST, Keys::ONE, hash::hexists, "key field", "Tells whether an object has a field"),
];

#[rustfmt::skip]
const ON_CONNECTION: &[Row] = &[
    ("auth", -2, OPEN, Keys::NONE, connection::auth, "[username] password", "Authenticates the connection"),
    ("hello", -1, OPEN, Keys::NONE, connection::hello, "[protover [AUTH username password] [SETNAME clientname]]", "Chooses the protocol version and tells about the server"),
    ("ping", -1, CONNECTION, Keys::NONE, connection::ping, "[message]", "Returns PONG, or the message"),
    ("echo", 2, CONNECTION, Keys::NONE, connection::echo, "message", "Returns the message"),
    ("quit", -1, OPEN, Keys::NONE, connection::quit, "", "Closes the connection"),
    ("reset", 1, OPEN, Keys::NONE, connection::reset, "", "Makes the connection as it was at its start"),
    ("select", 2, CONNECTION, Keys::NONE, connection::select, "index", "Chooses a database; there is only 0"),
    ("client", -2, CONNECTION, Keys::NONE, subcommand::run, "subcommand [argument [argument ...]]", "Tells or changes what is known of the connection"),
];

#[rustfmt::skip]
const SERVER: &[Row] = &[
    ("command", -1, CONNECTION.and(Flags::LONG), Keys::NONE, introspect::command, "[subcommand [argument [argument ...]]]", "Tells about the commands"),
    ("info", -1, TELL, Keys::NONE, info::info, "[section [section ...]]", "Tells about the server"),
    ("stats", 1, TELL, Keys::NONE, info::stats, "", "Returns the counters"),
    ("help", -1, CONNECTION, Keys::NONE, server::help, "[command]", "Lists the commands"),
    ("latency", -2, ADMIN, Keys::NONE, subcommand::run, "subcommand [argument [argument ...]]", "Tells how long commands take"),
    ("monitor", 1, ADMIN, Keys::NONE, server::monitor, "", "Shows each request that is executed from now on"),
    ("slowlog", -2, ADMIN, Keys::NONE, subcommand::run, "subcommand [argument [argument ...]]", "Tells which calls were slow"),
    ("memory", -2, READ, Keys::NONE, subcommand::run, "subcommand [argument [argument ...]]", "Tells who holds how much memory"),
    ("hotkeys", -1, READ, Keys::NONE, hotkeys::hot_keys, "[COUNT count]", "Returns the keys that are asked for most"),
    ("bigkeys", -1, READ_LONG, Keys::NONE, memory::big_keys, "[COUNT count] [SAMPLES count]", "Returns the keys that take most memory, of a sample"),
    ("config", -2, ADMIN, Keys::NONE, subcommand::run, "subcommand [argument [argument ...]]", "Tells or changes settings"),
    ("dbsize", 1, READ_FAST, Keys::NONE, server::dbsize, "", "Returns the number of keys"),
    ("flushall", -1, WRITE_LONG, Keys::NONE, server::flush, "[ASYNC | SYNC]", "Deletes all keys"),
    ("flushdb", -1, WRITE_LONG, Keys::NONE, server::flush, "[ASYNC | SYNC]", "Deletes all keys"),
    ("save", 1, ADMIN, Keys::NONE, persistence::save, "", "Writes a snapshot, and answers when it is complete"),
    ("bgsave", -1, ADMIN, Keys::NONE, persistence::bgsave, "[SCHEDULE]", "Writes a snapshot in the background"),
    ("bgrewriteaof", 1, ADMIN, Keys::NONE, persistence::bgrewriteaof, "", "Lets the log begin anew, behind a snapshot"),
    ("lastsave", 1, ADMIN, Keys::NONE, persistence::lastsave, "", "Returns when the last snapshot was made"),
    ("shutdown", -1, ADMIN, Keys::NONE, persistence::shutdown, "[NOSAVE | SAVE] [NOW] [FORCE]", "Stops the server"),
    ("time", 1, CONNECTION, Keys::NONE, server::time, "", "Returns the server's time"),
];

const FAMILIES: [(Group, &[Row]); 7] = [
    (Group::AntCache, ANT_CACHE),
    (Group::String, STRING),
    (Group::Generic, GENERIC),
    (Group::List, LIST),
    (Group::Hash, HASH),
    (Group::Connection, ON_CONNECTION),
    (Group::Server, SERVER),
];

/// Commands that there are.
pub(crate) const COUNT: usize = ANT_CACHE.len()
    + STRING.len()
    + GENERIC.len()
    + LIST.len()
    + HASH.len()
    + ON_CONNECTION.len()
    + SERVER.len();

static TABLE: [Command; COUNT] = {
    const fn command(row: &Row, group: Group, number: u8) -> Command {
        let (name, arity, flags, keys, run, usage, summary) = *row;
        Command {
            name,
            number,
            arity,
            flags,
            keys,
            group,
            summary,
            usage,
            run,
        }
    }
    let mut table = [const { command(&STRING[0], Group::String, 0) }; COUNT];
    let (mut family, mut at) = (0, 0);
    while family < FAMILIES.len() {
        let (group, rows) = FAMILIES[family];
        let mut row = 0;
        while row < rows.len() {
            table[at] = command(&rows[row], group, at as u8);
            at += 1;
            row += 1;
        }
        family += 1;
    }
    table
};

/// What runs where the table has no command of that name.
static NONE: Command = Command {
    name: "",
    number: COUNT as u8,
    arity: -1,
    // MONITOR shows none either.
    flags: Flags::NO_AUTH.and(Flags::ADMIN),
    keys: Keys::NONE,
    group: Group::Server,
    summary: "",
    usage: "",
    run: |_, args| Err(Error::unknown_command(args)),
};

/// The command that every unknown name stands for: it answers that it is unknown.
pub(crate) const fn none() -> &'static Command {
    &NONE
}

/// All commands, by family.
#[must_use]
pub fn table() -> &'static [Command] {
    &TABLE
}

/// The bits of a hash that choose a slot.
const SLOT_BITS: u32 = 9;

/// An open-addressed hash table of names, built by the compiler: index into [`TABLE`] plus one, 0 where empty. Sparse
/// enough that most names are found at their first slot.
static SLOTS: [u8; 1 << SLOT_BITS] = {
    let mut slots = [0; 1 << SLOT_BITS];
    let mut index = 0;
    while index < COUNT {
        let mut slot = slot_of(NAMES[index]);
        while slots[slot] != 0 {
            slot = (slot + 1) % slots.len();
        }
        slots[slot] = index as u8 + 1;
        index += 1;
    }
    slots
};

/// The names of [`TABLE`], folded.
static NAMES: [u128; COUNT] = {
    let mut names = [0; COUNT];
    let mut index = 0;
    while index < COUNT {
        names[index] = match fold(TABLE[index].name.as_bytes()) {
            Some(name) => name,
            None => panic!("a command's name has at most 15 letters"),
        };
        index += 1;
    }
    names
};

/// A name of at most 15 bytes as a number: its length, and its bytes with the bit set that makes letters lower case.
/// Only the two cases of a letter become the same byte, and names consist of letters, so equal numbers are equal names.
#[inline]
const fn fold(name: &[u8]) -> Option<u128> {
    let len = name.len();
    let (low, high) = if let (Some(first), Some(last)) =
        (name.first_chunk::<8>(), name.last_chunk::<8>())
    {
        (u64::from_le_bytes(*first), u64::from_le_bytes(*last))
    } else if let (Some(first), Some(last)) = (name.first_chunk::<4>(), name.last_chunk::<4>()) {
        (
            u32::from_le_bytes(*first) as u64,
            u32::from_le_bytes(*last) as u64,
        )
    } else {
        match *name {
            [a] => (a as u64, 0),
            [a, b] => (a as u64, b as u64),
            [a, b, c] => (a as u64 | (b as u64) << 8, c as u64),
            _ => return None,
        }
    };
    if len > 15 {
        return None;
    }
    const LOWER: u64 = u64::from_le_bytes([0x20; 8]);
    // The last byte is free to take the length: two names of different lengths with the same bytes are not the same.
    Some(((low | LOWER) as u128 | ((high | LOWER) as u128) << 64) ^ (len as u128) << 120)
}

#[inline]
const fn slot_of(name: u128) -> usize {
    let mixed = (name as u64 ^ (name >> 64) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> (64 - SLOT_BITS)) as usize
}

/// The command of this name, in any case.
#[must_use]
#[inline]
pub fn find(name: &[u8]) -> Option<&'static Command> {
    let name = fold(name)?;
    let mut slot = slot_of(name);
    while SLOTS[slot] != 0 {
        let index = usize::from(SLOTS[slot]) - 1;
        if NAMES[index] == name {
            return Some(&TABLE[index]);
        }
        slot = (slot + 1) % SLOTS.len();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_found_in_any_case() {
        for command in table() {
            assert!(core::ptr::eq(
                find(command.name.as_bytes()).unwrap(),
                command
            ));
            assert!(core::ptr::eq(
                find(command.name.to_ascii_uppercase().as_bytes()).unwrap(),
                command
            ));
        }
        for (number, command) in table().iter().enumerate() {
            assert_eq!(usize::from(command.number), number);
        }
        assert!(find(b"").is_none());
        assert!(find(b"gett").is_none());
        assert!(find(&[b'x'; 1000]).is_none());
    }
}
