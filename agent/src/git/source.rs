//! What a source has, and how it comes to it: from what its remotes are at to a layer.
//!
//! 1. A remote is looked at; if its branches are where they were, nothing else happens.
//! 2. They are fetched, with as much history as it takes to see what they are on top of.
//! 3. main goes forward if it is on top of where it was and every new commit is signed. The state remembers that first.
//! 4. A testing branch that is on top of main stands in for it, unless its commit was taken in another boot.
//! 5. The files of this host in the chosen commit are the layer.

mod contents;
mod told;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use tokio::sync::mpsc::Sender;

use super::files;
use super::graph::Relation;
use super::mirror::{DEPTHS, Mirror, Tips};
use super::oid::Oid;
use super::remote::Remote;
use super::signers::Signers;
use super::state::{Given, Kept, State, Testing, revision};
use crate::sources::{Event, Identity, Layer};

/// Most commits that main may go forward at once.
const MOST_COMMITS: usize = 20_000;
/// After so many failures in a row what was fetched is thrown away.
const FAULTS: u32 = 3;

/// Why nothing new is taken.
#[derive(Debug)]
pub(super) enum Held {
    /// What is there is not to be taken, and will not be until something changes.
    Refused { revision: Option<Oid>, reason: String },
    /// It did not work this time.
    Failed(anyhow::Error),
}

impl From<anyhow::Error> for Held {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

fn refused(commit: &Oid, reason: String) -> Held {
    Held::Refused { revision: Some(commit.clone()), reason }
}

/// What keeps the source from being well, by remote and branch.
type Troubles = BTreeMap<(String, &'static str), (Option<Oid>, String)>;

pub(super) struct Source {
    pub identity: Identity,
    /// The directory in the repository, by its parts.
    pub directory: Vec<String>,
    pub remotes: Vec<Remote>,
    pub mirror: Mirror,
    pub signers: Option<Signers>,
    pub since: Option<Oid>,
    pub kept: Kept,
    pub state: State,
    /// The boot that the machine is in.
    pub boot: String,
    pub events: Sender<Event>,
    /// What each remote is at.
    pub standing: BTreeMap<String, Tips>,
    /// Remotes that are fetched again though they are where they were.
    pub unsettled: BTreeSet<String>,
    pub troubles: Troubles,
    /// Testing commits that are not on top of main.
    pub off_main: BTreeMap<String, Oid>,
    /// How often in a row something failed after a look that went well.
    pub faults: u32,
    /// What was said last.
    pub said: Option<Event>,
    pub layer: Option<Layer>,
}

impl Source {
    /// Takes what a look at a remote gave. Says whether it went well.
    pub async fn take(&mut self, remote: &Remote, look: anyhow::Result<Tips>) -> bool {
        let was_seen = look.is_ok();
        let result = match look {
            Ok(tips) => self.taken(remote, tips).await,
            Err(error) => Err(Held::Failed(error)),
        };
        let is_well = !matches!(result, Err(Held::Failed(_)));
        match result {
            Ok(()) => {}
            Err(Held::Refused { revision, reason }) => self.trouble(&remote.name, "main", revision, &reason),
            Err(Held::Failed(error)) => {
                let error = self.blamed(error, was_seen);
                self.unsettled.insert(remote.name.clone());
                let kind = if was_seen { "reading" } else { "reach" };
                self.forget_reach(&remote.name);
                self.trouble(&remote.name, kind, None, &dynix::host::messages::chain(&error));
            }
        }
        if is_well {
            self.faults = 0;
            self.forget_reach(&remote.name);
        }
        self.tell().await;
        is_well
    }

    /// What fails again and again although the remote answers may be due to what is here: it is made anew.
    fn blamed(&mut self, error: anyhow::Error, was_seen: bool) -> anyhow::Error {
        self.faults = if was_seen { self.faults + 1 } else { 0 };
        if self.faults < FAULTS {
            return error;
        }
        self.faults = 0;
        match self.mirror.discard() {
            Ok(()) => error.context("it is fetched anew"),
            Err(problem) => error.context(problem),
        }
    }

    async fn taken(&mut self, remote: &Remote, tips: Tips) -> Result<(), Held> {
        let are_renewed = match &mut self.signers {
            Some(signers) => signers.renew(&self.mirror.program).await?,
            None => false,
        };
        if are_renewed {
            // What was refused may be signed by one of them.
            self.unsettled.extend(self.remotes.iter().map(|remote| remote.name.clone()));
        }
        if self.standing.get(&remote.name) == Some(&tips) && !self.unsettled.contains(&remote.name) {
            return Ok(());
        }
        let Some(tip) = &tips.main else {
            let reason = format!("there is no branch {} (yet)", remote.main);
            self.standing.insert(remote.name.clone(), tips);
            return Err(Held::Refused { revision: None, reason });
        };
        if let Some(known) = self.state.main.iter().chain(&self.since).find(|known| !known.is_of_the_kind_of(tip)) {
            let reason = format!(
                "its objects have names of {}, and those of {} that it has to be on top of are of {}",
                tip.kind(),
                known.short(),
                known.kind()
            );
            let refused = refused(tip, reason);
            self.standing.insert(remote.name.clone(), tips);
            return Err(refused);
        }
        if self.mirror.is_full() {
            self.mirror.discard()?;
        }
        self.mirror.prepare(tip.as_str().len()).await?;
        let tips = self.mirror.fetch(remote, &tips, 0).await?;
        self.standing.insert(remote.name.clone(), tips.clone());
        self.troubles.retain(|(name, _), _| *name != remote.name);
        self.unsettled.remove(&remote.name);
        let advanced = self.advance(remote, &tips).await;
        // Where one remote's main is refused, another's holds still, and so do testing branches.
        if !matches!(advanced, Err(Held::Failed(_))) {
            self.choose().await?;
        }
        advanced
    }

    /// Chooses a commit and gives its layer. What is wrong with the files of one is said.
    pub async fn choose(&mut self) -> Result<(), Held> {
        self.troubles.retain(|(_, kind), _| *kind != "testing" && *kind != "files");
        match self.chosen().await {
            Err(Held::Refused { revision, reason }) => {
                self.trouble("", "files", revision, &reason);
                Ok(())
            }
            result => result,
        }
    }

    /// Lets main go forward to where a remote has it.
    async fn advance(&mut self, remote: &Remote, tips: &Tips) -> Result<(), Held> {
        let Some(tip) = &tips.main else { return Ok(()) };
        if self.state.main.as_ref() == Some(tip) && self.state.since == self.since {
            return Ok(());
        }
        let mut floors: Vec<Oid> = self.state.main.iter().cloned().collect();
        if self.state.since != self.since {
            floors.extend(self.since.iter().cloned());
        }
        // Without any, nothing is known of what was before.
        let mut brought = BTreeSet::from([tip.clone()]);
        for floor in &floors {
            let alone = std::slice::from_ref(floor);
            let branch = &remote.main;
            let problem = match self.relation(remote, tips, tip, alone, DEPTHS.len()).await? {
                Relation::OnTop(commits) => {
                    brought = commits;
                    continue;
                }
                // A copy that lags.
                Relation::Behind if Some(floor) == self.state.main.as_ref() => return Ok(()),
                Relation::Behind => format!("{branch} is behind sinceCommit ({})", floor.short()),
                Relation::Apart => format!(
                    "{branch} is not on top of {}, and it only goes forward: commit on top of that, or merge it (git merge \
                     -s ours {floor})",
                    floor.short()
                ),
                Relation::Unseen => {
                    let most = DEPTHS[DEPTHS.len() - 1];
                    format!("{branch} is not on top of {} within {most} commits", floor.short())
                }
            };
            return Err(refused(tip, problem));
        }
        if floors.len() > 1 {
            let Relation::OnTop(commits) = self.relation(remote, tips, tip, &floors, DEPTHS.len()).await? else {
                return Err(anyhow::anyhow!("history changed while it was looked at").into());
            };
            brought = commits;
        }
        self.check(tip, &brought).await?;
        self.state.main = Some(tip.clone());
        self.state.since.clone_from(&self.since);
        // What was not on top of the commit before may be below this one.
        let held = self.troubles.keys().filter(|(_, kind)| *kind == "main").map(|(name, _)| name.clone());
        self.unsettled.extend(held.filter(|name| *name != remote.name));
        Ok(self.kept.write(&self.state)?)
    }

    /// How a commit stands to others, with as much history as that takes, and no more than so many steps fetch.
    async fn relation(
        &self,
        remote: &Remote,
        tips: &Tips,
        tip: &Oid,
        floors: &[Oid],
        steps: usize,
    ) -> Result<Relation, Held> {
        let commits: Vec<Oid> = std::iter::once(tip).chain(floors).cloned().collect();
        let mut relation = self.mirror.graph(&commits).await?.relation(tip, floors);
        for step in 1..steps {
            if relation != Relation::Unseen {
                break;
            }
            self.mirror.fetch(remote, tips, step).await?;
            relation = self.mirror.graph(&commits).await?.relation(tip, floors);
        }
        Ok(relation)
    }

    /// Checks what a tip brings.
    async fn check(&mut self, tip: &Oid, commits: &BTreeSet<Oid>) -> Result<(), Held> {
        if commits.len() > MOST_COMMITS {
            return Err(refused(tip, format!("{} commits at once; at most {MOST_COMMITS} are checked", commits.len())));
        }
        match &mut self.signers {
            None => Ok(()),
            Some(signers) => match signers.check(&self.mirror, commits).await? {
                Ok(()) => Ok(()),
                Err(unsigned) => Err(refused(tip, unsigned.0)),
            },
        }
    }

    async fn chosen(&mut self) -> Result<(), Held> {
        let Some(main) = self.state.main.clone() else { return Ok(()) };
        // If the state was lost, main may be a commit that no remote has: the host keeps what it has of it.
        if !self.mirror.is_here(&main).await? {
            return Ok(());
        }
        let mut chosen = None;
        for remote in self.remotes.clone() {
            let Some(tips) = self.standing.get(&remote.name).cloned() else { continue };
            let Some(tip) = tips.testing.clone() else { continue };
            match self.is_candidate(&remote, &tips, &tip, &main).await {
                Ok(true) => {
                    chosen = Some((remote, tip));
                    break;
                }
                Ok(false) => {}
                Err(Held::Refused { revision, reason }) => self.trouble(&remote.name, "testing", revision, &reason),
                Err(failed) => return Err(failed),
            }
        }
        let Some((remote, tip)) = chosen else {
            // The remote that has it.
            let has_main = |remote: &&Remote| {
                self.standing.get(&remote.name).is_some_and(|tips| tips.main.as_ref() == Some(&main))
            };
            let remote = self.remotes.iter().find(has_main).or(self.remotes.first()).cloned();
            return self.give(remote, &main, &main).await;
        };
        self.keep_at_hand(&remote, &main).await?;
        let testing = Testing { commit: tip.clone(), boot: Some(self.boot.clone()) };
        if self.state.testing.as_ref() != Some(&testing) {
            self.state.testing = Some(testing);
            self.kept.write(&self.state)?;
        }
        self.give(Some(remote), &tip, &main).await
    }

    async fn is_candidate(&mut self, remote: &Remote, tips: &Tips, tip: &Oid, main: &Oid) -> Result<bool, Held> {
        let branch = remote.testing.as_deref().unwrap_or_default();
        let floors = [main.clone()];
        // What is not on top of main now is never on top of a later one.
        let steps = if self.off_main.get(&remote.name) == Some(tip) { 1 } else { 2 };
        match self.relation(remote, tips, tip, &floors, steps).await? {
            // main has it.
            Relation::Behind => Ok(false),
            Relation::OnTop(commits) if commits.is_empty() => Ok(false),
            Relation::OnTop(commits) => {
                let was_taken = self.state.testing.as_ref().is_some_and(|testing| {
                    testing.commit == *tip && testing.boot.as_deref() != Some(self.boot.as_str())
                });
                if was_taken {
                    return Err(refused(
                        tip,
                        format!(
                            "{branch} was tried in another boot, and a boot is on main; push another commit to try it again"
                        ),
                    ));
                }
                self.check(tip, &commits).await.map(|()| true)
            }
            Relation::Apart | Relation::Unseen => {
                self.off_main.insert(remote.name.clone(), tip.clone());
                Err(refused(tip, format!("{branch} is not on top of {} ({}); rebase it", remote.main, main.short())))
            }
        }
    }

    /// Fetches the files of main, which the next boot starts on, with or without a network.
    async fn keep_at_hand(&self, remote: &Remote, main: &Oid) -> Result<(), Held> {
        let tips = self.standing.get(&remote.name).cloned().unwrap_or_default();
        let from = Some((remote, &tips));
        let about = self.mirror.commits(std::slice::from_ref(main), false).await?;
        let about = about.first().context("git does not know the commit")?;
        let places = files::places(&self.identity.host, &self.identity.groups);
        match self.found(from, about, &places).await {
            Ok(files) => {
                let oids: Vec<Oid> = files.into_iter().map(|(_, oid)| oid).collect();
                self.mirror.objects(from, &oids, files::LARGEST).await?;
                Ok(())
            }
            // That is a matter of main.
            Err(Held::Refused { .. }) => Ok(()),
            Err(failed) => Err(failed),
        }
    }

    /// Gives the layer of a commit, if it is another one.
    async fn give(&mut self, remote: Option<Remote>, commit: &Oid, main: &Oid) -> Result<(), Held> {
        let tips = remote.as_ref().and_then(|remote| self.standing.get(&remote.name).cloned()).unwrap_or_default();
        let from = remote.as_ref().map(|remote| (remote, &tips));
        let about = self.mirror.commits(std::slice::from_ref(commit), self.signers.is_some()).await?;
        let about = about.into_iter().next().context("git does not know the commit")?;
        let places = files::places(&self.identity.host, &self.identity.groups);
        let found = self.found(from, &about, &places).await?;
        let given = match &self.state.layer {
            Some(given) if given.files == found => given.clone(),
            _ => Given {
                revision: revision(commit, Some(main)),
                by: Some(match &about.signature {
                    Some((_, signer)) if !signer.is_empty() => signer.clone(),
                    _ => format!("{} (not signed)", about.author),
                }),
                message: Some(about.subject.clone()),
                files: found,
            },
        };
        let values = self.values(from, commit, &given.files).await?;
        let layer =
            Layer { revision: given.revision.clone(), by: given.by.clone(), message: given.message.clone(), values };
        if self.layer.as_ref() == Some(&layer) {
            return Ok(());
        }
        let told = files::told(&given.files, &places);
        if self.state.layer.as_ref() != Some(&given) {
            self.state.layer = Some(given);
            self.kept.write(&self.state)?;
        }
        dynix::host::messages::info(format!(
            "source {}: {} by {}: {told}",
            self.identity.source,
            commit.short(),
            layer.by.as_deref().unwrap_or("nobody")
        ));
        self.layer = Some(layer.clone());
        self.say(Event::Layer(layer)).await;
        Ok(())
    }
}
