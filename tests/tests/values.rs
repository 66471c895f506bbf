//! Strings, arrays and objects: the text dialect's own rules, and values too large for one turn.

use ant_cache_tests::{Peer, request};

/// Sends lines and compares each reply.
fn talk(peer: &mut Peer, lines: &[(&str, &str)]) {
    for (line, reply) in lines {
        assert_eq!(peer.text(line), *reply, "{line}");
    }
}

#[test]
fn a_setter_replaces_value_type_and_time_to_live() {
    let mut peer = Peer::default();
    talk(
        &mut peer,
        &[
            ("SET k -t 10 several words  here", "OK"),
            ("GET k", "several words here"),
            ("TTL k", "10"),
            ("SETS k a b", "OK"),
            ("TYPE k", "array"),
            ("GET k", "[a b]"),
            ("TTL k", "-1"),
            ("SETX k -t 1m b 2 a 1 b 3", "OK"),
            ("TYPE k", "object"),
            ("GET k", r#"{"a":"1","b":"3"}"#),
            ("FETCH k", r#"{"a":"1","b":"3"}"#),
            ("TTL k", "60"),
            ("SET k v", "OK"),
            ("TYPE k", "string"),
            ("TTL k", "-1"),
        ],
    );
}

#[test]
fn a_setter_for_new_keys_leaves_others_alone() {
    let mut peer = Peer::default();
    talk(
        &mut peer,
        &[
            ("SETNX k -t 5s one", "OK"),
            ("SETSNX k a", "NOT_SET"),
            ("SETXNX k f v", "NOT_SET"),
            ("GET k", "one"),
            ("SETSNX array a", "OK"),
            ("SETXNX object f v", "OK"),
            ("SETNX array x", "NOT_SET"),
            ("GET array", "[a]"),
            ("GET object", r#"{"f":"v"}"#),
        ],
    );
    assert_eq!(peer.resp(&["SETSNX", "new", "-t", "5", "a"]), ":1\r\n");
    assert_eq!(peer.resp(&["SETXNX", "new", "f", "v"]), ":0\r\n");
    peer.pass(4_999);
    talk(
        &mut peer,
        &[("SETNX k two", "NOT_SET"), ("SETNX new x", "NOT_SET")],
    );
    peer.pass(1);
    talk(
        &mut peer,
        &[
            ("SETNX k two", "OK"),
            ("SETNX new x", "OK"),
            ("TTL k", "-1"),
        ],
    );
}

#[test]
fn a_time_to_live_stands_directly_behind_the_key() {
    let mut peer = Peer::default();
    talk(
        &mut peer,
        &[
            ("SET k -t", "OK"),
            ("GET k", "-t"),
            ("SETS k -t", "OK"),
            ("GET k", "[-t]"),
            ("SET k v -t 10", "OK"),
            ("GET k", "v -t 10"),
            ("SET k -t 1500ms v", "OK"),
            ("PTTL k", "1500"),
            (
                "SET k -t abc v",
                "ERROR invalid ttl value: invalid TTL format: abc",
            ),
            (
                "SET k -t 0 v",
                "ERROR invalid ttl value: invalid TTL format: 0",
            ),
            ("SET k -t 10", "ERROR SET requires key and value"),
            ("SETNX k -t 10", "ERROR SETNX requires key and value"),
            (
                "SETS k -t 10",
                "ERROR SETS requires key and at least one array element",
            ),
            (
                "SETSNX k -t 10",
                "ERROR SETSNX requires key and at least one array element",
            ),
            (
                "SETX k -t 10",
                "ERROR SETX requires key and at least one key-value pair",
            ),
            (
                "SETX k -t 10 f",
                "ERROR SETX requires key and at least one key-value pair",
            ),
            (
                "SETX k f",
                "ERROR SETX requires key and at least one key-value pair",
            ),
            (
                "SETX k f v g",
                "ERROR SETX requires even number of arguments for key-value pairs",
            ),
            (
                "SETXNX k -t 9 f v g",
                "ERROR SETXNX requires even number of arguments for key-value pairs",
            ),
            ("PTTL k", "1500"),
        ],
    );
    assert_eq!(
        peer.resp(&["SETX", "k", "f", "v", "g"]),
        "-ERR SETX requires even number of arguments for key-value pairs\r\n"
    );
    assert_eq!(
        peer.resp(&["SETS", "k", "-t", "10"]),
        "-ERR wrong number of arguments for 'sets' command\r\n"
    );
    // Redis's own meaning of these words stays.
    assert_eq!(peer.resp(&["SET", "k", "-t", "EX", "10"]), "+OK\r\n");
    assert_eq!(peer.resp(&["GET", "k"]), "$2\r\n-t\r\n");
}

#[test]
fn keys_are_deleted_and_expire_by_name() {
    let mut peer = Peer::default();
    talk(
        &mut peer,
        &[
            ("MSET a 1 b 2 c 3", "OK"),
            ("DEL a", "OK"),
            ("DEL a", "NOT_FOUND"),
            ("DEL a b c", "2"),
            ("KEYS", "EMPTY"),
            ("SET k v", "OK"),
            ("EXPIRE k 2m", "OK"),
            ("TTL k", "120"),
            ("EXPIRE none 2m", "NOT_FOUND"),
            (
                "EXPIRE k -1",
                "ERROR invalid ttl value: invalid TTL format: -1",
            ),
            (
                "EXPIRE k 1 NX",
                "ERROR wrong number of arguments for 'expire' command",
            ),
            ("PERSIST k", "OK"),
            ("PERSIST k", "OK"),
            ("PERSIST none", "NOT_FOUND"),
            ("TTL k", "-1"),
            ("TTL none", "-2"),
            ("KEYS", "k"),
            (
                "KEYS ? extra",
                "ERROR wrong number of arguments for 'keys' command",
            ),
            ("RENAME k other", "OK"),
            ("KEYS *", "other"),
            ("TYPE k", "none"),
            ("PEXPIRE other 5", "1"),
        ],
    );
    peer.pass(5);
    talk(
        &mut peer,
        &[
            ("GET other", "NULL"),
            ("KEYS *", "EMPTY"),
            ("EXISTS other", "0"),
        ],
    );
}

#[test]
fn array_elements_and_keys_are_quoted_where_they_must_be() {
    let mut peer = Peer::default();
    peer.resp(&["SETS", "k", "", "a b", "[x]", "plain", "\r\n"]);
    peer.resp(&["SET", "two words", "v"]);
    assert_eq!(peer.text("GET k"), r#"["" "a b" "[x]" plain "\r\n"]"#);
    assert_eq!(peer.text("KEYS t*"), r#""two words""#);
    let random = peer.text("RANDOMKEY");
    assert!(random == "k" || random == r#""two words""#, "{random}");
}

/// The replies to one request, with turns of this budget; and how many turns they took.
fn replies(peer: &mut Peer, words: &[&str], budget: i32) -> (Vec<u8>, usize) {
    peer.set_budget(budget);
    peer.arrive(&request(words));
    let (mut reply, mut turns) = (Vec::new(), 0);
    loop {
        reply.extend(peer.turn());
        turns += 1;
        if peer.wants().read {
            return (reply, turns);
        }
    }
}

#[test]
fn large_values_are_sent_in_slices() {
    const COUNT: usize = 50_000;
    let mut peer = Peer::default();
    let elements: Vec<String> = (0..COUNT)
        .map(|number| format!("element {number}"))
        .collect();
    let mut words = vec!["SETS", "array"];
    words.extend(elements.iter().map(String::as_str));
    assert_eq!(peer.resp(&words), "+OK\r\n");
    words[0] = "SETX";
    words[1] = "object";
    assert_eq!(peer.resp(&words), "+OK\r\n");
    words[0] = "HMGET";
    for version in ["2", "3"] {
        peer.resp(&["HELLO", version]);
        let requests: [&[&str]; 8] = [
            &["LRANGE", "array", "0", "-1"],
            &["LRANGE", "array", "17", "40000"],
            &["HGETALL", "object"],
            &["HKEYS", "object"],
            &["HVALS", "object"],
            &["FETCH", "array"],
            &["FETCH", "object"],
            &words,
        ];
        for request in requests {
            let (whole, one) = replies(&mut peer, request, i32::MAX);
            let (pieces, many) = replies(&mut peer, request, 100);
            assert!(whole == pieces, "{version} {:?}", &request[..2]);
            // A megabyte that is not yet sent ends a turn too.
            assert!(
                one < 4 && many > 20,
                "{one} and {many} turns for {:?}",
                &request[..2]
            );
        }
    }
}

#[test]
fn large_values_are_sent_in_slices_of_text() {
    let mut peer = Peer::default();
    let mut line = String::from("SETX object");
    for number in (0..5_000).rev() {
        line += &format!(" field{number:05} {number}");
    }
    assert_eq!(peer.text(&line), "OK");
    peer.set_budget(1);
    let text = peer.text("GET object");
    assert!(
        text.starts_with(r#"{"field00000":"0","field00001":"1","#),
        "{}",
        &text[..60]
    );
    assert!(text.ends_with(r#","field04999":"4999"}"#));
    assert_eq!(text.matches(':').count(), 5_000);
}

#[test]
fn a_value_that_is_being_sent_does_not_change() {
    let mut peer = Peer::default();
    let elements = vec!["old"; 10_000];
    let array = |words: &[&'static str]| [&["SETS", "k"], words].concat();
    peer.resp(&array(&elements));
    let mut writer = peer.join();
    peer.set_budget(1);
    peer.arrive(&request(&["LRANGE", "k", "0", "-1"]));
    let mut reply = peer.turn();
    assert!(peer.wants().again);
    writer.resp(&array(&["new"; 3]));
    while !peer.wants().read {
        reply.extend(peer.turn());
    }
    let reply = String::from_utf8(reply).expect("UTF-8");
    assert_eq!(
        reply,
        format!("*10000\r\n{}", "$3\r\nold\r\n".repeat(10_000))
    );
    assert_eq!(writer.resp(&["LLEN", "k"]), ":3\r\n");
}

#[test]
fn many_keys_are_served_in_slices() {
    const COUNT: usize = 20_000;
    let mut peer = Peer::default();
    let keys: Vec<String> = (0..COUNT).map(|number| format!("key:{number}")).collect();
    let mut pairs = vec!["MSET"];
    for key in &keys {
        pairs.extend([key.as_str(), "v"]);
    }
    assert_eq!(peer.resp(&pairs), "+OK\r\n");
    let with = |name: &'static str| {
        let mut words = vec![name];
        words.extend(keys.iter().map(String::as_str));
        words
    };
    let count = format!(":{COUNT}\r\n").into_bytes();
    for (name, expected) in [
        ("EXISTS", count.clone()),
        (
            "MGET",
            format!("*{COUNT}\r\n{}", "$1\r\nv\r\n".repeat(COUNT)).into_bytes(),
        ),
        ("DEL", count),
        ("EXISTS", b":0\r\n".to_vec()),
    ] {
        let (reply, turns) = replies(&mut peer, &with(name), 200);
        assert!(reply == expected, "{name}");
        // Every turn gets on: the number of words is not paid again in each.
        assert!((20..400).contains(&turns), "{turns} turns of {name}");
    }
    assert_eq!(peer.service().store().len(), 0);
}
