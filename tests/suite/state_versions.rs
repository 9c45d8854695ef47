//! What is written today is read tomorrow: by the dynix of the next system, with overrides in effect. What is newer is
//! refused with its version.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use camino::Utf8PathBuf;
use serde_json::{Value, json};

use crate::support::{System, description, dynix, finish};

/// The versions of the state before the present one. Version 2 has what a setback was as well.
const EARLIER: [u64; 2] = [1, 2];

/// What a system of an earlier version had when it was upgraded: overrides in effect, an earlier generation, a drop-in.
fn fixture(version: u64) -> Utf8PathBuf {
    Utf8PathBuf::from(format!("{}/tests/fixtures/state/version-{version}", env!("CARGO_MANIFEST_DIR")))
}

/// That system, with the plan that this dynix makes of the same description.
struct Upgraded {
    directory: tempfile::TempDir,
}

impl Upgraded {
    fn from(version: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let upgraded = Self { directory };
        let root = upgraded.root();
        let status =
            Command::new("cp").args(["-R", "--", fixture(version).join("root").as_str(), root.as_str()]).status();
        assert!(status.unwrap().success());
        // Git keeps no modes.
        let log = root.join("etc/nixos/dynamic.nix");
        std::fs::set_permissions(log, std::fs::Permissions::from_mode(0o644)).unwrap();
        for directory in ["run", "run/dynix", "etc", "etc/nixos"] {
            std::fs::set_permissions(root.join(directory), std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        std::fs::set_permissions(root.join("run/dynix/state.json"), std::fs::Permissions::from_mode(0o644)).unwrap();
        let generate = ["generate", "--description", "description.json", "--static-root", "static", "--out"];
        let out = root.join("etc/dynix");
        finish(dynix().current_dir(fixture(version)).args(generate).arg(&out)).ends(0);
        upgraded
    }

    fn root(&self) -> Utf8PathBuf {
        Utf8PathBuf::try_from(self.directory.path().join("root")).unwrap()
    }

    fn run(&self, arguments: &[&str]) -> crate::support::Run {
        finish(dynix().args(["--root", self.root().as_str()]).args(arguments))
    }

    fn read(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.root().join(path)).ok()
    }
}

const FILE: &str = "run/dynix/greeter/current/greeter.json";
const DROP_IN: &str = "run/systemd/system/greeter.service.d/50-dynix.conf";

#[test]
fn an_upgrade_keeps_the_overrides_that_are_in_effect() {
    for version in EARLIER {
        let system = Upgraded::from(version);
        let (file, drop_in) = (system.read(FILE).unwrap(), system.read(DROP_IN).unwrap());
        assert!(file.contains("82") && drop_in.contains("THREADS=4"), "{file}{drop_in}");
        let status = system.run(&["status", "--json"]).ends(0).json();
        let greeter = &status["services"]["greeter"];
        assert_eq!((&greeter["generation"], &greeter["pending"]), (&json!(2), &json!(false)), "{status}");
        for shown in greeter["overrides"].as_array().unwrap() {
            assert_eq!(shown["applied"], true, "{status}");
        }
        let last_failure = if version == 1 { Value::Null } else { json!("rolledBack") };
        assert_eq!(greeter["lastFailure"]["result"], last_failure, "{status}");
        // No unit is touched, and nothing is written anew.
        assert_eq!(system.run(&["apply"]).ends(0).stdout, "nothing to do\n");
        assert_eq!((system.read(FILE), system.read(DROP_IN)), (Some(file), Some(drop_in)));
        let state: Value = serde_json::from_str(&system.read("run/dynix/state.json").unwrap()).unwrap();
        assert_eq!(state["version"], dynix::reconcile::state::VERSION);
        // That it works, nobody has seen here.
        assert_eq!(state["services"]["greeter"]["works"], Value::Null);
        assert_eq!(system.read("var/lib/dynix/known-good.json"), None);
        // And it goes on from there, forward and back.
        system.run(&["append", "services.greeter.settings.port", "83", "--apply"]).ends(0);
        assert!(system.read(FILE).unwrap().contains("83"));
        system.run(&["rollback", "1", "--apply"]).ends(0);
        assert!(system.read(FILE).unwrap().contains("81"));
        system.run(&["reset"]).ends(0);
        assert_eq!((system.read(FILE), system.read(DROP_IN)), (None, None));
    }
}

/// An apply that an earlier version did not finish is finished by this one.
#[test]
fn an_upgrade_in_the_middle_of_an_apply_finishes_it() {
    for version in EARLIER {
        let system = Upgraded::from(version);
        let path = system.root().join("run/dynix/state.json");
        let mut state: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        state["services"]["greeter"]["pending"] = json!(["greeter.service"]);
        std::fs::write(&path, state.to_string()).unwrap();
        assert_eq!(system.run(&["apply"]).ends(0).stdout, "greeter: left to do: restart greeter.service\n");
        assert_eq!(system.run(&["apply"]).ends(0).stdout, "nothing to do\n");
    }
}

#[test]
fn the_plans_of_earlier_versions_are_read() {
    for version in EARLIER {
        let system = Upgraded::from(version);
        std::fs::copy(fixture(version).join("plan.json"), system.root().join("plan.json")).unwrap();
        let plan = system.root().join("plan.json");
        let status = system.run(&["--plan", plan.as_str(), "status", "--json"]).ends(0).json();
        assert_eq!(status["services"]["greeter"]["pending"], false);
    }
}

#[test]
fn what_is_newer_is_refused_with_its_version_and_left_as_it_is() {
    let system = System::new();
    system.run(&["append", "services.harmonia.settings.workers", "20", "--apply"]).ends(0);
    let newer = |path: &str, version: u64| {
        let mut file: Value = serde_json::from_str(&system.read(path)).unwrap();
        file["version"] = (version + 1).into();
        // It has what we know nothing of.
        file["journal"] = json!([]);
        std::fs::remove_file(system.path(path)).unwrap();
        system.write(path, &file.to_string());
    };
    let before = system.read("run/dynix/state.json");
    newer("run/dynix/state.json", dynix::reconcile::state::VERSION);
    let there = system.everything();
    for command in
        [&["apply"][..], &["status"], &["reset", "--dry-run"], &["get", "services.harmonia.settings.workers", "--json"]]
    {
        let run = system.run(command).ends(1);
        let version = dynix::reconcile::state::VERSION + 1;
        assert!(
            run.stderr.contains(&format!("state.json has version {version}, and this dynix reads")),
            "{}",
            run.stderr
        );
    }
    assert_eq!(system.everything(), there);
    // As it says: without the file, an apply finds out by itself.
    std::fs::remove_file(system.path("run/dynix/state.json")).unwrap();
    system.run(&["apply"]).ends(0);
    assert_eq!(system.run(&["apply"]).ends(0).stdout, "nothing to do\n");
    let files = |state: &str| serde_json::from_str::<Value>(state).unwrap()["services"]["harmonia"]["files"].clone();
    assert_eq!(files(&system.read("run/dynix/state.json")), files(&before));

    newer("etc/dynix/plan.json", dynix::plan::VERSION);
    let run = system.run(&["status"]).ends(1);
    let version = dynix::plan::VERSION + 1;
    assert!(run.stderr.contains(&format!("it has version {version}, this dynix reads version")), "{}", run.stderr);

    let mut description = description();
    description["version"] = version.into();
    description["journal"] = json!([]);
    system.write("newer.json", &description.to_string());
    let (from, out) = (system.path("newer.json"), system.path("out"));
    let run = finish(dynix().args(["generate", "--description", from.as_str(), "--out", out.as_str()])).ends(1);
    assert!(run.stderr.contains(&format!("it is {version}, and this dynix reads version")), "{}", run.stderr);
    assert!(!out.exists());
}

fn generations(system: &System) -> Vec<u64> {
    let names = std::fs::read_dir(system.path("run/dynix/harmonia")).unwrap();
    let number = |name: String| name.strip_prefix("generation-").and_then(|number| number.parse().ok());
    let mut found: Vec<u64> =
        names.filter_map(|entry| number(entry.unwrap().file_name().into_string().unwrap())).collect();
    found.sort_unstable();
    found
}

#[test]
fn generations_are_pruned_but_never_the_one_in_use_or_the_one_to_go_back_to() {
    let mut description = description();
    description["keep"] = 1.into();
    let system = System::of(&description);
    let workers = "services.harmonia.settings.workers";
    for value in ["20", "21", "22"] {
        system.run(&["append", workers, value, "--apply"]).ends(0);
    }
    assert_eq!(generations(&system), [3]);
    // Newer ones that nothing uses: an apply was killed after it had written them.
    for unused in ["4", "5"] {
        let (from, to) =
            (system.path("run/dynix/harmonia/generation-3"), format!("run/dynix/harmonia/generation-{unused}"));
        assert!(Command::new("cp").args(["-a", from.as_str(), system.path(&to).as_str()]).status().unwrap().success());
    }
    // And one that was killed after the swap: 3 is what it goes back to.
    let current = system.path("run/dynix/harmonia/current");
    std::fs::remove_file(&current).unwrap();
    std::os::unix::fs::symlink("generation-4", &current).unwrap();
    let state = system.read("run/dynix/state.json");
    let pending = state.replace(r#""harmonia":{"#, r#""harmonia":{"pending":["harmonia.service"],"#);
    system.write("run/dynix/state.json", &pending);
    // Reading prunes nothing.
    system.run(&["status"]).ends(0);
    system.run(&["apply", "distccd"]).ends(0);
    assert_eq!(generations(&system), [3, 4, 5]);
    system.run(&["apply"]).ends(0);
    let toml = "max_connection_rate = 256\nworkers = 22\n";
    assert_eq!(system.read("run/dynix/harmonia/current/harmonia.toml"), toml);
    assert_eq!(generations(&system), [4, 5], "the one in use, and the newest");
}
