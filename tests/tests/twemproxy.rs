//! The hash ring against the real twemproxy, `nutcracker` of Debian: both must send each of 10,000 keys to the same
//! server, for every hash, with weights and with hash tags.

use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ant_cache_core::client::Value;
use ant_cache_core::ring::{Distribution, KeyHash, Node, Ring, RingOptions};
use ant_cache_runtime_std::client::{Address, Client, ClientOptions};
use ant_cache_tests::{Random, Server, Shape};

/// Keys of one pool.
const KEYS: usize = 10_000;

/// A pool of the proxy, and what the ring is told of it.
struct Pool {
    name: String,
    options: RingOptions,
    nodes: Vec<Node>,
}

impl Pool {
    /// A pool over servers with names, or with those that follow from their addresses.
    fn new(name: impl Into<String>, nodes: Vec<Node>, options: RingOptions) -> Self {
        Self {
            name: name.into(),
            options,
            nodes,
        }
    }

    fn socket(&self, directory: &Path) -> PathBuf {
        directory.join(&self.name)
    }

    /// The pool in twemproxy's own words.
    fn settings(&self, directory: &Path, addresses: &[String]) -> String {
        let socket = self.socket(directory);
        let (distribution, hash) = (self.options.distribution, self.options.hash);
        let mut yaml = format!(
            "{}:\n  listen: {} 0600\n  redis: true\n  distribution: {distribution}\n  hash: {hash}\n",
            self.name,
            socket.display()
        );
        if let Some(tag) = self.options.hash_tag {
            let (open, close) = (char::from(tag.open), char::from(tag.close));
            writeln!(yaml, "  hash_tag: \"{open}{close}\"").expect("a string takes it");
        }
        yaml.push_str("  servers:\n");
        for (node, address) in self.nodes.iter().zip(addresses) {
            // A server without a name is named by its address.
            let name = Some(node.name()).filter(|name| name != address);
            let (weight, name) = (node.weight(), name.unwrap_or_default());
            writeln!(yaml, "    - {address}:{weight} {name}").expect("a string takes it");
        }
        yaml
    }
}

/// The running proxy; it ends with this.
struct Proxy {
    process: Child,
    directory: PathBuf,
}

impl Proxy {
    /// Starts it with these pools; nothing where it is not installed.
    fn start(pools: &[Pool], addresses: &[String]) -> Option<Self> {
        let program = ["/usr/sbin/nutcracker", "/usr/bin/nutcracker"];
        let program = program.iter().find(|path| Path::new(path).exists())?;
        let directory = std::env::temp_dir().join(format!("twemproxy-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory for its sockets");
        let settings = pools
            .iter()
            .map(|pool| pool.settings(&directory, addresses));
        let file = directory.join("nutcracker.yml");
        fs::write(&file, settings.collect::<String>()).expect("a file for its settings");
        // Its page of figures, which it insists on.
        let spare = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = spare.expect("a free port").port().to_string();
        let process = Command::new(program)
            .arg("--conf-file")
            .arg(&file)
            .args(["--stats-addr", "127.0.0.1", "--stats-port", &port])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nutcracker starts");
        let mut proxy = Self { process, directory };
        for pool in pools {
            let socket = pool.socket(&proxy.directory);
            while UnixStream::connect(&socket).is_err() {
                let ended = proxy
                    .process
                    .try_wait()
                    .expect("a process that was started");
                assert!(ended.is_none(), "nutcracker ended: {ended:?}");
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        Some(proxy)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Best effort: the test is over, and a failure here must not hide another.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn connect(address: Address) -> Client {
    Client::connect(address, ClientOptions::default()).expect("a connection")
}

/// Words, numbers, tags, and a fifth of the keys random bytes.
fn keys() -> Vec<Vec<u8>> {
    let mut random = Random::new(8);
    let mut keys: Vec<Vec<u8>> = (0..KEYS)
        .map(|i| match i % 5 {
            0 => {
                let len = 1 + random.below(40);
                (0..len).map(|_| random.number() as u8).collect()
            }
            1 => format!("user:{{{}}}:{i}", random.below(500)).into_bytes(),
            2 => format!("{i}").into_bytes(),
            3 => format!("a{{}}b{{{i}}}").into_bytes(),
            _ => format!("session/{:x}", random.number()).into_bytes(),
        })
        .collect();
    keys.sort();
    keys.dedup();
    keys
}

fn pools(addresses: &[String]) -> Vec<Pool> {
    let options = |distribution, hash| RingOptions {
        distribution,
        hash,
        hash_tag: None,
    };
    let named = || {
        ["anna", "berta", "clara", "dora", "emma"]
            .map(Node::new)
            .to_vec()
    };
    let weighted = |weights: [u32; 5]| {
        let nodes = named().into_iter().zip(weights);
        nodes.map(|(node, weight)| node.weighing(weight)).collect()
    };
    let mut pools = Vec::new();
    for hash in KeyHash::ALL
        .into_iter()
        .filter(|hash| *hash != KeyHash::Murmur3)
    {
        for distribution in [Distribution::Ketama, Distribution::Modula] {
            let name = format!("{distribution}-{hash}");
            pools.push(Pool::new(name, named(), options(distribution, hash)));
        }
    }
    let ketama = options(Distribution::Ketama, KeyHash::Fnv1a64);
    for (number, weights) in [[1, 2, 5, 1, 1], [3, 3, 3, 3, 3], [100, 1, 7, 50, 13]]
        .into_iter()
        .enumerate()
    {
        pools.push(Pool::new(
            format!("weights-{number}"),
            weighted(weights),
            ketama,
        ));
    }
    let modula = options(Distribution::Modula, KeyHash::Murmur);
    pools.push(Pool::new(
        "weights-modula",
        weighted([1, 2, 5, 1, 3]),
        modula,
    ));
    for (number, tag) in ["{}", "::", "/8"].into_iter().enumerate() {
        let hash_tag = Some(tag.parse().expect("a tag"));
        pools.push(Pool::new(
            format!("tag-{number}"),
            named(),
            RingOptions { hash_tag, ..ketama },
        ));
    }
    let by_address = addresses.iter().map(Node::new).collect();
    pools.push(Pool::new("addresses", by_address, ketama));
    pools
}

#[test]
fn keys_lie_where_twemproxy_puts_them() {
    let servers: Vec<Server> = (0..5).map(|_| Shape::THREADS.start()).collect();
    let addresses: Vec<String> = servers
        .iter()
        .map(|server| server.address().to_string())
        .collect();
    let pools = pools(&addresses);
    let Some(proxy) = Proxy::start(&pools, &addresses) else {
        println!("skipped: nutcracker is not installed");
        return;
    };
    let keys = keys();
    let mut backends: Vec<Client> = addresses
        .iter()
        .map(|address| connect(address.parse().expect("an address")))
        .collect();
    for pool in &pools {
        let mut client = connect(Address::Unix(pool.socket(&proxy.directory)));
        let requests: Vec<[&[u8]; 3]> = keys.iter().map(|key| [b"SET", &key[..], b""]).collect();
        let replies = client.pipeline(&requests).expect("the proxy answers");
        assert!(
            replies
                .iter()
                .all(|reply| *reply == Value::Status(b"OK".into()))
        );

        let ring = Ring::new(pool.options, pool.nodes.clone()).expect("a ring");
        let mut expected = vec![Vec::new(); backends.len()];
        for key in &keys {
            expected[ring.place(key).expect("a node")].push(key.clone());
        }
        for (backend, expected) in backends.iter_mut().zip(expected) {
            let Value::Array(found) = backend.command(&["KEYS", "*"]).expect("keys") else {
                panic!("KEYS gives an array");
            };
            let mut found: Vec<Vec<u8>> = found
                .into_iter()
                .map(|key| match key {
                    Value::Bulk(key) => key,
                    other => panic!("{other:?} is no key"),
                })
                .collect();
            found.sort();
            assert!(
                found == expected,
                "{}: {} keys here, {} expected",
                pool.name,
                found.len(),
                expected.len()
            );
            backend.command(&["FLUSHALL"]).expect("it is emptied");
        }
    }
}
