//! Glob patterns, as Redis's KEYS and SCAN read them.

/// Whether the whole `text` matches `pattern`.
///
/// `*` is any bytes, `?` any one byte, `[abc]` one of these, `[a-z]` one of a range (in either order), `[^a]` none of
/// these, and `\x` is `x` itself, inside brackets too. Case matters. As in Redis, a bracket that is not closed ends
/// with the pattern, a backslash at the end is itself, and an empty text is matched only by the empty pattern and by
/// `*`. (Redis compares the ends of a range as signed bytes where C's `char` is signed; here bytes are unsigned.)
///
/// It takes time proportional to the product of the lengths at worst: every other element than `*` matches exactly one
/// byte, so whatever an earlier `*` could try, the last one that was met can try too, and only that one is tried again.
///
/// ```
/// use ant_cache_core::glob::matches;
/// assert!(matches(b"user:*:[a-f0-9]?", b"user:1:d4"));
/// assert!(!matches(b"user:[^0-9]*", b"user:1"));
/// ```
#[must_use]
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    if text.is_empty() {
        return matches!(pattern, b"" | b"*");
    }
    let (mut p, mut t) = (0, 0);
    // Behind the last `*`: the pattern there, and where in the text it was tried last.
    let mut star = None;
    while let Some(&byte) = text.get(t) {
        match pattern.get(p) {
            Some(b'*') => {
                p = skip_stars(pattern, p);
                if p == pattern.len() {
                    return true;
                }
                star = Some((p, t));
                continue;
            }
            Some(_) => {
                if let Some(next) = element(pattern, p, byte) {
                    (p, t) = (next, t + 1);
                    continue;
                }
            }
            None => {}
        }
        let Some((behind, tried)) = star else {
            return false;
        };
        (p, t) = (behind, tried + 1);
        star = Some((p, t));
    }
    skip_stars(pattern, p) == pattern.len()
}

fn skip_stars(pattern: &[u8], at: usize) -> usize {
    at + pattern[at..]
        .iter()
        .take_while(|byte| **byte == b'*')
        .count()
}

/// Matches the element at `at`, which is not `*`, with one byte; where it matches, the end of the element.
#[inline]
fn element(pattern: &[u8], at: usize, byte: u8) -> Option<usize> {
    let (matched, end) = match pattern[at..] {
        [b'?', ..] => (true, at + 1),
        [b'[', ..] => class(pattern, at + 1, byte),
        [b'\\', literal, ..] => (literal == byte, at + 2),
        [literal, ..] => (literal == byte, at + 1),
        [] => (false, at),
    };
    matched.then_some(end)
}

/// Whether the class behind `[` has the byte, and where it ends.
fn class(pattern: &[u8], mut at: usize, byte: u8) -> (bool, usize) {
    let negated = pattern.get(at) == Some(&b'^');
    at += usize::from(negated);
    let mut found = false;
    loop {
        let (hit, len) = match pattern[at..] {
            [] => break,
            [b'\\', literal, ..] => (literal == byte, 2),
            [b']', ..] => {
                at += 1;
                break;
            }
            [one, b'-', other, ..] => ((one.min(other)..=one.max(other)).contains(&byte), 3),
            [literal, ..] => (literal == byte, 1),
        };
        found |= hit;
        at += len;
    }
    (found != negated, at)
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Tries everything.
    fn naive(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], _) => text.is_empty(),
            ([b'*', rest @ ..], _) => (0..=text.len()).any(|skip| naive(rest, &text[skip..])),
            (_, []) => false,
            (_, [byte, text @ ..]) => {
                let (set, rest) = naive_element(pattern);
                set.contains(byte) && naive(rest, text)
            }
        }
    }

    /// All the bytes that the first element matches, and the rest of the pattern.
    fn naive_element(pattern: &[u8]) -> (Vec<u8>, &[u8]) {
        match pattern {
            [b'?', rest @ ..] => ((0..=255).collect(), rest),
            [b'[', b'^', rest @ ..] => {
                let (set, rest) = naive_class(rest);
                ((0..=255).filter(|byte| !set.contains(byte)).collect(), rest)
            }
            [b'[', rest @ ..] => naive_class(rest),
            [b'\\', literal, rest @ ..] | [literal, rest @ ..] => ([*literal].to_vec(), rest),
            [] => unreachable!(),
        }
    }

    fn naive_class(pattern: &[u8]) -> (Vec<u8>, &[u8]) {
        let (mut set, rest) = match pattern {
            [] => return (Vec::new(), pattern),
            [b'\\', literal, rest @ ..] => ([*literal].to_vec(), rest),
            [b']', rest @ ..] => return (Vec::new(), rest),
            [a, b'-', b, rest @ ..] if a > b => ((*b..=*a).collect(), rest),
            [a, b'-', b, rest @ ..] => ((*a..=*b).collect(), rest),
            [literal, rest @ ..] => ([*literal].to_vec(), rest),
        };
        let (more, rest) = naive_class(rest);
        set.extend(more);
        (set, rest)
    }

    proptest! {
        #[test]
        fn agrees_with_the_naive_matcher(
            pattern in vec(proptest::sample::select(&b"abc*?[]^-\\"[..]), 0..12),
            text in vec(proptest::sample::select(&b"abc]-\\^*"[..]), 1..10),
        ) {
            prop_assert_eq!(matches(&pattern, &text), naive(&pattern, &text));
        }

        #[test]
        fn agrees_with_the_naive_matcher_on_stars(pattern in "[ab*]{0,12}", text in "[ab]{1,16}") {
            let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
            prop_assert_eq!(matches(pattern, text), naive(pattern, text));
        }

        #[test]
        fn an_escaped_text_matches_itself_alone(text in vec(any::<u8>(), 1..20), other in vec(any::<u8>(), 1..20)) {
            let pattern: Vec<u8> = text.iter().flat_map(|byte| [b'\\', *byte]).collect();
            prop_assert!(matches(&pattern, &text));
            prop_assert_eq!(matches(&pattern, &other), text == other);
        }
    }

    /// What redis-server 7.0.15 says (`SET text x`, `KEYS pattern`).
    #[test]
    fn odd_patterns_are_read_as_redis_reads_them() {
        for (pattern, text, expected) in [
            ("[abc", "c", true),
            ("[^", "x", true),
            ("[", "[", false),
            ("[]a]", "a", false),
            ("[a-]", "^", true),
            ("[a-]", "a", true),
            ("[a-]", "-", false),
            ("[z-a]", "m", true),
            ("[\\]]", "]", true),
            ("[\\", "\\", true),
            ("a\\", "a\\", true),
            ("*", "", true),
            ("**", "", false),
            ("", "", true),
            ("", "a", false),
            ("a**", "a", true),
            ("A", "a", false),
            ("?", "é", false),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), text.as_bytes()),
                expected,
                "{pattern:?} on {text:?}"
            );
        }
    }

    /// Redis's matcher takes exponential time for this; here it is a moment.
    #[test]
    fn many_stars_end() {
        let pattern = b"a*".repeat(1000);
        let text = [b"a".repeat(10_000), b"b".to_vec()].concat();
        assert!(!matches(&[&pattern[..], b"c"].concat(), &text));
        assert!(matches(&pattern, &text));
    }
}
