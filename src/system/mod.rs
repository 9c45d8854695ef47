//! The opened system and its verbs, for every face.
//!
//! [`session::Session`] says where a system is and who receives progress; [`session::Session::open`] gives a
//! [`System`]. Its methods are the verbs. Each gives its result as data; none prints, and none ends the program.

pub mod activate;
pub mod apply;
pub mod caller;
pub mod confirm;
pub mod differences;
pub mod edit;
pub mod export;
pub mod history;
pub mod import;
pub mod lookup;
pub mod moment;
pub mod progress;
pub mod prove;
pub mod record;
pub mod records;
pub mod request;
pub mod session;
pub mod settings;
pub mod sources;
pub mod status;
pub mod value;
pub mod verdict;
pub mod verify;
pub mod watch;
pub mod withdraw;

mod completion;
mod evaluated;
mod exclusive;
mod log_location;
mod measure;
mod notice;
mod signals;

use std::collections::BTreeSet;

use crate::exit::Exit;
use crate::host::paths::Paths;
use crate::overrides::{Draft, LogError, LogFile, Order, Overlay};
use crate::plan::options::OptionRef;
use crate::plan::{Plan, SourceSpec};
use crate::reconcile::action::Action;
use crate::reconcile::execution::Machine;
use crate::reconcile::rerun::Rerun;
use crate::reconcile::state::State;
use crate::reconcile::view::{View, view};
use crate::time::clock::SystemClock;
use session::Session;

/// A value, or a path, that is not possible.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

/// The exit code for an error of a verb.
#[must_use]
pub fn exit_of(error: &anyhow::Error) -> Exit {
    let unrecordable = match error.downcast_ref::<LogError>() {
        Some(LogError::Unrecordable(_)) => true,
        Some(LogError::Expression { source, .. }) => source.is_refused,
        _ => false,
    };
    if unrecordable || error.downcast_ref::<Refused>().is_some() { Exit::Refused } else { Exit::Failed }
}

/// A system whose plan was read: what every verb works on.
#[derive(Debug)]
pub struct System<'s> {
    /// The plan of the system.
    pub plan: Plan,
    /// The paths of the system.
    pub paths: Paths,
    /// How it is reached.
    pub session: &'s Session,
}

impl System<'_> {
    /// The log of overrides.
    #[must_use]
    pub fn log(&self) -> LogFile {
        let log = LogFile::new(self.paths.overrides(), &self.paths.cache(), self.plan.evaluator.clone());
        log.keeping_for(&self.paths).with_layers(layers(&self.plan))
    }

    /// The state file: what is in effect.
    pub fn state(&self) -> anyhow::Result<State> {
        Ok(State::load(&self.paths.state())?)
    }

    /// The machine that an apply works on.
    fn machine<'m>(&'m self, recall: &'m Rerun, observer: &'m (dyn Fn(&Action) + Sync)) -> Machine<'m> {
        Machine {
            paths: &self.paths,
            manager: self.session.manager(),
            observer,
            recall,
            interruption: self.session.interruption(),
            clock: &SystemClock,
        }
    }

    /// Calls `act` with the machine that an apply works on.
    fn with_machine<T>(
        &self,
        activating: bool,
        act: impl FnOnce(&Machine<'_>) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let recall = self.session.recall(activating)?;
        let progress = self.session.progress();
        act(&self.machine(&recall, &|action| progress.step(action)))
    }

    /// The fold of the log, including a trial that is under way.
    fn view(&self, services: Option<&BTreeSet<String>>) -> anyhow::Result<View> {
        self.view_with(&[], services)
    }

    /// The same, with `more` changes.
    fn view_with(&self, more: &[Draft], services: Option<&BTreeSet<String>>) -> anyhow::Result<View> {
        let mut changes = self.state()?.on_trial();
        changes.extend_from_slice(more);
        Ok(view(&self.plan, &self.paths, &self.log(), &changes, services)?)
    }

    /// Reports the holder of the log's lock to the caller that waits for it.
    fn waits(&self) -> impl FnMut(&str) + '_ {
        |holder| self.session.progress().waits_for(holder)
    }
}

/// Where the values of the sources are, below and above those of the host.
fn layers(plan: &Plan) -> Order {
    let (above, below): (Vec<&SourceSpec>, Vec<&SourceSpec>) = plan.sources.iter().partition(|one| one.over_host);
    let names = |sources: Vec<&SourceSpec>| sources.into_iter().map(|one| one.name.clone()).collect();
    Order { below: names(below), above: names(above) }
}

/// An option's effective value.
pub(crate) fn effective(
    place: &OptionRef<'_>,
    overlay: &Overlay,
) -> Result<serde_json::Value, crate::overrides::Conflict> {
    overlay.below(&place.path).effective(&place.option.static_value).map_err(|mut conflict| {
        conflict.path = place.path.join(&conflict.path);
        conflict
    })
}
