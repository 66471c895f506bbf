use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::place::{Placement, jump};
use super::*;

/// The twelve hashes of twemproxy over four keys. Computed by its own functions (`src/hashkit/nc_*.c` of version
/// 0.5.0), compiled by gcc for x86-64.
const TWEMPROXY: [(&str, [u32; 4]); 12] = [
    (
        "fnv1a_64",
        [0x8601_ec8c, 0xf739_67e8, 0x1987_984c, 0x66fa_165e],
    ),
    (
        "fnv1a_32",
        [0xe40c_292c, 0xbf9c_f968, 0xdc02_398c, 0x80b7_1f9e],
    ),
    (
        "fnv1_64",
        [0x8601_b7be, 0xa4dd_a9c2, 0xce28_04c6, 0xc53f_0ddc],
    ),
    (
        "fnv1_32",
        [0x050c_5d7e, 0x31f0_b262, 0xadc7_c266, 0x5a7f_c0bc],
    ),
    (
        "murmur",
        [0x4b41_757c, 0xabec_ff17, 0x666c_aeaf, 0x9d61_47e5],
    ),
    ("md5", [0xb975_c10c, 0x22f6_5838, 0x8482_c88b, 0x6131_f08e]),
    (
        "crc16",
        [0x0000_7c87, 0x9eff_b025, 0xbe60_a5ef, 0x5e5b_b1f1],
    ),
    (
        "crc32",
        [0x0000_68b7, 0x0000_1ef6, 0x0000_3cfe, 0x0000_1923],
    ),
    (
        "crc32a",
        [0xe8b7_be43, 0x9ef6_1f95, 0x3cfe_93b8, 0x9923_96b7],
    ),
    (
        "hsieh",
        [0x9364_2e87, 0x07a5_862c, 0x0c5f_c188, 0x54b5_ea9f],
    ),
    (
        "jenkins",
        [0xe0a3_8690, 0x0fdd_8b60, 0x1ab8_67b2, 0x1e74_eab0],
    ),
    (
        "one_at_a_time",
        [0xca2e_9442, 0xf952_fde7, 0x5554_a59f, 0x25fc_fe15],
    ),
];

const HASHED: [&[u8]; 4] = [
    b"a",
    b"foobar",
    b"Four score and seven years ago",
    b"\xff\x80\x01\x7f\xc3\xe9\xfe\x9a\xd5\xbb\xaa\xf0\x91\x88\x87",
];

#[test]
fn hashes_are_twemproxy_s() {
    for (name, expected) in TWEMPROXY {
        let hash: KeyHash = name.parse().unwrap();
        assert_eq!(HASHED.map(|key| hash.of(key)), expected, "{name}");
    }
}

#[test]
fn hashes_of_the_published_vectors() {
    assert_eq!(KeyHash::Murmur3.of(b""), 0);
    assert_eq!(KeyHash::Murmur3.of(b"test"), 0xba6b_d213);
    assert_eq!(KeyHash::Murmur3.of(b"Hello, world!"), 0xc036_3e43);
    let fox = b"The quick brown fox jumps over the lazy dog";
    assert_eq!(KeyHash::Murmur3.of(fox), 0x2e4f_f723);
    assert_eq!(KeyHash::OneAtATime.of(fox), 0x519e_91f5);
    // Two bytes still fit into 16 bits.
    assert_eq!(KeyHash::Crc16.of(b"123456789") & 0xffff, 0x31c3);
}

#[test]
fn jumps_of_the_published_vectors() {
    for (key, buckets, bucket) in [
        (1, 1, 0),
        (42, 57, 43),
        (0xdead_10cc, 666, 361),
        (256, 1024, 520),
    ] {
        assert_eq!(jump(key, buckets), bucket, "{key} {buckets}");
    }
}

fn options(distribution: Distribution) -> RingOptions {
    RingOptions {
        distribution,
        hash: KeyHash::Murmur3,
        hash_tag: None,
    }
}

fn ring(distribution: Distribution, weights: &[u32]) -> Ring {
    let node = |(i, weight): (usize, &u32)| Node::new(format!("node-{i}")).weighing(*weight);
    Ring::new(options(distribution), weights.iter().enumerate().map(node)).unwrap()
}

const KEYS: usize = 20_000;

/// For each of many keys the name of its node.
fn homes(ring: &Ring) -> Vec<String> {
    let home = |key: usize| {
        let number = ring.place(format!("user:{key}").as_bytes()).unwrap();
        ring.nodes()[number].name().into()
    };
    (0..KEYS).map(home).collect()
}

/// How many keys each node has, by number.
fn shares(ring: &Ring) -> Vec<usize> {
    let mut shares = vec![0; ring.nodes().len()];
    for name in homes(ring) {
        shares[ring.position(&name).unwrap()] += 1;
    }
    shares
}

const CONSISTENT: [Distribution; 3] = [
    Distribution::Ketama,
    Distribution::Rendezvous,
    Distribution::Jump,
];

#[test]
fn each_node_has_its_share() {
    for distribution in Distribution::ALL {
        let weights = [1, 2, 5, 1, 3];
        // Of 160 points a node: the shares spread by a twelfth.
        let tolerance = if distribution == Distribution::Ketama {
            0.4
        } else {
            0.08
        };
        for (number, share) in shares(&ring(distribution, &weights))
            .into_iter()
            .enumerate()
        {
            let due = KEYS as f64 * f64::from(weights[number]) / 12.0;
            let off = (share as f64 - due).abs() / due;
            assert!(
                off < tolerance,
                "{distribution}: node {number} has {share}, not {due}"
            );
        }
    }
}

#[test]
fn a_new_node_takes_its_share_and_nothing_else_moves() {
    for distribution in CONSISTENT {
        let mut ring = ring(distribution, &[1; 9]);
        let before = homes(&ring);
        let number = ring.add(Node::new("new")).unwrap();
        assert_eq!(number, 9);
        let after = homes(&ring);
        let moved = before
            .iter()
            .zip(&after)
            .filter(|(before, after)| before != after);
        let moved: Vec<_> = moved.map(|(_, after)| after).collect();
        assert!(moved.iter().all(|home| *home == "new"), "{distribution}");
        let share = moved.len() as f64 / KEYS as f64;
        assert!((0.08..0.125).contains(&share), "{distribution}: {share}");
    }
}

#[test]
fn a_node_that_goes_moves_only_its_own_keys() {
    for distribution in CONSISTENT {
        for gone in [0, 4, 8] {
            let mut ring = ring(distribution, &[1; 9]);
            let before = homes(&ring);
            let node = ring.remove(gone);
            for (before, after) in before.iter().zip(homes(&ring)) {
                assert_ne!(after, node.name());
                assert!(*before == after || before == node.name(), "{distribution}");
            }
            // They are spread over all.
            let fair = KEYS / 8;
            for share in shares(&ring) {
                assert!(
                    (fair * 3 / 4..fair * 5 / 4).contains(&share),
                    "{distribution}: {share}"
                );
            }
        }
    }
}

#[test]
fn an_ejected_node_is_as_one_removed_and_comes_back_to_its_keys() {
    for distribution in Distribution::ALL {
        let whole = ring(distribution, &[2, 1, 3, 1]);
        let (mut ejected, mut removed) = (whole.clone(), whole.clone());
        ejected.eject(2);
        removed.remove(2);
        assert!(ejected.is_ejected(2));
        assert_eq!(homes(&ejected), homes(&removed), "{distribution}");
        ejected.restore(2);
        assert_eq!(homes(&ejected), homes(&whole), "{distribution}");
    }
}

#[test]
fn without_live_nodes_no_key_has_a_place() {
    for distribution in Distribution::ALL {
        let mut ring = ring(distribution, &[]);
        assert_eq!(ring.place(b"k"), None);
        assert_eq!(ring.add(Node::new("only")), Ok(0));
        assert_eq!(ring.place(b"k"), Some(0));
        assert_eq!(ring.place(b""), Some(0));
        ring.eject(0);
        assert_eq!(ring.place(b"k"), None);
        ring.remove(0);
        assert_eq!(ring.place(b"k"), None);
    }
}

#[test]
fn equal_lists_place_alike_in_every_process_and_release() {
    let placed = |distribution| {
        let ring = ring(distribution, &[1, 2, 1, 1]);
        let keys = [
            "a",
            "user:1",
            "user:2",
            "{x}y",
            "zebra",
            "",
            "42",
            "0123456789abcdef",
        ];
        keys.map(|key| ring.place(key.as_bytes()).unwrap())
    };
    assert_eq!(Distribution::ALL.map(placed), GOLDEN);
}

/// What this very code placed when it was written: whoever changes it moves other people's keys.
const GOLDEN: [[usize; 8]; 4] = [
    [0, 2, 2, 0, 0, 0, 1, 0],
    [1, 1, 0, 1, 0, 1, 1, 1],
    [0, 3, 1, 0, 2, 2, 0, 0],
    [0, 0, 0, 2, 0, 0, 3, 0],
];

#[test]
fn points_are_as_many_as_twemproxy_has() {
    let points = |weights: &[u32]| {
        let ring = ring(Distribution::Ketama, weights);
        let Placement::Ketama(circle) = &ring.placement else {
            panic!("a ketama ring");
        };
        (0..weights.len())
            .map(|number| circle.points(number))
            .collect::<Vec<_>>()
    };
    assert_eq!(points(&[1; 3]), [160; 3]);
    assert_eq!(points(&[7; 25]), [156; 25]);
    assert_eq!(points(&[1, 2, 5]), [60, 120, 300]);
    // One that weighs next to nothing has none, and no keys.
    assert_eq!(points(&[1, 1_000]), [0, 316]);
}

#[test]
fn keys_with_the_same_tag_are_together() {
    let options = RingOptions {
        hash_tag: Some("<>".parse().unwrap()),
        ..options(Distribution::Ketama)
    };
    let nodes = (0..5).map(|i| Node::new(i.to_string()));
    let ring = Ring::new(options, nodes).unwrap();
    for i in 0..100 {
        assert_eq!(
            ring.place(format!("{i}<42>{i}").as_bytes()),
            ring.place(b"42")
        );
    }
    let tag: HashTag = "$$".parse().unwrap();
    for (key, part) in [
        ("a$b$c", "b"),
        ("a$$b$c", "a$$b$c"),
        ("a$b", "a$b"),
        ("", ""),
        ("$", "$"),
    ] {
        assert_eq!(tag.part(key.as_bytes()), part.as_bytes());
    }
}

#[test]
fn what_makes_no_ring_is_named() {
    let make = |nodes: Vec<Node>| Ring::new(RingOptions::default(), nodes).map(|_| ());
    let long = "x".repeat(256);
    for (nodes, error) in [
        (
            vec![Node::new("a"), Node::new("a")],
            "two nodes are called 'a'",
        ),
        (
            vec![Node::new("a").weighing(0)],
            "the weight of node 'a' is 0",
        ),
        (vec![Node::new("")], "a node needs a name"),
        (
            vec![Node::new(long)],
            "a node's name has 256 bytes, more than 255",
        ),
    ] {
        assert_eq!(make(nodes).unwrap_err().to_string(), error);
    }
    let error = "sha1".parse::<KeyHash>().unwrap_err().to_string();
    assert!(
        error.starts_with("there is no hash 'sha1'; there are fnv1a_64, "),
        "{error}"
    );
    let error = "random".parse::<Distribution>().unwrap_err().to_string();
    assert_eq!(
        error,
        "there is no distribution 'random'; there are ketama, rendezvous, jump, modula"
    );
    let error = "{".parse::<HashTag>().unwrap_err().to_string();
    assert_eq!(error, "'{' is no hash tag: two bytes, such as {}");
}

#[test]
fn a_node_that_is_refused_changes_nothing() {
    let mut ring = ring(Distribution::Jump, &[1, 1]);
    let before = homes(&ring);
    assert!(ring.add(Node::new("node-1")).is_err());
    assert!(ring.add(Node::new("b").weighing(0)).is_err());
    assert_eq!(ring.nodes().len(), 2);
    assert_eq!(homes(&ring), before);
}

#[derive(Clone, Debug)]
enum Change {
    Add(u32),
    Remove(usize),
    Eject(usize),
    Restore(usize),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change = prop_oneof![
        (1..4_u32).prop_map(Change::Add),
        any::<usize>().prop_map(Change::Remove),
        any::<usize>().prop_map(Change::Eject),
        any::<usize>().prop_map(Change::Restore),
    ];
    proptest::collection::vec(change, 1..30)
}

proptest! {
    /// However nodes come and go: a key has a live node while there is one, and moves only to a node that has come or
    /// from one that has gone.
    #[test]
    fn keys_move_only_where_they_must(distribution in 0..3_usize, changes in changes()) {
        let mut ring = ring(CONSISTENT[distribution], &[1, 1, 2]);
        let mut count = 3;
        let keys: Vec<_> = (0..64).map(|key| format!("key {key}")).collect();
        let name = |ring: &Ring, key: &String| {
            ring.place(key.as_bytes()).map(|number| ring.nodes()[number].name().to_string())
        };
        let mut before: Vec<_> = keys.iter().map(|key| name(&ring, key)).collect();
        for change in changes {
            let len = ring.nodes().len();
            // The node that comes or goes; nothing if the change is none.
            let (comes, node) = match change {
                Change::Add(weight) => {
                    count += 1;
                    let name = format!("node-{}", count - 1);
                    ring.add(Node::new(name.clone()).weighing(weight)).unwrap();
                    (true, Some(name))
                }
                _ if len == 0 => (true, None),
                Change::Remove(i) => (false, Some(ring.remove(i % len).name().to_string())),
                Change::Eject(i) => {
                    ring.eject(i % len);
                    (false, Some(ring.nodes()[i % len].name().to_string()))
                }
                Change::Restore(i) => {
                    ring.restore(i % len);
                    (true, Some(ring.nodes()[i % len].name().to_string()))
                }
            };
            let after: Vec<_> = keys.iter().map(|key| name(&ring, key)).collect();
            let live = (0..ring.nodes().len()).any(|number| !ring.is_ejected(number));
            // Where the weights' mean changes, ketama's nodes get other numbers of points; where the last slots are
            // given up, jump moves the keys that others kept for them.
            let exact = ring.options().distribution == Distribution::Rendezvous;
            for (before, after) in before.iter().zip(&after) {
                prop_assert_eq!(after.is_some(), live);
                if let Some(after) = after {
                    let number = ring.position(after).unwrap();
                    prop_assert!(!ring.is_ejected(number));
                }
                if exact && before != after && before.is_some() && after.is_some() {
                    let cause = if comes { after } else { before };
                    prop_assert_eq!(cause, &node);
                }
            }
            before = after;
        }
    }

    /// The circle against a search through all points.
    #[test]
    fn ketama_takes_the_next_point(weights in proptest::collection::vec(1..5_u32, 2..6), hash: u32) {
        let ring = ring(Distribution::Ketama, &weights);
        let total: u32 = weights.iter().sum();
        let mut best: Option<(u32, usize)> = None;
        for (number, weight) in weights.iter().enumerate() {
            let share = *weight as f32 / total as f32;
            let fours = (share * 160.0 / 4.0 * weights.len() as f32).floor() as u32;
            for four in 0..fours {
                let digest = md5::compute(format!("node-{number}-{four}")).0;
                for word in digest.chunks(4) {
                    let point = u32::from_le_bytes(word.try_into().unwrap());
                    // How far ahead of the hash, around the circle.
                    let ahead = point.wrapping_sub(hash);
                    if best.is_none_or(|(nearest, _)| ahead < nearest) {
                        best = Some((ahead, number));
                    }
                }
            }
        }
        prop_assert_eq!(ring.placement.node(hash), best.map(|(_, number)| number));
    }
}
