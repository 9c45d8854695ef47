//! The history of values: which override held from when to when, who set it, and what ended it.

use std::collections::BTreeSet;

use serde::Serialize;

use super::System;
use crate::overrides::{Ending, Period};
use crate::plan::options::OptionIndex;
use crate::render::secrets::Secrets;

/// A part of the history.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct History {
    /// The periods for which overrides held, in the order in which they began. Values of secrets are hidden.
    pub periods: Vec<Period>,
    /// The records that still hold and are not in effect.
    pub not_in_effect: BTreeSet<u64>,
    /// Whether the log has older records, which are not looked at.
    pub partial: bool,
}

impl System<'_> {
    /// The history of the newest `most` records, for all options, for those of a service, or for a path.
    pub fn history(&self, subject: Option<&str>, most: usize) -> anyhow::Result<History> {
        let about = self.about(subject)?;
        let found = self.log().history(most)?;
        let mut periods: Vec<Period> = found.periods.into_iter().filter(|one| self.takes(&about, &one.path)).collect();
        let (secrets, state, options) = (Secrets::new(&self.plan), self.state()?, OptionIndex::new(&self.plan));
        let mut not_in_effect = BTreeSet::new();
        for period in &mut periods {
            let place = options.find(&period.path);
            let applied = place.is_none_or(|place| period.record <= state.log_id(place.service_name));
            if period.end == Ending::Holds && !applied {
                not_in_effect.insert(period.record);
            }
            let hides = secrets.concern(&period.path) && period.expression;
            period.value = if hides { "(an expression)".into() } else { secrets.shown(&period.path, &period.value) };
        }
        Ok(History { periods, not_in_effect, partial: found.is_partial })
    }
}
