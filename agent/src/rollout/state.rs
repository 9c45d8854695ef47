//! The state of a rollout, as it is in etcd. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::order::{LAST, place};
use crate::etcd::entry::{Entry, Steps, Wave};
use crate::etcd::keys::Target;

/// A rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rollout {
    /// Its name.
    pub id: String,
    /// Where its values are for.
    pub target: Target,
    /// Its values.
    pub steps: Steps,
    /// What the target had at these paths.
    pub before: BTreeMap<String, Before>,
    /// Who began it.
    pub by: Option<String>,
    /// What was said about it.
    pub message: Option<String>,
    /// When.
    pub time: String,
    /// How many hosts each wave has, with those of the waves before it.
    pub waves: Vec<Size>,
    /// For how many seconds all hosts of a wave have to be well on the values.
    pub hold: u64,
    /// How many hosts may fail.
    pub budget: u32,
    /// After how many seconds a host that says nothing of the values has failed.
    pub deadline: u64,
    /// How it goes.
    pub state: State,
    /// Why it ended.
    pub reason: Option<String>,
    /// The wave that it is at.
    pub wave: usize,
    /// The last place that has the values ([`place`]).
    pub until: u64,
    /// The hosts of the waves so far that were there as these began.
    pub hosts: BTreeSet<String>,
    /// Those that failed, and why.
    pub failed: BTreeMap<String, String>,
}

/// What a path had before.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Before {
    /// Its revision; 0 for none.
    pub revision: i64,
    /// What there was.
    pub entry: Option<Entry>,
}

/// How a rollout goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// Wave by wave.
    Running,
    /// It stays where it is.
    Paused,
    /// The values are those of the target.
    Done,
    /// Too many hosts failed. No host has the values any more.
    Stopped,
    /// Somebody ended it. No host has the values any more.
    Aborted,
}

impl State {
    /// Whether it may go on.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Running | Self::Paused)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Done => "done",
            Self::Stopped => "stopped",
            Self::Aborted => "aborted",
        })
    }
}

/// How many hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Size {
    /// So many.
    Hosts(usize),
    /// So many of a hundred, rounded up.
    Percent(u8),
}

impl Size {
    /// How many it is of `all`; at least one where there is one.
    #[must_use]
    pub fn of(self, all: usize) -> usize {
        match self {
            Self::Hosts(hosts) => hosts.min(all),
            Self::Percent(percent) => (all * usize::from(percent)).div_ceil(100),
        }
    }

    /// Whether it is all of them, whoever comes.
    #[must_use]
    pub fn is_all(self) -> bool {
        self == Self::Percent(100)
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is neither a number of hosts (3) nor a share of them (10%)");
        let size = match text.strip_suffix('%') {
            Some(percent) => Self::Percent(percent.parse().map_err(|_| wrong())?),
            None => Self::Hosts(text.parse().map_err(|_| wrong())?),
        };
        match size {
            Self::Hosts(0) | Self::Percent(0 | 101..) => Err(wrong()),
            size => Ok(size),
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hosts(hosts) => write!(f, "{hosts}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl From<Size> for String {
    fn from(size: Size) -> Self {
        size.to_string()
    }
}

impl TryFrom<String> for Size {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl Rollout {
    /// What the agents of the target read.
    #[must_use]
    pub fn values(&self) -> Wave {
        Wave {
            rollout: self.id.clone(),
            until: self.until,
            steps: self.steps.clone(),
            by: self.by.clone(),
            message: self.message.clone(),
        }
    }

    /// With the next wave that has a host more than there are now, of those that are there. `None`: all waves were.
    #[must_use]
    pub fn next_wave(&self, alive: &BTreeSet<String>, first: usize) -> Option<Self> {
        let mut places: Vec<u64> = alive.iter().map(|host| place(&self.id, host)).collect();
        places.sort_unstable();
        (first..self.waves.len()).find_map(|wave| {
            let size = self.waves[wave];
            let until = if size.is_all() {
                LAST
            } else {
                size.of(places.len()).checked_sub(1).map_or(self.until, |last| places[last].max(self.until))
            };
            let new = alive.iter().filter(|host| place(&self.id, host) <= until);
            let hosts: BTreeSet<String> = self.hosts.iter().chain(new).cloned().collect();
            (hosts.len() > self.hosts.len()).then(|| Self { wave, until, hosts, ..self.clone() })
        })
    }

    /// The waves as they are written.
    #[must_use]
    pub fn sizes(&self) -> String {
        self.waves.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    }
}
