//! What systemd makes of environment files and command lines, modelled from systemd 257's sources, state by state and
//! apart from the code under test: `parse_env_file_internal` (src/basic/env-file.c) and `extract_first_word`
//! (src/basic/extract-word.c) with the flags `EXTRACT_RELAX|EXTRACT_UNQUOTE` of `replace_env_argv`
//! (src/basic/env-util.c).

const WHITESPACE: &str = " \t\n\r";
const NEWLINE: &str = "\n\r";

/// The assignments of an environment file, in order.
pub fn read_environment_file(text: &str) -> Vec<(String, String)> {
    #[derive(Clone, Copy, PartialEq, Eq)]
    enum State {
        PreKey,
        Key,
        PreValue,
        Value,
        ValueEscape,
        SingleQuoteValue,
        DoubleQuoteValue,
        DoubleQuoteValueEscape,
        Comment,
        CommentEscape,
    }
    use State::*;
    let (mut state, mut key, mut value) = (PreKey, String::new(), String::new());
    // Where trailing white space of an unquoted value begins.
    let mut blank_from = None;
    let mut found = Vec::new();
    for c in text.chars() {
        match state {
            PreKey if "#;".contains(c) => state = Comment,
            PreKey if WHITESPACE.contains(c) => {}
            PreKey => {
                state = Key;
                key.push(c);
            }
            Key if NEWLINE.contains(c) => {
                state = PreKey;
                key.clear();
            }
            Key if c == '=' => {
                state = PreValue;
                blank_from = None;
            }
            Key => key.push(c),
            PreValue | Value if NEWLINE.contains(c) => {
                if state == Value
                    && let Some(blank) = blank_from
                {
                    value.truncate(blank);
                }
                found.push((std::mem::take(&mut key).trim_end().to_owned(), std::mem::take(&mut value)));
                state = PreKey;
            }
            PreValue if c == '\'' => state = SingleQuoteValue,
            PreValue if c == '"' => state = DoubleQuoteValue,
            PreValue if c == '\\' => state = ValueEscape,
            PreValue if WHITESPACE.contains(c) => {}
            PreValue => {
                state = Value;
                value.push(c);
            }
            Value if c == '\\' => {
                state = ValueEscape;
                blank_from = None;
            }
            Value => {
                blank_from = if WHITESPACE.contains(c) { blank_from.or(Some(value.len())) } else { None };
                value.push(c);
            }
            ValueEscape => {
                state = Value;
                if !NEWLINE.contains(c) {
                    value.push(c);
                }
            }
            SingleQuoteValue if c == '\'' => state = PreValue,
            DoubleQuoteValue if c == '"' => state = PreValue,
            DoubleQuoteValue if c == '\\' => state = DoubleQuoteValueEscape,
            SingleQuoteValue | DoubleQuoteValue => value.push(c),
            DoubleQuoteValueEscape => {
                state = DoubleQuoteValue;
                if "\"\\`$".contains(c) {
                    value.push(c);
                } else if c != '\n' {
                    value.push('\\');
                    value.push(c);
                }
            }
            Comment if c == '\\' => state = CommentEscape,
            Comment if NEWLINE.contains(c) => state = PreKey,
            Comment => {}
            CommentEscape => state = if NEWLINE.contains(c) { PreKey } else { Comment },
        }
    }
    assert!(matches!(state, PreKey | Comment), "the last line is not ended");
    found
}

/// The words that an unbraced variable gives. With `c_escapes`, those of a line of a unit file
/// (`EXTRACT_UNQUOTE|EXTRACT_CUNESCAPE`), whose only escapes here are `\n`, `\t`, `\r`, `\xNN` and the character
/// itself.
pub fn split_words(value: &str, c_escapes: bool) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = value.chars();
    'words: loop {
        // Separators before a word are skipped; at the end there is none.
        let Some(first) = rest.by_ref().find(|c| !WHITESPACE.contains(*c)) else { return words };
        let mut word = String::new();
        let mut quote = None;
        let mut next = Some(first);
        while let Some(c) = next {
            if c == '\\' {
                match rest.next() {
                    Some('n') if c_escapes => word.push('\n'),
                    Some('t') if c_escapes => word.push('\t'),
                    Some('r') if c_escapes => word.push('\r'),
                    Some('x') if c_escapes => {
                        let digits: String = rest.by_ref().take(2).collect();
                        word.push(char::from(u8::from_str_radix(&digits, 16).unwrap()));
                    }
                    Some(escaped) => word.push(escaped),
                    None => {}
                }
            } else if quote == Some(c) {
                quote = None;
            } else if quote.is_some() {
                word.push(c);
            } else if c == '\'' || c == '"' {
                quote = Some(c);
            } else if WHITESPACE.contains(c) {
                words.push(word);
                continue 'words;
            } else {
                word.push(c);
            }
            next = rest.next();
        }
        words.push(word);
        return words;
    }
}

/// `unit_full_printf` where `%` is only ever doubled, and `replace_env` where `$` is.
pub fn undouble(text: &str, doubled: char) -> String {
    let mut result = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        assert!(c != doubled || rest.next() == Some(doubled), "a lone {doubled} in {text:?}");
        result.push(c);
    }
    result
}
