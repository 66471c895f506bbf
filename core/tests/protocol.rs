//! Both parsers against round trips, naive oracles, and every way to split the bytes.

use ant_cache_core::protocol::{Dialect, Eol, Parsed, Parser, ProtocolError, RequestLimits, Span};
use proptest::collection::vec;
use proptest::prelude::*;

const LIMITS: RequestLimits = RequestLimits {
    bytes: 1 << 20,
    args: 1 << 10,
};
const LF: Dialect = Dialect::Text(Eol::Lf);
const CRLF: Dialect = Dialect::Text(Eol::CrLf);

/// What the parser gave, with the arguments copied.
#[derive(Clone, Debug, PartialEq)]
enum Seen {
    Request(Dialect, Vec<Vec<u8>>),
    Error(ProtocolError, Dialect, bool),
}

fn request<const N: usize>(dialect: Dialect, args: [&str; N]) -> Seen {
    Seen::Request(dialect, args.map(|arg| arg.as_bytes().to_vec()).to_vec())
}

/// A connection's buffer and parser, as a session drives them.
#[derive(Default)]
struct Wire {
    parser: Parser,
    buf: Vec<u8>,
    spans: Vec<Span>,
    seen: Vec<Seen>,
    dead: bool,
}

impl Wire {
    /// Gives `bytes` to the parser and takes everything it has, consuming where `consume` says so.
    fn feed(&mut self, bytes: &[u8], limits: RequestLimits, mut consume: impl FnMut() -> bool) {
        self.buf.extend_from_slice(bytes);
        while !self.dead {
            let before = self.spans.len();
            match self.parser.next(&mut self.buf, &mut self.spans, limits) {
                Parsed::Incomplete => {
                    assert_eq!(
                        self.spans.len(),
                        before,
                        "an incomplete request leaves no spans"
                    );
                    break;
                }
                Parsed::Request(request) => {
                    assert_eq!(request.first as usize, before);
                    assert_eq!(request.count as usize, self.spans.len() - before);
                    assert_ne!(request.count, 0);
                    assert_eq!(request.end as usize, self.parser.position());
                    let spans = &self.spans[before..];
                    if let Dialect::Text(_) = request.dialect {
                        for pair in spans.windows(2) {
                            assert_eq!(pair[1].start, pair[0].end() + 1, "tokens lie one apart");
                            assert_eq!(self.buf[pair[0].end() as usize], b' ');
                        }
                    }
                    let args = spans
                        .iter()
                        .map(|span| span.of(&self.buf).to_vec())
                        .collect();
                    self.seen.push(Seen::Request(request.dialect, args));
                }
                Parsed::Error {
                    error,
                    dialect,
                    fatal,
                    end,
                } => {
                    assert_eq!(self.spans.len(), before, "an error leaves no spans");
                    assert_eq!(end as usize, self.parser.position());
                    self.seen.push(Seen::Error(error, dialect, fatal));
                    if fatal {
                        let again = self.parser.next(&mut self.buf, &mut self.spans, limits);
                        assert_eq!(
                            again,
                            Parsed::Error {
                                error,
                                dialect,
                                fatal,
                                end
                            },
                            "fatal for good"
                        );
                        self.dead = true;
                    }
                }
            }
            if consume() {
                self.consume();
            }
        }
        if consume() {
            self.consume();
        }
    }

    fn consume(&mut self) {
        let n = self.parser.position();
        self.buf.drain(..n);
        self.parser.consumed(n);
        self.spans.clear();
        assert_eq!(self.parser.position(), 0);
    }
}

/// All at once.
fn parse_with(bytes: &[u8], limits: RequestLimits) -> Vec<Seen> {
    let mut wire = Wire::default();
    wire.feed(bytes, limits, || false);
    wire.seen
}

fn parse(bytes: &[u8]) -> Vec<Seen> {
    parse_with(bytes, LIMITS)
}

fn resp(args: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args {
        bytes.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        bytes.extend_from_slice(arg);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// The fully quoted form of any argument.
fn quoted(arg: &[u8], quote: u8) -> Vec<u8> {
    let mut bytes = vec![quote];
    for &byte in arg {
        match byte {
            b'\n' => bytes.extend_from_slice(b"\\n"),
            b'\\' => bytes.extend_from_slice(b"\\\\"),
            _ if byte == quote => bytes.extend_from_slice(&[b'\\', quote]),
            0x80.. => bytes.extend_from_slice(format!("\\x{byte:02X}").as_bytes()),
            _ => bytes.push(byte),
        }
    }
    bytes.push(quote);
    bytes
}

/// The tokens of a line, its end taken off, one byte after the other.
fn naive_tokens(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut tokens = Vec::new();
    let mut token: Option<Vec<u8>> = None;
    let mut quote = None;
    let mut at = 0;
    while at < line.len() {
        let byte = line[at];
        at += 1;
        match quote {
            None if byte == b' ' || byte == b'\t' => tokens.extend(token.take()),
            None if byte == b'"' || byte == b'\'' => {
                quote = Some(byte);
                token.get_or_insert_default();
            }
            None => token.get_or_insert_default().push(byte),
            Some(open) if byte == open => quote = None,
            Some(_) if byte == b'\\' => {
                let token = token.as_mut().unwrap();
                let hex = line.get(at + 1..at + 3).and_then(|digits| {
                    let digits = core::str::from_utf8(digits).ok()?;
                    u8::from_str_radix(digits, 16)
                        .ok()
                        .filter(|_| !digits.starts_with('+'))
                });
                match (line.get(at), hex) {
                    (Some(b'n'), _) => token.push(b'\n'),
                    (Some(b'r'), _) => token.push(b'\r'),
                    (Some(b't'), _) => token.push(b'\t'),
                    (Some(&same @ (b'\\' | b'"' | b'\'')), _) => token.push(same),
                    (Some(b'x'), Some(byte)) => {
                        token.push(byte);
                        at += 2;
                    }
                    _ => {
                        token.push(b'\\');
                        continue;
                    }
                }
                at += 1;
            }
            Some(_) => token.as_mut().unwrap().push(byte),
        }
    }
    tokens.extend(token);
    quote.is_none().then_some(tokens)
}

fn naive_lines(bytes: &[u8]) -> Vec<Seen> {
    let mut seen = Vec::new();
    let complete = bytes
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |lf| lf + 1);
    for line in bytes[..complete].split_inclusive(|&byte| byte == b'\n') {
        let line = &line[..line.len() - 1];
        let (line, dialect) = match line.strip_suffix(b"\r") {
            Some(line) => (line, CRLF),
            None => (line, LF),
        };
        match naive_tokens(line) {
            None => seen.push(Seen::Error(ProtocolError::UnbalancedQuotes, dialect, false)),
            Some(tokens) if tokens.is_empty() => {}
            Some(tokens) => seen.push(Seen::Request(dialect, tokens)),
        }
    }
    seen
}

/// Arguments of all kinds of bytes, with a liking for those that mean something.
fn arg() -> impl Strategy<Value = Vec<u8>> {
    vec(
        prop_oneof![
            any::<u8>(),
            proptest::sample::select(&b"\r\n\t \"'\\x41*$"[..])
        ],
        0..40,
    )
}

fn args() -> impl Strategy<Value = Vec<Vec<u8>>> {
    vec(arg(), 1..6)
}

/// Bytes that are nearly requests.
fn noise(alphabet: &'static [u8]) -> impl Strategy<Value = Vec<u8>> {
    vec(proptest::sample::select(alphabet), 0..60)
}

/// A pipeline of requests in both dialects, some with empty lines between, and now and then a wrong one.
fn pipeline() -> impl Strategy<Value = Vec<u8>> {
    let one = prop_oneof![
        4 => args().prop_map(|args| resp(&args)),
        4 => (args(), any::<bool>(), any::<bool>()).prop_map(|(args, double, crlf)| {
            let quote = if double { b'"' } else { b'\'' };
            let mut line = args.iter().map(|arg| quoted(arg, quote)).collect::<Vec<_>>().join(&b' ');
            line.extend_from_slice(if crlf { b"\r\n" } else { b"\n" });
            line
        }),
        2 => noise(b"ab \t\"'\\x4\r\n"),
        1 => Just(b"*0\r\n\r\n  \n*-1\r\n".to_vec()),
        1 => noise(b"*$0123\r\n-"),
    ];
    vec(one, 1..8).prop_map(|requests| requests.concat())
}

proptest! {
    #[test]
    fn resp_requests_round_trip(requests in vec(args(), 1..5)) {
        let bytes = requests.iter().map(|args| resp(args)).collect::<Vec<_>>().concat();
        let expected: Vec<_> = requests.into_iter().map(|args| Seen::Request(Dialect::Resp, args)).collect();
        prop_assert_eq!(parse(&bytes), expected);
    }

    #[test]
    fn text_requests_round_trip(requests in vec((args(), any::<bool>()), 1..5)) {
        let mut bytes = Vec::new();
        for (args, double) in &requests {
            for arg in args {
                bytes.extend_from_slice(&quoted(arg, if *double { b'"' } else { b'\'' }));
                bytes.push(if *double { b' ' } else { b'\t' });
            }
            bytes.extend_from_slice(if *double { b"\n" } else { b"\r\n" });
        }
        let expected: Vec<_> = requests
            .into_iter()
            .map(|(args, double)| Seen::Request(if double { LF } else { CRLF }, args))
            .collect();
        prop_assert_eq!(parse(&bytes), expected);
    }

    #[test]
    fn text_agrees_with_the_naive_tokenizer(bytes in noise(b"ab(%\0 \t\"'\\xnrt4F\r\n")) {
        prop_assert_eq!(parse(&bytes), naive_lines(&bytes));
    }

    #[test]
    fn long_plain_tokens_agree_with_the_naive_tokenizer(
        tokens in vec("[a-z!%/(){}é]{0,30}", 1..6),
        separators in vec("[ \t]{1,2}", 6),
    ) {
        let mut line = String::new();
        for (token, separator) in tokens.iter().zip(&separators) {
            line += token;
            line += separator;
        }
        line.push('\n');
        prop_assert_eq!(parse(line.as_bytes()), naive_lines(line.as_bytes()));
    }

    #[test]
    fn chunks_change_nothing(
        bytes in pipeline(),
        cuts in vec(1usize..20, 1..10),
        consumes in vec(any::<bool>(), 1..10),
        limit in prop_oneof![Just(1usize << 20), 10usize..80],
    ) {
        let limits = RequestLimits { bytes: limit, args: 4 };
        let whole = parse_with(&bytes, limits);
        let mut wire = Wire::default();
        let mut rest = &bytes[..];
        let mut consumes = consumes.iter().cycle();
        for cut in cuts.iter().cycle() {
            let (chunk, later) = rest.split_at(rest.len().min(*cut));
            wire.feed(chunk, limits, || *consumes.next().unwrap());
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(wire.seen, whole);
    }

    #[test]
    fn nothing_panics(bytes in vec(any::<u8>(), 0..200)) {
        parse(&bytes);
        parse(&[b"*3\r\n$1\r\n", &bytes[..]].concat());
    }
}

#[test]
fn every_split_gives_the_same() {
    let bytes: &[u8] = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\nGET  k\r\n\n \t\r\nSET 'a b'\"c\\x41\"\t\"\" d\n*0\r\n\
        *1\r\n$4\r\nPING\r\nopen \"quote\r\n*-1\r\nEND\n*1\r\n$4\r\nQUIT\r\n*1\r\nx";
    let expected = vec![
        request(Dialect::Resp, ["SET", "k", ""]),
        request(CRLF, ["GET", "k"]),
        request(LF, ["SET", "a bcA", "", "d"]),
        request(Dialect::Resp, ["PING"]),
        Seen::Error(ProtocolError::UnbalancedQuotes, CRLF, false),
        request(LF, ["END"]),
        request(Dialect::Resp, ["QUIT"]),
        Seen::Error(ProtocolError::ExpectedDollar(b'x'), Dialect::Resp, true),
    ];
    for consume in [false, true] {
        for cut in 0..=bytes.len() {
            let mut wire = Wire::default();
            wire.feed(&bytes[..cut], LIMITS, || consume);
            wire.feed(&bytes[cut..], LIMITS, || consume);
            assert_eq!(wire.seen, expected, "cut at {cut}");
        }
        let mut wire = Wire::default();
        for byte in bytes {
            wire.feed(&[*byte], LIMITS, || consume);
        }
        assert_eq!(wire.seen, expected, "byte by byte");
    }
}

/// What redis-server 7.0.15 answers to the same bytes.
#[test]
fn resp_errors_are_those_of_redis() {
    let resp = Dialect::Resp;
    let multibulk = "Protocol error: invalid multibulk length";
    let bulk = "Protocol error: invalid bulk length";
    let cases: &[(&[u8], &str)] = &[
        (b"*1\nPING\r\n", multibulk),
        (b"*abc\r\n", multibulk),
        (b"*\r\n", multibulk),
        (b"*-\r\n", multibulk),
        (b"*+1\r\n", multibulk),
        (b"*01\r\n", multibulk),
        (b"*1 \r\n", multibulk),
        (b"*-0\r\n", multibulk),
        (b"*2147483648\r\n", multibulk),
        (b"*99999999999999999999\r\n", multibulk),
        (b"*1\r\n$4\nPING\r\n", bulk),
        (b"*1\r\n$-1\r\n", bulk),
        (b"*1\r\n$abc\r\n", bulk),
        (b"*1\r\n$\r\n", bulk),
        (b"*1\r\n$1073741824\r\n", bulk),
        (b"*1\r\n\r\n", "Protocol error: expected '$', got ' '"),
        (b"*1\r\nPING\r\n", "Protocol error: expected '$', got 'P'"),
        (
            b"*2\r\n$4\r\nECHO\r\n:\r\n",
            "Protocol error: expected '$', got ':'",
        ),
    ];
    for (bytes, message) in cases {
        let seen = parse(bytes);
        let [Seen::Error(error, dialect, true)] = &seen[..] else {
            panic!("{seen:?}")
        };
        assert_eq!((error.to_string().as_str(), *dialect), (*message, resp));
    }
    // Neither the byte behind CR nor the two behind a bulk string are looked at.
    assert_eq!(parse(b"*1\rx$4\rxPINGab*0\r\n"), [request(resp, ["PING"])]);
    for header in [&b"*"[..], b"*1\r\n$"] {
        let endless = [header, &[b'1'; 70_000]].concat();
        let name = if header.len() == 1 { "mbulk" } else { "bulk" };
        let [Seen::Error(error, ..)] = parse(&endless)[..] else {
            panic!("an error")
        };
        assert_eq!(
            error.to_string(),
            format!("Protocol error: too big {name} count string")
        );
    }
}

#[test]
fn requests_end_at_the_limit() {
    let fatal = |error, dialect| vec![Seen::Error(error, dialect, true)];
    let limits = |bytes| RequestLimits { bytes, args: 3 };
    assert_eq!(
        parse_with(b"GET k\n", limits(6)),
        [request(LF, ["GET", "k"])]
    );
    assert_eq!(
        parse_with(b"GET k\n", limits(5)),
        fatal(ProtocolError::TooLong, LF)
    );
    assert_eq!(
        parse_with(b"GET k", limits(5)),
        fatal(ProtocolError::TooLong, LF)
    );
    assert_eq!(parse_with(b"GET", limits(5)), []);
    assert_eq!(
        parse_with(b"a b c\n", limits(50)),
        [request(LF, ["a", "b", "c"])]
    );
    assert_eq!(
        parse_with(b"a b c d\r\n", limits(50)),
        fatal(ProtocolError::TooManyArguments, CRLF)
    );

    let resp = Dialect::Resp;
    let ping = b"*1\r\n$4\r\nPING\r\n";
    assert_eq!(parse_with(ping, limits(14)), [request(resp, ["PING"])]);
    assert_eq!(
        parse_with(ping, limits(13)),
        fatal(ProtocolError::TooLong, resp)
    );
    assert_eq!(
        parse_with(&ping[..8], limits(13)),
        fatal(ProtocolError::TooLong, resp),
        "known by the header"
    );
    assert_eq!(
        parse_with(ping, limits(8)),
        fatal(ProtocolError::TooLong, resp)
    );
    assert_eq!(
        parse_with(b"*1\r\n$9\r\n", limits(8)),
        fatal(ProtocolError::InvalidBulkLength, resp)
    );
    assert_eq!(
        parse_with(b"*4\r\n", limits(50)),
        fatal(ProtocolError::InvalidMultibulkLength, resp)
    );
}

/// What a header announces costs nothing until it arrives.
#[test]
fn announcements_take_no_memory() {
    let limits = RequestLimits {
        bytes: 64 << 20,
        args: 1 << 20,
    };
    let mut wire = Wire::default();
    wire.feed(b"*1000000\r\n$60000000\r\nabc", limits, || false);
    assert!(wire.seen.is_empty());
    assert_eq!((wire.parser.memory(), wire.spans.capacity()), (0, 0));
}

/// A million arguments, and a bulk string of 64 MiB, in pieces of 16 KiB and of a few bytes: each piece costs what it
/// brings. (With a parser that starts again at each piece this takes minutes.)
#[test]
fn large_requests_in_pieces() {
    let limits = RequestLimits {
        bytes: 64 << 20,
        args: 1 << 20,
    };
    let many = vec![b"x".to_vec(); 1_000_000];
    let large = vec![b"SET".to_vec(), b"k".to_vec(), vec![b'v'; (64 << 20) - 100]];
    for (args, piece) in [(&many, 16 << 10), (&many, 7), (&large, 16 << 10)] {
        let mut wire = Wire::default();
        for chunk in resp(args).chunks(piece) {
            wire.feed(chunk, limits, || true);
        }
        let [Seen::Request(Dialect::Resp, seen)] = &wire.seen[..] else {
            panic!("one request")
        };
        assert!(seen == args);
        assert!(wire.parser.memory() <= 1024, "a long list is given back");
    }
    let mut wire = Wire::default();
    let line = [&b"SET k "[..], &vec![b'v'; 60 << 20], b"\n"].concat();
    for chunk in line.chunks(4 << 10) {
        wire.feed(chunk, limits, || true);
    }
    assert_eq!(wire.seen.len(), 1);
}

#[test]
fn the_rest_of_a_line_is_one_slice() {
    let mut line = *b"SET k  \"a  b\"   c\t\\n ''\n";
    let mut spans = Vec::new();
    let Parsed::Request(request) = Parser::default().next(&mut line, &mut spans, LIMITS) else {
        panic!("a request")
    };
    assert_eq!(request.count, 6);
    assert_eq!(spans[2].through(spans[5]).of(&line), b"a  b c \\n ");
}
