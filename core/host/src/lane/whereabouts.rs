//! Where a connection is found that moves between lanes, and how it is called from any thread.
//!
//! A call is a letter to the lane where the connection was last taken in. There is one on its way at most, so calls
//! coalesce; whoever takes a connection in, or answers the letter, owes it a turn, and calls before that turn are
//! covered by it:
//!
//! ```text
//! caller: a letter is on its way, or a turn owed? ─ no ─▶ note the letter, post it to the lane
//! lane:   take in (a first turn is owed), or answer a letter ─▶ no letter is on its way any more ─▶ the turn
//! ```
//!
//! A letter that finds the connection gone to another lane does nothing: the other lane owes a first turn, and has
//! forgotten the letter when it took the connection in.

use super::Token;
use super::sync::{Mutex, lock};

/// The address of one connection for its whole life. Its lock is held for a look.
#[derive(Debug)]
pub struct Whereabouts(Mutex<Address>);

#[derive(Debug)]
struct Address {
    lane: u32,
    token: Token,
    /// Whether a letter is on its way to this lane, or the first turn ever is still owed.
    called: bool,
}

impl Default for Whereabouts {
    fn default() -> Self {
        Self::new()
    }
}

impl Whereabouts {
    /// Of a connection that no lane has taken in yet.
    #[must_use]
    pub fn new() -> Self {
        Self(Mutex::new(Address {
            lane: 0,
            token: Token::from_bits(0),
            called: true,
        }))
    }

    /// A lane has taken the connection in, and owes it a turn.
    ///
    /// # Panics
    /// With more than 2^32 lanes.
    pub fn settle(&self, lane: usize, token: Token) {
        *lock(&self.0) = Address {
            lane: u32::try_from(lane).expect("as many lanes as cores"),
            token,
            called: false,
        };
    }

    /// Calls the connection. `Some` is the lane to which the caller must now post a letter.
    #[must_use]
    pub fn call(&self) -> Option<usize> {
        let mut address = lock(&self.0);
        let called = std::mem::replace(&mut address.called, true);
        (!called).then_some(address.lane as usize)
    }

    /// A letter has come to `lane`: `Some` is who has called there, and is now owed a turn.
    #[must_use]
    pub fn answer(&self, lane: usize) -> Option<Token> {
        let mut address = lock(&self.0);
        if address.lane as usize != lane {
            return None;
        }
        address.called = false;
        Some(address.token)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn one_letter_is_on_its_way_at_most() {
        let here = Whereabouts::new();
        let token = Token::from_bits(7);
        assert_eq!(here.call(), None, "its first turn is still to come");
        here.settle(1, token);
        assert_eq!((here.call(), here.call()), (Some(1), None));
        assert_eq!(here.answer(1), Some(token));
        assert_eq!(here.call(), Some(1));
    }

    #[test]
    fn a_letter_to_the_lane_before_is_forgotten() {
        let here = Whereabouts::new();
        here.settle(0, Token::from_bits(7));
        assert_eq!(here.call(), Some(0));
        here.settle(1, Token::from_bits(9));
        assert_eq!(here.call(), Some(1));
        assert_eq!(here.answer(0), None);
        assert_eq!(
            here.call(),
            None,
            "the letter to the new lane is still on its way"
        );
        assert_eq!(here.answer(1), Some(Token::from_bits(9)));
    }
}
