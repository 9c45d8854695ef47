//! A value is data wherever it goes: it is no directive, no other word, no template and no command of a terminal. Claims of
//! docs/security.md; the tests with the real Nix, the real systemd and the formats' own readers are elsewhere.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::support::System;
use dynix::host::templates;

/// What systemd, shells, Nix and templates would make something of.
fn hostile() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "\n",
        "\r",
        "\\",
        "\\\n",
        "%",
        "%%",
        "%n",
        "$",
        "${",
        "$$",
        "}",
        "\"",
        "'",
        ";",
        "#",
        "`",
        "=",
        "[Service]",
        "ExecStart=/bin/sh",
        "{{",
        "}}",
        "{%",
        "%}",
        "{#",
        "services",
        "''",
        "${x}",
        " ",
        "\t",
        ":",
        "\u{a0}",
        "é",
        "-",
        "/",
        "\u{1}",
        "\u{7f}",
        "\u{85}",
        "\u{2028}",
        "x",
    ]);
    prop::collection::vec(pieces, 0..12).prop_map(|pieces| pieces.concat())
}

fn values(value: &str) -> BTreeMap<String, Value> {
    BTreeMap::from([("services.x.settings".to_owned(), json!({ "a": value }))])
}

/// The lines of a unit file as systemd has them (`systemd.syntax(7)`): joined where one ends in a backslash that no other
/// takes away, comments left out.
fn lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut continued = false;
    for line in text.split(['\n', '\r']) {
        let backslashes = line.bytes().rev().take_while(|&byte| byte == b'\\').count();
        if std::mem::replace(&mut continued, backslashes % 2 == 1) {
            lines.last_mut().unwrap().push_str(line);
        } else {
            lines.push(line.to_owned());
        }
    }
    lines
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn a_value_is_one_word_for_systemd_and_adds_no_line(value in hostile()) {
        for (filter, template) in [
            ("directive", "[Service]\nA={{ services.x.settings.a }}\nB=c\n"),
            ("word", "[Service]\nA={{ services.x.settings.a | word }}\nB=c\n"),
            ("exec_word", "[Service]\nA=/x {{ services.x.settings.a | exec_word }}\nB=c\n"),
            ("assignment", "[Service]\nA={{ services.x.settings.a | assignment(\"V\") }}\nB=c\n"),
            ("bind_path", "[Service]\nA={{ services.x.settings.a | bind_path }}\nB=c\n"),
            ("environment_file", "[Service]\nA={{ services.x.settings.a | environment_file }}\nB=c\n"),
            ("exec_program", "[Service]\nA={{ services.x.settings.a | exec_program }}\nB=c\n"),
        ] {
            // What the place can't hold is refused; the rest is one line, with no specifier in it.
            let Ok(text) = templates::drop_in(template, &values(&value)) else { continue };
            let lines = lines(&text);
            prop_assert_eq!(lines.len(), 4, "{}: {:?}", filter, text);
            prop_assert!(lines[1].starts_with("A=") && lines[2] == "B=c", "{}: {:?}", filter, text);
            prop_assert!(!lines[1].replace("%%", "").contains('%'), "{}: {:?}", filter, text);
            if filter == "exec_word" {
                prop_assert!(!lines[1].replace("$$", "").contains('$'), "{:?}", text);
            }
        }
    }

    #[test]
    fn a_value_is_never_a_template(value in hostile()) {
        // In a condition, a loop, a filter and an assignment; what a template says of it is never read again.
        for template in [
            "A={{ services.x.settings.a | word }}",
            "{% set b = services.x.settings.a %}A={{ b | word }}",
            "{% for b in [services.x.settings.a] %}A={{ b | word }}{% endfor %}",
            "{% if services.x.settings.a == services.x.settings.a %}A={{ services.x.settings.a | word }}{% endif %}",
        ] {
            let Ok(text) = templates::drop_in(template, &values(&value)) else { continue };
            prop_assert_eq!(&text, &format!("A={}", dynix::host::systemd::quote::word(&value).unwrap()));
        }
        let staged = BTreeMap::from([("f".to_owned(), value.clone())]);
        let words = ["{{ files.f }}".to_owned(), "--file={{ files[\"f\"] }}".to_owned()];
        prop_assert_eq!(templates::command(&words, &staged).unwrap(), [value.clone(), format!("--file={value}")]);
        // One word of a shell, whatever is in it.
        let context = BTreeMap::from([("a", &value)]);
        let script = templates::script("printf %s {{ a }}", &context).unwrap();
        let output = std::process::Command::new("/bin/sh").args(["-c", &script]).output().unwrap();
        prop_assert_eq!(String::from_utf8(output.stdout).unwrap(), value);
    }
}

#[test]
fn what_is_shown_controls_no_terminal() {
    let mut description = super::support::description();
    let said = "printf '\\033[2J\\033]0;title\\007 \\302\\233 \\342\\200\\256' >&2; exit 1";
    description["services"]["harmonia"]["check"] = json!({"command": ["/bin/sh", "-c", said]});
    let system = System::of(&description);
    let path = "services.gotosocial.settings.application-name";
    system.run(&["append", "services.harmonia.settings.workers", "20"]).ends(0);
    let run = system.run(&["apply"]).ends(3);
    let mut shown = vec![run];
    system.run(&["append", path, "--string", "\u{1b}[31m\u{9b}\u{202e}\u{7}"]).ends(0);
    let mut by = system.command(&["append", path, "--string", "x"]);
    shown.push(super::support::finish(by.env("SUDO_USER", "\u{1b}[31mroot\nsomebody")));
    shown.push(system.run(&["append", "services.\"\u{1b}[31m\"", "x"]));
    for arguments in [&["log"][..], &["status"], &["log", "--json"], &["status", "--json"], &["apply", "-v"]] {
        shown.push(system.run(arguments));
    }
    for run in shown {
        for text in [&run.stdout, &run.stderr] {
            let json = text.starts_with(['[', '{']);
            let found = text.chars().find(|ch| ch.is_control() && !matches!(ch, '\n' | '\t') || *ch == '\u{202e}');
            // JSON is for programs, and keeps what is no control character of ASCII.
            assert!(found.is_none() || json && found >= Some('\u{7f}'), "{found:?} in {text:?}");
        }
    }
    // What was recorded is all there.
    assert_eq!(system.run(&["log"]).ends(0).stdout.lines().count(), 4);
}
