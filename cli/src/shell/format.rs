//! Replies as text: for people at a terminal as redis-cli shows them, for programs the bare bytes.

use ant_cache_core::client::Value;

/// Appends a value as people read it, ended by LF.
pub(super) fn for_people(value: &Value, out: &mut Vec<u8>) {
    put(value, 0, out);
}

/// Appends a value as programs read it, ended by LF: strings bare, each element of an aggregate on a line of its own.
pub(super) fn for_programs(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Array(items) | Value::Set(items) | Value::Push(items) => {
            items.iter().for_each(|item| for_programs(item, out));
            return;
        }
        Value::Map(pairs) => {
            for (key, value) in pairs {
                for_programs(key, out);
                for_programs(value, out);
            }
            return;
        }
        Value::Null => {}
        Value::Integer(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::Double(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::Bool(flag) => out.extend_from_slice(if *flag { b"true" } else { b"false" }),
        Value::Error(message) => out.extend_from_slice(message),
        other => out.extend_from_slice(other.as_bytes().unwrap_or_default()),
    }
    out.push(b'\n');
}

/// Appends a value; its second and further lines begin with so many spaces.
fn put(value: &Value, indent: usize, out: &mut Vec<u8>) {
    match value {
        Value::Array(items) => return put_items(items, ')', "(empty array)", indent, out),
        Value::Push(items) => return put_items(items, ')', "(empty push)", indent, out),
        Value::Set(items) => return put_items(items, '~', "(empty set)", indent, out),
        Value::Map(pairs) => return put_pairs(pairs, indent, out),
        Value::Null => out.extend_from_slice(b"(nil)"),
        Value::Status(text) => printable(text, out),
        Value::Error(message) => {
            out.extend_from_slice(b"(error) ");
            printable(message, out);
        }
        Value::Integer(number) => out.extend_from_slice(format!("(integer) {number}").as_bytes()),
        Value::Double(number) => out.extend_from_slice(format!("(double) {number}").as_bytes()),
        Value::Bool(flag) => out.extend_from_slice(if *flag { b"(true)" } else { b"(false)" }),
        Value::BigNumber(digits) => {
            out.extend_from_slice(b"(big number) ");
            out.extend_from_slice(digits);
        }
        Value::Verbatim { text, .. } => {
            lines(text, out);
            return;
        }
        other => quote(other.as_bytes().unwrap_or_default(), out),
    }
    out.push(b'\n');
}

fn put_items(items: &[Value], mark: char, empty: &str, indent: usize, out: &mut Vec<u8>) {
    if items.is_empty() {
        out.extend_from_slice(empty.as_bytes());
        out.push(b'\n');
    }
    let width = digits(items.len());
    for (index, item) in items.iter().enumerate() {
        put_number(index, width, mark, indent, out);
        put(item, indent + width + 2, out);
    }
}

fn put_pairs(pairs: &[(Value, Value)], indent: usize, out: &mut Vec<u8>) {
    if pairs.is_empty() {
        out.extend_from_slice(b"(empty hash)\n");
    }
    let width = digits(pairs.len());
    for (index, (key, value)) in pairs.iter().enumerate() {
        put_number(index, width, '#', indent, out);
        put(key, indent + width + 2, out);
        // The value stands behind its key; where it has lines of its own, below it.
        out.pop();
        out.extend_from_slice(b" => ");
        let nested = match value {
            Value::Array(items) | Value::Set(items) | Value::Push(items) => !items.is_empty(),
            Value::Map(pairs) => !pairs.is_empty(),
            _ => false,
        };
        let indent = indent + width + 2;
        if nested {
            out.push(b'\n');
            out.resize(out.len() + indent, b' ');
        }
        put(value, indent, out);
    }
}

/// The number in front of an element, indented unless it continues a line.
fn put_number(index: usize, width: usize, mark: char, indent: usize, out: &mut Vec<u8>) {
    let indent = if index > 0 { indent } else { 0 };
    out.resize(out.len() + indent, b' ');
    out.extend_from_slice(format!("{:>width$}{mark} ", index + 1).as_bytes());
}

fn digits(number: usize) -> usize {
    number.to_string().len()
}

/// Appends a string in double quotes, so that it can be typed again: printable text stays, of whatever language.
pub(super) fn quote(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for chunk in bytes.utf8_chunks() {
        for char in chunk.valid().chars() {
            match char {
                '"' | '\\' => out.extend_from_slice(&[b'\\', char as u8]),
                '\n' => out.extend_from_slice(b"\\n"),
                '\r' => out.extend_from_slice(b"\\r"),
                '\t' => out.extend_from_slice(b"\\t"),
                '\x07' => out.extend_from_slice(b"\\a"),
                '\x08' => out.extend_from_slice(b"\\b"),
                _ => put_char(char, out),
            }
        }
        chunk.invalid().iter().for_each(|&byte| put_hex(byte, out));
    }
    out.push(b'"');
}

/// Appends a text of one line without what could command the terminal.
pub(super) fn printable(bytes: &[u8], out: &mut Vec<u8>) {
    for chunk in bytes.utf8_chunks() {
        chunk.valid().chars().for_each(|char| put_char(char, out));
        chunk.invalid().iter().for_each(|&byte| put_hex(byte, out));
    }
}

/// Appends a text of several lines in the same way, ended by LF.
pub(super) fn lines(text: &[u8], out: &mut Vec<u8>) {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    for line in text.split(|&byte| byte == b'\n') {
        printable(line.strip_suffix(b"\r").unwrap_or(line), out);
        out.push(b'\n');
    }
}

fn put_char(char: char, out: &mut Vec<u8>) {
    let mut buffer = [0; 4];
    let encoded = char.encode_utf8(&mut buffer).as_bytes();
    // Control characters, and those that reorder the text around them.
    if char.is_control() || matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
        encoded.iter().for_each(|&byte| put_hex(byte, out));
    } else {
        out.extend_from_slice(encoded);
    }
}

fn put_hex(byte: u8, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::Bulk(text.into())
    }

    fn shown(value: &Value) -> String {
        let mut out = Vec::new();
        for_people(value, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn raw(value: &Value) -> Vec<u8> {
        let mut out = Vec::new();
        for_programs(value, &mut out);
        out
    }

    #[test]
    fn scalars_as_redis_cli_shows_them() {
        for (value, text) in [
            (Value::Null, "(nil)\n"),
            (Value::Status(b"OK".to_vec()), "OK\n"),
            (Value::Error(b"ERR no".to_vec()), "(error) ERR no\n"),
            (Value::Integer(-3), "(integer) -3\n"),
            (Value::Double(1.5), "(double) 1.5\n"),
            (Value::Bool(true), "(true)\n"),
            (bulk("a\"b\n"), "\"a\\\"b\\n\"\n"),
            (
                Value::Verbatim {
                    format: *b"txt",
                    text: b"a\r\nb\n".to_vec(),
                },
                "a\nb\n",
            ),
            (Value::Array(vec![]), "(empty array)\n"),
            (Value::Map(vec![]), "(empty hash)\n"),
            (Value::Set(vec![]), "(empty set)\n"),
        ] {
            assert_eq!(shown(&value), text);
        }
    }

    #[test]
    fn elements_are_numbered_and_aligned() {
        let items: Vec<Value> = (1..=10).map(Value::Integer).collect();
        let text = shown(&Value::Array(items));
        assert!(
            text.starts_with(" 1) (integer) 1\n 2) (integer) 2\n"),
            "{text}"
        );
        assert!(text.ends_with("\n10) (integer) 10\n"), "{text}");
    }

    #[test]
    fn arrays_in_arrays_keep_their_column() {
        let inner = Value::Array(vec![
            bulk("a"),
            Value::Array(vec![bulk("b"), bulk("c")]),
            Value::Null,
        ]);
        let text = shown(&Value::Array(vec![bulk("0"), inner, bulk("z")]));
        let expected =
            "1) \"0\"\n2) 1) \"a\"\n   2) 1) \"b\"\n      2) \"c\"\n   3) (nil)\n3) \"z\"\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn maps_show_keys_and_values() {
        let value = Value::Map(vec![
            (bulk("a"), Value::Integer(1)),
            (bulk("b"), Value::Array(vec![bulk("x"), bulk("y")])),
        ]);
        assert_eq!(
            shown(&value),
            "1# \"a\" => (integer) 1\n2# \"b\" => \n   1) \"x\"\n   2) \"y\"\n"
        );
    }

    #[test]
    fn nothing_printed_commands_the_terminal() {
        let mut out = Vec::new();
        quote(b"\x1b[2J\x7f\xc2\x9b\xe2\x80\xae\xff \xc3\xa4", &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "\"\\x1b[2J\\x7f\\xc2\\x9b\\xe2\\x80\\xae\\xff ä\"");
    }

    #[test]
    fn programs_get_bare_bytes() {
        assert_eq!(raw(&Value::Bulk(b"\xff\n\"".to_vec())), b"\xff\n\"\n");
        assert_eq!(raw(&Value::Null), b"\n");
        let nested = Value::Array(vec![
            bulk("a"),
            Value::Array(vec![Value::Integer(1), Value::Null]),
            bulk("b"),
        ]);
        assert_eq!(raw(&nested), b"a\n1\n\nb\n");
        assert_eq!(raw(&Value::Array(vec![])), b"");
        assert_eq!(
            raw(&Value::Map(vec![(bulk("k"), Value::Bool(false))])),
            b"k\nfalse\n"
        );
    }
}
