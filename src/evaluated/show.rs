//! A change set for people: each unit and file with its text before and after.

use super::change_set::{ChangeSet, Entry, Unit};
use crate::reconcile::report::Difference;

/// The whole change set. `read` gives a file of the store as text, if there is one.
#[must_use]
pub fn differences(changes: &ChangeSet, read: &dyn Fn(&str) -> Option<String>) -> Vec<Difference> {
    let mut all = Vec::new();
    for (units, prefix) in [(&changes.units, ""), (&changes.user_units, "user/")] {
        for (name, sides) in units {
            let text = |side: &Option<Unit>| side.as_ref().map(unit).unwrap_or_default();
            all.push(Difference { name: format!("{prefix}{name}"), old: text(&sides.before), new: text(&sides.after) });
        }
    }
    for (name, sides) in &changes.etc {
        let text = |side: &Option<Entry>| side.as_ref().map(|one| entry(one, read)).unwrap_or_default();
        let target = sides.after.as_ref().or(sides.before.as_ref()).map(|one| one.target.clone());
        let target = target.filter(|target| !target.is_empty()).unwrap_or_else(|| name.clone());
        all.push(Difference { name: format!("/etc/{target}"), old: text(&sides.before), new: text(&sides.after) });
    }
    all
}

fn unit(unit: &Unit) -> String {
    if !unit.enable {
        return "(masked)\n".to_owned();
    }
    let mut text = unit.text.clone();
    for (word, names) in [
        ("WantedBy", &unit.wanted_by),
        ("RequiredBy", &unit.required_by),
        ("UpheldBy", &unit.upheld_by),
        ("Alias", &unit.aliases),
    ] {
        for name in names {
            text.extend(["# ", word, "=", name, "\n"]);
        }
    }
    text
}

fn entry(entry: &Entry, read: &dyn Fn(&str) -> Option<String>) -> String {
    if !entry.enable {
        return String::new();
    }
    let text = read(&entry.source).or_else(|| entry.text.clone());
    let mut text = text.unwrap_or_else(|| format!("-> {}\n", entry.source));
    if entry.mode != "symlink" {
        text.extend(["# mode ", &entry.mode, ", owner ", &entry.user, ":", &entry.group, "\n"]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_set_is_told_text_by_text() {
        let changes: ChangeSet = serde_json::from_value(serde_json::json!({
            "units": {"a.service": {"before": null, "after": {"enable": true, "text": "[Unit]\n", "wantedBy": ["m.target"]}}},
            "etc": {"x": {"before": {"target": "x", "mode": "symlink", "source": "/s/old"},
                          "after": {"target": "x", "mode": "0600", "source": "/s/new", "user": "+0", "group": "+0"}}},
        }))
        .unwrap();
        let told = differences(&changes, &|path| (path == "/s/old").then(|| "was\n".to_owned()));
        assert_eq!(told[0].new, "[Unit]\n# WantedBy=m.target\n");
        assert_eq!((told[1].name.as_str(), told[1].old.as_str()), ("/etc/x", "was\n"));
        assert_eq!(told[1].new, "-> /s/new\n# mode 0600, owner +0:+0\n");
    }
}
