//! What a format can't say, and parameters that it doesn't have: each error names the place and the way out.

use dynix_formats as format;
use dynix_formats::FormatSpec;
use serde_json::{Value, json};

fn spec(name: &str, parameters: &Value) -> FormatSpec {
    FormatSpec { name: name.to_owned(), dialect: None, parameters: parameters.as_object().unwrap().clone() }
}

#[track_caller]
#[allow(clippy::needless_pass_by_value, reason = "so that cases read as plain literals")]
fn refused(name: &str, parameters: Value, value: Value, expected: &str) {
    let error = format::render(&spec(name, &parameters), &value).unwrap_err();
    assert_eq!(error.to_string(), expected);
}

#[test]
fn values_that_a_format_has_no_word_for() {
    let null = "is null, which TOML doesn't have; leave the attribute out";
    refused("toml", json!({}), json!({ "a": { "b c": [1, null] } }), &format!("a.\"b c\".\"1\": {null}"));
    refused("toml", json!({}), json!({ "a": [{ "x": 1 }, { "x": null }] }), &format!("a.\"1\".x: {null}"));
    refused("toml", json!({}), json!([1]), "a TOML document is a table, not an array");
    refused(
        "json",
        json!({}),
        json!({ "n": u64::MAX }),
        "n: the integer 18446744073709551615 is above 9223372036854775807, the largest that Nix has",
    );
    refused(
        "ini",
        json!({}),
        json!({ "s": { "k": [1] } }),
        "s.k: is a list; that needs the parameter listsAsDuplicateKeys or listToValue",
    );
    refused("ini", json!({}), json!({ "s": 1 }), "s: has to be an attribute set of keys and values");
    refused("keyValue", json!({}), json!({ "k": {} }), "k: is an attribute set, which a line can't hold");
    refused(
        "keyValue",
        json!({ "listsAsDuplicateKeys": true }),
        json!({ "k": ["a", [1]] }),
        "k.\"1\": is a list in a list, which a line can't hold",
    );
    let nul = "has a NUL character, which no text file of this format can hold";
    refused("systemd", json!({}), json!({ "Unit": { "k": "a\0b" } }), &format!("Unit.k: {nul}"));
    refused("ini", json!({}), json!({ "s\0": {} }), &format!("\"s\0\": {nul}"));
    refused(
        "iniWithGlobalSection",
        json!({}),
        json!({ "global": {} }),
        "global: is not known here; there are globalSection and sections",
    );
}

#[test]
fn values_that_the_other_formats_have_no_word_for() {
    refused("gitIni", json!({}), json!({ "a": 1 }), "a: has to be a section, a set of keys and values");
    refused(
        "gitIni",
        json!({}),
        json!({ "a": { "b": { "c": [[1]] } } }),
        "\"a.b\".c.\"0\": is a list in a list, which a line can't hold",
    );
    refused("hcl1", json!({}), json!([]), "has to be an attribute set");
    refused("lua", json!({ "asBindings": true }), json!({ "a.b": 1, "x-y": 1 }), "x-y: is no name of a Lua variable");
    refused(
        "php",
        json!({}),
        json!({ "a": { "_phpType": "code" } }),
        "a: _phpType is raw, with code, or mixed_array, with { list, set }",
    );
    refused("javaProperties", json!({}), json!({ "a": null }), "a: is null, which a property can't be");
    refused(
        "javaProperties",
        json!({}),
        json!({ "a": { "b": 1 } }),
        "a: is an attribute set; properties are flat, name it \"a.b\"",
    );
    refused(
        "nixConf",
        json!({}),
        json!({ "cores": ["a", 1] }),
        "cores.\"1\": has to be a string, as everything in a list here",
    );
    let nul = "has a NUL character, which no text file of this format can hold";
    refused("plist", json!({}), json!(["\0"]), &format!("\"0\": {nul}"));
}

#[test]
fn flags_that_are_none() {
    let variable = json!({ "variable": "FLAGS" });
    let refused = |value, expected: &str| refused("flags", variable.clone(), value, expected);
    refused(json!({}), "flags are a list of words and of { flag, value }, not an attribute set");
    refused(json!(["a", 1]), "\"1\": is a number, but has to be a word or { flag, value }");
    refused(
        json!([{ "flag": "-x" }]),
        "\"0\".value: is missing; null leaves the flag out, true gives it without a value",
    );
    refused(json!([{ "value": 1 }]), "\"0\".flag: has to be a word such as \"--jobs\"");
    refused(
        json!([{ "flag": "-x", "values": 1 }]),
        "\"0\".values: is not known here; an item has flag and value or flags and dashes, and separator, booleans, join, split and quote",
    );
    refused(
        json!([{ "flag": "-x", "value": [1, true], "join": "," }]),
        "\"0\".value.\"1\": is a boolean, but has to be a string or a number here",
    );
    refused(
        json!([{ "flag": "-x", "value": [1, [2]] }]),
        "\"0\".value.\"1\": is a list, but has to be a string or a number here",
    );
    refused(
        json!([{ "flag": "-x", "value": 1, "separator": ":" }]),
        "\"0\".separator: has to be \" \" or \"=\" or \"\" or \"gnu\"",
    );
    refused(json!([{ "flag": "-x", "value": 1, "join": 1 }]), "\"0\".join: has to be a string or null");
    refused(json!(["a\0"]), "\"0\": has a NUL character, which nothing that systemd reads can hold");
    refused(
        json!(["ok", { "flag": "-x", "value": "\u{fffe}" }]),
        "\"1\".value: has the character U+FFFE, which systemd takes for invalid",
    );
    let long = "x".repeat(131_072);
    refused(json!([long]), "the words take 131072 bytes, more than the 131071 of an environment variable");
}

#[test]
fn unknown_formats_dialects_and_parameters() {
    let check = |name: &str, dialect: Option<&str>, parameters: Value| {
        let spec = FormatSpec { dialect: dialect.map(str::to_owned), ..spec(name, &parameters) };
        format::check(&spec).unwrap_err().to_string()
    };
    let known: Vec<_> = format::all().iter().map(|format| format.name).collect();
    assert_eq!(check("tmol", None, json!({})), format!("unknown format \"tmol\"; known are {}", known.join(", ")));
    assert_eq!(
        check("toml", Some("rust"), json!({})),
        "format toml has no dialect \"rust\"; it has toml-rs, tomlkit, tomlkit-0.17"
    );
    assert_eq!(check("json", Some("x"), json!({})), "format json has no dialect \"x\"; it is written in one way only");
    assert_eq!(check("json", None, json!({ "indent": 2 })), "format json has no parameter \"indent\"; it has none");
    assert_eq!(
        check("flags", None, json!({ "variabel": "X" })),
        "format flags has no parameter \"variabel\"; it has variable, separator, dashes, booleans, join"
    );
    assert_eq!(
        check("ini", None, json!({ "booleans": "ja/nein" })),
        "parameter booleans of format ini is \"ja/nein\", but has to be \"true/false\" or \"True/False\" or \
         \"TRUE/FALSE\" or \"yes/no\" or \"Yes/No\" or \"on/off\" or \"On/Off\" or \"1/0\" or \"key/comment\""
    );
    assert_eq!(
        check("ini", None, json!({ "listsAsDuplicateKeys": 1 })),
        "parameter listsAsDuplicateKeys of format ini is 1, but has to be true or false"
    );
    assert_eq!(
        check("flags", None, json!({ "variable": "9X" })),
        "parameter variable of format flags is \"9X\", but has to be the name of an environment variable (letters, \
         digits, _, no digit first)"
    );
    assert_eq!(
        check("ini", None, json!({ "listsAsDuplicateKeys": true, "listToValue": "," })),
        "listsAsDuplicateKeys and listToValue exclude each other"
    );
    assert_eq!(
        check("keyValue", None, json!({ "atomsCoercedToLists": false })),
        "atomsCoercedToLists needs listsAsDuplicateKeys or listToValue"
    );
}

/// The ambiguity that an override is refused for, unless the build itself wrote it.
fn ambiguity(name: &str, parameters: &Value, value: &Value) -> String {
    let spec = spec(name, parameters);
    assert!(format::render(&spec, value).is_ok(), "the writer itself is faithful");
    let error = format::ambiguities(&spec, &json!({}), value).unwrap_err().to_string();
    assert_eq!(format::ambiguities(&spec, value, value), Ok(()), "the static value may have it");
    error
}

/// Found by reading random documents back with Python's configparser, Lua, PHP and the rules of Nix.
#[test]
fn overrides_that_readers_take_for_something_else() {
    let misread = |name: &str, parameters: Value, value: Value| ambiguity(name, &parameters, &value);
    assert_eq!(
        misread("ini", json!({}), json!({ "s": { "a ": 1 } })),
        "s.\"a \": the key ends with white space: a reader takes it for the key without"
    );
    assert_eq!(
        misread("ini", json!({}), json!({ "": { "a": 1 } })),
        "\"\": the section's name is empty, so a reader may take [] for a key"
    );
    for format in ["lua", "php"] {
        assert_eq!(
            misread(format, json!({}), json!({ "a": i64::MIN })),
            "a: is the least integer of 64 bits, which is read as a float here"
        );
    }
    assert_eq!(
        misread("nixConf", json!({}), json!({ "include": "/tmp/x" })),
        "include: the key is no setting but a directive, which Nix refuses with the whole file"
    );
}

/// What would read back as another setting is refused.
#[test]
fn overrides_that_would_inject_something() {
    let misread = |name: &str, parameters: Value, value: Value| ambiguity(name, &parameters, &value);
    let line_break = "the value has a line break: what follows it would be read as a line of its own";
    assert_eq!(misread("ini", json!({}), json!({ "s": { "k": "a\nroot = 1" } })), format!("s.k: {line_break}"));
    assert_eq!(
        misread("systemd", json!({}), json!({ "Service": { "k": ["a", "b\rc"] } })),
        format!("Service.k.\"1\": {line_break}")
    );
    assert_eq!(
        misread("iniWithGlobalSection", json!({}), json!({ "globalSection": { "k": "\n" }, "sections": {} })),
        format!("globalSection.k: {line_break}")
    );
    assert_eq!(
        misread("keyValue", json!({}), json!({ "a=b": 1 })),
        "\"a=b\": the key has \"=\" in it, so a reader would take a part of it for the key"
    );
    assert_eq!(
        misread("keyValue", json!({ "separator": " = " }), json!({ "a=b": 1 })),
        "\"a=b\": the key has \"=\" in it, so a reader would take a part of it for the key"
    );
    assert_eq!(
        misread("keyValue", json!({}), json!({ "#a": 1 })),
        "\"#a\": the key starts with '#', so it would be read as a comment or a section"
    );
    assert_eq!(
        misread("ini", json!({}), json!({ "s": { " a": 1 } })),
        "s.\" a\": the key starts with white space: the line would continue the one before"
    );
    assert_eq!(
        misread("ini", json!({}), json!({ "a]b": {} })),
        "\"a]b\": the section's name has a line break or a ], after which a reader takes it for something else"
    );
    assert_eq!(
        misread("systemd", json!({}), json!({ "Unit": { "Description": "a\\" } })),
        "Unit.Description: the value ends in a backslash: the next line would be part of it"
    );
    assert_eq!(
        misread("gitIni", json!({}), json!({ "a": { "b\nc": 1 } })),
        "a.\"b\\nc\": is no name of a variable for git, which would read something else"
    );
    assert_eq!(
        misread("lua", json!({}), json!({ "a": { "_type": "lua-inline", "expr": "os.exit()" } })),
        "a: is Lua code, not data: os.exit()"
    );
    assert_eq!(
        misread("lua", json!({}), json!(["\u{1}"])),
        "\"0\": has a control character, whose escape Lua does not know"
    );
    assert_eq!(
        misread("php", json!({}), json!([{ "_phpType": "raw", "value": "exit()" }])),
        "\"0\": is PHP code, not data: exit()"
    );
    assert_eq!(
        misread("plist", json!({ "escape": false }), json!({ "a": "<b/>" })),
        "a: has the character '<', which XML does not give back"
    );
    assert_eq!(
        misread("javaProperties", json!({}), json!({ "a:b": 1 })),
        "\"a:b\": the key has a : or a form feed in it, so a reader would take a part of it for the key"
    );
    assert_eq!(
        misread("nixConf", json!({}), json!({ "cores": ["1", "2\nsandbox = false"] })),
        format!("cores: {line_break}")
    );
    // As JSON, a line break is an escape.
    let json_strings = spec("keyValue", &json!({ "strings": "json" }));
    assert_eq!(format::ambiguities(&json_strings, &json!({}), &json!({ "k": "a\nb" })), Ok(()));
    // A long key with spaces, which ruamel folds; two spaces where it folds a plain value.
    let words = "word ".repeat(20);
    assert_eq!(
        misread("yaml_1_1", json!({}), json!({ "a": { words.trim(): 1 } })),
        format!(
            "a.\"{}\": has a name with so many words that its line is folded, which breaks the document",
            words.trim()
        )
    );
    let long = format!("{}  {}", "x".repeat(50), "y".repeat(50));
    assert_eq!(
        misread("yaml_1_1", json!({}), json!([long])),
        "\"0\": has white space where its line is folded, which is read back as something else"
    );
}
