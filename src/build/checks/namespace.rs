//! The effects of a bind on a unit, as far as the unit's text shows them: whether the unit sees the file, and what the
//! unit loses with a mount namespace of its own.
//!
//! Takes the settings of a unit; gives problems and warnings as text. Drop-ins of other packages, and units whose text
//! is not in the description, are not known here. For those an apply looks at what systemd has loaded
//! (`crate::reconcile::loaded`).

use camino::{Utf8Path, Utf8PathBuf};

use crate::build::find::unit::{Reader, Setting, last, settings};

/// Units that start sessions of users or mount file systems for others, by their names without type and instance.
///
/// Sessions: what a user mounts, and what is mounted later for a user, would not be the same within and without. Mounts:
/// nobody else would see them.
const FOR_OTHERS: [(&str, &str); 51] = [
    ("autofs", MOUNTS),
    ("autovt", SESSIONS),
    ("atd", SESSIONS),
    ("cage-tty1", SESSIONS),
    ("console-getty", SESSIONS),
    ("container-getty", SESSIONS),
    ("containerd", MOUNTS),
    ("crio", MOUNTS),
    ("cron", SESSIONS),
    ("crond", SESSIONS),
    ("dbus", SESSIONS),
    ("dbus-broker", SESSIONS),
    ("devmon", MOUNTS),
    ("display-manager", SESSIONS),
    ("docker", MOUNTS),
    ("dropbear", SESSIONS),
    ("fcron", SESSIONS),
    ("gdm", SESSIONS),
    ("getty", SESSIONS),
    ("glusterd", MOUNTS),
    ("greetd", SESSIONS),
    ("incus", MOUNTS),
    ("k3s", MOUNTS),
    ("kmsconvt", SESSIONS),
    ("kubelet", MOUNTS),
    ("libvirtd", MOUNTS),
    ("lightdm", SESSIONS),
    ("lxcfs", MOUNTS),
    ("lxd", MOUNTS),
    ("ly", SESSIONS),
    ("moosefs", MOUNTS),
    ("podman", MOUNTS),
    ("rke2", MOUNTS),
    ("sddm", SESSIONS),
    ("serial-getty", SESSIONS),
    ("snapd", MOUNTS),
    ("sshd", SESSIONS),
    ("sshd-session", SESSIONS),
    ("systemd-homed", MOUNTS),
    ("systemd-machined", SESSIONS),
    ("tailscaled", SESSIONS),
    ("teleport", SESSIONS),
    ("telnetd", SESSIONS),
    ("tinyssh", SESSIONS),
    ("udisks2", MOUNTS),
    ("user", SESSIONS),
    ("user-runtime-dir", MOUNTS),
    ("xrdp-sesman", SESSIONS),
    ("zed", MOUNTS),
    ("zfs-mount", MOUNTS),
    ("zfs-zed", MOUNTS),
];
const SESSIONS: &str = "starts sessions of users";
const MOUNTS: &str = "mounts file systems for others";

/// Programs whose mounts are for others.
const MOUNTING: [&str; 8] = ["mount", "umount", "fusermount", "fusermount3", "sshfs", "zfs", "zpool", "bindfs"];

/// Lists of paths that give a unit a mount namespace (`exec_needs_mount_namespace`, src/core/execute.c).
const LISTS: [&str; 12] = [
    "ReadWritePaths",
    "ReadOnlyPaths",
    "InaccessiblePaths",
    "ExecPaths",
    "NoExecPaths",
    "BindPaths",
    "BindReadOnlyPaths",
    "TemporaryFileSystem",
    "MountImages",
    "ExtensionImages",
    "ExtensionDirectories",
    "RootImage",
];

/// Settings that give a unit a mount namespace unless they have one of these words.
const SWITCHES: [(&str, &[&str]); 16] = [
    ("PrivateTmp", NO),
    ("PrivateDevices", NO),
    ("PrivateMounts", NO),
    ("PrivateIPC", NO),
    ("PrivatePIDs", NO),
    ("PrivateNetwork", NO),
    ("ProtectSystem", NO),
    ("ProtectHome", NO),
    ("ProtectKernelTunables", NO),
    ("ProtectKernelModules", NO),
    ("ProtectKernelLogs", NO),
    ("ProtectControlGroups", NO),
    ("ProtectProc", &["default", ""]),
    ("ProcSubset", &["all", ""]),
    ("MountFlags", &["shared", ""]),
    ("LogNamespace", &[""]),
];
const NO: &[&str] = &["no", "false", "off", "0", "n", "f", ""];

/// Whether a boolean setting is on (systemd.syntax(7)).
pub fn is_yes(value: &str) -> bool {
    matches!(value, "1" | "yes" | "y" | "true" | "t" | "on")
}

/// The setting that already gives a unit a mount namespace of its own; then a bind takes nothing from the unit.
fn own_namespace(settings: &[Setting]) -> Option<&str> {
    let listed = LISTS.into_iter().find(|key| !list(settings, key).is_empty());
    let switched = SWITCHES.iter().find(|(key, off)| last(settings, key).is_some_and(|value| !off.contains(&value)));
    let by_user = || last(settings, "DynamicUser").is_some_and(is_yes).then_some("DynamicUser");
    listed.or(switched.map(|(key, _)| *key)).or_else(by_user)
}

/// The values of a setting that takes a list: an empty one resets the earlier ones.
fn list<'s>(settings: &'s [Setting], key: &str) -> Vec<&'s str> {
    settings.iter().filter(|setting| setting.key == key).fold(Vec::new(), |mut values, setting| {
        if setting.value.is_empty() {
            values.clear();
        } else {
            values.push(setting.value.as_str());
        }
        values
    })
}

/// The paths of a list, without prefixes and what follows a colon; those in quotes too.
fn paths<'s>(settings: &'s [Setting], key: &str) -> impl Iterator<Item = Vec<&'s Utf8Path>> {
    let words = list(settings, key).into_iter().flat_map(|value| value.split_whitespace());
    words.map(|word| {
        let word = word.trim_matches(['"', '\'']).trim_start_matches(['-', '+']);
        word.split(':').map(|path| Utf8Path::new(path.trim_end_matches('/'))).collect()
    })
}

/// Why `unit` would not see a file that is bound over `target`, or would not start without one.
pub fn hidden(unit: &str, text: &str, target: &Utf8Path) -> Option<String> {
    let settings = settings(text);
    let mut binds: Vec<&Utf8Path> = Vec::new();
    for key in ["BindPaths", "BindReadOnlyPaths"] {
        for parts in paths(&settings, key) {
            // SOURCE[:DESTINATION[:OPTIONS]]
            let Some(place) = parts.get(1).or(parts.first()).copied() else { continue };
            if place == target {
                return Some(format!(
                    "{unit} has a bind of its own over {target} ({key}=), and systemd shows it only one of two: it would \
                     go on reading that; bind a directory above it instead, or attach the file in another way"
                ));
            }
            binds.push(place);
        }
    }
    let root = last(&settings, "RootDirectory").unwrap_or_default();
    if is_confinement(root) {
        return Some(format!(
            "{unit} is confined (systemd.services.NAME.confinement), which binds each store path by itself, {target} \
             too, and systemd shows it only one of two binds over one path; set confinement.enable = false"
        ));
    }
    let (key, cover) = cover(&settings, target)?;
    let is_shown = binds.iter().any(|place| target.starts_with(place) && place.starts_with(&cover));
    (!is_shown).then(|| {
        format!(
            "{unit} does not see {target} by itself ({key}= is in the way), so without an override, as at a boot, it \
             would have no file there; bind a directory above it (BindReadOnlyPaths={})",
            target.parent().unwrap_or(target)
        )
    })
}

/// As nixos/modules/security/systemd-confinement.nix has it, today and up to 2024.
fn is_confinement(root: &str) -> bool {
    root.starts_with("/run/confinement/") || root.starts_with("/nix/store/") && root.ends_with("-chroot")
}

/// The innermost place of the unit's own at or above `target` in which nothing of the system is, and the setting that
/// makes it so.
fn cover(settings: &[Setting], target: &Utf8Path) -> Option<(&'static str, Utf8PathBuf)> {
    let mut covers: Vec<(&'static str, Utf8PathBuf)> = Vec::new();
    for key in ["TemporaryFileSystem", "InaccessiblePaths"] {
        let places = paths(settings, key).filter_map(|parts| parts.first().copied());
        // Without its slash at the end, the root is empty.
        covers.extend(places.map(|place| (key, if place == "" { "/".into() } else { place.to_owned() })));
    }
    // The other contents of the root directory, besides the store, are not known.
    for key in ["RootDirectory", "RootImage"] {
        let own = last(settings, key).is_some_and(|root| !matches!(root, "" | "/"));
        covers.extend((own && target.starts_with("/nix/store")).then(|| (key, "/".into())));
    }
    if last(settings, "ProtectHome").is_some_and(|value| is_yes(value) || value == "tmpfs") {
        covers.extend(["/home", "/root", "/run/user"].map(|place| ("ProtectHome", place.into())));
    }
    if last(settings, "PrivateTmp").is_some_and(|value| !NO.contains(&value)) {
        covers.extend(["/tmp", "/var/tmp"].map(|place| ("PrivateTmp", place.into())));
    }
    covers.retain(|(_, place)| target.starts_with(place));
    covers.into_iter().max_by_key(|(_, place)| place.as_str().len())
}

/// What a unit loses by a bind, which gives it a mount namespace of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Its purpose.
    Purpose(String),
    /// Mounts that it may make, and that others may need.
    Perhaps,
}

/// What `unit` loses by a bind, if anything; `text` is its text, if that is known.
pub fn loss(unit: &str, text: Option<&str>) -> Option<Loss> {
    let settings = settings(text.unwrap_or_default());
    if own_namespace(&settings).is_some() {
        return None;
    }
    let stem = unit.rsplit_once('.').map_or(unit, |(stem, _)| stem);
    let stem = stem.split_once('@').map_or(stem, |(stem, _)| stem);
    let named = FOR_OTHERS.iter().find(|(name, _)| *name == stem).map(|(_, what)| (*what).to_owned());
    if let Some(purpose) = named.or_else(|| purpose(&settings)) {
        return Some(Loss::Purpose(purpose));
    }
    (text.is_some() && can_mount(&settings)).then_some(Loss::Perhaps)
}

/// What a unit does for others, according to its text.
fn purpose(settings: &[Setting]) -> Option<String> {
    for (key, wanted) in [("PAMName", None), ("UtmpIdentifier", None), ("KeyringMode", Some("shared"))] {
        let value = last(settings, key).filter(|value| !value.is_empty());
        if let Some(value) = value.filter(|value| wanted.is_none_or(|wanted| *value == wanted)) {
            return Some(format!("{SESSIONS} ({key}={value})"));
        }
    }
    if last(settings, "MountFlags") == Some("shared") {
        return Some(format!("{MOUNTS} (MountFlags=shared)"));
    }
    let commands = settings.iter().filter(|setting| matches!(setting.reader(), Reader::Program | Reader::Preparation));
    for setting in commands.filter(|setting| setting.key.starts_with("Exec")) {
        let program = |word: &&str| {
            let path = word.trim_matches(['"', '\'']).trim_start_matches(['@', '-', ':', '!', '|']);
            path.starts_with('/') && MOUNTING.contains(&path.rsplit('/').next().unwrap_or_default())
        };
        if let Some(word) = setting.value.split_whitespace().find(program) {
            return Some(format!("{MOUNTS} ({} has {word})", setting.key));
        }
    }
    None
}

/// Whether the kernel lets it mount anything (`CAP_SYS_ADMIN`, capabilities(7)).
fn can_mount(settings: &[Setting]) -> bool {
    let is_root = matches!(last(settings, "User"), None | Some("" | "root" | "0"));
    let bounded = last(settings, "CapabilityBoundingSet")
        .is_some_and(|set| !set.is_empty() && set.contains("CAP_SYS_ADMIN") == set.starts_with('~'));
    is_root && !bounded
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-x.json";

    fn hides(lines: &str) -> Option<String> {
        hidden("x.service", &format!("[Service]\n{}\n", lines.replace("FILE", FILE)), Utf8Path::new(FILE))
    }

    #[test]
    fn a_file_that_the_unit_binds_itself_is_not_replaced() {
        for lines in [
            "BindReadOnlyPaths=FILE",
            "BindReadOnlyPaths=-FILE:FILE:norbind",
            "BindPaths=/etc /nix/store/other:FILE",
            "BindReadOnlyPaths=\"FILE\"",
            "TemporaryFileSystem=/nix/store:ro\nBindReadOnlyPaths=FILE",
        ] {
            let problem = hides(lines).unwrap_or_default();
            assert!(problem.contains("a bind of its own over"), "{lines}: {problem}");
        }
        for lines in [
            "",
            "BindReadOnlyPaths=FILE:/etc/x",
            "BindReadOnlyPaths=/nix/store",
            "BindReadOnlyPaths=FILE\nBindReadOnlyPaths=",
        ] {
            assert_eq!(hides(lines), None, "{lines}");
        }
    }

    #[test]
    fn a_unit_that_sees_no_store_by_itself_has_no_built_file() {
        for lines in [
            "TemporaryFileSystem=/nix/store:ro",
            "TemporaryFileSystem=/",
            "InaccessiblePaths=/nix",
            "RootDirectory=/srv/x",
            "TemporaryFileSystem=/nix/store\nBindReadOnlyPaths=/nix/store/other",
            "TemporaryFileSystem=/nix/store\nBindReadOnlyPaths=/nix",
        ] {
            let problem = hides(lines).unwrap_or_default();
            assert!(problem.contains("does not see"), "{lines}: {problem}");
        }
        for lines in [
            "TemporaryFileSystem=/ /run\nBindReadOnlyPaths=/nix/store /etc",
            "RootDirectory=/srv/x\nBindReadOnlyPaths=/nix/store",
            "RootDirectory=/",
            "TemporaryFileSystem=/var",
            "ProtectHome=yes",
        ] {
            assert_eq!(hides(lines), None, "{lines}");
        }
        let at = |lines: &str, path: &str| hidden("x.service", lines, Utf8Path::new(path));
        assert!(at("ProtectHome=tmpfs", "/root/x.conf").is_some());
        assert_eq!(at("RootDirectory=/srv/x", "/etc/x.conf"), None);
        for root in ["/run/confinement/x", "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-x-chroot"] {
            let problem = hides(&format!("RootDirectory={root}\nBindReadOnlyPaths=/nix/store")).unwrap();
            assert!(problem.contains("is confined"), "{problem}");
        }
    }

    #[test]
    fn a_namespace_takes_nothing_from_who_has_one() {
        let loses = |unit: &str, lines: &str| loss(unit, Some(lines));
        for lines in
            ["PrivateTmp=yes", "ProtectSystem=strict", "DynamicUser=true", "ReadOnlyPaths=/x", "ProtectProc=invisible"]
        {
            assert_eq!(loses("sshd.service", lines), None, "{lines}");
        }
        for lines in
            ["", "PrivateTmp=no", "ProtectSystem=false", "ReadOnlyPaths=/x\nReadOnlyPaths=", "ProtectProc=default"]
        {
            assert!(matches!(loses("sshd.service", lines), Some(Loss::Purpose(_))), "{lines}");
        }
    }

    #[test]
    fn sessions_and_mounts_are_for_others() {
        for (unit, lines) in [
            ("greetd.service", ""),
            ("sshd@1.service", ""),
            ("udisks2.service", "User=root"),
            ("x.service", "PAMName=login"),
            ("x.service", "KeyringMode=shared"),
            ("x.service", "ExecStartPre=-/nix/store/x/bin/mount -t nfs a /b"),
            ("x.service", "MountFlags=shared"),
        ] {
            assert!(matches!(loss(unit, Some(lines)), Some(Loss::Purpose(_))), "{unit} {lines}");
        }
        for (lines, loses) in [
            ("ExecStart=/bin/x", Some(Loss::Perhaps)),
            ("ExecStartPre=+/bin/mount /b\nExecStart=/bin/x --mount", Some(Loss::Perhaps)),
            ("User=x", None),
            ("CapabilityBoundingSet=CAP_NET_ADMIN", None),
            ("CapabilityBoundingSet=~CAP_SYS_ADMIN", None),
            ("CapabilityBoundingSet=~CAP_SYS_PTRACE", Some(Loss::Perhaps)),
        ] {
            assert_eq!(loss("x.service", Some(lines)), loses, "{lines}");
        }
        assert_eq!(loss("x.service", None), None);
    }
}
