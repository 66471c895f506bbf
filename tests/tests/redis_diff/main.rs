//! Random commands through the real `redis-server` and through this cache: the bytes of the replies must be the same.
//!
//! What may differ, and nothing else:
//!
//! - The setters that only this cache has (SETS, SETX, SETSNX, SETXNX, FETCH) are what [`stand_in`] makes of Redis's
//!   own commands.
//! - KEYS and SCAN give keys in any order; SCAN is followed to its end, since cursors differ, and one that does not
//!   begin at 0 is compared only where it is an error. An object's fields have any order where Redis keeps it as a
//!   hash table: more than 128 fields, or one longer than 64 bytes.
//! - RANDOMKEY gives any key.
//! - Times to live that are counted from now may differ by the time that passes between the two.
//! - Limits, which the generator stays below or passes by far: keys of 65,535 bytes, strings of 64 MiB. The error for
//!   a string too long names the limit.
//! - INCRBYFLOAT reads no hexadecimal numbers, which C reads, and so Redis.
//! - Errors that repeat bytes of the request: what is no UTF-8 becomes the replacement character.
//!
//! `REDIS_DIFF_SEED` and `REDIS_DIFF_COMMANDS` (a number each) repeat or lengthen a run.

mod redis;
mod requests;

use std::time::{SystemTime, UNIX_EPOCH};

use ant_cache_core::Millis;
use ant_cache_core::client::{Decoder, Value, encode};
use ant_cache_core::service::Options;
use ant_cache_tests::{Peer, Random, request as encoded};

use redis::Redis;
use requests::Request;

/// How far times to live may be apart: what passes between two calls on the busiest machine.
const TOLERANCE: i64 = 60_000;

/// Commands between two times at which everything is deleted.
const FLUSH: u64 = 5_000;

/// Commands that are kept to be shown where the last one failed.
const HISTORY: usize = 1_000;

#[test]
fn resp2_replies_are_those_of_redis() {
    compare("redis-diff-2", 2);
}

#[test]
fn resp3_replies_are_those_of_redis() {
    compare("redis-diff-3", 3);
}

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|value| value.parse().expect("a number"))
}

fn compare(name: &str, version: u64) {
    let Some(mut redis) = Redis::start(name) else {
        println!("skipped: redis-server is not installed");
        return;
    };
    let seed = from_environment("REDIS_DIFF_SEED").unwrap_or(version);
    let commands = from_environment("REDIS_DIFF_COMMANDS").unwrap_or(20_000);
    let mut random = Random::new(seed);
    // Of few shards, so that keys share some.
    let options = Options {
        seed,
        shards: 4,
        ..Options::default()
    };
    let mut pair = Pair {
        cache: Peer::new(options),
        redis: &mut redis,
    };
    let hello = [b"HELLO".to_vec(), version.to_string().into_bytes()];
    pair.redis.call(&hello);
    pair.call(&hello);
    let mut history: Vec<Request> = Vec::new();
    for count in 0..commands {
        let request = match count % FLUSH {
            0 => vec![b"FLUSHALL".to_vec()],
            _ => requests::request(&mut random),
        };
        if history.len() == 2 * HISTORY {
            history.drain(..HISTORY);
        }
        history.push(request.clone());
        // Small budgets cut long commands into many turns.
        pair.cache.set_budget(*random.pick(&[1, 30, 1000]));
        let (theirs, ours) = pair.replies(&request);
        if theirs != ours {
            panic!(
                "seed {seed}, command {count}: {}\n redis: {}\n cache: {}\nbefore it:\n{}",
                show(&request),
                theirs.escape_ascii(),
                ours.escape_ascii(),
                before(&history),
            );
        }
    }
}

/// The last commands on the keys of the last one.
fn before(history: &[Request]) -> String {
    let (last, earlier) = history.split_last().expect("a command");
    let related = earlier
        .iter()
        .rev()
        .filter(|request| request.iter().skip(1).any(|word| last[1..].contains(word)));
    related
        .take(12)
        .map(|request| format!("  {}\n", show(request)))
        .collect()
}

fn show(request: &Request) -> String {
    let shown = request.iter().take(20).map(|word| {
        let cut = &word[..word.len().min(60)];
        let more = if cut.len() < word.len() { "…" } else { "" };
        format!("\"{}\"{more}", cut.escape_ascii())
    });
    let more = if request.len() > 20 { " …" } else { "" };
    shown.collect::<Vec<_>>().join(" ") + more
}

/// Both servers.
struct Pair<'a> {
    redis: &'a mut Redis,
    cache: Peer,
}

impl Pair<'_> {
    /// Redis's reply and the cache's, made comparable where they may differ.
    fn replies(&mut self, request: &Request) -> (Vec<u8>, Vec<u8>) {
        let name = request[0].to_ascii_lowercase();
        match &name[..] {
            b"sets" | b"setx" | b"setsnx" | b"setxnx" => {
                (stand_in(self.redis, &name, request), self.call(request))
            }
            b"fetch" => {
                let (theirs, ours) = (stand_in(self.redis, &name, request), self.call(request));
                self.fields(request, theirs, ours, 2)
            }
            b"scan" => self.scans(request),
            _ => {
                let (theirs, ours) = (self.redis.call(request), self.call(request));
                match &name[..] {
                    b"keys" => (sorted(&theirs, 1), sorted(&ours, 1)),
                    b"hkeys" | b"hvals" => self.fields(request, theirs, ours, 1),
                    b"hgetall" => self.fields(request, theirs, ours, 2),
                    b"ttl" | b"expiretime" => close(theirs, ours, TOLERANCE / 1000),
                    b"pttl" | b"pexpiretime" => close(theirs, ours, TOLERANCE),
                    b"randomkey" => self.random_keys(theirs, ours),
                    _ if theirs.starts_with(b"-") => (lossy(&theirs), lossy(&ours)),
                    _ => (theirs, ours),
                }
            }
        }
    }

    /// The cache's reply, at the time of the wall clock, which is also Redis's.
    fn call(&mut self, request: &[Vec<u8>]) -> Vec<u8> {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("a clock behind 1970");
        self.cache.set_now(Millis(since.as_millis() as u64));
        self.cache.send(&encoded(request))
    }

    /// Parts of an object, whose order is any where Redis keeps it as a hash table.
    fn fields(
        &mut self,
        request: &Request,
        theirs: Vec<u8>,
        ours: Vec<u8>,
        each: usize,
    ) -> (Vec<u8>, Vec<u8>) {
        let encoding = request
            .get(1)
            .map(|key| [b"OBJECT".to_vec(), b"ENCODING".to_vec(), key.clone()]);
        match encoding.map(|request| self.redis.call(&request)) {
            Some(encoding) if encoding.ends_with(b"hashtable\r\n") => {
                (sorted(&theirs, each), sorted(&ours, each))
            }
            _ => (theirs, ours),
        }
    }

    /// Whatever keys were drawn, the other side must have them.
    fn random_keys(&mut self, theirs: Vec<u8>, ours: Vec<u8>) -> (Vec<u8>, Vec<u8>) {
        let (Value::Bulk(their_key), Value::Bulk(our_key)) = (decode(&theirs), decode(&ours))
        else {
            return (theirs, ours);
        };
        let exists = |key| vec![b"EXISTS".to_vec(), key];
        (
            self.redis.call(&exists(our_key)),
            self.call(&exists(their_key)),
        )
    }

    /// The keys of whole scans.
    fn scans(&mut self, request: &Request) -> (Vec<u8>, Vec<u8>) {
        let theirs = scan(request, |request| self.redis.call(request));
        (theirs, scan(request, |request| self.call(request)))
    }
}

/// Follows a SCAN to its end; the reply is then the array of its keys, or the first error.
fn scan(request: &Request, mut call: impl FnMut(&Request) -> Vec<u8>) -> Vec<u8> {
    let mut request = request.clone();
    let anywhere = request
        .get(1)
        .is_some_and(|cursor| cursor.iter().any(|byte| (b'1'..=b'9').contains(byte)));
    let mut found = Vec::new();
    loop {
        let reply = call(&request);
        let Value::Array(parts) = decode(&reply) else {
            return reply;
        };
        let [Value::Bulk(cursor), Value::Array(keys)] = &parts[..] else {
            return reply;
        };
        if anywhere {
            return Vec::new();
        }
        found.extend(keys.iter().filter_map(Value::as_bytes).map(<[u8]>::to_vec));
        if cursor == b"0" {
            break;
        }
        request[1].clone_from(cursor);
    }
    found.sort();
    found.dedup();
    let mut reply = Vec::new();
    encode(&found, &mut reply);
    reply
}

/// What Redis answers to the commands that do there what `request` does here.
fn stand_in(redis: &mut Redis, name: &[u8], request: &Request) -> Vec<u8> {
    let arity =
        |least: usize| (request.len() < least).then(|| error("wrong number of arguments", name));
    let word = |word: &str| word.as_bytes().to_vec();
    if name == b"fetch" {
        if request.len() != 2 {
            return error("wrong number of arguments", name);
        }
        let key = &request[1];
        let kind = redis.call(&[word("TYPE"), key.clone()]);
        return match &kind[..] {
            b"+list\r\n" => redis.call(&[word("LRANGE"), key.clone(), word("0"), word("-1")]),
            b"+hash\r\n" => redis.call(&[word("HGETALL"), key.clone()]),
            _ => redis.call(&[word("GET"), key.clone()]),
        };
    }
    let object = name.starts_with(b"setx");
    if let Some(error) = arity(if object { 4 } else { 3 }) {
        return error;
    }
    let key = &request[1];
    let mut words = &request[2..];
    let mut ttl = None;
    if words[0] == b"-t" && words.len() > 1 {
        match millis(&words[1]) {
            Some(millis) => ttl = Some(millis),
            None => {
                let shown = String::from_utf8_lossy(&words[1]).replace(['\r', '\n'], " ");
                return format!("-ERR invalid ttl value: invalid TTL format: {shown}\r\n")
                    .into_bytes();
            }
        }
        words = &words[2..];
        if words.len() < if object { 2 } else { 1 } {
            return error("wrong number of arguments", name);
        }
    }
    if object && !words.len().is_multiple_of(2) {
        let name = String::from_utf8_lossy(name).to_uppercase();
        return format!("-ERR {name} requires even number of arguments for key-value pairs\r\n")
            .into_bytes();
    }
    let only_new = name.ends_with(b"nx");
    if only_new && redis.call(&[word("EXISTS"), key.clone()]) == b":1\r\n" {
        return b":0\r\n".to_vec();
    }
    redis.call(&[word("DEL"), key.clone()]);
    let mut fill = vec![word(if object { "HSET" } else { "RPUSH" }), key.clone()];
    fill.extend_from_slice(words);
    redis.call(&fill);
    if let Some(ttl) = ttl {
        redis.call(&[word("PEXPIRE"), key.clone(), ttl.to_string().into_bytes()]);
    }
    if only_new {
        b":1\r\n".to_vec()
    } else {
        b"+OK\r\n".to_vec()
    }
}

fn error(what: &str, name: &[u8]) -> Vec<u8> {
    format!(
        "-ERR {what} for '{}' command\r\n",
        String::from_utf8_lossy(name)
    )
    .into_bytes()
}

/// The milliseconds of a time to live; the oracle for what the generator writes.
fn millis(word: &[u8]) -> Option<u64> {
    let word = std::str::from_utf8(word).ok()?.to_lowercase();
    let units = [
        ("ms", 1),
        ("s", 1_000),
        ("m", 60_000),
        ("h", 3_600_000),
        ("d", 86_400_000),
        ("y", 31_536_000_000),
        ("", 1_000),
    ];
    let (digits, unit) = units
        .iter()
        .find_map(|(unit, millis)| Some((word.strip_suffix(unit)?, millis)))?;
    if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    digits
        .parse::<u64>()
        .ok()?
        .checked_mul(*unit)
        .filter(|&millis| millis > 0 && millis < 1 << 60)
}

/// An error as far as it must be the same.
fn lossy(error: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(error).into_owned();
    let limit = "-ERR string exceeds maximum allowed size";
    if text.starts_with(limit) {
        limit.into()
    } else {
        text.into_bytes()
    }
}

fn decode(reply: &[u8]) -> Value {
    Decoder::default()
        .decode(&mut &reply[..])
        .expect("a reply")
        .expect("a whole reply")
}

/// The strings of an array or a map.
fn strings(reply: &[u8]) -> Vec<Vec<u8>> {
    let flat = match decode(reply) {
        Value::Array(items) => items,
        Value::Map(pairs) => pairs
            .into_iter()
            .flat_map(|(field, value)| [field, value])
            .collect(),
        _ => return Vec::new(),
    };
    flat.iter()
        .filter_map(Value::as_bytes)
        .map(<[u8]>::to_vec)
        .collect()
}

/// The header of an aggregate, and its items of `each` strings in order of their bytes.
fn sorted(reply: &[u8], each: usize) -> Vec<u8> {
    let strings = strings(reply);
    if strings.is_empty() {
        return reply.to_vec();
    }
    let mut items: Vec<_> = strings.chunks(each).collect();
    items.sort();
    let header = reply
        .split_inclusive(|&byte| byte == b'\n')
        .next()
        .unwrap_or_default();
    let mut sorted = header.to_vec();
    encode(&items.concat(), &mut sorted);
    sorted
}

/// Numbers that are close enough become the same.
fn close(theirs: Vec<u8>, ours: Vec<u8>, tolerance: i64) -> (Vec<u8>, Vec<u8>) {
    match (decode(&theirs), decode(&ours)) {
        (Value::Integer(a), Value::Integer(b)) if a > 0 && b > 0 && (a - b).abs() <= tolerance => {
            (theirs.clone(), theirs)
        }
        _ => (theirs, ours),
    }
}
