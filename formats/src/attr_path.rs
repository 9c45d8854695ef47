//! Attribute paths: the names of NixOS options, as in `services.harmonia.settings.workers`.
//!
//! Takes the text of a person or a plan and gives the names. Written back, they are an attribute path in Nix's own
//! syntax.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::nix;

/// A path of attribute names, outermost first. Written in Nix's syntax: names that are not identifiers are quoted
/// (`services.nginx.virtualHosts."example.org".root`).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AttrPath(pub Vec<String>);

/// Why a text is no attribute path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an attribute path: {fault}")]
pub struct AttrPathError {
    /// The given text.
    pub text: String,
    /// The fault of the text.
    pub fault: AttrPathFault,
}

/// The fault of an attribute path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttrPathFault {
    /// The text is empty.
    #[error("it is empty; give the option's full name, as in services.harmonia.settings.workers")]
    Empty,
    /// Two dots in a row, or one at an end.
    #[error("name {0} is empty; write \"\" if that is its name")]
    EmptyName(usize),
    /// A character that only a quoted name can have.
    #[error("{character:?} in {name} needs quotes: write {} (and keep the quotes from the shell)", nix::quoted(.name))]
    NeedsQuotes {
        /// The whole name.
        name: String,
        /// The first character that does not go unquoted.
        character: char,
    },
    /// No closing quote.
    #[error("the quoted name that begins at byte {0} has no end")]
    Unterminated(usize),
    /// Something between a closing quote and the next dot.
    #[error("after the quoted name {0} only a dot can follow")]
    AfterQuote(String),
    /// `${...}`: a path is never evaluated.
    #[error("${{ begins Nix code, which is not allowed here; write \\${{ for these two characters")]
    Interpolation,
    /// Nix strings can't hold it.
    #[error("a name can't hold the character NUL")]
    Nul,
    /// More names than a path can have.
    #[error("it has {0} names, and at most {max} are allowed", max = nix::MAX_DEPTH)]
    TooLong(usize),
}

/// The part of a value below some names, outermost first.
#[must_use]
pub fn within<'v>(names: &[String], value: &'v Value) -> Option<&'v Value> {
    names.iter().try_fold(value, |value, name| value.get(name))
}

impl AttrPath {
    /// Reads an attribute path in Nix's syntax. Keywords are taken as names, quoted or not.
    pub fn parse(text: &str) -> Result<Self, AttrPathError> {
        parse(text).map_err(|fault| AttrPathError { text: text.to_owned(), fault })
    }

    /// The part of a value at this path, the whole for the empty path.
    #[must_use]
    pub fn within<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        within(&self.0, value)
    }

    /// The names, outermost first.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// Whether `prefix` is this path or above it.
    #[must_use]
    pub fn starts_with(&self, prefix: &Self) -> bool {
        self.0.starts_with(&prefix.0)
    }

    /// The rest of this path below `prefix`.
    #[must_use]
    pub fn strip_prefix(&self, prefix: &Self) -> Option<Self> {
        self.0.strip_prefix(prefix.0.as_slice()).map(|rest| Self(rest.to_vec()))
    }

    /// This path with `below` at its end.
    #[must_use]
    pub fn join(&self, below: &Self) -> Self {
        Self(self.0.iter().chain(&below.0).cloned().collect())
    }

    /// This path with one more name.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        Self(self.0.iter().cloned().chain([name.to_owned()]).collect())
    }
}

impl fmt::Display for AttrPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(".")?;
            }
            if nix::is_plain_name(name) { f.write_str(name)? } else { f.write_str(&nix::quoted(name))? }
        }
        Ok(())
    }
}

impl std::str::FromStr for AttrPath {
    type Err = AttrPathError;

    fn from_str(text: &str) -> Result<Self, AttrPathError> {
        Self::parse(text)
    }
}

fn parse(text: &str) -> Result<AttrPath, AttrPathFault> {
    if text.is_empty() {
        return Err(AttrPathFault::Empty);
    }
    if text.contains('\0') {
        return Err(AttrPathFault::Nul);
    }
    let mut names = Vec::new();
    let mut rest = text;
    loop {
        let (name, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_name(quoted, text.len() - rest.len())?,
            None => bare_name(rest, names.len() + 1)?,
        };
        names.push(name);
        if names.len() > nix::MAX_DEPTH {
            return Err(AttrPathFault::TooLong(names.len()));
        }
        match after.strip_prefix('.') {
            Some(more) => rest = more,
            None => return Ok(AttrPath(names)),
        }
    }
}

fn bare_name(rest: &str, number: usize) -> Result<(String, &str), AttrPathFault> {
    let (name, after) = rest.split_at(rest.find('.').unwrap_or(rest.len()));
    if name.is_empty() {
        return Err(AttrPathFault::EmptyName(number));
    }
    let wrong = name.char_indices().find(|(index, character)| !nix::goes_unquoted(*character, *index == 0));
    match wrong {
        Some((_, character)) => Err(AttrPathFault::NeedsQuotes { name: name.to_owned(), character }),
        None => Ok((name.to_owned(), after)),
    }
}

fn quoted_name(body: &str, begin: usize) -> Result<(String, &str), AttrPathFault> {
    let mut name = String::new();
    let mut characters = body.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '"' => {
                let after = &body[index + 1..];
                if !after.is_empty() && !after.starts_with('.') {
                    return Err(AttrPathFault::AfterQuote(nix::quoted(&name)));
                }
                return Ok((name, after));
            }
            '\\' => match characters.next() {
                Some((_, escaped)) => name.push(nix::unescaped(escaped)),
                None => break,
            },
            '$' if body[index + 1..].starts_with('{') => return Err(AttrPathFault::Interpolation),
            other => name.push(other),
        }
    }
    Err(AttrPathFault::Unterminated(begin))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(names: &[&str]) -> AttrPath {
        AttrPath(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn names_are_read_as_nix_reads_them() {
        for (text, names) in [
            ("services.harmonia.settings.workers", &["services", "harmonia", "settings", "workers"][..]),
            ("a.application-name.b'", &["a", "application-name", "b'"]),
            (r#"a."example.org"."""#, &["a", "example.org", ""]),
            (r#""a\"b\\c\nd\te\${f}""#, &["a\"b\\c\nd\te${f}"]),
            (r#""cost: $5""#, &["cost: $5"]),
            ("a.if.or", &["a", "if", "or"]),
        ] {
            assert_eq!(AttrPath::parse(text).unwrap(), path(names), "{text}");
        }
    }

    #[test]
    fn strange_paths_are_refused_with_what_to_write_instead() {
        let errors: Vec<String> =
            ["", "a..b", ".a", "a.", "a.8080", "a.b c", "a.@b", "a.\"b", "a.\"b\\", "\"a\"b", "\"${x}\"", "a.\0", "ä"]
                .iter()
                .map(|text| AttrPath::parse(text).unwrap_err().to_string())
                .collect();
        insta::assert_snapshot!(errors.join("\n"), @r#"
"" is not an attribute path: it is empty; give the option's full name, as in services.harmonia.settings.workers
"a..b" is not an attribute path: name 2 is empty; write "" if that is its name
".a" is not an attribute path: name 1 is empty; write "" if that is its name
"a." is not an attribute path: name 2 is empty; write "" if that is its name
"a.8080" is not an attribute path: '8' in 8080 needs quotes: write "8080" (and keep the quotes from the shell)
"a.b c" is not an attribute path: ' ' in b c needs quotes: write "b c" (and keep the quotes from the shell)
"a.@b" is not an attribute path: '@' in @b needs quotes: write "@b" (and keep the quotes from the shell)
"a.\"b" is not an attribute path: the quoted name that begins at byte 2 has no end
"a.\"b\\" is not an attribute path: the quoted name that begins at byte 2 has no end
"\"a\"b" is not an attribute path: after the quoted name "a" only a dot can follow
"\"${x}\"" is not an attribute path: ${ begins Nix code, which is not allowed here; write \${ for these two characters
"a.\0" is not an attribute path: a name can't hold the character NUL
"ä" is not an attribute path: 'ä' in ä needs quotes: write "ä" (and keep the quotes from the shell)
"#);
        let long = vec!["a"; nix::MAX_DEPTH + 1].join(".");
        assert!(matches!(AttrPath::parse(&long).unwrap_err().fault, AttrPathFault::TooLong(_)));
    }

    #[test]
    fn names_are_written_quoted_where_nix_needs_it() {
        assert_eq!(
            path(&["a", "b.c", "if", "or", "", "8", "_x-y'", "a${b}\"\\"]).to_string(),
            r#"a."b.c"."if"."or".""."8"._x-y'."a\${b}\"\\""#
        );
    }

    #[test]
    fn paths_are_joined_and_stripped() {
        let settings = AttrPath::parse("services.harmonia.settings").unwrap();
        let workers = settings.child("workers");
        assert!(workers.starts_with(&settings) && !settings.starts_with(&workers));
        assert_eq!(workers.strip_prefix(&settings), Some(path(&["workers"])));
        assert_eq!(settings.strip_prefix(&workers), None);
        assert_eq!(settings.join(&path(&["workers"])), workers);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(names in prop::collection::vec("[^\0]{0,6}|[$\\\\{}\".a-z]{0,8}", 1..5)) {
            let path = AttrPath(names);
            prop_assert_eq!(AttrPath::parse(&path.to_string()), Ok(path));
        }
    }
}
