//! The start script of a unit, as nixpkgs writes it (`pkgs.writeShellScript`, and `makeJobScript` in
//! nixos/lib/systemd-lib.nix): a shebang, exports, then one command.
//!
//! Takes the script; gives the words that the shell would run. Anything else is refused with its line: a script that
//! dynix does not understand can't be proven.

use std::collections::BTreeMap;
use std::fmt;

use crate::format::command_line::Lexer;
use crate::host::systemd::quote;

/// The content of a script.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// The variables that it exports.
    pub environment: BTreeMap<String, String>,
    /// The words of its command.
    pub words: Vec<String>,
}

/// One export or word a line, for messages.
impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.environment {
            writeln!(f, "export {name}={value:?}")?;
        }
        self.words.iter().try_for_each(|word| if word.is_empty() { writeln!(f, "''") } else { writeln!(f, "{word}") })
    }
}

/// Reads a script.
pub fn read(script: impl AsRef<[u8]>) -> Result<Script, String> {
    let text = std::str::from_utf8(script.as_ref()).map_err(|error| format!("it is not UTF-8: {error}"))?;
    let text = after_shebang(text)?;
    let mut script = Script::default();
    let mut lexer = Lexer::new(text, 2);
    loop {
        let (line, words) = lexer.command()?;
        if words.is_empty() {
            break;
        }
        let at = |problem: String| format!("line {line}: {problem}");
        if !script.words.is_empty() {
            return Err(at(format!("{:?} comes after the command that has to be the last", words[0])));
        }
        match words[0].as_str() {
            "set" => set(&words[1..]).map_err(at)?,
            "export" => export(&words[1..], &mut script.environment).map_err(at)?,
            "exec" => script.words = program(&words[1..]).map_err(at)?,
            _ => script.words = program(&words).map_err(at)?,
        }
    }
    if script.words.is_empty() { Err("it runs no command".to_owned()) } else { Ok(script) }
}

/// The script below its first line, which has to name a shell of the Bourne family.
fn after_shebang(text: &str) -> Result<&str, String> {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    let words: Vec<&str> = first.strip_prefix("#!").unwrap_or_default().split_ascii_whitespace().collect();
    let is_shell = words
        .first()
        .and_then(|shell| shell.rsplit_once('/'))
        .is_some_and(|(_, name)| matches!(name, "sh" | "bash" | "dash"));
    match words.as_slice() {
        [_] | [_, "-e" | "-u" | "-eu" | "-ue"] if is_shell => Ok(rest),
        _ => Err(format!("line 1: {first:?} does not name sh, bash or dash as the interpreter")),
    }
}

/// Options that only say when to give up: with one command at the end, they change nothing.
fn set(words: &[String]) -> Result<(), String> {
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let known = match word.as_str() {
            "-e" | "-u" | "-eu" | "-ue" => true,
            "-o" | "-eo" | "-uo" | "-euo" | "-ueo" => {
                words.next().is_some_and(|option| matches!(option.as_str(), "pipefail" | "errexit" | "nounset"))
            }
            _ => false,
        };
        if !known {
            return Err(format!("set {word} is not known here"));
        }
    }
    Ok(())
}

fn export(words: &[String], environment: &mut BTreeMap<String, String>) -> Result<(), String> {
    for word in words {
        let assignment = word.split_once('=').filter(|(name, _)| quote::is_variable_name(name));
        let (name, value) = assignment.ok_or_else(|| format!("export {word:?} is no NAME=VALUE"))?;
        if environment.insert(name.to_owned(), value.to_owned()).is_some() {
            return Err(format!("{name} is exported a second time"));
        }
    }
    Ok(())
}

fn program(words: &[String]) -> Result<Vec<String>, String> {
    match words.first() {
        Some(program) if program.starts_with('/') => Ok(words.to_vec()),
        Some(other) => {
            Err(format!("{other:?} is not known here; expected set, export, or a program by its whole path"))
        }
        None => Err("exec runs nothing".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(body: &str) -> Result<Script, String> {
        read(format!("#!/nix/store/x-bash/bin/bash\n{body}"))
    }

    #[test]
    fn a_script_of_nixpkgs_is_read() {
        let body = "set -e\n\nexport PATH=\"/nix/store/m/bin\"\n/bin/d \\\n  --port 1 \\\n   \\\n  --name 'a b'\\''c' \"\\$x\" \n\n";
        let script = script(body).unwrap();
        assert_eq!(script.environment, BTreeMap::from([("PATH".to_owned(), "/nix/store/m/bin".to_owned())]));
        assert_eq!(script.words, ["/bin/d", "--port", "1", "--name", "a b'c", "$x"]);
    }

    #[test]
    fn words_are_the_shells() {
        for (text, word) in [
            ("''", ""),
            ("a\\\nb", "ab"),
            ("'a\\\nb'", "a\\\nb"),
            ("\"a\\\nb\"", "ab"),
            ("\"\\a\\\\\"", "\\a\\"),
            ("\\$\\ x", "$ x"),
            ("'#'", "#"),
            ("ü", "ü"),
            ("'$x' # y", "$x"),
            ("'%'", "%"),
        ] {
            assert_eq!(script(&format!("/bin/a {text}")).unwrap().words, ["/bin/a", word], "{text}");
        }
        assert_eq!(script("# a \\\nexec /bin/a # b \\\n#c").unwrap().words, ["/bin/a"]);
    }

    #[test]
    fn what_the_shell_would_act_on_is_refused_with_its_line() {
        for body in [
            "/bin/a $x",
            "/bin/a \"$x\"",
            "/bin/a `x`",
            "/bin/a; b",
            "/bin/a > b",
            "/bin/a *",
            "/bin/a\n/bin/b",
            "cd /",
            "/bin/a 'x",
            "/bin/a ~",
            "/bin/a \"x",
            "/bin/a {b,c}",
            "/bin/a &",
            "A=1 /bin/a",
            "A=1\n/bin/a",
            "set -x\n/bin/a",
            "set -n\n/bin/a",
            "set +e\n/bin/a",
            "export PATH\n/bin/a",
            "export A=1 A=2\n/bin/a",
            "export A=~/b\n/bin/a",
            "exec -a x /bin/a",
            "exec",
            "if /bin/a",
            "/bin/a\nexport A=1",
            "/bin/a \u{1}",
            "/bin/a b\r\n",
            "/bin/a !x",
            "",
            "export A=1",
            "export 1A=1\n/bin/a",
            "# x \\\n",
            "/bin/a b\\",
            "/bin/a [b]",
            "/bin/a (b)",
            "/bin/a\u{a0}b",
        ] {
            assert!(script(body).is_err(), "{body:?}");
        }
        assert_eq!(
            script("export A=1\n\n/bin/a \\\n  $x").unwrap_err(),
            "line 5: '$' means something to the shell, or may"
        );
        assert_eq!(
            script("/bin/a\n/bin/b").unwrap_err(),
            "line 3: \"/bin/b\" comes after the command that has to be the last"
        );
        for first in ["", "/bin/a", "#!/usr/bin/python", "#!/bin/sh -x", "#!sh", "#!/bin/bash -e -u"] {
            assert!(read(format!("{first}\n/bin/a\n")).is_err(), "{first}");
        }
        assert!(read(b"#!/bin/sh\n/bin/a \xff\n").is_err());
    }
}
