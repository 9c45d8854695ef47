//! What systemd makes of a rendered environment file and of an `ExecStart=` that uses its variable unbraced.
//!
//! The two parsers are modelled here from systemd 257's sources, state by state and apart from the code under test:
//! `parse_env_file_internal` (src/basic/env-file.c) and `extract_first_word` (src/basic/extract-word.c) with the flags
//! `EXTRACT_RELAX|EXTRACT_UNQUOTE` of `replace_env_argv` (src/basic/env-util.c).

use dynix::format::{self, flags};
use dynix::plan::FormatSpec;
use dynix::systemd::quote;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const WHITESPACE: &str = " \t\n\r";
const NEWLINE: &str = "\n\r";

/// The assignments of an environment file, in order.
fn read_environment_file(text: &str) -> Vec<(String, String)> {
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
fn split_words(value: &str, c_escapes: bool) -> Vec<String> {
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
fn undouble(text: &str, doubled: char) -> String {
    let mut result = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        assert!(c != doubled || rest.next() == Some(doubled), "a lone {doubled} in {text:?}");
        result.push(c);
    }
    result
}

fn render(value: &Value) -> String {
    let parameters = json!({ "variable": "FLAGS" }).as_object().unwrap().clone();
    let spec = FormatSpec { name: "flags".to_owned(), dialect: None, parameters };
    String::from_utf8(format::render(&spec, value).unwrap()).unwrap()
}

/// A word of any characters that systemd takes: no NUL, no noncharacters.
fn word() -> impl Strategy<Value = String> {
    let harsh = prop::sample::select(vec![
        "", " ", "\t", "\n", "\r", "\\", "'", "\"", "`", "$", "%", ";", "#", "=", "--x", "$X", "${X}", "%i", "\\n",
        "\\\n", "\u{1}", "\u{7f}", "é", "😀", "\u{feff}", "a b", "A=b",
    ]);
    prop_oneof![prop::collection::vec(harsh, 0..8).prop_map(|parts| parts.concat()), any::<String>()].prop_map(|word| {
        word.chars()
            .filter(|&c| c != '\0' && !matches!(c, '\u{fdd0}'..='\u{fdef}') && u32::from(c) & 0xfffe != 0xfffe)
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn systemd_gets_exactly_the_words(words in prop::collection::vec(word(), 0..6)) {
        let read = read_environment_file(&render(&json!(words)));
        prop_assert_eq!(read.len(), 1);
        prop_assert_eq!(&read[0].0, "FLAGS");
        prop_assert_eq!(split_words(&read[0].1, false), words);
    }

    #[test]
    fn arguments_of_exec_start_come_through(words in prop::collection::vec(word(), 0..6)) {
        let line: Vec<_> = words.iter().map(|word| quote::exec_word(word).unwrap()).collect();
        let line = line.join(" ");
        prop_assert!(!line.contains(['\n', '\r']) && !quote::continues_line(&line), "{:?}", line);
        let read: Vec<_> = split_words(&line, true).iter().map(|word| undouble(&undouble(word, '%'), '$')).collect();
        prop_assert_eq!(read, words);
    }

    #[test]
    fn assignments_come_through(value in word()) {
        let line = quote::environment_assignment("NAME", &value).unwrap();
        let read: Vec<_> = split_words(&line, true).iter().map(|word| undouble(word, '%')).collect();
        prop_assert_eq!(read, [format!("NAME={value}")]);
    }

    #[test]
    fn bound_paths_come_through(name in word()) {
        let path = format!("/{name}");
        match quote::bind_path(&path) {
            // Without C escapes, and with the colon among the separators.
            Ok(line) => {
                let unescaped_colon = line.replace("\\\\", "").replace("\\:", "").contains(':');
                prop_assert!(!unescaped_colon);
                let read: Vec<_> = split_words(&line, false).iter().map(|word| undouble(word, '%')).collect();
                prop_assert_eq!(read, [path]);
            }
            Err(error) => {
                let lost = |c: char| c.is_ascii_control() || "'\"".contains(c);
                prop_assert!(path.contains(lost) || path.ends_with(' '), "{}", error);
            }
        }
    }
}

#[test]
fn values_become_flags() {
    let value = json!([
        "run",
        { "flag": "--jobs", "value": 4 },
        { "flag": "--ratio", "value": 0.5 },
        { "flag": "--nice", "value": null },
        { "flag": "--stats", "value": false },
        { "flag": "--zeroconf", "value": true },
        { "flag": "--allow", "value": ["a", "b c"] },
        { "flag": "--tags", "value": ["x", "y"], "join": ",", "separator": "=" },
        { "flag": "--none", "value": [], "join": "," },
        { "flag": "--empty", "value": "" },
    ]);
    let expected = [
        "run",
        "--jobs",
        "4",
        "--ratio",
        "0.500000",
        "--zeroconf",
        "--allow",
        "a",
        "--allow",
        "b c",
        "--tags=x,y",
        "--empty",
        "",
    ];
    assert_eq!(flags::words(&Map::new(), &value).unwrap(), expected);
    let joined = json!({ "separator": "=", "join": "," });
    let value = json!([{ "flag": "--allow", "value": ["a", "b"] }, { "flag": "-v", "value": true }]);
    assert_eq!(flags::words(joined.as_object().unwrap(), &value).unwrap(), ["--allow=a,b", "-v"]);
}
