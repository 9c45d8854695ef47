//! What survives: restarts, boots, lost state, damage.

use crate::support::*;

/// The state of the source, as of another boot.
fn reboot(host: &Host) {
    let text = std::fs::read_to_string(host.state_file()).unwrap();
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let other = text.replace(boot.trim(), "another boot");
    assert_ne!(other, text);
    std::fs::write(host.state_file(), other).unwrap();
}

#[tokio::test]
async fn a_restart_gives_the_same_layer_without_a_network() {
    let place = Place::new();
    let repository = place.repository("a");
    let first = repository.publish(&[("all.nix", "{ a.b = 1; }")], "One");
    repository.publish(&[("README", "x")], "Not for hosts");
    let host = Host::of(&place, &repository);
    let mut running = host.start();
    running.layer().await;
    repository.publish(&[("README", "y")], "Not for hosts either");
    running.look();
    running.stop().await;

    let away = place.path().join("away");
    std::fs::rename(&repository.bare, &away).unwrap();
    let mut running = host.start();
    let layer = running.layer().await;
    assert_eq!(values(&layer), r#"{"a":{"b":1}}"#);
    assert_ne!(layer.revision, first, "the first look was after the second commit");
    assert!(running.trouble().await.contains("not appear to be a git repository"));
    std::fs::rename(&away, &repository.bare).unwrap();
    running.look();
    assert_eq!(running.event().await, dynix_agent::sources::Event::Reached);
    running.stop().await;
}

#[tokio::test]
async fn a_testing_commit_is_over_with_its_boot() {
    let place = Place::new();
    let repository = place.repository("a");
    repository.publish(&[("all.nix", "{ a.b = 1; }")], "Main");
    let host = Host::of(&place, &repository);
    repository.commit(&[("all.nix", "{ a.b = 2; }")], "Try");
    repository.push("testing-web3");
    let mut running = host.start();
    assert_eq!(values(&running.layer().await), r#"{"a":{"b":2}}"#);
    running.stop().await;

    // A restart of the agent keeps it.
    let mut running = host.start();
    assert_eq!(values(&running.layer().await), r#"{"a":{"b":2}}"#);
    running.stop().await;

    // A boot does not, with or without a network.
    reboot(&host);
    let away = place.path().join("away");
    std::fs::rename(&repository.bare, &away).unwrap();
    let mut running = host.start();
    assert_eq!(values(&running.layer().await), r#"{"a":{"b":1}}"#);
    running.stop().await;
    std::fs::rename(&away, &repository.bare).unwrap();
    let mut running = host.start();
    assert_eq!(values(&running.layer().await), r#"{"a":{"b":1}}"#);
    let reason = running.trouble().await;
    assert!(reason.ends_with("push another commit to try it again"), "{reason}");

    repository.git(&["commit", "-q", "--amend", "-m", "Try once more"]);
    repository.push("testing-web3");
    assert_eq!(values(&running.looked().await), r#"{"a":{"b":2}}"#);
    running.stop().await;
}

#[tokio::test]
async fn an_older_commit_does_not_come_back_when_the_state_is_lost() {
    let place = Place::new();
    let repository = place.repository("a");
    let old = repository.publish(&[("all.nix", "{ a.b = 1; }")], "Old");
    let new = repository.publish(&[("all.nix", "{ a.b = 2; }")], "New");
    let mut host = Host::of(&place, &repository);
    let mut running = host.start();
    running.layer().await;
    running.stop().await;
    std::fs::remove_dir_all(&host.state).unwrap();
    repository.git(&["reset", "-q", "--hard", &old]);
    repository.push("main");

    // The host's log names the revision.
    host.known = Some(new.clone());
    let mut running = host.start();
    let reason = running.trouble().await;
    assert!(reason.contains(&format!("main is not on top of {}", &new[..12])), "{reason}");
    running.stop().await;

    // The configuration names it.
    std::fs::remove_dir_all(&host.state).unwrap();
    host.known = None;
    host.config.since_commit = Some(new.clone());
    let mut running = host.start();
    let reason = running.trouble().await;
    assert!(reason.contains(&format!("main is not on top of {}", &new[..12])), "{reason}");
    repository.git(&["merge", "-q", "--ff-only", &new]);
    repository.push("main");
    assert_eq!(running.looked().await.revision, new);
    running.stop().await;

    // A revision of a testing commit names main as well; in which boot it was is lost with the state.
    std::fs::remove_dir_all(&host.state).unwrap();
    host.config.since_commit = None;
    let tried = repository.commit(&[("all.nix", "{ a.b = 3; }")], "Try");
    repository.push("testing-web3");
    host.known = Some(format!("{tried} on {new}"));
    let mut running = host.start();
    assert_eq!(running.layer().await.revision, new);
    running.stop().await;
}

#[tokio::test]
async fn the_commit_of_the_configuration_may_be_far_below() {
    let place = Place::new();
    let repository = place.repository("a");
    let since = repository.commit(&[("all.nix", "{ a.b = 0; }")], "Since");
    for number in 1..=100 {
        repository.commit(&[], &format!("Commit {number}"));
    }
    let tip = repository.publish(&[("all.nix", "{ a.b = 1; }")], "Tip");
    let mut host = Host::of(&place, &repository);
    host.config.since_commit = Some(since);
    let mut running = host.start();
    assert_eq!(running.layer().await.revision, tip);
    running.stop().await;

    // A commit that is nowhere.
    let elsewhere = place.repository("b");
    host.config.since_commit = Some(elsewhere.commit(&[], "Elsewhere"));
    let mut running = host.start();
    // What was taken before holds.
    assert_eq!(running.layer().await.revision, tip);
    assert!(running.trouble().await.contains("main is not on top of"));
    running.stop().await;
}

#[tokio::test]
async fn damage_is_mended_by_fetching_anew_and_never_taken_for_nothing() {
    let place = Place::new();
    let repository = place.repository("a");
    let tip = repository.publish(&[("all.nix", "{ a.b = 1; }")], "One");
    let host = Host::of(&place, &repository);
    let mut running = host.start();
    running.layer().await;
    running.stop().await;

    // Packs without an end, as after a power cut.
    for entry in std::fs::read_dir(host.mirror().join("objects/pack")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "pack") {
            let bytes = std::fs::read(&path).unwrap();
            std::fs::remove_file(&path).unwrap();
            std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        }
    }
    // A lock of a git that was killed.
    std::fs::write(host.mirror().join("shallow.lock"), "").unwrap();
    let mut running = host.start();
    let layer = loop {
        running.look();
        if let dynix_agent::sources::Event::Layer(layer) = running.event().await {
            break layer;
        }
    };
    assert_eq!(layer.revision, tip);
    running.stop().await;

    std::fs::write(host.state_file(), "{").unwrap();
    let mut running = host.start();
    assert!(running.trouble().await.starts_with("cannot understand "));
    running.stop().await;
}
