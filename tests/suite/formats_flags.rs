//! What systemd makes of a rendered environment file and of an `ExecStart=` that uses its variable unbraced.

use dynix::format::{self, flags};
use dynix::host::systemd::quote;
use dynix::plan::FormatSpec;
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

#[test]
fn attributes_become_flags_as_lib_cli_writes_them() {
    // The example of toCommandLineGNU in lib/cli.nix.
    let attributes = json!({
        "v": true, "verbose": [true, true, false, null], "i": ".bak", "testsuite": ["unit", "integration"],
        "e": ["s/a/b/", "s/b/c/"], "n": false, "data": "{\"id\":0}",
    });
    let words = |parameters: Value, item: Value| flags::words(parameters.as_object().unwrap(), &json!([item]));
    let gnu = [
        "--data={\"id\":0}",
        "-es/a/b/",
        "-es/b/c/",
        "-i.bak",
        "--testsuite=unit",
        "--testsuite=integration",
        "-v",
        "--verbose",
        "--verbose",
    ];
    assert_eq!(words(json!({ "separator": "gnu" }), json!({ "flags": attributes })).unwrap(), gnu);
    // That of toCommandLine, with -NAME=VALUE and explicit booleans; an item's own conventions come first.
    let item = json!({ "flags": attributes, "dashes": "-", "separator": "=", "booleans": "true/false" });
    let go = [
        "-data={\"id\":0}",
        "-e=s/a/b/",
        "-e=s/b/c/",
        "-i=.bak",
        "-n=false",
        "-testsuite=unit",
        "-testsuite=integration",
        "-v=true",
        "-verbose=true",
        "-verbose=true",
        "-verbose=false",
    ];
    assert_eq!(words(json!({ "separator": "gnu" }), item).unwrap(), go);
    // lib.stringLength counts bytes.
    assert_eq!(words(json!({}), json!({ "flags": { "é": 1 } })).unwrap(), ["--é", "1"]);
    for (item, problem) in [
        (json!({ "flags": [] }), "\"0\": is a list, but has to be an attribute set"),
        (json!({ "flags": { "": 1 } }), "\"0\": a flag has a name, and an attribute here has none"),
        (json!({ "flags": { "a": { "b": 1 } } }), "\"0\".a: is an attribute set"),
        (json!({ "flags": {}, "value": 1 }), "\"0\".value: is not known here"),
        (json!({ "flags": {}, "dashes": "+" }), "\"0\".dashes: has to be"),
        (json!({ "flag": "--a", "value": 1, "dashes": "-" }), "\"0\".dashes: is not known here"),
    ] {
        let error = words(json!({}), item.clone()).unwrap_err().to_string();
        assert!(error.starts_with(problem), "{item}: {error}");
    }
}

#[test]
fn flags_that_would_be_read_as_others_are_misreadings() {
    let misread = |item: Value| {
        let parameters = json!({ "variable": "FLAGS", "separator": "gnu" }).as_object().unwrap().clone();
        let spec = FormatSpec { name: "flags".to_owned(), dialect: None, parameters };
        let found = format::ambiguities(&spec, &json!([]), &json!(["--word=", item]));
        found.map_or_else(|error| error.to_string(), |()| String::new())
    };
    assert_eq!(misread(json!({ "flags": { "a": "", "long": "", "b": ["x"] }, "separator": " " })), "");
    assert!(misread(json!({ "flags": { "a=b": 1 } })).starts_with("\"1\".\"a=b\": the name has a ="));
    assert!(misread(json!({ "flags": { "-": "x" } })).contains("the name begins with a dash"));
    assert!(misread(json!({ "flags": { "a": ["x", ""], "long": "" } })).starts_with("\"1\".a: an empty value"));
}
