//! What there is to measure, as a textfile for Prometheus' node exporter. Pure, but for [`write`].

use std::collections::BTreeMap;
use std::fmt::Write as _;

use camino::Utf8Path;

use crate::host::Status;
use crate::report::Outcome;

/// The text for the sources, by name.
#[must_use]
pub fn text(sources: &BTreeMap<String, Status>) -> String {
    let mut out = String::new();
    let mut family = |name: &str, help: &str, value: &dyn Fn(&Status) -> String| {
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge");
        for (source, status) in sources {
            let _ = writeln!(out, "{name}{{source=\"{}\"{}", escaped(source), value(status));
        }
    };
    let flag = |is: bool| format!("}} {}", u8::from(is));
    family("dynix_agent_source_up", "Whether the source can be reached.", &|status| {
        flag(match &status.trouble {
            Some(trouble) => !trouble.is_cut_off && status.outcome != Outcome::Waiting,
            None => status.outcome != Outcome::Waiting,
        })
    });
    family("dynix_agent_source_trouble", "Whether something else is wrong with the source.", &|status| {
        flag(status.trouble.as_ref().is_some_and(|trouble| !trouble.is_cut_off))
    });
    family("dynix_agent_source_applied", "Whether what the source has is in effect.", &|status| {
        flag(status.outcome == Outcome::Applied)
    });
    family("dynix_agent_source_info", "The revision of the source, and what became of it.", &|status| {
        format!(",revision=\"{}\",result=\"{}\"}} 1", escaped(&status.revision), status.outcome)
    });
    out
}

/// Writes the textfile.
pub fn write(path: &Utf8Path, sources: &BTreeMap<String, Status>) -> anyhow::Result<()> {
    crate::file::replace(path, text(sources).as_bytes())
}

/// As a label's value may be.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Trouble;

    #[test]
    fn sources_are_measured() {
        let applied = Status { revision: "12".into(), outcome: Outcome::Applied, ..Status::default() };
        let refused = Status {
            revision: "a\"b".into(),
            outcome: Outcome::Refused,
            reason: Some("no".into()),
            trouble: Some(Trouble { is_cut_off: true, reason: "gone".into() }),
        };
        let trouble = Some(Trouble { is_cut_off: false, reason: "it may be restored from a backup".into() });
        let odd = Status { trouble, ..applied.clone() };
        let sources = [("config", refused), ("fleet", applied), ("odd", odd)];
        insta::assert_snapshot!(text(&sources.map(|(name, status)| (name.to_owned(), status)).into()));
    }
}
