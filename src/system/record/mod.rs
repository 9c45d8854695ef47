//! Recording a change: checked by the type and the policy, then added to the log.

mod changed;
mod check;
pub mod elements;
pub mod layer;
mod near;
mod prune;
mod reset;
mod rollback;
mod set;
mod text;
mod trial;
mod undo;
mod unset;
mod value;

use std::collections::BTreeSet;

pub use changed::Changed;
pub use rollback::Loses;

use super::caller::Caller;
use super::differences::Pair;
use super::lookup;
use super::request::{Request, Set};
use super::{Refused, System};
use crate::overrides::{self, Draft};
use crate::reconcile::report::Report;
use crate::reconcile::trial::Start;
use crate::reconcile::{self, Occasion};
use trial::Made;

/// The records of a request.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    /// The records.
    pub records: Vec<u64>,
    /// A summary of the records.
    pub what: String,
    /// What they change.
    pub changed: Vec<Changed>,
    /// Notes for people.
    pub notes: Vec<String>,
    /// The command that puts them into effect, if no apply is asked for.
    pub next: Option<String>,
    /// The apply that is asked for besides.
    pub apply: Option<reconcile::Request>,
    /// The records as they would be, if only a look was asked for.
    drafts: Vec<Draft>,
    /// The services that they concern; `None` for all.
    services: Option<BTreeSet<String>>,
}

impl Recorded {
    /// The lines for people; programs find the ids in the first. `None` if nothing was recorded.
    #[must_use]
    pub fn line(records: &[u64], what: &str, changed: &[Changed]) -> Option<String> {
        let ids: Vec<String> = records.iter().map(u64::to_string).collect();
        if ids.is_empty() {
            return None;
        }
        let said = match changed {
            [one] if one.path == what => one.to_string(),
            changed => {
                let lines = changed.iter().map(|one| format!("\n  {one}"));
                [what.to_owned()].into_iter().chain(lines).collect()
            }
        };
        Some(format!("recorded {}: {said}\n", ids.join(", ")))
    }

    /// The notes, and the command that puts records into effect if they were only recorded.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let next = self.next.iter().map(|next| format!("not in effect yet; run `{next}`"));
        self.notes.iter().cloned().chain(next).collect()
    }

    /// The same with what was made for it, which is applied to `services` if `apply` says so.
    fn then(
        self,
        made: Made,
        apply: bool,
        services: Option<BTreeSet<String>>,
        trial: Option<Start>,
        caller: &Caller<'_>,
    ) -> Self {
        let Made { records, drafts, changed } = made;
        let mut recorded = Self { records, drafts, changed, services: services.clone(), ..self };
        if apply {
            let mut request = caller.apply(services);
            request.trial = trial;
            request.records.clone_from(&recorded.records);
            recorded.apply = Some(request);
        } else if !recorded.records.is_empty() {
            let words = ["dynix apply".to_owned()].into_iter().chain(services.into_iter().flatten());
            recorded.next = Some(words.collect::<Vec<_>>().join(" "));
        }
        recorded
    }
}

/// What a request would do.
#[derive(Debug)]
pub struct Looked {
    /// What it would record.
    pub recorded: Recorded,
    /// What an apply would do then.
    pub report: Report,
    /// The texts that would change.
    pub differences: Vec<Pair>,
}

impl System<'_> {
    /// Records what is asked for.
    pub fn record(&self, request: &Request, caller: &Caller<'_>) -> anyhow::Result<Recorded> {
        let message = request.message().map(overrides::message).transpose().map_err(Refused)?;
        let recorded = self.record_only(request, &Caller { message, ..*caller })?;
        if recorded.apply.is_none() && !recorded.records.is_empty() {
            // An apply writes them at its end, and a look changes nothing.
            self.refresh_metrics();
        }
        Ok(recorded)
    }

    fn record_only(&self, request: &Request, caller: &Caller<'_>) -> anyhow::Result<Recorded> {
        match request {
            Request::Append(one) => set::record(&Set::from(one.clone()), self, caller),
            Request::Set(one) => set::record(one, self, caller),
            Request::SetLayer(one) => layer::record(one, self, caller),
            Request::Unset(one) => unset::record(one, self, caller),
            Request::Rollback(one) => rollback::record(one, self, caller),
            Request::Undo(one) => undo::undo(one, self, caller),
            Request::Redo(one) => undo::redo(one, self, caller),
            Request::Reject(one) => undo::reject(one, self, caller),
            Request::Prune(one) => prune::record(one, self, caller),
            Request::Reset(one) => reset::record(one, self, caller),
            Request::Apply(one) => {
                let mut apply = caller.apply(lookup::services(&self.plan, &one.services)?);
                if one.expired {
                    apply.occasion = Occasion::Expiry;
                } else if one.retry {
                    apply.occasion = Occasion::Retry;
                } else if one.after_boot {
                    apply.occasion = Occasion::AfterBoot;
                }
                if one.before_units {
                    apply.occasion = Occasion::Boot;
                    apply.before_units = true;
                }
                apply.build = one.build;
                apply.trial = trial::start(one.confirm, self)?;
                Ok(Recorded { apply: Some(apply), ..Recorded::default() })
            }
            Request::Confirm(_) => Ok(Recorded::default()),
        }
    }

    /// What recording this and applying it would do. It records nothing.
    pub fn look(&self, request: &Request) -> anyhow::Result<Looked> {
        let by = self.session.user();
        let caller = Caller { only_looks: true, ..Caller::trusted(&by) };
        let recorded = self.record(request, &caller)?;
        let services = match &recorded.apply {
            Some(apply) => apply.services.clone(),
            None => recorded.services.clone(),
        };
        let asked = reconcile::Request { build: builds(request), ..self.request(services) };
        let mut report = self.dry_run(&asked, &recorded.drafts)?;
        self.dry_run_evaluated(&asked, &recorded.drafts, &mut report)?;
        let differences = self.differences_with(&recorded.drafts, asked.services.as_ref(), true)?;
        Ok(Looked { recorded, report, differences })
    }
}

fn builds(request: &Request) -> bool {
    match request {
        Request::Append(one) => one.build,
        Request::Set(one) => one.build,
        Request::Apply(one) => one.build,
        _ => false,
    }
}
