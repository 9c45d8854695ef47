//! Two sources on one host: Git for what is reviewed, etcd for what is now.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::cli::run;
use crate::engine::{Engine, is_here};
use crate::hosts::{Host, JOBS, WORKERS, until};

fn git(directory: &Path, arguments: &[&str]) {
    let mut command = Command::new("git");
    command.current_dir(directory).args(["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]);
    let output = command.args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn where_two_sources_disagree_the_upper_one_holds_and_each_goes_by_itself() {
    if !is_here() {
        return;
    }
    let engine = Engine::new(1);
    let repository = tempfile::tempdir().unwrap();
    let path = repository.path();
    git(path, &["init", "-q", "-b", "main"]);
    let commit = |text: &str| {
        std::fs::write(path.join("all.nix"), text).unwrap();
        git(path, &["add", "all.nix"]);
        git(path, &["commit", "-q", "-m", "values"]);
    };
    commit(&format!("{{ {WORKERS} = 10; {JOBS} = 3; }}\n"));
    let remote = json!({"url": path, "period": 0.5});
    let config = json!({"config": {"kind": "git", "remotes": {"origin": remote}}});
    // The template has `fleet` over `config`.
    let host = Host::with(&engine, "web1", &["web"], &config);
    until("what is committed holds", || host.in_effect(WORKERS) == json!(10) && host.in_effect(JOBS) == json!(3));
    run(&engine, &["set", WORKERS, "20", "--group", "web"]).ends(0);
    until("etcd is over it", || host.in_effect(WORKERS) == json!(20));
    commit(&format!("{{ {WORKERS} = 11; {JOBS} = 4; }}\n"));
    until("the rest of a commit holds", || host.in_effect(JOBS) == json!(4));
    assert_eq!(host.in_effect(WORKERS), json!(20));
    // A commit that no host can take, beside an etcd that goes on.
    commit(&format!("{{ {WORKERS} = 12; {JOBS} = \"many\"; }}\n"));
    until("it is refused", || host.log().contains("is refused: "));
    run(&engine, &["unset", WORKERS, "--group", "web"]).ends(0);
    until("what was committed before holds", || host.in_effect(WORKERS) == json!(11));
    assert_eq!(host.in_effect(JOBS), json!(4));
    let sources = host.command(&["sources", "--output", "json"]).output().unwrap();
    let sources: Value = serde_json::from_slice(&sources.stdout).unwrap();
    let refused = sources["sources"].as_array().unwrap().iter().find(|source| source["name"] == "config").unwrap();
    assert_eq!(refused["values"]["services"]["distccd"]["maxJobs"], 4);
}
