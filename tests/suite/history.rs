//! `dynix history`: which override held from when to when, and the page that shows it.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{System, skip};

const WORKERS: &str = "services.harmonia.settings.workers";
const JOBS: &str = "services.distccd.maxJobs";

/// A log of one morning: a value that was replaced, one that a unit did not come up on, and one that still holds.
fn morning() -> System {
    let system = System::new();
    system.write(
        "etc/nixos/dynamic.nix",
        r#"{ overrides, ... }: overrides
{ id = 1; time = "2026-11-30T08:00:00Z"; by = "alice"; set.services.harmonia.settings.workers = 8; }
{ id = 2; time = "2026-11-30T09:00:00Z"; by = "bob"; message = "all we have"; set.services.harmonia.settings.workers = 900; }
{ id = 3; time = "2026-11-30T09:00:05Z"; by = "root"; reject = 2; reason = "harmonia.service failed:\n<b>out of memory</b>"; }
{ id = 4; time = "2026-11-30T10:00:00Z"; by = "bob"; until = "2026-11-30T11:00:00Z"; set.services.distccd.maxJobs = 5; }
{ id = 5; time = "2026-11-30T11:00:00Z"; by = "root"; reject = 4; reason = "expired"; }
"#,
    );
    system
}

fn periods(system: &System, arguments: &[&str]) -> Vec<Value> {
    let history = system.run(&[&["history", "--json"], arguments].concat()).ends(0).json();
    history["periods"].as_array().unwrap().clone()
}

#[test]
fn each_value_has_its_time_and_its_end() {
    let system = morning();
    let shown: Vec<Value> = periods(&system, &[])
        .iter()
        .map(|one| json!([one["path"], one["value"], one["by"], one["from"], one["to"], one["end"]]))
        .collect();
    let rejected = json!({"rejected": {"record": 3, "reason": "harmonia.service failed:\n<b>out of memory</b>"}});
    assert_eq!(
        shown,
        [
            json!([WORKERS, 8, "alice", "2026-11-30T08:00:00Z", "2026-11-30T09:00:00Z", {"replaced": 2}]),
            json!([WORKERS, 900, "bob", "2026-11-30T09:00:00Z", "2026-11-30T09:00:05Z", rejected]),
            // What was replaced holds again.
            json!([WORKERS, 8, "alice", "2026-11-30T09:00:05Z", null, "holds"]),
            json!([JOBS, 5, "bob", "2026-11-30T10:00:00Z", "2026-11-30T11:00:00Z", {"expired": 5}]),
        ]
    );
    assert_eq!(periods(&system, &["distccd"]).len(), 1);
    assert_eq!(periods(&system, &[WORKERS]).len(), 3);
    assert_eq!(periods(&system, &["services.harmonia.settings.priority"]).len(), 0);
}

/// What no longer has the type that it had holds nowhere, though nothing ended it.
#[test]
fn a_value_that_is_left_out_is_not_said_to_hold() {
    let system = System::new();
    system.write(
        "etc/nixos/dynamic.nix",
        r#"{ overrides, ... }: overrides
{ id = 1; time = "2026-11-30T08:00:00Z"; by = "alice"; set.services = { distccd.maxJobs = "many"; harmonia.settings.priority = 9; }; }
{ id = 2; time = "2026-11-30T09:00:00Z"; by = "alice"; set.services.nothing.workers = 8; }
"#,
    );
    let text = system.run(&["history"]).ends(0).stdout;
    let told = |path: &str| text.split(path).nth(1).unwrap().lines().nth(1).unwrap().to_owned();
    assert!(told(JOBS).contains(", record 1 by alice: does not hold: it is none of what"), "{text}");
    // The record is left out as a whole.
    assert!(told("settings.priority").contains(", record 1 by alice: does not hold: it is none of what"), "{text}");
    assert!(told("services.nothing.workers").contains("does not hold: "), "{text}");
    let history = system.run(&["history", JOBS, "--json"]).ends(0).json();
    assert_eq!(
        (&history["leftOut"][0]["path"], &history["leftOut"][0]["id"]),
        (&json!(["services", "distccd", "maxJobs"]), &json!(1))
    );
    let page = system.run(&["history", "--html", "-"]).ends(0).stdout;
    assert!(page.contains("does not hold: "), "{page}");
}

/// What is left out of another subject is not listed; what takes the record of this one out is.
#[test]
fn only_what_the_subject_takes_is_left_out() {
    let system = System::new();
    system.write(
        "etc/nixos/dynamic.nix",
        r#"{ overrides, ... }: overrides
{ id = 1; set.services = { distccd.maxJobs = "many"; harmonia.settings.priority = 9; }; }
{ id = 2; set.services.gotosocial.settings.port = "none"; }
{ id = 3; set.services.nothing.workers = 8; }
"#,
    );
    for (subject, paths) in [
        (JOBS, &[JOBS][..]),
        ("distccd", &[JOBS]),
        ("harmonia", &[JOBS]),
        ("services.gotosocial", &["services.gotosocial.settings.port"]),
        ("services.nothing", &["services.nothing.workers"]),
        (WORKERS, &[]),
    ] {
        let history = system.run(&["history", subject, "--json"]).ends(0).json();
        let left_out = history["leftOut"].as_array().unwrap();
        let found: Vec<String> = left_out
            .iter()
            .map(|one| {
                one["path"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect::<Vec<_>>().join(".")
            })
            .collect();
        assert_eq!(found, paths, "{subject}");
    }
    assert_eq!(system.run(&["history", "--json"]).ends(0).json()["leftOut"].as_array().unwrap().len(), 3);
}

#[test]
fn it_is_told_in_words() {
    let system = morning();
    let text = system.run(&["history"]).ends(0).stdout;
    for line in [
        "services.harmonia.settings.workers = 900\n  2026-11-30T09:00:00Z to 2026-11-30T09:00:05Z (5s), record 2 by bob: \
         rejected by record 3: harmonia.service failed:\n",
        "services.distccd.maxJobs = 5\n  2026-11-30T10:00:00Z to 2026-11-30T11:00:00Z (1h), record 4 by bob: its time was \
         over (record 5)\n",
        "    <b>out of memory</b>\n  # all we have\n",
        "record 1 by alice: recorded, not in effect\n",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    system.run(&["apply"]).ends(0);
    let text = system.run(&["history"]).ends(0).stdout;
    assert!(text.contains("record 1 by alice: holds\n"), "{text}");
}

#[test]
fn a_part_of_the_log_says_that_it_is_one() {
    let system = morning();
    let history = system.run(&["history", "--last", "2", "--json"]).ends(0).json();
    assert_eq!(history["partial"], true);
    let first = &history["periods"][0];
    assert_eq!((&first["value"], first.get("from"), &first["end"]), (&json!(8), None, &json!("holds")));
    assert!(system.run(&["history", "--last", "2"]).ends(0).stdout.starts_with("(older records are left out;"));
}

#[test]
fn a_wrong_service_is_named_and_secrets_stay_secret() {
    let run = morning().run(&["history", "nope"]).ends(3);
    assert_eq!(
        run.stderr,
        "error: no service nope is dynamic-enabled; the services are distccd, gotosocial, harmonia\n"
    );
    assert!(System::new().run(&["history"]).ends(0).stderr.contains("nothing was overridden"));
}

#[test]
fn the_page_needs_nothing_else_and_every_value_is_text_in_it() {
    let system = morning();
    let file = system.path("history.html");
    system
        .run(&["append", "services.gotosocial.settings.application-name", "</code><script>alert(1)</script>"])
        .ends(0);
    system.run(&["history", "--html", file.as_str()]).ends(0);
    let page = system.read("history.html");
    for text in [
        "<!doctype html>",
        "&lt;script&gt;",
        "&lt;b&gt;out of memory&lt;&#x2f;b&gt;",
        "class=\"rejected\"",
        "<br>all we have",
    ] {
        assert!(page.contains(text), "{text}\n{page}");
    }
    for other in ["<script", "http:", "https:", "<b>out", "src=", "url("] {
        assert!(!page.contains(other), "{other}");
    }
    let out = system.run(&["history", "--html", "-"]).ends(0).stdout;
    assert!(out.contains("Overrides on"));
}

/// A real browser lays it out: each bar is where its time is.
#[test]
fn a_browser_shows_it() {
    if Command::new("chromium").arg("--version").output().is_err() {
        return skip("the page of `dynix history` in a browser: there is no chromium");
    }
    let system = morning();
    let page = system.path("history.html");
    system.run(&["history", "--html", page.as_str()]).ends(0);
    let out = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"])
        .arg(format!("--user-data-dir={}", system.path("chromium")))
        .arg(format!("file://{page}"))
        .output()
        .unwrap();
    let dom = String::from_utf8(out.stdout).unwrap();
    assert_eq!(dom.matches("<section>").count(), 2, "{dom}");
    assert_eq!(dom.matches("<b class=").count(), 4, "{dom}");
    let screenshot = system.path("history.png");
    Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1000,700"])
        .arg(format!("--screenshot={screenshot}"))
        .arg(format!("--user-data-dir={}", system.path("chromium")))
        .arg(format!("file://{page}"))
        .output()
        .unwrap();
    if let Some(kept) = std::env::var_os("DYNIX_SCREENSHOT") {
        std::fs::copy(&screenshot, kept).unwrap();
    }
    // One colour alone would compress to a small file.
    assert!(std::fs::metadata(&screenshot).unwrap().len() > 10_000);
}
