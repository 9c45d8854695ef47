//! The history of values: which override held from when to when, who set it, and what ended it.

use std::collections::BTreeSet;

use serde::Serialize;

use super::System;
use crate::attr_path::AttrPath;
use crate::overrides::{Ending, Overlay, Period};
use crate::plan::options::OptionIndex;
use crate::reconcile::desired::{LeftOut, desired};
use crate::render::secrets::{SecretFiles, Secrets};

/// A part of the history.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct History {
    /// The periods for which overrides held, in the order in which they began. Values of secrets are hidden.
    pub periods: Vec<Period>,
    /// The records that still hold and are not in effect.
    pub not_in_effect: BTreeSet<u64>,
    /// The overrides that are recorded last and do not hold, with why; and those for whose sake such a period does not hold.
    pub left_out: Vec<LeftOut>,
    /// Whether the log has older records, which are not looked at.
    pub partial: bool,
}

impl History {
    /// Why an override that nothing ended does not hold all the same.
    #[must_use]
    pub fn left_out(&self, period: &Period) -> Option<&LeftOut> {
        // A record holds as a whole or not at all.
        let mut of_record = self.left_out.iter().filter(|one| one.id == period.record && period.end == Ending::Holds);
        let first = of_record.clone().next();
        of_record.find(|one| one.path == period.path).or(first)
    }
}

impl System<'_> {
    /// The history of the newest `most` records, for all options, for those of a service, or for a path.
    pub fn history(&self, subject: Option<&str>, most: usize) -> anyhow::Result<History> {
        let about = self.about(subject)?;
        let found = self.log().history(most)?;
        let mut left_out = self.left_out(&found.periods)?;
        let mut periods: Vec<Period> = found.periods.into_iter().filter(|one| self.takes(&about, &one.path)).collect();
        // What takes a record out may be about another subject.
        let holding: BTreeSet<u64> =
            periods.iter().filter(|one| one.end == Ending::Holds).map(|one| one.record).collect();
        left_out.retain(|one| self.takes(&about, &one.path) || holding.contains(&one.id));
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
        Ok(History { periods, not_in_effect, left_out, partial: found.is_partial })
    }

    /// The overrides of `periods` that nothing ended and that do not hold. What is an expression may hold or not.
    fn left_out(&self, periods: &[Period]) -> anyhow::Result<Vec<LeftOut>> {
        let mut overlay = Overlay::default();
        for period in periods.iter().filter(|one| one.end == Ending::Holds && !one.expression) {
            overlay.put(period.path.names(), period.value.clone(), period.record);
        }
        let paths: Vec<AttrPath> = overlay.leaves().into_iter().map(|(path, _)| path).collect();
        self.plan.services.require_options(&paths)?;
        let desired = desired(&self.plan, &overlay, None, &SecretFiles::new(&self.paths));
        Ok(desired.left_out.into_iter().chain(desired.strangers).collect())
    }
}
