//! A repository of many files and commits: what is transferred and kept is for this host alone.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;

use camino::Utf8Path;

use crate::http;
use crate::support::*;

/// A repository with so many directories and commits, by git-fast-import.
fn big(path: &Utf8Path, directories: u32, commits: u32) {
    run("git", &["init", "-q", "--bare", "-b", "main", path.as_str()]);
    run("git", &["--git-dir", path.as_str(), "config", "uploadpack.allowFilter", "true"]);
    let mut import = Command::new("git")
        .args(["--git-dir", path.as_str(), "fast-import", "--quiet", "--done"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut text = std::io::BufWriter::new(import.stdin.take().unwrap());
    let mut commit = |number: u32, files: &mut dyn Iterator<Item = (String, String)>| {
        writeln!(text, "commit refs/heads/main\ncommitter A <a@b> {} +0000\ndata 4\nmore", 1_700_000_000 + number)
            .unwrap();
        for (path, content) in files {
            writeln!(text, "M 100644 inline {path}\ndata {}\n{content}", content.len()).unwrap();
        }
        writeln!(text).unwrap();
    };
    let package = |number: u32| format!("pkgs/{:02x}/package{number}/package.nix", number % 256);
    // Text that does not compress to nothing.
    let content = |seed: u32| {
        let mut state = seed.wrapping_mul(2_654_435_761) | 1;
        let mut text = String::new();
        for _ in 0..120 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            text.push_str(&format!("{state:x};\n"));
        }
        text
    };
    let mut all = (0..directories).map(|number| (package(number), content(number)));
    let hosts = (0..1000).map(|number| (format!("fleet/hosts/web{number}.nix"), format!("{{ a.b = {number}; }}")));
    commit(0, &mut all.by_ref().chain(hosts).chain([("fleet/all.nix".to_owned(), "{ a.c = 1; }".to_owned())]));
    for number in 1..commits {
        let file = (package(number.wrapping_mul(7919) % directories), content(number + directories));
        commit(number, &mut std::iter::once(file));
    }
    writeln!(text, "done").unwrap();
    drop(text);
    assert!(import.wait().unwrap().success());
}

async fn followed(directories: u32, commits: u32) -> Option<[u64; 4]> {
    let Some(backend) = http::backend() else {
        skipped("a big repository over HTTP: this git has no git-http-backend");
        return None;
    };
    let place = Place::new();
    let path = place.path().join("big.git");
    big(&path, directories, commits);
    let whole = size_of(path.as_std_path());
    let web = http::serve(backend, place.path(), None);
    let mut host = Host::new(&place, &[("origin", &format!("{}/big.git", web.url))]);
    "fleet".clone_into(&mut host.config.directory);
    let begun = std::time::Instant::now();
    let mut running = host.start();
    assert_eq!(values(&running.layer().await), r#"{"a":{"b":3,"c":1}}"#);
    let (first, time) = (web.sent.swap(0, Ordering::Relaxed), begun.elapsed());

    let push = |files: &[(&str, &str)]| {
        let mut text = String::from(
            "commit refs/heads/main\ncommitter A <a@b> 1800000000 +0000\ndata 4\nmore\nfrom refs/heads/main^0\n",
        );
        for (path, content) in files {
            text.push_str(&format!("M 100644 inline {path}\ndata {}\n{content}\n", content.len()));
        }
        let mut import = Command::new("git")
            .args(["--git-dir", path.as_str(), "fast-import", "--quiet"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        import.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(import.wait().unwrap().success());
    };
    push(&[("fleet/hosts/web3.nix", "{ a.b = 77; }"), ("pkgs/00/package0/package.nix", "other")]);
    let begun = std::time::Instant::now();
    assert_eq!(values(&running.looked().await), r#"{"a":{"b":77,"c":1}}"#);
    let (change, later) = (web.sent.swap(0, Ordering::Relaxed), begun.elapsed());
    push(&[("pkgs/00/package0/package.nix", "another")]);
    running.look();
    running.stop().await;
    let kept = size_of(host.mirror().as_std_path());
    eprintln!(
        "{directories} directories, {commits} commits, {whole} bytes: first {first} bytes in {time:?}, a change {change} \
         bytes in {later:?}, kept {kept} bytes"
    );
    Some([whole, first, change, kept])
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_big_repository_little_comes() {
    let Some([whole, first, change, kept]) = followed(3000, 3000).await else { return };
    assert!(whole > 3_000_000, "{whole}");
    // Names of files, and no content of others.
    assert!(first < whole / 8, "{first} of {whole}");
    assert!(change < 40_000, "{change}");
    assert!(kept < whole / 4, "{kept} of {whole}");
}

/// `cargo test -p dynix-agent --test git -- --ignored --nocapture nixpkgs` shows the numbers of docs/fleets-git.md.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; a repository of the size of nixpkgs"]
async fn of_a_repository_like_nixpkgs_little_comes() {
    let Some([whole, first, change, _]) = followed(40_000, 100_000).await else { return };
    assert!(first < whole / 8, "{first} of {whole}");
    assert!(change < 100_000, "{change}");
}
