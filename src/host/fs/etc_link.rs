//! The links under /etc that NixOS makes, and those that dynix puts in their place.
//!
//! NixOS has a link to /etc/static for each file of `environment.etc` that has no mode of its own
//! (nixos/modules/system/etc/setup-etc.pl). dynix's link begins with /etc/static as well, and leads out of it again. So
//! a switch handles it like its own: it replaces the link if the new system has the file, and removes the link if it
//! has not, also if the new system has no dynix.

use std::io;

use camino::{Utf8Path, Utf8PathBuf};

use super::{Context, Directory, FileError, atomic, read_link, resolve};

const STATIC: &str = "/etc/static";

/// From /etc/static, which leads to a directory of the store, to the root. At the root, `..` is the root.
const UP: &str = "../../../../../../../..";

/// Where a file under /etc leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leads {
    /// To the file that was built.
    Static,
    /// To dynix's file.
    Dynamic,
    /// Anywhere else: why it is not a link that dynix may replace.
    Elsewhere(String),
}

/// A file under /etc, on a system below `root`.
#[derive(Clone, Debug)]
pub struct EtcLink<'f> {
    /// The root.
    pub root: &'f Utf8Path,
    /// The path of the link, absolute: `/etc/NAME`.
    pub file: &'f Utf8Path,
    /// The path of dynix's file, absolute.
    pub dynamic: Utf8PathBuf,
}

impl EtcLink<'_> {
    /// Its path below the root.
    #[must_use]
    pub fn place(&self) -> Utf8PathBuf {
        self.root.join(self.file.strip_prefix("/").unwrap_or(self.file))
    }

    fn to_dynamic(&self) -> String {
        format!("{STATIC}/{UP}{}", self.dynamic)
    }

    /// The text of the link that NixOS makes; `None` if the system has no such file.
    fn to_static(&self) -> Result<Option<String>, FileError> {
        let Ok(name) = self.file.strip_prefix("/etc") else { return Ok(None) };
        let files = resolve(self.root, &self.root.join("etc/static"))?;
        let file = files.join(name);
        let Some((directory, last)) = Directory::above(&file)? else { return Ok(None) };
        if !directory.has(last)? {
            return Ok(None);
        }
        // Beside a file that is no plain link there is one that says so. With `direct-symlink`, the link leads where that of
        // the store leads.
        let mode = super::read_limited(&directory.path().join(format!("{last}.mode")), 64)?;
        match mode.as_deref().map(<[u8]>::trim_ascii) {
            None => Ok(Some(format!("{STATIC}/{name}"))),
            Some(b"direct-symlink") => directory.read_link(last),
            Some(_) => Ok(None),
        }
    }

    /// Where the link leads now.
    pub fn leads(&self) -> Result<Leads, FileError> {
        let found = match read_link(&self.place()) {
            Ok(found) => found,
            // readlink(2)
            Err(error) if error.source.kind() == io::ErrorKind::InvalidInput => {
                return Ok(Leads::Elsewhere(self.refusal("it is no link")));
            }
            Err(error) => return Ok(Leads::Elsewhere(self.refusal(&error.to_string()))),
        };
        let Some(found) = found else { return Ok(Leads::Elsewhere(self.refusal("it is not there"))) };
        if found == self.to_dynamic() {
            return Ok(Leads::Dynamic);
        }
        if self.to_static()?.is_some_and(|built| built == found) {
            return Ok(Leads::Static);
        }
        Ok(Leads::Elsewhere(self.refusal(&format!("it leads to {found}"))))
    }

    fn refusal(&self, found: &str) -> String {
        format!(
            "{} is not the link to {STATIC} that NixOS makes, so dynix leaves it alone ({found}): a file with a mode of its \
             own is a copy, an overlay over /etc (system.etc.overlay.enable) has no such links, or somebody put another file \
             there",
            self.file
        )
    }

    /// Lets every reader see dynix's file.
    pub fn to_dynix(&self) -> Result<(), FileError> {
        match self.leads()? {
            Leads::Dynamic => Ok(()),
            Leads::Static => atomic::link(&self.place(), &self.to_dynamic()),
            Leads::Elsewhere(why) => Err(io::Error::other(why)).at("replace", &self.place()),
        }
    }

    /// Lets every reader see the built file again. A link that is not dynix's stays as it is.
    pub fn go_back(&self) -> Result<(), FileError> {
        if self.leads()? != Leads::Dynamic {
            return Ok(());
        }
        match self.to_static()? {
            Some(built) => atomic::link(&self.place(), &built),
            None => super::remove(&self.place()).map(drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const FILE: &str = "/etc/ssh/sshd_config";
    const DYNAMIC: &str = "/run/dynix/openssh/current/sshd_config";

    fn root() -> (tempfile::TempDir, Utf8PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::try_from(directory.path().canonicalize().unwrap()).unwrap();
        for path in ["etc/ssh", "nix/store/x-etc/etc/ssh", "nix/store/y", "run/dynix/openssh/current"] {
            std::fs::create_dir_all(root.join(path)).unwrap();
        }
        symlink("/nix/store/x-etc/etc", root.join("etc/static")).unwrap();
        symlink("/nix/store/y/sshd_config", root.join("nix/store/x-etc/etc/ssh/sshd_config")).unwrap();
        symlink("/etc/static/ssh/sshd_config", root.join("etc/ssh/sshd_config")).unwrap();
        (directory, root)
    }

    fn link(root: &Utf8Path) -> EtcLink<'_> {
        EtcLink { root, file: FILE.into(), dynamic: DYNAMIC.into() }
    }

    fn text(root: &Utf8Path) -> String {
        std::fs::read_link(root.join("etc/ssh/sshd_config")).unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn a_link_is_swapped_and_goes_back() {
        let (_keep, root) = root();
        let link = link(&root);
        assert_eq!(link.leads().unwrap(), Leads::Static);
        link.to_dynix().unwrap();
        link.to_dynix().unwrap();
        assert_eq!(link.leads().unwrap(), Leads::Dynamic);
        // What setup-etc.pl takes for its own (is_static, cleanup), and where it leads in the end.
        assert!(text(&root).starts_with("/etc/static"));
        assert_eq!(resolve(&root, &root.join("etc/ssh/sshd_config")).unwrap(), root.join(&DYNAMIC[1..]));
        link.go_back().unwrap();
        link.go_back().unwrap();
        assert_eq!(text(&root), "/etc/static/ssh/sshd_config");
    }

    #[test]
    fn a_direct_link_goes_back_to_where_it_led() {
        let (_keep, root) = root();
        std::fs::write(root.join("nix/store/x-etc/etc/ssh/sshd_config.mode"), "direct-symlink\n").unwrap();
        std::fs::remove_file(root.join("etc/ssh/sshd_config")).unwrap();
        symlink("/nix/store/y/sshd_config", root.join("etc/ssh/sshd_config")).unwrap();
        link(&root).to_dynix().unwrap();
        link(&root).go_back().unwrap();
        assert_eq!(text(&root), "/nix/store/y/sshd_config");
    }

    #[test]
    fn a_copy_a_foreign_link_and_an_overlay_are_left_alone() {
        let (_keep, root) = root();
        let place = root.join("etc/ssh/sshd_config");
        let refused = |link: EtcLink<'_>| link.to_dynix().unwrap_err().to_string();
        std::fs::remove_file(&place).unwrap();
        assert!(refused(link(&root)).contains("it is not there"));
        std::fs::write(&place, "Port 22\n").unwrap();
        assert!(refused(link(&root)).contains("it is no link"));
        link(&root).go_back().unwrap();
        assert_eq!(std::fs::read(&place).unwrap(), b"Port 22\n");
        // As an overlay has it: the file of the store itself.
        std::fs::remove_file(&place).unwrap();
        symlink("/nix/store/y/sshd_config", &place).unwrap();
        assert!(refused(link(&root)).contains("system.etc.overlay.enable"));
        link(&root).go_back().unwrap();
        assert_eq!(text(&root), "/nix/store/y/sshd_config");
    }

    #[test]
    fn where_the_new_system_has_no_such_file_nothing_is_left() {
        let (_keep, root) = root();
        link(&root).to_dynix().unwrap();
        std::fs::remove_file(root.join("nix/store/x-etc/etc/ssh/sshd_config")).unwrap();
        link(&root).go_back().unwrap();
        assert!(!root.join("etc/ssh/sshd_config").is_symlink());
    }
}
