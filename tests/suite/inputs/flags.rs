//! Flags: systemd splits the variable into the words that were meant, and a program that takes GNU's options finds each
//! attribute's.

#[path = "../systemd_model.rs"]
pub mod systemd_model;

use dynix::format::{self, flags};
use dynix::plan::FormatSpec;
use serde_json::{Map, Value, json};

use super::Bytes;
use systemd_model::{read_environment_file, split_words};

pub fn check(data: &[u8]) {
    let mut bytes = Bytes(data);
    let mut item = || match bytes.byte() % 4 {
        0 => Value::from(bytes.text()),
        1 => json!({"flag": bytes.text(), "value": bytes.value(4)}),
        2 => json!({"flags": bytes.table(3), "separator": "gnu"}),
        _ => bytes.value(4),
    };
    let value: Value = (0..4).map(|_| item()).collect();
    let parameters = json!({"variable": "FLAGS"}).as_object().unwrap().clone();
    let spec = FormatSpec { name: "flags".to_owned(), dialect: None, parameters };
    let (Ok(words), Ok(text)) = (flags::words(&Map::new(), &value), format::render(&spec, &value)) else { return };
    let read = read_environment_file(&String::from_utf8(text).unwrap());
    assert_eq!(read.len(), 1, "{value}: {read:?}");
    assert_eq!(read[0].0, "FLAGS");
    assert_eq!(split_words(&read[0].1, false), words, "{value}");
    for item in value.as_array().unwrap().iter().filter(|item| item.get("flags").is_some()) {
        let alone = Value::from(vec![item.clone()]);
        if format::ambiguities(&spec, &Value::Null, &alone).is_ok() {
            let words = flags::words(&Map::new(), &alone).unwrap();
            let read: Vec<(&str, Option<&str>)> = words.iter().map(|word| option(word)).collect();
            let meant: Vec<_> = item["flags"].as_object().unwrap().iter().flat_map(given).collect();
            assert!(
                read.len() == meant.len()
                    && read.iter().zip(&meant).all(|(read, meant)| read.0 == meant.0 && is_meant(read.1, meant.1)),
                "{item}: {read:?}"
            );
        }
    }
}

/// A word as `getopt_long(3)` has it.
fn option(word: &str) -> (&str, Option<&str>) {
    if let Some(long) = word.strip_prefix("--") {
        return long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
    }
    let (name, value) = word.strip_prefix('-').unwrap().split_at(1);
    (name, Some(value).filter(|value| !value.is_empty()))
}

fn is_meant(read: Option<&str>, meant: Option<&Value>) -> bool {
    match (read, meant) {
        (Some(read), Some(Value::String(meant))) => read == meant,
        (Some(read), Some(Value::Number(meant))) => {
            read.parse::<f64>().is_ok_and(|read| (read - meant.as_f64().unwrap()).abs() < 1e-6 * read.abs().max(1.0))
        }
        (read, meant) => read.is_none() && meant.is_none(),
    }
}

/// What an attribute is to give: its name with each value.
fn given<'v>((name, value): (&'v String, &'v Value)) -> Vec<(&'v str, Option<&'v Value>)> {
    let each = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    let shown = each.iter().filter(|one| !matches!(one, Value::Null | Value::Bool(false)));
    shown.map(|one| (name.as_str(), Some(one).filter(|one| !one.is_boolean()))).collect()
}
