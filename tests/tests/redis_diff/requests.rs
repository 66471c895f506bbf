//! Random requests: every command, with arguments that are mostly right.

use ant_cache_tests::Random;

pub(crate) type Request = Vec<Vec<u8>>;

/// A command and its arguments. Capital letters stand for random ones:
///
/// K key, V value, F field, I integer, D number with a fraction, P pattern, C condition of EXPIRE,
/// S seconds from now, M milliseconds from now, T Unix time in seconds, U the same in milliseconds.
///
/// `word*` is repeated a few times, `word?` is there or not, `a|b` is one of both, `+` joins words to one unit.
const COMMANDS: &[&str] = &[
    "set K V",
    "set K V",
    "set K V",
    "set K V set-option*",
    "setnx K V",
    "setex K S V",
    "psetex K M V",
    "get K",
    "get K",
    "getset K V",
    "getdel K",
    "getex K getex-option?",
    "mget K K*",
    "mset K V K+V*",
    "msetnx K V K+V*",
    "append K V",
    "strlen K",
    "getrange K I I",
    "setrange K O V",
    "incr K",
    "decr K",
    "incrby K I",
    "decrby K I",
    "incrbyfloat K D",
    "exists K K*",
    "type K",
    "del K K*",
    "unlink K K*",
    "touch K K*",
    "rename K K",
    "renamenx K K",
    "expire K S C*",
    "pexpire K M C*",
    "expireat K T C*",
    "pexpireat K U C*",
    "expiretime K",
    "pexpiretime K",
    "ttl K",
    "pttl K",
    "persist K",
    "keys P",
    "scan N scan-option*",
    "randomkey",
    "lrange K I I",
    "llen K",
    "lindex K I",
    "hget K F",
    "hmget K F F*",
    "hgetall K",
    "hkeys K",
    "hvals K",
    "hlen K",
    "hexists K F",
    "sets K V V*",
    "sets K V V*",
    "sets K -t+TTL V V*",
    "setx K F V F+V*",
    "setx K F V F+V*",
    "setx K -t+TTL F V F+V*",
    "setsnx K V V*",
    "setxnx K F V F+V*",
    "fetch K",
    "ping V?",
    "echo V",
    "nonsense V V*",
];

/// A random request.
pub(crate) fn request(random: &mut Random) -> Request {
    let command = random.pick(COMMANDS);
    let mut words = command.split(' ');
    let mut name = words.next().expect("a name").as_bytes().to_vec();
    if random.once_in(2) {
        name.make_ascii_uppercase();
    }
    let mut request = vec![name];
    for word in words {
        let (units, times) = match word.strip_suffix('*') {
            Some(unit) => (unit, [0, 1, 1, 2, 3, 40][random.below(6)]),
            None => match word.strip_suffix('?') {
                Some(unit) => (unit, random.below(2)),
                None => (word, 1),
            },
        };
        for _ in 0..times {
            unit(random, units, &mut request);
        }
    }
    if random.once_in(25) {
        damage(random, &mut request);
    }
    request
}

/// Makes it wrong: a word too few, too many, or of another kind.
fn damage(random: &mut Random, request: &mut Request) {
    match random.below(3) {
        0 if request.len() > 1 => {
            request.pop();
        }
        1 => unit(random, "V", request),
        _ => {
            if request.len() > 1 {
                let at = 1 + random.below(request.len() - 1);
                request[at] = value(random);
            }
        }
    }
}

fn unit(random: &mut Random, words: &str, request: &mut Request) {
    for word in words.split('+') {
        let bytes = match word {
            "K" => key(random),
            "V" => value(random),
            "F" => field(random),
            "I" => integer(random),
            "O" => offset(random),
            "D" => number(random),
            "P" => pattern(random),
            "N" => random
                .pick(&["0", "0", "0", "", "+0", "-0", "x", " 0", "0x"])
                .as_bytes()
                .to_vec(),
            "C" => random
                .pick(&["NX", "XX", "gt", "LT", "GT", "lt", "", "EX"])
                .as_bytes()
                .to_vec(),
            "S" | "M" | "T" | "U" => time(random, word),
            "TTL" => random
                .pick(&["100", "1000s", "20m", "3H", "7d", "1y", "200000ms"])
                .as_bytes()
                .to_vec(),
            "set-option" => {
                return option(
                    random,
                    request,
                    &["NX", "XX", "GET", "get", "KEEPTTL", "PERSIST"],
                );
            }
            "getex-option" => return option(random, request, &["PERSIST", "persist", "KEEPTTL"]),
            "scan-option" => return scan_option(random, request),
            literal => literal.as_bytes().to_vec(),
        };
        request.push(bytes);
    }
}

fn option(random: &mut Random, request: &mut Request, words: &[&str]) {
    let timed = [("EX", "S"), ("px", "M"), ("EXAT", "T"), ("PXAT", "U")];
    if random.once_in(2) {
        let (word, unit) = random.pick(&timed);
        request.push(word.as_bytes().to_vec());
        request.push(time(random, unit));
    } else {
        request.push(random.pick(words).as_bytes().to_vec());
    }
}

fn scan_option(random: &mut Random, request: &mut Request) {
    let (word, argument) = match random.below(4) {
        0 => ("match", pattern(random)),
        1 => (
            "COUNT",
            random
                .pick(&["1", "10", "1000", "0", "-1", "x"])
                .as_bytes()
                .to_vec(),
        ),
        2 => (
            "TYPE",
            random
                .pick(&["string", "LIST", "hash", "set", "nonsense"])
                .as_bytes()
                .to_vec(),
        ),
        _ => ("MATCH", b"*".to_vec()),
    };
    request.push(word.as_bytes().to_vec());
    if !random.once_in(30) {
        request.push(argument);
    }
}

fn key(random: &mut Random) -> Vec<u8> {
    let keys: [&[u8]; 14] = [
        b"",
        b"a",
        b"b",
        b"key:1",
        b"key:2",
        b"key:3",
        b"key:10",
        b"[x]",
        b"user:ann",
        b"user:bob",
        b"\0\r\n\xff",
        b"a*b",
        b"number",
        &[b'k'; 300],
    ];
    random.pick(&keys).to_vec()
}

fn field(random: &mut Random) -> Vec<u8> {
    let fields: [&[u8]; 9] = [
        b"",
        b"f",
        b"g",
        b"h",
        b"name",
        b"name2",
        b"\xfe\n",
        b"10",
        &[b'f'; 100],
    ];
    if random.once_in(3) {
        format!("f{}", random.below(300)).into_bytes()
    } else {
        random.pick(&fields).to_vec()
    }
}

fn value(random: &mut Random) -> Vec<u8> {
    match random.below(12) {
        0..4 => integer(random),
        4..6 => number(random),
        6 => Vec::new(),
        7 => vec![b'x'; random.below(300)],
        8 => vec![b'y'; 900 + random.below(400)],
        9 => (0..random.below(40))
            .map(|_| random.below(256) as u8)
            .collect(),
        10 => vec![b'z'; random.below(60_000)],
        _ => b"hello".to_vec(),
    }
}

fn integer(random: &mut Random) -> Vec<u8> {
    let odd = [
        "9223372036854775807",
        "-9223372036854775808",
        "9223372036854775808",
        "-9223372036854775809",
        "007",
        "-0",
        "+1",
        " 1",
        "1 ",
        "",
        "one",
        "1.0",
        "99999999999999999999",
    ];
    match random.below(20) {
        0 => random.pick(&odd).as_bytes().to_vec(),
        1..10 => (random.below(20) as i64 - 10).to_string().into_bytes(),
        _ => (random.below(2000) as i64 - 1000).to_string().into_bytes(),
    }
}

/// An offset for SETRANGE: those that make a string of megabytes are left out.
fn offset(random: &mut Random) -> Vec<u8> {
    let odd = ["-1", "x", "", "9223372036854775807"];
    if random.once_in(10) {
        random.pick(&odd).as_bytes().to_vec()
    } else {
        random.below(3000).to_string().into_bytes()
    }
}

fn number(random: &mut Random) -> Vec<u8> {
    let odd = [
        "inf",
        "-inf",
        "nan",
        "1e400",
        "1e4000",
        "-1.5e-3",
        ".5",
        "5.",
        "1e",
        "--1",
        "0.1",
        "-0.0",
        "3.0e3",
        "100000000000000000000",
        "1e-20",
        " 1.5",
        "1.5 ",
        "1e5000",
        "123456789.123456789",
    ];
    match random.below(4) {
        0 => random.pick(&odd).as_bytes().to_vec(),
        1 => format!("{}.{}", random.below(1000), random.below(100_000)).into_bytes(),
        2 => format!("-{}.{:03}", random.below(100), random.below(1000)).into_bytes(),
        _ => format!("{}e{}", random.below(100), random.below(20)).into_bytes(),
    }
}

fn pattern(random: &mut Random) -> Vec<u8> {
    let patterns = [
        "*",
        "*",
        "",
        "?",
        "a",
        "key:*",
        "key:?",
        "key:[1-2]",
        "key:[^1]*",
        "[[]x]",
        "\\[x\\]",
        "*b",
        "a\\*b",
        "a*b",
        "*:*",
        "user:[a-b]*",
        "user:[b-a]*",
        "[",
        "[^",
        "key:[12",
        "**",
        "*****1",
        "k*k",
        "\\",
        "x\\",
        "??",
        "*\\",
        "number",
        "nothing",
        "[a-",
        "[]a]",
        "[\\]a]",
    ];
    random.pick(&patterns).as_bytes().to_vec()
}

/// A time that is long past or far ahead, so that no test depends on the moment at which it runs. Those from now on
/// are seldom the same twice: whether one of them is later than another must not depend on a millisecond.
fn time(random: &mut Random, unit: &str) -> Vec<u8> {
    let odd = [
        "0",
        "-1",
        "-1000000",
        "x",
        "",
        "1.5",
        "9223372036854775807",
        "-9223372036854775808",
        "9223372036854775",
    ];
    if random.once_in(8) {
        return random.pick(&odd).as_bytes().to_vec();
    }
    let far = 1_000 + random.below(1 << 30);
    let absolute = *random.pick(&[
        1,
        1_000_000_000,
        4_000_000_000,
        4_000_000_001,
        5_000_000_000,
    ]);
    let number = match unit {
        "S" => far,
        "M" => 100_000 + (far << 10) + random.below(1 << 10),
        "T" => absolute,
        _ => absolute * 1000 + random.below(2),
    };
    number.to_string().into_bytes()
}
