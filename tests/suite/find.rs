//! What `generate` finds by itself: a service's description with the texts of its units and no file.

use std::fs;
use std::os::unix::fs::symlink;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Value, json};

use crate::bundled::{generate_text, text};

/// A store below a temporary directory.
struct Store {
    _keep: tempfile::TempDir,
    root: Utf8PathBuf,
}

impl Store {
    fn new() -> Self {
        let keep = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::try_from(keep.path().to_owned()).unwrap();
        fs::create_dir_all(root.join("nix/store")).unwrap();
        Self { _keep: keep, root }
    }

    /// Writes a store file; `name` may have directories. Gives its path.
    fn file(&self, name: &str, text: &str) -> String {
        let path = path(name);
        let here = self.root.join(&path[1..]);
        fs::create_dir_all(here.parent().unwrap()).unwrap();
        fs::write(here, text).unwrap();
        path
    }

    fn link(&self, name: &str, target: &str) -> String {
        let path = path(name);
        symlink(target, self.root.join(&path[1..])).unwrap();
        path
    }

    /// The plan and the stubs, or why not.
    fn generate(&self, service: &Value) -> Result<(Value, String), String> {
        let description = json!({ "version": 1, "services": { "x": service } });
        let tree = generate_text(&description.to_string(), &self.root)?;
        let plan: Value = serde_json::from_str(&text(&tree, "plan.json")).unwrap();
        let stubs = tree.files().filter(|(path, ..)| path.as_str().ends_with("10-dynix.conf"));
        let stubs: Vec<&str> = stubs.map(|(_, text, _)| text).collect();
        Ok((plan["services"]["x"].clone(), stubs.join("\n")))
    }
}

/// A store path; the hash says nothing.
fn path(name: &str) -> String {
    format!("/nix/store/0123456789abcdfghijklmnpqrsvwxyz-{name}")
}

fn settings() -> Value {
    json!({ "log": { "level": "info", "unused": null }, "port": 8080 })
}

const TOML: &str = "port = 8080\n\n[log]\nlevel = \"info\"\n";

/// A service with units, by their texts.
fn service(value: &Value, kind: &str, units: &[(&str, String)]) -> Value {
    let units: serde_json::Map<String, Value> =
        units.iter().map(|(name, text)| ((*name).to_owned(), text.clone().into())).collect();
    json!({
        "options": { "services.x.settings": { "static": value, "schema": {} } },
        "files": {},
        "units": {},
        "find": { "store": "/nix/store", "type": kind, "units": units },
    })
}

fn unit(lines: &str) -> String {
    format!("[Unit]\nDescription=X\n\n[Service]\n{lines}\n")
}

/// The one file of the plan, by name.
fn only(plan: &Value) -> (&str, &Value) {
    let files = plan["files"].as_object().unwrap();
    assert_eq!(files.len(), 1, "{files:?}");
    let (name, file) = files.iter().next().unwrap();
    (name, file)
}

#[test]
fn a_path_in_a_unit_is_found_wherever_it_stands() {
    let store = Store::new();
    let config = store.file("x.toml", TOML);
    let script =
        store.file("unit-script-x-start/bin/x-start", &format!("#!/bin/sh\nexec /bin/x \\\n --config '{config}'\n"));
    let wrapper =
        store.file("x-wrapped/bin/x", &format!("#! /bin/bash -e\nexport X_CONFIG='{config}'\nexec -a \"$0\" /bin/x\n"));
    let link = store.link("validated.toml", &config);
    for (line, how) in [
        (format!("ExecStart=/bin/x --config {config}"), "ExecStart of x.service".to_owned()),
        (format!("ExecStart=/bin/x --config={config} --verbose"), "ExecStart of x.service".to_owned()),
        (format!("Environment=\"X_CONFIG={config}\""), "Environment of x.service".to_owned()),
        (format!("ExecStart={script}"), format!("ExecStart of x.service, through {script}")),
        (format!("ExecStart={wrapper} run"), format!("ExecStart of x.service, through {wrapper}")),
        (format!("ExecStartPre={script}\nExecStart=/bin/x"), format!("ExecStartPre of x.service, through {script}")),
        (format!("ExecStart=/bin/x -c {link}"), "ExecStart of x.service".to_owned()),
    ] {
        let (plan, stubs) = store.generate(&service(&settings(), "TOML value", &[("x.service", unit(&line))])).unwrap();
        let (name, file) = only(&plan);
        assert_eq!(name, "x.toml", "{line}");
        assert_eq!(file["format"]["name"], "toml", "{line}");
        assert_eq!(file["proof"]["level"], "bytes", "{line}");
        assert_eq!(file["attach"]["bind"], config, "{line}");
        assert_eq!(file["found"], how, "{line}");
        assert_eq!(plan["units"]["x.service"]["onChange"], "restart", "{line}");
        assert!(stubs.contains(&format!("BindReadOnlyPaths=-/run/dynix/x/current/x.toml:{config}\n")), "{stubs}");
        // What the module left out stays out; that it would be left out of a list too, nothing shows.
        assert_eq!(file["proof"]["undecided"], json!(["prune"]), "{line}");
        assert_eq!(file["value"]["prune"]["drop"], json!(["null"]), "{line}");
        assert!(plan.get("find").is_none());
    }
}

#[test]
fn a_file_under_etc_is_bound_over_its_source() {
    let store = Store::new();
    let config = store.file("x.toml", TOML);
    let mut named = service(&settings(), "TOML value", &[("x.service", unit("ExecStart=/bin/x -c /etc/x/x.toml"))]);
    named["find"]["etc"] = json!({ "x/x.toml": { "target": "x/x.toml", "source": config, "mode": "symlink" } });
    let (plan, _) = store.generate(&named).unwrap();
    assert_eq!(only(&plan).1["attach"]["bind"], config);

    let mut copied = named.clone();
    copied["find"]["etc"]["x/x.toml"]["mode"] = "0444".into();
    let (plan, _) = store.generate(&copied).unwrap();
    assert_eq!(only(&plan).1["attach"]["bind"], "/etc/x/x.toml");

    // For a unit that starts sessions, the link is swapped.
    let mut sessions = named.clone();
    sessions["find"]["units"] = json!({ "sshd.service": unit("ExecStart=/bin/x -c /etc/x/x.toml") });
    let (plan, stubs) = store.generate(&sessions).unwrap();
    assert_eq!((&only(&plan).1["attach"], stubs.as_str()), (&json!({ "etc": "/etc/x/x.toml" }), ""));

    // A program that knows the place by itself.
    let lone = unit("ExecStart=/bin/x");
    let mut unnamed = named.clone();
    unnamed["find"]["units"] = json!({ "x.service": lone, "setup.service": unit("Type=oneshot\nExecStart=/bin/y") });
    let (plan, stubs) = store.generate(&unnamed).unwrap();
    assert_eq!(plan["units"].as_object().unwrap().keys().collect::<Vec<_>>(), ["x.service"]);
    assert!(stubs.contains("/run/dynix/x/current/x.toml"), "{stubs}");
    // It is reloaded where its module says so, as any other.
    let mut reloads = unnamed.clone();
    reloads["find"]["units"]["x.service"] =
        unit("X-ReloadIfChanged=true\nExecStart=/bin/x\nExecReload=/bin/kill -HUP $MAINPID").into();
    assert_eq!(store.generate(&reloads).unwrap().0["units"]["x.service"]["onChange"], "reload");
    reloads["find"]["units"]["x.service"] = unit("X-RestartIfChanged=false\nExecStart=/bin/x").into();
    let error = store.generate(&reloads).unwrap_err();
    assert!(error.contains("a change must not restart x.service"), "{error}");
    unnamed["find"]["units"]["y.service"] = lone.into();
    let error = store.generate(&unnamed).unwrap_err();
    assert!(error.contains("several could read it: x.service, y.service"), "{error}");
}

#[test]
fn only_the_units_that_read_it_have_it() {
    let store = Store::new();
    let config = store.file("x.toml", TOML);
    let reads = unit(&format!("ExecStart=/bin/x {config}"));
    let units =
        [("x.service", reads.clone()), ("x-worker.service", reads), ("x-backup.service", unit("ExecStart=/bin/y"))];
    let (plan, _) = store.generate(&service(&settings(), "TOML value", &units)).unwrap();
    assert_eq!(plan["units"].as_object().unwrap().keys().collect::<Vec<_>>(), ["x-worker.service", "x.service"]);
    assert_eq!(only(&plan).1["units"], json!(["x-worker.service", "x.service"]));
}

#[test]
fn a_unit_is_reloaded_where_its_module_says_so() {
    let store = Store::new();
    let config = store.file("x.toml", TOML);
    let list = store.file("X-Reload-Triggers-x", &format!("{config}\n"));
    let with = |lines: &str| format!("[Unit]\nX-Reload-Triggers={list}\n\n[Service]\n{lines}\n");
    let on_change = |text: String| {
        let (plan, _) = store.generate(&service(&settings(), "TOML value", &[("x.service", text)])).unwrap();
        plan["units"]["x.service"]["onChange"].clone()
    };
    assert_eq!(on_change(with(&format!("ExecStart=/bin/x {config}\nExecReload=/bin/kill -HUP $MAINPID"))), "reload");
    assert_eq!(on_change(with(&format!("ExecStart=/bin/x {config}"))), "restart");
    // A copy is made at the start only.
    let copies = format!("ExecStartPre=/bin/cp {config} /run/x\nExecStart=/bin/x\nExecReload=/bin/kill -HUP $MAINPID");
    assert_eq!(on_change(with(&copies)), "restart");
}

#[test]
fn what_a_bound_file_would_not_reach_is_refused() {
    let store = Store::new();
    let config = store.file("x.toml", TOML);
    for (lines, why) in [
        (format!("ExecStartPre=+/bin/cp {config} /run/x\nExecStart=/bin/x"), "has the prefix +"),
        (format!("EnvironmentFile={config}\nExecStart=/bin/x"), "is read by systemd itself"),
        (format!("LoadCredentialEncrypted=x:{config}\nExecStart=/bin/x"), "is read by systemd itself"),
        (format!("BindReadOnlyPaths={config}:/etc/x\nExecStart=/bin/x"), "source of a mount"),
    ] {
        let error = store.generate(&service(&settings(), "TOML value", &[("x.service", unit(&lines))])).unwrap_err();
        assert!(error.contains("can't be bound for x.service") && error.contains(why), "{error}");
    }
    // Beside the command that reads it in the namespace, it does no harm.
    let checked = unit(&format!("ExecStartPre=+/bin/check {config}\nExecStart=/bin/x {config}"));
    store.generate(&service(&settings(), "TOML value", &[("x.service", checked)])).unwrap();
}

#[test]
fn lines_around_the_settings_stay_as_they_are() {
    let store = Store::new();
    let config = store.file("x.ini", "NAME = x\n\n[log]\nlevel=info\n\n# more\n");
    let value = json!({ "log": { "level": "info" } });
    let mut service = service(&value, "", &[("x.service", unit(&format!("ExecStart=/bin/x -c {config}")))]);
    assert!(store.generate(&service).is_err());
    service["find"]["around"] = json!({});
    let (plan, _) = store.generate(&service).unwrap();
    let file = only(&plan).1;
    assert_eq!(file["format"]["name"], "ini");
    assert_eq!(file["around"], json!({ "head": "NAME = x\n\n", "tail": "\n# more\n" }));
}

#[test]
fn a_command_outside_the_namespace_may_pass_the_path_on() {
    let store = Store::new();
    let config = store.file("x.toml", TOML);
    let script = store.file("prepare", &format!("#!/bin/sh\necho 'include \"{config}\"' > /run/x.conf\n"));
    let lines = format!("ExecStartPre=+{script}\nExecStart=/bin/x /run/x.conf");
    let mut service = service(&settings(), "TOML value", &[("x.service", unit(&lines))]);
    assert!(store.generate(&service).unwrap_err().contains("has the prefix +"));
    service["find"]["passedOn"] = true.into();
    let (plan, stubs) = store.generate(&service).unwrap();
    assert_eq!(only(&plan).1["found"], format!("ExecStartPre of x.service, through {script}"));
    assert_eq!(plan["units"]["x.service"]["onChange"], "restart");
    assert!(stubs.contains(&format!(":{config}\n")), "{stubs}");
}

#[test]
fn variables_may_have_the_paths_of_settings_as_names() {
    let store = Store::new();
    let lines = "Environment=\"X__LOG__LEVEL=info\"\nEnvironment=\"X__PORT=8080\"\nExecStart=/bin/x";
    let mut service = service(&settings(), "", &[("x.service", unit(lines))]);
    service["find"]["value"] = json!({ "flatten": {
        "from": { "option": "services.x.settings" }, "prefix": "X__", "separator": "__", "upper": true,
    } });
    let (plan, _) = store.generate(&service).unwrap();
    let built = &only(&plan).1["attach"]["variables"]["built"];
    assert_eq!(*built, json!({ "X__LOG__LEVEL": "info", "X__PORT": "8080" }));
}

#[test]
fn a_unit_that_would_not_see_the_file_is_refused() {
    let store = Store::new();
    let config = store.file("x.toml", TOML);
    let with = |lines: &str| unit(&format!("ExecStart=/bin/x {config}\n{}", lines.replace("FILE", &config)));
    for (lines, why) in [
        ("TemporaryFileSystem=/nix/store:ro\nBindReadOnlyPaths=FILE", "has a bind of its own over"),
        ("BindPaths=/etc/x.toml:FILE", "has a bind of its own over"),
        ("TemporaryFileSystem=/nix/store:ro", "does not see"),
        ("RootDirectory=/run/confinement/x\nPrivateMounts=true", "is confined"),
    ] {
        let error = store.generate(&service(&settings(), "TOML value", &[("x.service", with(lines))])).unwrap_err();
        assert!(error.contains(r#"services.x.units."x.service": x.service"#) && error.contains(why), "{error}");
    }
    let shown = with("TemporaryFileSystem=/nix/store:ro\nBindReadOnlyPaths=/nix/store");
    let (plan, _) = store.generate(&service(&settings(), "TOML value", &[("x.service", shown)])).unwrap();
    assert_eq!(plan["units"]["x.service"].get("text"), None, "the plan has no texts");
}

#[test]
fn what_starts_sessions_or_mounts_keeps_the_namespace_of_the_system_unless_somebody_insists() {
    let store = Store::new();
    let config = store.file("x.toml", TOML);
    let command = format!("ExecStart=/bin/x {config}");
    for (name, lines) in [
        ("greetd.service", command.clone()),
        ("sshd@a.service", command.clone()),
        ("x.service", format!("{command}\nPAMName=login")),
        ("x.service", format!("{command}\nExecStartPre=/bin/mount /srv")),
    ] {
        let mut described = service(&settings(), "TOML value", &[(name, unit(&lines))]);
        let error = store.generate(&described).unwrap_err();
        assert!(error.contains("a bind gives it a mount namespace of its own"), "{error}");
        assert!(error.contains("privateMounts = true"), "{error}");
        described["units"][name] = json!({ "privateMounts": true });
        store.generate(&described).unwrap();
        // One that has such a namespace loses nothing.
        let own = unit(&format!("{lines}\nProtectSystem=full"));
        store.generate(&service(&settings(), "TOML value", &[(name, own)])).unwrap();
    }
    // What is attached otherwise needs none.
    let loads = unit(&format!("LoadCredential=x:{config}\nExecStart=/bin/x\nKeyringMode=shared"));
    store.generate(&service(&settings(), "TOML value", &[("greetd.service", loads)])).unwrap();
}

#[test]
fn what_systemd_would_not_do_to_a_unit_is_refused() {
    let store = Store::new();
    let config = store.file("x.toml", TOML);
    let command = format!("ExecStart=/bin/x {config}");
    let described = |lines: &str, on_change: Option<&str>| {
        let text = format!("[Unit]\n{lines}\n[Service]\n{command}\n");
        let mut described = service(&settings(), "TOML value", &[("x.service", text)]);
        if let Some(on_change) = on_change {
            described["units"]["x.service"] = json!({ "onChange": on_change });
        }
        store.generate(&described).map(|(plan, _)| plan["units"]["x.service"]["onChange"].clone())
    };
    let refused = |lines: &str, on_change, why: &str| {
        let error = described(lines, on_change).unwrap_err();
        assert!(error.contains(why), "{lines}: {error}");
    };
    refused("RefuseManualStart=yes", None, "cannot be restarted by hand (RefuseManualStart=yes)");
    refused("RefuseManualStop=true", Some("restart"), "cannot be restarted by hand (RefuseManualStop=yes)");
    refused("", Some("reload"), "has nothing to reload with");
    // As NixOS says it of logind, greetd and dbus.
    refused("X-RestartIfChanged=false", None, r#"units."x.service".onChange = "restart""#);
    refused("X-RestartIfChanged=false\nExecReload=/bin/y", None, r#""reload", if that reads the file, or "restart""#);
    assert_eq!(described("X-RestartIfChanged=false", Some("restart")), Ok("restart".into()));
    assert_eq!(described("RefuseManualStop=yes\nExecReload=/bin/y", Some("reload")), Ok("reload".into()));
    assert_eq!(described("Type=notify-reload", Some("reload")), Ok("reload".into()));
    assert_eq!(described("X-RestartIfChanged=true", None), Ok("restart".into()));
}

#[test]
fn a_file_that_says_something_else_is_shown_with_what_to_write() {
    let store = Store::new();
    let config = store.file("x.toml", "port = 8081\n\n[log]\nlevel = \"info\"\n");
    let error = store
        .generate(&service(&settings(), "TOML value", &[("x.service", unit(&format!("ExecStart=/bin/x {config}")))]))
        .unwrap_err();
    insta::assert_snapshot!(error);
}

#[test]
fn one_text_in_two_formats_needs_a_word() {
    let store = Store::new();
    let config = store.file("x.conf", "a = 1\nb = 2\n");
    let text = unit(&format!("ExecStart=/bin/x {config}"));
    let value = json!({ "a": 1, "b": 2 });
    let error =
        store.generate(&service(&value, "attribute set of anything", &[("x.service", text.clone())])).unwrap_err();
    assert!(error.contains("is the same in several formats"), "{error}");
    for kind in ["TOML value", "attribute set of (atom (null, bool, int, float or string))"] {
        store.generate(&service(&value, kind, &[("x.service", text.clone())])).unwrap();
    }
}

#[test]
fn a_script_with_the_value_in_it_is_named() {
    let store = Store::new();
    let script = store.file("start", &format!("#!/bin/sh\necho '{}' > /run/x.json\n", settings()));
    let error = store
        .generate(&service(&settings(), "JSON value", &[("x.service", unit(&format!("ExecStartPre={script}")))]))
        .unwrap_err();
    assert!(error.contains("is a script that has the value in it as JSON"), "{error}");
}

#[test]
fn links_that_lead_nowhere_end() {
    let store = Store::new();
    let turn = store.link("turn", &path("turn"));
    let out = store.link("out", "/etc/shadow");
    let missing = path("missing.toml");
    let text = unit(&format!("ExecStart=/bin/x {turn} {out} {missing}"));
    let error = store.generate(&service(&settings(), "TOML value", &[("x.service", text)])).unwrap_err();
    assert!(error.contains(&format!("{missing}, which is not there")), "{error}");
    assert!(!Utf8Path::new("/nonexistent").exists() && !error.contains("shadow,"), "{error}");
}

#[test]
fn settings_that_are_variables_come_on_top_of_the_units_own() {
    let store = Store::new();
    let value = json!({ "X_PORT": 8080, "X_DEBUG": true, "X_QUIET": false, "X_NAME": "a \"b\"", "X_NONE": null });
    let unit_of = |yes: &str, no: &str| {
        unit(&format!(
            "Environment=\"PATH=/bin\"\nEnvironment=\"X_DEBUG={yes}\"\nEnvironment=\"X_NAME=a \\\"b\\\"\"\n\
             Environment=\"X_PORT=8080\"\nEnvironment=\"X_QUIET={no}\"\nExecStart=/bin/x"
        ))
    };
    for (yes, no, booleans) in [("true", "false", Value::Null), ("1", "", "1/".into()), ("yes", "no", "yes/no".into())]
    {
        let units = [("x.service", unit_of(yes, no)), ("other.service", unit("ExecStart=/bin/y"))];
        let (plan, stubs) = store.generate(&service(&value, "attribute set of anything", &units)).unwrap();
        let (name, file) = only(&plan);
        assert_eq!((name, &file["units"]), ("environment", &json!(["x.service"])));
        assert_eq!(file["format"]["parameters"]["booleans"], booleans);
        assert_eq!(file["attach"]["variables"]["built"]["X_QUIET"], no);
        assert_eq!(file["attach"]["variables"]["built"].as_object().unwrap().len(), 4);
        assert!(stubs.contains("\nEnvironmentFile=-/run/dynix/x/current/environment\n"), "{stubs}");
    }
    // A file of variables is systemd's to read; on top of it, the same.
    let file = store.file("x.env", "X_PORT=8080\nX_NAME=\"a b\"\n");
    let value = json!({ "X_PORT": 8080, "X_NAME": "a b" });
    let units = [("x.service", unit(&format!("EnvironmentFile={file}\nExecStart=/bin/x")))];
    let (plan, _) = store.generate(&service(&value, "attribute set of anything", &units)).unwrap();
    assert_eq!(only(&plan).1["attach"]["variables"]["built"]["X_NAME"], "a b");

    // A file that may have secrets in it stays on top, as it is for a rebuild.
    for (lines, stub) in [
        (
            format!("EnvironmentFile=-{file}\nEnvironmentFile=/run/keys/%%n"),
            format!("EnvironmentFile=-{file}\nEnvironmentFile=-DYNIX\nEnvironmentFile=/run/keys/%%n\n"),
        ),
        (
            "Environment=X_PORT=8080\nEnvironment=\"X_NAME=a b\"\nEnvironmentFile=/run/keys/x".to_owned(),
            "EnvironmentFile=-DYNIX\nEnvironmentFile=/run/keys/x\n".to_owned(),
        ),
    ] {
        let units = [("x.service", unit(&format!("{lines}\nExecStart=/bin/x")))];
        let (_, stubs) = store.generate(&service(&value, "attribute set of anything", &units)).unwrap();
        let stub = stub.replace("DYNIX", "/run/dynix/x/current/environment");
        assert!(stubs.contains(&format!("[Service]\nEnvironmentFile=\n{stub}")), "{stubs}");
    }
    let units =
        [("x.service", unit(&format!("EnvironmentFile={file}\nEnvironmentFile=/run/keys/%n\nExecStart=/bin/x")))];
    store.generate(&service(&value, "attribute set of anything", &units)).unwrap_err();
    // One outside of the store is not even looked for: the name of this one is longer than any file's.
    fs::create_dir_all(store.root.join("run/keys")).unwrap();
    let lines = format!("EnvironmentFile={file}\nEnvironmentFile=/run/keys/{}", "x".repeat(300));
    let units = [("x.service", unit(&format!("{lines}\nExecStart=/bin/x")))];
    store.generate(&service(&value, "attribute set of anything", &units)).unwrap();
    // What another file of the store puts in its place is not what the unit has.
    let other = store.file("y.env", "X_PORT=1\n");
    let units = [("x.service", unit(&format!("EnvironmentFile={file}\nEnvironmentFile={other}\nExecStart=/bin/x")))];
    store.generate(&service(&value, "attribute set of anything", &units)).unwrap_err();

    // What the unit sets can't be taken away from outside.
    let plan: dynix::plan::Service = serde_json::from_value(plan).unwrap();
    let render = |value: Value| {
        let values = [("services.x.settings".to_owned(), value)].into();
        dynix::render::render("x", &plan, &values).map(|rendered| rendered.files["environment"].clone())
    };
    let text = render(json!({ "X_PORT": 80, "X_NAME": "$a", "X_MORE": "true" })).unwrap();
    assert_eq!(String::from_utf8(text).unwrap(), "X_MORE=\"true\"\nX_NAME=\"\\$a\"\nX_PORT=\"80\"\n");
    let error = render(json!({ "X_PORT": 80, "X_NAME": null })).unwrap_err().to_string();
    assert!(error.contains("the unit itself sets X_NAME"), "{error}");
}

/// What NixOS evaluates for two services of which nothing is said (tests/nix/run --write).
#[test]
fn the_files_of_real_units_are_found() {
    let text = fs::read_to_string(Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/find.json")).unwrap();
    let tree = generate_text(&text, &crate::bundled::root()).unwrap();
    let plan: Value = serde_json::from_str(&crate::bundled::text(&tree, "plan.json")).unwrap();
    let said = crate::bundled::description();
    for (service, file, how) in [
        ("gotosocial", "config.yml", "ExecStart of gotosocial.service"),
        ("harmonia", "harmonia.toml", "Environment of harmonia.service"),
    ] {
        let found = &plan["services"][service]["files"][file];
        assert_eq!(found["attach"], said["services"][service]["files"][file]["attach"]);
        assert_eq!(found["format"]["name"], said["services"][service]["files"][file]["format"]["name"]);
        assert_eq!((&found["found"], &found["proof"]["level"]), (&how.into(), &"bytes".into()));
    }
}

#[test]
fn a_credential_is_loaded_from_the_dynamic_file_and_is_the_static_text_without_it() {
    let store = Store::new();
    let config = store.file("x.toml", TOML);
    let loads = unit(&format!("LoadCredential=other:/run/keys/x\nLoadCredential=x.conf:{config}\nExecStart=/bin/x"));
    let mut reloading = loads.clone();
    reloading.push_str("ExecReload=/bin/x\nX-ReloadIfChanged=true\n");
    for text in [loads.clone(), reloading] {
        let (plan, stubs) = store.generate(&service(&settings(), "TOML value", &[("x.service", text)])).unwrap();
        assert_eq!(only(&plan).1["attach"], json!({ "credential": "x.conf" }));
        assert_eq!(plan["units"]["x.service"]["onChange"], "restart");
        let said = "\nLoadCredential=x.conf:/run/dynix/x/current/x.toml\n\
                    SetCredential=x.conf:port = 8080\\n\\n[log]\\nlevel = \"info\"\\n\n";
        assert!(stubs.contains(said), "{stubs}");
    }
    // One file can't be bound for one unit and loaded for another.
    let units = [("x.service", loads), ("y.service", unit(&format!("ExecStart=/bin/y {config}")))];
    let error = store.generate(&service(&settings(), "TOML value", &units)).unwrap_err();
    assert!(error.contains("is read in several ways"), "{error}");
    // Nor is one of a directory what systemd loads.
    let place = config.rsplit_once('/').unwrap().0;
    let text = unit(&format!("LoadCredential=x:{place}\nExecStart=/bin/x"));
    store.generate(&service(&settings(), "TOML value", &[("x.service", text)])).unwrap_err();
}

#[test]
fn a_file_can_be_made_of_several_options_and_of_constants() {
    let store = Store::new();
    let config = store.file("x.json", "{\n  \"global\": {\n    \"ttl\": 5\n  },\n  \"names\": [\n    \"a\"\n  ]\n}\n");
    let mut service = service(&json!(5), "integer", &[("x.service", unit(&format!("ExecStart=/bin/x {config}")))]);
    service["options"] = json!({
        "services.x.settings.ttl": { "static": 5, "schema": {} },
        "services.x.names": { "static": ["a"], "schema": {} },
    });
    // Each by itself is no file.
    let error = store.generate(&service).unwrap_err();
    assert!(error.contains("no file was found that services.x.names becomes"), "{error}");
    let option = |name: &str| json!({ "option": format!("services.x.{name}") });
    service["find"]["value"] = json!({ "attrs": {
        "global": { "attrs": { "ttl": option("settings.ttl") } },
        "names": option("names"),
    } });
    let (plan, _) = store.generate(&service).unwrap();
    let (name, file) = only(&plan);
    assert_eq!((name, &file["value"]), ("x.json", &service["find"]["value"]));
    service["find"]["value"]["attrs"]["names"] = option("name");
    let error = store.generate(&service).unwrap_err();
    assert!(error.contains("find.value: at attrs.names: the option services.x.name is not one of"), "{error}");
}

/// `lib.cli.toCommandLineShellGNU { } flags()`
const FLAGS: &str = "'--endpoint=https://a.example' --id x -p8080 '--tag=a b' --tag=c --verbose";

fn flags() -> Value {
    json!({
        "endpoint": "https://a.example", "id": "x", "none": null, "p": 8080, "quiet": false, "tag": ["a b", "c"],
        "verbose": true,
    })
}

#[test]
fn settings_that_are_flags_are_found_in_the_command() {
    let store = Store::new();
    let gnu = FLAGS.replace("--id x", "--id=x");
    let words = "--endpoint https://a.example --id x -p 8080 --tag 'a b' --tag c --verbose".to_owned();
    let go = gnu.replace("--", "-").replace("-p8080", "-p=8080");
    let told = "--endpoint=https://a.example --id=x -p=8080 --quiet=off '--tag=a b,c' --verbose=on".to_owned();
    for (given, parameters) in [
        (&gnu, json!({ "separator": "gnu" })),
        (&words, json!({})),
        (&go, json!({ "dashes": "-", "separator": "=" })),
        (&told, json!({ "separator": "=", "booleans": "on/off", "join": "," })),
    ] {
        let text = unit(&format!("ExecStart=/bin/x run --now {given} -- last"));
        let (plan, stubs) = store.generate(&service(&flags(), "CLI value", &[("x.service", text)])).unwrap();
        let (name, file) = only(&plan);
        assert_eq!(name, "flags");
        let mut found = file["format"]["parameters"].clone();
        found.as_object_mut().unwrap().remove("variable");
        assert_eq!(found, parameters, "{given}");
        assert_eq!(file["found"], "flags in ExecStart of x.service", "{given}");
        assert_eq!(
            file["value"],
            json!({ "list": [
            { "attrs": { "flags": { "option": "services.x.settings" } } }, { "literal": "--" }, { "literal": "last" },
        ] })
        );
        assert_eq!(file["attach"]["environment"]["command"], json!(["/bin/x", "run", "--now"]));
        assert_eq!(file["proof"]["level"], "bytes");
        assert_eq!(file["proof"].get("undecided"), None, "{given}");
        assert!(stubs.contains("ExecStart=\nExecStart=/bin/x run --now $DYNIX_FLAGS\n"), "{stubs}");
    }
    // Words that several conventions write.
    let units = [("x.service", unit("ExecStart=/bin/x --id=x"))];
    let (plan, _) = store.generate(&service(&json!({ "id": "x" }), "CLI value", &units)).unwrap();
    let undecided = &only(&plan).1["proof"]["undecided"];
    assert_eq!(undecided, &json!(["separator", "dashes", "booleans", "join"]));
}

#[test]
fn flags_are_found_in_a_start_script_and_beside_the_modules_own() {
    let store = Store::new();
    let gnu = FLAGS.replace("--id x", "--host=h --id=x").replace("--verbose", "--trace --verbose");
    let text = format!("#!/nix/store/x-bash/bin/bash\nset -e\n\nexport A='b'\nexec /bin/x {gnu}\n");
    let script = store.file("unit-script-x-start/bin/x-start", &text);
    let units = [("x.service", unit(&format!("ExecStart={script} ")))];
    let (plan, stubs) = store.generate(&service(&flags(), "CLI value", &units)).unwrap();
    let file = only(&plan).1;
    assert_eq!(file["found"], format!("flags in ExecStart of x.service, through {script}"));
    // They stay, whatever the settings come to be.
    assert_eq!(
        file["value"]["list"][0]["attrs"]["flags"]["merge"],
        json!([
            { "option": "services.x.settings" }, { "literal": { "host": "h", "trace": true } },
        ])
    );
    assert!(stubs.contains("Environment=A=b\n"), "{stubs}");
    // What the settings have themselves, and what stands in no order, is none of it.
    for (from, to) in [("--host=h", "--quiet=h"), ("--host=h", "--zone=h"), ("--host=h", "positional")] {
        let other = store.file("other-start", &text.replace(from, to));
        let units = [("x.service", unit(&format!("ExecStart={other}")))];
        let error = store.generate(&service(&flags(), "CLI value", &units)).unwrap_err();
        assert!(error.contains("no file was found that services.x.settings becomes"), "{error}");
        fs::remove_file(store.root.join(&other[1..])).unwrap();
    }
}

#[test]
fn a_command_that_systemd_acts_on_has_no_flags() {
    let store = Store::new();
    let gnu = FLAGS.replace("--id x", "--id=x");
    for lines in [
        format!("ExecStart=+/bin/x {gnu}"),
        format!("ExecStart=/bin/x {gnu} $MORE"),
        format!("ExecStart=/bin/x {gnu} --name=%n"),
        format!("ExecStart=/bin/x {gnu}\nExecStart=/bin/y"),
        // Whose are they?
        format!("ExecStart=/bin/x {gnu} -- {gnu}"),
        "ExecStart=/bin/x".to_owned(),
    ] {
        let error = store.generate(&service(&flags(), "CLI value", &[("x.service", unit(&lines))])).unwrap_err();
        assert!(error.contains("no file was found that services.x.settings becomes"), "{lines}: {error}");
    }
    // Nothing says where they would stand.
    let units = [("x.service", unit("ExecStart=/bin/x"))];
    store.generate(&service(&json!({ "quiet": false }), "CLI value", &units)).unwrap_err();
}

#[test]
fn a_template_is_left_out() {
    let store = Store::new();
    let config = store.file("x.toml", TOML);
    let reads = unit(&format!("ExecStart=/bin/x {config}"));
    let units = [("x.service", reads.clone()), ("x@.service", reads.clone())];
    let (plan, _) = store.generate(&service(&settings(), "TOML value", &units)).unwrap();
    assert_eq!(plan["units"].as_object().unwrap().keys().collect::<Vec<_>>(), ["x.service"]);
    let error = store.generate(&service(&settings(), "TOML value", &[("x@.service", reads)])).unwrap_err();
    assert!(error.contains("read by x@.service only"), "{error}");
}

#[test]
fn what_only_the_build_knows_stays_as_the_file_has_it() {
    let store = Store::new();
    let rules = path("rules-checked");
    let text = |rules: &Value| {
        let value = json!({ "global": { "interval": "30s" }, "rule_files": rules });
        format!("{}\n", serde_json::to_string_pretty(&value).unwrap())
    };
    let found = |rules: &Value| {
        let config = store.file("x.json", &text(rules));
        let units = [("x.service", unit(&format!("ExecStart=/bin/x {config}")))];
        let mut service = service(&json!({ "interval": "30s" }), "JSON value", &units);
        let value = json!({ "attrs": {
            "global": { "option": "services.x.settings" },
            "rule_files": { "built": ["rule_files"] },
        } });
        service["find"]["value"] = value.clone();
        let (plan, _) = store.generate(&service).unwrap();
        // A file that the description names has it as well.
        service["find"] = Value::Null;
        service["files"] = json!({ "x.json": {
            "format": { "name": "json" }, "value": value, "static": config, "attach": { "bind": config },
        } });
        service["units"] = json!({ "x.service": {} });
        let (named, _) = store.generate(&service).unwrap();
        assert_eq!(only(&named).1["value"], only(&plan).1["value"]);
        only(&plan).1["value"]["attrs"]["rule_files"].clone()
    };
    assert_eq!(found(&json!([rules])), json!({ "literal": [rules] }));
    assert_eq!(found(&json!([])), json!({ "literal": [] }));
}

#[test]
fn a_file_that_is_no_data_has_nothing_to_keep() {
    let store = Store::new();
    let config = store.file("x.conf", "a = {\n");
    let mut service = service(&json!({ "a": 1 }), "", &[]);
    service["find"] = Value::Null;
    service["files"] = json!({ "x.conf": {
        "format": { "name": "keyValue" },
        "value": { "merge": [{ "option": "services.x.settings" }, { "built": ["b"] }] },
        "static": config, "attach": { "bind": config },
    } });
    service["units"] = json!({ "x.service": {} });
    let error = store.generate(&service).unwrap_err();
    assert!(error.contains("built is for a file"), "{error}");
}

/// A service whose words and variables the description says by itself, with the unit's text.
fn said(text: &str) -> Value {
    let option = json!({ "option": "services.x.settings" });
    json!({
        "options": { "services.x.settings": { "static": { "A": "b c" }, "schema": {} } },
        "files": {
            "flags": {
                "format": { "name": "flags" },
                "value": { "list": [{ "attrs": {
                    "flag": { "literal": "--a=" }, "separator": { "literal": "" }, "split": { "literal": "systemd" },
                    "quote": { "literal": "shell" },
                    "value": { "select": { "from": option, "path": ["A"] } },
                } }] },
                "static": "/etc/systemd/system/x.service",
                "attach": { "environment": { "variable": "X", "command": ["/bin/x"], "built": "/bin/x  '--a=b c' " } },
            },
            "environment": {
                "format": { "name": "environment" }, "value": option, "static": "/etc/systemd/system/x.service",
                "attach": { "variables": { "built": { "A": "b c" } } },
            },
        },
        "units": { "x.service": { "text": unit(text) } },
    })
}

#[test]
fn words_and_variables_that_a_description_says_are_those_of_the_unit() {
    let store = Store::new();
    let text = "Environment=\"A=b c\"\nExecStart=/bin/x \\\n  '--a=b c'";
    let (plan, _) = store.generate(&said(text)).unwrap();
    assert_eq!(plan["files"]["flags"]["attach"]["environment"]["built"], json!(["/bin/x", "--a=b c"]));
    for (from, to, problem) in [
        ("'--a=b c'", "--a=b c", "the unit's ExecStart= has other words: /bin/x --a=b c, not /bin/x --a=b c"),
        ("A=b c\"", "A=b\"", "the unit sets A to \"b\", not \"b c\""),
        ("Environment=\"A=b c\"", "Environment=\"B=c\"", "the unit sets A to nothing, not \"b c\""),
        ("ExecStart=", "ExecStart=/bin/y\nExecStart=", "the unit has 2 ExecStart=, and words can be of one"),
    ] {
        let error = store.generate(&said(&text.replacen(from, to, 1))).unwrap_err();
        assert!(error.contains(problem), "{error}");
    }
    // A drop-in of the module's own takes back what is before it; what systemd expands is not compared.
    for same in [format!("ExecStart=/bin/y\nExecStart=\n{text}"), format!("{text} --name=%n")] {
        store.generate(&said(&same)).unwrap();
    }
    let mut broken = said(text);
    broken["files"]["flags"]["attach"]["environment"]["built"] = json!("/bin/x %n");
    let error = store.generate(&broken).unwrap_err();
    assert!(error.contains("ExecStart=/bin/x %n: systemd would expand '%'"), "{error}");
}
