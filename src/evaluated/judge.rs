//! Judges whether a change set can be put into effect on the running system: pure.

use std::collections::BTreeMap;

use super::change_set::{ChangeSet, Problem, Sides};
use crate::attr_path::AttrPath;
use crate::plan::options::nearest;

/// Parts of the whole system that a boot reads, with the options that they come of.
const AT_BOOT: [&str; 8] = [
    "boot.kernelPackages.kernel",
    "boot.kernelParams",
    "hardware.deviceTree.package",
    "hardware.firmware",
    "system.build.bootStage2",
    "system.build.initialRamdisk",
    "system.build.initialRamdiskSecretAppender",
    "system.modulesTree",
];

/// Why an override can't be evaluated, as text.
#[must_use]
pub fn problem(problem: &Problem) -> String {
    let show = |names: &[String]| AttrPath(names.to_vec()).to_string();
    match problem {
        Problem::Missing { below, name, names, .. } => {
            let at = |name: &String| show(&below.iter().chain([name]).cloned().collect::<Vec<_>>());
            let near = nearest(name, names.iter().cloned());
            let near: Vec<String> = near.iter().map(at).collect();
            format!("there is no option {}; the nearest are {}", at(name), near.join(", "))
        }
        Problem::Set { path, names } => {
            let some: Vec<&str> = names.iter().take(5).map(String::as_str).collect();
            format!("{} is a set of options; name one of them: {}, ...", show(path), some.join(", "))
        }
        Problem::ReadOnly { option, .. } => format!("{} is read-only", show(option)),
        Problem::Internal { option, .. } => format!("{} is internal: it is for modules alone", show(option)),
    }
}

/// The reasons why the change set can't be put into effect; none if it can.
#[must_use]
pub fn obstacles(changes: &ChangeSet) -> Vec<String> {
    let mut found = Vec::new();
    found.extend(changes.failed_assertions.iter().map(|text| format!("a rebuild would fail: {text}")));
    if changes.overlay {
        found.push("/etc is an overlay (system.etc.overlay.enable), which is set up at boot alone".to_owned());
    }
    for service in changes.services.keys() {
        found.push(format!(
            "it changes the built values of {service}, which dynix changes itself: put it into the configuration, and run \
             `nixos-rebuild switch`"
        ));
    }
    fails(&changes.units, "", &mut found);
    fails(&changes.user_units, "", &mut found);
    fails(&changes.etc, "/etc/", &mut found);
    for (name, sides) in &changes.packages {
        if let Some(gone) = sides.before.as_ref().filter(|_| sides.after.is_none()) {
            found.push(format!(
                "takes {} from the system's packages (environment.systemPackages), which only a rebuild does",
                gone.first().map_or(name.as_str(), |path| super::derivation::name_of(path))
            ));
        } else {
            let path =
                sides.after.iter().flatten().next().map_or(name.as_str(), |path| super::derivation::name_of(path));
            found.push(format!("needs a build: {path} (environment.systemPackages)"));
        }
    }
    for name in changes.options.keys() {
        found.push(format!("{name} is a part of the system that only a rebuild makes"));
    }
    found.extend(of_the_whole(changes));
    found
}

/// The changes to the whole system that can't happen while it runs: all except that of its name.
fn of_the_whole(changes: &ChangeSet) -> Vec<String> {
    let is_host_name = changes.rest_parts.contains_key("networking.hostName");
    let others: Vec<&String> = changes.whole.keys().filter(|name| *name != "name" || !is_host_name).collect();
    if others.is_empty() {
        return Vec::new();
    }
    let named = changes.rest_parts.keys().filter(|name| *name != "networking.hostName");
    let mut found: Vec<String> = named
        .map(|name| {
            if AT_BOOT.contains(&name.as_str()) {
                format!("takes effect at boot: {name}")
            } else {
                format!("{name} is a part of the system that only a rebuild makes")
            }
        })
        .collect();
    if found.is_empty() {
        let parts: Vec<&str> = others.into_iter().map(String::as_str).collect();
        found.push(format!("it changes the system itself ({}), which only a rebuild does", parts.join(", ")));
    }
    found
}

fn fails<T>(sides: &BTreeMap<String, Sides<T>>, prefix: &str, found: &mut Vec<String>) {
    let failing = sides.iter().filter(|(_, sides)| sides.fails);
    found.extend(failing.map(|(name, _)| format!("a rebuild would fail: {prefix}{name} can't be evaluated")));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(json: serde_json::Value) -> ChangeSet {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn units_and_files_alone_are_no_obstacle() {
        let changes = set(serde_json::json!({"system": "/s", "units": {"a.service": {"before": null, "after": null}}}));
        assert!(obstacles(&changes).is_empty());
    }

    #[test]
    fn each_obstacle_says_what_it_is() {
        let said = |json| obstacles(&set(json)).join("\n");
        let package = serde_json::json!({"system": "/s", "packages": {"hello":
            {"before": null, "after": ["/nix/store/0123456789abcdfghijklmnpqrsvwxyz-hello-2.10"]}}});
        assert_eq!(said(package), "needs a build: hello-2.10 (environment.systemPackages)");
        let params = serde_json::json!({"system": "/s", "whole": {"kernelParams": {}},
            "restParts": {"boot.kernelParams": {}}});
        assert_eq!(said(params), "takes effect at boot: boot.kernelParams");
        let named =
            serde_json::json!({"system": "/s", "whole": {"name": {}}, "restParts": {"networking.hostName": {}}});
        assert_eq!(said(named), "");
        let unknown = serde_json::json!({"system": "/s", "whole": {"buildCommand": {}}});
        assert_eq!(said(unknown), "it changes the system itself (buildCommand), which only a rebuild does");
        let failing = serde_json::json!({"system": "/s", "etc": {"x": {"fails": true}}, "failedAssertions": ["no"]});
        assert_eq!(said(failing), "a rebuild would fail: no\na rebuild would fail: /etc/x can't be evaluated");
        assert!(said(serde_json::json!({"system": "/s", "overlay": true})).contains("overlay"));
        assert!(said(serde_json::json!({"system": "/s", "services": {"x": {}}})).contains("built values of x"));
    }

    #[test]
    fn an_option_that_is_none_is_told_with_the_nearest() {
        let words = |names: &[&str]| names.iter().map(|&one| one.to_owned()).collect::<Vec<_>>();
        let missing = Problem::Missing {
            path: words(&["networking", "firewal", "x"]),
            below: words(&["networking"]),
            name: "firewal".to_owned(),
            names: words(&["hosts", "firewall", "domain"]),
        };
        assert!(
            problem(&missing)
                .starts_with("there is no option networking.firewal; the nearest are networking.firewall,"),
            "{}",
            problem(&missing)
        );
    }
}
