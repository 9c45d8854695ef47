//! The kernel's own values of settings that a service changes, for systemd-sysctl.service.
//!
//! That unit writes the values of its files, and restores nothing: a key that an override added would keep its value
//! after the override is gone. So dynix stores the kernel's values of such keys before the unit runs. When the unit's
//! files no longer name a key, systemd-sysctl gets the old value in a file made only for that. Keys in the built file
//! need none of this.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;

use super::change::Change;
use crate::host::fs::{self, FileError};
use crate::host::paths::Paths;
use crate::host::sysctl;
use crate::plan::Service;

/// Keeps what is about to change, and says what is to be given back. After the files of `change` are in place, before its units
/// are acted on.
pub(super) fn prepare(change: &Change<'_>, paths: &Paths) -> Result<(), FileError> {
    let place = paths.kernel_settings(change.name);
    let Some(service) = change.service.filter(|service| service.units.contains_key(sysctl::UNIT)) else {
        // The service left the system: the next apply that acts on the unit restores the kernel's values.
        return if fs::exists(&place)? {
            give_back(&sysctl::load(&paths.kernel_settings(change.name))?, change, paths)
        } else {
            Ok(())
        };
    };
    let (before, built, next) =
        (sysctl::load(&paths.kernel_settings(change.name))?, built(service)?, next(change, service, paths)?);
    let mut kept = before.clone();
    sysctl::note(paths.root(), &mut kept, &next, &built);
    if kept != before {
        sysctl::save(&place, &kept)?;
    }
    kept.retain(|path, _| !next.iter().any(|one| sysctl::is_set_by(path, one)));
    give_back(&kept, change, paths)
}

/// Forgets the values that were restored, after the units of `change` ran well.
pub(super) fn settle(change: &Change<'_>, paths: &Paths) -> Result<(), FileError> {
    let Some(service) = change.service.filter(|_| change.units.contains_key(sysctl::UNIT)) else { return Ok(()) };
    let (before, next) = (sysctl::load(&paths.kernel_settings(change.name))?, next(change, service, paths)?);
    let mut kept = before.clone();
    kept.retain(|path, _| next.iter().any(|one| sysctl::is_set_by(path, one)));
    fs::remove(&paths.settings_to_return(change.name))?;
    if kept == before { Ok(()) } else { sysctl::save(&paths.kernel_settings(change.name), &kept) }
}

fn give_back(values: &BTreeMap<String, String>, change: &Change<'_>, paths: &Paths) -> Result<(), FileError> {
    sysctl::save(&paths.settings_to_return(change.name), values)
}

/// The keys that the built files set.
fn built(service: &Service) -> Result<Vec<String>, FileError> {
    read(
        service
            .files
            .iter()
            .filter(|(_, file)| file.is_read_by(sysctl::UNIT))
            .map(|(_, file)| file.static_file.clone()),
    )
}

/// The keys that the files after `change` set.
fn next(change: &Change<'_>, service: &Service, paths: &Paths) -> Result<Vec<String>, FileError> {
    match change.directory(paths) {
        None => built(service),
        Some(directory) => {
            let files = service.files.iter().filter(|(_, file)| file.is_read_by(sysctl::UNIT));
            read(files.map(|(name, _)| directory.join(name)))
        }
    }
}

fn read(files: impl Iterator<Item = Utf8PathBuf>) -> Result<Vec<String>, FileError> {
    let mut settings = Vec::new();
    for file in files {
        let bytes = fs::read(&file)?.unwrap_or_default();
        settings.extend(sysctl::settings(&String::from_utf8_lossy(&bytes)));
    }
    Ok(settings)
}
