//! How long it takes from a push to a layer. `cargo test --release -p dynix-agent --test git -- --ignored --nocapture time`
//! shows the numbers of docs/fleets-git.md.

use std::time::{Duration, Instant};

use crate::http;
use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures"]
async fn from_a_push_to_a_layer() {
    let place = Place::new();
    let mut repository = place.repository("a");
    repository.git(&["--git-dir", repository.bare.as_str(), "config", "uploadpack.allowFilter", "true"]);
    let key = ssh_key(&place.path(), "alice");
    repository.settings =
        vec!["gpg.format=ssh".to_owned(), format!("user.signingKey={key}"), "commit.gpgSign=true".to_owned()];
    let public = std::fs::read_to_string(format!("{key}.pub")).unwrap();
    let allowed = place.path().join("allowed_signers");
    std::fs::write(&allowed, format!("alice@example.org {public}")).unwrap();
    repository.publish(&[("all.nix", "{ a.b = 1; }"), ("hosts/web3.nix", "{ a.c = 1; }")], "Begin");
    let mut urls = vec![("file", repository.bare.to_string())];
    if let Some(backend) = http::backend() {
        urls.push(("http", format!("{}/a/config.git", http::serve(backend, place.path(), None).url)));
    }
    for (name, url) in &urls {
        for signed in [false, true] {
            let mut host = Host::new(&place, &[("origin", url)]);
            host.state = place.path().join(format!("{name}{signed}"));
            host.config.allowed_signers = signed.then(|| allowed.clone());
            let mut running = host.start();
            running.layer().await;
            let mut times = Vec::new();
            for number in 0..40 {
                // Looks are a quarter of a second apart.
                tokio::time::sleep(Duration::from_millis(300)).await;
                repository.publish(&[("hosts/web3.nix", &format!("{{ a.c = \"{name}{signed}{number}\"; }}"))], "More");
                let begun = Instant::now();
                running.looked().await;
                times.push(begun.elapsed());
            }
            running.stop().await;
            times.sort();
            eprintln!("{name}, signed {signed}: half within {:?}, the slowest {:?}", times[20], times[39]);
        }
    }
}
