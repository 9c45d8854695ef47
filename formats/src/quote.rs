//! Quoting for the files that systemd reads: unit files, command lines, environment files. Text in, text out. A text
//! that a place can't hold is an error that says why. The rules are systemd 257's, from systemd.syntax(7),
//! systemd.exec(5), systemd.service(5) and the sources named at each function.
//!
//! The function for each place:
//!
//! | place | function |
//! | --- | --- |
//! | first word of `ExecStart=` | [`exec_program`] |
//! | other words of `ExecStart=` | [`exec_word`] |
//! | `Environment=` | [`environment_assignment`] |
//! | `EnvironmentFile=` | [`environment_file`] |
//! | `BindReadOnlyPaths=`, either side of the colon | [`bind_path`] |
//! | `SetCredential=`, after the colon | [`credential_text`] |
//! | a directive that takes several words | [`word`] |
//! | a directive that takes the rest of the line | [`directive_value`] |
//! | a value in an environment file | [`env_file_value`] |
//! | words in a variable that `ExecStart=` uses unbraced | [`variable_word`], then [`env_file_value`] |

use std::fmt::Write;

/// A text that can't be written in that place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuoteError {
    /// A NUL ends every C string.
    #[error("has a NUL character, which nothing that systemd reads can hold")]
    Nul,
    /// `utf8_is_valid` refuses noncharacters, U+FDD0 to U+FDEF and those that end in FFFE or FFFF
    /// (`unichar_is_valid`, src/basic/utf8.c), and with them the whole line, or environment file.
    #[error("has the character U+{0:04X}, which systemd takes for invalid")]
    NonCharacter(u32),
    /// Another line would start in the middle of the value.
    #[error("has a line break, which this directive can't hold")]
    LineBreak,
    /// The line would continue on the next one (systemd.syntax(7)).
    #[error("ends in a backslash, which would join the next line to it")]
    TrailingBackslash,
    /// systemd strips lines, and there is no quoting to keep it.
    #[error("ends in white space, which this directive can't hold")]
    TrailingBlank,
    /// systemd wants absolute paths there.
    #[error("is not an absolute path")]
    NotAbsolute,
    /// See [`exec_program`].
    #[error("has the character {0:?}, which systemd refuses in the path of a program")]
    InProgram(char),
    /// See [`bind_path`].
    #[error("has the character {0:?}, which systemd does not carry to the program's mount namespace")]
    InBindPath(char),
    /// See [`environment_assignment`].
    #[error("is not the name of an environment variable: it takes letters, digits and _, no digit first")]
    VariableName,
}

/// A name that systemd takes for an environment variable's: ASCII letters, digits and `_`, no digit first
/// (`env_name_is_valid`, src/basic/env-util.c).
#[must_use]
pub fn is_variable_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Refuses what no line that systemd reads can hold.
fn check(text: &str) -> Result<(), QuoteError> {
    if text.is_ascii() && memchr::memchr(0, text.as_bytes()).is_none() {
        return Ok(());
    }
    match text.chars().find(|&ch| ch == '\0' || is_noncharacter(ch)) {
        None => Ok(()),
        Some('\0') => Err(QuoteError::Nul),
        Some(ch) => Err(QuoteError::NonCharacter(ch.into())),
    }
}

fn is_noncharacter(ch: char) -> bool {
    matches!(ch, '\u{fdd0}'..='\u{fdef}') || u32::from(ch) & 0xfffe == 0xfffe
}

/// Ends of lines for `read_line` (src/basic/fileio.c).
fn is_line_break(ch: char) -> bool {
    matches!(ch, '\n' | '\r')
}

/// Whether a line that ends in `text` continues on the next one: the last backslash is not itself escaped by one
/// (`config_parse`, src/shared/conf-parser.c).
#[must_use]
pub fn continues_line(text: &str) -> bool {
    text.bytes().rev().take_while(|&byte| byte == b'\\').count() % 2 == 1
}

/// A character that is itself in every kind of line: no quote, escape, separator, specifier, variable or glob.
fn is_harmless(ch: char) -> bool {
    ch.is_ascii_alphanumeric() || matches!(ch, '_' | '-' | '+' | '.' | ',' | '/' | ':' | '=' | '@') || ch >= '\u{a0}'
}

/// The value of a line `NAME=VALUE` of an `EnvironmentFile=`, in double quotes.
///
/// Inside them a backslash takes the meaning from `"`, `\`, `` ` `` and `$` and stays where it is before anything
/// else; newlines and all other characters stand for themselves (`DOUBLE_QUOTE_VALUE` and
/// `DOUBLE_QUOTE_VALUE_ESCAPE` of `parse_env_file_internal`, src/basic/env-file.c; `SHELL_NEED_ESCAPE` in
/// src/basic/escape.h). There are no specifiers in environment files. Values may have control characters
/// (`env_value_is_valid`, src/basic/env-util.c, since systemd 248).
pub fn env_file_value(value: &str) -> Result<String, QuoteError> {
    check(value)?;
    let mut quoted = String::with_capacity(value.len() + 2);
    quoted.push('"');
    let mut rest = value;
    while let Some(next) = rest.find(['"', '\\', '`', '$']) {
        let (plain, special) = rest.split_at(next);
        quoted.push_str(plain);
        quoted.push('\\');
        quoted.push_str(&special[..1]);
        rest = &special[1..];
    }
    quoted.push_str(rest);
    quoted.push('"');
    Ok(quoted)
}

/// One word of a variable that a command line uses unbraced, as in `ExecStart=/bin/x $WORDS`.
///
/// systemd splits the variable's value at blanks and newlines; quotes group, and a backslash gives the next character
/// as it is, inside quotes of either kind as well. There are no other escapes here, no specifiers, and what comes out
/// is not looked at again (`replace_env_argv`, src/basic/env-util.c, calls `strv_split_full` with
/// `EXTRACT_RELAX|EXTRACT_UNQUOTE`; `extract_first_word`, src/basic/extract-word.c).
pub fn variable_word(word: &str) -> Result<String, QuoteError> {
    check(word)?;
    let bare = |byte: u8| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\'' | b'"' | b'\\');
    if !word.is_empty() && word.bytes().all(bare) {
        return Ok(word.to_owned());
    }
    let mut quoted = String::with_capacity(word.len() + 2);
    quoted.push('\'');
    for ch in word.chars() {
        if matches!(ch, '\'' | '\\') {
            quoted.push('\\');
        }
        quoted.push(ch);
    }
    quoted.push('\'');
    Ok(quoted)
}

/// The program of an `ExecStart=`, its first word.
///
/// The path is used without the substitution of variables, but systemd refuses control characters, quotes and
/// backslashes in it (`config_parse_exec`, src/core/load-fragment.c; `string_is_safe`). It has to be absolute here,
/// which also keeps it from starting with one of the prefixes `@-:+!|`. A `$` is refused as well: the program's
/// argument 0 does have variables substituted, so the two could not be the same.
pub fn exec_program(path: &str) -> Result<String, QuoteError> {
    check(path)?;
    if !path.starts_with('/') {
        return Err(QuoteError::NotAbsolute);
    }
    let refused = |ch: char| ch.is_ascii_control() || matches!(ch, '"' | '\'' | '\\' | '$');
    match path.chars().find(|&ch| refused(ch)) {
        Some(ch) => Err(QuoteError::InProgram(ch)),
        None => word(path),
    }
}

/// One argument of an `ExecStart=`: a [`word`], with `$$` for `$`, which would start a variable (systemd.service(5),
/// "Command lines"; `replace_env`, src/basic/env-util.c). In its quotes a lone `;` does not end the command.
pub fn exec_word(argument: &str) -> Result<String, QuoteError> {
    word(&argument.replace('$', "$$"))
}

/// One word of a directive that takes several: in double quotes with C escapes where needed, and `%%` for `%`, which
/// would start a specifier (systemd.syntax(7), "Quoting"; systemd.unit(5), "Specifiers"; `extract_first_word` with
/// `EXTRACT_UNQUOTE|EXTRACT_CUNESCAPE`, and only then `unit_full_printf`).
pub fn word(text: &str) -> Result<String, QuoteError> {
    check(text)?;
    if !text.is_empty() && text.chars().all(is_harmless) {
        return Ok(text.to_owned());
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for ch in text.chars() {
        match ch {
            '"' | '\\' => quoted.extend(['\\', ch]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            '%' => quoted.push_str("%%"),
            ch if ch.is_ascii_control() => {
                // Writing to a String can't fail.
                let _ = write!(quoted, "\\x{:02x}", u32::from(ch));
            }
            ch => quoted.push(ch),
        }
    }
    quoted.push('"');
    Ok(quoted)
}

/// `NAME=value` for `Environment=`, as one [`word`]. Variables are not substituted there (systemd.exec(5),
/// `Environment=`; `config_parse_environ`, src/core/load-fragment.c).
pub fn environment_assignment(name: &str, value: &str) -> Result<String, QuoteError> {
    if !is_variable_name(name) {
        return Err(QuoteError::VariableName);
    }
    word(&format!("{name}={value}"))
}

/// The path of an `EnvironmentFile=`, without a `-` before it. It is the rest of the line, so nothing is unquoted; it
/// has specifiers, and it is a glob (`config_parse_unit_env_file`, src/core/load-fragment.c; glob(7)).
pub fn environment_file(path: &str) -> Result<String, QuoteError> {
    if !path.starts_with('/') {
        return Err(QuoteError::NotAbsolute);
    }
    if path.ends_with(char::is_whitespace) {
        return Err(QuoteError::TrailingBlank);
    }
    let mut escaped = String::with_capacity(path.len());
    for ch in path.chars() {
        if matches!(ch, '*' | '?' | '[' | '\\') {
            escaped.push('\\');
        }
        escaped.push(ch);
    }
    directive_value(&escaped)
}

/// A path in `BindReadOnlyPaths=` and its kin, where a colon separates source and target and blanks separate entries.
///
/// A backslash gives the next character as it is; there are no other escapes (`config_parse_bind_paths`,
/// src/core/load-fragment.c: `extract_first_word` with `EXTRACT_UNQUOTE` only, then `unit_path_printf`). Quotes and
/// control characters are refused: they can be written, but systemd hands the path on to its executor in a way that
/// loses them, and the unit fails (`exec_context_serialize`, src/core/execute-serialize.c; seen on systemd 257 with
/// tests/formats/systemd.py).
pub fn bind_path(path: &str) -> Result<String, QuoteError> {
    check(path)?;
    if !path.starts_with('/') {
        return Err(QuoteError::NotAbsolute);
    }
    // systemd cuts blanks off the end of a line before it looks at backslashes (systemd.syntax(7)).
    if path.ends_with(' ') {
        return Err(QuoteError::TrailingBlank);
    }
    let mut escaped = String::with_capacity(path.len());
    for ch in path.chars() {
        match ch {
            '\'' | '"' => return Err(QuoteError::InBindPath(ch)),
            ch if ch.is_ascii_control() => return Err(QuoteError::InBindPath(ch)),
            '%' => escaped.push('%'),
            ':' | ' ' | '\\' => escaped.push('\\'),
            _ => {}
        }
        escaped.push(ch);
    }
    Ok(escaped)
}

/// The text of a `SetCredential=`, after its name and a colon: the rest of the line with C escapes, and nothing else that
/// has a meaning (`config_parse_set_credential`, src/core/load-fragment.c: `cunescape` alone). A backslash, a `%` and blanks
/// are escaped all the same, so that no line can go on in the next one or lose its end, and no version can see a specifier.
pub fn credential_text(text: &str) -> Result<String, QuoteError> {
    check(text)?;
    let mut escaped = String::with_capacity(text.len() + text.len() / 8);
    let end = text.trim_end_matches(' ').len();
    for (at, ch) in text.char_indices() {
        match ch {
            '\n' => escaped.push_str("\\n"),
            '\t' => escaped.push_str("\\t"),
            '\\' | '%' => drop(write!(escaped, "\\x{:02x}", u32::from(ch))),
            ' ' if at == 0 || at >= end => escaped.push_str("\\x20"),
            ch if ch.is_ascii_control() => drop(write!(escaped, "\\x{:02x}", u32::from(ch))),
            ch => escaped.push(ch),
        }
    }
    Ok(escaped)
}

/// Text in a directive that takes the rest of its line as it is, such as `Description=`: `%%` for `%`. A line break
/// would start another directive and has no escape there, and a backslash at the end would join the next line (see
/// [`continues_line`]). In directives that take words, quotes keep their meaning: see [`word`].
pub fn directive_value(text: &str) -> Result<String, QuoteError> {
    check(text)?;
    if text.contains(is_line_break) {
        return Err(QuoteError::LineBreak);
    }
    if continues_line(text) {
        return Err(QuoteError::TrailingBackslash);
    }
    Ok(text.replace('%', "%%"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok(result: Result<String, QuoteError>) -> String {
        result.unwrap()
    }

    #[test]
    fn words_are_bare_where_they_can_be() {
        assert_eq!(ok(exec_word("--port=3632")), "--port=3632");
        assert_eq!(ok(exec_word("")), r#""""#);
        assert_eq!(ok(exec_word(";")), r#"";""#);
        assert_eq!(ok(exec_word("50% of $HOME")), r#""50%% of $$HOME""#);
        assert_eq!(ok(exec_word("a\"b\\c\n\u{1}")), r#""a\"b\\c\n\x01""#);
        assert_eq!(ok(word("$HOME")), r#""$HOME""#);
        assert_eq!(ok(environment_assignment("PATH", "/a b:/c")), r#""PATH=/a b:/c""#);
    }

    #[test]
    fn the_text_of_a_credential_is_one_line() {
        assert_eq!(ok(credential_text("{\"a b\": \"\\\"%n\"}\n")), r#"{"a b": "\x5c"\x25n"}\n"#);
        assert_eq!(ok(credential_text(" a  ")), r"\x20a\x20\x20");
        assert_eq!(ok(credential_text("\r\t\u{e9}")), "\\x0d\\t\u{e9}");
    }

    #[test]
    fn programs_are_absolute_and_plain() {
        assert_eq!(ok(exec_program("/nix/store/x-y/bin/distccd")), "/nix/store/x-y/bin/distccd");
        assert_eq!(ok(exec_program("/a b%c")), r#""/a b%%c""#);
        assert_eq!(exec_program("-/bin/x"), Err(QuoteError::NotAbsolute));
        assert_eq!(exec_program("/bin/$x"), Err(QuoteError::InProgram('$')));
        assert_eq!(exec_program("/bin/\nx"), Err(QuoteError::InProgram('\n')));
    }

    #[test]
    fn variables_are_quoted_twice() {
        let words = format!("{} {}", ok(variable_word("it's")), ok(variable_word("a\\b")));
        assert_eq!(words, r"'it\'s' 'a\\b'");
        assert_eq!(ok(env_file_value(&words)), r#""'it\\'s' 'a\\\\b'""#);
        assert_eq!(ok(variable_word("$x;#%y")), "$x;#%y");
        assert_eq!(ok(variable_word("")), "''");
        assert_eq!(ok(env_file_value("$x`\n")), "\"\\$x\\`\n\"");
    }

    #[test]
    fn paths_lose_their_separators() {
        assert_eq!(ok(bind_path("/a:b c%d\\e")), r"/a\:b\ c%%d\\e");
        assert_eq!(bind_path("/a\nb"), Err(QuoteError::InBindPath('\n')));
        assert_eq!(bind_path("/it's"), Err(QuoteError::InBindPath('\'')));
        assert_eq!(bind_path("a"), Err(QuoteError::NotAbsolute));
        assert_eq!(bind_path("/a "), Err(QuoteError::TrailingBlank));
        assert_eq!(ok(environment_file("/a*[b]%c d")), r"/a\*\[b]%%c d");
        assert_eq!(environment_file("/a "), Err(QuoteError::TrailingBlank));
    }

    #[test]
    fn lines_stay_one_line() {
        assert_eq!(ok(directive_value("100% of C:\\dir\\x")), "100%% of C:\\dir\\x");
        assert_eq!(ok(directive_value("two\\\\")), "two\\\\");
        assert_eq!(directive_value("one\\"), Err(QuoteError::TrailingBackslash));
        assert_eq!(directive_value("a\nExecStart=/bin/rm"), Err(QuoteError::LineBreak));
        assert_eq!(directive_value("a\rb"), Err(QuoteError::LineBreak));
    }

    #[test]
    fn what_systemd_takes_for_invalid_is_refused() {
        for bad in ["\0", "a\u{fffe}", "\u{fdd0}", "\u{1ffff}"] {
            assert!(env_file_value(bad).is_err() && variable_word(bad).is_err() && word(bad).is_err());
            assert!(directive_value(bad).is_err() && bind_path(&format!("/{bad}")).is_err());
        }
        assert_eq!(
            env_file_value("\u{fffe}").unwrap_err().to_string(),
            "has the character U+FFFE, which systemd takes for invalid"
        );
    }
}
