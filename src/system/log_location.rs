//! Where the override log is, if the configuration names no file for it.
//!
//! It is /etc/nixos/dynamic.nix wherever /etc/nixos can keep it. On many hosts it can't: /etc/nixos is a link into
//! somebody's home or belongs to that user, is on a file system in memory or on a read-only one. Then the log is
//! /var/lib/dynix/dynamic.nix. A log that is there already is always used, so that records stay in effect when /etc/nixos
//! changes later.

use anyhow::Context as _;
use camino::{Utf8Path, Utf8PathBuf};

use crate::host::fs::{self, FileError};
use crate::host::paths::Paths;

/// The log, and another one that somebody may take for it.
#[derive(Debug, PartialEq, Eq)]
pub struct LogLocation {
    /// The log, whether it exists or not. Links are followed, except for its last name.
    pub path: Utf8PathBuf,
    /// A warning for people: overrides in another place that are not used.
    pub warning: Option<String>,
}

impl From<Utf8PathBuf> for LogLocation {
    fn from(path: Utf8PathBuf) -> Self {
        Self { path, warning: None }
    }
}

/// The location of the log below `root`. It changes nothing.
///
/// # Errors
///
/// A log in a place that others can change is not used, and not left out: its overrides may be in effect.
pub fn find(root: &Utf8Path) -> anyhow::Result<LogLocation> {
    let paths = Paths::new(root, None, None);
    let usual = paths.overrides();
    let usual_place = resolved(root, usual);
    // This follows every link: it says only whether people find a log there.
    let is_usual_there = || std::fs::metadata(usual).is_ok_and(|found| found.is_file());
    // On the running system one look tells that there is no other log. In a tree, links may lead elsewhere than they seem to.
    if root == "/"
        && !fs::exists(&paths.state_log())?
        && let Ok(place) = &usual_place
        && fs::exists(place)?
    {
        return Ok(place.clone().into());
    }
    let state = resolved(root, &paths.state_log())?;
    if fs::exists(&state)? {
        let is_another = usual_place.map_or(true, |place| place != state) && is_usual_there();
        let warning = is_another.then(|| {
            format!("{usual} is not used, since {state} is the log; remove the former if nothing in it is needed")
        });
        return Ok(LogLocation { path: state, warning });
    }
    match usual_place {
        Ok(place) if fs::exists(&place)? || keeps(&place, &state)? => Ok(place.into()),
        Ok(_) => Ok(state.into()),
        Err(error) if error.untrusted().is_some() && !is_usual_there() => Ok(state.into()),
        Err(error) if error.untrusted().is_some() => Err(error).with_context(|| {
            format!(
                "the overrides in {usual} are not trusted; to keep them elsewhere, read them, then \
                 `install -D -m 644 {usual} {state}`, and remove {usual}"
            )
        }),
        Err(error) => Err(error.into()),
    }
}

/// The path of a log. Links may lead to its directory (/etc/nixos often is one), but the log itself may not be a link.
pub fn resolved(root: &Utf8Path, path: &Utf8Path) -> Result<Utf8PathBuf, FileError> {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => {
            let parent = if parent == "" { Utf8Path::new(".") } else { parent };
            Ok(fs::resolve(root, parent)?.join(name))
        }
        _ => Ok(path.to_owned()),
    }
}

/// Whether what is written to `place` stays: at least as long as what is written to `other`.
fn keeps(place: &Utf8Path, other: &Utf8Path) -> Result<bool, FileError> {
    let (place, other) = (fs::mount::below(place)?, fs::mount::below(other)?);
    Ok(!place.is_read_only && (!place.is_in_memory || other.is_in_memory))
}
