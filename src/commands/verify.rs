//! `dynix verify`: whether a rebuild with the recorded values would change more than dynix did.

use std::fmt::Write as _;

use camino::Utf8Path;
use serde::Serialize;

use super::session::Session;
use crate::apply::desired::desired;
use crate::attr_path::AttrPath;
use crate::cli::Read;
use crate::exit::Exit;
use crate::overrides::Overlay;
use crate::paths::Paths;
use crate::plan::Plan;
use crate::secrets::{SecretFiles, Secrets};
use crate::verify::evaluation::{self, Evaluated};
use crate::verify::{Finding, Judgement, judge};

/// What is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Verdict {
    /// A rebuild would change nothing more.
    Sound,
    /// It would.
    Unsound,
    /// Nothing could be found out.
    Unverified,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    verdict: Verdict,
    /// The last record of the log that it speaks of.
    record: u64,
    #[serde(flatten)]
    judgement: Judgement,
    /// Why nothing could be found out.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Evaluates, judges and prints.
pub fn run(arguments: &Read, session: &Session) -> anyhow::Result<Exit> {
    let (plan, paths) = session.load()?;
    let report = report(&plan, &paths, session)?;
    let exit = match report.verdict {
        Verdict::Sound => Exit::Done,
        Verdict::Unsound => Exit::Unsound,
        Verdict::Unverified => Exit::Failed,
    };
    if arguments.json {
        super::print_json(&report)?
    } else {
        super::print(text(&report).as_bytes())?
    };
    Ok(exit)
}

fn report(plan: &Plan, paths: &Paths, session: &Session) -> anyhow::Result<Report> {
    let mut folded = session.log(plan, paths).fold()?;
    let secrets = Secrets::of(plan);
    let kept: Vec<AttrPath> = folded.overlay.leaves().into_iter().map(|(path, _)| path).collect();
    let kept: Vec<AttrPath> = kept.into_iter().filter(|path| secrets.concern(path)).collect();
    for path in &kept {
        folded.overlay.unset(path);
    }
    let desired = desired(plan, &folded.overlay, None, &SecretFiles::of(paths));
    let mut report =
        Report { verdict: Verdict::Sound, record: folded.last_id, judgement: Judgement::default(), reason: None };
    let mut overlay: Overlay = folded.overlay;
    for path in kept {
        report.judgement.notes.push(format!("{path} holds a secret, which no build may have, and was left out"));
    }
    for left_out in &desired.left_out {
        overlay.unset(&left_out.path);
        report.judgement.notes.push(format!("{} does not hold and was left out", left_out.path));
    }
    if overlay.is_empty() {
        return Ok(report);
    }
    let Some(evaluator) = &plan.evaluator else {
        report.verdict = Verdict::Unverified;
        report.reason = Some("this system's plan has no evaluator (dynamicism.evaluator)".to_owned());
        return Ok(report);
    };
    let directory = paths.overrides().parent().unwrap_or(Utf8Path::new("/"));
    match evaluation::compare(evaluator, &overlay, directory) {
        Ok(Evaluated::Compared(comparison)) => {
            let judgement = judge(plan, &desired.services, &comparison);
            report.judgement.findings = judgement.findings;
            report.judgement.notes.extend(judgement.notes);
        }
        Ok(Evaluated::FailsWithOverrides(words)) => {
            let finding = Finding { kind: "evaluation".to_owned(), name: String::new(), changes: vec![words] };
            report.judgement.findings.push(finding);
        }
        Err(error) => {
            report.verdict = Verdict::Unverified;
            report.reason = Some(crate::messages::chain(&error));
            return Ok(report);
        }
    }
    if !report.judgement.findings.is_empty() {
        report.verdict = Verdict::Unsound;
    }
    Ok(report)
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a String can't fail.
    for finding in &report.judgement.findings {
        let _ = writeln!(text, "{finding}");
    }
    for note in &report.judgement.notes {
        let _ = writeln!(text, "note: {note}");
    }
    let _ = match (report.verdict, &report.reason) {
        (Verdict::Sound, _) => writeln!(text, "sound: a rebuild with the recorded values would change nothing else"),
        (Verdict::Unsound, _) => writeln!(
            text,
            "not sound: put the values into the configuration and run `nixos-rebuild switch`, or take them back with \
             `dynix unset PATH` or `dynix rollback`"
        ),
        (Verdict::Unverified, reason) => {
            writeln!(text, "not verified: {}", reason.as_deref().unwrap_or("nothing could be found out"))
        }
    };
    text
}
