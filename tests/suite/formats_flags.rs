//! What systemd makes of a rendered environment file and of an `ExecStart=` that uses its variable unbraced.

use dynix::format::{self, flags};
use dynix::plan::FormatSpec;
use dynix::systemd::quote;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::inputs::flags::systemd_model::{read_environment_file, split_words, undouble};

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
