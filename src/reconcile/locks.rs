//! The two locks of an apply, and the one order in which they are taken.
//!
//! - The lock of NixOS's switch-to-configuration. A switch takes it before it does anything, fails at once if somebody
//!   else has it, and keeps it until it has started its units (nixpkgs, switch-to-configuration-ng). It stops the units
//!   that changed, runs the activation script, and then starts them: every wait of the activation is an outage.
//! - dynix's own lock.
//!
//! The rule: first the lock of the switch, then dynix's. An activation within a switch takes only dynix's, because the
//! switch has the first one for it. A process that waits for the lock of the switch has none that an apply needs.
//!
//! Nobody waits for ever, because the locks have an order, and everybody takes them in it.
//!
//! 1. those of the background verification (`verify-next.lock`, `verify.lock`, or `prove.lock` alone), which only such
//!    verifications take,
//! 2. the one of options of no service (`evaluated.lock`, `src/evaluated`), which nobody takes within a switch,
//! 3. the one of the switch,
//! 4. dynix's,
//! 5. those of the log and of the metrics, which are held for a write, and never during a wait.
//!
//! The holder of the second runs switch-to-configuration, which takes the third itself, and holds no later lock meanwhile.
//!
//! In a circle of waiting processes, each would hold a lock and wait for a later one in this order. So nobody who holds
//! the last lock can wait for another. A switch waits for more than locks: for the activation, which takes only later
//! locks, and for the jobs of units. Of dynix's units it may stop the daemon, so the daemon stops waiting as soon as it
//! is asked to end ([`Patience`]). It touches no timer of dynix, because those are not below /etc/systemd/system. A
//! foreign unit that runs `dynix apply` before it counts as started does wait for a switch that starts it; that wait
//! ends with the unit's own timeout.
//!
//! An activation within a switch does not wait: the holder of dynix's lock also holds the lock of the switch, and the
//! switch has that one. There are two exceptions: a dynix older than this rule, and a switch that takes no lock (NixOS
//! before 22.05). For them the activation waits [`INSIDE_A_SWITCH`] and then continues without the lock: its records
//! hold, and take effect with the next apply.

use std::time::Duration;

use super::Occasion;
use crate::host::fs::lock::{self, Lock, LockError, Patience};
use crate::host::paths::Paths;

/// How long an apply waits for a lock of another process.
pub const PATIENCE: Duration = Duration::from_secs(600);

/// How long a switch waits for an apply, with units of its own stopped.
pub const INSIDE_A_SWITCH: Duration = Duration::from_secs(10);

/// The locks: until it is dropped, nobody else applies or switches.
#[derive(Debug)]
pub struct Locks {
    // Released in this order, so that nobody who has the second has to wait for the first.
    _ours: Lock,
    _of_the_switch: Option<Lock>,
}

/// Takes the locks. `waiting` gets the name of the holder that it waits for.
pub fn take(
    paths: &Paths,
    occasion: Occasion,
    patience: Patience<'_>,
    mut waiting: impl FnMut(&str),
) -> Result<Locks, LockError> {
    let (of_the_switch, patience) = match occasion {
        Occasion::Switch { .. } => (None, patience.at_most(INSIDE_A_SWITCH)),
        Occasion::Asked
        | Occasion::Expiry
        | Occasion::Retry
        | Occasion::Boot
        | Occasion::AfterBoot
        | Occasion::Reset => (Some(lock::acquire(&paths.switch_lock(), patience, |holder| waiting(holder))?), patience),
    };
    let ours = lock::acquire(&paths.lock(), patience, |holder| waiting(holder))?;
    Ok(Locks { _ours: ours, _of_the_switch: of_the_switch })
}
