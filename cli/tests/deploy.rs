//! What stands in `examples/deploy`: the units as systemd checks them, and the proxies by the real programs.

mod scene;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use ant_cache_core::client::Value;
use ant_cache_core::ring::{KeyHash, Node, Ring, RingOptions};
use ant_cache_runtime_std::client::{Client, ClientOptions};
use scene::Scene;

const PROGRAM: &str = env!("CARGO_BIN_EXE_ant-cache-cli");

/// A file of the examples.
fn example(path: &str) -> String {
    let path = format!("{}/../examples/deploy/{path}", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(path).unwrap()
}

/// A program of Debian, wherever it is; nothing where it is not installed.
fn installed(name: &str) -> Option<PathBuf> {
    let mut paths = ["/usr/sbin", "/usr/bin"].into_iter();
    let found = paths
        .find_map(|directory| Some(Path::new(directory).join(name)).filter(|path| path.exists()));
    if found.is_none() {
        println!("skipped: {name} is not installed");
    }
    found
}

impl Scene {
    /// Three caches; their ports.
    fn caches(&mut self) -> [u16; 3] {
        [(); 3].map(|()| {
            let mut process = Command::new(PROGRAM)
                .args(["--port", "0"])
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let mut line = String::new();
            let mut output = BufReader::new(process.stdout.take().unwrap());
            output.read_line(&mut line).unwrap();
            self.processes.push(process);
            let (_, rest) = line.split_once("127.0.0.1:").unwrap();
            let port = rest.split(' ').next().unwrap();
            port.parse().unwrap()
        })
    }

    /// A proxy with the settings of the example, on other ports; where it listens.
    fn proxy(&mut self, settings: &str, caches: [u16; 3], command: &mut Command) -> u16 {
        let port = free_port();
        let mut settings = settings.replace(":8900", &format!(":{port}"));
        for (example, cache) in [8890, 8891, 8892].into_iter().zip(caches) {
            let server = format!("127.0.0.1:{example}");
            assert_eq!(settings.matches(&server).count(), 1);
            settings = settings.replace(&server, &format!("127.0.0.1:{cache}"));
        }
        let path = self.write("proxy", &settings);
        let process = command
            .arg(path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.processes.push(process.unwrap());
        let proxy = self.processes.len() - 1;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = self.processes[proxy].try_wait().unwrap();
            assert!(ended.is_none(), "the proxy ended: {ended:?}\n{settings}");
            thread::sleep(Duration::from_millis(10));
        }
        port
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// What redis-cli prints.
fn redis_cli(port: u16, words: &[&str]) -> String {
    let output = Command::new("redis-cli")
        .args(["-p", &port.to_string()])
        .args(words)
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned()
}

fn connect(port: u16) -> Client {
    let address = format!("127.0.0.1:{port}").parse().unwrap();
    Client::connect(address, ClientOptions::default()).unwrap()
}

/// The keys that a cache holds.
fn keys(port: u16) -> BTreeSet<String> {
    let Value::Array(keys) = connect(port).command(&["KEYS", "*"]).unwrap() else {
        panic!("KEYS gives an array");
    };
    let text = |key: Value| String::from_utf8(key.as_bytes().unwrap().to_vec()).unwrap();
    keys.into_iter().map(text).collect()
}

#[test]
fn units_are_what_systemd_takes_and_hardened() {
    if installed("systemd-analyze").is_none() {
        return;
    }
    let scene = Scene::new("deploy-systemd");
    for unit in ["ant-cache.service", "ant-cache@.service"] {
        let text = example(&format!("systemd/{unit}"));
        let text = text.replace("/usr/local/bin/ant-cache-cli", PROGRAM);
        let path = scene.write(unit, &text);
        for (words, path) in [
            (
                &["verify", "--man=no"][..],
                path.to_str().unwrap().replace('@', "@8891"),
            ),
            // A tenth of the worst: 15 of 100.
            (
                &["security", "--offline=true", "--threshold=15"],
                path.to_str().unwrap().to_owned(),
            ),
        ] {
            if path.contains("@8891") {
                fs::copy(scene.path(unit), &path).unwrap();
            }
            let output = Command::new("systemd-analyze")
                .args(words)
                .arg(&path)
                .output()
                .unwrap();
            let complaints = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{unit}: {complaints}");
            let about_it = complaints.lines().any(|line| line.contains("ant-cache"));
            assert!(!about_it, "{unit}: {complaints}");
        }
        starts_as_the_unit_says(&text);
    }
}

/// Runs the command of a unit with its environment, for as long as it takes to be ready.
fn starts_as_the_unit_says(unit: &str) {
    let values = |name: &str| {
        let prefix = format!("{name}=");
        let values = unit
            .lines()
            .filter_map(move |line| line.strip_prefix(&prefix));
        values.map(str::to_owned).collect::<Vec<_>>()
    };
    let start = values("ExecStart").pop().unwrap();
    let mut words = start.split(' ');
    let mut command = Command::new(words.next().unwrap());
    for setting in values("Environment") {
        let (name, value) = setting.split_once('=').unwrap();
        assert!(["8890", "%i"].contains(&value));
        command.env(name, free_port().to_string());
    }
    let process = command
        .args(words)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut scene = Scene::new("deploy-unit");
    scene.processes.push(process.unwrap());
    let mut line = String::new();
    let output = scene.processes[0].stdout.take().unwrap();
    BufReader::new(output).read_line(&mut line).unwrap();
    assert!(line.contains(" ready on 127.0.0.1:"), "{line}");
}

#[test]
fn twemproxy_shards_as_our_ring_does() {
    let (Some(nutcracker), Some(_)) = (installed("nutcracker"), installed("redis-cli")) else {
        return;
    };
    let mut scene = Scene::new("deploy-twemproxy");
    let caches = scene.caches();
    let stats = free_port().to_string();
    let mut command = Command::new(nutcracker);
    command.args([
        "--stats-addr",
        "127.0.0.1",
        "--stats-port",
        &stats,
        "--conf-file",
    ]);
    let port = scene.proxy(&example("twemproxy/nutcracker.yml"), caches, &mut command);

    assert_eq!(redis_cli(port, &["SET", "greeting", "hello"]), "OK");
    assert_eq!(redis_cli(port, &["GET", "greeting"]), "hello");
    let names: Vec<String> = (0..300).map(|i| format!("user:{{{i}}}:name")).collect();
    let pairs = names.iter().flat_map(|name| [name.as_str(), "x"]);
    assert_eq!(
        redis_cli(
            port,
            &core::iter::once("MSET").chain(pairs).collect::<Vec<_>>()
        ),
        "OK"
    );
    let some = redis_cli(port, &["MGET", "greeting", "user:{7}:name", "nothing"]);
    assert_eq!(some, "hello\nx");

    let options = RingOptions {
        hash: KeyHash::Murmur,
        hash_tag: Some("{}".parse().unwrap()),
        ..RingOptions::default()
    };
    let ring = Ring::new(options, ["ant-1", "ant-2", "ant-3"].map(Node::new)).unwrap();
    let mut expected = [const { BTreeSet::new() }; 3];
    for name in names.into_iter().chain(["greeting".to_owned()]) {
        expected[ring.place(name.as_bytes()).unwrap()].insert(name);
    }
    assert_eq!(caches.map(keys), expected);
    assert!(expected.iter().all(|keys| keys.len() > 30));
    let count = redis_cli(port, &["DEL", "greeting", "user:{7}:name", "user:{8}:name"]);
    assert_eq!(count, "3");
}

#[test]
fn haproxy_goes_to_another_cache_when_one_is_gone() {
    let (Some(haproxy), Some(_)) = (installed("haproxy"), installed("redis-cli")) else {
        return;
    };
    let mut scene = Scene::new("deploy-haproxy");
    let caches = scene.caches();
    let settings = example("haproxy/haproxy.cfg").replace("inter 1s", "inter 50ms");
    let mut command = Command::new(haproxy);
    command.args(["-db", "-f"]);
    let port = scene.proxy(&settings, caches, &mut command);

    // The same host comes to the same cache.
    for i in 0..20 {
        let key = format!("key {i}");
        assert_eq!(redis_cli(port, &["SET", &key, "v"]), "OK");
        assert_eq!(redis_cli(port, &["GET", &key]), "v");
    }
    let held = caches.map(|cache| keys(cache).len());
    let home = held.iter().position(|count| *count > 0).unwrap();
    assert_eq!(held.iter().sum::<usize>(), 20);
    assert_eq!(held[home], 20);

    // A connection that was there is ended when its cache is found to be down.
    let mut open = TcpStream::connect(("127.0.0.1", port)).unwrap();
    scene.processes[home].kill().unwrap();
    open.read_to_end(&mut Vec::new()).unwrap();
    assert_eq!(redis_cli(port, &["GET", "key 0"]), "");
    assert_eq!(redis_cli(port, &["SET", "key 0", "w"]), "OK");
    let others = (0..3)
        .filter(|cache| *cache != home)
        .map(|cache| keys(caches[cache]).len());
    assert_eq!(others.sum::<usize>(), 1);
}

#[test]
fn the_settings_of_kubernetes_are_settings() {
    let yaml = example("kubernetes/ant-cache.yaml");
    let lines: Vec<&str> = yaml.lines().map(str::trim).collect();
    let scene = Scene::new("deploy-kubernetes");
    let mut command = Command::new(PROGRAM);
    let mut settings = 0;
    for pair in lines.windows(2) {
        let (Some(name), Some(value)) = (
            pair[0].strip_prefix("- name: ANT_"),
            pair[1].strip_prefix("value: "),
        ) else {
            continue;
        };
        let mut value = value.trim_matches('"').to_owned();
        if name == "CACHE_PASSWORD_FILE" {
            value = scene
                .write("password", "secret")
                .to_str()
                .unwrap()
                .to_owned();
        }
        command.env(format!("ANT_{name}"), value);
        settings += 1;
    }
    assert_eq!(settings, 4);
    let output = command.arg("--print-config").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaints}");
    assert_eq!(complaints, "");
    let taken = text.matches("environment").count();
    assert!(taken >= settings, "{text}");
}
