//! Users and groups by name and by number.
//!
//! Those of this machine are in /etc/passwd and /etc/group (passwd(5), group(5)). dynix asks getent(1) for all others,
//! which follows nsswitch.conf(5). So dynix, which runs as root and is statically linked, neither loads the modules of
//! other databases nor waits for them.

use std::time::Duration;

use crate::host::{fs, process};

/// How long another database may take, which can be far away.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most bytes of a local database.
const MOST: u64 = 16 << 20;

/// A database of nsswitch.conf(5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    /// Users.
    Users,
    /// Groups.
    Groups,
}

impl Database {
    fn name(self) -> &'static str {
        match self {
            Self::Users => "passwd",
            Self::Groups => "group",
        }
    }

    /// The number of the user or group of a name.
    #[must_use]
    pub fn number(self, name: &str) -> Option<u32> {
        if name.is_empty() || name.contains(|ch: char| ch == ':' || ch.is_control()) {
            return None;
        }
        self.find(name, |entry| (entry.0 == name).then_some(entry.1))
    }

    /// The name of the user or group of a number.
    #[must_use]
    pub fn name_of(self, number: u32) -> Option<String> {
        self.find(&number.to_string(), |entry| (entry.1 == number).then(|| entry.0.to_owned()))
    }

    fn find<T>(self, key: &str, is_it: impl Fn((&str, u32)) -> Option<T>) -> Option<T> {
        let file = format!("/etc/{}", self.name());
        // Other databases may have what can't be read here.
        let local = fs::read_limited(file.as_str().into(), MOST).ok().flatten().unwrap_or_default();
        let first = |text: &[u8]| String::from_utf8_lossy(text).lines().filter_map(entry).find_map(&is_it);
        first(&local).or_else(|| {
            let command = ["getent", self.name(), "--", key].map(str::to_owned);
            let output = process::run(&command, PATIENCE).ok()?;
            first(&output.stdout)
        })
    }
}

/// Name and number of a line; both databases have them first and third.
fn entry(line: &str) -> Option<(&str, u32)> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| !name.is_empty())?;
    Some((name, fields.nth(1)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_no_entries_are_passed_over() {
        assert_eq!(entry("root:x:0:0:System administrator:/root:/bin/sh"), Some(("root", 0)));
        assert_eq!(entry("wheel:x:1:a,b"), Some(("wheel", 1)));
        for line in ["", "# root:x:0", "+::::::", "root", "root:x", "root:x:", "root:x:-1:", ":x:0:0"] {
            assert_eq!(entry(line).filter(|(name, _)| !name.starts_with('#')), None, "{line}");
        }
    }

    #[test]
    fn names_and_numbers_lead_to_each_other() {
        for database in [Database::Users, Database::Groups] {
            assert_eq!(database.number("root"), Some(0));
            assert_eq!(database.name_of(0).as_deref(), Some("root"));
            assert_eq!(database.number("no-such-name-anywhere"), None);
            assert_eq!(database.number("-V"), None);
            assert_eq!(database.number("root:x"), None);
            assert_eq!(database.number(""), None);
            assert_eq!(database.name_of(4_000_000_123), None);
        }
    }

    #[test]
    fn what_is_not_in_the_file_is_asked_for() {
        // getent(1) gives a number's entry under its name, whichever database it is from.
        let command = ["getent", "passwd", "--", "0"].map(str::to_owned);
        let output = process::run(&command, PATIENCE).unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).lines().find_map(entry), Some(("root", 0)));
    }
}
