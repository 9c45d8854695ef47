//! What sources outside of the host say: layers below or above the host's own values, taken whole or not at all.

use std::sync::Arc;

use dynix::host::systemd::memory::{Memory, Start};
use serde_json::{Value, json};

use crate::daemon::handler::{Handler, error};
use crate::output::is_a;
use crate::support::{self, System, without_times};

const WORKERS: &str = "services.harmonia.settings.workers";
const PRIORITY: &str = "services.harmonia.settings.priority";
const NICE: &str = "services.distccd.nice";
/// Whom the agent runs as.
const AGENT: u32 = 3005;

fn description() -> Value {
    let mut description = support::description();
    description["sources"] = json!([{"name": "fleet"}, {"name": "web"}, {"name": "law", "overHost": true}]);
    let rule =
        |source: &str, options: Value| json!({"users": [AGENT.to_string()], "source": source, "options": options});
    description["daemon"] = json!({"allow": {
        "fleet": rule("fleet", json!({"services.harmonia.settings": {}, NICE: {"minimum": 0}})),
        "web": rule("web", json!({WORKERS: {"maximum": 8}})),
    }});
    description
}

fn system() -> System {
    System::of(&description())
}

/// A source says this.
fn say(system: &System, source: &str, revision: &str, text: &str) -> support::Run {
    system.write("layer.nix", text);
    let file = system.path("layer.nix");
    system.run(&["layer", source, file.as_str(), "--revision", revision, "--by", "alice", "--apply"])
}

fn get(system: &System, path: &str) -> Value {
    system.run(&["get", path, "--json"]).ends(0).json()["inEffect"].clone()
}

#[test]
fn a_layer_is_between_what_is_built_and_what_the_host_says() {
    let system = system();
    system.run(&["set", WORKERS, "20", "--apply"]).ends(0);
    let run = say(&system, "fleet", "3f2c", "{ services.harmonia.settings = { workers = 8; priority = 5; }; }").ends(0);
    insta::assert_snapshot!(run.stdout + &run.stderr);
    assert_eq!([get(&system, WORKERS), get(&system, PRIORITY)], [json!(20), json!(5)]);
    insta::assert_snapshot!(without_times(&system.run(&["status"]).ends(0).stdout));
    insta::assert_snapshot!(without_times(&system.run(&["log"]).ends(0).stdout));
    insta::assert_snapshot!(without_times(&system.run(&["sources"]).ends(0).stdout));
    for verb in ["status", "log", "sources"] {
        is_a(verb, &system.run(&[verb, "--output", "json"]).ends(0).json());
    }
    let metrics = system.run(&["metrics"]).ends(0).stdout;
    for line in [
        "dynix_source_record{source=\"fleet\"} 2",
        "dynix_source_overrides{source=\"fleet\"} 1",
        "dynix_source_record{source=\"law\"} 0",
    ] {
        assert!(metrics.lines().any(|one| one == line), "{line}: {metrics}");
    }
    // The host's own goes; what the source says is there again.
    system.run(&["unset", WORKERS, "--apply"]).ends(0);
    assert_eq!(get(&system, WORKERS), json!(8));
    let said = system.run(&["unset", WORKERS]).ends(0);
    assert!(said.stderr.contains("fleet says a value there"), "{}", said.stderr);
}

#[test]
fn a_difference_names_the_source_of_each_value() {
    let system = system();
    system.run(&["set", WORKERS, "20", "--apply"]).ends(0);
    say(&system, "fleet", "3f2c", "{ services.harmonia.settings = { workers = 8; priority = 5; }; }").ends(0);
    let mut text = system.run(&["diff"]).ends(0).stdout;
    let mut look = |arguments: &[&str]| {
        text.extend(["$ dynix ", &arguments.join(" "), "\n", &system.run(arguments).ends(0).stdout]);
    };
    // What is recorded and not applied yet is no source of what is in effect.
    system.write("layer.nix", "{ services.harmonia.settings.bind = \"[::]:6000\"; services.distccd.nice = 5; }");
    let file = system.path("layer.nix");
    system.run(&["layer", "fleet", file.as_str(), "--revision", "4a1b"]).ends(0);
    for arguments in
        [&["diff"][..], &["diff", "--pending"], &["diff", "built..1"], &["diff", "1..2"], &["diff", "2..effect"]]
    {
        look(arguments);
    }
    insta::assert_snapshot!(text);
    let json = system.run(&["diff", "--output", "json"]).ends(0).json();
    is_a("diff", &json);
    assert_eq!(json["differences"][0]["sources"], json!({PRIORITY: "fleet"}));
    let at = system.run(&["get", PRIORITY, "--at", "2", "--output", "json"]).ends(0).json();
    is_a("getAt", &at);
    assert_eq!(at["source"], "fleet");
    assert_eq!(system.run(&["get", WORKERS, "--at", "2", "--json"]).ends(0).json()["source"], Value::Null);
}

#[test]
fn what_a_source_does_not_say_any_more_is_over() {
    let system = system();
    say(&system, "fleet", "1", "{ services.harmonia.settings.workers = 8; services.distccd.nice = 5; }").ends(0);
    assert_eq!([get(&system, WORKERS), get(&system, NICE)], [json!(8), json!(5)]);
    say(&system, "fleet", "2", "{ services.distccd.nice = 5; }").ends(0);
    assert_eq!([get(&system, WORKERS), get(&system, NICE)], [json!(4), json!(5)]);
    let log = system.read("etc/nixos/dynamic.nix");
    let run = say(&system, "fleet", "3", "{ services.distccd.nice = 5; }").ends(0);
    assert!(run.stderr.contains("fleet said the same before"), "{}", run.stderr);
    assert_eq!(system.read("etc/nixos/dynamic.nix"), log);
    say(&system, "fleet", "4", "").ends(0);
    assert_eq!(system.run(&["get", NICE, "--json"]).json()["value"], json!(null));
    assert_eq!(system.run(&["diff"]).ends(0).stdout, "");
}

/// Whoever recorded a layer may have ended before it was applied: what it took away goes with the next one, whatever that is.
#[test]
fn what_was_recorded_and_not_applied_comes_with_the_next_layer() {
    for next in ["", "{ services.distccd.nice = 5; }"] {
        let system = system();
        say(&system, "fleet", "1", "{ services.harmonia.settings.workers = 8; }").ends(0);
        system.write("layer.nix", "");
        let file = system.path("layer.nix");
        system.run(&["layer", "fleet", file.as_str(), "--revision", "2"]).ends(0);
        assert_eq!(get(&system, WORKERS), json!(8));
        say(&system, "fleet", "3", next).ends(0);
        assert_eq!(get(&system, WORKERS), json!(4), "{next:?}");
    }
}

#[test]
fn the_host_goes_back_by_itself_and_leaves_the_sources_alone() {
    for back in [vec!["rollback", "0", "--yes"], vec!["reset"], vec!["undo"]] {
        let system = system();
        system.run(&["set", PRIORITY, "7", "--apply"]).ends(0);
        say(&system, "fleet", "1", "{ services.harmonia.settings.workers = 8; }").ends(0);
        system.run(&back).ends(0);
        system.run(&["apply"]).ends(0);
        assert_eq!(get(&system, WORKERS), json!(8), "{back:?}");
        assert_eq!(system.run(&["get", PRIORITY, "--json"]).json()["value"], json!(null), "{back:?}");
        // There is nothing more to go back from.
        assert_eq!(system.run(&["export"]).ends(0).stdout.matches("workers").count(), 0);
    }
}

#[test]
fn a_source_over_the_host_counts_over_it_and_one_below_another_does_not() {
    let system = system();
    say(&system, "web", "1", "{ services.harmonia.settings.workers = 6; }").ends(0);
    say(&system, "fleet", "1", "{ services.harmonia.settings = { workers = 7; priority = 7; }; }").ends(0);
    assert_eq!([get(&system, WORKERS), get(&system, PRIORITY)], [json!(6), json!(7)]);
    system.run(&["set", WORKERS, "9", "--apply"]).ends(0);
    say(&system, "law", "1", "{ services.harmonia.settings.workers = 5; }").ends(0);
    assert_eq!(get(&system, WORKERS), json!(5));
    say(&system, "law", "2", "{ }").ends(0);
    assert_eq!(get(&system, WORKERS), json!(9));
}

#[test]
fn what_can_not_be_taken_whole_is_refused_whole_and_records_nothing() {
    let system = system();
    say(&system, "fleet", "1", "{ services.distccd.nice = 3; }").ends(0);
    let log = system.read("etc/nixos/dynamic.nix");
    for (text, why) in [
        ("{ services.distccd.nice = 5; services.distccd.maxJobs = \"many\"; }", "expected"),
        ("{ services.distccd.nice = 5; services.harmonai.settings.workers = 5; }", "harmonia"),
        ("{ services.distccd.nice = 5; services.distccd = 5; }", ""),
        ("[ 1 ]", "set of values"),
        ("{ services.distccd.nice = 5", ""),
        ("{ services.distccd.nice = pkgs.hello; }", ""),
        ("{ services.distccd.nice = { _type = \"if\"; }; }", ""),
    ] {
        let run = say(&system, "fleet", "2", text);
        assert!([1, 3].contains(&run.code) && run.stderr.contains(why), "{text}: {run:?}");
        assert_eq!(system.read("etc/nixos/dynamic.nix"), log, "{text}");
    }
    let run = say(&system, "fleeet", "2", "{ }").ends(3);
    assert_eq!(run.stderr, "error: fleeet is no source of this system; it has fleet, web, law (dynamicism.sources)\n");
    for revision in ["", "a\nb", &"x".repeat(300)] {
        say(&system, "fleet", revision, "{ services.distccd.nice = 6; }").ends(3);
    }
    assert_eq!(get(&system, NICE), json!(3));
}

#[test]
fn a_refused_revision_is_not_tried_again_until_another_one_was() {
    let system = system();
    say(&system, "fleet", "1", "{ services.distccd.nice = 3; }").ends(0);
    say(&system, "fleet", "2", "{ services.distccd.nice = 4; }").ends(0);
    system.run(&["reject", "2", "--message", "it is too slow", "--apply"]).ends(0);
    assert_eq!(get(&system, NICE), json!(3));
    // The host's own rollback does not bring it back.
    system.run(&["set", WORKERS, "5"]).ends(0);
    system.run(&["rollback", "2", "--yes", "--apply"]).ends(0);
    assert_eq!(get(&system, NICE), json!(3));
    let run = say(&system, "fleet", "2", "{ services.distccd.nice = 4; }").ends(3);
    assert!(run.stderr.contains("2 of fleet was refused here before (record 2): it is too slow"), "{}", run.stderr);
    insta::assert_snapshot!(without_times(&system.run(&["sources"]).ends(0).stdout));
    say(&system, "fleet", "5", "{ services.distccd.nice = 5; }").ends(0);
    say(&system, "fleet", "2", "{ services.distccd.nice = 4; }").ends(0);
    assert_eq!(get(&system, NICE), json!(4));
}

#[test]
fn a_switch_ends_what_the_host_says_and_nothing_that_sources_say() {
    let system = system();
    system.run(&["set", PRIORITY, "7", "--apply"]).ends(0);
    say(&system, "fleet", "1", "{ services.harmonia.settings.workers = 8; }").ends(0);
    support::finish(system.command(&["activate"]).env("NIXOS_ACTION", "switch")).ends(0);
    let shown = |path| system.run(&["get", path, "--json"]).json();
    assert_eq!((&shown(WORKERS)["inEffect"], &shown(WORKERS)["source"]), (&json!(8), &json!("fleet")));
    assert_eq!((&shown(PRIORITY)["inEffect"], &shown(PRIORITY)["source"]), (&json!(null), &json!(null)));
    // The next one finds nothing more to end.
    let log = system.read("etc/nixos/dynamic.nix");
    support::finish(system.command(&["activate"]).env("NIXOS_ACTION", "switch")).ends(0);
    assert_eq!(system.read("etc/nixos/dynamic.nix"), log);
}

#[test]
fn a_source_that_the_system_does_not_have_has_no_effect() {
    let mut with = description();
    let system = System::of(&with);
    say(&system, "web", "1", "{ services.harmonia.settings.workers = 6; }").ends(0);
    with["sources"] = json!([{"name": "fleet"}]);
    with["daemon"]["allow"].as_object_mut().unwrap().remove("web");
    let without = System::of(&with);
    without.write("etc/nixos/dynamic.nix", &system.read("etc/nixos/dynamic.nix"));
    assert_eq!(get(&without, WORKERS), json!(4));
    assert_eq!(without.run(&["status", "--exit-code"]).code, 0);
}

#[test]
fn a_layer_by_hand_is_plain_and_has_no_end() {
    for (record, why) in [
        ("source = \"fleet\"; unset = [ \"a\" ];", "which belongs to a `set`"),
        ("source = \"fleet\"; until = \"2026-12-01T00:00:00Z\"; set.a = 1;", "has a `source` and an end"),
        ("source = \"fleet\"; set.a = pkgs.hello;", "computes its values"),
        ("revision = \"1\"; set.a = 1;", "belongs to a `source`"),
        ("source = 5; set.a = 1;", "has to be a string"),
    ] {
        let system = system();
        system.write("etc/nixos/dynamic.nix", &format!("{}{{ id = 1; {record} }}\n", dynix::overrides::HEADER));
        let run = system.run(&["status"]).ends(1);
        assert!(run.stderr.contains(why), "{record}: {}", run.stderr);
    }
    let system = system();
    let layer = "{\n  source = \"fleet\";\n  set.services.distccd = { nice = 4; };\n}\n";
    system.write("etc/nixos/dynamic.nix", &format!("{}{layer}", dynix::overrides::HEADER));
    system.run(&["apply"]).ends(0);
    assert_eq!(get(&system, NICE), json!(4));
}

#[test]
fn each_source_has_bounds_of_its_own_and_nobody_else_speaks_for_it() {
    let system = system();
    let handler = Handler::on(&system);
    let ask = |user, source: &str, values: Value| {
        let layer = json!({"source": source, "revision": "1", "values": values, "by": "alice", "message": "why"});
        let reply = handler.ask(user, "SetLayer", layer);
        (error(&reply).map(str::to_owned), reply.parameters["reason"].as_str().unwrap_or_default().to_owned())
    };
    let workers = |value: u32| json!({"services": {"harmonia": {"settings": {"workers": value}}}});
    assert_eq!(ask(AGENT, "fleet", workers(50)).0, None);
    assert_eq!(ask(AGENT, "web", workers(50)).0.as_deref(), Some("Refused"));
    assert_eq!(ask(AGENT, "web", workers(7)).0, None);
    let nice = json!({"services": {"distccd": {"nice": 5}}});
    assert_eq!(ask(AGENT, "fleet", nice.clone()).0, None);
    assert_eq!(ask(AGENT, "web", nice).0.as_deref(), Some("NotAllowed"));
    assert_eq!(ask(AGENT, "law", workers(5)).0.as_deref(), Some("NotAllowed"));
    assert_eq!(ask(AGENT + 1, "fleet", workers(5)).0.as_deref(), Some("NotAllowed"));
    // The bounds of a source are no rights of whom the agent runs as.
    let reply = handler.ask(AGENT, "Append", json!({"path": WORKERS, "value": 5}));
    assert_eq!(error(&reply), Some("NotAllowed"));
    // Nothing is said any more: that needs no more rights than to speak for it.
    assert_eq!(ask(AGENT, "web", json!({})).0, None);
    assert_eq!(ask(AGENT, "web", json!({})).0, None);
    let sources = system.run(&["sources", "--json"]).json()["sources"].clone();
    assert_eq!(sources[0]["values"], json!({"services": {"distccd": {"nice": 5}}}));
    assert_eq!((&sources[0]["by"], &sources[0]["revision"]), (&json!("alice via fleet"), &json!("1")));
    assert_eq!(sources[1]["values"], json!({}));
}

/// On units in memory: a service that does not come up rejects the layer whole, and the one before holds in all services.
#[test]
fn a_layer_whose_service_fails_is_refused_whole() {
    let system = system();
    let file = system.path("run/dynix/harmonia/current/harmonia.toml");
    let memory = Memory::new(move |unit| {
        let is_bad = std::fs::read_to_string(&file).is_ok_and(|text| text.contains("workers = 6"));
        if unit == "harmonia.service" && is_bad { Start::Fails } else { Start::Good }
    });
    for unit in ["harmonia.service", "distccd.service"] {
        memory.add(unit, &[]);
        memory.start(unit);
    }
    let handler = Handler::with(&system, Some(Arc::new(memory)));
    let layer = |revision: &str, workers: u32, nice: u32| {
        let values = json!({"services": {"harmonia": {"settings": {"workers": workers}}, "distccd": {"nice": nice}}});
        json!({"source": "fleet", "revision": revision, "values": values, "apply": true})
    };
    assert_eq!(handler.ask(AGENT, "SetLayer", layer("1", 5, 1)).error, None);
    let reply = handler.ask(AGENT, "SetLayer", layer("2", 6, 2));
    assert_eq!(error(&reply), Some("RolledBack"), "{reply:?}");
    assert_eq!([get(&system, WORKERS), get(&system, NICE)], [json!(5), json!(1)]);
    let reply = handler.ask(AGENT, "SetLayer", layer("2", 6, 2));
    assert_eq!(error(&reply), Some("Refused"), "{reply:?}");
    let sources = system.run(&["sources", "--json"]).json()["sources"].clone();
    assert_eq!((&sources[0]["revision"], &sources[0]["refused"]["revision"]), (&json!("1"), &json!("2")));
}

/// A system in which options of no service can be overridden, and `fleet` may say something of one. `answer`: what an
/// evaluation gives.
fn evaluating(answer: &Value) -> System {
    let mut description = description();
    description["daemon"]["allow"]["fleet"]["options"]["networking"] = json!({"values": ["example.org", "a.org", 1]});
    System::evaluating(description, answer)
}

#[test]
fn a_layer_can_say_something_of_options_of_no_service() {
    let system = evaluating(&json!({}));
    let handler = Handler::on(&system);
    let both = |domain: &str, workers: u32| {
        let services = json!({"harmonia": {"settings": {"workers": workers}}});
        let values = json!({"networking": {"domain": domain}, "services": services});
        handler.ask(AGENT, "SetLayer", json!({"source": "fleet", "revision": "r", "values": values, "apply": true}))
    };
    // Its bounds are about these, too, and come before anything is evaluated; so do types of services.
    assert_eq!(error(&both("other.org", 6)), Some("Refused"));
    for other in [json!({"services": {"distccd": {"maxJobs": "many"}}}), json!({"boot": {"kernelParams": ["quiet"]}})] {
        let mut values = json!({"networking": {"domain": "example.org"}});
        values.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
        let reply = handler.ask(0, "SetLayer", json!({"source": "fleet", "revision": "r", "values": values}));
        assert_eq!(error(&reply), Some("Refused"), "{reply:?}");
    }
    assert_eq!((system.evaluations(), system.path("etc/nixos/dynamic.nix").exists()), (0, false));
    let reply = handler.ask(AGENT, "SetLayer", json!({"source": "web", "values": {"networking": {"domain": "a.org"}}}));
    assert_eq!(error(&reply), Some("NotAllowed"), "{reply:?}");
    // One record for both, after one evaluation.
    assert_eq!(both("example.org", 6).error, None);
    let evaluations = system.evaluations();
    assert!(evaluations > 0);
    insta::assert_snapshot!(without_times(&system.run(&["log"]).ends(0).stdout));
    assert_eq!(get(&system, WORKERS), json!(6));
    // Where no such option changes, nothing is evaluated.
    assert_eq!(both("example.org", 7).error, None);
    assert_eq!(both("example.org", 7).error, None);
    assert_eq!((get(&system, WORKERS), system.evaluations()), (json!(7), evaluations));
    assert_eq!(
        system.run(&["sources", "--json"]).json()["sources"][0]["values"]["networking"]["domain"],
        "example.org"
    );
    // What is said of them no more is over, and other sources know nothing of it.
    assert_eq!(handler.ask(AGENT, "SetLayer", json!({"source": "fleet", "values": {}})).error, None);
    assert_eq!(system.run(&["sources", "--json"]).json()["sources"][0]["values"], json!({}));
}

#[test]
fn a_layer_whose_evaluation_is_refused_is_rejected_whole_and_not_evaluated_again() {
    let system = evaluating(&json!({}));
    let say = |revision: &str, domain: &str, workers: u32| {
        let text = format!("{{ networking.domain = \"{domain}\"; services.harmonia.settings.workers = {workers}; }}");
        say(&system, "fleet", revision, &text)
    };
    say("1", "example.org", 6).ends(0);
    system.evaluates_to(&json!({"failedAssertions": ["a domain needs two parts"]}));
    let run = say("2", "a.org", 7).ends(3);
    assert_eq!(run.stderr, "error: a rebuild would fail: a domain needs two parts\n");
    assert_eq!(get(&system, WORKERS), json!(6));
    insta::assert_snapshot!(without_times(&system.run(&["sources"]).ends(0).stdout));
    let (evaluations, log) = (system.evaluations(), system.read("etc/nixos/dynamic.nix"));
    // Mended meanwhile, but nobody says so.
    system.evaluates_to(&json!({}));
    let run = say("2", "a.org", 7).ends(3);
    assert!(
        run.stderr.contains("2 of fleet was refused here before (record 2): a rebuild would fail"),
        "{}",
        run.stderr
    );
    assert_eq!((system.evaluations(), system.read("etc/nixos/dynamic.nix")), (evaluations, log));
    say("3", "a.org", 7).ends(0);
    assert_eq!(get(&system, WORKERS), json!(7));
    // What is no verdict on the values is no refusal, and is tried again.
    system.evaluates_to(&json!({"system": "/nix/store/another"}));
    let log = system.read("etc/nixos/dynamic.nix");
    say("4", "b.org", 7).ends(1);
    assert_eq!(system.read("etc/nixos/dynamic.nix"), log);
    system.evaluates_to(&json!({}));
    say("4", "b.org", 7).ends(0);
}

/// The agent's program does it, beside this one; all words are its own.
#[test]
fn what_concerns_a_fleet_is_done_by_the_program_beside() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let (dynix, fleet) = (directory.path().join("dynix"), directory.path().join("dynix-fleet"));
    std::fs::copy(env!("CARGO_BIN_EXE_dynix"), &dynix).unwrap();
    std::fs::write(&fleet, "#!/bin/sh\nprintf '%s,' \"$@\"\nexit 8\n").unwrap();
    std::fs::set_permissions(&fleet, std::fs::Permissions::from_mode(0o755)).unwrap();
    let words = ["fleet", "set", "a.b", "-7", "--help", "--group", "web"];
    let run = support::finish(std::process::Command::new(&dynix).args(words)).ends(8);
    assert_eq!(run.stdout, "set,a.b,-7,--help,--group,web,");
    std::fs::remove_file(&fleet).unwrap();
    if !std::path::Path::new("/run/current-system/sw/bin/dynix-fleet").exists() {
        let run = support::finish(std::process::Command::new(&dynix).args(words)).ends(1);
        assert!(
            run.stderr.contains("cannot run dynix-fleet, which comes with the agent: there is no"),
            "{}",
            run.stderr
        );
    }
}
