//! Reads a plan, whole or by its index.

use camino::Utf8Path;

use crate::host::fs::{self, FileError};
use crate::plan::index::Index;
use crate::plan::{Plan, Services, VERSION};

/// Why there is no plan to work with.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Its version is another one.
    #[error("it has version {0}, this dynix reads version {VERSION}: use the dynix of the same system")]
    Version(u64),
    /// The file is not a plan.
    #[error("it is not a plan; rebuild the system")]
    Malformed(#[source] serde_json::Error),
    /// It was there a moment ago.
    #[error("the plan is gone; rebuild the system")]
    Gone,
    /// The file system refuses.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Reads a plan's text.
pub fn read(bytes: &[u8]) -> Result<Plan, PlanError> {
    let read: Result<Plan, _> = serde_json::from_slice(bytes);
    match read {
        Ok(plan) if plan.version == VERSION => Ok(plan),
        Ok(plan) => Err(PlanError::Version(plan.version)),
        Err(error) => {
            // Another version may have another shape; without this check the error would only name an odd field.
            let version = serde_json::from_slice::<serde_json::Value>(bytes)
                .ok()
                .and_then(|plan| plan.get("version").and_then(serde_json::Value::as_u64));
            match version {
                Some(version) if version != VERSION => Err(PlanError::Version(version)),
                _ => Err(PlanError::Malformed(error)),
            }
        }
    }
}

/// The plan at `path`, `None` if there is none. If it has an index that belongs to it, its services are only those that
/// are required ([`Services`]), and it has no candidates.
pub fn open(path: &Utf8Path) -> Result<Option<Plan>, PlanError> {
    // Which options are of no service can be said only of all of them.
    if let Some((plan, index)) = Index::open(path).filter(|(plan, _)| plan.options.is_empty()) {
        return Ok(Some(Plan { services: Services::behind(index, path.to_owned()), ..plan }));
    }
    load(path)
}

/// The plan at `path`, whole; `None` if there is none.
pub fn load(path: &Utf8Path) -> Result<Option<Plan>, PlanError> {
    fs::read_trusted(path, fs::OWN)?.map(|bytes| read(&bytes)).transpose()
}
