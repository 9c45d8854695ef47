//! What is marked as secret reaches the one file that it is for, and nothing else. Claims of docs/security.md.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use camino::Utf8PathBuf;
use serde_json::{Value, json};

use super::support::{Run, System};

const PATH: &str = "services.vault.settings.db.password";
/// With what formats escape, and what a message would have to quote.
const SECRET: &str = "hunter2";
const STATIC: &str = "/nix/store/00000000000000000000000000000000-vault.json";

fn description() -> Value {
    json!({
        "version": 1,
        "services": {"vault": {
            "options": {"services.vault.settings": {
                "static": {"name": "x", "db": {"user": "u", "password": null}},
                "schema": {"type": "object", "properties": {
                    "db": {"type": "object", "additionalProperties": false, "properties": {
                        "password": {"type": ["string", "null"], "maxLength": 40},
                        "user": {"type": "string"},
                    }},
                }},
                "secret": [["db", "password"]],
            }},
            "files": {"vault.json": {
                "format": {"name": "json"},
                "value": {"option": "services.vault.settings"},
                "static": STATIC,
                "mode": "0400",
                "attach": {"bind": STATIC},
            }},
            "check": {"command": ["/bin/sh", "-c", "cat \"$1\"; ! grep -q refuse-me \"$1\"", "sh", "{{ files[\"vault.json\"] }}"]},
            "units": {"vault.service": {}},
        }},
    })
}

fn generate(description: &Value) -> System {
    let statics = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::try_from(statics.path().to_owned()).unwrap();
    let file = path.join(STATIC.trim_start_matches('/'));
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, "{\"db\": {\"password\": null, \"user\": \"u\"}, \"name\": \"x\"}\n").unwrap();
    System::with(description, path.as_str())
}

/// A system whose secret is in /run/secrets/vault, and recorded.
struct Vault(System);

impl Vault {
    fn new() -> Self {
        let vault = Self(generate(&description()));
        vault.keep(SECRET);
        vault
    }

    fn keep(&self, secret: &str) {
        self.0.write("run/secrets/vault", &format!("{secret}\n"));
        std::fs::set_permissions(self.0.path("run/secrets/vault"), Permissions::from_mode(0o400)).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Run {
        let run = self.0.run(arguments);
        assert!(!format!("{run:?}").contains(SECRET), "{arguments:?}: {run:?}");
        self.is_kept();
        run
    }

    fn append(&self) -> Run {
        self.run(&["append", PATH, "--secret-file", "/run/secrets/vault"])
    }

    fn rendered(&self) -> String {
        self.0.read("run/dynix/vault/current/vault.json")
    }

    /// No file that others can read has it.
    fn is_kept(&self) {
        for (name, bytes) in self.0.everything() {
            let found = std::fs::symlink_metadata(&name).unwrap();
            if found.is_file() && found.mode() & 0o004 != 0 {
                assert!(!String::from_utf8_lossy(&bytes).contains(SECRET), "{name}");
            }
        }
        for cached in std::fs::read_dir(self.0.path("var/cache/dynix")).into_iter().flatten() {
            let bytes = std::fs::read(cached.unwrap().path()).unwrap();
            assert!(!String::from_utf8_lossy(&bytes).contains(SECRET));
        }
    }

    /// Everything that shows something.
    fn show_all(&self) {
        for arguments in [
            &["status"][..],
            &["log"],
            &["diff"],
            &["diff", "--pending"],
            &["get", PATH],
            &["get", "services.vault.settings"],
        ] {
            self.run(arguments);
            self.run(&[arguments, &["--json"]].concat());
            self.run(&[arguments, &["-v"]].concat());
        }
        self.run(&["apply", "--dry-run"]);
        self.run(&["apply", "--dry-run", "--json"]);
    }
}

#[test]
fn a_secret_is_in_the_file_that_it_is_for_and_nowhere_else() {
    let vault = Vault::new();
    vault.append().ends(0);
    vault.show_all();
    let run = vault.run(&["apply", "-v"]).ends(0);
    assert!(run.stdout.contains("switch to generation 1"), "{run:?}");
    assert!(vault.rendered().contains(SECRET));
    let made = vault.0.path("run/dynix/vault/current/vault.json").metadata().unwrap();
    assert_eq!(made.mode() & 0o7777, 0o400);
    vault.show_all();
    // What is shown says where it is.
    assert!(vault.run(&["get", PATH]).ends(0).stdout.contains("/run/secrets/vault"));
    assert!(vault.run(&["log"]).ends(0).stdout.contains("/run/secrets/vault"));
    assert!(vault.run(&["diff"]).ends(0).stdout.contains("not shown; it differs"));
    // A neighbour can be set as ever, and the secret stays.
    vault.run(&["append", "services.vault.settings.db.user", "v", "--apply", "-v"]).ends(0);
    assert!(vault.rendered().contains(SECRET) && vault.rendered().contains("\"v\""));
    vault.show_all();
    vault.run(&["rollback", "0", "--apply"]).ends(0);
    vault.show_all();
    assert!(!vault.0.path("run/dynix/vault/current").exists());
}

#[test]
fn what_is_in_effect_is_known_without_telling_what_it_is() {
    let vault = Vault::new();
    vault.append().ends(0);
    vault.run(&["apply"]).ends(0);
    assert_eq!(vault.run(&["apply"]).ends(0).stdout, "nothing to do\n");
    // Who guesses the secret can't see from the digest that it is right.
    let digest = dynix::host::digest::sha256(vault.rendered().as_bytes());
    assert!(!vault.0.read("run/dynix/state.json").contains(&digest));
    assert_eq!(vault.0.path("run/dynix/key").metadata().unwrap().mode() & 0o7777, 0o600);
    // Another secret is another file.
    vault.keep("hunter2-and-more");
    assert!(vault.run(&["apply"]).ends(0).stdout.contains("switch to generation 2"));
    assert!(vault.rendered().contains("hunter2-and-more"));
    // Nothing is known any more after this; it is found again.
    std::fs::remove_file(vault.0.path("run/dynix/state.json")).unwrap();
    std::fs::remove_file(vault.0.path("run/dynix/key")).unwrap();
    vault.run(&["apply"]).ends(0);
    assert!(vault.rendered().contains("hunter2-and-more"));
}

#[test]
fn a_secret_itself_is_not_recorded() {
    let vault = Vault::new();
    for arguments in [
        &["append", PATH, SECRET][..],
        &["append", PATH, "--string", SECRET],
        &["append", PATH, "--json", "\"hunter2\""],
        &["append", PATH, "--expr", "\"hunter2\""],
        &["append", "services.vault.settings.db", "{\"password\": \"hunter2\"}"],
        &["append", "services.vault.settings.db", "{\"password\": \"hunter2\"", "--json"],
        &["append", "services.vault.settings.db", "--expr", "{ password = \"hunter2\"; }"],
        &["append", "services.vault.settings", "--replace", "{\"name\": 1, \"db\": {\"password\": [\"hunter2\"]}}"],
    ] {
        let run = vault.run(arguments).ends(3);
        assert!(!vault.0.path("etc/nixos/dynamic.nix").exists(), "{run:?}");
    }
    // What can't be a secret can't be given as one.
    for arguments in [
        &["append", "services.vault.settings.name", "--secret-file", "/run/secrets/vault"][..],
        &["append", PATH, "--secret-file", "run/secrets/vault"],
        &["append", PATH, "--secret-file", "/run/secrets/other"],
    ] {
        vault.run(arguments).ends(3);
    }
    // A reference may be a part of something larger.
    vault
        .run(&[
            "append",
            "services.vault.settings.db",
            "--replace",
            "--json",
            "{\"user\": \"w\", \"password\": {\"_secret\": \"/run/secrets/vault\"}}",
            "--apply",
        ])
        .ends(0);
    assert!(vault.rendered().contains(SECRET));
    vault.show_all();
}

#[test]
fn a_secret_that_somebody_wrote_into_the_log_does_not_hold_and_is_not_repeated() {
    let vault = Vault::new();
    vault.run(&["append", "services.vault.settings.name", "y"]).ends(0);
    let log = vault.0.path("etc/nixos/dynamic.nix");
    let good = std::fs::read_to_string(&log).unwrap();
    for record in [
        "{ set.services.vault.settings.db.password = \"hunter2\"; }",
        "{ replace = { path = [ \"services\" \"vault\" \"settings\" \"db\" ]; value = { password = [ \"hunter2\" ]; }; }; }",
        "{ set.services.vault.settings.db.password._secret = \"hunter2\"; }",
        "{ set.services.vault.settings.db = { password = { _secret = \"/run/secrets/vault\"; other = \"hunter2\"; }; }; }",
    ] {
        std::fs::write(&log, format!("{good}{record}\n")).unwrap();
        // The log itself has it now; what others are told has not.
        let shown = |arguments: &[&str]| {
            let run = vault.0.run(arguments);
            assert!(!format!("{run:?}").contains(SECRET), "{arguments:?}: {run:?}");
            run
        };
        for arguments in
            [&["log"][..], &["log", "--json"], &["status"], &["status", "--json"], &["get", PATH], &["diff"]]
        {
            shown(arguments);
        }
        let run = shown(&["apply", "-v"]).ends(3);
        assert!(run.stderr.contains("record 2 does not hold"), "{run:?}");
        assert!(!vault.rendered().contains(SECRET) && vault.rendered().contains("\"y\""), "{record}");
        std::fs::remove_dir_all(vault.0.path("run/dynix")).unwrap();
    }
}

#[test]
fn what_refuses_a_secret_does_not_say_it() {
    let vault = Vault::new();
    // The check says all that it sees.
    vault.keep("hunter2 refuse-me");
    vault.append().ends(0);
    let run = vault.run(&["apply", "-v"]).ends(3);
    assert!(run.stderr.contains("not shown, because the service has secrets"), "{run:?}");
    assert!(vault.run(&["log"]).ends(0).stdout.contains("rejected"), "a rejection is recorded");
    vault.show_all();
    // Its type.
    vault.keep(&"hunter2".repeat(10));
    vault.append().ends(3);
    vault.run(&["append", "services.vault.settings.name", "z"]).ends(0);
    // What holds no secret is refused as ever, without what stands beside it.
    vault.keep(SECRET);
    vault.append().ends(0);
    vault.run(&["append", "services.vault.settings.db.user", "--json", "7"]).ends(3);
    vault.run(&["append", "services.vault.settings.db", "--replace", "7"]).ends(3);
}

#[test]
fn a_secret_that_everybody_can_read_is_refused() {
    let vault = Vault::new();
    vault.append().ends(0);
    vault.run(&["append", "services.vault.settings.name", "y"]).ends(0);
    let file = vault.0.path("run/secrets/vault");
    let refused = |words: &str| {
        let run = vault.0.run(&["apply"]).ends(1);
        assert!(run.stderr.contains(words) && run.stderr.contains("/run/secrets/vault"), "{run:?}");
        // Nothing of the service is changed, and nothing is recorded of it.
        assert!(!vault.0.path("run/dynix/vault/current").exists());
        assert!(!vault.0.read("etc/nixos/dynamic.nix").contains("reject"));
        let status = vault.0.run(&["status", "--json"]).ends(0).json();
        assert_eq!(status["awaited"]["vault"][0]["file"]["path"], "/run/secrets/vault");
        assert!(vault.0.run(&["status"]).stdout.contains(words));
        assert_eq!(vault.0.run(&["diff", "--pending"]).ends(0).stdout, "");
    };
    for mode in [0o404, 0o444, 0o644] {
        std::fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        refused("chmod o-rwx");
    }
    std::fs::set_permissions(&file, Permissions::from_mode(0o400)).unwrap();
    std::fs::write(&file, b"\xff\xfe").unwrap();
    refused("no text");
    std::fs::write(&file, vec![b'a'; (64 << 10) + 1]).unwrap();
    refused("at most 65536");
    for text in ["", "\n"] {
        std::fs::write(&file, text).unwrap();
        refused("it is empty");
    }
    // Its type: at most 40 characters.
    std::fs::write(&file, "s".repeat(41)).unwrap();
    refused("what it says is not possible");
    std::fs::remove_file(&file).unwrap();
    refused("it is not there");
    // As sops-nix has it: /run/secrets is a link to the newest generation.
    std::fs::rename(vault.0.path("run/secrets"), vault.0.path("run/secrets.d")).unwrap();
    std::os::unix::fs::symlink("/run/secrets.d", vault.0.path("run/secrets")).unwrap();
    std::fs::write(vault.0.path("run/secrets.d/vault"), SECRET).unwrap();
    std::fs::set_permissions(vault.0.path("run/secrets.d/vault"), Permissions::from_mode(0o440)).unwrap();
    vault.run(&["apply"]).ends(0);
    assert!(vault.rendered().contains(SECRET) && vault.rendered().contains("\"y\""));
}

/// What replaced a secret is not forgotten because its file is missing.
#[test]
fn a_secret_that_was_replaced_does_not_come_back() {
    let vault = Vault::new();
    let newer = vault.0.path("run/secrets/newer");
    let keep = |text: &str| {
        std::fs::write(&newer, text).unwrap();
        std::fs::set_permissions(&newer, Permissions::from_mode(0o400)).unwrap();
    };
    keep("battery-staple");
    vault.append().ends(0);
    vault.run(&["apply"]).ends(0);
    assert!(vault.rendered().contains(SECRET));
    vault.run(&["append", PATH, "--secret-file", "/run/secrets/newer", "--apply"]).ends(0);
    let with_newer = vault.rendered();
    assert!(with_newer.contains("battery-staple"));
    for problem in ["gone", "empty", "too long"] {
        match problem {
            "gone" => std::fs::remove_file(&newer).unwrap(),
            "empty" => keep(""),
            _ => std::fs::write(&newer, "s".repeat(41)).unwrap(),
        }
        let neighbour = ["append", "services.vault.settings.name", "z", "--apply"];
        for arguments in [&["apply"][..], &["apply", "vault"], &neighbour] {
            let run = vault.run(arguments);
            // What can't be rendered without the secret is not recorded.
            assert!(run.code == 1 || run.code == 3 && arguments[0] == "append", "{run:?}");
            assert!(run.stderr.contains("the secret in /run/secrets/newer can't be used"), "{run:?}");
            assert_eq!(vault.rendered(), with_newer, "{problem}: the service keeps what it has");
        }
    }
    // Nor after a reboot, when nothing is in effect.
    std::fs::remove_dir_all(vault.0.path("run/dynix")).unwrap();
    vault.run(&["apply"]).ends(1);
    assert!(!vault.0.path("run/dynix/vault/current").exists());
    // Going back is possible, and the secret is as good as ever when it is there.
    keep("battery-staple");
    vault.run(&["apply"]).ends(0);
    assert!(vault.rendered().contains("battery-staple"));
    std::fs::remove_file(&newer).unwrap();
    vault.run(&["reset"]).ends(0);
    assert!(!vault.0.path("run/dynix/vault/current").exists());
}

#[test]
fn nothing_that_everybody_can_read_is_made_from_a_secret() {
    let refuses = |change: &dyn Fn(&mut Value), words: &str| {
        let mut description = description();
        change(&mut description["services"]["vault"]);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("description.json");
        std::fs::write(&path, description.to_string()).unwrap();
        let run = super::support::finish(
            super::support::dynix()
                .args(["generate", "--description"])
                .arg(path)
                .arg("--out")
                .arg(directory.path().join("out")),
        )
        .ends(1);
        assert!(run.stderr.contains(words), "{words:?} is not in {}", run.stderr);
    };
    refuses(&|vault| vault["files"]["vault.json"]["mode"] = "0444".into(), "everybody can read it");
    refuses(
        &|vault| drop(vault["files"]["vault.json"].as_object_mut().unwrap().remove("mode")),
        "everybody can read it",
    );
    refuses(
        &|vault| {
            vault["files"]["vault.json"]["mode"] = "0404".into();
            vault["files"]["vault.json"]["value"] = json!({"attrs": {"a": {"select": {
                "from": {"option": "services.vault.settings"}, "path": ["db"]}}}});
        },
        "everybody can read it",
    );
    refuses(
        &|vault| {
            vault["dropIns"] = json!({"vault.service": "[Service]\nA={{ services.vault.settings.db.password }}\n"});
        },
        "everybody can read drop-ins",
    );
    refuses(
        &|vault| {
            vault["dropIns"] =
                json!({"vault.service": "[Service]\n{% if services.vault.settings.db %}A=b{% endif %}\n"});
        },
        "everybody can read drop-ins",
    );
    refuses(
        &|vault| {
            vault["files"]["vault.json"]["format"] = json!({"name": "flags"});
            vault["files"]["vault.json"]["attach"] = json!({"environment": {"variable": "V", "command": ["/bin/x"]}});
        },
        "the words of a command line",
    );
    refuses(
        &|vault| vault["options"]["services.vault.settings"]["static"]["db"]["password"] = "built".into(),
        "everybody can read in the Nix store",
    );
    refuses(&|vault| vault["options"]["services.vault.settings"]["secret"] = json!([["db", "x"]]), "has no");
    // A file that it does not go into may be for everybody.
    let mut description = description();
    let vault = &mut description["services"]["vault"];
    vault["files"]["vault.json"]["mode"] = "0444".into();
    vault["files"]["vault.json"]["value"] = json!({"attrs": {
        "name": {"select": {"from": {"option": "services.vault.settings"}, "path": ["name"]}},
        "db": {"literal": {"user": "u", "password": null}}}});
    generate(&description);
}

#[test]
fn a_secret_that_changed_in_its_file_is_not_so_already() {
    let vault = Vault::new();
    let set = || {
        let words = ["set", PATH, "--secret-file", "/run/secrets/vault", "--apply", "--if-different", "--json"];
        !vault.run(&words).ends(0).json()["records"].as_array().unwrap().is_empty()
    };
    assert_eq!([set(), set()], [true, false]);
    vault.keep("another word");
    assert_eq!([set(), set()], [true, false]);
}
