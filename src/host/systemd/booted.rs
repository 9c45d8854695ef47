//! Says whether a systemd manages the system that dynix runs in.

use std::os::unix::fs::MetadataExt;
use std::sync::LazyLock;

use camino::Utf8Path;

/// Whether systemd is process 1 (`sd_booted(3)`), and of this very system. Looked at once: before a boot, what this process
/// leaves below /run/systemd/system for systemd to find would look as if it ran.
#[must_use]
pub fn is_ours() -> bool {
    static OURS: LazyLock<bool> = LazyLock::new(|| {
        Utf8Path::new("/run/systemd/system").is_dir()
            && !is_elsewhere(Utf8Path::new("/proc/1/root"), Utf8Path::new("/"))
    });
    *OURS
}

/// In a chroot systemd is the outer system's (`running_in_chroot`, src/basic/virt.c; systemctl leaves it alone there as
/// well). This happens when NixOS boots with a systemd initrd: initrd-nixos-activation.service runs the activation
/// script by `chroot /sysroot`, and the systemd of that time knows no unit of the next system.
fn is_elsewhere(their_root: &Utf8Path, our_root: &Utf8Path) -> bool {
    let identity = |path: &Utf8Path| std::fs::metadata(path).map(|found| (found.dev(), found.ino()));
    match (identity(their_root), identity(our_root)) {
        (Ok(theirs), Ok(ours)) => theirs != ours,
        // A user who may not look there can't change units either, and gets that error from systemd.
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_root_is_elsewhere() {
        let directory = tempfile::tempdir().unwrap();
        let other = Utf8Path::from_path(directory.path()).unwrap();
        assert!(is_elsewhere(other, Utf8Path::new("/")));
        assert!(!is_elsewhere(other, &other.join("../").join(other.file_name().unwrap())));
        assert!(!is_elsewhere(&other.join("absent"), Utf8Path::new("/")));
    }
}
