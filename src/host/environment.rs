//! Makes harmless what a process inherits from its caller, before anything else happens: rights that the caller does
//! not have, open files, the umask, and variables that say where to work.

use rustix::fs::Mode;
use rustix::process::{getegid, geteuid, getgid, getuid, umask};

use crate::host::fs::{self, FileError};

/// The variables of `--root`, `--plan`, `--overrides` and `--socket` (src/cli/arguments).
const PLACES: [&str; 4] = ["DYNIX_ROOT", "DYNIX_PLAN", "DYNIX_OVERRIDES", "DYNIX_SOCKET"];
/// The variables with which sudo(8), run0(1), pkexec(1) and doas(1) name the user who called them.
const CALLERS: [&str; 3] = ["SUDO_UID", "PKEXEC_UID", "DOAS_USER"];
/// See getauxval(3), linux/auxvec.h.
const AT_SECURE: usize = 23;

/// Surroundings in which nothing is done.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// The program file gives rights away.
    #[error(
        "this program has rights that its caller has not (set-user-ID, set-group-ID or file capabilities), and is not \
         made for that; run it as root, with sudo or run0"
    )]
    Privileged,
    /// Another user chose where root works.
    #[error("{variable} is from the user who called this with sudo or the like; use the flag --{flag}, or unset it")]
    Place {
        /// The variable.
        variable: &'static str,
        /// The flag to use.
        flag: String,
    },
    /// The kernel's facts about the process can't be read.
    #[error(transparent)]
    File(#[from] FileError),
}

/// To be called once, first of all.
pub fn settle() -> Result<(), Unfit> {
    if getuid() != geteuid() || getgid() != getegid() || is_secure(&auxiliary_vector()?) {
        return Err(Unfit::Privileged);
    }
    // Modes are given outright: what the caller wants kept from others, or open to them, is of no concern here.
    umask(Mode::from_raw_mode(0o022));
    // Child programs get their standard streams and nothing else.
    close_fds::set_fds_cloexec(3, &[]);
    let called = geteuid().is_root() && is_called_by_another();
    match PLACES.into_iter().find(|place| called && is_set(place)) {
        Some(variable) => {
            let flag = variable.trim_start_matches("DYNIX_").to_lowercase();
            Err(Unfit::Place { variable, flag })
        }
        None => Ok(()),
    }
}

/// Whether another user called this, with sudo(8) or the like.
#[must_use]
pub fn is_called_by_another() -> bool {
    CALLERS.iter().any(|caller| is_set(caller))
}

fn is_set(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| !value.is_empty() && value != "0")
}

/// Without /proc (early in a boot) there is none.
fn auxiliary_vector() -> Result<Vec<u8>, FileError> {
    Ok(fs::read("/proc/self/auxv".into())?.unwrap_or_default())
}

/// Whether the kernel says that the program was started with rights that its caller has not (ld.so(8)).
fn is_secure(vector: &[u8]) -> bool {
    const WORD: usize = size_of::<usize>();
    let word = |bytes: &[u8]| bytes.try_into().map(usize::from_ne_bytes).unwrap_or_default();
    vector.chunks_exact(2 * WORD).any(|pair| word(&pair[..WORD]) == AT_SECURE && word(&pair[WORD..]) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_believed() {
        let vector = |entries: &[usize]| entries.iter().flat_map(|word| word.to_ne_bytes()).collect::<Vec<_>>();
        assert!(is_secure(&vector(&[6, 4096, AT_SECURE, 1, 0, 0])));
        assert!(!is_secure(&vector(&[6, AT_SECURE, AT_SECURE, 0, 0, 0])));
        assert!(!is_secure(&auxiliary_vector().unwrap()));
    }
}
