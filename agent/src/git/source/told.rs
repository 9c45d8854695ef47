//! What a source says: its layer, and what keeps it from being well.

use super::Source;
use crate::git::oid::Oid;
use crate::git::words::plain;
use crate::sources::{Event, With};

impl Source {
    pub(super) fn trouble(&mut self, remote: &str, kind: &'static str, revision: Option<Oid>, reason: &str) {
        self.troubles.insert((remote.to_owned(), kind), (revision, plain(reason)));
    }

    /// What was wrong with the way to a remote, or with reading what came, is over.
    pub(super) fn forget_reach(&mut self, remote: &str) {
        self.troubles.retain(|(name, kind), _| name != remote || !matches!(*kind, "reach" | "reading"));
    }

    /// Says what keeps the source from being well, or that nothing does.
    pub async fn tell(&mut self) {
        // After a commit that was no layer, the one that still holds is news.
        let was_wrong = matches!(self.said, Some(Event::Trouble { with: With::Revision(_), .. }));
        if let (true, true, Some(layer)) = (self.troubles.is_empty(), was_wrong, self.layer.clone()) {
            self.say(Event::Layer(layer)).await;
        }
        let event = if self.troubles.is_empty() {
            Event::Reached
        } else {
            let reasons: Vec<String> = self
                .troubles
                .iter()
                .map(|((remote, _), (revision, reason))| match revision {
                    Some(revision) if remote.is_empty() => format!("{}: {reason}", revision.short()),
                    Some(revision) => format!("{remote} at {}: {reason}", revision.short()),
                    None => format!("{remote}: {reason}"),
                })
                .collect();
            let of_reach = self.troubles.keys().filter(|(_, kind)| *kind == "reach").count();
            let with = match self.wrong() {
                Some(commit) => With::Revision(commit.to_string()),
                None if of_reach == self.remotes.len() => With::Reach,
                None => With::Source,
            };
            Event::Trouble { with, reason: reasons.join("; ") }
        };
        self.say(event).await;
    }

    /// The commit that would hold if nothing were wrong with it. A remote or a testing branch that is of no use is none, and
    /// what was given right before still has to be taken.
    fn wrong(&self) -> Option<&Oid> {
        if matches!(self.said, Some(Event::Layer(_))) {
            return None;
        }
        let of_kind = |wanted: &'static str| self.troubles.iter().filter(move |((_, kind), _)| *kind == wanted);
        let is_main_held = of_kind("main").count() == self.remotes.len();
        let mains = of_kind("main").filter(|_| is_main_held);
        of_kind("files").chain(mains).find_map(|(_, (revision, _))| revision.as_ref())
    }

    /// Says something that was not said last.
    pub(super) async fn say(&mut self, event: Event) {
        if self.said.as_ref() != Some(&event) {
            self.said = Some(event.clone());
            // Whoever listened is gone: the agent ends.
            let _ = self.events.send(event).await;
        }
    }
}
