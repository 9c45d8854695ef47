//! What of which branch holds.

use crate::support::*;

#[tokio::test]
async fn a_host_has_all_its_groups_and_its_own_file() {
    let place = Place::new();
    let repository = place.repository("a");
    let first = repository.publish(
        &[
            ("all.nix", "{ ... }:\n{\n  services.x.settings = { workers = 1; log = \"info\"; };\n}\n"),
            ("groups/web.toml", "[services.x.settings]\nworkers = 2\n"),
            ("groups/db.nix", "{ services.x.settings.workers = 99; }"),
            ("hosts/web1.nix", "{ services.x.settings.workers = 98; }"),
            ("README.md", "no settings"),
        ],
        "Begin",
    );
    let mut host = Host::of(&place, &repository).start();
    let layer = host.layer().await;
    assert_eq!(layer.revision, first);
    assert_eq!(layer.by.as_deref(), Some("Alice <alice@example.org> (not signed)"));
    assert_eq!(layer.message.as_deref(), Some("Begin"));
    assert_eq!(values(&layer), r#"{"services":{"x":{"settings":{"log":"info","workers":2}}}}"#);

    repository.publish(&[("hosts/web3.json", "{\"services\": {\"x\": {\"settings\": {\"workers\": 3}}}}")], "Web3");
    assert_eq!(values(&host.looked().await), r#"{"services":{"x":{"settings":{"log":"info","workers":3}}}}"#);

    // What is not for this host changes nothing for it, and neither the revision that it is on.
    repository.publish(&[("hosts/web1.nix", "{ }"), ("README.md", "more")], "Others");
    host.look();
    let last = repository.publish(&[("hosts/web3.json", "")], "No more of its own");
    let layer = host.looked().await;
    assert_eq!((layer.revision, layer.message.as_deref()), (last, Some("No more of its own")));
    host.stop().await;
}

#[tokio::test]
async fn main_only_goes_forward() {
    let place = Place::new();
    let repository = place.repository("a");
    let first = repository.publish(&[("all.nix", "{ a.b = 1; }")], "One");
    let second = repository.publish(&[("all.nix", "{ a.b = 2; }")], "Two");
    let mut host = Host::of(&place, &repository).start();
    assert_eq!(host.layer().await.revision, second);

    // Back, and to another commit on top of the first.
    repository.git(&["reset", "-q", "--hard", &first]);
    repository.push("main");
    host.look();
    let other = repository.publish(&[("all.nix", "{ a.b = 3; }")], "Three");
    let reason = loop {
        // The look may be between the two pushes: the first is a copy that lags.
        let reason = host.troubled().await;
        if reason.contains(&other[..12]) {
            break reason;
        }
    };
    let names = [(first.as_str(), "FIRST"), (second.as_str(), "SECOND"), (other.as_str(), "OTHER")];
    insta::assert_snapshot!(shown(&reason, &place, &names), @"origin at OTHER: main is not on top of SECOND, and it only goes forward: commit on top of that, or merge it (git merge -s ours SECOND)");

    // As it says.
    repository.git(&["merge", "-q", "-s", "ours", "-m", "Merge", &second]);
    repository.push("main");
    let layer = host.looked().await;
    assert_eq!(values(&layer), r#"{"a":{"b":3}}"#);
    host.stop().await;
}

#[tokio::test]
async fn a_testing_branch_stands_in_for_main_while_it_is_on_top_of_it() {
    let place = Place::new();
    let repository = place.repository("a");
    let main = repository.publish(&[("all.nix", "{ a.b = 1; }")], "Main");
    let mut host = Host::of(&place, &repository).start();
    assert_eq!(values(&host.layer().await), r#"{"a":{"b":1}}"#);

    let tried = repository.commit(&[("all.nix", "{ a.b = 2; }")], "Try");
    repository.push("testing-web3");
    let layer = host.looked().await;
    assert_eq!(layer.revision, format!("{tried} on {main}"));
    assert_eq!(values(&layer), r#"{"a":{"b":2}}"#);

    // It may be reset.
    repository.git(&["reset", "-q", "--hard", &main]);
    repository.commit(&[("all.nix", "{ a.b = 3; }")], "Try otherwise");
    repository.push("testing-web3");
    assert_eq!(values(&host.looked().await), r#"{"a":{"b":3}}"#);

    // main goes on without it: it is no longer on top.
    let testing = repository.git(&["rev-parse", "HEAD"]);
    repository.git(&["reset", "-q", "--hard", &main]);
    let next = repository.publish(&[("all.nix", "{ a.b = 4; }")], "Main goes on");
    let layer = host.looked().await;
    assert_eq!((layer.revision.as_str(), values(&layer).as_str()), (next.as_str(), r#"{"a":{"b":4}}"#));
    let reason = host.trouble().await;
    let names = [(next.as_str(), "NEXT"), (testing.as_str(), "TESTING")];
    insta::assert_snapshot!(shown(&reason, &place, &names), @"origin at TESTING: testing-web3 is not on top of main (NEXT); rebase it");

    // Rebased, and then merged: nothing changes any more.
    repository.commit(&[("all.nix", "{ a.b = 5; }")], "Try on top");
    repository.push("testing-web3");
    assert_eq!(values(&host.looked().await), r#"{"a":{"b":5}}"#);
    repository.push("main");
    host.look();
    repository.publish(&[("all.nix", "{ a.b = 6; }")], "Beyond");
    assert_eq!(values(&host.looked().await), r#"{"a":{"b":6}}"#);

    // The branch is gone.
    repository.commit(&[("all.nix", "{ a.b = 7; }")], "Try again");
    repository.push("testing-web3");
    assert_eq!(values(&host.looked().await), r#"{"a":{"b":7}}"#);
    repository.git(&["push", "-q", "origin", ":testing-web3"]);
    assert_eq!(values(&host.looked().await), r#"{"a":{"b":6}}"#);
    host.stop().await;
}

#[tokio::test]
async fn of_several_remotes_the_one_that_is_ahead_counts() {
    let place = Place::new();
    let (near, far) = (place.repository("near"), place.repository("far"));
    far.publish(&[("all.nix", "{ a.b = 1; }")], "One");
    near.git(&["pull", "-q", far.bare.as_str(), "main"]);
    near.push("main");
    let urls = [("far", far.bare.as_str()), ("near", near.bare.as_str())];
    let mut host = Host::new(&place, &urls).start();
    assert_eq!(values(&host.layer().await), r#"{"a":{"b":1}}"#);

    // The far one lags, which is no trouble.
    near.publish(&[("all.nix", "{ a.b = 2; }")], "Two");
    assert_eq!(values(&host.looked().await), r#"{"a":{"b":2}}"#);
    near.publish(&[("all.nix", "{ a.b = 3; }")], "Three");
    assert_eq!(values(&host.looked().await), r#"{"a":{"b":3}}"#);

    // It goes another way: said, and the near one still counts.
    let other = far.publish(&[("all.nix", "{ a.b = 9; }")], "Another way");
    let reason = host.troubled().await;
    assert!(reason.starts_with(&format!("far at {}: main is not on top of ", &other[..12])), "{reason}");
    near.publish(&[("all.nix", "{ a.b = 4; }")], "Four");
    assert_eq!(values(&host.looked().await), r#"{"a":{"b":4}}"#);

    // One that cannot be reached does not stop the other.
    std::fs::rename(&far.bare, far.work.join("away")).unwrap();
    // That it goes another way still holds after a layer, and is said again.
    assert!(host.trouble().await.contains("it only goes forward"));
    let reason = host.troubled().await;
    assert!(reason.contains("far: ") && reason.contains("not appear to be a git repository"), "{reason}");
    near.publish(&[("all.nix", "{ a.b = 5; }")], "Five");
    assert_eq!(values(&host.looked().await), r#"{"a":{"b":5}}"#);
    host.stop().await;
}

#[tokio::test]
async fn dates_of_commits_mean_nothing() {
    let place = Place::new();
    let mut repository = place.repository("a");
    let mut host: Option<Running> = None;
    // Each commit is years before the one that it is on top of; one is in the future.
    for (number, date) in ["4000000000", "1700000000", "1500000000", "3", "2500000000", "2"].iter().enumerate() {
        let date = format!("@{date} +0000");
        repository.environment =
            vec![("GIT_AUTHOR_DATE".to_owned(), date.clone()), ("GIT_COMMITTER_DATE".to_owned(), date)];
        let commit = repository.publish(&[("all.nix", &format!("{{ a.b = {number}; }}"))], "More");
        let layer = match &mut host {
            Some(host) => host.looked().await,
            None => host.insert(Host::of(&place, &repository).start()).layer().await,
        };
        assert_eq!(layer.revision, commit);
    }
    // Back to the newest date is still back.
    let newest = repository.git(&["rev-parse", "HEAD~5"]);
    repository.git(&["reset", "-q", "--hard", &newest]);
    repository.publish(&[("all.nix", "{ a.b = 99; }")], "Another way");
    let mut host = host.unwrap();
    assert!(host.troubled().await.contains("it only goes forward"));
    host.stop().await;
}
