//! Splits command lines into words, as systemd does for `ExecStart=` and the shell for a start script. A text that either
//! would expand or act on is an error that says why.

/// The words of a text in `ExecStart=`: quotes and escapes, no specifier, no variable, one command (systemd.service(5),
/// "Command lines").
pub fn systemd(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut rest = text.chars().peekable();
    loop {
        while rest.next_if(|ch| is_space(*ch)).is_some() {}
        if rest.peek().is_none() {
            return Ok(words);
        }
        let mut word = String::new();
        let mut quote = None;
        let mut is_quoted = false;
        while let Some(ch) = rest.next_if(|ch| quote.is_some() || !is_space(*ch)) {
            match ch {
                '\\' => word.push(escaped(rest.next())?),
                '%' | '$' if rest.next_if_eq(&ch).is_some() => word.push(ch),
                // Only braces and a whole word are a variable (`replace_env_argv`, src/basic/env-util.c).
                '$' if !word.is_empty() && rest.peek() != Some(&'{') => word.push(ch),
                '%' | '$' => return Err(format!("systemd would expand {ch:?}; {ch}{ch} is the character itself")),
                '\'' | '"' if quote == Some(ch) => quote = None,
                '\'' | '"' if quote.is_none() => {
                    quote = Some(ch);
                    is_quoted = true;
                }
                ch => word.push(ch),
            }
        }
        if quote.is_some() {
            return Err("a quote has no end".to_owned());
        }
        if word == ";" && !is_quoted {
            return Err("another command would begin at \";\"".to_owned());
        }
        words.push(word);
    }
}

fn is_space(ch: char) -> bool {
    matches!(ch, ' ' | '\t' | '\n' | '\r')
}

/// The escapes that nixpkgs writes: those of JSON that systemd has too (`escapeSystemdExecArg`, nixos/lib/utils.nix).
fn escaped(ch: Option<char>) -> Result<char, String> {
    match ch {
        Some('n') => Ok('\n'),
        Some('t') => Ok('\t'),
        Some('r') => Ok('\r'),
        Some('s') => Ok(' '),
        Some(ch @ ('\\' | '"' | '\'')) => Ok(ch),
        Some(ch) => Err(format!("the escape \\{ch} is not known here")),
        None => Err("a backslash at the end would join the next line".to_owned()),
    }
}

/// The words of a text among the arguments of a command in a script.
pub fn shell(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut lexer = Lexer::new(text, 1);
    loop {
        match lexer.rest.peek() {
            None => return Ok(words),
            Some(' ' | '\t') => drop(lexer.next()),
            Some('\n') => return Err("another command would begin on the next line".to_owned()),
            Some('#') => return Err("the shell would take what comes after \"#\" for a comment".to_owned()),
            Some(_) => words.extend(lexer.word()?),
        }
    }
}

/// Splits a script into words, as the shell does (POSIX.1-2024, 2.2 and 2.3).
pub struct Lexer<'t> {
    rest: std::iter::Peekable<std::str::Chars<'t>>,
    line: usize,
}

impl<'t> Lexer<'t> {
    /// Begins at the line of this number.
    #[must_use]
    pub fn new(text: &'t str, line: usize) -> Self {
        Self { rest: text.chars().peekable(), line }
    }

    /// The next command's words with the line where it begins; no words at the end of the script.
    pub fn command(&mut self) -> Result<(usize, Vec<String>), String> {
        let mut words = Vec::new();
        let mut begin = self.line;
        loop {
            match self.rest.peek() {
                None => return Ok((begin, words)),
                Some('\n') => {
                    self.next();
                    if !words.is_empty() {
                        return Ok((begin, words));
                    }
                }
                Some(' ' | '\t') => drop(self.next()),
                // To the end of its line: a backslash there joins nothing.
                Some('#') => while self.rest.next_if(|&ch| ch != '\n').is_some() {},
                Some(_) => {
                    if words.is_empty() {
                        begin = self.line;
                    }
                    let line = self.line;
                    words.extend(self.word().map_err(|problem| format!("line {line}: {problem}"))?);
                }
            }
        }
    }

    fn next(&mut self) -> Option<char> {
        let next = self.rest.next();
        self.line += usize::from(next == Some('\n'));
        next
    }

    /// A word; `None` if there are only joined lines.
    fn word(&mut self) -> Result<Option<String>, String> {
        let mut word: Option<String> = None;
        while let Some(&ch) = self.rest.peek() {
            match ch {
                ' ' | '\t' | '\n' => break,
                '\'' => {
                    self.next();
                    let word = word.get_or_insert_default();
                    loop {
                        match self.next() {
                            Some('\'') => break,
                            other => word.push(quotable(other)?),
                        }
                    }
                }
                '"' => {
                    self.next();
                    self.double_quoted(word.get_or_insert_default())?;
                }
                '\\' => {
                    self.next();
                    match self.next() {
                        Some('\n') => {}
                        other => word.get_or_insert_default().push(quotable(other)?),
                    }
                }
                ch if is_plain(ch) => {
                    self.next();
                    word.get_or_insert_default().push(ch);
                }
                ch => return Err(format!("{ch:?} means something to the shell, or may")),
            }
        }
        Ok(word)
    }

    fn double_quoted(&mut self, word: &mut String) -> Result<(), String> {
        loop {
            match self.next() {
                Some('"') => return Ok(()),
                Some('\\') => match self.next() {
                    Some('\n') => {}
                    Some(escaped @ ('$' | '`' | '"' | '\\')) => word.push(escaped),
                    other => word.extend(['\\', quotable(other)?]),
                },
                Some(ch @ ('$' | '`')) => return Err(format!("the shell would expand {ch:?}")),
                other => word.push(quotable(other)?),
            }
        }
    }
}

/// A character that quotes can make a part of a word. Shells differ in what they do with control characters.
fn quotable(ch: Option<char>) -> Result<char, String> {
    match ch {
        None => Err("a quote has no end".to_owned()),
        Some(ch) if ch.is_control() && !matches!(ch, '\n' | '\t') => Err(format!("{ch:?} is not known here")),
        Some(ch) => Ok(ch),
    }
}

/// A character that stands for itself outside of quotes, in every shell and at every place of a word.
fn is_plain(ch: char) -> bool {
    let is_letter = !ch.is_ascii() && ch.is_alphanumeric();
    ch.is_ascii_alphanumeric() || is_letter || matches!(ch, '_' | '-' | '+' | '.' | ',' | '/' | ':' | '=' | '@' | '%')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_systemd() {
        for (text, expected) in [
            ("", Some(vec![])),
            ("--a  --b\\tc", Some(vec!["--a", "--b\tc"])),
            ("--a='b c' \"d\\\"e\"f ''", Some(vec!["--a=b c", "d\"ef", ""])),
            ("--mounts=^/(dev|proc)($|/) --units=.*$", Some(vec!["--mounts=^/(dev|proc)($|/)", "--units=.*$"])),
            ("--a=50%% $$HOME", Some(vec!["--a=50%", "$HOME"])),
            ("';' ;;", Some(vec![";", ";;"])),
            ("--a=%n", None),
            ("$HOME", None),
            ("'$HOME'", None),
            ("--a=${HOME}", None),
            ("a ; b", None),
            ("it's", None),
            ("a\\", None),
            ("a\\.b", None),
        ] {
            let words = systemd(text).ok();
            assert_eq!(words, expected.map(|words| words.into_iter().map(str::to_owned).collect()), "{text}");
        }
    }

    #[test]
    fn words_are_those_of_the_shell() {
        for (text, expected) in [
            ("", Some(vec![])),
            ("-Xmx80m -Da='b c'\\ d", Some(vec!["-Xmx80m", "-Da=b c d"])),
            ("a#b", None),
            ("a #b", None),
            ("a\nb", None),
            ("$HOME", None),
            ("a; b", None),
            ("*", None),
            ("it's", None),
            ("a\\", None),
        ] {
            let words = shell(text).ok();
            assert_eq!(words, expected.map(|words| words.into_iter().map(str::to_owned).collect()), "{text}");
        }
    }
}
