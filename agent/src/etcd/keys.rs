//! The keys of a fleet in etcd. Pure.
//!
//! | key | |
//! | --- | --- |
//! | `/dynix/FLEET/all/PATH` | the value of an option on all hosts |
//! | `/dynix/FLEET/groups/GROUP/PATH` | on the hosts of a group |
//! | `/dynix/FLEET/hosts/HOST/PATH` | on a host |
//! | `.../@wave` beside them | the values of a rollout, and which hosts have them by now |
//! | `.../@change` beside them | who changed something there last |
//! | `/dynix/FLEET/hosts-known/HOST` | that there is such a host, and its groups |
//! | `/dynix/FLEET/reports/HOST` | what became of its layer, under a lease |
//! | `/dynix/FLEET/rollouts/ID` | the state of a rollout |
//! | `/dynix/FLEET/log/ID` | what was done |
//! | `/dynix/FLEET/driver` | who drives the rollouts, under a lease |
//!
//! PATH is the option's path in Nix's own syntax, in the one way that dynix writes it: a name that is no identifier is
//! quoted (`services.nginx.virtualHosts."example.org".root`), slashes and all. Neither groups nor hosts have a slash in
//! their names, so every key can be read in one way only.

use std::fmt;
use std::str::FromStr;

use dynix::attr_path::AttrPath;
use serde::{Deserialize, Serialize};

/// The name beside the paths of a target that has a rollout's values.
pub const WAVE: &str = "@wave";
/// The name beside the paths of a target that says who changed something last.
pub const CHANGE: &str = "@change";

/// Where values are for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Target {
    /// All hosts.
    All,
    /// The hosts of a group.
    Group(String),
    /// A host.
    Host(String),
}

/// Why something is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct BadKey {
    /// The key.
    pub key: String,
    /// What is wrong with it, or with what is there.
    pub reason: String,
}

/// What a key below a target is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// An option's path.
    Path(AttrPath),
    /// A rollout's values.
    Wave,
    /// Who changed something last.
    Change,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => write!(f, "all"),
            Self::Group(name) => write!(f, "groups/{name}"),
            Self::Host(name) => write!(f, "hosts/{name}"),
        }
    }
}

impl From<Target> for String {
    fn from(target: Target) -> Self {
        target.to_string()
    }
}

impl TryFrom<String> for Target {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let target = match text.split_once('/') {
            None if text == "all" => Some(Self::All),
            Some(("groups", name)) => Some(Self::Group(name.to_owned())),
            Some(("hosts", name)) => Some(Self::Host(name.to_owned())),
            _ => None,
        };
        target
            .filter(|target| target.name().is_none_or(is_name))
            .ok_or_else(|| format!("{text:?} is neither all, nor groups/GROUP, nor hosts/HOST"))
    }
}

/// Whether a fleet, a group or a host can have this name.
#[must_use]
pub fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains('/') && !name.contains(char::is_control)
}

impl Target {
    fn name(&self) -> Option<&str> {
        match self {
            Self::All => None,
            Self::Group(name) | Self::Host(name) => Some(name),
        }
    }

    /// Those of a host, outermost first: later ones win.
    #[must_use]
    pub fn of(host: &str, groups: &[String]) -> Vec<Self> {
        let groups = groups.iter().map(|group| Self::Group(group.clone()));
        [Self::All].into_iter().chain(groups).chain([Self::Host(host.to_owned())]).collect()
    }

    /// Whether it has this host.
    #[must_use]
    pub fn has(&self, host: &str, groups: &[String]) -> bool {
        match self {
            Self::All => true,
            Self::Group(name) => groups.contains(name),
            Self::Host(name) => name == host,
        }
    }
}

/// The keys of a fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fleet(String);

impl Fleet {
    /// The fleet of this name.
    pub fn new(name: &str) -> anyhow::Result<Self> {
        anyhow::ensure!(is_name(name), "{name:?} is no name of a fleet");
        Ok(Self(format!("/dynix/{name}")))
    }

    /// What all its keys begin with.
    #[must_use]
    pub fn prefix(&self) -> String {
        format!("{}/", self.0)
    }

    /// What the keys of a target begin with.
    #[must_use]
    pub fn target(&self, target: &Target) -> String {
        format!("{}/{target}/", self.0)
    }

    /// The key of an option.
    #[must_use]
    pub fn option(&self, target: &Target, path: &AttrPath) -> String {
        format!("{}/{target}/{path}", self.0)
    }

    /// The key of a target's rollout.
    #[must_use]
    pub fn wave(&self, target: &Target) -> String {
        format!("{}/{target}/{WAVE}", self.0)
    }

    /// The key of who changed something of a target last.
    #[must_use]
    pub fn change(&self, target: &Target) -> String {
        format!("{}/{target}/{CHANGE}", self.0)
    }

    /// The key of a host, or what those of all begin with.
    #[must_use]
    pub fn known(&self, host: &str) -> String {
        format!("{}/hosts-known/{host}", self.0)
    }

    /// The key of a host's report, or what those of all begin with.
    #[must_use]
    pub fn report(&self, host: &str) -> String {
        format!("{}/reports/{host}", self.0)
    }

    /// The key of a rollout, or what those of all begin with.
    #[must_use]
    pub fn rollout(&self, id: &str) -> String {
        format!("{}/rollouts/{id}", self.0)
    }

    /// The key of something that was done, or what those of all begin with.
    #[must_use]
    pub fn log(&self, id: &str) -> String {
        format!("{}/log/{id}", self.0)
    }

    /// The key of who drives.
    #[must_use]
    pub fn driver(&self) -> String {
        format!("{}/driver", self.0)
    }
}

/// Reads the part of a key after its target's prefix.
pub fn name(prefix: &str, key: &[u8]) -> Result<Name, BadKey> {
    let shown = String::from_utf8_lossy(key).into_owned();
    let bad = |reason: String| BadKey { key: shown.clone(), reason };
    let text = std::str::from_utf8(key).map_err(|_| bad("it is no UTF-8".to_owned()))?;
    let rest = text.strip_prefix(prefix).ok_or_else(|| bad(format!("it does not begin with {prefix}")))?;
    match rest {
        WAVE => return Ok(Name::Wave),
        CHANGE => return Ok(Name::Change),
        _ => {}
    }
    let path = AttrPath::parse(rest).map_err(|error| bad(error.to_string()))?;
    let written = path.to_string();
    if written != rest {
        return Err(bad(format!("dynix writes this path as {written}: use that key")));
    }
    Ok(Name::Path(path))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn odd_names_go_into_keys_and_come_back() {
        let fleet = Fleet::new("production").unwrap();
        let target = Target::Group("web".to_owned());
        let prefix = fleet.target(&target);
        for names in [
            vec!["services", "nginx", "virtualHosts", "example.org", "root"],
            vec!["a/b", "c\"d", "e\\f", "${g}", "", "@wave", "ü", "\n"],
            vec!["@wave"],
            vec!["with", "let"],
        ] {
            let path = AttrPath(names.into_iter().map(str::to_owned).collect());
            let key = fleet.option(&target, &path);
            assert_eq!(name(&prefix, key.as_bytes()), Ok(Name::Path(path)), "{key}");
        }
        assert_eq!(name(&prefix, fleet.wave(&target).as_bytes()), Ok(Name::Wave));
        assert_eq!(name(&prefix, fleet.change(&target).as_bytes()), Ok(Name::Change));
    }

    #[test]
    fn a_key_that_is_no_path_is_named() {
        let shown = |rest: &[u8]| name("/dynix/f/all/", &[b"/dynix/f/all/", rest].concat()).unwrap_err().to_string();
        let all = [&b""[..], b"a..b", b"a b", b"\"a", b"a.\"b\"", b"a.\xff", b"@waves", b"a/b"];
        insta::assert_snapshot!(all.map(shown).join("\n"));
    }

    #[test]
    fn targets_are_written_and_read() {
        for target in [Target::All, Target::Group("web".to_owned()), Target::Host("web3".to_owned())] {
            assert_eq!(target.to_string().parse(), Ok(target));
        }
        for bad in ["", "al", "groups", "groups/", "groups/a/b", "hosts/", "other/x"] {
            assert!(bad.parse::<Target>().is_err(), "{bad}");
        }
        assert!(Fleet::new("a/b").is_err() && Fleet::new("").is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn every_path_has_one_key(names in prop::collection::vec("[^\0]{0,6}", 1..5)) {
            let path = AttrPath(names);
            let key = Fleet::new("f").unwrap().option(&Target::All, &path);
            prop_assert_eq!(name("/dynix/f/all/", key.as_bytes()), Ok(Name::Path(path)));
        }
    }
}
