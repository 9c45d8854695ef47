//! Descriptions that `generate` refuses, each with the place and the reason in full.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::bundled::{FILE, FLAGS, HARMONIA, description, generate, generate_text, root, text, with, without};

/// Refused with exactly these problems.
#[track_caller]
fn refused(description: &Value, problems: &[&str]) {
    let error = generate(description).unwrap_err();
    let lines: Vec<&str> = error.split("\n  ").collect();
    assert_eq!(lines, [&["the description is refused:"], problems].concat());
}

#[test]
fn what_is_no_json_or_of_another_version_is_refused() {
    let problem = |text: &str| generate_text(text, &root()).unwrap_err();
    assert!(problem("{").starts_with("the description is refused:\n  the description: it is not JSON: EOF"));
    assert!(problem("").contains("it is not JSON"));
    assert!(problem("[]").contains("the description: it is a list, expected attribute set"));
    assert!(problem("null").contains("it is null"));
    refused(&with("/version", json!(2)), &["version: it is 2, and this dynix reads version 1"]);
    refused(&with("/version", json!("1")), &["version: it is \"1\", and this dynix reads version 1"]);
    refused(&without("/version"), &["version: it is missing"]);
    let twice = description().to_string().replacen("\"version\":1", "\"version\":1,\"version\":1", 1);
    assert!(problem(&twice).ends_with("\n  version: it is given twice"));
}

#[test]
fn unknown_missing_and_mistyped_keys_are_all_named() {
    let mut spoilt = description();
    spoilt["servces"] = json!({});
    spoilt["services"]["harmonia"]["unit"] = json!({});
    spoilt["services"]["harmonia"]["files"]["harmonia.toml"]["zzz"] = json!(1);
    spoilt["services"]["harmonia"]["files"]["harmonia.toml"]["mode"] = json!(444);
    spoilt["services"]["harmonia"]["files"]["harmonia.toml"]["attach"] = json!({ "bnd": "/x" });
    spoilt["services"]["harmonia"]["units"]["harmonia.service"] = json!({ "onChange": "explode", "deadline": 0 });
    spoilt["services"]["distccd"]["files"]["flags"]["value"]["list"][1] = json!({});
    spoilt["services"]["distccd"]["files"]["flags"].as_object_mut().unwrap().remove("static");
    spoilt["services"]["distccd"]["check"] = json!({ "comand": ["/bin/true"] });
    let error = generate(&spoilt).unwrap_err();
    let mut lines: Vec<&str> = error.lines().skip(1).map(str::trim).collect();
    lines.sort_unstable();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn a_key_of_the_plan_is_none_of_the_description() {
    let proof = json!({ "level": "bytes", "nix": "", "rendered": "" });
    let error = generate(&with(&format!("{FILE}/proof"), proof)).unwrap_err();
    assert!(error.contains(r#"services.harmonia.files."harmonia.toml".proof: unknown key"#), "{error}");
}

#[test]
fn names_that_escape_are_refused() {
    for (name, quoted) in [("..", r#""..""#), ("a/b", r#""a/b""#), ("", r#""""#), (".hidden", r#"".hidden""#)] {
        let mut spoilt = description();
        let service = spoilt["services"]["harmonia"].take();
        spoilt["services"].as_object_mut().unwrap().remove("harmonia");
        spoilt["services"][name] = service;
        let error = generate(&spoilt).unwrap_err();
        assert!(
            error.contains(&format!("\n  services.{quoted}: {quoted} can't be one component of a path")),
            "{error}"
        );

        let mut spoilt = description();
        let file = spoilt["services"]["harmonia"]["files"]["harmonia.toml"].take();
        spoilt["services"]["harmonia"]["files"] = json!({ name: file });
        let error = generate(&spoilt).unwrap_err();
        assert!(error.contains(&format!("\n  services.harmonia.files.{quoted}: {quoted} can't be one")), "{error}");
    }
    let mut spoilt = description();
    let service = spoilt["services"]["harmonia"].take();
    spoilt["services"].as_object_mut().unwrap().remove("harmonia");
    spoilt["services"]["lock"] = service;
    refused(&spoilt, &["services.lock: /run/dynix/lock is a file of dynix itself; give the service another name"]);
}

#[test]
fn units_have_to_be_units() {
    let unit = |name: &str| {
        let mut spoilt = description();
        spoilt["services"]["harmonia"]["units"] = json!({ name: {} });
        spoilt
    };
    refused(
        &unit("harmonia"),
        &[
            r#"services.harmonia.units.harmonia: "harmonia" is not the name of a unit: it has no type; write the full name, as in harmonia.service"#,
        ],
    );
    refused(
        &unit("a/b.service"),
        &[
            r#"services.harmonia.units."a/b.service": "a/b.service" is not the name of a unit: it has the character '/'"#,
        ],
    );
    refused(
        &unit("harmonia@.service"),
        &[
            r#"services.harmonia.units."harmonia@.service": "harmonia@.service" is not the name of a unit: it is a template; name its instances, as in getty@tty1.service"#,
        ],
    );
    refused(
        &unit("harmonia.timer"),
        &[
            r#"services.harmonia.units."harmonia.timer": a unit of this type executes nothing, so no file can be bound for it"#,
        ],
    );
    refused(
        &with("/services/distccd/units", json!({ "distccd.service": { "onChange": "reload" } })),
        &[
            r#"services.distccd.units."distccd.service".onChange: a reload does not read a new command line; say restart"#,
        ],
    );
    let tree = generate(&unit("harmonia@a.socket")).unwrap();
    assert!(text(&tree, "lib/systemd/system/harmonia@a.socket.d/10-dynix.conf").contains("\n[Socket]\nBind"));
}

#[test]
fn a_unit_that_says_itself_that_it_cannot_is_refused_also_where_its_files_are_described() {
    let unit = "/services/harmonia/units/harmonia.service";
    let text = |lines: &str| json!({ "text": format!("[Service]\nExecStart=/bin/x\n{lines}\n") });
    generate(&with(unit, text(""))).unwrap();
    for (lines, why) in [
        ("RefuseManualStop=yes", "cannot be restarted by hand (RefuseManualStop=yes)"),
        ("TemporaryFileSystem=/nix/store", "does not see"),
        ("PAMName=x", "starts sessions of users (PAMName=x)"),
    ] {
        let error = generate(&with(unit, text(lines))).unwrap_err();
        assert!(error.contains(r#"services.harmonia.units."harmonia.service""#) && error.contains(why), "{error}");
    }
    let mut mount = description();
    let service = &mut mount["services"]["harmonia"];
    service["units"] = json!({ "nix.mount": {} });
    service["dropIns"] = json!({});
    refused(
        &mount,
        &[r#"services.harmonia.units."nix.mount": with a bind, a mount is made where nobody else sees it, and fails"#],
    );
}

#[test]
fn what_is_spoken_of_has_to_be_there() {
    refused(
        &with(&format!("{FILE}/units"), json!(["harmonia.service", "other.service"])),
        &[
            r#"services.harmonia.files."harmonia.toml".units[1]: other.service is not among the units of the service: harmonia.service"#,
        ],
    );
    refused(
        &with(&format!("{HARMONIA}/dropIns"), json!({ "other.service": "[Service]\n" })),
        &[r#"services.harmonia.dropIns."other.service": other.service is not among the units of the service"#],
    );
    refused(
        &with(&format!("{FILE}/value"), json!({ "list": [{ "option": "services.harmonia.setings" }] })),
        &[
            "services.harmonia.options.\"services.harmonia.settings\": nothing follows from it: no file's value and no drop-in speaks of it, so overriding it would do nothing",
            r#"services.harmonia.files."harmonia.toml".value.list[0].option: the service has no option services.harmonia.setings, only services.harmonia.settings"#,
        ],
    );
    let when =
        json!({ "when": { "condition": { "option": "services.distccd.maxJobs" }, "then": { "literal": "-x" } } });
    refused(
        &with(&format!("{FLAGS}/value/list/0"), when),
        &[
            "services.distccd.files.flags.value: it fails on the static values: at list[0].when.condition: a condition is 12, expected true or false",
        ],
    );
}

#[test]
fn option_names_schemas_and_dynamic_paths_are_checked() {
    let option = "/services/harmonia/options/services.harmonia.settings";
    let place = "services.harmonia.options.\"services.harmonia.settings\"";
    let error = generate(&with(&format!("{option}/schema"), json!({ "type": "objct" }))).unwrap_err();
    assert!(error.contains(&format!("\n  {place}.schema.type: it is \"objct\"; the types are null, ")), "{error}");
    refused(
        &with(&format!("{option}/schema"), json!({ "additionalProperties": { "type": "string", "patern": "a" } })),
        &[&format!(
            "{place}.schema.additionalProperties.patern: dynix does not know this keyword; it knows $comment, $ref, $schema, \
             additionalProperties, allOf, anyOf, const, default, description, enum, examples, exclusiveMaximum, \
             exclusiveMinimum, items, maxItems, maxLength, maxProperties, maximum, minItems, minLength, minProperties, \
             minimum, not, oneOf, posixPattern, properties, required, title, type, unchecked, uniqueItems"
        )],
    );
    refused(
        &with(&format!("{option}/schema"), json!({ "properties": { "workers": { "type": "integer", "maximum": 3 } } })),
        &[&format!(
            "{place}.schema: it refuses the static value 4 at workers: it is more than 3; expected integer of at most 3"
        )],
    );
    let closed = json!({ "properties": { "workers": {}, "max_connection_rate": {} }, "additionalProperties": false });
    let mut spoilt = with(&format!("{option}/schema"), closed);
    spoilt.pointer_mut(option).unwrap()["dynamic"] = json!([["workers"], ["worker"]]);
    refused(
        &spoilt,
        &[&format!(
            "{place}.dynamic[1]: the option's type has no worker at worker; it has max_connection_rate, workers"
        )],
    );
    let rename = |to: &str| {
        let mut spoilt = description();
        let service = &mut spoilt["services"]["harmonia"];
        let option = service["options"]["services.harmonia.settings"].take();
        service["options"] = json!({ to: option });
        service["files"]["harmonia.toml"]["value"] = json!({ "option": to });
        spoilt
    };
    let error = generate(&rename("services..settings")).unwrap_err();
    assert!(error.contains("is not an attribute path: name 2 is empty"), "{error}");
    // Nix and dynix may not quote alike; another spelling is the same option.
    assert!(generate(&rename("services.\"harmonia\".settings")).is_ok());
}

#[test]
fn places_modes_and_owners_are_checked() {
    let place = r#"services.harmonia.files."harmonia.toml""#;
    for (path, why) in [
        ("etc/x", "it does not start with /"),
        ("/etc/../x", "it has the component . or .."),
        ("/etc//x", "it has an empty component"),
    ] {
        for key in ["static", "attach/bind"] {
            let dotted = key.replace('/', ".");
            refused(
                &with(&format!("{FILE}/{key}"), json!(path)),
                &[&format!("{place}.{dotted}: {path:?} is not an absolute path in normal form: {why}")],
            );
        }
    }
    refused(
        &with(&format!("{FILE}/attach/bind"), json!("/run/dynix/x")),
        &[&format!(
            "{place}.attach.bind: what is below /run/dynix is dynix's own; bind to the path that the unit reads"
        )],
    );
    for mode in ["0448", "4755", "rw"] {
        refused(
            &with(&format!("{FILE}/mode"), json!(mode)),
            &[&format!("{place}.mode: {mode:?} is not an octal mode between 0000 and 0777, as in 0444")],
        );
    }
    for key in ["owner", "group"] {
        refused(
            &with(&format!("{FILE}/{key}"), json!("a b")),
            &[&format!(
                "{place}.{key}: \"a b\" is not a user or group: expected a name of letters, digits, _, - and ., or a number"
            )],
        );
    }
}

#[test]
fn a_link_that_cannot_be_swapped_is_refused() {
    let place = r#"services.harmonia.files."harmonia.toml".attach.etc"#;
    for (path, problem) in [
        ("/nix/store/x", "/nix/store/x is not below /etc; attach it by bind"),
        ("/etc", "/etc is not below /etc; attach it by bind"),
        ("/etc/static/a", "what is below /etc/static has no links of its own that could be swapped"),
        ("/etc/systemd/system/a", "what is below /etc/systemd/system has no links of its own that could be swapped"),
    ] {
        refused(&with(&format!("{FILE}/attach"), json!({ "etc": path })), &[&format!("{place}: {problem}")]);
    }
    let mut spoilt = with(&format!("{FILE}/attach"), json!({ "etc": "/etc/x" }));
    let file = spoilt.pointer(FILE).unwrap().clone();
    spoilt["services"]["harmonia"]["files"]["again.toml"] = file;
    refused(&spoilt, &[&format!("{place}: /etc/x leads to the file again.toml of harmonia already")]);
}

#[test]
fn two_files_in_one_place_are_refused() {
    let mut spoilt = description();
    let file = spoilt.pointer(FILE).unwrap().clone();
    spoilt["services"]["harmonia"]["files"]["again.toml"] = file;
    let target = "/nix/store/v4zhciszya763yqrxfl4r06j25qg5ljh-harmonia.toml";
    refused(
        &spoilt,
        &[&format!(
            r#"services.harmonia.files."harmonia.toml".attach.bind: harmonia.service has the file again.toml at {target} already"#
        )],
    );
    // Below another file there is nothing.
    spoilt["services"]["harmonia"]["files"]["again.toml"]["attach"]["bind"] = json!(format!("{target}/x"));
    refused(
        &spoilt,
        &[&format!(
            r#"services.harmonia.files."again.toml".attach.bind: harmonia.service has the file harmonia.toml at {target}, so there is nothing below it"#
        )],
    );
    // In two units there is no conflict.
    spoilt["services"]["harmonia"]["files"]["again.toml"]["attach"]["bind"] = json!(target);
    spoilt["services"]["harmonia"]["units"]["other.service"] = json!({});
    spoilt["services"]["harmonia"]["files"]["again.toml"]["units"] = json!(["other.service"]);
    spoilt["services"]["harmonia"]["files"]["harmonia.toml"]["units"] = json!(["harmonia.service"]);
    let tree = generate(&spoilt).unwrap();
    assert!(text(&tree, "lib/systemd/system/other.service.d/10-dynix.conf").contains("current/again.toml"));

    let mut spoilt = description();
    let flags = spoilt.pointer(FLAGS).unwrap().clone();
    spoilt["services"]["distccd"]["files"]["more"] = flags;
    refused(
        &spoilt,
        &[
            "services.distccd.files.more.attach.environment.variable: distccd.service has the words of flags in DISTCCD_FLAGS already",
        ],
    );
    spoilt["services"]["distccd"]["files"]["more"]["attach"]["environment"]["variable"] = json!("MORE");
    refused(
        &spoilt,
        &[
            "services.distccd.files.more.attach.environment: distccd.service has its command line from the file flags already",
        ],
    );
}

#[test]
fn an_option_or_a_unit_belongs_to_one_service() {
    let mut spoilt = description();
    spoilt["services"]["second"] = spoilt["services"]["harmonia"].clone();
    refused(
        &spoilt,
        &[
            r#"services.second.options."services.harmonia.settings": the option is at services.harmonia.options."services.harmonia.settings" already"#,
            r#"services.second.units."harmonia.service": the unit is one of the service harmonia already; a unit's files belong to one service"#,
        ],
    );
    let mut spoilt = description();
    let workers = json!({ "static": 4, "schema": {} });
    spoilt["services"]["harmonia"]["options"]["services.harmonia.settings.workers"] = workers;
    spoilt["services"]["harmonia"]["files"]["harmonia.toml"]["value"] = json!({ "list": [{ "option": "services.harmonia.settings" }, { "option": "services.harmonia.settings.workers" }] });
    refused(
        &spoilt,
        &[
            r#"services.harmonia.options."services.harmonia.settings.workers": the option lies within services.harmonia.settings, which is at services.harmonia.options."services.harmonia.settings""#,
        ],
    );
}

#[test]
fn words_and_their_command_are_checked() {
    let environment = format!("{FLAGS}/attach/environment");
    let place = "services.distccd.files.flags.attach.environment";
    refused(
        &with(&format!("{environment}/variable"), json!("1A")),
        &[&format!(
            "{place}.variable: \"1A\" is not the name of an environment variable: it takes letters, digits and _, no digit first"
        )],
    );
    refused(
        &with(&format!("{environment}/command"), json!(["distccd"])),
        &[&format!("{place}.command[0]: \"distccd\" is not an absolute path in normal form: it does not start with /")],
    );
    refused(&with(&format!("{environment}/command"), json!([])), &[&format!("{place}.command: it is empty")]);
    refused(
        &with(&format!("{environment}/environment"), json!({ "DISTCCD_FLAGS": "x", "A B": "c" })),
        &[
            &format!(
                "{place}.environment.\"A B\": \"A B\" is not the name of an environment variable: it takes letters, digits and _, no digit first"
            ),
            &format!("{place}.environment.DISTCCD_FLAGS: it is the variable of the words"),
        ],
    );
    refused(
        &with(&format!("{FLAGS}/attach"), json!({ "bind": "/etc/flags" })),
        &[
            "services.distccd.files.flags.attach.bind: words of a command line can't be bound; attach them by environment",
        ],
    );
    refused(
        &with(&format!("{FILE}/attach"), json!({ "environment": { "variable": "A", "command": ["/bin/x"] } })),
        &[
            r#"services.harmonia.files."harmonia.toml".attach.environment: only words can attach by environment: the format flags, not toml"#,
        ],
    );
    refused(
        &with(&format!("{FLAGS}/format/parameters"), json!({ "variable": "OTHER" })),
        &[&format!("{place}.variable: it differs from the format's parameter variable")],
    );
}

#[test]
fn formats_are_checked() {
    let place = r#"services.harmonia.files."harmonia.toml".format"#;
    for format in [
        json!({ "name": "tmol" }),
        json!({ "name": "toml", "dialect": "cobol" }),
        json!({ "name": "toml", "parameters": { "x": 1 } }),
    ] {
        let error = generate(&with(&format!("{FILE}/format"), format.clone())).unwrap_err();
        assert!(error.starts_with(&format!("the description is refused:\n  {place}: ")), "{format}: {error}");
    }
}

#[test]
fn templates_are_checked() {
    let place = r#"services.gotosocial.dropIns."gotosocial.service""#;
    let problem = |template: &str| {
        let spoilt = with("/services/gotosocial/dropIns", json!({ "gotosocial.service": template }));
        let error = generate(&spoilt).unwrap_err();
        error
            .strip_prefix(&format!("the description is refused:\n  {place}: "))
            .unwrap_or_else(|| panic!("{error}"))
            .to_owned()
    };
    assert!(problem("[Service]\nA={{").starts_with("the template fails on the static values: "));
    assert!(
        problem("[Service]\nA={{ services.gotosocial.settings.prt }}")
            .starts_with("the template fails on the static values: ")
    );
    // Also where the static values do not come by.
    assert_eq!(
        problem(
            "[Service]\n{% if services.gotosocial.settings.port < 1 %}A={{ services.gotosocial.setings.port }}{% endif %}"
        ),
        "the template speaks of services.gotosocial.setings.port, which is no option of the service"
    );
    assert_eq!(
        problem("[Service]\n{{ services.gotosocial.settings.host }}=1\n"),
        "line 2 of the template has a value where a name stands; a value can only follow NAME=\n  \
         services.gotosocial.dropIns.\"gotosocial.service\": what the template gives is no unit file: line 2, \
         \"gotosocial-machine.local=1\", is neither [SECTION] nor NAME=VALUE"
    );
    assert_eq!(
        problem("A={{ services.gotosocial.settings.port }}"),
        "what the template gives is no unit file: line 1, \"A=8080\", stands before any section, as in [Service]"
    );
}

#[test]
fn commands_are_checked() {
    let check = |command: Value| with("/services/harmonia/check", json!({ "command": command }));
    let place = "services.harmonia.check.command";
    refused(
        &check(json!(["true"])),
        &[&format!("{place}: its program \"true\" is not an absolute path in normal form: it does not start with /")],
    );
    let error = generate(&check(json!(["/bin/true", "{{ files[\"harmonia.tml\"] }}"]))).unwrap_err();
    assert!(
        error.starts_with(&format!("the description is refused:\n  {place}: `files['harmonia.tml']` is undefined")),
        "{error}"
    );
    assert!(generate(&check(json!(["/bin/true", "{{ files[\"harmonia.toml\"] }}"]))).is_ok());
    let health = |probe: Value| with("/services/harmonia/health", json!({ "probe": probe }));
    refused(
        &health(json!({ "tcp": "localhost" })),
        &["services.harmonia.health.probe.tcp: \"localhost\" is not ADDRESS:PORT, as in 127.0.0.1:9090"],
    );
    assert!(generate(&health(json!({ "tcp": "localhost:0" }))).is_err());
    assert!(generate(&health(json!({ "unix": "run/x" }))).is_err());
    assert!(generate(&health(json!({ "command": ["x"] }))).is_err());
    assert!(generate(&health(json!({ "tcp": "[::1]:5000" }))).is_ok());
    refused(
        &health(json!({ "http": "https://localhost/" })),
        &[
            "services.harmonia.health.probe.http: \"https://localhost/\" is not http://HOST[:PORT]/PATH: it does not start with \
             http://; for anything else, use a command",
        ],
    );
    assert!(generate(&health(json!({ "http": "http://localhost:5000/nix-cache-info" }))).is_ok());
}

#[test]
fn services_come_after_services_that_there_are_and_not_after_each_other() {
    let mut spoilt = description();
    spoilt["services"]["harmonia"]["after"] = json!(["gotosocial"]);
    assert!(generate(&spoilt).is_ok());
    spoilt["services"]["gotosocial"]["after"] = json!(["harmonia", "nginx"]);
    refused(
        &spoilt,
        &[
            "services.gotosocial.after[1]: there is no service nginx",
            "services.gotosocial.after: the services come after each other: gotosocial after harmonia after gotosocial",
        ],
    );
}

/// JSON pointers of everything in `value`.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(object) => {
            for (key, below) in object {
                pointers(below, &format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), found);
            }
        }
        Value::Array(list) => {
            for (index, below) in list.iter().enumerate() {
                pointers(below, &format!("{at}/{index}"), found);
            }
        }
        _ => {}
    }
}

fn strange() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,6}".prop_map(Value::from),
        "[/.a%{}\"' \n$-]{0,8}".prop_map(Value::from),
        Just(json!([])),
        Just(json!({})),
        Just(json!([[["x"]]])),
        Just(json!({ "option": "services.harmonia.settings" })),
        Just(json!({ "$ref": "#" })),
        Just(json!({ "select": { "from": { "literal": { "a": 1 } }, "path": ["a", "b"] } })),
    ]
}

proptest! {
    /// Whatever stands anywhere: an output that proves, or problems with places; never a panic, never silence.
    #[test]
    fn any_change_is_answered(at in any::<proptest::sample::Index>(), value in strange()) {
        let mut all = Vec::new();
        let mut changed = description();
        pointers(&changed, "", &mut all);
        let pointer = at.get(&all);
        *changed.pointer_mut(pointer).unwrap() = value;
        match generate(&changed) {
            Ok(tree) => prop_assert!(tree.files().count() >= 4),
            Err(error) => prop_assert!(error.lines().count() > 1 && error.lines().nth(1).unwrap().contains(": "), "{}", error),
        }
    }
}

#[test]
fn a_rule_of_the_daemon_that_is_about_nothing_is_refused() {
    let daemon = json!({"allow": {"r": {"options": {
        "services.harmonia.setings.workers": {},
        "services.distccd.maxJobs": {"minimum": 3, "maximum": 2, "rate": "often"},
        "services.distccd.*": {"methods": []},
        "services.harmonia.settings.workers": {},
        "a b": {},
    }}}});
    let error = generate(&with("/daemon", daemon)).unwrap_err();
    for problem in [
        "daemon.allow.r: it is for nobody; name users or groups",
        r#"daemon.allow.r.options."services.harmonia.setings.workers": no dynamic-enabled service has such an option; the nearest are services.harmonia.settings"#,
        r#"daemon.allow.r.options."services.distccd.maxJobs".minimum: 3 is more than the maximum, which is 2"#,
        r#"daemon.allow.r.options."services.distccd.maxJobs".rate: "often" is no rate; expected one as in "10/min""#,
        r#"daemon.allow.r.options."services.distccd.*".methods: it is empty; nothing is allowed"#,
        r#"daemon.allow.r.options."a b": "a b" is not an attribute path"#,
    ] {
        assert!(error.contains(problem), "{problem}\n{error}");
    }
    assert_eq!(error.matches("\n  daemon.").count(), 6, "{error}");
}

#[test]
fn a_daemon_has_its_units() {
    let tree = generate(&with("/daemon", json!({}))).unwrap();
    let service = text(&tree, "lib/systemd/system/dynix.service");
    assert!(service.contains("Type=notify\n") && service.contains("NoNewPrivileges=yes\n"), "{service}");
    let socket = text(&tree, "lib/systemd/system/dynix.socket");
    assert!(socket.contains("ListenStream=/run/dynix/dynix.sock\n"), "{socket}");
    // Nobody can switch it off by making it start.
    assert!(service.contains("StartLimitIntervalSec=0\n") && socket.contains("TriggerLimitIntervalSec=0\n"));
    assert!(service.contains("LimitNOFILE=4096\n"), "{service}");
}
