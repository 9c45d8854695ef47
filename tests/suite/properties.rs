//! What has to hold for any input: on the inputs of fuzz/corpus, on random ones, and through the program itself.

use camino::{Utf8Path, Utf8PathBuf};
use dynix::attr_path::AttrPath;
use dynix::overrides::{Draft, LogFile};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::inputs::{Bytes, CHECKS};

/// What fuzzing found and what it starts from.
#[test]
fn every_input_that_was_ever_found_is_handled() {
    let corpus = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (name, check) in CHECKS {
        let mut inputs: Vec<Utf8PathBuf> =
            corpus.join(name).read_dir_utf8().unwrap().map(|entry| entry.unwrap().into_path()).collect();
        inputs.sort();
        assert!(!inputs.is_empty(), "{name} has no inputs");
        for input in inputs {
            let bytes = std::fs::read(&input).unwrap();
            if let Err(problem) = std::panic::catch_unwind(|| check(&bytes)) {
                panic!("{input}: {:?}", problem.downcast_ref::<String>());
            }
        }
    }
}

/// Pieces of which logs and paths are made.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "{ ",
        "id = 1; ",
        "id = 2; ",
        "set",
        ".a",
        ".\"b c\"",
        " = ",
        "1",
        "-1",
        "1.5",
        "\"x\"",
        "\"\\${\"",
        "[ ",
        "]",
        "; ",
        "}",
        "\n",
        "unset = [ \"a\" ]; ",
        "rollback = 0; ",
        "reject = 1; reason = \"r\"; ",
        "replace = { path = [ \"a\" ]; value = ",
        "time = \"2026-11-21T10:00:00Z\"; ",
        "by = \"me\"; ",
        "# c\n",
        "/* c */",
        "(",
        ")",
        "''y''",
        "null",
        "true",
        "${x}",
        "inherit x;",
        "\0",
        "é",
        ".",
        "\"",
        "$",
        "\\",
        "{ id = 3; set.a = 1; }\n",
        "{ set.a = { b = [ 1 { } ]; }; }\n",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn random_pieces_are_handled(bytes in pieces()) {
        crate::inputs::log::check(&bytes);
        crate::inputs::attr_path::check(&bytes);
    }

    #[test]
    fn random_rules_types_and_answers_are_judged(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        crate::inputs::policy::check(&bytes);
        crate::inputs::values::check(&bytes);
        crate::inputs::answers::check(&bytes);
    }

    #[test]
    fn random_values_are_rendered_and_read_back(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        crate::inputs::render::check(&bytes);
        crate::inputs::flags::check(&bytes);
    }
}

fn log() -> (tempfile::TempDir, LogFile) {
    let directory = tempfile::tempdir().unwrap();
    let root = Utf8Path::from_path(directory.path()).unwrap();
    let log = LogFile::new(&root.join("dynamic.nix"), &root.join("cache"), None);
    (directory, log)
}

fn effective(log: &LogFile) -> Value {
    log.fold().unwrap().overlay.effective(&json!({})).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Any value that can be recorded is what is there then, wherever.
    #[test]
    fn what_is_appended_is_got(seeds in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..60), 1..8)) {
        let (_keep, log) = log();
        for seed in &seeds {
            let mut bytes = Bytes(seed);
            let names: Vec<String> = (0..=bytes.byte() % 3).map(|_| bytes.text()).collect();
            let value = bytes.value(0);
            let path = AttrPath(names);
            let change = Draft::Replace(path.clone(), value.clone());
            let before = log.fold().unwrap();
            match log.append(&[change], "test", None, |_| ()) {
                Ok(_) => {}
                // What Nix can't say.
                Err(error) => {
                    prop_assert!(matches!(error, dynix::overrides::LogError::Unrecordable(_)), "{}", error);
                    prop_assert_eq!(log.fold().unwrap(), before);
                    continue;
                }
            }
            let all = effective(&log);
            let got = path.names().iter().try_fold(&all, |value, name| value.get(name));
            // -0.0 is 0.0 in the log (docs/overrides.md).
            prop_assert_eq!(got, Some(&without_negative_zero(value)));
        }
    }

    /// Back n records and forward again is where it was; and a rollback is the state right after the record it names.
    #[test]
    fn back_and_forward_is_the_identity(values in prop::collection::vec((0..4_usize, any::<i32>()), 1..20), back in 0..20_usize) {
        let (_keep, log) = log();
        let mut states = vec![effective(&log)];
        for (name, value) in &values {
            let path = AttrPath(vec![["a", "b", "c.d", "e"][*name].to_owned()]);
            let change = if value % 5 == 0 { Draft::Unset(path) } else { Draft::Set(path, (*value).into()) };
            log.append(&[change], "test", None, |_| ()).unwrap();
            states.push(effective(&log));
        }
        let (last, to) = (values.len(), values.len() - back.min(values.len()));
        log.append(&[Draft::Rollback(to as u64)], "test", None, |_| ()).unwrap();
        prop_assert_eq!(&effective(&log), &states[to]);
        log.append(&[Draft::Rollback(last as u64)], "test", None, |_| ()).unwrap();
        prop_assert_eq!(&effective(&log), &states[last]);
        // Taking the way back out again is the same.
        log.append(&[Draft::Reject { id: last as u64 + 2, reason: String::new() }], "test", None, |_| ()).unwrap();
        prop_assert_eq!(&effective(&log), &states[to]);
    }
}

fn without_negative_zero(value: Value) -> Value {
    match value {
        Value::Number(number) if number.as_f64() == Some(0.0) && number.is_f64() => json!(0.0),
        Value::Array(items) => items.into_iter().map(without_negative_zero).collect(),
        Value::Object(map) => {
            map.into_iter().map(|(name, value)| (name, without_negative_zero(value))).collect::<Map<_, _>>().into()
        }
        other => other,
    }
}
