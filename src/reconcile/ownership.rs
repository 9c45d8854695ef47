//! Mode, owner and group of a rendered file, as numbers.

use crate::host::accounts::Database;
use crate::host::paths::Paths;
use crate::plan::File;

/// As the file system has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ownership {
    /// Permission bits.
    pub mode: u32,
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// The ownership of `file` in the plan. On a tree that is not the system (`--root`), users other than root own the
/// files themselves, because they can give them to nobody else; so do they of their own services.
pub fn resolve(file: &File, paths: &Paths) -> Result<Ownership, String> {
    let mode = u32::from_str_radix(&file.mode, 8).map_err(|_| format!("the mode {:?} is not octal", file.mode))?;
    let (us, our_group) = (rustix::process::geteuid(), rustix::process::getegid());
    if paths.home().is_some() || paths.root() != "/" && !us.is_root() {
        return Ok(Ownership { mode, uid: us.as_raw(), gid: our_group.as_raw() });
    }
    let uid = id(&file.owner, Database::Users).ok_or_else(|| format!("there is no user {:?}", file.owner))?;
    let gid = id(&file.group, Database::Groups).ok_or_else(|| format!("there is no group {:?}", file.group))?;
    Ok(Ownership { mode, uid, gid })
}

/// Root needs no look into the databases, which may be far away (`nsswitch.conf(5)`).
fn id(name: &str, database: Database) -> Option<u32> {
    if name == "root" { Some(0) } else { name.parse().ok().or_else(|| database.number(name)) }
}
