//! What is no layer is said, with the commit, the file and the line, and the host keeps what it has.

use std::os::unix::fs::symlink;

use dynix_agent::sources::{Event, With};

use crate::support::*;

#[tokio::test]
async fn what_does_not_parse_is_said_with_its_line() {
    let place = Place::new();
    let repository = place.repository("a");
    repository.publish(&[("all.nix", "{ a.b = 1; }")], "Well");
    let mut host = Host::of(&place, &repository).start();
    host.layer().await;

    let mut told = String::new();
    let mut troubles = async |files: &[(&str, &str)], undo: &[(&str, &str)]| {
        let commit = repository.publish(files, "Bad");
        told += &shown(&host.troubled().await, &place, &[(&commit, "COMMIT")]);
        told.push('\n');
        repository.commit(undo, "Undo");
    };
    troubles(&[("hosts/web3.nix", "{\n  a.b = 2;\n  a.c = pkgs.hello;\n}\n")], &[("hosts/web3.nix", "")]).await;
    troubles(&[("all.nix", "{\n  a.b = ;\n}\n")], &[("all.nix", "{ a.b = 1; }")]).await;
    troubles(&[("groups/web.toml", "[a]\nb = 1\nb = 2\n")], &[("groups/web.toml", "")]).await;
    troubles(&[("groups/web.json", "{\"a\": 1,}")], &[("groups/web.json", "")]).await;
    troubles(&[("groups/web.json", "[1]")], &[("groups/web.json", "")]).await;
    troubles(&[("all.toml", "[a]\nb = 2\n")], &[("all.toml", "")]).await;
    troubles(&[("hosts/web3.nix", &format!("{{ a.b = \"{}\"; }}", "x".repeat(10 << 20)))], &[("hosts/web3.nix", "")])
        .await;
    insta::assert_snapshot!(told);

    // Others' files are their matter.
    repository.publish(&[("hosts/web1.nix", "{"), ("hosts/web3.nix", "{ a.b = 2; }")], "Well again");
    assert_eq!(values(&host.looked().await), r#"{"a":{"b":2}}"#);
    host.stop().await;
}

#[tokio::test]
async fn only_a_commit_that_would_hold_is_named_as_no_layer() {
    let place = Place::new();
    let repository = place.repository("a");
    let main = repository.publish(&[("all.nix", "{ a.b = 1; }")], "Well");
    let mut host = Host::of(&place, &repository).start();
    let layer = host.layer().await;
    assert_eq!(host.event().await, Event::Reached);

    let bad = repository.publish(&[("all.nix", "{")], "Bad");
    host.look();
    let Event::Trouble { with, .. } = host.event().await else { panic!() };
    assert_eq!(with, With::Revision(bad));
    // The files are as before: the host has them, and it is said again that they hold.
    repository.publish(&[("all.nix", "{ a.b = 1; }")], "As before");
    assert_eq!(host.looked().await, layer);
    assert_eq!(host.event().await, Event::Reached);

    // A testing branch that is of no use keeps nothing from holding.
    repository.git(&["reset", "-q", "--hard", &main]);
    repository.commit(&[("all.nix", "{ a.b = 2; }")], "Try");
    repository.push("testing-web3");
    host.look();
    let Event::Trouble { with, .. } = host.event().await else { panic!() };
    assert_eq!(with, With::Source);

    // Only where no remote answers, the source can't be reached.
    std::fs::rename(&repository.bare, place.path().join("away")).unwrap();
    host.look();
    let Event::Trouble { with, .. } = host.event().await else { panic!() };
    assert_eq!(with, With::Reach);
    host.stop().await;
}

#[tokio::test]
async fn what_is_no_file_is_not_read() {
    let place = Place::new();
    let repository = place.repository("a");
    let secret = place.path().join("secret.nix");
    std::fs::write(&secret, "{ a.b = 99; }").unwrap();
    repository.publish(&[("all.nix", "{ a.b = 1; }"), ("hosts/other.nix", "{ a.b = 3; }")], "Well");
    let host = Host::of(&place, &repository);
    let mut running = host.start();
    running.layer().await;

    let mut told = String::new();
    symlink(&secret, repository.work.join("hosts/web3.nix")).unwrap();
    let commit = repository.publish(&[], "A link");
    told += &(shown(&running.troubled().await, &place, &[(&commit, "COMMIT")]) + "\n");
    std::fs::remove_file(repository.work.join("hosts/web3.nix")).unwrap();

    std::fs::remove_dir_all(repository.work.join("hosts")).unwrap();
    symlink("/etc", repository.work.join("hosts")).unwrap();
    let commit = repository.publish(&[], "A link to a directory");
    told += &(shown(&running.troubled().await, &place, &[(&commit, "COMMIT")]) + "\n");
    std::fs::remove_file(repository.work.join("hosts")).unwrap();

    // A submodule, whose repository would be a program to run.
    let module = place.repository("module");
    module.publish(&[("web3.nix", "{ a.b = 98; }")], "Module");
    std::fs::write(
        repository.work.join(".gitmodules"),
        format!("[submodule \"hosts\"]\n\tpath = hosts\n\turl = ext::touch% {}/ran\n", place.path()),
    )
    .unwrap();
    let entry = format!("160000,{},hosts", module.git(&["rev-parse", "HEAD"]));
    repository.git(&["add", ".gitmodules"]);
    repository.git(&["update-index", "--add", "--cacheinfo", &entry]);
    repository.git(&["commit", "-q", "-m", "A submodule"]);
    let commit = repository.git(&["rev-parse", "HEAD"]);
    repository.push("main");
    told += &(shown(&running.troubled().await, &place, &[(&commit, "COMMIT")]) + "\n");
    repository.git(&["rm", "-q", "--cached", "hosts"]);

    repository.git(&["rm", "-q", "--cached", "-r", "."]);
    repository.write("groups", "a file");
    std::fs::remove_file(repository.work.join(".gitmodules")).unwrap();
    let commit = repository.publish(&[], "A file");
    told += &(shown(&running.troubled().await, &place, &[(&commit, "COMMIT")]) + "\n");
    std::fs::remove_file(repository.work.join("groups")).unwrap();
    insta::assert_snapshot!(told);

    repository.publish(&[("all.nix", "{ a.b = 2; }")], "Well again");
    assert_eq!(values(&running.looked().await), r#"{"a":{"b":2}}"#);
    assert!(!place.path().join("ran").exists());
    running.stop().await;
}

#[tokio::test]
async fn names_do_not_lead_elsewhere() {
    let place = Place::new();
    let repository = place.repository("a");
    repository
        .publish(&[("all.nix", "{ a.b = 1; }"), ("fleet/all.nix", "{ a.b = 2; }"), ("x.nix", "{ a.b = 9; }")], "Well");
    let mut host = Host::of(&place, &repository);
    host.config.directory = "fleet".to_owned();
    host.groups = vec!["../x".to_owned(), "..".to_owned(), String::new(), "*".to_owned(), ":/x".to_owned()];
    host.name = "../../x".to_owned();
    let mut running = host.start();
    assert_eq!(values(&running.layer().await), r#"{"a":{"b":2}}"#);
    running.stop().await;
    for (directory, problem) in [
        ("../fleet", "directory \"../fleet\" is not below the top of the repository"),
        ("/fleet", "directory \"/fleet\" is not below the top of the repository"),
        ("fleet/none", "there is no directory fleet/none"),
        ("x.nix", "x.nix is a file; it has to be a directory"),
    ] {
        host.config.directory = directory.to_owned();
        host.state = place.path().join(format!("host{}", directory.replace('/', "-")));
        let mut running = host.start();
        let reason = running.trouble().await;
        assert!(reason.ends_with(problem), "{reason}");
        running.stop().await;
    }
}

#[tokio::test]
async fn an_empty_repository_is_trouble_and_an_empty_directory_is_not() {
    let place = Place::new();
    let repository = place.repository("a");
    let mut host = Host::of(&place, &repository).start();
    assert_eq!(host.trouble().await, "origin: there is no branch main (yet)");
    repository.publish(&[("README", "Nothing yet")], "Begin");
    assert_eq!(values(&host.looked().await), "{}");
    // A layer that says nothing any more is a layer.
    repository.publish(&[("all.nix", "{ a.b = 1; }")], "More");
    assert_eq!(values(&host.looked().await), r#"{"a":{"b":1}}"#);
    repository.publish(&[("all.nix", "")], "Less");
    assert_eq!(values(&host.looked().await), "{}");
    // A branch that is gone is not one that says nothing.
    repository.git(&["push", "-q", "origin", ":main"]);
    assert_eq!(host.troubled().await, "origin: there is no branch main (yet)");
    host.stop().await;
}

#[tokio::test]
async fn a_hook_and_a_users_configuration_are_not_run() {
    let place = Place::new();
    let repository = place.repository("a");
    repository.publish(&[("all.nix", "{ a.b = 1; }")], "Well");
    let ran = place.path().join("ran");
    let host = Host::of(&place, &repository);
    let mut running = host.start();
    running.layer().await;
    // In the repository that is fetched from, and in that of the host.
    for directory in [repository.bare.clone(), host.mirror()] {
        let hooks = directory.join("hooks");
        std::fs::create_dir_all(&hooks).unwrap();
        for hook in ["reference-transaction", "post-checkout", "pre-auto-gc", "post-rewrite"] {
            let path = hooks.join(hook);
            std::fs::write(&path, format!("#!/bin/sh\ntouch {ran}\n")).unwrap();
            run("chmod", &["755", path.as_str()]);
        }
    }
    std::fs::write(
        repository.bare.join("config"),
        format!("[core]\n\tbare = true\n[uploadpack]\n\tpackObjectsHook = touch {ran}; false\n"),
    )
    .unwrap();
    repository.environment_free_push(&[("all.nix", "{ a.b = 2; }")]);
    let _ = std::fs::remove_file(&ran);
    assert_eq!(values(&running.looked().await), r#"{"a":{"b":2}}"#);
    assert!(!ran.exists());
    running.stop().await;
}

impl Repository {
    /// Pushes without hooks.
    fn environment_free_push(&self, files: &[(&str, &str)]) {
        self.commit(files, "More");
        self.git(&["-c", "core.hooksPath=/dev/null", "push", "-q", "origin", "HEAD:refs/heads/main"]);
    }
}
