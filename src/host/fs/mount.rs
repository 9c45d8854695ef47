//! What the file system of a path can do.

use camino::Utf8Path;
use rustix::fs::StatVfsMountFlags;
use rustix::io::Errno;

use super::{Context, FileError};

/// The file systems whose content ends with the boot (linux/magic.h).
const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];

/// The file system that a path is on, or will be on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Nobody can write there.
    pub is_read_only: bool,
    /// It is a tmpfs or ramfs.
    pub is_in_memory: bool,
}

/// The file system of `path`, or of the nearest directory above it that exists.
pub fn below(path: &Utf8Path) -> Result<Mount, FileError> {
    for place in path.ancestors() {
        match (rustix::fs::statfs(place.as_std_path()), rustix::fs::statvfs(place.as_std_path())) {
            (Ok(kind), Ok(flags)) => {
                return Ok(Mount {
                    is_read_only: flags.f_flag.contains(StatVfsMountFlags::RDONLY),
                    is_in_memory: u64::try_from(kind.f_type).is_ok_and(|kind| IN_MEMORY.contains(&kind)),
                });
            }
            (Err(Errno::NOENT), _) | (_, Err(Errno::NOENT)) => {}
            (Err(error), _) | (_, Err(error)) => return Err(error).at("look at the file system of", place),
        }
    }
    Err(Errno::NOENT).at("look at the file system of", path)
}
