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
    let mut digits = itoa::Buffer::new();
    let mut header = |out: &mut Vec<u8>, kind: u8, number: usize| {
        out.push(kind);
        out.extend_from_slice(digits.format(number).as_bytes());
        out.extend_from_slice(b"\r\n");
    };
    header(out, b'*', args.len());
    for arg in args {
        let arg = arg.as_ref();
        header(out, b'$', arg.len());
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
