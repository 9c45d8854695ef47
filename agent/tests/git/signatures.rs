//! Who may sign: every commit since the last one, not the newest alone.

use camino::Utf8PathBuf;

use crate::support::*;

/// Signs with this key of SSH from now on.
pub fn sign_with(repository: &mut Repository, key: &Utf8PathBuf) {
    repository.settings =
        vec!["gpg.format=ssh".to_owned(), format!("user.signingKey={key}"), "commit.gpgSign=true".to_owned()];
}

pub fn allowed(place: &Place, keys: &[(&str, &Utf8PathBuf)]) -> Utf8PathBuf {
    let line = |(name, key): &(&str, &Utf8PathBuf)| {
        format!("{name} namespaces=\"git\" {}", std::fs::read_to_string(format!("{key}.pub")).unwrap())
    };
    let path = place.path().join("allowed_signers");
    std::fs::write(&path, keys.iter().map(line).collect::<String>()).unwrap();
    path
}

#[tokio::test]
async fn every_commit_is_signed_by_one_who_may() {
    if !has("ssh-keygen") {
        return skipped("signatures of SSH: no ssh-keygen");
    }
    let place = Place::new();
    let (alice, mallory) = (ssh_key(&place.path(), "alice"), ssh_key(&place.path(), "mallory"));
    let mut repository = place.repository("a");
    let mut host = Host::of(&place, &repository);
    host.config.allowed_signers = Some(allowed(&place, &[("alice@example.org", &alice)]));

    // Of the first, the tip alone: what was before nobody knows.
    repository.commit(&[], "Not signed");
    sign_with(&mut repository, &alice);
    repository.publish(&[("all.nix", "{ a.b = 1; }")], "Signed");
    let mut running = host.start();
    let layer = running.layer().await;
    assert_eq!(layer.by.as_deref(), Some("alice@example.org"));

    // A commit of another between two that are signed.
    sign_with(&mut repository, &mallory);
    let by_mallory = repository.commit(&[("all.nix", "{ a.b = 6; }")], "By\u{1b} Mallory");
    sign_with(&mut repository, &alice);
    let on_top = repository.publish(&[("all.nix", "{ a.b = 7; }")], "On top of it");
    let reason = running.troubled().await;
    let names = [(by_mallory.as_str(), "MALLORY"), (on_top.as_str(), "TOP")];
    insta::assert_snapshot!(shown(&reason, &place, &names), @r#"origin at TOP: commit MALLORY ("By Mallory" by Alice <alice@example.org>) is signed with a key that may not sign"#);

    // The same hidden behind the second parent of a merge that is signed.
    let signed = repository.git(&["rev-parse", "HEAD~2"]);
    repository.git(&["reset", "-q", "--hard", &signed]);
    repository.commit(&[], "Signed, too");
    repository.git(&["merge", "-q", "-s", "ours", "-m", "Merge", &on_top]);
    repository.push("main");
    let reason = running.troubled().await;
    assert!(reason.contains("(\"By Mallory\" by Alice <alice@example.org>) is signed with a key"), "{reason}");

    // One without a signature.
    repository.git(&["reset", "-q", "--hard", &signed]);
    repository.settings.clear();
    repository.publish(&[("all.nix", "{ a.b = 8; }")], "Not signed");
    assert!(running.troubled().await.ends_with("is not signed"));

    // One whose content was changed after it was signed.
    repository.git(&["reset", "-q", "--hard", &signed]);
    sign_with(&mut repository, &alice);
    repository.commit(&[("all.nix", "{ a.b = 9; }")], "As signed");
    let text = repository.git(&["cat-file", "commit", "HEAD"]).replace("As signed", "Changed");
    std::fs::write(place.path().join("changed"), text + "\n").unwrap();
    let changed = repository.git(&["hash-object", "-t", "commit", "-w", place.path().join("changed").as_str()]);
    repository.git(&["reset", "-q", "--hard", &changed]);
    repository.push("main");
    let reason = running.troubled().await;
    assert!(reason.ends_with("has a bad signature"), "{reason}");

    // Mallory becomes one who may: what was refused is looked at again.
    repository.git(&["reset", "-q", "--hard", &on_top]);
    repository.push("main");
    running.troubled().await;
    allowed(&place, &[("alice@example.org", &alice), ("mallory@example.org", &mallory)]);
    let layer = running.looked().await;
    assert_eq!((layer.revision, layer.by.as_deref()), (on_top, Some("alice@example.org")));
    running.stop().await;
}

#[tokio::test]
async fn testing_branches_are_signed_as_well() {
    if !has("ssh-keygen") {
        return skipped("signatures of SSH: no ssh-keygen");
    }
    let place = Place::new();
    let alice = ssh_key(&place.path(), "alice");
    let mut repository = place.repository("a");
    let mut host = Host::of(&place, &repository);
    host.config.allowed_signers = Some(allowed(&place, &[("alice@example.org", &alice)]));
    sign_with(&mut repository, &alice);
    repository.publish(&[("all.nix", "{ a.b = 1; }")], "Signed");
    let mut running = host.start();
    running.layer().await;
    repository.settings.clear();
    repository.commit(&[("all.nix", "{ a.b = 2; }")], "Try");
    repository.push("testing-web3");
    assert!(running.troubled().await.ends_with("is not signed"));
    running.stop().await;

    // A list that is not there is not an empty list, and lets nobody in.
    host.config.allowed_signers = Some(place.path().join("nowhere"));
    let mut running = host.start();
    running.layer().await;
    let reason = running.trouble().await;
    assert!(reason.ends_with("nowhere, which says who may sign"), "{reason}");
    running.stop().await;
}

#[tokio::test]
async fn keys_of_gpg_may_sign_and_no_other_key_of_it() {
    if !has("gpg") {
        return skipped("signatures of GPG: no gpg");
    }
    let place = Place::new();
    let mut repository = place.repository("a");
    // The path of an agent's socket is short.
    let home = tempfile::Builder::new().prefix("g").tempdir_in("/tmp").unwrap();
    let home = home.path().to_str().unwrap().to_owned();
    run("chmod", &["700", &home]);
    let make = |name: &str| {
        let arguments = ["--homedir", &home, "--batch", "--quiet", "--passphrase", "", "--quick-gen-key", name];
        run("gpg", &[&arguments[..], &["ed25519", "sign", "never"]].concat());
    };
    make("Bob <bob@example.org>");
    make("Eve <eve@example.org>");
    let keyring = place.path().join("bob.asc");
    let exported = run("gpg", &["--homedir", &home, "--armor", "--export", "bob@example.org"]);
    std::fs::write(&keyring, exported).unwrap();
    repository.environment = vec![("GNUPGHOME".to_owned(), home.clone())];
    let sign = |repository: &mut Repository, who: &str| {
        repository.settings = vec!["commit.gpgSign=true".to_owned(), format!("user.signingKey={who}")];
    };
    let mut host = Host::of(&place, &repository);
    host.config.gpg_keyring = Some(keyring);
    sign(&mut repository, "bob@example.org");
    repository.publish(&[("all.nix", "{ a.b = 1; }")], "Bob's");
    let mut running = host.start();
    let layer = running.layer().await;
    assert_eq!(layer.by.as_deref(), Some("Bob <bob@example.org>"));
    sign(&mut repository, "eve@example.org");
    repository.publish(&[("all.nix", "{ a.b = 2; }")], "Eve's");
    assert!(running.troubled().await.ends_with("is signed with a key that may not sign"));
    running.stop().await;

    // Where only keys of SSH may sign, those of GPG may not, whatever keyrings are around.
    if has("ssh-keygen") {
        let alice = ssh_key(&place.path(), "alice");
        host.config.gpg_keyring = None;
        host.config.allowed_signers = Some(allowed(&place, &[("alice@example.org", &alice)]));
        host.state = place.path().join("another");
        let mut running = host.start();
        running.trouble().await;
        running.stop().await;
    }
    run("gpgconf", &["--homedir", &home, "--kill", "all"]);
}
