//! `ant-cache-cli import` and `load` from outside: files that redis-server wrote, into a server of ours.

mod scene;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ant_cache_core::client::{Value, encode_line};
use ant_cache_runtime_std::client::{Address, Client, ClientOptions};
use scene::Scene;

impl Scene {
    /// A redis-server; nothing where it is not installed.
    fn redis(&mut self) -> Option<Client> {
        let socket = self.path("redis");
        let process = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--unixsocket"])
            .arg(&socket)
            .current_dir(&self.directory)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match process {
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            process => self.processes.push(process.unwrap()),
        }
        while !socket.exists() {
            thread::sleep(Duration::from_millis(5));
        }
        Some(connect(&socket))
    }

    /// A server of ours, on the socket `ant`.
    fn ant(&mut self, args: &[&str]) -> Client {
        let socket = self.path("ant");
        let mut process = program(&["--port", "0", "--unix-socket"])
            .arg(&socket)
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        self.processes.push(process);
        assert!(!line.is_empty(), "the server starts");
        connect(&socket)
    }

    fn run(&self, name: &str, args: &[&str]) -> Run {
        let socket = self.path("ant");
        let output = program(&[name, "--unix-socket"])
            .arg(&socket)
            .args(args)
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .output();
        Run::new(&output.unwrap())
    }
}

/// What a run said.
#[derive(Debug)]
struct Run {
    status: Option<i32>,
    out: String,
    err: String,
}

impl Run {
    fn new(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self {
            status: output.status.code(),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }

    /// The text behind the name that a line begins with.
    fn line(&self, name: &str) -> &str {
        let line = self.out.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("no line '{name}': {self:?}"))
            .trim()
    }
}

fn program(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ant-cache-cli"));
    command.args(words).env_remove("ANT_CACHE_PASSWORD");
    command
}

fn connect(socket: &Path) -> Client {
    let address = Address::Unix(socket.into());
    loop {
        // The socket's file is there before anybody listens.
        if let Ok(client) = Client::connect(address.clone(), ClientOptions::default()) {
            return client;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn number(client: &mut Client, request: &[&str]) -> i64 {
    match client.command(request).unwrap() {
        Value::Integer(number) => number,
        other => panic!("{other:?} is no number"),
    }
}

fn bytes(value: Value) -> Vec<u8> {
    value
        .as_bytes()
        .unwrap_or_else(|| panic!("{value:?} is no string"))
        .to_vec()
}

/// Type, value, and end of life.
type Found = (String, Vec<Vec<u8>>, i64);

/// All keys with their types, values and ends; sets and the like are left out.
fn everything(client: &mut Client) -> BTreeMap<Vec<u8>, Found> {
    let Value::Array(keys) = client.command(&["KEYS", "*"]).unwrap() else {
        panic!("keys");
    };
    let mut found = BTreeMap::new();
    for key in keys.into_iter().map(bytes) {
        let kind = bytes(client.command(&[b"TYPE", &key[..]]).unwrap());
        let value = match &kind[..] {
            b"string" => vec![bytes(client.command(&[b"GET", &key[..]]).unwrap())],
            b"list" => elements(client.command(&[b"LRANGE", &key[..], b"0", b"-1"]).unwrap()),
            b"hash" => {
                let flat = elements(client.command(&[b"HGETALL", &key[..]]).unwrap());
                let mut pairs: Vec<_> = flat.chunks(2).map(<[_]>::to_vec).collect();
                pairs.sort();
                pairs.concat()
            }
            _ => continue,
        };
        let end = match client.command(&[b"PEXPIRETIME", &key[..]]).unwrap() {
            Value::Integer(end) => end,
            other => panic!("{other:?} is no number"),
        };
        found.insert(key, (String::from_utf8(kind).unwrap(), value, end));
    }
    found
}

fn elements(value: Value) -> Vec<Vec<u8>> {
    match value {
        Value::Array(elements) => elements.into_iter().map(bytes).collect(),
        other => panic!("{other:?} is no array"),
    }
}

/// Fills redis-server with keys of all types.
fn fill(redis: &mut Client) {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_millis();
    let mut requests: Vec<Vec<Vec<u8>>> = Vec::new();
    let mut add = |words: &[&[u8]]| requests.push(words.iter().map(|word| word.to_vec()).collect());
    let long = "compressible ".repeat(2_000);
    for i in 0..3_000 {
        let key = format!("string:{i}").into_bytes();
        let end = (now + 3_600_000 + i).to_string();
        match i % 4 {
            0 => add(&[
                b"SET",
                &key,
                &[0, 0xff, b'\r', b'\n', i as u8],
                b"PXAT",
                end.as_bytes(),
            ]),
            1 => add(&[b"SET", &key, (i * i * 1_000).to_string().as_bytes()]),
            2 => add(&[b"SET", &key, &long.as_bytes()[..i as usize]]),
            _ => add(&[b"SET", &key, format!("value {i}").as_bytes()]),
        }
    }
    add(&[b"SET", b"-t", b"-t", b"PX", b"3600000"]);
    add(&[b"SET", b"", b""]);
    add(&[b"RPUSH", b"-t list", b"-t", b"5s", b"x"]);
    add(&[b"HSET", b"-t hash", b"-t", b"5s", b"f", b"v"]);
    add(&[b"RPUSH", b"only -t", b"-t"]);
    for size in [1, 5, 100, 3_000] {
        let elements: Vec<String> = (0..size).map(|i| format!("{}", i * 7_919)).collect();
        let (list, hash) = (format!("list:{size}"), format!("hash:{size}"));
        for (i, element) in elements.iter().enumerate() {
            add(&[b"RPUSH", list.as_bytes(), element.as_bytes()]);
            let value = &long.as_bytes()[..i % 90];
            add(&[b"HSET", hash.as_bytes(), element.as_bytes(), value]);
        }
        add(&[
            b"PEXPIREAT",
            hash.as_bytes(),
            (now + 7_200_000).to_string().as_bytes(),
        ]);
    }
    add(&[
        b"RPUSH",
        b"big elements",
        long.as_bytes(),
        b"x",
        long.as_bytes(),
    ]);
    add(&[
        b"PEXPIREAT",
        b"list:5",
        (now + 7_200_001).to_string().as_bytes(),
    ]);
    add(&[b"SADD", b"set", b"a", b"b"]);
    add(&[b"ZADD", b"zset", b"1", b"a"]);
    add(&[b"XADD", b"stream", b"*", b"f", b"v"]);
    add(&[b"SET", &[b'k'; 70_000], b"v"]);
    let replies = redis.pipeline(&requests).unwrap();
    assert!(replies.iter().all(|reply| reply.error().is_none()));
}

#[test]
fn a_snapshot_of_redis_is_the_same_here() {
    let mut scene = Scene::new("import-all");
    let Some(mut redis) = scene.redis() else {
        println!("skipped: redis-server is not installed");
        return;
    };
    fill(&mut redis);
    redis.command(&["SELECT", "3"]).unwrap();
    redis.command(&["SET", "other", "x"]).unwrap();
    redis.command(&["SELECT", "0"]).unwrap();
    redis.command(&["SAVE"]).unwrap();
    let mut ant = scene.ant(&[]);

    let checked = scene.run("import", &["--check", "dump.rdb"]);
    assert_eq!(
        (checked.status, &checked.err[..]),
        (Some(0), ""),
        "{checked:?}"
    );
    assert_eq!(number(&mut ant, &["DBSIZE"]), 0);

    let run = scene.run("import", &["dump.rdb"]);
    assert_eq!((run.status, &run.err[..]), (Some(0), ""), "{run:?}");
    let counts = "3002 strings, 7 lists, 5 hashes; 756 with a time to live";
    assert!(run.line("imported").starts_with(counts), "{run:?}");
    assert!(checked.line("found").starts_with(counts), "{checked:?}");
    let left_out = "1 sets, 1 sorted sets, 1 streams, 1 with too long a key, 1 of other databases (the file has 0, 3; see --db)";
    assert_eq!(run.line("left out"), left_out);

    let mut expected = everything(&mut redis);
    expected.retain(|key, _| key.len() <= 65_535);
    assert_eq!(everything(&mut ant), expected);

    // Once more, over what is there; and the other database alone.
    assert_eq!(scene.run("import", &["dump.rdb"]).status, Some(0));
    assert_eq!(everything(&mut ant), expected);
    let run = scene.run("import", &["--db", "3", "dump.rdb"]);
    assert!(
        run.line("imported")
            .starts_with("1 strings, 0 lists, 0 hashes"),
        "{run:?}"
    );
    assert_eq!(bytes(ant.command(&["GET", "other"]).unwrap()), b"x");
}

#[test]
fn files_that_are_none_or_damaged() {
    let mut scene = Scene::new("import-bad");
    let mut ant = scene.ant(&[]);
    let run = scene.run("import", &["nowhere.rdb"]);
    assert_eq!(run.status, Some(2));
    assert!(
        run.err
            .starts_with("ant-cache-cli import: nowhere.rdb: No such file"),
        "{run:?}"
    );
    scene.write("text", b"SET a 1\n");
    let run = scene.run("import", &["text"]);
    assert_eq!(
        run.err,
        "ant-cache-cli import: text: byte 0: this is no RDB file\n"
    );
    // One key, and then nothing.
    scene.write("short", b"REDIS0011\x00\x01a\x01b\x00\x01c\x7f");
    let run = scene.run("import", &["short"]);
    assert_eq!(run.status, Some(2));
    assert_eq!(
        run.err,
        "ant-cache-cli import: short: byte 18: the file ends in the middle\n"
    );
    assert!(run.line("imported").starts_with("1 strings"), "{run:?}");
    assert_eq!(bytes(ant.command(&["GET", "a"]).unwrap()), b"b");
    let run = scene.run("import", &["--db", "x", "short"]);
    assert!(run.err.contains("neither a number nor `all`"), "{run:?}");
}

#[test]
fn a_server_that_refuses_or_is_not_there() {
    let mut scene = Scene::new("import-refused");
    let file = b"REDIS0011\x00\x01a\x01b\x00\x01c\x01d\xff\0\0\0\0\0\0\0\0";
    scene.write("two.rdb", file);
    let run = scene.run("import", &["two.rdb"]);
    assert_eq!(run.status, Some(2));
    assert!(run.err.contains("cannot connect"), "{run:?}");
    let mut ant = scene.ant(&[]);
    ant.command(&["CONFIG", "SET", "requirepass", "sesame"])
        .unwrap();
    let run = scene.run("import", &["two.rdb"]);
    assert_eq!(run.status, Some(1));
    assert!(run.err.starts_with("key 'a': NOAUTH"), "{run:?}");
    assert_eq!(run.line("refused"), "2 by the server");
    let run = scene.run("import", &["--password", "sesame", "two.rdb"]);
    assert_eq!(run.status, Some(0), "{run:?}");
    assert_eq!(run.line("note"), "the file has no checksum");
}

#[test]
fn all_databases_from_a_pipe() {
    let mut scene = Scene::new("import-pipe");
    let mut ant = scene.ant(&[]);
    // Key a is in two of the three databases.
    let file = b"REDIS0011\xfe\x00\x00\x01a\x010\xfe\x01\x00\x01a\x011\xfe\x07\x00\x01b\x017\xff\0\0\0\0\0\0\0\0rest";
    let mut child = program(&["import", "--db", "all", "-", "--unix-socket"])
        .arg(scene.path("ant"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(file).unwrap();
    let run = Run::new(&child.wait_with_output().unwrap());
    assert_eq!(run.status, Some(0), "{run:?}");
    assert!(run.line("imported").starts_with("3 strings"), "{run:?}");
    assert!(
        run.out.contains("goes on behind the snapshot's end"),
        "{run:?}"
    );
    assert_eq!(bytes(ant.command(&["GET", "a"]).unwrap()), b"1");
    assert_eq!(bytes(ant.command(&["GET", "b"]).unwrap()), b"7");
}

#[test]
fn commands_line_by_line() {
    let mut scene = Scene::new("load");
    let mut ant = scene.ant(&[]);
    let mut text = Vec::new();
    for i in 0..5_000 {
        encode_line(
            &[
                "SET".into(),
                format!("key {i}"),
                format!("a \"value\"\n{i}"),
            ],
            &mut text,
        );
    }
    encode_line(&["SETS", "list", "-t", "1d", "a", "b c"], &mut text);
    encode_line(&["SET", "until", "v", "PXAT", "4102444800000"], &mut text);
    let path = scene.write("good", &text);
    let run = scene.run("load", &["good"]);
    assert_eq!((run.status, &run.err[..]), (Some(0), ""), "{run:?}");
    assert!(
        run.out.starts_with("5002 executed, 0 refused, in "),
        "{run:?}"
    );
    assert_eq!(number(&mut ant, &["DBSIZE"]), 5_002);
    assert_eq!(
        bytes(ant.command(&["GET", "key 17"]).unwrap()),
        b"a \"value\"\n17"
    );
    assert_eq!(number(&mut ant, &["LLEN", "list"]), 2);
    assert_eq!(
        number(&mut ant, &["PEXPIRETIME", "until"]),
        4_102_444_800_000
    );

    let bad = b"SET a 1\nSET a \"open\n\nFOO\nINCR list\nSET b 2\n";
    scene.write("bad", bad);
    let run = scene.run("load", &["bad"]);
    assert_eq!(run.status, Some(1), "{run:?}");
    let mut lines: Vec<&str> = run.err.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines[0], "line 2: unbalanced quotes in request");
    assert!(
        lines[1].starts_with("line 4: ERR unknown command 'FOO'"),
        "{lines:?}"
    );
    assert!(lines[2].starts_with("line 5: WRONGTYPE"), "{lines:?}");
    assert!(run.out.starts_with("2 executed, 3 refused"), "{run:?}");

    // From a pipe.
    ant.command(&["FLUSHALL"]).unwrap();
    let mut child = program(&["load", "--unix-socket"])
        .arg(scene.path("ant"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(&fs::read(path).unwrap()).unwrap();
    drop(input);
    assert!(child.wait_with_output().unwrap().status.success());
    assert_eq!(number(&mut ant, &["DBSIZE"]), 5_002);

    // The connection ends half way.
    scene.write("quits", b"SET c 3\nQUIT\nSET d 4\n");
    let run = scene.run("load", &["quits"]);
    assert_eq!(run.status, Some(2), "{run:?}");
    assert!(
        run.err.contains("the server closed the connection"),
        "{run:?}"
    );
}

#[test]
fn the_example_of_the_manual() {
    let page =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/IMPORT.md")).unwrap();
    let (_, after) = page.split_once("load commands.txt").unwrap();
    let (_, after) = after.split_once("```text\n").unwrap();
    let (commands, _) = after.split_once("```").unwrap();
    let mut scene = Scene::new("load-manual");
    let mut ant = scene.ant(&[]);
    scene.write("commands.txt", commands.as_bytes());
    let run = scene.run("load", &["commands.txt"]);
    assert!(run.out.starts_with("4 executed, 0 refused"), "{run:?}");
    assert_eq!(
        bytes(ant.command(&["GET", "greeting"]).unwrap()),
        b"two words"
    );
}
