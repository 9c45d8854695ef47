//! Changes that need no restart: of units, only properties that systemd controls resources by.
//!
//! A rebuild restarts a unit whose file differs in any line. Where nothing but such properties differs in the whole
//! system, the new files take effect by a reload of systemd alone: it then applies them to the running units
//! (`unit_deserialize_state` in systemd, src/core/unit-serialize.c: "everything that is deserialized also gets any
//! potential new cgroup settings applied"). A rebuild with the same values finds its own texts, and restarts nothing.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};

use crate::host::fs::tree::{Node, Tree};

/// The directory of the system's units below /etc.
pub const UNITS: &str = "systemd/system";

/// What systemd applies to the control groups of a running unit (systemd.resource-control(5)). Not those that it applies
/// only at a start, and not those that are more than a number (addresses, devices, delegation).
const LIVE: [&str; 22] = [
    "AllowedCPUs",
    "AllowedMemoryNodes",
    "CPUQuota",
    "CPUQuotaPeriodSec",
    "CPUWeight",
    "IOReadBandwidthMax",
    "IOReadIOPSMax",
    "IOWeight",
    "IOWriteBandwidthMax",
    "IOWriteIOPSMax",
    "MemoryHigh",
    "MemoryLow",
    "MemoryMax",
    "MemoryMin",
    "MemorySwapMax",
    "MemoryZSwapMax",
    "StartupAllowedCPUs",
    "StartupAllowedMemoryNodes",
    "StartupCPUWeight",
    "StartupIOWeight",
    "TasksMax",
    "IODeviceWeight",
];

/// The sections of units that have control groups.
const SECTIONS: [&str; 6] = ["Service", "Slice", "Socket", "Mount", "Swap", "Scope"];

/// The units in which the two directories of units differ; `None` if that is more than needs a reload of systemd. `text`
/// reads what a link leads to.
#[must_use]
pub fn changed(from: &Tree, to: &Tree, text: &dyn Fn(&Node) -> Option<String>) -> Option<BTreeSet<String>> {
    let mut units = BTreeSet::new();
    if from.len() != to.len() {
        return None;
    }
    for (path, old) in from {
        let new = to.get(path)?;
        if old == new {
            continue;
        }
        let (old, new) = (text(old)?, text(new)?);
        if without_live(&old)? != without_live(&new)? {
            return None;
        }
        if old != new {
            units.insert(unit_of(path)?);
        }
    }
    Some(units)
}

/// Whether two trees of /etc differ in their system's units alone.
#[must_use]
pub fn is_of_units(from: &Tree, to: &Tree) -> bool {
    let others = |tree: &Tree| -> BTreeMap<Utf8PathBuf, Node> {
        tree.iter().filter(|(path, _)| *path != UNITS).map(|(path, node)| (path.clone(), node.clone())).collect()
    };
    others(from) == others(to)
}

/// The unit that a file is of: itself, or the one that it is a drop-in of.
fn unit_of(path: &Utf8Path) -> Option<String> {
    let first = path.components().next()?.as_str();
    Some(first.strip_suffix(".d").unwrap_or(first).to_owned())
}

/// A unit's lines without those of live properties, each with its section; `None` where a line goes on in the next.
fn without_live(text: &str) -> Option<Vec<(String, String)>> {
    let mut section = String::new();
    let mut lines = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.ends_with('\\') {
            return None;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(&mut section);
        }
        let key = line.split_once('=').map(|(key, _)| key.trim_end());
        let is_live = SECTIONS.contains(&section.as_str()) && key.is_some_and(|key| LIVE.contains(&key));
        if !line.is_empty() && !is_live {
            lines.push((section.clone(), line.to_owned()));
        }
    }
    Some(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(units: &[(&str, &str)]) -> Tree {
        units.iter().map(|(name, text)| (Utf8PathBuf::from(name), Node::text(text))).collect()
    }

    fn between(from: &[(&str, &str)], to: &[(&str, &str)]) -> Option<Vec<String>> {
        let text = |node: &Node| match node {
            Node::File { bytes, .. } => Some(String::from_utf8(bytes.clone()).unwrap()),
            Node::Link(_) => None,
        };
        changed(&tree(from), &tree(to), &text).map(|units| units.into_iter().collect())
    }

    #[test]
    fn properties_that_are_applied_to_what_runs_need_no_restart() {
        let unit = |lines: &str| format!("[Unit]\nDescription=a\n\n[Service]\n{lines}");
        let (old, new) = (unit("ExecStart=/x\nMemoryMax=1G\n"), unit("CPUWeight=20\nExecStart=/x\nMemoryMax=2G\n"));
        assert_eq!(between(&[("a.service", &old)], &[("a.service", &new)]), Some(vec!["a.service".to_owned()]));
        assert_eq!(between(&[("a.service", &new)], &[("a.service", &old)]), Some(vec!["a.service".to_owned()]));
        let slice = |limit: &str| format!("[Slice]\nTasksMax={limit}\n");
        let (old, new) = (slice("1"), slice("2"));
        let place = "a.slice.d/overrides.conf";
        assert_eq!(between(&[(place, &old)], &[(place, &new)]), Some(vec!["a.slice".to_owned()]));
        assert_eq!(between(&[(place, &old)], &[(place, &old)]), Some(vec![]));
    }

    #[test]
    fn everything_else_does() {
        let service = |lines: &str| format!("[Service]\nExecStart=/x\n{lines}");
        let old = service("MemoryMax=1G\n");
        for new in [
            service("MemoryMax=1G\nNice=1\n"),
            service("MemoryMax=2G\nEnvironment=A=b\n"),
            service("MemoryMax=1G\nIPAddressDeny=any\n"),
            service("MemoryMax=1G \\\nCPUWeight=20\n"),
            "[Service]\nMemoryMax=1G\n".to_owned(),
            "[Service]\nExecStart=/x\n[Unit]\nMemoryMax=1G\n".to_owned(),
        ] {
            assert_eq!(between(&[("a.service", &old)], &[("a.service", &new)]), None, "{new}");
        }
        let new = service("MemoryMax=2G\n");
        assert_eq!(between(&[("a.service", &old)], &[("a.service", &new), ("b.service", &new)]), None);
        assert_eq!(between(&[("a.service", &old)], &[("b.service", &new)]), None);
        assert_eq!(between(&[("a.service", &old), ("b.service", &old)], &[("a.service", &new)]), None);
    }

    #[test]
    fn another_file_of_etc_is_more_than_units() {
        let etc = |units: &str, hosts: &str| -> Tree {
            [(UNITS, units), ("hosts", hosts)]
                .map(|(path, target)| (Utf8PathBuf::from(path), Node::Link(target.to_owned())))
                .into()
        };
        assert!(is_of_units(&etc("a", "x"), &etc("b", "x")));
        assert!(!is_of_units(&etc("a", "x"), &etc("b", "y")));
    }
}
