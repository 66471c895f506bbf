//! LZF: runs of literal bytes, and copies of what came up to 8 KiB before.

/// The most bytes that one byte of compressed data can become: a copy of 264 bytes takes three.
const MAX_RATIO: u64 = 88;

/// Whether `compressed` bytes can become `len` at all; asked before any room is made for them.
pub(super) const fn is_plausible(compressed: u64, len: u64) -> bool {
    len <= compressed.saturating_mul(MAX_RATIO)
}

/// Decompresses to exactly `len` bytes; nothing where the data does not.
pub(super) fn decompress(data: &[u8], len: usize) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(len);
    let mut rest = data;
    while let [control, behind @ ..] = rest {
        rest = behind;
        let control = usize::from(*control);
        if control < 32 {
            let (literal, behind) = rest.split_at_checked(control + 1)?;
            out.extend_from_slice(literal);
            rest = behind;
        } else {
            let mut count = (control >> 5) + 2;
            if count == 9 {
                let (more, behind) = rest.split_first()?;
                count += usize::from(*more);
                rest = behind;
            }
            let (low, behind) = rest.split_first()?;
            rest = behind;
            let back = ((control & 0x1f) << 8 | usize::from(*low)) + 1;
            let from = out.len().checked_sub(back)?;
            // The copy may overlap with itself: `ab` with 2 back and 5 long is `ababa`.
            for at in from..from + count {
                out.push(out[at]);
            }
        }
        if out.len() > len {
            return None;
        }
    }
    (out.len() == len).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn literals_and_copies() {
        assert_eq!(decompress(b"\x02abc", 3), Some(b"abc".to_vec()));
        // Two literals; five bytes from two back.
        assert_eq!(decompress(b"\x01ab\x60\x01", 7), Some(b"abababa".to_vec()));
        // A long copy: 9 + 3 bytes from one back.
        assert_eq!(decompress(b"\x00x\xe0\x03\x00", 13), Some(vec![b'x'; 13]));
        assert_eq!(decompress(b"", 0), Some(Vec::new()));
    }

    #[test]
    fn what_is_no_lzf() {
        for (data, len) in [
            (&b"\x02ab"[..], 3),
            (b"\x20\x00", 3),
            (b"\x00a\x20", 4),
            (b"\x00a\xe0\x01", 4),
            (b"\x02abc", 2),
            (b"\x02abc", 4),
        ] {
            assert_eq!(decompress(data, len), None, "{data:?} {len}");
        }
    }

    proptest! {
        #[test]
        fn garbage_does_no_harm(data: Vec<u8>, len in 0..300_usize) {
            let out = decompress(&data, len);
            prop_assert!(out.is_none_or(|out| out.len() == len));
            prop_assert!(is_plausible(3, 264) && !is_plausible(3, 265));
        }
    }
}
