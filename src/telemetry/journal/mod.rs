//! The journal: one entry for each service of an apply, and for each verdict on what is in effect, with fields for
//! programs.
//!
//! Takes the result of an apply or a verification; gives entries, and sends them by the journal's own protocol
//! (`systemd.io/JOURNAL_NATIVE_PROTOCOL`). It is written here because a dozen lines are enough for entries that fit a
//! datagram: the crates for it are loggers for the `log` facade, or libsystemd as a whole. No entry holds a secret:
//! values are left out, and reasons are the recorded ones.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use crate::reconcile::report::Outcome;
use crate::verify::verdict::{self, Verdict};

/// The socket of the journal.
const SOCKET: &str = "/run/systemd/journal/socket";
/// The most characters of a reason: an entry has to fit a datagram.
const MOST: usize = 4000;
/// The most options, and ids, that one entry names.
const NAMED: usize = 100;

/// The kind of an entry, as the catalogue explains it (dynix.catalog).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The recorded values are in effect.
    Applied,
    /// The values were refused before anything was touched.
    Refused,
    /// Another failure, in which nothing was touched.
    Failed,
    /// The service rolled back.
    RolledBack,
    /// The service works on neither.
    RollbackFailed,
    /// The values are in place, and it runs on others.
    Unseen,
    /// Somebody asked for what they may not have.
    Denied,
    /// Whether a rebuild would change more than dynix did.
    Verified(verdict::Soundness),
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Applied,
        Self::Refused,
        Self::Failed,
        Self::RolledBack,
        Self::RollbackFailed,
        Self::Unseen,
        Self::Denied,
        Self::Verified(verdict::Soundness::Sound),
        Self::Verified(verdict::Soundness::Unsound),
        Self::Verified(verdict::Soundness::Unverified),
    ];

    /// Its id (sd-id128(3)).
    #[must_use]
    pub fn message_id(self) -> &'static str {
        match self {
            Self::Applied => "4fcfbaffa21b44b098c5882f2a28f628",
            Self::Refused => "3a1879553dd644cd9b8c6e935e129edf",
            Self::Failed => "3cbe9909a5e443e9ba5dd141b4341c73",
            Self::RolledBack => "d7c708ff25b34f80afe2d9c7608c960b",
            Self::RollbackFailed => "6539a9f231994beb864aacb82a0e1a8a",
            Self::Unseen => "5d1f0c0f3c0e4d0a9a4b7d2f6b8e91c3",
            Self::Denied => "3d13a8b80c9f410fae5f7fb0a32b5b7f",
            Self::Verified(verdict::Soundness::Sound) => "073892d81ed54fd9971729f23c04d6cd",
            Self::Verified(verdict::Soundness::Unsound) => "33b2c8cf90144b8a86d21f6b3fe8913e",
            Self::Verified(verdict::Soundness::Unverified) => "b1df57f85d6d475382848f551963f93c",
        }
    }

    /// The name in fields and metrics.
    #[must_use]
    pub fn result(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::RolledBack => "rolled-back",
            Self::RollbackFailed => "rollback-failed",
            Self::Unseen => "unseen",
            Self::Denied => "denied",
            Self::Verified(outcome) => outcome.name(),
        }
    }

    /// As in syslog(3).
    fn priority(self) -> u8 {
        match self {
            Self::Applied | Self::Verified(verdict::Soundness::Sound) => 6,
            Self::Denied | Self::Verified(_) => 4,
            Self::Refused | Self::Failed | Self::RolledBack | Self::Unseen => 3,
            Self::RollbackFailed => 2,
        }
    }

    /// The entry for the outcome of a service.
    #[must_use]
    pub fn from_outcome(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Applied => Self::Applied,
            Outcome::Refused { .. } => Self::Refused,
            Outcome::Failed { .. } => Self::Failed,
            Outcome::RolledBack { .. } => Self::RolledBack,
            Outcome::RollbackFailed { .. } => Self::RollbackFailed,
            Outcome::Unseen { .. } => Self::Unseen,
        }
    }
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    kind: Kind,
    fields: Vec<(&'static str, String)>,
}

impl Entry {
    /// The entry for the outcome of a service. `causes`: the records that it is about, each with its options; `said`:
    /// what was said about them.
    #[must_use]
    pub fn outcome(
        service: &str,
        outcome: &Outcome,
        by: &str,
        causes: &[(u64, String)],
        messages: &[&str],
        took: Duration,
    ) -> Self {
        let kind = Kind::from_outcome(outcome);
        let options: Vec<&str> = causes.iter().map(|(_, option)| option.as_str()).collect();
        let about = if options.is_empty() { String::new() } else { format!(" ({})", options.join(", ")) };
        let reason = outcome.reason().map(|reason| format!(": {reason}")).unwrap_or_default();
        let quoted: String = messages.iter().flat_map(|text| ["  # ", text]).collect();
        let mut fields = vec![
            ("MESSAGE", format!("{service} {}{about} by {by}{reason}{quoted}", words(outcome))),
            ("DYNIX_SERVICE", service.to_owned()),
            ("DYNIX_BY", by.to_owned()),
            ("DYNIX_DURATION_US", took.as_micros().to_string()),
        ];
        let mut ids: Vec<u64> = causes.iter().map(|(id, _)| *id).collect();
        ids.dedup();
        fields.extend(ids.into_iter().take(NAMED).map(|id| ("DYNIX_ID", id.to_string())));
        fields.extend(messages.iter().take(NAMED).map(|text| ("DYNIX_MESSAGE", (*text).to_owned())));
        fields.extend(options.into_iter().take(NAMED).map(|option| ("DYNIX_OPTION", option.to_owned())));
        Self { kind, fields }
    }

    /// The entry for a refused request.
    #[must_use]
    pub fn denied(user: &str, uid: u32, reason: &str) -> Self {
        let fields = vec![
            ("MESSAGE", format!("refused {user} (uid {uid}): {reason}")),
            ("DYNIX_BY", user.to_owned()),
            ("DYNIX_UID", uid.to_string()),
        ];
        Self { kind: Kind::Denied, fields }
    }

    /// The entry for a verdict on the values in effect.
    #[must_use]
    pub fn verified(verdict: &Verdict) -> Self {
        let mut fields = vec![("MESSAGE", verdict.text().trim_end().to_owned())];
        if verdict.record > 0 {
            fields.push(("DYNIX_ID", verdict.record.to_string()));
        }
        Self { kind: Kind::Verified(verdict.verdict), fields }
    }

    /// As the protocol has it.
    fn bytes(&self) -> Vec<u8> {
        let own = [
            ("PRIORITY", self.kind.priority().to_string()),
            ("MESSAGE_ID", self.kind.message_id().to_owned()),
            ("SYSLOG_IDENTIFIER", "dynix".to_owned()),
            ("DYNIX_RESULT", self.kind.result().to_owned()),
        ];
        let mut bytes = Vec::new();
        for (name, value) in own.iter().chain(&self.fields) {
            let value = crate::host::messages::visible(value);
            let end = value.char_indices().nth(MOST).map_or(value.len(), |(end, _)| end);
            let value = &value.as_bytes()[..end];
            bytes.extend_from_slice(name.as_bytes());
            if value.contains(&b'\n') {
                bytes.push(b'\n');
                bytes.extend_from_slice(&(value.len() as u64).to_le_bytes());
            } else {
                bytes.push(b'=');
            }
            bytes.extend_from_slice(value);
            bytes.push(b'\n');
        }
        bytes
    }

    /// Sends the entry. Best effort: there may be no journal.
    pub fn send(&self) {
        if let Ok(socket) = UnixDatagram::unbound() {
            let _ = socket.set_nonblocking(true);
            let _ = socket.send_to(&self.bytes(), SOCKET);
        }
    }
}

/// The outcome of a service as text.
fn words(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Applied => "changed",
        Outcome::Refused { .. } => "was refused its new values",
        Outcome::Failed { .. } => "could not be changed",
        Outcome::RolledBack { .. } => "did not work on new values and went back",
        Outcome::Unseen { .. } => "has new values in place and does not run on them",
        Outcome::RollbackFailed { .. } => "works neither on new values nor on what it had",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::{Finding, Judgement};

    #[test]
    fn an_entry_says_what_programs_look_for() {
        let causes = [(7, "services.x.a".to_owned()), (7, "services.x.b".to_owned())];
        let outcome = Outcome::RolledBack { reason: "it\nhung".to_owned() };
        let bytes = Entry::outcome("x", &outcome, "root", &causes, &["why"], Duration::from_micros(1500)).bytes();
        let text = String::from_utf8_lossy(&bytes);
        for line in [
            "PRIORITY=3",
            "DYNIX_MESSAGE=why",
            "DYNIX_SERVICE=x",
            "DYNIX_RESULT=rolled-back",
            "DYNIX_ID=7",
            "DYNIX_DURATION_US=1500",
        ] {
            assert!(text.contains(&format!("{line}\n")), "{line}: {text}");
        }
        assert_eq!((text.matches("DYNIX_ID=").count(), text.matches("DYNIX_OPTION=").count()), (1, 2));
        let message =
            "x did not work on new values and went back (services.x.a, services.x.b) by root: it\nhung  # why";
        let framed = [b"MESSAGE\n", &(message.len() as u64).to_le_bytes()[..], message.as_bytes(), b"\n"].concat();
        assert!(bytes.windows(framed.len()).any(|part| part == framed), "{text}");
    }

    #[test]
    fn what_is_long_is_cut_and_nothing_begins_a_field() {
        let outcome = Outcome::Failed { reason: format!("{}\nDYNIX_BY=root\n", "ä".repeat(100_000)) };
        let causes: Vec<(u64, String)> = (0..10_000).map(|id| (id, "services.x.a".repeat(100))).collect();
        let bytes = Entry::outcome("x", &outcome, "mallory", &causes, &[], Duration::ZERO).bytes();
        assert!(bytes.len() < 200_000, "{}", bytes.len());
    }

    #[test]
    fn a_verdict_says_of_which_record_it_is() {
        let finding = Finding { kind: "etc".to_owned(), name: "x.conf".to_owned(), changes: vec!["4 -> 5".to_owned()] };
        let judgement = Judgement { findings: vec![finding], ..Judgement::default() };
        let bytes = Entry::verified(&Verdict::judged(9, judgement)).bytes();
        let text = String::from_utf8_lossy(&bytes);
        for line in ["PRIORITY=4", "DYNIX_RESULT=unsound", "DYNIX_ID=9"] {
            assert!(text.contains(&format!("{line}\n")), "{line}: {text}");
        }
        assert!(text.contains("a rebuild would also change /etc/x.conf: 4 -> 5\nnot sound: "), "{text}");
    }

    #[test]
    fn the_catalogue_explains_every_kind() {
        let catalogue = include_str!("dynix.catalog");
        for kind in Kind::ALL {
            assert!(catalogue.contains(&format!("-- {}\n", kind.message_id())), "{kind:?}");
        }
        assert_eq!(catalogue.matches("\n-- ").count() + 1, Kind::ALL.len() + 1, "the first line is a comment");
    }
}
