//! Checks that a generation still holds what was written to it: a file may have been emptied, changed or removed since.
//!
//! Takes what the state says was written; gives what is there. A file that differs has another identity, or none.

use std::collections::BTreeMap;
use std::io::ErrorKind;

use camino::Utf8Path;

use crate::host::fs::{FileError, Untrusted, generation};
use crate::host::paths::Paths;
use crate::plan::{File, Service};
use crate::reconcile::links;
use crate::reconcile::state::State;
use crate::render;
use crate::render::key::Key;

/// The identities of the files of generation `number`, of those that were `written`.
pub(in crate::reconcile) fn files(
    of: &str,
    number: u64,
    service: &Service,
    written: &BTreeMap<String, String>,
    (paths, key): (&Paths, &Key),
) -> Result<BTreeMap<String, String>, FileError> {
    let directory = &paths.service(of);
    let mut found = BTreeMap::new();
    for (name, identity) in written {
        let is_same = match service.files.get(name) {
            Some(file) => {
                is_same(directory, number, name, (service, file), identity, key)?
                    && links::leads(of, name, file, paths)?
            }
            // The plan is another by now, and so will the files be.
            None => true,
        };
        if is_same {
            found.insert(name.clone(), identity.clone());
        }
    }
    Ok(found)
}

fn is_same(
    directory: &Utf8Path,
    number: u64,
    name: &str,
    (service, file): (&Service, &File),
    written: &str,
    key: &Key,
) -> Result<bool, FileError> {
    let bytes = match generation::read(directory, number, name) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Ok(false),
        Err(error) => match error.untrusted() {
            Some(Untrusted::NotAFile | Untrusted::Link | Untrusted::TooLarge { .. }) => return Ok(false),
            // A user without the right to read the file can't tell.
            None if error.source.kind() == ErrorKind::PermissionDenied => return Ok(true),
            _ => return Err(error),
        },
    };
    if file.holds_secret(service) && !key.is_known() {
        return Ok(true);
    }
    Ok(render::identity(service, file, &bytes, key) == written)
}

/// Whether the generation that a service is on holds what was written to it.
pub fn is_intact(name: &str, service: &Service, state: &State, paths: &Paths) -> Result<bool, FileError> {
    let directory = paths.service(name);
    let in_effect = state.services.get(name).map(|one| &one.in_effect);
    let Some((number, written)) = in_effect.and_then(|it| Some((it.generation?, &it.files))) else { return Ok(true) };
    if generation::current(&directory)? != Some(number) {
        return Ok(false);
    }
    Ok(files(name, number, service, written, (paths, &Key::load(paths)?))? == *written)
}
