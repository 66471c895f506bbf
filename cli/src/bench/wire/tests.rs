//! Requests byte for byte; replies right, missing, wrong and cut anywhere.

use super::*;

const KEYS: u64 = 100;

fn new_wire(dialect: Dialect, sizes: &str, password: Option<&str>) -> Wire {
    let contents = Contents::new(KEYS, sizes.parse().unwrap(), None, password);
    Wire::new(dialect, contents, true)
}

fn check(wire: &Wire, pending: Pending, buf: &[u8]) -> Verdict {
    wire.check(pending, buf, &mut Progress::default()).unwrap()
}

/// The verdict when the reply arrives in two pieces, cut anywhere; and every first piece is incomplete.
fn cut_anywhere(wire: &Wire, pending: Pending, reply: &[u8]) -> Verdict {
    let whole = check(wire, pending, reply);
    for cut in 0..reply.len() {
        let mut progress = Progress::default();
        let first = wire.check(pending, &reply[..cut], &mut progress);
        assert_eq!(
            first,
            Ok(Verdict::Incomplete),
            "{}",
            reply[..cut].escape_ascii()
        );
        let more = [reply, b"behind"].concat();
        assert_eq!(
            wire.check(pending, &more, &mut progress),
            Ok(whole),
            "cut at {cut}"
        );
    }
    whole
}

fn value(wire: &Wire, key: u64) -> String {
    let (head, len, tail) = wire.contents.values.of(key);
    String::from_utf8([&head[..len], tail].concat()).unwrap()
}

fn sent(wire: &Wire, pending: Pending) -> String {
    let mut out = Vec::new();
    wire.request(pending, &mut out);
    String::from_utf8(out).unwrap()
}

fn right(reply: &[u8], misses: u64) -> Verdict {
    Verdict::Right {
        len: reply.len(),
        misses,
    }
}

#[test]
fn requests_as_they_go_over_the_wire() {
    let set = Pending {
        op: Op::Set,
        key: 7,
    };
    let get = Pending {
        op: Op::Get,
        key: 7,
    };
    let auth = Pending {
        op: Op::Auth,
        key: 0,
    };

    let wire = new_wire(Dialect::Resp, "20", Some("p w"));
    let bulk = value(&wire, 7);
    let expected = format!("*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000007\r\n$20\r\n{bulk}\r\n");
    assert_eq!(sent(&wire, set), expected);
    assert_eq!(
        sent(&wire, get),
        "*2\r\n$3\r\nGET\r\n$16\r\nkey:000000000007\r\n"
    );
    assert_eq!(sent(&wire, auth), "*2\r\n$4\r\nAUTH\r\n$3\r\np w\r\n");

    let wire = new_wire(Dialect::Text, "20", Some("p w"));
    assert_eq!(sent(&wire, set), format!("SET key:000000000007 {bulk}\n"));
    assert_eq!(sent(&wire, auth), "AUTH \"p w\"\n");
    let mget = sent(
        &wire,
        Pending {
            op: Op::MGet,
            key: KEYS - 1,
        },
    );
    assert!(
        mget.starts_with("MGET key:000000000099 key:000000000000 key:000000000001 "),
        "{mget}"
    );

    let wire = new_wire(Dialect::Memcached, "20", None);
    assert_eq!(
        sent(&wire, set),
        format!("set key:000000000007 0 0 20\r\n{bulk}\r\n")
    );
    assert_eq!(sent(&wire, get), "get key:000000000007\r\n");
}

#[test]
fn right_replies_however_they_are_cut() {
    for size in [1, 16, 40] {
        let pending = |op| Pending { op, key: 3 };
        let wire = new_wire(Dialect::Resp, &size.to_string(), None);
        let bulk = |key| format!("${size}\r\n{}\r\n", value(&wire, key)).into_bytes();
        assert_eq!(
            cut_anywhere(&wire, pending(Op::Set), b"+OK\r\n"),
            right(b"+OK\r\n", 0)
        );
        assert_eq!(
            cut_anywhere(&wire, pending(Op::Get), &bulk(3)),
            right(&bulk(3), 0)
        );
        assert_eq!(
            cut_anywhere(&wire, pending(Op::Get), b"$-1\r\n"),
            right(b"$-1\r\n", 1)
        );
        assert_eq!(
            cut_anywhere(&wire, pending(Op::Incr), b":-12\r\n"),
            right(b":-12\r\n", 0)
        );
        let mut many = b"*10\r\n".to_vec();
        for key in 3..13 {
            many.extend(if key % 3 == 0 {
                b"$-1\r\n".to_vec()
            } else {
                bulk(key)
            });
        }
        assert_eq!(
            cut_anywhere(&wire, pending(Op::MGet), &many),
            right(&many, 4)
        );

        let wire = new_wire(Dialect::Text, &size.to_string(), None);
        let line = format!("{}\n", value(&wire, 3)).into_bytes();
        assert_eq!(
            cut_anywhere(&wire, pending(Op::Get), &line),
            right(&line, 0)
        );
        assert_eq!(
            cut_anywhere(&wire, pending(Op::Get), b"NULL\n"),
            right(b"NULL\n", 1)
        );
        let many: Vec<String> = (3..13)
            .map(|key| {
                if key == 5 {
                    "null".into()
                } else {
                    format!("\"{}\"", value(&wire, key))
                }
            })
            .collect();
        let many = format!("[{}]\n", many.join(",")).into_bytes();
        assert_eq!(
            cut_anywhere(&wire, pending(Op::MGet), &many),
            right(&many, 1)
        );

        let wire = new_wire(Dialect::Memcached, &size.to_string(), None);
        let item = format!(
            "VALUE key:000000000003 0 {size}\r\n{}\r\nEND\r\n",
            value(&wire, 3)
        );
        assert_eq!(
            cut_anywhere(&wire, pending(Op::Get), item.as_bytes()),
            right(item.as_bytes(), 0)
        );
        assert_eq!(
            cut_anywhere(&wire, pending(Op::Get), b"END\r\n"),
            right(b"END\r\n", 1)
        );
    }
}

#[test]
fn other_replies_are_told_from_errors_and_skipped_whole() {
    let get = Pending {
        op: Op::Get,
        key: 3,
    };
    let set = Pending {
        op: Op::Set,
        key: 3,
    };
    let incr = Pending {
        op: Op::Incr,
        key: 3,
    };
    let resp = new_wire(Dialect::Resp, "4", None);
    let text = new_wire(Dialect::Text, "4", None);
    let memcached = new_wire(Dialect::Memcached, "4", None);
    let wrong: [(&Wire, Pending, &[u8]); 9] = [
        (&resp, get, b"$4\r\n....\r\n"),
        (&resp, get, b"$5\r\n.....\r\n"),
        (&resp, get, b"*2\r\n+a\r\n$-1\r\n"),
        (&resp, set, b"+QUEUED\r\n"),
        (&resp, incr, b":1x\r\n"),
        (&text, get, b"....\n"),
        (&text, incr, b"1.5\n"),
        (
            &memcached,
            get,
            b"VALUE key:000000000003 0 5\r\nEND\r\n\r\nEND\r\n",
        ),
        (&memcached, set, b"NOT_STORED\r\n"),
    ];
    for (wire, pending, reply) in wrong {
        assert_eq!(
            cut_anywhere(wire, pending, reply),
            Verdict::Wrong { len: reply.len() }
        );
    }
    let errors: [(&Wire, Pending, &[u8]); 4] = [
        (&resp, get, b"-ERR no\r\n"),
        (&resp, incr, b"-ERR no\r\n"),
        (&text, set, b"ERROR no\n"),
        (&memcached, set, b"SERVER_ERROR out of memory\r\n"),
    ];
    for (wire, pending, reply) in errors {
        assert_eq!(
            cut_anywhere(wire, pending, reply),
            Verdict::Error { len: reply.len() }
        );
    }
    let garbage = resp.check(get, b"hello\r\n", &mut Progress::default());
    assert_eq!(garbage, Err(DecodeError::UnknownType(b'h')));
}

#[test]
fn each_kind_of_request_and_its_replies() {
    let resp = new_wire(Dialect::Resp, "2", None);
    let text = new_wire(Dialect::Text, "2", None);
    let pending = |op| Pending { op, key: 1 };
    let [a, b, c, d, e] = [1, 2, 3, 4, 5].map(|key| value(&resp, key));
    let cases = [
        (Op::Ping, "PING".to_owned()),
        (Op::SetNx, format!("SETNX key:000000000001 {a}")),
        (
            Op::Sets,
            format!("SETS arr:000000000001 {a} {b} {c} {d} {e}"),
        ),
        (
            Op::SetX,
            format!("SETX obj:000000000001 f0 {a} f1 {b} f2 {c} f3 {d} f4 {e}"),
        ),
        (Op::Incr, "INCR ctr:000000000001".to_owned()),
    ];
    for (op, line) in cases {
        assert_eq!(sent(&text, pending(op)), format!("{line}\n"));
        assert_eq!(sent(&resp, pending(op)), as_resp(&line));
    }
    for (wire, replies) in [
        (&resp, [&b":1\r\n"[..], b":0\r\n"]),
        (&text, [b"OK\n", b"NOT_SET\n"]),
    ] {
        for reply in replies {
            assert_eq!(
                cut_anywhere(wire, pending(Op::SetNx), reply),
                right(reply, 0)
            );
        }
    }
    assert_eq!(
        cut_anywhere(&resp, pending(Op::SetNx), b":2\r\n"),
        Verdict::Wrong { len: 4 }
    );
}

/// A line of words without quotes as a RESP request.
fn as_resp(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let bulks: String = words
        .iter()
        .map(|word| format!("${}\r\n{word}\r\n", word.len()))
        .collect();
    format!("*{}\r\n{bulks}", words.len())
}

fn wire_with_ttl(dialect: Dialect, sizes: &str, ttl: &str) -> Wire {
    let ttl = Some(ttl.parse().unwrap());
    let contents = Contents::new(KEYS, sizes.parse().unwrap(), ttl, None);
    Wire::new(dialect, contents, true)
}

#[test]
fn times_to_live_as_each_server_takes_them() {
    for ttl in ["60", "1-5000"] {
        let [resp, text, memcached] = [Dialect::Resp, Dialect::Text, Dialect::Memcached]
            .map(|dialect| wire_with_ttl(dialect, "4", ttl));
        for key in 0..20 {
            let value = value(&resp, key);
            let millis = resp.contents.number(Number::Millis, key);
            let seconds = millis.div_ceil(1000);
            assert!(ttl != "60" || (millis, seconds) == (60_000, 60));
            let pending = |op| Pending { op, key };
            let name = format!("{key:012}");
            assert_eq!(
                sent(&resp, pending(Op::Set)),
                as_resp(&format!("SET key:{name} {value} PX {millis}"))
            );
            assert_eq!(
                sent(&resp, pending(Op::SetNx)),
                as_resp(&format!("SETNX key:{name} -t {millis}ms {value}"))
            );
            assert_eq!(
                sent(&text, pending(Op::Set)),
                format!("SET key:{name} -t {millis}ms {value}\n")
            );
            assert!(sent(&text, pending(Op::SetX)).contains(&format!(" -t {millis}ms f0 ")));
            // These take none.
            assert!(!sent(&text, pending(Op::MSet)).contains(" -t "));
            assert_eq!(
                sent(&memcached, pending(Op::Set)),
                format!("set key:{name} 0 {seconds} 4\r\n{value}\r\n")
            );
        }
    }
}

#[test]
fn sizes_that_differ_are_told_and_checked() {
    for sizes in ["1-200", "3,30,300"] {
        let [resp, text, memcached] = [Dialect::Resp, Dialect::Text, Dialect::Memcached]
            .map(|dialect| new_wire(dialect, sizes, None));
        for key in 0..20 {
            let (get, set) = (Pending { op: Op::Get, key }, Pending { op: Op::Set, key });
            let value = value(&resp, key);
            let name = format!("key:{key:012}");
            assert_eq!(sent(&resp, set), as_resp(&format!("SET {name} {value}")));
            let len = value.len();
            let bulk = format!("${len}\r\n{value}\r\n");
            assert_eq!(
                cut_anywhere(&resp, get, bulk.as_bytes()),
                right(bulk.as_bytes(), 0)
            );
            let line = format!("{value}\n");
            assert_eq!(
                cut_anywhere(&text, get, line.as_bytes()),
                right(line.as_bytes(), 0)
            );
            let item = format!("VALUE {name} 0 {len}\r\n{value}\r\nEND\r\n");
            assert_eq!(
                cut_anywhere(&memcached, get, item.as_bytes()),
                right(item.as_bytes(), 0)
            );
            // The right bytes, and one too many.
            let longer = format!("${}\r\n{value}x\r\n", len + 1);
            let wrong = Verdict::Wrong { len: longer.len() };
            assert_eq!(cut_anywhere(&resp, get, longer.as_bytes()), wrong);
        }
    }
}

#[test]
fn without_verification_only_errors_are_wrong() {
    let contents = Contents::new(KEYS, Sizes::of(4), None, None);
    let wire = Wire::new(Dialect::Resp, contents, false);
    let get = Pending {
        op: Op::Get,
        key: 3,
    };
    let other = b"$5\r\n.....\r\n";
    assert_eq!(cut_anywhere(&wire, get, other), right(other, 0));
    assert_eq!(cut_anywhere(&wire, get, b"$-1\r\n"), right(b"$-1\r\n", 1));
    assert_eq!(
        cut_anywhere(&wire, get, b"-ERR no\r\n"),
        Verdict::Error { len: 9 }
    );
}
