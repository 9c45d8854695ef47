//! Recording a change: checked by the type and the policy, then added to the log.

mod append;
mod near;
mod reset;
mod rollback;
mod text;
mod trial;
mod unset;

use super::System;
use super::caller::Caller;
use super::lookup;
use super::request::Request;
use crate::reconcile::{self, Occasion};

/// The records of a request.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    /// The records.
    pub records: Vec<u64>,
    /// A summary of the records.
    pub what: String,
    /// Notes for people.
    pub notes: Vec<String>,
    /// The command that puts them into effect, if no apply is asked for.
    pub next: Option<String>,
    /// The apply that is asked for besides.
    pub apply: Option<reconcile::Request>,
}

impl Recorded {
    /// The line for people; programs find the ids in it. `None` if nothing was recorded.
    #[must_use]
    pub fn line(records: &[u64], what: &str) -> Option<String> {
        let ids: Vec<String> = records.iter().map(u64::to_string).collect();
        (!ids.is_empty()).then(|| format!("recorded {}: {what}\n", ids.join(", ")))
    }

    /// The notes, and the command that puts records into effect if they were only recorded.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let next = self.next.iter().map(|next| format!("not in effect yet; run `{next}`"));
        self.notes.iter().cloned().chain(next).collect()
    }
}

impl System<'_> {
    /// Records what is asked for.
    pub fn record(&self, request: &Request, caller: &Caller<'_>) -> anyhow::Result<Recorded> {
        match request {
            Request::Append(one) => append::record(one, self, caller),
            Request::Unset(one) => unset::record(one, self, caller),
            Request::Rollback(one) => rollback::record(one, self, caller),
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
}
