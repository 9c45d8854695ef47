//! The links under /etc of services whose files are attached there ([`Attach::Etc`]).

use super::state::{State, StateError};
use crate::host::fs::etc_link::{EtcLink, Leads};
use crate::host::fs::{self, FileError, atomic, generation};
use crate::host::paths::Paths;
use crate::plan::{Attach, File, Plan, Service};

/// The link that leads to a file, if it is one of those.
pub(super) fn link<'l>(service: &str, name: &str, file: &'l File, paths: &'l Paths) -> Option<EtcLink<'l>> {
    let Attach::Etc(path) = &file.attach else { return None };
    Some(EtcLink { root: paths.root(), file: path, dynamic: paths.etc_target(service, name) })
}

fn links<'l>(name: &'l str, service: &'l Service, paths: &'l Paths) -> impl Iterator<Item = (&'l str, EtcLink<'l>)> {
    let files = service.files.iter();
    files.filter_map(move |(file_name, file)| Some((file_name.as_str(), link(name, file_name, file, paths)?)))
}

/// Whether readers are led to a file of the generation in use: a link under /etc may lead elsewhere by now.
pub(super) fn leads(service: &str, name: &str, file: &File, paths: &Paths) -> Result<bool, FileError> {
    link(service, name, file, paths).map_or(Ok(true), |link| Ok(link.leads()? == Leads::Dynamic))
}

/// Why a service can't have other files than those that were built: what is under /etc is not NixOS's link.
pub(super) fn obstacle(name: &str, service: &Service, paths: &Paths) -> Result<Option<String>, FileError> {
    for (_, link) in links(name, service, paths) {
        if let Leads::Elsewhere(why) = link.leads()? {
            return Ok(Some(why));
        }
    }
    Ok(None)
}

/// Removes what a killed apply left behind. A link never leads to a generation that is not there: /run/dynix may have been
/// removed.
pub(super) fn clean(plan: &Plan, paths: &Paths) -> Result<(), FileError> {
    for (name, service) in &plan.services {
        for (file, link) in links(name, service, paths) {
            atomic::clean(&link.place())?;
            if !fs::exists(&paths.service(name).join("current").join(file))? {
                link.go_back()?;
            }
        }
    }
    Ok(())
}

/// Restores the links that a switch has just replaced, of services that stay on what they have. So the switch alone is no
/// reason to act on their units.
pub fn restore(plan: &Plan, paths: &Paths) -> Result<(), StateError> {
    let state = State::load(&paths.state())?;
    for (name, service) in &plan.services {
        let number = state.services.get(name).and_then(|one| one.in_effect.generation);
        let directory = paths.service(name);
        if number.is_none() || generation::current(&directory)? != number {
            continue;
        }
        for (file, link) in links(name, service, paths) {
            if fs::exists(&directory.join("current").join(file))? && link.leads()? == Leads::Static {
                link.to_dynix()?;
            }
        }
    }
    Ok(())
}
