//! Completions in the real shells, on a terminal: what is typed, with its tabs, and what runs then.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{System, skip};

/// What a shell prints on a terminal while this is typed; `None` if it is not installed.
fn typed(shell: &str, system: &System, lines: &[&str]) -> Option<String> {
    let (line, begin) = match shell {
        "bash" => ("bash --norc --noprofile -i", "source <(dynix completions bash)\n"),
        "zsh" => ("zsh -f -i", "autoload -U compinit; compinit -u -D; source <(dynix completions zsh)\n"),
        _ => ("fish --no-config -i", "dynix completions fish | source\n"),
    };
    if Command::new(shell).arg("--version").output().is_err() {
        skip(&format!("completions in {shell}, which is not installed"));
        return None;
    }
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_dynix")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("script");
    command.args(["-qec", line, "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    command.env("PATH", path).env("DYNIX_ROOT", system.root()).env("TERM", "xterm").env("HOME", system.root());
    command.env("INPUTRC", "/dev/null").env_remove("JOURNAL_STREAM");
    let mut child = command.spawn().unwrap();
    let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // A terminal that is closed is an error to its reader.
        let _ = output.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    });
    for line in [begin].iter().chain(lines) {
        // A person types after the shell is ready, and waits for what a tab gives.
        std::thread::sleep(Duration::from_millis(1500));
        input.write_all(line.as_bytes()).unwrap();
        input.flush().unwrap();
    }
    std::thread::sleep(Duration::from_millis(1500));
    let _ = input.write_all(b"exit\n");
    std::thread::sleep(Duration::from_millis(500));
    drop(input);
    let _ = child.kill();
    let _ = child.wait();
    Some(reader.join().unwrap())
}

#[test]
fn a_terminal_shows_what_is_waited_for_and_a_file_does_not() {
    let system = System::new();
    system.run(&["set", "services.distccd.nice", "5"]).ends(0);
    let held = || {
        let lock = std::fs::File::options().write(true).open(system.path("etc/nixos/.dynamic.nix.lock")).unwrap();
        lock.lock().unwrap();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(1500));
            drop(lock);
        })
    };
    let line = format!("'{}' --root '{}' set services.distccd.nice 6", env!("CARGO_BIN_EXE_dynix"), system.root());
    let waits = held();
    let output = Command::new("script").args(["-qec", &line, "/dev/null"]).stdin(Stdio::null()).output().unwrap();
    waits.join().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(shown.contains(" waiting for ") && shown.contains("(0 s)") && shown.contains("(1 s)"), "{shown:?}");
    // The line is taken away before the result.
    assert!(shown.contains("\r\u{1b}[Krecorded 2: "), "{shown:?}");
    let waits = held();
    let run = system.run(&["set", "services.distccd.nice", "7"]).ends(0);
    waits.join().unwrap();
    assert!(!run.stderr.contains('\u{1b}') && run.stderr.contains("waiting for"), "{}", run.stderr);
}

#[test]
fn tabs_complete_paths_values_records_and_services() {
    for shell in ["bash", "zsh", "fish"] {
        let system = System::new();
        system.run(&["set", "services.harmonia.settings.workers", "20"]).ends(0);
        system.run(&["set", "services.distccd.nice", "5"]).ends(0);
        let lines = [
            // A path, and then its value.
            "dynix set services.gotosocial.settings.por\t 81\n",
            "dynix set services.distccd.logLevel not\t\n",
            // Both in one word, of which bash makes three.
            "dynix set services.distccd.logLevel=err\t\n",
            // Only what is overridden can be unset.
            "dynix unset services.h\t\n",
            // A record, of which there is one that begins so.
            "dynix undo 1\t\n",
            "dynix reset harm\t\n",
            // Nothing but what is asked for: options are for words that begin with a dash.
            "dynix reset \t\t",
        ];
        let Some(said) = typed(shell, &system, &lines) else { continue };
        let log = system.run(&["log"]).ends(0).stdout;
        for expected in [
            "services.gotosocial.settings.port = 81",
            "services.distccd.logLevel = \"notice\"",
            "services.distccd.logLevel = \"error\"",
            "unset services.harmonia.settings.workers",
        ] {
            assert!(log.contains(expected), "{shell}: {expected}: {log}\n{said}");
        }
        let end = said
            .rsplit_once("dynix reset")
            .map(|(before, _)| before.rsplit("nothing").next().unwrap_or_default())
            .unwrap_or_default();
        assert!(!end.contains("--dry-run"), "{shell}: {said}");
        assert!(said.contains("gotosocial"), "{shell}: {said}");
    }
}
