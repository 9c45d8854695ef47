//! Units of the users' service managers: in the system's plan for all users, and in a user's own plan.

use std::fs;

use camino::Utf8PathBuf;
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::bundled::{generate_text, text};

const TOML: &str = "port = 8080\n";
const STATIC: &str = "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-x.toml";

fn generate(description: &Value) -> Result<dynix::build::tree::Tree, String> {
    let keep = tempfile::tempdir().unwrap();
    let root = Utf8PathBuf::try_from(keep.path().to_owned()).unwrap();
    let place = root.join(&STATIC[1..]);
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::write(place, TOML).unwrap();
    generate_text(&description.to_string(), &root)
}

/// A service whose unit reads one file.
fn service(unit: &str) -> Value {
    json!({
        "options": { "services.x.settings": { "static": { "port": 8080 }, "schema": {} } },
        "files": {
            "x.toml": {
                "format": { "name": "toml" },
                "value": { "option": "services.x.settings" },
                "static": STATIC,
                "attach": { "bind": STATIC },
            },
        },
        "units": { unit: {} },
    })
}

fn of_the_system(service: &Value) -> Value {
    json!({ "version": 1, "services": { "x": service } })
}

fn of_a_user(service: &Value) -> Value {
    json!({ "version": 1, "scope": "user", "verify": "off", "services": { "x": service } })
}

#[test]
fn the_stub_for_all_users_is_among_their_units() {
    let tree = generate(&of_the_system(&service("user/x.service"))).unwrap();
    assert_snapshot!(text(&tree, "lib/systemd/user/x.service.d/10-dynix.conf"), @r"
    # Written by dynix for x. Without anything under /run/dynix the unit starts on its static configuration.
    [Service]
    BindReadOnlyPaths=-/run/dynix/x/current/x.toml:/nix/store/0123456789abcdfghijklmnpqrsvwxyz-x.toml
    ");
    assert!(tree.files().all(|(path, ..)| !path.as_str().starts_with("lib/systemd/system/")));
}

#[test]
fn a_unit_of_users_is_found_as_one_of_the_system() {
    let unit = format!("[Service]\nExecStart=/bin/x {STATIC}\n");
    let mut found = service("x");
    found["files"] = json!({});
    found["units"] = json!({});
    found["find"] = json!({ "store": "/nix/store", "type": "TOML value", "units": { "user/x.service": unit } });
    let tree = generate(&of_the_system(&found)).unwrap();
    let plan: Value = serde_json::from_str(&text(&tree, "plan.json")).unwrap();
    assert_eq!(plan["services"]["x"]["units"].as_object().unwrap().keys().collect::<Vec<_>>(), ["user/x.service"]);
    assert!(text(&tree, "lib/systemd/user/x.service.d/10-dynix.conf").contains("current/x.toml"));
}

#[test]
fn a_users_own_plan_names_the_users_places() {
    let tree = generate(&of_a_user(&service("x.service"))).unwrap();
    let files: Vec<String> = tree.files().map(|(path, _, mode)| format!("{path} {mode:04o}")).collect();
    let shown = files.join("\n");
    let stub = text(&tree, "lib/systemd/user/x.service.d/10-dynix.conf");
    let units = ["dynix-activate.service", "dynix-after-login.service"];
    let units = units.map(|unit| text(&tree, &format!("lib/systemd/user/{unit}"))).join("--\n");
    assert_snapshot!(format!("{shown}\n--\n{stub}--\n{units}--\n{}", text(&tree, "activate")));
}

#[test]
fn what_a_users_manager_can_not_do_is_refused() {
    let changed = |unit: &str, change: &dyn Fn(&mut Value)| {
        let mut service = service(unit);
        change(&mut service);
        service
    };
    let reloads = |service: &mut Value| service["units"] = json!({ "x.service": { "onChange": "reload" } });
    let of_users_reloads =
        |service: &mut Value| service["units"] = json!({ "user/x.service": { "onChange": "reload" } });
    let credential = |service: &mut Value| service["files"]["x.toml"]["attach"] = json!({ "credential": "x" });
    let private = |service: &mut Value| service["files"]["x.toml"]["mode"] = "0400".into();
    let follows = |service: &mut Value| {
        service["dropIns"] = json!({ "user/x.service": "[Unit]\nDescription={{ services.x.settings.port }}\n" });
    };
    let link = |service: &mut Value| service["files"]["x.toml"]["attach"] = json!({ "etc": "/etc/x.toml" });
    let refused = [
        of_a_user(&changed("x.service", &reloads)),
        of_the_system(&changed("user/x.service", &of_users_reloads)),
        of_a_user(&changed("x.service", &credential)),
        of_a_user(&changed("x.service", &link)),
        of_a_user(&service("user/x.service")),
        of_the_system(&changed("user/x.service", &private)),
        of_the_system(&changed("user/x.service", &follows)),
        of_the_system(&service("user/x")),
        of_the_system(&service("user@1000/x.service")),
    ];
    let mut with_more = of_a_user(&service("x.service"));
    with_more["daemon"] = json!({});
    with_more["options"] = json!(["time.timeZone"]);
    let texts: Vec<String> = refused.iter().chain([&with_more]).map(|one| generate(one).unwrap_err()).collect();
    assert_snapshot!(texts.join("\n"));
}
