//! The packed forms in which Redis keeps small lists and hashes, and writes them as they are in memory.

/// What is wrong with a packed form.
pub(super) type Damage = &'static str;

const SHORT: Damage = "a packed value ends too early";

/// Bytes that are read from the front.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], Damage> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(SHORT)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Damage> {
        Ok(self.take(1)?[0])
    }

    /// A signed little-endian number of up to eight bytes.
    fn signed(&mut self, len: usize) -> Result<i64, Damage> {
        let bytes = self.take(len)?;
        let mut word = [if bytes[len - 1] & 0x80 == 0 { 0 } else { 0xff }; 8];
        word[..len].copy_from_slice(bytes);
        Ok(i64::from_le_bytes(word))
    }

    fn u16_le(&mut self) -> Result<usize, Damage> {
        let bytes = self.take(2)?;
        Ok(usize::from(u16::from_le_bytes([bytes[0], bytes[1]])))
    }

    fn u32_le(&mut self) -> Result<usize, Damage> {
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize)
    }
}

/// Gives a number to `visit` as Redis would show it.
fn number(number: i64, visit: &mut impl FnMut(&[u8])) {
    visit(number.to_string().as_bytes());
}

/// Visits the elements of a ziplist.
pub(super) fn ziplist(blob: &[u8], mut visit: impl FnMut(&[u8])) -> Result<(), Damage> {
    let mut bytes = Bytes(blob);
    if bytes.u32_le()? != blob.len() {
        return Err("a ziplist's length is not its own");
    }
    bytes.take(4)?;
    let expected = bytes.u16_le()?;
    let mut count = 0;
    loop {
        // The length of the entry before, which is there to walk back; or the end.
        match bytes.byte()? {
            0xff => break,
            0xfe => bytes.take(4).map(|_| ())?,
            _ => {}
        }
        let code = bytes.byte()?;
        match code {
            0x00..=0x3f => visit(bytes.take(usize::from(code))?),
            0x40..=0x7f => {
                let low = bytes.byte()?;
                visit(bytes.take(usize::from(code & 0x3f) << 8 | usize::from(low))?);
            }
            0x80 => {
                let len = bytes.take(4)?;
                let len = u32::from_be_bytes([len[0], len[1], len[2], len[3]]);
                visit(bytes.take(len as usize)?);
            }
            0xc0 => number(bytes.signed(2)?, &mut visit),
            0xd0 => number(bytes.signed(4)?, &mut visit),
            0xe0 => number(bytes.signed(8)?, &mut visit),
            0xf0 => number(bytes.signed(3)?, &mut visit),
            0xf1..=0xfd => number(i64::from(code & 0x0f) - 1, &mut visit),
            0xfe => number(bytes.signed(1)?, &mut visit),
            _ => return Err("an entry of a ziplist has no known encoding"),
        }
        count += 1;
    }
    finish(&bytes, count, expected)
}

/// Visits the elements of a listpack.
pub(super) fn listpack(blob: &[u8], mut visit: impl FnMut(&[u8])) -> Result<(), Damage> {
    let mut bytes = Bytes(blob);
    if bytes.u32_le()? != blob.len() {
        return Err("a listpack's length is not its own");
    }
    let expected = bytes.u16_le()?;
    let mut count = 0;
    loop {
        let before = bytes.0.len();
        let code = bytes.byte()?;
        let mut low = |mask: u8| -> Result<usize, Damage> {
            Ok(usize::from(code & mask) << 8 | usize::from(bytes.byte()?))
        };
        match code {
            0x00..=0x7f => number(code.into(), &mut visit),
            0x80..=0xbf => visit(bytes.take(usize::from(code & 0x3f))?),
            0xc0..=0xdf => {
                // 13 bits, the highest of them the sign.
                let unsigned = low(0x1f)? as i64;
                number((unsigned ^ 0x1000) - 0x1000, &mut visit);
            }
            0xe0..=0xef => {
                let len = low(0x0f)?;
                visit(bytes.take(len)?);
            }
            0xf0 => {
                let len = bytes.u32_le()?;
                visit(bytes.take(len)?);
            }
            0xf1 => number(bytes.signed(2)?, &mut visit),
            0xf2 => number(bytes.signed(3)?, &mut visit),
            0xf3 => number(bytes.signed(4)?, &mut visit),
            0xf4 => number(bytes.signed(8)?, &mut visit),
            0xff => break,
            _ => return Err("an entry of a listpack has no known encoding"),
        }
        // The length of this entry, which is there to walk back.
        let back = match before - bytes.0.len() {
            0..=127 => 1,
            128..=16_382 => 2,
            16_383..=2_097_150 => 3,
            2_097_151..=268_435_454 => 4,
            _ => 5,
        };
        bytes.take(back)?;
        count += 1;
    }
    finish(&bytes, count, expected)
}

/// Visits the fields and values of a zipmap, as hashes of Redis before 2.6 were kept.
pub(super) fn zipmap(blob: &[u8], mut visit: impl FnMut(&[u8])) -> Result<(), Damage> {
    let mut bytes = Bytes(blob);
    let expected = match bytes.byte()? {
        // More than the byte can tell.
        0xfe.. => MANY,
        pairs => usize::from(pairs) * 2,
    };
    let mut count = 0;
    while let Some(len) = zipmap_len(&mut bytes)? {
        visit(bytes.take(len)?);
        let len = zipmap_len(&mut bytes)?.ok_or("a field of a zipmap has no value")?;
        let free = usize::from(bytes.byte()?);
        visit(bytes.take(len)?);
        bytes.take(free)?;
        count += 2;
    }
    finish(&bytes, count, expected)
}

/// A length in a zipmap; nothing at its end.
fn zipmap_len(bytes: &mut Bytes<'_>) -> Result<Option<usize>, Damage> {
    match bytes.byte()? {
        0xff => Ok(None),
        0xfe => bytes.u32_le().map(Some),
        len => Ok(Some(len.into())),
    }
}

/// What a header says that has no room for the number of elements.
const MANY: usize = 0xffff;

/// At the end there is nothing left, and there were as many elements as the header says, if it says anything.
fn finish(bytes: &Bytes<'_>, count: usize, expected: usize) -> Result<(), Damage> {
    if !bytes.0.is_empty() {
        return Err("a packed value goes on behind its end");
    }
    if expected != MANY && count != expected {
        return Err("a packed value has another number of elements than it says");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Walk = fn(&[u8], &mut dyn FnMut(&[u8])) -> Result<(), Damage>;

    fn elements(walk: Walk, blob: &[u8]) -> Result<Vec<String>, Damage> {
        let mut found = Vec::new();
        walk(blob, &mut |bytes| {
            found.push(bytes.escape_ascii().to_string());
        })?;
        Ok(found)
    }

    const ZIPLIST: Walk = |blob, visit| ziplist(blob, visit);
    const LISTPACK: Walk = |blob, visit| listpack(blob, visit);
    const ZIPMAP: Walk = |blob, visit| zipmap(blob, visit);

    /// A ziplist or listpack of these bytes of entries.
    fn packed(entries: &[u8], count: u16, is_ziplist: bool) -> Vec<u8> {
        let len = if is_ziplist { 11 } else { 7 } + entries.len() as u32;
        let tail = if is_ziplist { &[0; 4][..] } else { &[] };
        [
            &len.to_le_bytes()[..],
            tail,
            &count.to_le_bytes(),
            entries,
            b"\xff",
        ]
        .concat()
    }

    #[test]
    fn all_encodings_of_a_ziplist() {
        let entries = b"\x00\x02hi\
            \x04\x40\x03abc\
            \x06\x80\x00\x00\x00\x01x\
            \x07\xc0\xff\xff\
            \x04\xd0\x00\x00\x01\x00\
            \x06\xe0\x00\x00\x00\x00\x00\x00\x00\x80\
            \xfe\x0a\x00\x00\x00\xf0\x00\x00\x80\
            \x09\xf1\
            \x02\xfd\
            \x02\xfe\x80";
        let expected = [
            "hi",
            "abc",
            "x",
            "-1",
            "65536",
            "-9223372036854775808",
            "-8388608",
            "0",
            "12",
            "-128",
        ];
        assert_eq!(
            elements(ZIPLIST, &packed(entries, 10, true)).unwrap(),
            expected
        );
        assert_eq!(
            elements(ZIPLIST, &packed(entries, 0xffff, true)).unwrap(),
            expected
        );
        assert!(elements(ZIPLIST, &packed(entries, 9, true)).is_err());
    }

    #[test]
    fn all_encodings_of_a_listpack() {
        let entries = b"\x7f\x01\
            \x82hi\x03\
            \xdf\xff\x02\
            \xcf\xff\x02\
            \xe0\x01x\x03\
            \xf0\x01\x00\x00\x00y\x06\
            \xf1\x00\x80\x03\
            \xf2\xff\xff\x7f\x04\
            \xf3\x00\x00\x00\x80\x05\
            \xf4\xff\xff\xff\xff\xff\xff\xff\x7f\x09";
        let expected = [
            "127",
            "hi",
            "-1",
            "4095",
            "x",
            "y",
            "-32768",
            "8388607",
            "-2147483648",
            "9223372036854775807",
        ];
        assert_eq!(
            elements(LISTPACK, &packed(entries, 10, false)).unwrap(),
            expected
        );
        assert!(elements(LISTPACK, &packed(entries, 11, false)).is_err());
        let long = [&b"\xe0\x80"[..], &[b'z'; 128], b"\x01\x82"].concat();
        assert_eq!(
            elements(LISTPACK, &packed(&long, 1, false)).unwrap(),
            ["z".repeat(128)]
        );
    }

    #[test]
    fn zipmaps() {
        let expected = ["name", "ant", "legs", "6"];
        let blob = b"\x02\x04name\x03\x02ant??\x04legs\x01\x006\xff";
        assert_eq!(elements(ZIPMAP, blob).unwrap(), expected);
        let long = b"\xfe\xfe\x04\x00\x00\x00name\x03\x00ant\x04legs\x01\x006\xff";
        assert_eq!(elements(ZIPMAP, long).unwrap(), expected);
        assert!(elements(ZIPMAP, b"\x01\x01a\xff").is_err());
    }

    #[test]
    fn every_truncation_is_noticed() {
        let ziplist = packed(b"\x00\x02hi\x04\xc0\x01\x02", 2, true);
        let listpack = packed(b"\x82hi\x03\xf1\x00\x80\x03", 2, false);
        let zipmap = b"\x01\x04name\x03\x00ant\xff".to_vec();
        for (walk, blob) in [(ZIPLIST, ziplist), (LISTPACK, listpack), (ZIPMAP, zipmap)] {
            elements(walk, &blob).unwrap();
            for len in 0..blob.len() {
                assert!(elements(walk, &blob[..len]).is_err(), "{len}");
            }
            let longer = [&blob[..], b"\xff"].concat();
            assert!(elements(walk, &longer).is_err());
        }
    }

    proptest! {
        #[test]
        fn garbage_does_no_harm(entries: Vec<u8>, count: u16, is_ziplist: bool) {
            let blob = packed(&entries, count, is_ziplist);
            for walk in [ZIPLIST, LISTPACK, ZIPMAP] {
                let _ = elements(walk, &blob);
                let _ = elements(walk, &entries);
            }
        }
    }
}
