//! `dynix options`: every setting of a service, with its type, its values, and what its module says of it.

use serde_json::{Value, json};

use crate::output::is_a;
use crate::support::{System, description, finish};

const SETTINGS: &str = "services.gotosocial.settings";

/// The bundled services, with what a module says of some of their options.
fn documented() -> Value {
    let mut description = description();
    description["services"].as_object_mut().unwrap().retain(|name, _| name != "distccd");
    description["documentation"] = json!({
        SETTINGS: [
            {
                "path": [],
                "description": "Contents of the configuration of GoToSocial.\nSee {option}`services.gotosocial.openFirewall`.\n",
                "example": "{\n  application-name = \"My GoToSocial\";\n}",
                "declaredIn": ["nixos/modules/services/web-apps/gotosocial.nix"],
            },
            {
                "path": ["port"],
                "description": "The port to listen on.\n\n\u{1b}[31mIn red.",
                "default": "if `config.services.nginx.enable`, 8080",
                "example": "443",
                "declaredIn": ["nixos/modules/services/web-apps/gotosocial.nix", "configuration.nix"],
            },
        ],
    });
    description
}

#[test]
fn what_a_module_says_of_its_options_is_shown() {
    let system = System::of(&documented());
    let all = system.run(&["options", "gotosocial"]).ends(0).stdout;
    assert!(
        all.starts_with(
            "services.gotosocial.settings\n  Contents of the configuration of GoToSocial.\n  See \
             `services.gotosocial.openFirewall`.\n  declared in nixos/modules/services/web-apps/gotosocial.nix\n\
             services.gotosocial.settings.application-name: "
        ),
        "{all}"
    );
    system.run(&["set", "services.gotosocial.settings.port", "8081"]).ends(0);
    let port = "services.gotosocial.settings.port: integer between 0 and 65535\n  The port to listen on.\n\n  \
                \\u{1b}[31mIn red.\n  built 8080\n  recorded 8081\n  default if `config.services.nginx.enable`, 8080\n  \
                example 443\n  declared in nixos/modules/services/web-apps/gotosocial.nix, configuration.nix\n";
    assert_eq!(system.run(&["options", "gotosocial", "port"]).ends(0).stdout, port);
    // A word of the description leads to it as well.
    assert_eq!(system.run(&["options", "gotosocial", "LISTEN ON"]).ends(0).stdout, port);
    let none = system.run(&["options", "gotosocial", "nonesuch"]).ends(0);
    assert_eq!(
        (none.stdout.as_str(), none.stderr.as_str()),
        ("", "no setting of gotosocial has \"nonesuch\" in its name, type, values or description\n")
    );
    // Of a setting that is not declared, what its option says of where.
    assert_eq!(
        system.run(&["options", "gotosocial", "application-name"]).ends(0).stdout,
        "services.gotosocial.settings.application-name: null or boolean or integer or floating point number or string or \
         attribute set or list\n  built \"gotosocial-for-machine\"\n  declared in \
         nixos/modules/services/web-apps/gotosocial.nix\n"
    );
}

#[test]
fn programs_get_it_in_fields() {
    let system = System::of(&documented());
    let found = system.run(&["options", "gotosocial", "port", "--output", "json"]).ends(0).json();
    is_a("options", &found);
    let port = &found["settings"][0];
    assert_eq!(port["path"], "services.gotosocial.settings.port");
    assert_eq!(port["defaultText"], "if `config.services.nginx.enable`, 8080");
    assert_eq!(port["example"], "443");
    assert_eq!(port["declaredIn"][1], "configuration.nix");
    // As the module writes it.
    assert_eq!(port["description"], "The port to listen on.\n\n\u{1b}[31mIn red.");
}

#[test]
fn what_is_for_people_is_beside_the_plan_and_costs_no_other_verb_anything() {
    let (with, mut plain) = (System::of(&documented()), documented());
    plain.as_object_mut().unwrap().remove("documentation");
    let without = System::of(&plain);
    for file in ["plan.json", "plan.json.index", "proof.json"] {
        let read = |system: &System| std::fs::read(system.path("etc/dynix").join(file)).unwrap();
        assert_eq!(read(&with), read(&without), "{file}");
    }
    assert!(with.path("etc/dynix/options.json").exists() && !without.path("etc/dynix/options.json").exists());
    // Nobody but `options` needs it, and not even `options` fails without it.
    with.write("etc/dynix/options.json", "no JSON");
    let (damaged, absent) =
        (with.run(&["options", "gotosocial"]).ends(0), without.run(&["options", "gotosocial"]).ends(0));
    assert_eq!(damaged.stdout, absent.stdout);
    // An output with it is replaced by one without, and the other way round.
    let again = |system: &System, description: &Value| {
        std::fs::write(system.path("description.json"), description.to_string()).unwrap();
        let statics = concat!(env!("CARGO_MANIFEST_DIR"), "/descriptions");
        let (from, out) = (system.path("description.json"), system.path("etc/dynix"));
        let words = ["generate", "--description", from.as_str(), "--static-root", statics, "--out", out.as_str()];
        finish(crate::support::dynix().args(words)).ends(0);
    };
    again(&with, &plain);
    again(&without, &documented());
    assert!(!with.path("etc/dynix/options.json").exists() && without.path("etc/dynix/options.json").exists());
}
