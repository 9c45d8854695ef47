//! The serialisers against what nixpkgs' generators wrote, and against readers that are not ours.

use std::path::Path;

use dynix_formats as format;
use dynix_formats::FormatSpec;
use serde_json::{Map, Value};

fn spec(name: &str, dialect: Option<&str>, parameters: Map<String, Value>) -> FormatSpec {
    FormatSpec { name: name.to_owned(), dialect: dialect.map(str::to_owned), parameters }
}

fn fixture(path: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(path);
    serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap()
}

/// Every case of one fixture file, in the dialects that it names.
fn check_fixture(name: &str) {
    let cases = fixture(&format!("formats/{name}.json"));
    let cases = cases.as_array().unwrap();
    assert!(cases.len() >= 40, "{name} has only {} cases", cases.len());
    for case in cases {
        let spec = spec(name, case["dialect"].as_str(), case["params"].as_object().unwrap().clone());
        let text = format::render(&spec, &case["input"]).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(text, case["expected"].as_str().unwrap(), "case {} of {:#}", case["name"], case["input"]);
    }
}

macro_rules! fixtures {
    ($($test:ident $name:literal)*) => {
        $(
            #[test]
            fn $test() {
                check_fixture($name);
            }
        )*
    };
}

fixtures! {
    cdn_is_what_json2cdn_writes "cdn"
    configobj_is_what_configobj_writes "configobj"
    edn_is_what_nixpkgs_and_zprint_write "edn"
    elixir_conf_is_what_mix_format_writes "elixirConf"
    git_ini_is_what_lib_generators_write "gitIni"
    hocon_is_what_hocon_generator_writes "hocon"
    ini_is_what_lib_generators_write "ini"
    ini_with_global_section_is_what_lib_generators_write "iniWithGlobalSection"
    json_is_what_jq_writes "json"
    kdl_is_what_jsonkdl_writes "kdl"
    key_value_is_what_lib_generators_write "keyValue"
    dovecot_conf_is_what_the_module_writes "dovecotConf"
    knot_conf_is_what_the_module_writes "knotConf"
    postfix_conf_is_what_the_module_writes "postfixConf"
    postgresql_conf_is_what_the_module_writes "postgresqlConf"
    sshd_conf_is_what_the_module_writes "sshdConf"
    unbound_conf_is_what_the_module_writes "unboundConf"
    libconfig_is_what_libconfig_generator_writes "libconfig"
    lua_is_what_lib_generators_write "lua"
    plist_is_what_lib_generators_write "plist"
    python_vars_is_what_black_writes "pythonVars"
    systemd_is_what_lib_generators_write "systemd"
    toml_is_what_json2x_and_remarshal_write "toml"
    xml_is_what_xmltodict_writes "xml"
    yaml_1_1_is_what_both_remarshals_write "yaml_1_1"
    yaml_1_2_is_what_remarshal_writes "yaml_1_2"
}

#[test]
fn every_fixture_of_a_known_format_is_tested() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/formats");
    let this = include_str!("fixtures.rs");
    for entry in std::fs::read_dir(directory).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let name = name.strip_suffix(".json").unwrap();
        if format::find(name).is_some() {
            assert!(this.contains(&format!(" {name:?}\n")), "{name} has fixtures that no test reads");
        }
    }
}

/// What nixpkgs expects of its own generators, in pkgs/pkgs-lib/tests/formats.nix and lib/tests/misc.nix. `expected` null
/// is a value that its type or generator refuses; store paths are made up.
#[test]
fn nixpkgs_own_tests_pass() {
    let cases = fixture("nixpkgs-tests.json");
    for case in cases.as_array().unwrap() {
        let spec = spec(
            case["format"].as_str().unwrap(),
            case["dialect"].as_str(),
            case["params"].as_object().unwrap().clone(),
        );
        if let Some(words) = case.get("words") {
            let ours = format::flags::words(&spec.parameters, &case["input"]).unwrap();
            assert_eq!(Value::from(ours), *words, "{}", case["name"]);
            continue;
        }
        let ours = format::render(&spec, &case["input"]).map(|text| String::from_utf8(text).unwrap());
        assert_eq!(ours.as_deref().ok(), case["expected"].as_str(), "{}: {ours:?}", case["name"]);
    }
}

/// The files of the real services: harmonia.toml and gotosocial's config.yml.
#[test]
fn service_files_are_what_nix_built() {
    for case in ["static", "gotosocial-application-name", "gotosocial-port-80", "harmonia-workers-and-rate"] {
        let services = fixture(&format!("../../../tests/fixtures/services/{case}.json"));
        for service in ["harmonia", "gotosocial"] {
            let service = &services["services"][service];
            let file = &service["config_file"];
            let spec = spec(file["format"].as_str().unwrap(), None, Map::new());
            let text = format::render(&spec, &service["settings"]).unwrap();
            assert_eq!(String::from_utf8(text).unwrap(), file["content"].as_str().unwrap(), "{case}");
        }
    }
}

/// distccd's flags against the words of the start script that NixOS wrote, read by a real shell's rules for such a
/// simple line: no quotes are in it.
#[test]
fn distccd_flags_are_the_words_of_its_start_script() {
    for case in ["static", "distccd-jobs-and-loglevel"] {
        let services = fixture(&format!("../../../tests/fixtures/services/{case}.json"));
        let service = &services["services"]["distccd"];
        let options = &service["options"];
        let clients = options["allowedClients"].as_array().unwrap();
        let flags = serde_json::json!([
            "--no-detach",
            "--daemon",
            "--enable-tcp-insecure",
            { "flag": "--port", "value": options["port"] },
            { "flag": "--job-lifetime", "value": options["jobTimeout"] },
            { "flag": "--log-level", "value": options["logLevel"] },
            { "flag": "--jobs", "value": options["maxJobs"] },
            { "flag": "--nice", "value": options["nice"] },
            { "flag": "--stats", "value": options["stats"]["enable"] },
            { "flag": "--zeroconf", "value": options["zeroconf"] },
            { "flag": "--allow", "value": clients },
        ]);
        let script = service["script"].as_str().unwrap();
        assert!(!script.contains(['\'', '$']));
        let (_, command) = script.split_once("bin/distccd").unwrap();
        let expected: Vec<_> = command.split_whitespace().filter(|word| *word != "\\").collect();
        assert_eq!(format::flags::words(&Map::new(), &flags).unwrap(), expected, "{case}");
    }
}
