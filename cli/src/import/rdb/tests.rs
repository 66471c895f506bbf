use std::io::ErrorKind as IoErrorKind;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use ant_cache_runtime_std::client::{Address, Client, ClientOptions};

use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits {
    key: 100,
    value: 1 << 20,
    elements: 10_000,
};

/// Reads a whole file.
fn read(bytes: &[u8], limits: Limits) -> Result<(Vec<Record>, End), RdbError> {
    let mut reader = Reader::new(bytes, limits)?;
    let mut records = Vec::new();
    while let Some(record) = reader.next()? {
        records.push(record);
    }
    assert_eq!(reader.next().unwrap(), None, "the end stays the end");
    Ok((records, reader.end().expect("it was reached")))
}

/// The checksum of these bytes, as the reader has it at their end.
fn checksum(bytes: &[u8]) -> u64 {
    let mut source = Source::new(bytes);
    source.discard(bytes.len() as u64).unwrap();
    source.crc()
}

/// A file of this version with this body, and its checksum.
fn file(version: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("REDIS{version:04}").into_bytes();
    bytes.extend_from_slice(body);
    bytes.push(opcode::END);
    let crc = checksum(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes
}

/// The one value of a file with this type and body, of key `k`.
fn value(kind: u8, body: &[u8]) -> Value {
    let record = [&[kind], &b"\x01k"[..], body].concat();
    // What is passed over must be passed over exactly: a second record follows.
    let second = b"\x00\x01l\x01v";
    let (mut records, _) = read(&file(12, &[&record[..], second].concat()), LIMITS).unwrap();
    assert_eq!(records.len(), 2);
    assert_eq!(records.pop().unwrap().value, Value::String(b"v".to_vec()));
    records.pop().unwrap().value
}

fn words(words: &[&str]) -> Vec<Vec<u8>> {
    words.iter().map(|word| (*word).into()).collect()
}

/// A string with its length in front.
fn string(bytes: &[u8]) -> Vec<u8> {
    let len = u8::try_from(bytes.len()).unwrap();
    assert!(len < 64);
    [&[len], bytes].concat()
}

const ZIPLIST: &[u8] = b"\x14\0\0\0\x0e\0\0\0\x02\0\0\x01a\x03\xc0\x2c\x01\xff";
const LISTPACK: &[u8] = b"\x0d\0\0\0\x02\0\x81a\x02\xc1\x2c\x02\xff";

#[test]
fn strings_lists_and_hashes_in_every_encoding() {
    let list = Value::List(words(&["a", "300"]));
    let hash = Value::Hash(words(&["a", "300"]));
    assert_eq!(value(0, b"\xc1\x2c\x01"), Value::String(b"300".to_vec()));
    assert_eq!(value(1, b"\x02\x01a\xc1\x2c\x01"), list);
    assert_eq!(value(4, b"\x01\x01a\x03300"), hash);
    assert_eq!(value(9, &string(b"\x01\x01a\x03\x00300\xff")), hash);
    let mut ziplist = ZIPLIST.to_vec();
    ziplist[0] = ziplist.len() as u8;
    assert_eq!(value(10, &string(&ziplist)), list);
    assert_eq!(value(13, &string(&ziplist)), hash);
    let nodes = [b"\x02".to_vec(), string(&ziplist), string(&ziplist)].concat();
    assert_eq!(
        value(14, &nodes),
        Value::List(words(&["a", "300", "a", "300"]))
    );
    let mut listpack = LISTPACK.to_vec();
    listpack[0] = listpack.len() as u8;
    assert_eq!(value(16, &string(&listpack)), hash);
    let nodes = [
        &b"\x02\x01"[..],
        &string(b"plain"),
        b"\x02",
        &string(&listpack),
    ]
    .concat();
    assert_eq!(
        value(18, &nodes),
        Value::List(words(&["plain", "a", "300"]))
    );
}

#[test]
fn other_types_are_passed_over_to_the_byte() {
    let id = [7; 16];
    let time = [9; 8];
    let group = |version: u8| {
        let consumer = [
            &b"\x01c"[..],
            &time,
            if version >= 3 { &time } else { &[] },
            b"\x01",
            &id,
        ]
        .concat();
        let read = if version >= 2 { &b"\x05"[..] } else { &[] };
        [
            &b"\x01\x01g\x01\x02"[..],
            read,
            b"\x01",
            &id,
            &time,
            b"\x03",
            b"\x01",
            &consumer,
        ]
        .concat()
    };
    let stream = |version: u8| {
        let ids = if version >= 2 {
            &b"\x01\x02\x03\x04\x05"[..]
        } else {
            &[]
        };
        [
            &b"\x01"[..],
            &string(&id),
            &string(b"listpack"),
            b"\x02\x01\x02",
            ids,
            &group(version),
        ]
        .concat()
    };
    let module = b"\x81ABCDEFGH\x01\x05\x02\x06\x031234\x0412345678\x05\x03str\x00";
    let fields = b"\x02\x00\x01f\x01v\x44\x00\x01g\xc0\x07";
    for (kind, body, skipped) in [
        (2, b"\x02\x01a\xc0\x01".to_vec(), Skipped::Set),
        (11, string(b"intset"), Skipped::Set),
        (20, string(b"listpack"), Skipped::Set),
        (
            3,
            b"\x03\x01a\x031.5\x01b\xfe\x01c\xfd".to_vec(),
            Skipped::SortedSet,
        ),
        (5, [&b"\x01\x01a"[..], &[1; 8]].concat(), Skipped::SortedSet),
        (12, string(b"ziplist"), Skipped::SortedSet),
        (17, string(b"listpack"), Skipped::SortedSet),
        (15, stream(1), Skipped::Stream),
        (19, stream(2), Skipped::Stream),
        (21, stream(3), Skipped::Stream),
        (7, module.to_vec(), Skipped::Module),
        (22, fields.to_vec(), Skipped::ExpiringFields),
        (23, string(b"listpack"), Skipped::ExpiringFields),
        (24, [&time[..], fields].concat(), Skipped::ExpiringFields),
        (
            25,
            [&time[..], &string(b"listpack")].concat(),
            Skipped::ExpiringFields,
        ),
        (1, b"\x00".to_vec(), Skipped::Empty),
    ] {
        assert_eq!(value(kind, &body), Value::Skipped(skipped), "type {kind}");
    }
}

#[test]
fn what_stands_between_the_values() {
    let body = b"\xfa\x09redis-ver\x067.0.15\xfa\x04bits\xc0\x40\
        \xf7\x81ABCDEFGH\x02\x01\x00\
        \xf5\x0alua source\
        \xfe\x03\xfb\x02\x01\
        \xf4\x01\x02\x03\
        \xfd\x10\x27\x00\x00\xf8\x05\xf9\x07\x00\x01a\x01x\
        \xfc\xff\xff\xff\xff\xff\xff\xff\xff\x00\x01b\x01y\
        \x00\x01c\x01z";
    let bytes = file(11, body);
    let mut reader = Reader::new(&bytes[..], LIMITS).unwrap();
    for (key, expires) in [("a", Some(10_000_000)), ("b", Some(-1)), ("c", None)] {
        let record = reader.next().unwrap().unwrap();
        assert_eq!((record.database, record.expires), (3, expires));
        assert_eq!(record.key, key.as_bytes());
    }
    assert_eq!(reader.writer(), Some("7.0.15"));
    assert_eq!(reader.next().unwrap(), None);
    assert_eq!((reader.version(), reader.functions()), (11, 1));
    assert_eq!(reader.offset(), bytes.len() as u64);
}

#[test]
fn the_end_of_a_file() {
    let bytes = file(9, b"");
    assert_eq!(
        read(&bytes, LIMITS).unwrap().1,
        End {
            checksum: true,
            more: false
        }
    );
    let more = [&bytes[..], b"*1\r\n"].concat();
    assert_eq!(
        read(&more, LIMITS).unwrap().1,
        End {
            checksum: true,
            more: true
        }
    );
    // Redis can be told not to compute it.
    let without = b"REDIS0009\xff\0\0\0\0\0\0\0\0";
    assert_eq!(
        read(without, LIMITS).unwrap().1,
        End {
            checksum: false,
            more: false
        }
    );
}

#[test]
fn what_is_no_file_or_a_damaged_one_is_named() {
    let error = |bytes: &[u8]| read(bytes, LIMITS).unwrap_err().to_string();
    assert_eq!(error(b""), "byte 0: this is no RDB file");
    assert_eq!(
        error(b"*2\r\n$6\r\nSELECT\r\n"),
        "byte 0: this is no RDB file"
    );
    assert_eq!(
        error(&file(8, b"")),
        "byte 0: RDB version 8 is not supported; 9 to 12 are"
    );
    assert_eq!(
        error(&file(80, b"")),
        "byte 0: RDB version 80 is not supported; 9 to 12 are"
    );
    assert_eq!(
        error(&file(9, b"\x08\x01k")),
        "byte 12: there is no type or opcode 8"
    );
    assert_eq!(
        error(&file(9, b"\xf6")),
        "byte 10: functions of an unreleased version of Redis"
    );
    assert_eq!(
        error(b"REDIS0009\x00\x01a\x05abc"),
        "byte 16: the file ends in the middle"
    );
    let mut wrong = file(9, b"\x00\x01a\x01b");
    wrong[13] ^= 3;
    assert!(
        error(&wrong).starts_with("byte 23: the checksum is wrong: "),
        "{}",
        error(&wrong)
    );
    let ziplist = error(&file(
        9,
        &[b"\x0a\x01k".to_vec(), string(b"\x14\0\0\0")].concat(),
    ));
    assert_eq!(
        ziplist,
        "byte 12: damaged: a ziplist's length is not its own"
    );
    let huge = b"\x04\x01k\x81\xff\xff\xff\xff\xff\xff\xff\xff";
    assert!(
        error(&file(9, huge)).ends_with("more members than there can be"),
        "{}",
        error(&file(9, huge))
    );
}

#[test]
fn what_is_beyond_the_limits_is_passed_over() {
    let limits = Limits {
        key: 2,
        value: 64,
        elements: 3,
    };
    let long = [b"\x40\x50".to_vec(), vec![b'x'; 80]].concat();
    let body = [
        &b"\x00\x03key\x01v"[..],
        b"\x00\x01a",
        &long,
        b"\x01\x01b\x04\x01w\x01x\x01y\x01z",
        b"\x01\x01c\x02\x01w",
        &long,
        b"\x01\x01d\x03\x01w\x01x\x01y",
        b"\x12\x01e\x02\x01",
        &long,
        b"\x01\x01x",
        b"\x0a\x01f",
        &long,
        &[0; 0],
    ]
    .concat();
    // The last one is a ziplist that is no ziplist, and within twice the limit: damaged.
    assert!(read(&file(9, &body), limits).is_err());
    let body = &body[..body.len() - long.len() - 3];
    let (records, _) = read(&file(9, body), limits).unwrap();
    let skipped = |record: &Record| match &record.value {
        Value::Skipped(skipped) => Some(*skipped),
        _ => None,
    };
    let found: Vec<_> = records.iter().map(skipped).collect();
    let large = Some(Skipped::Large);
    assert_eq!(
        found,
        [Some(Skipped::LongKey), large, large, large, None, large]
    );
}

/// A redis-server on a Unix socket in a directory of its own.
struct Redis {
    process: Child,
    directory: std::path::PathBuf,
    client: Client,
}

impl Redis {
    /// Nothing where it is not installed.
    fn start(name: &str) -> Option<Self> {
        let directory = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let socket = directory.join("socket");
        let process = Command::new("redis-server")
            .args([
                "--port",
                "0",
                "--save",
                "",
                "--enable-debug-command",
                "yes",
                "--unixsocket",
            ])
            .arg(&socket)
            .current_dir(&directory)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let mut process = match process {
            Err(error) if error.kind() == IoErrorKind::NotFound => return None,
            process => process.unwrap(),
        };
        let client = loop {
            match Client::connect(Address::Unix(socket.clone()), ClientOptions::default()) {
                Ok(client) => break client,
                Err(_) => assert!(process.try_wait().unwrap().is_none(), "it ended"),
            }
            thread::sleep(Duration::from_millis(5));
        };
        Some(Self {
            process,
            directory,
            client,
        })
    }

    fn run(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        self.client.command(&words).unwrap();
    }

    /// The file that it writes now.
    fn save(&mut self) -> Vec<u8> {
        self.run("SAVE");
        std::fs::read(self.directory.join("dump.rdb")).unwrap()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// A file that redis-server wrote, with what each type is kept as when it is small and when it is not.
fn written_by_redis(name: &str) -> Option<Vec<u8>> {
    let mut redis = Redis::start(name)?;
    let long = "compressible ".repeat(20).replace(' ', "_");
    redis.run("DEBUG QUICKLIST-PACKED-THRESHOLD 100b");
    redis.run("CONFIG SET hash-max-listpack-entries 4");
    for line in [
        "SET string value",
        &format!("SET compressed {long}"),
        "MSET byte -7 short 300 int -70000 long 123456789012",
        "PSETEX expiring 100000000 value",
        "RPUSH list a 1 -300 70000 5000000000 b",
        &format!("RPUSH plain small {long} 17"),
        "HSET hash name ant legs 6",
        "HSET large a 1 b 2 c 3 d 4 e 5",
        "EXPIREAT hash 4102444800",
        "SADD intset 1 2 3",
        "SADD set a b c",
        "ZADD zset 1.5 a inf b",
        "XADD stream 1-1 field value",
        "XADD stream 2-1 field value",
        "XGROUP CREATE stream group 0",
        "XREADGROUP GROUP group consumer COUNT 1 STREAMS stream >",
        "XDEL stream 1-1",
    ] {
        redis.run(line);
    }
    let function = "#!lua name=lib\nredis.register_function('f', function() return 1 end)";
    redis
        .client
        .command(&["FUNCTION", "LOAD", function])
        .unwrap();
    redis.run("SELECT 5");
    redis.run("SET other database");
    Some(redis.save())
}

#[test]
fn a_file_that_redis_wrote() {
    let Some(bytes) = written_by_redis("rdb-read") else {
        println!("skipped: redis-server is not installed");
        return;
    };
    let mut reader = Reader::new(&bytes[..], LIMITS).unwrap();
    let mut found = std::collections::BTreeMap::new();
    while let Some(record) = reader.next().unwrap() {
        let key = String::from_utf8(record.key.clone()).unwrap();
        found.insert(key, record);
    }
    assert_eq!(reader.functions(), 1);
    assert_eq!(
        reader.end(),
        Some(End {
            checksum: true,
            more: false
        })
    );
    let long = "compressible ".repeat(20).replace(' ', "_");
    let string = |text: &str| Value::String(text.into());
    for (key, value) in [
        ("string", string("value")),
        ("compressed", string(&long)),
        ("byte", string("-7")),
        ("short", string("300")),
        ("int", string("-70000")),
        ("long", string("123456789012")),
        ("expiring", string("value")),
        (
            "list",
            Value::List(words(&["a", "1", "-300", "70000", "5000000000", "b"])),
        ),
        ("plain", Value::List(words(&["small", &long, "17"]))),
        ("hash", Value::Hash(words(&["name", "ant", "legs", "6"]))),
        ("intset", Value::Skipped(Skipped::Set)),
        ("set", Value::Skipped(Skipped::Set)),
        ("zset", Value::Skipped(Skipped::SortedSet)),
        ("stream", Value::Skipped(Skipped::Stream)),
        ("other", string("database")),
    ] {
        let record = found.remove(key).unwrap();
        assert_eq!(record.value, value, "{key}");
        assert_eq!(record.database, if key == "other" { 5 } else { 0 });
        assert_eq!(
            record.expires.is_some(),
            ["expiring", "hash"].contains(&key)
        );
        if key == "hash" {
            assert_eq!(record.expires, Some(4_102_444_800_000));
        }
    }
    let Value::Hash(fields) = found.remove("large").unwrap().value else {
        panic!("a hash");
    };
    let mut pairs: Vec<_> = fields.chunks(2).map(<[_]>::concat).collect();
    pairs.sort();
    assert_eq!(pairs, words(&["a1", "b2", "c3", "d4", "e5"]));
    assert!(found.is_empty(), "{found:?}");
}

/// Every truncation and every flipped bit is noticed; with the checksum switched off it may not be, and does no harm.
#[test]
fn damage_is_noticed_wherever_it_is() {
    let Some(bytes) = written_by_redis("rdb-damage") else {
        println!("skipped: redis-server is not installed");
        return;
    };
    for len in 0..bytes.len() {
        let error = read(&bytes[..len], LIMITS).unwrap_err();
        assert!(error.offset <= len as u64, "{error}");
    }
    let mut unchecked = bytes.clone();
    let crc = bytes.len() - 8;
    unchecked[crc..].fill(0);
    read(&unchecked, LIMITS).unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let error = read(&flipped, LIMITS).unwrap_err();
        assert!(error.offset <= bytes.len() as u64, "{error}");
        if bit / 8 < crc {
            flipped[crc..].fill(0);
            let _ = read(&flipped, LIMITS);
        }
    }
}

/// Bytes that are often opcodes, types and lengths.
fn likely() -> impl Strategy<Value = u8> {
    prop_oneof![
        0..26_u8,
        0xc0..0xc4_u8,
        0x80..0x82_u8,
        244..=255_u8,
        any::<u8>()
    ]
}

proptest! {
    /// Whatever stands behind the head: the reader ends, with an error or without, and not beyond the end.
    #[test]
    fn garbage_does_no_harm(body in proptest::collection::vec(likely(), 0..200)) {
        let bytes = [&b"REDIS0012"[..], &body].concat();
        match read(&bytes, LIMITS) {
            Ok((_, end)) => prop_assert!(!end.checksum),
            Err(error) => prop_assert!(error.offset <= bytes.len() as u64),
        }
    }
}
