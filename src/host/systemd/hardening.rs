//! The rights of dynix's own units: the least that an apply and its programs (checks, probes, the evaluator) need.
//!
//! One table, in the two forms that systemd takes: lines of a unit file (systemd.exec(5)) and properties of a transient
//! unit (org.freedesktop.systemd1(5)). `systemd-analyze security` says OK for a unit that has them.
//!
//! These units may create no namespaces and no mounts. Nix as root opens its store itself, and remounts it to be able
//! to write. So in these units Nix asks the Nix daemon instead (`NIX_REMOTE`, which `crate::host::process` passes on).

use zbus::Variant;

use super::transient::Properties;

/// A directive's value.
enum Value {
    Yes,
    /// systemd's names, and their numbers in linux/capability.h.
    Capabilities(&'static [(&'static str, u32)]),
    /// Only the named ones are allowed.
    Only(&'static [&'static str]),
    Words(&'static [&'static str]),
    Mode(u32),
    /// No namespace at all; as a property it is the set of those that are allowed.
    NoNamespace,
    /// An errno(3) by name and number.
    Error(&'static str, i32),
}

const CAPABILITIES: &[(&str, u32)] = &[
    // Rendered files have owners, in directories of others.
    ("CAP_CHOWN", 0),
    ("CAP_DAC_OVERRIDE", 1),
    ("CAP_DAC_READ_SEARCH", 2),
    ("CAP_FOWNER", 3),
    ("CAP_FSETID", 4),
    // A check or probe may become its service's user, and look at its processes.
    ("CAP_KILL", 5),
    ("CAP_SETGID", 6),
    ("CAP_SETUID", 7),
    ("CAP_NET_BIND_SERVICE", 10),
    ("CAP_SYS_PTRACE", 19),
];

const DIRECTIVES: &[(&str, Value)] = &[
    ("CapabilityBoundingSet", Value::Capabilities(CAPABILITIES)),
    ("Environment", Value::Words(&["NIX_REMOTE=daemon"])),
    ("LockPersonality", Value::Yes),
    ("NoNewPrivileges", Value::Yes),
    ("PrivateDevices", Value::Yes),
    ("ProtectClock", Value::Yes),
    ("ProtectControlGroups", Value::Yes),
    ("ProtectHostname", Value::Yes),
    ("ProtectKernelLogs", Value::Yes),
    ("ProtectKernelModules", Value::Yes),
    ("ProtectKernelTunables", Value::Yes),
    // getaddrinfo(3) asks the kernel by netlink.
    ("RestrictAddressFamilies", Value::Only(&["AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK"])),
    ("RestrictNamespaces", Value::NoNamespace),
    ("RestrictRealtime", Value::Yes),
    ("RestrictSUIDSGID", Value::Yes),
    ("SystemCallArchitectures", Value::Words(&["native"])),
    // A check that tries more gets an error, and can report it.
    ("SystemCallErrorNumber", Value::Error("EPERM", 1)),
    ("SystemCallFilter", Value::Only(&["@system-service"])),
    ("UMask", Value::Mode(0o077)),
];

/// For a transient unit.
pub(super) fn properties() -> Properties {
    DIRECTIVES.iter().map(|(name, value)| (*name, value.property())).collect()
}

/// The properties without those of this table: a user's manager has no rights that it could take away.
pub(super) fn without(properties: Properties) -> Properties {
    properties.into_iter().filter(|(name, _)| DIRECTIVES.iter().all(|(one, _)| one != name)).collect()
}

/// For a unit file: a line for each.
#[must_use]
pub fn lines() -> Vec<String> {
    DIRECTIVES.iter().map(|(name, value)| format!("{name}={}", value.text())).collect()
}

impl Value {
    fn text(&self) -> String {
        match self {
            Self::Yes | Self::NoNamespace => "yes".to_owned(),
            Self::Capabilities(all) => all.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" "),
            Self::Only(words) | Self::Words(words) => words.join(" "),
            Self::Mode(mode) => format!("{mode:04o}"),
            Self::Error(name, _) => (*name).to_owned(),
        }
    }

    fn property(&self) -> Variant<'static> {
        let owned = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        match self {
            Self::Yes => Variant::new(true),
            Self::Capabilities(all) => Variant::new(all.iter().fold(0_u64, |set, (_, number)| set | 1 << number)),
            Self::Only(words) => Variant::new((true, owned(words))),
            Self::Words(words) => Variant::new(owned(words)),
            Self::Mode(mode) => Variant::new(*mode),
            Self::NoNamespace => Variant::new(0_u64),
            Self::Error(_, number) => Variant::new(*number),
        }
    }
}
