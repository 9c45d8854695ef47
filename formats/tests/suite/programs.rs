//! The formats that nixpkgs writes by a program of its own (hocon, libconfig), or with a formatter of code
//! (pythonVars, elixirConf).

use dynix_formats as format;
use dynix_formats::FormatSpec;
use serde_json::{Map, Value, json};

fn spec(name: &str, dialect: Option<&str>) -> FormatSpec {
    FormatSpec { name: name.to_owned(), dialect: dialect.map(str::to_owned), parameters: Map::new() }
}

#[track_caller]
#[allow(clippy::needless_pass_by_value, reason = "so that cases read as plain literals")]
fn refused(name: &str, value: Value, expected: &str) {
    let error = format::render(&spec(name, None), &value).unwrap_err();
    assert_eq!(error.to_string(), expected);
}

/// What the writer writes, but an override may not bring in.
#[track_caller]
#[allow(clippy::needless_pass_by_value, reason = "so that cases read as plain literals")]
fn misread(name: &str, dialect: Option<&str>, value: Value, expected: &str) {
    let spec = spec(name, dialect);
    assert!(format::render(&spec, &value).is_ok(), "the writer itself is faithful");
    assert_eq!(format::ambiguities(&spec, &json!({}), &value).unwrap_err().to_string(), expected);
    assert_eq!(format::ambiguities(&spec, &value, &value), Ok(()), "the static value may have it");
}

#[test]
fn values_that_hocon_has_no_word_for() {
    refused("hocon", json!("a"), "a HOCON file is an attribute set or a list");
    refused("hocon", json!({ "_type": "append", "value": {} }), "a HOCON file is an attribute set or a list");
    refused(
        "hocon",
        json!({ "a": { "_type": "luna", "value": 1 } }),
        "a._type: is \"luna\", but has to be \"substitution\" or \"append\"",
    );
    refused("hocon", json!({ "a": { "_type": "substitution" } }), "a.value: is missing");
    refused("hocon", json!({ "a": { "_type": "substitution", "value": 1 } }), "a.value: has to be a string");
    refused(
        "hocon",
        json!({ "a": { "_type": "substitution", "value": "x}" } }),
        "a.value: has a } or a line break, which ends a substitution",
    );
    refused(
        "hocon",
        json!({ "a": [{ "_type": "append", "value": 1 }] }),
        "a.\"0\": is an append, which only an attribute can be",
    );
    refused(
        "hocon",
        json!({ "a": { "_type": "append", "value": { "_type": "append", "value": 1 } } }),
        "a.value: is an append, which only an attribute can be",
    );
    refused(
        "hocon",
        json!({ "a": { "_type": "include", "value": "x", "required": false, "type": null } }),
        "a: is an include, which has its place in a list called _includes",
    );
    refused("hocon", json!({ "a": { "_includes": {} } }), "a._includes: has to be a list of includes");
    refused(
        "hocon",
        json!({ "_includes": [{ "value": "x", "required": false, "type": "ftp" }] }),
        "_includes.\"0\".type: has to be \"file\", \"url\", \"classpath\" or null",
    );
    refused("hocon", json!({ "_includes": ["x"] }), "_includes.\"0\".value: has to be a string");
}

#[test]
fn values_that_libconfig_has_no_word_for() {
    refused("libconfig", json!([]), "has to be an attribute set of settings");
    refused(
        "libconfig",
        json!({ "a": [null] }),
        "a.\"0\": is null, which libconfig doesn't have; leave the attribute out",
    );
    let name = "is no name of a setting: letters, digits, -, _ and *, first a letter or *";
    for wrong in ["", "1a", "_a", "é", "a.b", "a b"] {
        refused("libconfig", json!({ "g": { wrong: 1 } }), &format!("{}: {name}", path(&["g", wrong])));
    }
    refused("libconfig", json!({ "_includes": ["x"] }), &format!("_includes: {name}"));
    refused("libconfig", json!({ "True": 1 }), "True: is no name of a setting, but a boolean for libconfig");
    refused("libconfig", json!({ "a": "\0" }), "a: has a NUL character, which no string of libconfig can hold");
    refused("libconfig", json!({ "a": { "_includes": "x" } }), "a._includes: has to be a list of file names");
    refused("libconfig", json!({ "a": { "_includes": [1] } }), "a._includes.\"0\": has to be the name of a file");
    let special = |kind: &str, value: Value| json!({ "a": { "_type": kind, "value": value } });
    refused("libconfig", special("octal", json!("8")), "a.value: is \"8\", but has to be an octal number, \"0755\"");
    refused("libconfig", special("octal", json!("-7")), "a.value: is \"-7\", but has to be an octal number, \"0755\"");
    refused("libconfig", special("hex", json!("é")), "a.value: is \"é\", but has to be a hexadecimal number, \"0x1F\"");
    refused("libconfig", special("hex", json!(1)), "a.value: has to be a string");
    refused(
        "libconfig",
        special("float", json!("inf")),
        "a.value: is \"inf\", but has to be a finite number, \"1.2E-3\"",
    );
    refused("libconfig", special("list", json!({})), "a.value: has to be a list");
    refused("libconfig", special("luna", json!(1)), &format!("a._type: {name}"));
    let type_differs = "is of another type than the items before it, so an array can't hold it; use a list";
    refused("libconfig", special("array", json!([1, 1.0])), &format!("a.value.\"1\": {type_differs}"));
    refused("libconfig", special("array", json!([1, 1_i64 << 31])), &format!("a.value.\"1\": {type_differs}"));
    refused(
        "libconfig",
        special("array", json!([{}])),
        "a.value.\"0\": is no scalar, so an array can't hold it; use a list",
    );
}

fn path(names: &[&str]) -> String {
    dynix_formats::attr_path::AttrPath(names.iter().map(|&name| name.to_owned()).collect()).to_string()
}

#[test]
fn values_that_python_vars_has_no_word_for() {
    refused("pythonVars", json!([]), "has to be an attribute set of variables");
    for wrong in ["", "1a", "a-b", "a.b", "if", "None", "é"] {
        refused("pythonVars", json!({ wrong: 1 }), &format!("{}: is no name of a Python variable", path(&[wrong])));
    }
    refused("pythonVars", json!({ "_imports": "re" }), "_imports: has to be a list of modules");
    for wrong in [json!("a b"), json!("os\nx"), json!("a; b"), json!("a as"), json!(1)] {
        let expected = "_imports.\"1\": has to be a module, \"a.b\" or \"a.b as c\"";
        refused("pythonVars", json!({ "_imports": ["re", wrong] }), expected);
    }
    refused(
        "pythonVars",
        json!({ "a": { "_type": "raw", "value": "1 + 1" } }),
        "a.value: is Python code, and what black makes of it is not known; there are names, attributes, calls, \
         subscripts, plain strings, integers, a if b else c",
    );
    let long = format!("f({})", "x".repeat(90));
    refused(
        "pythonVars",
        json!({ "a": { "_type": "raw", "value": long } }),
        "a: is Python code on a line of more than 88 columns, and how black breaks it is not known",
    );
    let key = json!({ "a": { "C:\\x": 1 } });
    let error = format::render(&spec("pythonVars", Some("repr")), &key).unwrap_err().to_string();
    assert_eq!(
        error,
        "a.\"C:\\\\x\": is a key with a backslash or a control character, which this nixpkgs doesn't escape"
    );
    assert!(format::render(&spec("pythonVars", Some("unparse")), &key).is_ok());
}

/// Accents of their own have no column in black 24, but one in black 26.
#[test]
fn a_line_that_versions_of_black_measure_differently_is_refused() {
    let text = |letters| json!({ "a": ["x".repeat(letters) + "\u{301}", 1] });
    for (letters, agreed) in [(70, true), (76, true), (77, false), (78, true), (90, true)] {
        let rendered = format::render(&spec("pythonVars", None), &text(letters));
        assert_eq!(rendered.is_ok(), agreed, "{letters}: {rendered:?}");
    }
}

#[test]
fn values_that_elixir_conf_has_no_word_for() {
    refused("elixirConf", json!([]), "has to be an attribute set of applications");
    refused("elixirConf", json!({ ":app": 1 }), "\":app\": has to be an attribute set of keys and values");
    for (application, key) in
        [("app", ":k"), (":app", "k"), (":app", ":a-b"), (":app", ":nil"), (":app", "A.b"), (":app", "")]
    {
        let wrong = if application == "app" { application } else { key };
        let place = if application == "app" { path(&[application]) } else { path(&[application, key]) };
        let expected = format!("{place}: {wrong:?} is neither an atom (\":name\") nor a module (\"My.Module\")");
        refused("elixirConf", json!({ application: { key: 1 } }), &expected);
    }
    let value = |value: Value| json!({ ":app": { "K": value } });
    let name = "is no name of a keyword: letters, digits, _ and @; or in double quotes, also spaces and . - / :";
    for wrong in ["a-b", "", "1a", "a b", "\"", "\"\"", "\"a\\b\"", "\"-\"", "\"Elixir.A\"", "é"] {
        let expected = format!("{}: {name}", path(&[":app", "K", wrong]));
        refused("elixirConf", value(json!({ wrong: 1 })), &expected);
    }
    refused(
        "elixirConf",
        value(json!("a\u{202e}")),
        "\":app\".K: has the character U+202E, which Elixir doesn't take as it is, and nixpkgs doesn't escape it",
    );
    let special = |kind: &str, inner: Value| value(json!({ "_elixirType": kind, "value": inner }));
    refused(
        "elixirConf",
        special("charlist", json!("a\"b")),
        "\":app\".K.value: has a \", \\, # or line break, which nixpkgs doesn't escape in a charlist",
    );
    refused(
        "elixirConf",
        special("luna", json!(1)),
        "\":app\".K: is no special value; there are raw, atom or charlist with a string, tuple with a list, or map \
         with an attribute set",
    );
    refused(
        "elixirConf",
        special("raw", json!("1 + 1")),
        "\":app\".K.value: is Elixir code, and what mix format makes of it is not known; only Module.function(...) of \
         strings, atoms, numbers, nil, true and false is",
    );
    refused(
        "elixirConf",
        special("raw", json!(format!("A.b({:?})", "x".repeat(95)))),
        &format!(
            "\":app\".K: is Elixir code that ends beyond column 98, and how mix format breaks it is not known: A.b({:?})",
            "x".repeat(95)
        ),
    );
    refused(
        "elixirConf",
        value(json!({ "_elixirType": "atom", "value": ":a", "x": 1 })),
        "\":app\".K.x: is not known here; a special value has _elixirType and value",
    );
}

#[test]
fn overrides_bring_in_no_instructions() {
    misread(
        "elixirConf",
        None,
        json!({ ":app": { ":k": { "_elixirType": "raw", "value": "System.halt()" } } }),
        "\":app\".\":k\": is Elixir code, not data: System.halt()",
    );
    misread(
        "elixirConf",
        None,
        json!({ ":app": { ":k": { "\"port\"": 1 } } }),
        "\":app\".\":k\".\"\\\"port\\\"\": is a name in quotes that needs none, and may be there without them",
    );
    misread(
        "pythonVars",
        None,
        json!({ "a": [{ "_type": "raw", "value": "f('x')" }] }),
        "a.\"0\": is Python code, not data: f('x')",
    );
    misread("pythonVars", None, json!({ "_imports": ["os"] }), "_imports: imports code: [\"os\"]");
    misread(
        "hocon",
        None,
        json!({ "a": { "_type": "substitution", "value": "HOME" } }),
        "a: has a _type, so it is no data but an instruction: {\"_type\":\"substitution\",\"value\":\"HOME\"}",
    );
    misread(
        "hocon",
        None,
        json!({ "a": { "_type": "append", "value": 1 } }),
        "a: has a _type, so it is no data but an instruction: {\"_type\":\"append\",\"value\":1}",
    );
    let include = json!({ "value": "x", "required": false, "type": null });
    misread(
        "hocon",
        Some("lines"),
        json!({ "a": { "_includes": [include], "b": 1 } }),
        "a: includes other settings: [{\"required\":false,\"type\":null,\"value\":\"x\"}]",
    );
    misread("libconfig", None, json!({ "a": { "_includes": ["/x"] } }), "a: includes other settings: [\"/x\"]");
    misread(
        "libconfig",
        None,
        json!({ "a": { "_type": "hex", "value": "0x80000000" } }),
        "a: is a hexadecimal number of more than 31 bits, which libconfig cuts off",
    );
}

/// An attribute beside a static include would follow it on the same line.
#[test]
fn an_attribute_joined_to_an_include_is_refused() {
    let include = json!({ "value": "x", "required": false, "type": null });
    let (before, after) = (json!({ "_includes": [include] }), json!({ "_includes": [include], "b": 1 }));
    let error = format::ambiguities(&spec("hocon", Some("joined")), &before, &after).unwrap_err();
    assert_eq!(error.to_string(), "has includes and attributes, which this nixpkgs writes on one line");
    assert_eq!(format::ambiguities(&spec("hocon", Some("lines")), &before, &after), Ok(()));
}
