//! Repositories whose objects have names of SHA-256.

use crate::http::{backend, serve};
use crate::signatures::{allowed, sign_with};
use crate::support::*;

#[tokio::test]
async fn a_repository_of_sha256_is_followed_as_any_other() {
    let place = Place::new();
    let mut repository = place.repository_of_sha256("a");
    let mut host = Host::of(&place, &repository);
    // Over HTTP, where objects come one by one.
    if let Some(backend) = backend() {
        repository.git(&["--git-dir", repository.bare.as_str(), "config", "uploadpack.allowFilter", "true"]);
        let web = serve(backend, place.path(), None);
        host.config.remotes.get_mut("origin").unwrap().url = format!("{}/a/config.git", web.url);
    }
    if has("ssh-keygen") {
        let key = ssh_key(&place.path(), "alice");
        sign_with(&mut repository, &key);
        host.config.allowed_signers = Some(allowed(&place, &[("alice@example.org", &key)]));
    }
    let first = repository.publish(&[("all.nix", "{ a.b = 1; }"), ("hosts/web3.nix", "{ a.c = 1; }")], "One");
    assert_eq!(first.len(), 64);
    host.config.since_commit = Some(first.clone());
    let mut running = host.start();
    let layer = running.layer().await;
    assert_eq!((values(&layer).as_str(), &layer.revision), (r#"{"a":{"b":1,"c":1}}"#, &first));

    let second = repository.publish(&[("all.nix", "{ a.b = 2; }")], "Two");
    assert_eq!(running.looked().await.revision, second);
    repository.commit(&[("all.nix", "{ a.b = 3; }")], "Try");
    repository.push("testing-web3");
    assert_eq!(values(&running.looked().await), r#"{"a":{"b":3,"c":1}}"#);
    running.stop().await;

    // main went another way while the agent was away.
    repository.git(&["reset", "-q", "--hard", &first]);
    let other = repository.publish(&[("all.nix", "{ a.b = 4; }")], "Another way");
    let mut running = host.start();
    let names = [(other.as_str(), "OTHER"), (second.as_str(), "SECOND")];
    let reason = loop {
        let reason = running.trouble_of_any().await;
        if reason.contains("goes forward") {
            break shown(&reason, &place, &names);
        }
    };
    insta::assert_snapshot!(reason);
    running.stop().await;
}

/// Histories of the two kinds have nothing in common, so one is no copy of the other, and none follows the other.
#[tokio::test]
async fn a_remote_of_the_other_kind_is_refused_and_says_why() {
    let place = Place::new();
    let (old, new) = (place.repository("old"), place.repository_of_sha256("new"));
    let first = old.publish(&[("all.nix", "{ a.b = 1; }")], "One");
    let tip = new.publish(&[("all.nix", "{ a.b = 2; }")], "One");
    let mut host = Host::of(&place, &old);
    let mut running = host.start();
    assert_eq!(running.layer().await.revision, first);
    running.stop().await;

    host.config.remotes.insert("moved".to_owned(), remote(new.bare.as_str()));
    let mut running = host.start();
    let reason = running.trouble_of_any().await;
    insta::assert_snapshot!(shown(&reason, &place, &[(&tip, "TIP"), (&first, "FIRST")]));
    // The one that is as before still counts.
    old.publish(&[("all.nix", "{ a.b = 3; }")], "Two");
    assert_eq!(values(&running.looked().await), r#"{"a":{"b":3}}"#);
    running.stop().await;
}
