//! Says which option paths of no service can be recorded, and which never can: pure.

use crate::attr_path::AttrPath;
use crate::plan::Plan;
use crate::plan::options;
use crate::plan::rule::Pattern;

/// Options that are decided before a system runs, or at a rebuild alone, whatever the configuration allows; each with why.
const REFUSED: [(&str, Class); 28] = [
    ("boot.kernelParams", Class::Boot),
    ("boot.kernelPackages", Class::Boot),
    ("boot.kernelPatches", Class::Boot),
    ("boot.extraModulePackages", Class::Boot),
    ("boot.initrd", Class::Boot),
    ("boot.loader", Class::Boot),
    ("boot.plymouth", Class::Boot),
    ("boot.consoleLogLevel", Class::Boot),
    ("boot.supportedFilesystems", Class::Boot),
    ("boot.resumeDevice", Class::Boot),
    ("boot.hardwareScan", Class::Boot),
    ("boot.isContainer", Class::Never),
    ("boot.lanzaboote", Class::Boot),
    ("hardware.firmware", Class::Boot),
    ("hardware.deviceTree", Class::Boot),
    ("hardware.enableAllFirmware", Class::Boot),
    ("hardware.enableRedistributableFirmware", Class::Boot),
    ("hardware.cpu", Class::Boot),
    ("fileSystems", Class::Never),
    ("swapDevices", Class::Never),
    ("disko", Class::Never),
    ("nixpkgs", Class::Never),
    ("dynamicism", Class::Never),
    ("specialisation", Class::Never),
    ("system", Class::Never),
    ("networking.hostId", Class::Never),
    ("assertions", Class::Never),
    ("warnings", Class::Never),
];

/// Options below a refused one that are allowed.
const ALLOWED_BELOW: [&str; 2] = ["system.activationScripts", "system.userActivationScripts"];

/// Why an option is never changed at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// It is read by a boot.
    Boot,
    /// It makes no sense.
    Never,
}

/// Why a path may not be recorded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The configuration does not allow it.
    #[error("it is not among dynamicism.options")]
    NotAllowed,
    /// A boot reads it.
    #[error("takes effect at boot: {0}; put it into the configuration, and run `nixos-rebuild boot`")]
    AtBoot(String),
    /// A system that runs can't take it on.
    #[error("never at run time: {0}; put it into the configuration, and run `nixos-rebuild switch`")]
    Never(String),
}

/// Whether options may be recorded besides those of services.
#[must_use]
pub fn any(plan: &Plan) -> bool {
    !plan.options.is_empty()
}

/// Checks that `path` may be evaluated: it is of no service, and the configuration allows it.
pub fn check(plan: &Plan, path: &AttrPath) -> Result<(), Refusal> {
    let is_allowed = plan.options.iter().filter_map(|text| Pattern::parse(text).ok()).any(|one| one.covers(path));
    if !is_allowed {
        return Err(Refusal::NotAllowed);
    }
    let is_below = |text: &str| AttrPath::parse(text).is_ok_and(|one| path.starts_with(&one));
    let refused = REFUSED.iter().find(|(option, _)| is_below(option));
    match refused.filter(|_| !ALLOWED_BELOW.iter().any(|option| is_below(option))) {
        None => Ok(()),
        Some((_, Class::Boot)) => Err(Refusal::AtBoot(path.to_string())),
        Some((_, Class::Never)) => Err(Refusal::Never(path.to_string())),
    }
}

/// Whether a pattern is about options that may be recorded besides those of services.
#[must_use]
pub fn meets(plan: &Plan, pattern: &Pattern) -> bool {
    plan.options.iter().filter_map(|text| Pattern::parse(text).ok()).any(|one| one.overlaps(pattern))
}

/// Whether a recorded path is put into effect by an evaluation.
#[must_use]
pub fn is_evaluated(plan: &Plan, path: &AttrPath) -> bool {
    any(plan) && options::find(plan, path).is_none() && check(plan, path).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(options: &[&str]) -> Plan {
        serde_json::from_value(serde_json::json!({"version": 1, "options": options, "services": {}})).unwrap()
    }

    #[test]
    fn what_the_configuration_names_is_allowed_but_for_what_never_is() {
        let obstacle = |plan: &Plan, path: &str| {
            check(plan, &AttrPath::parse(path).unwrap()).map_or_else(|refusal| refusal.to_string(), |()| String::new())
        };
        let some = plan(&["networking.firewall.allowedTCPPorts", "systemd.services.*.serviceConfig"]);
        assert_eq!(obstacle(&some, "networking.firewall.allowedTCPPorts"), "");
        assert_eq!(obstacle(&some, "systemd.services.x.serviceConfig.MemoryMax"), "");
        assert_eq!(obstacle(&some, "systemd.services.x.script"), "it is not among dynamicism.options");
        let all = plan(&["*"]);
        assert_eq!(obstacle(&all, "environment.etc.\"a.conf\".text"), "");
        assert!(obstacle(&all, "boot.kernelParams").starts_with("takes effect at boot: boot.kernelParams"));
        assert!(obstacle(&all, "fileSystems.\"/\".device").starts_with("never at run time: fileSystems.\"/\".device"));
        assert!(obstacle(&all, "dynamicism.options").starts_with("never at run time"));
        assert_eq!(obstacle(&all, "boot.kernel.sysctl.\"vm.swappiness\""), "");
        assert_eq!(obstacle(&all, "system.activationScripts.x.text"), "");
        assert!(!is_evaluated(&plan(&[]), &AttrPath::parse("a").unwrap()));
    }

    #[test]
    fn every_refused_option_is_a_path() {
        for (option, _) in REFUSED {
            AttrPath::parse(option).unwrap();
        }
    }
}
