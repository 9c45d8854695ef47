//! Remotes over HTTP and SSH, with git's own servers.

use std::process::{Command, Stdio};

use crate::http;
use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn over_http_with_a_password_and_without() {
    let Some(backend) = http::backend() else {
        return skipped("HTTP: this git has no git-http-backend");
    };
    let place = Place::new();
    let repository = place.repository("a");
    repository.publish(&[("all.nix", "{ a.b = 1; }")], "One");
    // `printf bot:p@ss | base64`
    let web = http::serve(backend, place.path(), Some("Basic Ym90OnBAc3M=".to_owned()));
    let url = format!("{}/a/config.git", web.url.replace("http://", "http://bot@"));
    let mut host = Host::new(&place, &[("origin", &url)]);
    let mut running = host.start();
    let reason = running.trouble().await;
    // The words differ between versions of git; it does not wait for any.
    assert!(reason.to_lowercase().contains("password"), "{reason}");
    running.stop().await;

    let password = place.path().join("password");
    std::fs::write(&password, "p@ss\n").unwrap();
    host.config.remotes.get_mut("origin").unwrap().password_file = Some(password.clone());
    let mut running = host.start();
    assert_eq!(values(&running.layer().await), r#"{"a":{"b":1}}"#);
    repository.publish(&[("all.nix", "{ a.b = 2; }")], "Two");
    assert_eq!(values(&running.looked().await), r#"{"a":{"b":2}}"#);

    // A password that is wrong for a while is read again.
    std::fs::write(&password, "wrong").unwrap();
    let reason = running.troubled().await;
    assert!(reason.contains("Authentication failed") && !reason.contains("wrong"), "{reason}");
    std::fs::write(&password, "p@ss\n").unwrap();
    repository.publish(&[("all.nix", "{ a.b = 3; }")], "Three");
    assert_eq!(values(&running.looked().await), r#"{"a":{"b":3}}"#);
    running.stop().await;
}

#[tokio::test]
async fn what_anybody_could_write_needs_signatures() {
    let place = Place::new();
    for (url, problem) in [
        ("http://git.example.org/a", "remote origin: anybody on the way can change what http://git.example.org/a says"),
        ("https://me:secret@git.example.org/a", "remote origin: a password in an address can be read by all"),
        ("ext::touch ran", "remote origin: \"ext::touch ran\" is neither"),
    ] {
        let mut running = Host::new(&place, &[("origin", url)]).start();
        let reason = running.trouble().await;
        assert!(reason.starts_with(problem) && !reason.contains("secret@"), "{reason}");
        running.stop().await;
    }
}

/// An SSH server for the user of the tests.
fn sshd(place: &Place, more: &str) -> (Server, u16) {
    let directory = place.path();
    let host_key = ssh_key(&directory, "host_key");
    let port = crate::ports::free();
    std::fs::copy(directory.join("client.pub"), directory.join("authorized_keys")).unwrap();
    let config = directory.join("sshd_config");
    std::fs::write(
        &config,
        format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {host_key}\nAuthorizedKeysFile {directory}/authorized_keys\n\
             StrictModes no\nUsePAM no\nPasswordAuthentication no\nPidFile none\n{more}"
        ),
    )
    .unwrap();
    // As root, it wants this directory.
    let _ = std::fs::create_dir_all("/run/sshd");
    let path = ["/usr/sbin/sshd", "/run/current-system/sw/bin/sshd"]
        .into_iter()
        .find(|path| std::path::Path::new(path).exists());
    let mut command = Command::new(path.unwrap_or("/usr/bin/sshd"));
    command.args(["-D", "-q", "-f", config.as_str()]).stdin(Stdio::null());
    let server = Server(command.spawn().unwrap());
    let begun = std::time::Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(begun.elapsed() < PATIENCE, "sshd does not listen");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let public = std::fs::read_to_string(format!("{host_key}.pub")).unwrap();
    std::fs::write(directory.join("known_hosts"), format!("[127.0.0.1]:{port} {public}")).unwrap();
    (server, port)
}

#[tokio::test]
async fn over_ssh_with_a_key_and_a_known_host() {
    if !has("sshd") || !has("ssh") {
        return skipped("SSH: no sshd (Debian: openssh-server)");
    }
    let place = Place::new();
    let repository = place.repository("a");
    repository.publish(&[("all.nix", "{ a.b = 1; }")], "One");
    let key = ssh_key(&place.path(), "client");
    // Without AcceptEnv, git speaks its old protocol, which gives no single objects: all of a commit comes.
    for (round, more) in ["AcceptEnv GIT_PROTOCOL\n", ""].into_iter().enumerate() {
        for filter in ["false", "true"] {
            std::fs::remove_file(place.path().join("host_key")).ok();
            repository.git(&["--git-dir", repository.bare.as_str(), "config", "uploadpack.allowFilter", filter]);
            let (_server, port) = sshd(&place, more);
            let user = run("id", &["-un"]);
            let url = format!("ssh://{}@127.0.0.1:{port}{}", user.trim(), repository.bare);
            let mut host = Host::new(&place, &[("origin", &url)]);
            host.state = place.path().join(format!("host{round}{filter}"));
            let mut running = host.start();
            let reason = running.trouble().await;
            assert!(reason.contains("Host key verification failed"), "{reason}");
            running.stop().await;

            let origin = host.config.remotes.get_mut("origin").unwrap();
            origin.known_hosts = Some(place.path().join("known_hosts"));
            let mut running = host.start();
            let reason = running.trouble().await;
            assert!(reason.contains("Permission denied"), "{reason}");
            running.stop().await;

            host.config.remotes.get_mut("origin").unwrap().ssh_key = Some(key.clone());
            let mut running = host.start();
            running.layer().await;
            let value = format!("{round}{filter}");
            repository.publish(&[("all.nix", &format!("{{ a.b = \"{value}\"; }}"))], "More");
            assert_eq!(values(&running.looked().await), format!(r#"{{"a":{{"b":"{value}"}}}}"#));
            running.stop().await;
        }
    }
}
