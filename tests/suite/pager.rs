//! The pager for long output, on a real terminal (script(1)) and with the real less.

use std::fmt::Write as _;
use std::process::{Command, Stdio};

use crate::support::{System, skip};

/// What a terminal shows of a command line; `None` if less or script is not installed.
fn shown(system: &System, variables: &[(&str, &str)], words: &str) -> Option<String> {
    if Command::new("less").arg("--version").output().is_err() {
        skip("the pager: less is not installed");
        return None;
    }
    let line = format!("'{}' --root '{}' {words}", env!("CARGO_BIN_EXE_dynix"), system.root());
    let mut command = Command::new("script");
    command.args(["-qec", &line, "/dev/null"]).stdin(Stdio::null());
    for variable in
        ["DYNIX_PAGER", "SYSTEMD_PAGER", "PAGER", "SYSTEMD_PAGERSECURE", "LESS", "SUDO_UID", "JOURNAL_STREAM"]
    {
        command.env_remove(variable);
    }
    command.env("TERM", "xterm").envs(variables.iter().copied());
    let output = command.output().unwrap();
    Some(String::from_utf8_lossy(&output.stdout).replace("\r\n", "\n"))
}

/// A pager that says what it was started with, and shows the first line.
fn pager(system: &System) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    system.write("pager", "#!/bin/sh\necho \"paged with $* LESS=$LESS LESSSECURE=$LESSSECURE\"\nhead -n 1\n");
    let path = system.path("pager");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.to_string()
}

#[test]
fn text_goes_through_the_pager_that_is_named() {
    let system = System::new();
    for value in ["5", "6", "7"] {
        system.run(&["set", "services.distccd.nice", value]).ends(0);
    }
    let pager = pager(&system);
    let with_arguments = format!("{pager} -a b");
    let own = [("SYSTEMD_PAGERSECURE", "0")];
    for (variables, begin) in [
        (&[("DYNIX_PAGER", pager.as_str()), ("SYSTEMD_PAGER", "false")][..], "paged with  LESS=FRX LESSSECURE=\n"),
        (&[("SYSTEMD_PAGER", with_arguments.as_str()), ("PAGER", "false")], "paged with -a b LESS=FRX LESSSECURE=\n"),
        (&[("PAGER", pager.as_str()), ("LESS", "S")], "paged with  LESS=S LESSSECURE=\n"),
    ] {
        let variables: Vec<_> = own.iter().chain(variables).copied().collect();
        let Some(text) = shown(&system, &variables, "log") else { return };
        assert!(text.starts_with(begin), "{text:?}");
        // The pager is left before the end: that is no error.
        assert_eq!(text.lines().count(), 2, "{text:?}");
    }
    for verb in ["status", "options distccd", "services", "history", "diff 0..", "render --list"] {
        let variables = [own[0], ("PAGER", pager.as_str())];
        let text = shown(&system, &variables, verb).unwrap();
        assert!(text.starts_with("paged with  LESS=FRX"), "{verb}: {text:?}");
    }
}

#[test]
fn there_is_none_where_nobody_wants_or_sees_one() {
    let system = System::new();
    system.run(&["set", "services.distccd.nice", "5"]).ends(0);
    let pager = pager(&system);
    let named = [("SYSTEMD_PAGERSECURE", "0"), ("PAGER", pager.as_str())];
    for (more, words) in [
        (None, "--no-pager log"),
        (None, "log --no-pager"),
        (None, "log --json"),
        (None, "log --output json"),
        (None, "get services.distccd.nice"),
        // Nothing is there to be shown.
        (None, "log --by nobody"),
        (None, "log | cat"),
        (Some(("TERM", "dumb")), "log"),
        (Some(("DYNIX_PAGER", "")), "log"),
        (Some(("DYNIX_PAGER", "cat")), "log"),
    ] {
        let variables: Vec<_> = named.into_iter().chain(more).collect();
        let Some(text) = shown(&system, &variables, words) else { return };
        assert!(!text.contains("paged with"), "{words}: {text:?}");
    }
    // The pager that does not start is no reason to show nothing; less then shows what fits, and ends.
    for secure in ["0", "1"] {
        let gone = [("SYSTEMD_PAGERSECURE", secure), ("PAGER", "/nonexistent/pager")];
        let text = shown(&system, &gone, "log").unwrap();
        assert!(text.contains("services.distccd.nice = 5"), "{text:?}");
    }
}

#[test]
fn with_rights_of_another_only_less_pages_and_less_only_pages() {
    use std::io::Write as _;
    let system = System::new();
    let mut text = dynix::overrides::HEADER.to_owned();
    for id in 1..100 {
        let stamp = format!("id = {id}; time = \"2026-11-21T10:00:00Z\"; by = \"x\";");
        writeln!(text, "{{ {stamp} set.services.distccd.nice = 5; }}").unwrap();
    }
    system.write("etc/nixos/dynamic.nix", &text);
    let pager = pager(&system);
    for secure in [&[("SYSTEMD_PAGERSECURE", "1")][..], &[("SUDO_UID", "1000")], &[("PKEXEC_UID", "1000")]] {
        let variables: Vec<_> = secure.iter().copied().chain([("PAGER", pager.as_str())]).collect();
        let Some(text) = shown(&system, &variables, "log -n 1") else { return };
        assert!(!text.contains("paged with") && text.contains("services.distccd.nice = 5"), "{text:?}");
    }
    // A person who wants a shell of less gets none: `!` is what runs a command (less(1)).
    let typed = |secure: &str| {
        let line = format!("'{}' --root '{}' log", env!("CARGO_BIN_EXE_dynix"), system.root());
        let proof = system.path(&format!("shell-{secure}"));
        let mut child = Command::new("script")
            .args(["-qec", &line, "/dev/null"])
            .env("TERM", "xterm")
            .env("SHELL", "/bin/sh")
            .env("PAGER", "less")
            .env_remove("LESS")
            .env("SYSTEMD_PAGERSECURE", secure)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        for keys in [format!("!touch '{proof}'\n"), "\n".to_owned(), "q".to_owned(), "q".to_owned()] {
            std::thread::sleep(std::time::Duration::from_millis(1500));
            let _ = input.write_all(keys.as_bytes());
            let _ = input.flush();
        }
        std::thread::sleep(std::time::Duration::from_millis(500));
        drop(input);
        let status = child.wait().unwrap();
        (status.success(), proof.exists())
    };
    // Where nothing is to be kept from it, the same keys do run it: so they are the right ones.
    assert_eq!([typed("0"), typed("1")], [(true, true), (true, false)]);
}
