//! A user's own places: what the user's service manager and home-manager have, without any right of root's.

use camino::{Utf8Path, Utf8PathBuf};

use super::environment::is_called_by_another;
use super::fs::{self, FileError};
use super::systemd::reach::UserManager;

/// The directories of a user (XDG Base Directory Specification).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    /// `$XDG_RUNTIME_DIR`
    pub runtime: Utf8PathBuf,
    /// `$XDG_CONFIG_HOME`
    pub config: Utf8PathBuf,
    /// `$XDG_STATE_HOME`
    pub state: Utf8PathBuf,
    /// `$XDG_CACHE_HOME`
    pub cache: Utf8PathBuf,
}

/// Why a user's own places are not known.
#[derive(Debug, thiserror::Error)]
pub enum Homeless {
    /// Root runs it for somebody.
    #[error("--user is about the services of the user who runs dynix; run it without sudo or the like")]
    CalledByAnother,
    /// It says nothing, or something relative.
    #[error("--user needs {variable} to be an absolute path, as a login sets it")]
    Variable {
        /// The variable.
        variable: &'static str,
    },
}

impl Home {
    /// That of the user who runs dynix, as its environment says.
    pub fn own() -> Result<Self, Homeless> {
        if is_called_by_another() {
            return Err(Homeless::CalledByAnother);
        }
        let uid = rustix::process::geteuid().as_raw();
        let runtime = directory("XDG_RUNTIME_DIR", || Some(format!("/run/user/{uid}").into()))?;
        let below = |name: &'static str, place: &str| {
            directory(name, || Some(Utf8PathBuf::from(std::env::var("HOME").ok()?).join(place)))
        };
        Ok(Self {
            runtime,
            config: below("XDG_CONFIG_HOME", ".config")?,
            state: below("XDG_STATE_HOME", ".local/state")?,
            cache: below("XDG_CACHE_HOME", ".cache")?,
        })
    }

    /// The same with all links followed: those that root or the user made.
    pub fn resolved(&self) -> Result<Self, FileError> {
        let resolved = |place: &Utf8Path| fs::resolve(Utf8Path::new("/"), place);
        Ok(Self {
            runtime: resolved(&self.runtime)?,
            config: resolved(&self.config)?,
            state: resolved(&self.state)?,
            cache: resolved(&self.cache)?,
        })
    }

    /// The user's service manager.
    #[must_use]
    pub fn manager(&self) -> UserManager {
        UserManager::at(rustix::process::geteuid().as_raw(), &self.runtime)
    }
}

/// What a variable says, or else the usual place. An empty one says nothing.
fn directory(variable: &'static str, usual: impl Fn() -> Option<Utf8PathBuf>) -> Result<Utf8PathBuf, Homeless> {
    let said = std::env::var(variable).ok().filter(|value| !value.is_empty()).map(Utf8PathBuf::from);
    said.or_else(usual).filter(|place| place.is_absolute()).ok_or(Homeless::Variable { variable })
}
