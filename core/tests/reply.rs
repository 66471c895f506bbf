//! Each kind of reply in each wire, to the byte.

use ant_cache_core::protocol::{Eol, Parsed, Parser, RequestLimits};
use ant_cache_core::reply::{Reply, Shape, Wire};
use ant_cache_core::{Blob, Output};
use proptest::collection::vec;
use proptest::prelude::*;

const LF: Wire = Wire::Text(Eol::Lf);
const CRLF: Wire = Wire::Text(Eol::CrLf);

/// What `write` writes in `wire`.
fn encode(wire: Wire, write: impl FnOnce(&mut Reply)) -> Vec<u8> {
    let mut output = Output::new();
    write(&mut Reply::new(&mut output, wire));
    assert_eq!(output.len(), output.to_vec().len());
    output.to_vec()
}

#[track_caller]
fn check(write: impl Fn(&mut Reply), text: &str, resp2: &str, resp3: &str) {
    for (wire, expected) in [
        (LF, format!("{text}\n")),
        (CRLF, format!("{text}\r\n")),
        (Wire::Resp2, resp2.to_string()),
        (Wire::Resp3, resp3.to_string()),
    ] {
        let bytes = encode(wire, &write);
        assert_eq!(
            bytes,
            expected.as_bytes(),
            "{wire:?}: {:?}",
            String::from_utf8_lossy(&bytes)
        );
    }
}

/// The same in all wires of RESP.
#[track_caller]
fn check_alike(write: impl Fn(&mut Reply), text: &str, resp: &str) {
    check(write, text, resp, resp);
}

#[test]
fn simple_replies() {
    check_alike(|r| r.ok(), "OK", "+OK\r\n");
    check_alike(|r| r.status("NOT_SET"), "NOT_SET", "+NOT_SET\r\n");
    check_alike(|r| r.raw_line(b"\"a b\""), "\"a b\"", "+\"a b\"\r\n");
    check(|r| r.null(), "NULL", "$-1\r\n", "_\r\n");
    check(|r| r.null_array(), "NULL", "*-1\r\n", "_\r\n");
    for value in [0, 9, 10, 255, 256, -1, i64::MIN, i64::MAX] {
        check_alike(
            |r| r.integer(value),
            &format!("{value}"),
            &format!(":{value}\r\n"),
        );
    }
    check_alike(|r| r.bool(true), "1", ":1\r\n");
    check_alike(|r| r.bool(false), "0", ":0\r\n");
    check(|r| r.double(2.5), "2.5", "$3\r\n2.5\r\n", ",2.5\r\n");
    check(
        |r| r.double(f64::INFINITY),
        "inf",
        "$3\r\ninf\r\n",
        ",inf\r\n",
    );
}

#[test]
fn errors_are_one_line_without_the_general_code_in_text() {
    check_alike(
        |r| r.error("ERR syntax error"),
        "ERROR syntax error",
        "-ERR syntax error\r\n",
    );
    check_alike(
        |r| r.error("WRONGTYPE no"),
        "ERROR WRONGTYPE no",
        "-WRONGTYPE no\r\n",
    );
    check_alike(
        |r| r.error(format_args!("ERR a\r\n{}", "b")),
        "ERROR a  b",
        "-ERR a  b\r\n",
    );
    check_alike(|r| r.error("ERR"), "ERROR ERR", "-ERR\r\n");
    assert_eq!(
        encode(Wire::Resp2, |r| r.error_bytes(b"ERR '\xff\n'")),
        b"-ERR '\xff '\r\n"
    );
    check_alike(
        |r| {
            r.array_json(1);
            r.error("ERR a\nb");
        },
        r#"["ERROR a\nb"]"#,
        "*1\r\n-ERR a b\r\n",
    );
}

#[test]
fn verbatim_text_keeps_its_lines() {
    let info = "# Server\r\nversion:1\r\n\nlast";
    let write = |r: &mut Reply| r.verbatim(info);
    assert_eq!(encode(LF, write), b"# Server\nversion:1\n\nlast\nEND\n");
    assert_eq!(
        encode(CRLF, write),
        b"# Server\r\nversion:1\r\n\r\nlast\r\nEND\r\n"
    );
    assert_eq!(
        encode(Wire::Resp2, write),
        format!("$26\r\n{info}\r\n").as_bytes()
    );
    assert_eq!(
        encode(Wire::Resp3, write),
        format!("=30\r\ntxt:{info}\r\n").as_bytes()
    );
    assert_eq!(encode(LF, |r| r.verbatim("")), b"END\n");
}

#[test]
fn strings_of_every_length() {
    for len in [0, 1, 9, 10, 16, 99, 100, 1000, 70_000] {
        let text = "x".repeat(len);
        let resp = format!("${len}\r\n{text}\r\n");
        check_alike(|r| r.bulk(text.as_bytes()), &text, &resp);
        let blob = Blob::new(text.clone().into_bytes());
        check_alike(|r| r.blob(&blob), &text, &resp);
    }
    let blob = Blob::new(b"0123456789".to_vec());
    check_alike(|r| r.blob_range(&blob, 2..5), "234", "$3\r\n234\r\n");
    check_alike(|r| r.blob_range(&blob, 3..3), "", "$0\r\n\r\n");
}

#[test]
fn a_string_is_quoted_only_where_a_line_cannot_hold_it() {
    let text = |value: &str| String::from_utf8(encode(LF, |r| r.bulk(value.as_bytes()))).unwrap();
    for bare in ["a b", "", "it's [1]", "a\"b", "\t\0", "back\\slash", "é"] {
        assert_eq!(text(bare), format!("{bare}\n"));
    }
    assert_eq!(text("a\nb"), "\"a\\nb\"\n");
    assert_eq!(text("\r"), "\"\\r\"\n");
    assert_eq!(text("\"a\\b\t'\x01\x7f"), "\"\\\"a\\\\b\\t'\\x01\\x7f\"\n");
    let value = ["a\n", &"b".repeat(5000)].concat();
    let blob = Blob::new(value.clone().into_bytes());
    let quoted = value.replace('\n', "\\n");
    assert_eq!(
        encode(LF, |r| r.blob(&blob)),
        format!("\"{quoted}\"\n").as_bytes()
    );
}

/// The values, as one array of `shape`.
fn aggregate(r: &mut Reply, shape: Shape, values: &[&str]) {
    match shape {
        Shape::Words { empty } => r.words(values.len(), empty),
        Shape::JsonArray => r.array_json(values.len()),
        Shape::Map => r.map(values.len() / 2),
        Shape::Set => r.set(values.len()),
        Shape::Push => r.push(values.len()),
        Shape::Array => r.array(values.len()),
    }
    for value in values {
        r.bulk(value.as_bytes());
    }
}

const SHAPES: [Shape; 6] = [
    Shape::Array,
    Shape::JsonArray,
    Shape::Words { empty: "EMPTY" },
    Shape::Map,
    Shape::Set,
    Shape::Push,
];

#[test]
fn aggregates() {
    let values = ["a", "1", "", "b c"];
    let elements = "$1\r\na\r\n$1\r\n1\r\n$0\r\n\r\n$3\r\nb c\r\n";
    let array = format!("*4\r\n{elements}");
    for (shape, text, kind, empty, empty_kind) in [
        (Shape::Array, r#"[a 1 "" "b c"]"#, "*4", "[]", "*0"),
        (Shape::JsonArray, r#"["a","1","","b c"]"#, "*4", "[]", "*0"),
        (
            Shape::Words { empty: "EMPTY" },
            r#"a 1 "" "b c""#,
            "*4",
            "EMPTY",
            "*0",
        ),
        (Shape::Map, r#"{"a":"1","":"b c"}"#, "%2", "{}", "%0"),
        (Shape::Set, r#"[a 1 "" "b c"]"#, "~4", "[]", "~0"),
        (Shape::Push, r#"[a 1 "" "b c"]"#, ">4", "[]", ">0"),
    ] {
        check(
            |r| aggregate(r, shape, &values),
            text,
            &array,
            &format!("{kind}\r\n{elements}"),
        );
        check(
            |r| aggregate(r, shape, &[]),
            empty,
            "*0\r\n",
            &format!("{empty_kind}\r\n"),
        );
    }
}

#[test]
fn elements_that_need_quotes() {
    let text = |values: &[&str]| {
        String::from_utf8(encode(LF, |r| aggregate(r, Shape::Array, values))).unwrap()
    };
    assert_eq!(
        text(&["it's", "a[", "]", "\"", "\x7f", "é(x){y}\\"]),
        "[\"it's\" \"a[\" \"]\" \"\\\"\" \"\\x7f\" é(x){y}\\]\n"
    );
}

#[test]
fn json_is_valid_whatever_was_stored() {
    let json = |value: &[u8]| {
        String::from_utf8(encode(LF, |r| {
            r.map(1);
            r.bulk(value);
            r.blob(&Blob::new(value.to_vec()));
        }))
        .unwrap()
    };
    let long = "x".repeat(5000);
    for (value, expected) in [
        (long.as_bytes(), long.as_str()),
        (&b"a\"b\\c/\x7f"[..], "a\\\"b\\\\c/\x7f"),
        (b"\n\r\t\x08\0", "\\n\\r\\t\\u0008\\u0000"),
        ("é€😀".as_bytes(), "é€😀"),
        (b"\xffa\xc3", "\\u00ffa\\u00c3"),
        (b"\xe2\x82", "\\u00e2\\u0082"),
    ] {
        assert_eq!(json(value), format!("{{\"{expected}\":\"{expected}\"}}\n"));
    }
    let mixed = encode(LF, |r| {
        r.map(2);
        r.integer(1);
        r.null();
        r.null();
        r.double(f64::INFINITY);
    });
    assert_eq!(
        mixed,
        br#"{"1":null,"null":"inf"}
"#
    );
}

#[test]
fn nested_aggregates() {
    check(
        |r| {
            r.array(3);
            r.bulk(b"0");
            r.array(2);
            r.null();
            r.array(0);
            r.map(1);
            r.bulk(b"k");
            r.words(2, "EMPTY");
            r.integer(1);
            r.words(0, "EMPTY");
        },
        r#"[0 [NULL []] {"k":[1,[]]}]"#,
        "*3\r\n$1\r\n0\r\n*2\r\n$-1\r\n*0\r\n*2\r\n$1\r\nk\r\n*2\r\n:1\r\n*0\r\n",
        "*3\r\n$1\r\n0\r\n*2\r\n_\r\n*0\r\n%1\r\n$1\r\nk\r\n*2\r\n:1\r\n*0\r\n",
    );
}

/// Strings of bytes that mean something somewhere.
fn strings() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let byte = prop_oneof![
        any::<u8>(),
        proptest::sample::select(&b"\r\n\t \"'\\[],{}"[..])
    ];
    vec(vec(byte, 0..8), 0..10)
}

fn wires() -> impl Strategy<Value = Wire> {
    proptest::sample::select(vec![LF, CRLF, Wire::Resp2, Wire::Resp3])
}

/// The tokens that the parser of requests sees in a line, behind a command.
fn tokens(line: Vec<u8>) -> Vec<Vec<u8>> {
    let mut line = [&b"SETS "[..], &line].concat();
    let mut spans = Vec::new();
    let limits = RequestLimits {
        bytes: 1 << 20,
        args: 1 << 10,
    };
    match Parser::default().next(&mut line, &mut spans, limits) {
        Parsed::Request(_) => spans[1..]
            .iter()
            .map(|span| span.of(&line).to_vec())
            .collect(),
        other => panic!("{other:?}"),
    }
}

proptest! {
    #[test]
    fn words_are_read_back_by_the_parser(strings in strings()) {
        let line = encode(LF, |r| {
            r.words(strings.len(), "EMPTY");
            strings.iter().for_each(|string| r.bulk(string));
        });
        let expected = if strings.is_empty() { vec![b"EMPTY".to_vec()] } else { strings };
        prop_assert_eq!(tokens(line), expected);
    }

    #[test]
    fn a_quoted_line_is_read_back_by_the_parser(string in vec(any::<u8>(), 0..20)) {
        let string = [b"\"", &string[..]].concat();
        prop_assert_eq!(tokens(encode(CRLF, |r| r.bulk(&string))), [string]);
    }

    #[test]
    fn a_line_is_one_line(strings in strings(), shape in proptest::sample::select(&SHAPES[..])) {
        let line = encode(CRLF, |r| {
            let strings = &strings[..strings.len() & !1];
            r.array(2);
            match shape {
                Shape::Map => r.map(strings.len() / 2),
                _ => r.array(strings.len()),
            }
            strings.iter().for_each(|string| r.bulk(string));
            r.error_bytes(strings.first().map_or(&b""[..], |first| first));
        });
        prop_assert_eq!(line.iter().filter(|byte| matches!(byte, b'\r' | b'\n')).count(), 2);
        prop_assert!(line.ends_with(b"\r\n"));
    }

    /// Elements written beforehand, and replies that stop and go on, are the same bytes.
    #[test]
    fn bodies_and_parts_compose(
        wire in wires(),
        shape in proptest::sample::select(&SHAPES[..]),
        strings in strings(),
        nested in any::<bool>(),
    ) {
        let strings = &strings[..strings.len() & !1];
        let len = if shape == Shape::Map { strings.len() / 2 } else { strings.len() };
        let open = |r: &mut Reply| match shape {
            Shape::Words { empty } => r.words(len, empty),
            Shape::JsonArray => r.array_json(len),
            Shape::Map => r.map(len),
            Shape::Set => r.set(len),
            Shape::Push => r.push(len),
            Shape::Array => r.array(len),
        };
        // Around words there can be no brackets that the body would not know of.
        let nested = nested && !matches!(shape, Shape::Words { .. });
        let whole = encode(wire, |r| {
            if nested {
                r.array(1);
            }
            open(r);
            strings.iter().for_each(|string| r.bulk(string));
        });

        let mut body = Output::new();
        for pair in strings.chunks(2) {
            let mut elements = Reply::elements(&mut body, wire, shape);
            pair.iter().for_each(|string| elements.bulk(string));
        }
        let composed = encode(wire, |r| {
            if nested {
                r.array(1);
            }
            r.body(shape, len, &mut body);
        });
        prop_assert!(body.is_empty());
        prop_assert_eq!(&composed, &whole);

        let mut output = Output::new();
        let mut reply = Reply::new(&mut output, wire);
        if nested {
            reply.array(1);
        }
        open(&mut reply);
        let mut nesting = reply.suspend();
        for string in strings {
            let mut reply = Reply::resume(&mut output, wire, nesting);
            reply.bulk(string);
            nesting = reply.suspend();
        }
        prop_assert_eq!(output.to_vec(), whole);
    }
}

/// A value that needs no quotes goes out by reference.
#[test]
fn blobs_are_not_copied() {
    let blob = Blob::new(vec![b'v'; 5000]);
    for wire in [LF, Wire::Resp2, Wire::Resp3] {
        let mut output = Output::new();
        Reply::new(&mut output, wire).blob(&blob);
        let mut slices = [&b""[..]; 4];
        let used = output.slices(&mut slices);
        assert!(
            slices[..used]
                .iter()
                .any(|slice| slice.as_ptr() == blob.as_ptr()),
            "{wire:?}"
        );
    }
}
