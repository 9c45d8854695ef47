//! Quoting for what systemd reads: unit files, command lines, environment files. Text in, text out; what a place can't
//! hold is an error that says why. Rules are systemd 257's, from systemd.syntax(7), systemd.exec(5), systemd.service(5)
//! and the sources named at each function.

/// What can't be written there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuoteError {
    /// A NUL ends every C string.
    #[error("has a NUL character, which no argument and no variable can hold")]
    Nul,
    /// See [`env_file_value`].
    #[error("has the character U+{0:04X}, which systemd takes for invalid in an environment variable")]
    NonCharacter(u32),
}

/// A name that systemd takes for an environment variable's: ASCII letters, digits and `_`, no digit first
/// (`env_name_is_valid`, src/basic/env-util.c).
#[must_use]
pub fn is_variable_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The value of a line `NAME=VALUE` of an `EnvironmentFile=`, in double quotes.
///
/// Inside them a backslash takes the meaning from `"`, `\`, `` ` `` and `$` and stays where it is before anything
/// else; newlines and all other characters stand for themselves (`DOUBLE_QUOTE_VALUE` and
/// `DOUBLE_QUOTE_VALUE_ESCAPE` of `parse_env_file_internal`, src/basic/env-file.c; `SHELL_NEED_ESCAPE` in
/// src/basic/escape.h). There are no specifiers in environment files. A value that `utf8_is_valid` refuses makes
/// systemd ignore the whole file, and it refuses the noncharacters U+FDD0 to U+FDEF and U+xxFFFE, U+xxFFFF
/// (`unichar_is_valid`, src/basic/utf8.c).
pub fn env_file_value(value: &str) -> Result<String, QuoteError> {
    let mut quoted = String::with_capacity(value.len() + 2);
    quoted.push('"');
    for ch in value.chars() {
        match ch {
            '\0' => return Err(QuoteError::Nul),
            '\u{fdd0}'..='\u{fdef}' => return Err(QuoteError::NonCharacter(ch.into())),
            ch if u32::from(ch) & 0xfffe == 0xfffe => return Err(QuoteError::NonCharacter(ch.into())),
            '"' | '\\' | '`' | '$' => quoted.extend(['\\', ch]),
            ch => quoted.push(ch),
        }
    }
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
    if word.contains('\0') {
        return Err(QuoteError::Nul);
    }
    let bare = |ch: char| !matches!(ch, ' ' | '\t' | '\n' | '\r' | '\'' | '"' | '\\');
    if !word.is_empty() && word.chars().all(bare) {
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
