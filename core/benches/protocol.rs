//! What it costs to read a request and to write a reply: `cargo bench -p ant-cache-core --bench protocol`.

use ant_cache_core::Output;
use ant_cache_core::protocol::{Eol, Parsed, Parser, RequestLimits, Span};
use ant_cache_core::reply::{Reply, Wire};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

/// Requests of a pipeline, and replies in a buffer, per iteration.
const PIPELINE: usize = 64;

const LIMITS: RequestLimits = RequestLimits {
    bytes: 64 << 20,
    args: 1 << 20,
};

/// `PIPELINE` times the same kind of request with a key of ten bytes.
fn pipeline(request: impl Fn(usize) -> String) -> Vec<u8> {
    (0..PIPELINE).map(request).collect::<String>().into_bytes()
}

/// Parses all of it in groups of 16, as a session does.
fn parse_all(bytes: &mut [u8], parser: &mut Parser, spans: &mut Vec<Span>) -> usize {
    let mut requests = 0;
    while let Parsed::Request(request) = parser.next(bytes, spans, LIMITS) {
        black_box(request);
        requests += 1;
        if requests % 16 == 0 {
            spans.clear();
        }
    }
    parser.consumed(bytes.len());
    requests
}

fn parse(c: &mut Criterion) {
    let value = "v".repeat(16);
    let mut group = c.benchmark_group("parse");
    group.throughput(Throughput::Elements(PIPELINE as u64));
    for (name, mut bytes) in [
        (
            "resp_get",
            pipeline(|i| format!("*2\r\n$3\r\nGET\r\n$10\r\nkey:{i:06}\r\n")),
        ),
        ("text_get", pipeline(|i| format!("GET key:{i:06}\n"))),
        (
            "resp_set",
            pipeline(|i| format!("*3\r\n$3\r\nSET\r\n$10\r\nkey:{i:06}\r\n$16\r\n{value}\r\n")),
        ),
        (
            "text_set",
            pipeline(|i| format!("SET key:{i:06} {value}\n")),
        ),
        (
            "text_set_quoted",
            pipeline(|i| format!("SET key:{i:06} \"two words\\n and more\"\r\n")),
        ),
    ] {
        let (mut parser, mut spans) = (Parser::default(), Vec::new());
        let moves = bytes.contains(&b'"');
        group.bench_function(name, |b| {
            if moves {
                // Unescaping changes the bytes: each iteration takes a copy.
                b.iter_batched_ref(
                    || bytes.clone(),
                    |bytes| assert_eq!(parse_all(bytes, &mut parser, &mut spans), PIPELINE),
                    BatchSize::SmallInput,
                );
            } else {
                b.iter(|| assert_eq!(parse_all(&mut bytes, &mut parser, &mut spans), PIPELINE));
            }
        });
    }
    group.finish();
}

fn encode(c: &mut Criterion) {
    let value = [b'v'; 16];
    let mut group = c.benchmark_group("encode");
    group.throughput(Throughput::Elements(PIPELINE as u64));
    for (name, wire) in [("resp", Wire::Resp2), ("text", Wire::Text(Eol::Lf))] {
        let mut output = Output::new();
        let mut bench = |kind: &str, write: fn(&mut Reply, &[u8])| {
            group.bench_function(format!("{name}_{kind}"), |b| {
                b.iter(|| {
                    for _ in 0..PIPELINE {
                        write(
                            &mut Reply::new(&mut output, black_box(wire)),
                            black_box(&value),
                        );
                    }
                    output.consume(output.len());
                });
            });
        };
        bench("bulk", |reply, value| reply.bulk(value));
        bench("integer", |reply, value| {
            reply.integer(value.len() as i64 * 1000)
        });
        bench("ok", |reply, _| reply.ok());
    }
    group.finish();
}

criterion_group!(benches, parse, encode);
criterion_main!(benches);
