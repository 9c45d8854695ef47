//! Parses the values that nixpkgs writes into units. A value that systemd would expand or interpret gives nothing.

use crate::format::command_line;

/// The words of a value of `ExecStart=` that is only a program by its whole path and arguments: no prefix, no
/// specifier, no variable, one command (systemd.service(5), "Command lines").
#[must_use]
pub fn words(value: &str) -> Option<Vec<String>> {
    let words = command_line::systemd(value).ok()?;
    words.first()?.starts_with('/').then_some(words)
}

/// The assignment of an `Environment=`: `"NAME=VALUE"` with the escapes of JSON (nixos/lib/systemd-lib.nix). `None` for
/// a specifier, because systemd expands it.
#[must_use]
pub fn assignment(value: &str) -> Option<(String, String)> {
    let text: String = if value.starts_with('"') { serde_json::from_str(value).ok()? } else { value.to_owned() };
    let is_one = value.starts_with('"') || !value.contains(char::is_whitespace);
    let (name, value) = text.split_once('=').filter(|_| is_one && !text.contains('%'))?;
    Some((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::host::systemd::quote;

    #[test]
    fn words_are_those_of_systemd() {
        for (value, expected) in [
            ("/bin/x", Some(vec!["/bin/x"])),
            ("/bin/x  --a 'b c' \"d\\\"e\"f\t''", Some(vec!["/bin/x", "--a", "b c", "d\"ef", ""])),
            ("/bin/x '--a=50%%' $$HOME ';' ';;'", Some(vec!["/bin/x", "--a=50%", "$HOME", ";", ";;"])),
            ("/bin/x %n", None),
            ("/bin/x $HOME", None),
            ("/bin/x '${HOME}'", None),
            ("/bin/x ; /bin/y", None),
            ("/bin/x 'a", None),
            ("/bin/x \\x20", None),
            ("-/bin/x", None),
            ("@/bin/x x", None),
            ("x --a", None),
            ("", None),
        ] {
            let words = words(value);
            assert_eq!(words, expected.map(|words| words.into_iter().map(str::to_owned).collect()), "{value}");
        }
    }

    #[test]
    fn assignments_are_those_of_nixpkgs() {
        for (value, pair) in [
            (r#""A=b c""#, Some(("A", "b c"))),
            (r#""A=\"b\"""#, Some(("A", "\"b\""))),
            ("A=b", Some(("A", "b"))),
            ("A=b C=d", None),
            (r#""A=%n""#, None),
        ] {
            assert_eq!(assignment(value), pair.map(|(name, value)| (name.to_owned(), value.to_owned())), "{value}");
        }
    }

    proptest! {
        #[test]
        fn what_is_quoted_is_read_back(given in prop::collection::vec("[ -~\n\té]{0,12}", 0..5)) {
            let quoted: Vec<String> = given.iter().map(|word| quote::exec_word(word).unwrap()).collect();
            // Escapes by number are none of nixpkgs'.
            prop_assume!(!quoted.iter().any(|word| word.contains("\\x")));
            let line = format!("/bin/x {}", quoted.join(" "));
            prop_assert_eq!(words(&line), Some([vec!["/bin/x".to_owned()], given].concat()));
        }
    }
}
