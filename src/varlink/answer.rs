//! The result of a request, for its caller: written into the daemon's replies, and read from them.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::evaluated::SYSTEM;
use crate::exit::Exit;
use crate::reconcile::report::Report;
use crate::system::confirm::Confirmed;
use crate::system::record::Changed;

/// The result of a change.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// The records that were made.
    pub records: Vec<u64>,
    /// A summary of the records.
    #[serde(default)]
    pub what: String,
    /// What changed, in the order of the paths.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<Changed>,
    /// Notes for people.
    pub notes: Vec<String>,
    /// The report of the apply; `None` if there was none.
    pub report: Option<Report>,
    /// The records that count from now on.
    pub confirmed: Option<Confirmed>,
    /// Any other failure.
    #[serde(skip)]
    pub fault: Option<(Exit, String)>,
}

impl Answer {
    /// The exit code of the worst outcome.
    #[must_use]
    pub fn exit(&self) -> Exit {
        let fault = self.fault.as_ref().map_or(Exit::Done, |(exit, _)| *exit);
        self.report.as_ref().map_or(Exit::Done, Report::exit).max(fault)
    }

    /// The failures as text.
    #[must_use]
    pub fn reason(&self) -> String {
        if let Some((_, reason)) = &self.fault {
            return reason.clone();
        }
        let Some(report) = &self.report else { return String::new() };
        let services =
            report.services.iter().filter_map(|(service, outcome)| Some(format!("{service}: {}", outcome.reason()?)));
        let left_out = report.left_out.iter().map(|one| format!("{}: {}", one.path, one.reason));
        let taken_back = report.taken_back.iter().map(ToString::to_string);
        services.chain(left_out).chain(taken_back).collect::<Vec<_>>().join("; ")
    }
}

/// The part of a report that is about some services and records.
#[must_use]
pub fn part(report: &Report, services: Option<&BTreeSet<String>>, records: &[u64]) -> Report {
    let Some(services) = services else { return report.clone() };
    let is_ours = |service: Option<&str>| service.is_none_or(|service| services.contains(service));
    Report {
        actions: report.actions.iter().filter(|action| is_ours(action.service())).cloned().collect(),
        left_to_do: report.left_to_do.iter().filter(|action| is_ours(action.service())).cloned().collect(),
        services: report
            .services
            .iter()
            .filter(|(service, _)| services.contains(*service))
            .map(|(service, outcome)| (service.clone(), outcome.clone()))
            .collect(),
        left_out: report.left_out.iter().filter(|one| records.contains(&one.id)).cloned().collect(),
        rejected: report.rejected.iter().filter(|id| records.contains(id)).copied().collect(),
        switched: if services.contains(SYSTEM) { report.switched.clone() } else { Vec::new() },
        differences: if services.contains(SYSTEM) { report.differences.clone() } else { Vec::new() },
        taken_back: report.taken_back.iter().filter(|one| records.contains(&one.id)).cloned().collect(),
        interrupted: report.interrupted,
        awaited: report
            .awaited
            .iter()
            .filter(|(service, _)| services.contains(*service))
            .map(|(service, awaited)| (service.clone(), awaited.clone()))
            .collect(),
        awaiting: report.awaiting.clone(),
        watched: report
            .watched
            .iter()
            .filter(|(service, _)| services.contains(*service))
            .map(|(service, seconds)| (service.clone(), *seconds))
            .collect(),
        took: report.took,
        warnings: report.warnings.clone(),
    }
}

/// The reason why a request had no effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The caller may not do this.
    #[error("{0}")]
    NotAllowed(String),
    /// The caller may do this, and not with this value; or the value is not possible.
    #[error("{0}")]
    OutOfBounds(String),
    /// The caller may do this, and not again yet.
    #[error("{reason}; try again in {} s", retry.as_secs() + 1)]
    TooOften {
        /// Why.
        reason: String,
        /// When there is a next time.
        retry: Duration,
    },
    /// There are too many connections.
    #[error("{0}; try again later")]
    Busy(String),
    /// The daemon is ending.
    #[error("the daemon is ending; nothing was done")]
    Stopping,
    /// A stream was not read fast enough.
    #[error("what changed was not read fast enough")]
    Lost,
}
