//! `ant-cache-cli check` and `dump`: what a data directory holds, without a server.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use ant_cache_core::client::Value;
use ant_cache_runtime_std::client::{Address, Client, ClientOptions};

/// A directory of one test; it goes with this.
struct Scene(PathBuf);

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A server, killed with this.
struct Server(Child, PathBuf);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Scene {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("ant-files-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    /// A server; what it answers is on the disk before.
    fn serve(&self, dir: &Path) -> Server {
        let socket = self.0.join("socket");
        let mut child = program(&["--port", "0", "--fsync", "always", "--dir"])
            .arg(dir)
            .arg("--unix-socket")
            .arg(&socket)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        assert!(line.contains("ready"), "the server starts");
        Server(child, socket)
    }

    /// Exit status, standard output, standard error.
    fn run(&self, words: &[&str]) -> (i32, String, String) {
        let (status, out, err) = self.run_for_bytes(words);
        (status, String::from_utf8_lossy(&out).into_owned(), err)
    }

    fn run_for_bytes(&self, words: &[&str]) -> (i32, Vec<u8>, String) {
        let output = program(words)
            .arg(self.data())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let status = output.status.code().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        (status, output.stdout, errors)
    }
}

impl Server {
    fn client(&self) -> Client {
        let address = Address::Unix(self.1.clone());
        Client::connect(address, ClientOptions::default()).unwrap()
    }

    /// Ends it at once, whatever it is doing.
    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn program(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ant-cache-cli"));
    command.args(words);
    command
}

const SET_UP: &[&[&[u8]]] = &[
    &[b"SET", b"plain", b"value"],
    &[b"SET", b"two words \"\n\x00\xff", b"a\tb\\"],
    &[b"SET", b"empty", b""],
    &[b"SET", b"ends", b"late", b"PXAT", b"4000000000000"],
    &[b"SET", b"large", &[b'x'; 5000]],
    &[b"SETS", b"list", b"-t", b"1y", b"-t", b"", b"three"],
    &[b"PERSIST", b"list"],
    &[
        b"SETX",
        b"object",
        b"-t",
        b"1y",
        b"field",
        b"1",
        b"other field",
        b"2",
    ],
    &[b"PEXPIREAT", b"object", b"4000000000001"],
    &[b"SET", b"gone", b"1"],
    &[b"DEL", b"gone"],
];

const LOOKS: &[&[&[u8]]] = &[
    &[b"GET", b"plain"],
    &[b"GET", b"two words \"\n\x00\xff"],
    &[b"GET", b"empty"],
    &[b"GET", b"ends"],
    &[b"PEXPIRETIME", b"ends"],
    &[b"GET", b"large"],
    &[b"LRANGE", b"list", b"0", b"-1"],
    &[b"TTL", b"list"],
    &[b"HGETALL", b"object"],
    &[b"PEXPIRETIME", b"object"],
    &[b"DBSIZE"],
];

fn ask(client: &mut Client, requests: &[&[&[u8]]]) -> Vec<Value> {
    let replies = requests.iter().map(|request| client.command(request));
    let replies: Vec<Value> = replies.map(Result::unwrap).collect();
    assert!(
        !replies.iter().any(|reply| matches!(reply, Value::Error(_))),
        "{replies:?}"
    );
    replies
}

#[test]
fn what_is_dumped_and_loaded_is_the_same() {
    let scene = Scene::new("dump");
    let server = scene.serve(&scene.data());
    let mut client = server.client();
    ask(&mut client, SET_UP);
    // A part in the snapshot, a part in the log.
    ask(&mut client, &[&[b"SAVE"], &[b"SET", b"plain", b"newer"]]);
    let before = ask(&mut client, LOOKS);
    server.kill();

    let (status, commands, errors) = scene.run_for_bytes(&["dump"]);
    assert_eq!((status, &*errors), (0, ""));
    let text = String::from_utf8_lossy(&commands);
    assert!(text.contains("SET plain newer\n") && !text.contains("gone"));
    let file = scene.0.join("commands");
    fs::write(&file, commands).unwrap();

    let server = scene.serve(&scene.0.join("other"));
    let load = program(&["load", "--unix-socket"])
        .arg(&server.1)
        .arg(&file)
        .output()
        .unwrap();
    assert!(load.status.success(), "{load:?}");
    assert_eq!(ask(&mut server.client(), LOOKS), before);
}

#[test]
fn check_tells_what_a_start_would_do() {
    let scene = Scene::new("check");
    let (status, _, errors) = scene.run(&["check"]);
    assert_eq!(status, 2, "{errors}");
    fs::create_dir(scene.data()).unwrap();
    let (status, _, errors) = scene.run(&["check"]);
    assert_eq!(status, 2);
    assert!(errors.contains("neither a snapshot"), "{errors}");

    let server = scene.serve(&scene.data());
    let mut client = server.client();
    ask(&mut client, SET_UP);
    let (status, text, _) = scene.run(&["check"]);
    assert_eq!(status, 0);
    assert!(
        text.contains(&format!("process {} uses", server.0.id())),
        "{text}"
    );
    ask(
        &mut client,
        &[
            &[b"SAVE"],
            &[b"SET", b"after", b"1"],
            &[b"SET", b"after", b"2"],
        ],
    );
    server.kill();
    let (status, text, _) = scene.run(&["check"]);
    assert_eq!(status, 0, "{text}");
    assert!(text.contains("cache.atd         7 records"), "{text}");
    assert!(text.contains("goes on with cache.acl.000002"), "{text}");
    assert!(
        text.contains("sound: a start has 8 keys, 2 with a time to live\n"),
        "{text}"
    );
    assert!(!text.contains("at offset"), "{text}");

    // What was being written.
    let log = scene.data().join("cache.acl.000002");
    let mut sound = fs::read(&log).unwrap();
    // Room that was made is no part of it.
    let end = sound.iter().rposition(|&byte| byte != 0).unwrap() + 1;
    assert!(end < sound.len());
    sound.truncate(end);
    fs::write(&log, &sound[..sound.len() - 3]).unwrap();
    let (status, text, _) = scene.run(&["check", "--json"]);
    assert_eq!(status, 0, "{text}");
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["start"]["sound"], true);
    assert!(report["start"]["cut"].as_u64().unwrap() > 0);
    assert!(
        report["files"][1]["ends"]
            .as_str()
            .unwrap()
            .contains("it ends too early")
    );

    // A bit of what was surely written: a record behind the header of the file, the mark that SAVE has left, and the
    // header of its frame.
    let mut damaged = sound.clone();
    damaged[64 + 56 + 56 + 2] ^= 1;
    fs::write(&log, &damaged).unwrap();
    let (status, text, _) = scene.run(&["check"]);
    assert_eq!(status, 1, "{text}");
    assert!(
        text.contains("damaged: cache.acl.000002: at offset 120, its checksum does not match"),
        "{text}"
    );
    assert!(text.contains("a start with --recover has 7 keys"), "{text}");
    let (status, _, errors) = scene.run(&["dump"]);
    assert_eq!(status, 2);
    assert!(
        errors.contains("cache.acl.000002: at offset 120"),
        "{errors}"
    );
    let (status, commands, _) = scene.run(&["dump", "--recover"]);
    assert_eq!((status, commands.lines().count()), (0, 9), "{commands}");
    // Nothing was changed by all that.
    assert_eq!(fs::read(&log).unwrap(), damaged);
}
