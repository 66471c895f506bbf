//! Both decoders against each other, against an encoder written here, and at every split.

use crate::client::{DecodeError, Decoder, Kind, ReplyLimits, Scanner, SpanDecoder, Value};
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use proptest::prelude::*;

/// Writes a value as RESP 3.
fn write(value: &Value, out: &mut Vec<u8>) {
    let mut line = |kind: char, text: &[u8]| {
        out.push(kind as u8);
        out.extend_from_slice(text);
        out.extend_from_slice(b"\r\n");
    };
    match value {
        Value::Null => line('_', b""),
        Value::Status(text) => line('+', text),
        Value::Error(text) => line('-', text),
        Value::Integer(number) => line(':', format!("{number}").as_bytes()),
        Value::Double(number) => line(',', format!("{number}").as_bytes()),
        Value::Bool(flag) => line('#', if *flag { b"t" } else { b"f" }),
        Value::BigNumber(digits) => line('(', digits),
        Value::Bulk(bytes) => {
            line('$', format!("{}", bytes.len()).as_bytes());
            out.extend_from_slice(bytes);
            out.extend_from_slice(b"\r\n");
        }
        Value::Verbatim { format, text } => {
            line('=', format!("{}", text.len() + 4).as_bytes());
            out.extend_from_slice(format);
            out.push(b':');
            out.extend_from_slice(text);
            out.extend_from_slice(b"\r\n");
        }
        Value::Array(items) | Value::Set(items) | Value::Push(items) => {
            let kind = match value {
                Value::Array(_) => '*',
                Value::Set(_) => '~',
                _ => '>',
            };
            line(kind, format!("{}", items.len()).as_bytes());
            items.iter().for_each(|item| write(item, out));
        }
        Value::Map(pairs) => {
            line('%', format!("{}", pairs.len()).as_bytes());
            for (key, value) in pairs {
                write(key, out);
                write(value, out);
            }
        }
    }
}

fn kind(value: &Value) -> Kind {
    match value {
        Value::Null => Kind::Null,
        Value::Status(_) => Kind::Status,
        Value::Error(_) => Kind::Error,
        Value::Integer(_) => Kind::Integer,
        Value::Double(_) => Kind::Double,
        Value::Bool(_) => Kind::Bool,
        Value::BigNumber(_) => Kind::BigNumber,
        Value::Bulk(_) => Kind::Bulk,
        Value::Verbatim { .. } => Kind::Verbatim,
        Value::Array(_) => Kind::Array,
        Value::Set(_) => Kind::Set,
        Value::Push(_) => Kind::Push,
        Value::Map(_) => Kind::Map,
    }
}

pub(in crate::client) fn values() -> impl Strategy<Value = Value> {
    let line = || "[ -~]{0,12}".prop_map(|text| text.into_bytes());
    let bytes = || proptest::collection::vec(any::<u8>(), 0..20);
    let leaf = prop_oneof![
        Just(Value::Null),
        line().prop_map(Value::Status),
        line().prop_map(Value::Error),
        any::<i64>().prop_map(Value::Integer),
        any::<bool>().prop_map(Value::Bool),
        any::<f64>()
            .prop_filter("NaN is not equal to itself", |number| !number.is_nan())
            .prop_map(Value::Double),
        "-?[0-9]{1,30}".prop_map(|digits| Value::BigNumber(digits.into_bytes())),
        bytes().prop_map(Value::Bulk),
        bytes().prop_map(|text| Value::Verbatim {
            format: *b"txt",
            text
        }),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        let items = || proptest::collection::vec(inner.clone(), 0..5);
        prop_oneof![
            items().prop_map(Value::Array),
            items().prop_map(Value::Set),
            items().prop_map(Value::Push),
            proptest::collection::vec((inner.clone(), inner.clone()), 0..4).prop_map(Value::Map),
        ]
    })
}

/// Feeds `wire` in pieces that end at the given offsets, and collects all replies.
fn decode_all(wire: &[u8], cuts: &[usize]) -> Result<Vec<Value>, DecodeError> {
    let mut decoder = Decoder::default();
    let mut replies = Vec::new();
    let mut start = 0;
    for &cut in cuts.iter().chain([&wire.len()]) {
        let mut piece = &wire[start..cut];
        start = cut;
        while let Some(value) = decoder.decode(&mut piece)? {
            replies.push(value);
        }
        assert!(piece.is_empty());
    }
    assert!(!decoder.is_inside());
    Ok(replies)
}

/// Finds all replies while the buffer grows to each of the given lengths.
fn scan_all(wire: &[u8], cuts: &[usize]) -> Result<Vec<(Kind, usize)>, DecodeError> {
    let mut scanner = Scanner::default();
    let mut replies = Vec::new();
    let mut start = 0;
    for &cut in cuts.iter().chain([&wire.len()]) {
        while let Some(frame) = scanner.scan(&wire[start..cut])? {
            assert!(frame.body.end <= frame.end);
            start += frame.end;
            replies.push((frame.kind, start));
        }
    }
    assert_eq!(start, wire.len());
    Ok(replies)
}

/// Takes all replies out of a buffer that grows to each of the given lengths.
fn locate_all(wire: &[u8], cuts: &[usize]) -> Result<Vec<Value>, DecodeError> {
    let mut decoder = SpanDecoder::default();
    let mut replies = Vec::new();
    for &cut in cuts.iter().chain([&wire.len()]) {
        while let Some(value) = decoder.decode(&wire[..cut])? {
            replies.push(value.map(&|span| wire[span].to_vec()));
        }
    }
    assert!(decoder.is_at(wire.len()));
    Ok(replies)
}

proptest! {
    #[test]
    fn replies_survive_the_wire(replies in proptest::collection::vec(values(), 1..4), cuts in any::<[prop::sample::Index; 3]>()) {
        let mut wire = Vec::new();
        let mut ends = Vec::new();
        for reply in &replies {
            write(reply, &mut wire);
            ends.push((kind(reply), wire.len()));
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(wire.len() + 1)).collect();
        cuts.sort_unstable();
        prop_assert_eq!(decode_all(&wire, &cuts).unwrap(), replies.clone());
        prop_assert_eq!(locate_all(&wire, &cuts).unwrap(), replies.clone());
        prop_assert_eq!(scan_all(&wire, &cuts).unwrap(), ends.clone());

        let each: Vec<usize> = (0..wire.len()).collect();
        prop_assert_eq!(locate_all(&wire, &each).unwrap(), replies.clone());
        prop_assert_eq!(decode_all(&wire, &each).unwrap(), replies);
        prop_assert_eq!(scan_all(&wire, &each).unwrap(), ends);
    }

    #[test]
    fn garbage_is_refused_alike_and_without_a_panic(wire in "[-+:$*%~>_,#(=!|0-9a\r\n]{0,40}") {
        let wire = wire.as_bytes();
        let mut decoder = Decoder::default();
        let mut scanner = Scanner::default();
        let mut spans = SpanDecoder::default();
        let (mut rest, mut at) = (wire, 0);
        loop {
            let scanned = scanner.scan(&wire[at..]);
            let decoded = decoder.decode(&mut rest);
            let located = spans.decode(wire).map(|value| value.map(|value| value.map(&|span| wire[span].to_vec())));
            // Not by `==`, by which a NaN is not itself.
            prop_assert_eq!(format!("{located:?}"), format!("{decoded:?}"));
            if decoded.is_ok() {
                prop_assert_eq!(spans.is_at(wire.len()), rest.is_empty() && !decoder.is_inside());
            }
            match (scanned, decoded) {
                (Ok(Some(frame)), Ok(Some(_))) => {
                    at += frame.end;
                    prop_assert_eq!(at, wire.len() - rest.len());
                }
                // The scanner does not look inside numbers, and accepts any depth.
                (Ok(_), Err(DecodeError::InvalidNumber | DecodeError::TooBig | DecodeError::TooDeep)) => break,
                (Ok(None), Ok(None)) | (Err(_), Err(_)) => break,
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }
}

#[test]
fn nulls_of_both_versions() {
    assert_eq!(
        decode_all(b"$-1\r\n*-1\r\n_\r\n", &[]),
        Ok(vec![Value::Null, Value::Null, Value::Null])
    );
}

#[test]
fn doubles_as_redis_writes_them() {
    let numbers = decode_all(b",inf\r\n,-inf\r\n,3\r\n,1.5e-7\r\n", &[]).unwrap();
    let expected = [f64::INFINITY, f64::NEG_INFINITY, 3.0, 1.5e-7];
    assert_eq!(numbers, expected.map(Value::Double));
    let nan = decode_all(b",nan\r\n", &[]).unwrap();
    assert!(matches!(nan[..], [Value::Double(number)] if number.is_nan()));
}

#[test]
fn attributes_are_dropped_wherever_they_stand() {
    let wire = b"|1\r\n+ttl\r\n:3600\r\n*2\r\n|0\r\n:1\r\n|1\r\n+a\r\n*1\r\n:9\r\n:2\r\n+OK\r\n";
    let expected = vec![
        Value::Array(vec![Value::Integer(1), Value::Integer(2)]),
        Value::Status(b"OK".to_vec()),
    ];
    let each: Vec<usize> = (0..wire.len()).collect();
    assert_eq!(locate_all(wire, &each).as_ref(), Ok(&expected));
    assert_eq!(decode_all(wire, &each), Ok(expected));
    assert_eq!(
        scan_all(wire, &each),
        Ok(vec![
            (Kind::Array, wire.len() - 5),
            (Kind::Status, wire.len())
        ])
    );
}

#[test]
fn a_blob_error_is_an_error() {
    assert_eq!(
        decode_all(b"!5\r\nERR x\r\n", &[]),
        Ok(vec![Value::Error(b"ERR x".to_vec())])
    );
}

#[test]
fn an_announced_gigabyte_costs_nothing() {
    let mut decoder = Decoder::default();
    assert_eq!(decoder.decode(&mut &b"$1000000000\r\nabc"[..]), Ok(None));
    assert!(decoder.bulk.as_ref().unwrap().bytes.capacity() < 64);
    let mut decoder = Decoder::default();
    assert_eq!(decoder.decode(&mut &b"*30000000\r\n:1\r\n"[..]), Ok(None));
    assert!(decoder.builder.announced_room() < 64);
    let mut spans = SpanDecoder::default();
    assert_eq!(spans.decode(b"*30000000\r\n$1000000000\r\nabc"), Ok(None));
}

#[test]
fn limits_hold() {
    let limits = ReplyLimits {
        bytes: 1000,
        depth: 3,
        line: 20,
    };
    let refused = |wire: &[u8]| {
        let decoded = Decoder::new(limits).decode(&mut &wire[..]).unwrap_err();
        let located = SpanDecoder::new(limits).decode(wire).unwrap_err();
        assert_eq!(decoded, located);
        decoded
    };
    assert_eq!(refused(b"$1001\r\n"), DecodeError::TooBig);
    assert_eq!(refused(b"*40\r\n"), DecodeError::TooBig);
    assert_eq!(refused(b"*1\r\n*1\r\n*1\r\n*1\r\n"), DecodeError::TooDeep);
    assert_eq!(
        refused(b"+aaaaaaaaaaaaaaaaaaaaaa"),
        DecodeError::LineTooLong
    );
    let many = b"*30\r\n"
        .iter()
        .copied()
        .chain(b"$9\r\nabcdefghi\r\n".repeat(30))
        .collect::<Vec<_>>();
    assert_eq!(refused(&many), DecodeError::TooBig);
    // One reply's memory does not count against the next.
    let mut decoder = Decoder::new(limits);
    let mut spans = SpanDecoder::new(limits);
    let wire = b"$3\r\nabc\r\n".repeat(100);
    for mut reply in wire.chunks(9) {
        assert!(decoder.decode(&mut reply).unwrap().is_some());
        assert!(spans.decode(&wire).unwrap().is_some());
    }
}

#[test]
fn an_error_stays() {
    let mut decoder = Decoder::default();
    assert_eq!(decoder.decode(&mut &b"?"[..]), Ok(None));
    assert_eq!(
        decoder.decode(&mut &b"\r\n"[..]),
        Err(DecodeError::UnknownType(b'?'))
    );
    assert_eq!(
        decoder.decode(&mut &b"+OK\r\n"[..]),
        Err(DecodeError::UnknownType(b'?'))
    );
}

#[test]
fn bytes_in_the_place_of_an_end() {
    let mut decoder = Decoder::default();
    assert_eq!(
        decoder.decode(&mut &b"$3\r\nabcd\r\n"[..]),
        Err(DecodeError::MissingCrLf)
    );
    assert_eq!(
        Scanner::default().scan(b"$3\r\nabcd\r\n"),
        Err(DecodeError::MissingCrLf)
    );
    for wire in [&b"$3\r\nabcd\r\n"[..], b"+OK\n"] {
        let located = SpanDecoder::default().decode(wire);
        assert_eq!(located, Err(DecodeError::MissingCrLf));
    }
    assert_eq!(
        Decoder::default().decode(&mut &b"+OK\n"[..]),
        Err(DecodeError::MissingCrLf)
    );
    assert_eq!(
        Scanner::default().scan(b"+OK\n"),
        Err(DecodeError::MissingCrLf)
    );
}
