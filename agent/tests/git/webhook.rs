//! "Fetch now".

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::support::*;

fn post(mut stream: impl Read + Write) -> String {
    stream.write_all(b"POST /any HTTP/1.1\r\nContent-Length: 9\r\n\r\n{\"ref\":1}").unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    reply.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_fetches_at_once() {
    let place = Place::new();
    let repository = place.repository("a");
    repository.publish(&[("all.nix", "{ a.b = 1; }")], "One");
    let mut host = Host::of(&place, &repository);
    let port = crate::ports::free();
    for (number, webhook) in
        [place.path().join("hook.sock").into_string(), format!("127.0.0.1:{port}")].iter().enumerate()
    {
        host.config.webhook = Some(webhook.clone());
        let mut running = host.start();
        running.layer().await;
        repository.publish(&[("all.nix", &format!("{{ a.b = {}; }}", number + 2))], "More");
        let webhook = webhook.clone();
        let posted = tokio::task::spawn_blocking(move || {
            if webhook.starts_with('/') {
                post(UnixStream::connect(webhook).unwrap())
            } else {
                post(std::net::TcpStream::connect(webhook).unwrap())
            }
        });
        assert_eq!(posted.await.unwrap(), "HTTP/1.1 202 Accepted");
        assert_eq!(values(&running.layer().await), format!(r#"{{"a":{{"b":{}}}}}"#, number + 2));
        running.stop().await;
    }
}

#[tokio::test]
async fn a_near_remote_is_looked_at_in_its_own_period() {
    let place = Place::new();
    let repository = place.repository("a");
    repository.publish(&[("all.nix", "{ a.b = 1; }")], "One");
    let mut host = Host::of(&place, &repository);
    host.config.remotes.get_mut("origin").unwrap().period = 0.2;
    // Beside it, one that never answers: it accepts and is silent.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut far = remote(&format!("http://{}/config.git", silent.local_addr().unwrap()));
    far.timeout = 1.0;
    host.config.remotes.insert("a-far".to_owned(), far);
    let mut running = host.start();
    // On a machine with much to do, the far one may have been given up by then.
    running.layer_after_all().await;
    repository.publish(&[("all.nix", "{ a.b = 2; }")], "Two");
    let mut reasons = Vec::new();
    let layer = loop {
        match running.event().await {
            dynix_agent::sources::Event::Layer(layer) => break layer,
            // The other remote can be reached.
            dynix_agent::sources::Event::Trouble { with, reason } => {
                assert_eq!(with, dynix_agent::sources::With::Source);
                reasons.push(reason);
            }
            dynix_agent::sources::Event::Reached => {}
        }
    };
    assert_eq!(values(&layer), r#"{"a":{"b":2}}"#);
    while reasons.is_empty() {
        if let dynix_agent::sources::Event::Trouble { reason, .. } = running.event().await {
            reasons.push(reason);
        }
    }
    assert_eq!(reasons[0], "a-far: no answer within 1 s");
    // Nothing of git is left when the source ends.
    running.stop().await;
    let address = silent.local_addr().unwrap().to_string();
    let are_left = || {
        std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(&address)
        })
    };
    let begun = std::time::Instant::now();
    while are_left() {
        assert!(begun.elapsed() < PATIENCE, "a git is left");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
