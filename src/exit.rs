//! The exit codes of the program.

use std::process::{ExitCode, Termination};

/// How a command ended. The worst of all services decides, in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything that was asked for is done.
    #[default]
    Done = 0,
    /// Something failed that no other code speaks of; what is in effect is unchanged.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// A value was refused, by its option's type or by the service's own check.
    Refused = 3,
    /// A unit did not come up well on new values and was returned to what it had before.
    RolledBack = 4,
    /// A unit did not come up well, and going back failed as well.
    RollbackFailed = 5,
    /// A rebuild with the values in effect would give another system.
    Unsound = 6,
    /// The new values are in place, but a unit's process runs on others.
    Unseen = 7,
    /// Nothing failed, and there is what was asked about (`--exit-code`).
    Found = 8,
}

impl Exit {
    /// How bad it is: the worst of several decides.
    fn rank(self) -> u8 {
        match self {
            // Nothing is broken by it.
            Self::Unseen => Self::Refused as u8 * 2 + 1,
            // Nothing failed.
            Self::Found => 1,
            other => other as u8 * 2,
        }
    }
}

impl PartialOrd for Exit {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Exit {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl Exit {
    /// All codes with what they mean, for the man page.
    pub const MEANINGS: [(Exit, &'static str); 9] = [
        (Exit::Done, "done"),
        (Exit::Failed, "failed; nothing was changed by the part that failed"),
        (Exit::Usage, "the command line is wrong"),
        (Exit::Refused, "a value was refused, by its option's type or by the service's own check"),
        (Exit::RolledBack, "a unit did not come up well on new values and was rolled back"),
        (Exit::RollbackFailed, "a unit did not come up well, and rolling it back failed"),
        (Exit::Unsound, "a rebuild with the recorded values would change more than dynix did (verify)"),
        (Exit::Unseen, "new values are in place, and a unit's process goes on with others"),
        (Exit::Found, "nothing failed, and there is what --exit-code asks about"),
    ];
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(self as u8)
    }
}
