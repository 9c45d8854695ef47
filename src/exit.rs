//! Exit codes: the one place where they are said.

use std::process::{ExitCode, Termination};

/// How a command ended. The worst of all services decides, in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
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
}

impl Exit {
    /// All codes with what they mean, for the man page.
    pub const MEANINGS: [(Exit, &'static str); 7] = [
        (Exit::Done, "done"),
        (Exit::Failed, "failed; nothing was changed by the part that failed"),
        (Exit::Usage, "the command line is wrong"),
        (Exit::Refused, "a value was refused, by its option's type or by the service's own check"),
        (Exit::RolledBack, "a unit did not come up well on new values and was rolled back"),
        (Exit::RollbackFailed, "a unit did not come up well, and rolling it back failed"),
        (Exit::Unsound, "a rebuild with the recorded values would change more than dynix did (verify)"),
    ];
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(self as u8)
    }
}
