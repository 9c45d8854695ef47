//! The start script of a unit, as nixpkgs writes it for `script` (nixos/lib/systemd-lib.nix, `makeJobScript`): exports,
//! then one command. Anything else is refused with its line, for what is not understood can't be proven.

use std::collections::BTreeMap;

/// What the script does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// What it exports.
    pub environment: BTreeMap<String, String>,
    /// The words of its command.
    pub words: Vec<String>,
}

/// Reads a script.
pub fn read(text: &str) -> Result<Script, String> {
    let mut script = Script::default();
    for (number, line) in logical_lines(text) {
        let at = |problem: String| format!("line {number}: {problem}");
        let mut words = words(&line).map_err(at)?;
        match words.first().map(String::as_str) {
            None => {}
            Some("set") if words.iter().skip(1).all(|word| word.starts_with('-')) => {}
            Some("export") => {
                for assignment in words.drain(..).skip(1) {
                    let (name, value) =
                        assignment.split_once('=').ok_or_else(|| at(format!("{assignment} is no assignment")))?;
                    script.environment.insert(name.to_owned(), value.to_owned());
                }
            }
            Some(_) if !script.words.is_empty() => return Err(at("a second command".to_owned())),
            Some(first) => {
                if first == "exec" {
                    words.remove(0);
                }
                match words.first() {
                    Some(program) if program.starts_with('/') => script.words = words,
                    other => return Err(at(format!("{} is no program", other.map_or("", String::as_str)))),
                }
            }
        }
    }
    if script.words.is_empty() { Err("it runs no command".to_owned()) } else { Ok(script) }
}

/// Lines with their number, joined where a backslash ends one (POSIX shell, 2.2.1).
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut open = false;
    for (index, line) in text.lines().enumerate() {
        let (line, continues) = match line.strip_suffix('\\') {
            Some(line) if !line.ends_with('\\') => (line, true),
            _ => (line, false),
        };
        match lines.last_mut() {
            Some((_, last)) if open => last.push_str(line),
            _ => lines.push((index + 1, line.to_owned())),
        }
        open = continues;
    }
    lines.retain(|(_, line)| !line.trim_start().starts_with('#'));
    lines
}

/// The words of a simple command (POSIX shell, 2.2 and 2.3). What the shell would expand or act on is refused.
fn words(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut rest = line.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            ' ' | '\t' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match rest.next().ok_or("a quote is not closed")? {
                        '\'' => break,
                        other => word.push(other),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match rest.next().ok_or("a quote is not closed")? {
                        '"' => break,
                        '\\' => match rest.next().ok_or("a quote is not closed")? {
                            escaped @ ('$' | '`' | '"' | '\\') => word.push(escaped),
                            other => word.extend(['\\', other]),
                        },
                        expanded @ ('$' | '`') => return Err(format!("the shell would expand {expanded:?}")),
                        other => word.push(other),
                    }
                }
            }
            '\\' => word.get_or_insert_default().push(rest.next().ok_or("a backslash at the end")?),
            '#' if word.is_none() => break,
            '~' if word.is_none() => return Err("the shell would expand '~'".to_owned()),
            special @ ('$' | '`' | '*' | '?' | '[' | '{' | '}' | '(' | ')' | '<' | '>' | '|' | '&' | ';' | '!') => {
                return Err(format!("{special:?} means something to the shell"));
            }
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_of_nixpkgs_is_read() {
        let text = "#!/nix/store/x-bash/bin/bash\nset -e\nexport PATH=\"/nix/store/m/bin\"\n/bin/d \\\n  --port 1 \\\n   \\\n  \
                    --name 'a b'\\''c' \"\\$x\" \n\n";
        let script = read(text).unwrap();
        assert_eq!(script.environment, BTreeMap::from([("PATH".to_owned(), "/nix/store/m/bin".to_owned())]));
        assert_eq!(script.words, ["/bin/d", "--port", "1", "--name", "a b'c", "$x"]);
    }

    #[test]
    fn what_the_shell_would_act_on_is_refused() {
        for line in [
            "/bin/a $x",
            "/bin/a \"$x\"",
            "/bin/a; b",
            "/bin/a > b",
            "/bin/a *",
            "/bin/a\n/bin/b",
            "cd /",
            "/bin/a 'x",
            "/bin/a ~",
        ] {
            assert!(read(line).is_err(), "{line}");
        }
        assert_eq!(read("export A=1\n").unwrap_err(), "it runs no command");
    }
}
