//! The distance between two texts, made so that every parameter counts by itself: the words, blanks and signs that one
//! text has and the other lacks, wherever they are. A wrong spelling of booleans costs the same whether the separator
//! is right or wrong, so each can be found without the others.

use std::collections::HashMap;

/// The smaller the nearer; equal texts have (0, 0).
pub type Score = (u64, usize);

/// A text that others are held against.
pub struct Target<'t> {
    text: &'t [u8],
    tokens: HashMap<&'t [u8], i64>,
}

impl<'t> Target<'t> {
    pub fn new(text: &'t [u8]) -> Self {
        Self { text, tokens: count(text) }
    }

    /// Tokens that differ, then how much comes after the first difference.
    pub fn score(&self, other: &[u8]) -> Score {
        let mut tokens = count(other);
        for (token, count) in &self.tokens {
            *tokens.entry(token).or_default() -= count;
        }
        let common = self.text.iter().zip(other).take_while(|(one, other)| one == other).count();
        (tokens.values().map(|count| count.unsigned_abs()).sum(), self.text.len().max(other.len()) - common)
    }
}

fn count(text: &[u8]) -> HashMap<&[u8], i64> {
    let mut tokens = HashMap::new();
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || !byte.is_ascii();
    // An escape is one token: the backslash before `=` is not the one before `"`.
    for token in text.chunk_by(|one, next| is_word(one) && is_word(next) || *one == b'\\' && !is_word(next)) {
        *tokens.entry(token).or_default() += 1;
    }
    tokens
}
