//! Parses a rule of the daemon (`dynamicism.daemon.allow`): its paths, and its rate.

use std::time::Duration;

use crate::attr_path::{AttrPath, AttrPathError};

/// Paths that a rule is about: names, of which some may be any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Vec<Option<String>>);

impl Pattern {
    /// Reads a path of which some names are `*`.
    pub fn parse(text: &str) -> Result<Self, AttrPathError> {
        let mut parts = vec![String::new()];
        let (mut quoted, mut escaped) = (false, false);
        for ch in text.chars() {
            match ch {
                '.' if !quoted => {
                    parts.push(String::new());
                    continue;
                }
                '"' if !escaped => quoted = !quoted,
                _ => {}
            }
            escaped = ch == '\\' && !escaped;
            parts.last_mut().into_iter().for_each(|part| part.push(ch));
        }
        let any: Vec<bool> = parts.iter().map(|part| part == "*").collect();
        let shown: Vec<&str> = parts.iter().map(|part| if part == "*" { "any" } else { part.as_str() }).collect();
        let names =
            AttrPath::parse(&shown.join(".")).map_err(|error| AttrPathError { text: text.to_owned(), ..error })?;
        Ok(Self(names.0.into_iter().zip(any).map(|(name, any)| (!any).then_some(name)).collect()))
    }

    /// Whether `path` is one of these paths, or below one.
    #[must_use]
    pub fn covers(&self, path: &AttrPath) -> bool {
        self.0.len() <= path.0.len() && self.meets(path)
    }

    /// Whether `path` is one of these paths, below one, or above one.
    #[must_use]
    pub fn meets(&self, path: &AttrPath) -> bool {
        self.0.iter().zip(&path.0).all(|(wanted, name)| wanted.as_ref().is_none_or(|wanted| wanted == name))
    }

    /// Whether there can be a path that both are about.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|pair| !matches!(pair, (Some(one), Some(other)) if one != other))
    }

    /// The names after the first `count`, if none of them is a wildcard.
    #[must_use]
    pub fn names_behind(&self, count: usize) -> Option<Vec<String>> {
        self.0.iter().skip(count).cloned().collect()
    }
}

/// How often something may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// So many times.
    pub times: u32,
    /// In this time.
    pub period: Duration,
}

impl Rate {
    /// Reads `10/min`, `1/s`, `100/h`, `5/10min`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let expected = || format!("{text:?} is no rate; expected one as in \"10/min\"");
        let (times, period) = text.split_once('/').ok_or_else(expected)?;
        let times: u32 =
            times.trim().parse().ok().filter(|times| *times > 0 && *times <= 10_000).ok_or_else(expected)?;
        let period = period.trim();
        let period =
            if period.starts_with(|ch: char| ch.is_ascii_digit()) { period.to_owned() } else { format!("1{period}") };
        let period = humantime::parse_duration(&period).ok().filter(|period| !period.is_zero()).ok_or_else(expected)?;
        Ok(Self { times, period })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> AttrPath {
        AttrPath::parse(text).unwrap()
    }

    #[test]
    fn patterns_overlap_where_a_path_can_be_of_both() {
        let overlap = |one: &str, other: &str| Pattern::parse(one).unwrap().overlaps(&Pattern::parse(other).unwrap());
        assert!(overlap("a.*.c", "a.b") && overlap("*", "a.b.c") && overlap("a.b", "a"));
        assert!(!overlap("a.*.c", "a.b.d") && !overlap("a", "b"));
    }

    #[test]
    fn a_pattern_covers_what_is_below_it() {
        let pattern = Pattern::parse(r#"services.*."a.b".c"#).unwrap();
        assert!(pattern.covers(&path(r#"services.x."a.b".c"#)) && pattern.covers(&path(r#"services.y."a.b".c.d"#)));
        assert!(!pattern.covers(&path(r#"services.x."a.b""#)) && pattern.meets(&path(r#"services.x."a.b""#)));
        assert!(!pattern.meets(&path("services.x.a")));
        // Quoted, it is a name like any other.
        let quoted = Pattern::parse(r#"a."*""#).unwrap();
        assert!(!quoted.covers(&path("a.b")) && quoted.covers(&path(r#"a."*""#)));
        for wrong in ["", "a..b", "a.b*", "*a", "a.\"", "a.${x}"] {
            assert!(Pattern::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_rate_is_read_as_it_is_said() {
        let rate = |text| Rate::parse(text).map(|rate| (rate.times, rate.period.as_secs()));
        assert_eq!(rate("10/min"), Ok((10, 60)));
        assert_eq!(rate("1 / s"), Ok((1, 1)));
        assert_eq!(rate("5/10min"), Ok((5, 600)));
        for wrong in ["", "10", "0/min", "x/min", "1/", "1/0s", "-1/s", "1/fortnight", "99999999999/s"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }
}
