//! The two ends of the wire against each other: what a client writes the server reads, and the reverse.

use super::decode::tests::values;
use super::{Decoder, LineScanner, Value, encode, encode_line, unquote};
use crate::Output;
use crate::protocol::{Dialect, Eol, Parsed, Parser, RequestLimits};
use crate::reply::{Reply, Wire};
use alloc::vec::Vec;
use proptest::prelude::*;

const LIMITS: RequestLimits = RequestLimits {
    bytes: 1 << 20,
    args: 1 << 10,
};

/// Writes a value as the server does.
fn reply(value: &Value, reply: &mut Reply<'_>) {
    match value {
        Value::Null => reply.null(),
        Value::Integer(number) => reply.integer(*number),
        Value::Bool(flag) => reply.bool(*flag),
        Value::Double(number) => reply.double(*number),
        Value::Array(items) => {
            reply.array(items.len());
            items.iter().for_each(|item| self::reply(item, reply));
        }
        Value::Set(items) => {
            reply.set(items.len());
            items.iter().for_each(|item| self::reply(item, reply));
        }
        Value::Push(items) => {
            reply.push(items.len());
            items.iter().for_each(|item| self::reply(item, reply));
        }
        Value::Map(pairs) => {
            reply.map(pairs.len());
            for (key, value) in pairs {
                self::reply(key, reply);
                self::reply(value, reply);
            }
        }
        other => reply.bulk(other.as_bytes().or(other.error()).unwrap_or_default()),
    }
}

/// The value as the server says it: booleans as integers, as Redis's commands do, and all strings as bulk strings.
fn as_sent(value: Value) -> Value {
    let all = |items: Vec<Value>| items.into_iter().map(as_sent).collect();
    match value {
        Value::Bool(flag) => Value::Integer(i64::from(flag)),
        Value::Status(text) | Value::Error(text) | Value::BigNumber(text) => Value::Bulk(text),
        Value::Verbatim { text, .. } => Value::Bulk(text),
        Value::Array(items) => Value::Array(all(items)),
        Value::Set(items) => Value::Set(all(items)),
        Value::Push(items) => Value::Push(all(items)),
        Value::Map(pairs) => {
            let pairs = pairs.into_iter();
            Value::Map(
                pairs
                    .map(|(key, value)| (as_sent(key), as_sent(value)))
                    .collect(),
            )
        }
        other => other,
    }
}

fn arguments() -> impl Strategy<Value = Vec<Vec<u8>>> {
    proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..12), 1..6)
}

proptest! {
    #[test]
    fn the_server_reads_what_a_client_writes(
        requests in proptest::collection::vec((arguments(), any::<bool>()), 1..5)
    ) {
        let mut wire = Vec::new();
        for (args, text) in &requests {
            if *text { encode_line(args, &mut wire) } else { encode(args, &mut wire) }
        }
        let mut parser = Parser::default();
        for (args, text) in &requests {
            let mut spans = Vec::new();
            let Parsed::Request(request) = parser.next(&mut wire, &mut spans, LIMITS) else {
                return Err(TestCaseError::fail("no request"));
            };
            let dialect = if *text { Dialect::Text(Eol::Lf) } else { Dialect::Resp };
            prop_assert_eq!(request.dialect, dialect);
            let read: Vec<&[u8]> = spans.iter().map(|span| span.of(&wire)).collect();
            prop_assert_eq!(&read, args);
        }
        prop_assert_eq!(parser.position(), wire.len());
    }

    #[test]
    fn a_client_reads_what_the_server_answers(value in values()) {
        let mut output = Output::new();
        reply(&value, &mut Reply::new(&mut output, Wire::Resp3));
        let wire = output.to_vec();
        let mut rest = &wire[..];
        prop_assert_eq!(Decoder::default().decode(&mut rest), Ok(Some(as_sent(value))));
        prop_assert!(rest.is_empty());
    }

    #[test]
    fn a_line_stands_for_the_string_that_was_stored(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        for eol in [Eol::Lf, Eol::CrLf] {
            let mut output = Output::new();
            Reply::new(&mut output, Wire::Text(eol)).bulk(&bytes);
            let wire = output.to_vec();
            let (len, end) = LineScanner::default().scan(&wire).unwrap();
            prop_assert_eq!(end, wire.len());
            prop_assert_eq!(unquote(&wire[..len]).unwrap(), &bytes[..]);
        }
    }
}
