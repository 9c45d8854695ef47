//! The request of an apply, and the errors of an apply that did nothing.

use std::collections::BTreeSet;

use super::known_good::ChoiceError;
use super::state::StateError;
use super::trial::{Awaiting, Start};
use crate::host::fs::FileError;
use crate::host::fs::lock::LockError;
use crate::host::systemd::ManagerError;
use crate::overrides::LogError;
use crate::plan::PlanError;

/// A request to apply.
#[expect(clippy::struct_excessive_bools, reason = "each is a matter of its own")]
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Only these services; `None` for all.
    pub services: Option<BTreeSet<String>>,
    /// The caller, for the records that reject what failed.
    pub by: String,
    /// The occasion of the apply.
    pub occasion: Occasion,
    /// Puts the change on trial.
    pub trial: Option<Start>,
    /// The records that were made for it. Others may undo them before the apply has its turn.
    pub records: Vec<u64>,
    /// The units wait for it to end before they start.
    pub before_units: bool,
    /// Whether it follows a change that rolled back: then the last failure stays as it is.
    pub follows: bool,
    /// Options of no service change as well, and the trial is theirs, too.
    pub trial_goes_on: bool,
    /// Nix may build and download what options of no service need.
    pub build: bool,
}

/// The occasion of an apply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Occasion {
    /// Somebody wants what is recorded in effect.
    #[default]
    Asked,
    /// Overrides are over: only their services are of interest.
    Expiry,
    /// A change that failed because of the machine is tried again.
    Retry,
    /// The system is about to boot: only what is known to work is put into effect.
    Boot,
    /// The system is up: what was postponed at its boot is tried.
    AfterBoot,
    /// Everything is to be as built.
    Reset,
    /// switch-to-configuration runs it, and holds its lock itself.
    Switch {
        /// Whether a service that fails stays on what it failed on: the built configuration wins over what was there.
        static_wins: bool,
    },
}

impl Occasion {
    pub(super) fn static_wins(self) -> bool {
        self == Self::Switch { static_wins: true }
    }
}

impl Request {
    pub(super) fn takes(&self, service: &str) -> bool {
        self.services.as_ref().is_none_or(|services| services.contains(service))
    }

    /// Whether this ends a trial of `service`. If not, the service is left alone.
    pub(super) fn ends_trial_of(&self, service: &str) -> bool {
        match self.occasion {
            Occasion::Switch { .. } => true,
            Occasion::Reset => self.takes(service),
            Occasion::Asked | Occasion::Expiry | Occasion::Retry | Occasion::Boot | Occasion::AfterBoot => false,
        }
    }
}

/// Why nothing could be applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Another process is applying.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The log can't be read or added to.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The state file can't be read or written.
    #[error(transparent)]
    State(#[from] StateError),
    /// The file system refuses.
    #[error(transparent)]
    File(#[from] FileError),
    /// systemd refuses.
    #[error(transparent)]
    Manager(#[from] ManagerError),
    /// A part of the plan can't be read.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The known-good values can't be read.
    #[error(transparent)]
    Choice(#[from] ChoiceError),
    /// A change is on trial already.
    #[error(transparent)]
    Awaiting(#[from] Awaiting),
    /// No trial is under way.
    #[error(
        "nothing awaits a confirmation: it was confirmed, it went back, or there was none; see `dynix log` and `dynix status`"
    )]
    NothingAwaits,
    /// Without a confirmation, the trial would undo a record of another user.
    #[error(
        "record {id} (by {by}) was not applied yet, and would be on trial as well: leave confirmUSec (--confirm) out, or let \
         it be applied first"
    )]
    OthersOnTrial {
        /// The record.
        id: u64,
        /// Whose it is.
        by: String,
    },
    /// No timer could roll the trial back.
    #[error("a change can roll back by itself (--confirm) only where systemd runs: a timer of systemd does it")]
    NoTimer,
}
