//! The verdict on the values in effect: found in the background after an apply, and stored for `dynix status`.

use std::fmt::Write as _;

use camino::Utf8Path;
use serde::{Deserialize, Serialize};

use super::{Finding, Judgement};
use crate::host::fs::{FileError, json_file};

/// Whether a rebuild would change more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Soundness {
    /// It would change nothing more.
    Sound,
    /// It would.
    Unsound,
    /// There is no result.
    #[default]
    Unverified,
}

impl Soundness {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Sound, Self::Unsound, Self::Unverified];

    /// The name in fields and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sound => "sound",
            Self::Unsound => "unsound",
            Self::Unverified => "unverified",
        }
    }
}

/// A verdict, and the values that it is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// Whether a rebuild would change more.
    pub verdict: Soundness,
    /// The last record of the log that it speaks of.
    pub record: u64,
    /// The last record up to which all was sound; 0 for none.
    #[serde(default)]
    pub sound_until: u64,
    /// The system that it speaks of ([`super::proof::identity`]).
    #[serde(default)]
    pub system: String,
    /// The findings.
    #[serde(flatten)]
    pub judgement: Judgement,
    /// Whether it follows from the proof, with no evaluation.
    #[serde(default)]
    pub by_proof: bool,
    /// Why nothing could be found out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Verdict {
    /// A verdict on values of which nothing is known, for this reason.
    #[must_use]
    pub fn unverified(record: u64, reason: String) -> Self {
        Self { record, reason: Some(reason), ..Self::default() }
    }

    /// By what was found.
    #[must_use]
    pub fn judged(record: u64, judgement: Judgement) -> Self {
        let verdict = if judgement.findings.is_empty() { Soundness::Sound } else { Soundness::Unsound };
        Self { verdict, record, judgement, ..Self::default() }
    }

    /// The findings as one text, for the reason of a rejection.
    #[must_use]
    pub fn reasons(&self) -> String {
        self.judgement.findings.iter().map(Finding::to_string).collect::<Vec<_>>().join("; ")
    }

    /// The verdict as text, a line each.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String can't fail.
        for finding in &self.judgement.findings {
            let _ = writeln!(text, "{finding}");
        }
        for note in &self.judgement.notes {
            let _ = writeln!(text, "note: {note}");
        }
        let _ = match (self.verdict, &self.reason) {
            (Soundness::Sound, _) if self.by_proof => {
                writeln!(text, "sound: nothing else follows these values, whatever they are")
            }
            (Soundness::Sound, _) => {
                writeln!(text, "sound: a rebuild with the recorded values would change nothing else")
            }
            (Soundness::Unsound, _) => writeln!(
                text,
                "not sound: put the values into the configuration and run `nixos-rebuild switch`, or take them back with \
                 `dynix unset PATH` or `dynix rollback`"
            ),
            (Soundness::Unverified, reason) => {
                writeln!(text, "not verified: {}", reason.as_deref().unwrap_or("nothing could be found out"))
            }
        };
        text
    }
}

/// The last verdict, if there is one. A file that can't be read as one is none.
pub fn load(path: &Utf8Path) -> Result<Option<Verdict>, FileError> {
    json_file::load(path)
}

/// Keeps a verdict, in the place of the one before.
pub fn save(path: &Utf8Path, verdict: &Verdict) -> Result<(), FileError> {
    json_file::save(path, verdict, 0o644)
}
