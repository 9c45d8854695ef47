//! Start scripts are read as the shell itself reads them, and their words reach the unit as they are.

use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use dynix::build::{self, Input, script};
use proptest::prelude::*;
use serde_json::json;

/// What the shell makes of a script that prints its words, each ended by NUL.
fn run(shell: &str, script: &str) -> Vec<String> {
    let output = Command::new(shell).arg("-c").arg(script).env_clear().output().unwrap();
    assert!(output.status.success(), "{shell}: {script:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_terminator('\0').map(str::to_owned).collect()
}

fn shells() -> impl Iterator<Item = &'static str> {
    ["/bin/sh", "/bin/bash", "/bin/dash"].into_iter().filter(|shell| Utf8Path::new(shell).exists())
}

/// Pieces of shell text, sensible and not.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-z0-9_./:=@%+,-]{1,6}",
        "'[^'\u{0}-\u{8}\u{b}-\u{1f}\u{7f}-\u{9f}]{0,8}'",
        "\"[a-z \\\\\n#'~*;|&]{0,8}\"",
        "\\\\[ -~\n]",
        "[ \t]{1,2}",
        "[ #\n~$*?éü!;]",
        Just("\\\n".to_owned()),
    ];
    proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn words_are_those_of_the_shell(text in pieces()) {
        let body = format!("/usr/bin/printf '%s\\0' x {text}\n");
        if let Ok(read) = script::read(format!("#!/bin/sh\n{body}")) {
            for shell in shells() {
                prop_assert_eq!(&run(shell, &body), &read.words[2..], "{} {:?}", shell, body);
            }
        }
    }

    #[test]
    fn exports_are_those_of_the_shell(text in pieces()) {
        let body = format!("set -eu\nexport A=x{text}\nexec /usr/bin/printenv -0 A\n");
        if let Ok(read) = script::read(format!("#!/bin/sh\n{body}")) {
            for shell in shells() {
                prop_assert_eq!(run(shell, &body), vec![read.environment["A"].clone()], "{} {:?}", shell, body);
            }
        }
    }

    /// Whatever the words are: the stub has the same lines, and systemd's rules give the same words from it.
    #[test]
    fn any_words_reach_the_unit(words in proptest::collection::vec(any::<String>(), 0..4)) {
        let directory = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::try_from(directory.path().to_owned()).unwrap();
        let quoted: Vec<String> = words.iter().map(|word| format!("'{}'", word.replace('\'', r"'\''"))).collect();
        std::fs::write(root.join("start"), format!("#!/bin/sh\nexec /bin/x {}\n", quoted.join(" "))).unwrap();
        let description = json!({ "version": 1, "services": { "x": {
            "options": { "services.x.words": { "static": words, "schema": {} } },
            "files": { "flags": {
                "format": { "name": "flags" }, "value": { "option": "services.x.words" }, "static": "/start",
                "attach": { "environment": { "variable": "WORDS", "command": ["/bin/x"] } } } },
            "units": { "x.service": {} } } } });
        let input = Input {
            description: &description.to_string(), static_root: &root, dynix: "/bin/dynix".into(), plan: "/plan.json".into(),
        };
        match build::generate(&input) {
            Ok(tree) => {
                let (_, stub, _) = tree.files().find(|(path, ..)| path.extension() == Some("conf")).unwrap();
                let lines: Vec<&str> = stub.lines().collect();
                prop_assert_eq!(lines.len(), 6, "{}", stub);
                prop_assert_eq!(&lines[3..], &["EnvironmentFile=-/run/dynix/x/current/flags", "ExecStart=", "ExecStart=/bin/x $WORDS"]);
                let variable = unquote(lines[2].strip_prefix("Environment=").unwrap());
                prop_assert_eq!(split(variable.strip_prefix("WORDS=").unwrap()), words);
            }
            // Only what no script or unit can hold.
            Err(error) => {
                let control = words.iter().flat_map(|word| word.chars()).any(|ch| ch.is_control() && !"\n\t".contains(ch));
                let invalid = words.iter().flat_map(|word| word.chars()).any(|ch| u32::from(ch) & 0xfffe == 0xfffe || ('\u{fdd0}'..='\u{fdef}').contains(&ch));
                prop_assert!(control || invalid, "{}", error);
            }
        }
    }
}

/// One word of `Environment=` (systemd.syntax(7), "Quoting"; `%%` is `%`).
fn unquote(word: &str) -> String {
    let Some(inner) = word.strip_prefix('"') else { return word.replace("%%", "%") };
    let inner = inner.strip_suffix('"').unwrap().replace("%%", "%");
    let mut text = String::new();
    let mut rest = inner.chars();
    while let Some(ch) = rest.next() {
        match ch {
            '"' => panic!("a quote in {word}"),
            '\\' => match rest.next().unwrap() {
                'n' => text.push('\n'),
                't' => text.push('\t'),
                'r' => text.push('\r'),
                'x' => {
                    let hex: String = rest.by_ref().take(2).collect();
                    text.push(char::from(u8::from_str_radix(&hex, 16).unwrap()));
                }
                ch @ ('"' | '\\') => text.push(ch),
                other => panic!("\\{other} in {word}"),
            },
            ch => text.push(ch),
        }
    }
    text
}

/// The words of an unbraced variable (systemd.service(5), "Command lines").
fn split(value: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut rest = value.chars();
    while let Some(ch) = rest.next() {
        match (quote, ch) {
            (Some(open), ch) if ch == open => quote = None,
            (_, '\\') => word.get_or_insert_default().push(rest.next().unwrap()),
            (None, '\'' | '"') => {
                quote = Some(ch);
                word.get_or_insert_default();
            }
            (None, ' ' | '\t' | '\n' | '\r') => words.extend(word.take()),
            (_, ch) => word.get_or_insert_default().push(ch),
        }
    }
    words.extend(word);
    words
}
