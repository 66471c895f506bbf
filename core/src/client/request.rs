//! Requests as RESP.

use alloc::vec::Vec;

/// Appends one request, the command's name first, as a RESP array of bulk strings.
///
/// An empty `args` appends nothing: a request without a name does not exist.
pub fn encode<A: AsRef<[u8]>>(args: &[A], out: &mut Vec<u8>) {
    if args.is_empty() {
        return;
    }
    // One allocation, not one at each doubling: a header has at most 23 bytes, and each argument an end of 2.
    let room = |len: usize| len + 25;
    out.reserve(room(args.iter().map(|arg| room(arg.as_ref().len())).sum()));
    header(out, b'*', args.len());
    for arg in args {
        let arg = arg.as_ref();
        header(out, b'$', arg.len());
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
}

/// Appends a kind of what follows, and how much of it. Most numbers have one digit or two.
#[inline]
fn header(out: &mut Vec<u8>, kind: u8, number: usize) {
    let digit = |value: usize| b'0' + (value % 10) as u8;
    match number {
        0..10 => out.extend_from_slice(&[kind, digit(number), b'\r', b'\n']),
        10..100 => {
            out.extend_from_slice(&[kind, digit(number / 10), digit(number), b'\r', b'\n']);
        }
        _ => {
            out.push(kind);
            out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_any_number_of_digits() {
        for len in [0, 1, 9, 10, 11, 99, 100, 101, 999, 1000, 12_345] {
            let (arg, mut out) = (alloc::vec![b'x'; len], Vec::new());
            encode(&[&arg], &mut out);
            let expected = alloc::format!("*1\r\n${len}\r\n{}\r\n", "x".repeat(len));
            assert_eq!(out, expected.as_bytes());
        }
    }

    #[test]
    fn bytes_of_any_kind_pass_unchanged() {
        let mut out = Vec::new();
        encode(&[&b"SET"[..], b"", b"a\r\n\0\xff"], &mut out);
        assert_eq!(out, b"*3\r\n$3\r\nSET\r\n$0\r\n\r\n$5\r\na\r\n\0\xff\r\n");
    }

    #[test]
    fn no_arguments_are_no_request() {
        let mut out = Vec::new();
        encode::<&[u8]>(&[], &mut out);
        assert!(out.is_empty());
    }
}
