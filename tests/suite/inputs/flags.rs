//! Flags: systemd splits the variable into the words that were meant.

#[path = "../systemd_model.rs"]
pub mod systemd_model;

use dynix::format::{self, flags};
use dynix::plan::FormatSpec;
use serde_json::{Map, Value, json};

use super::Bytes;
use systemd_model::{read_environment_file, split_words};

pub fn check(data: &[u8]) {
    let mut bytes = Bytes(data);
    let mut item = || match bytes.byte() % 3 {
        0 => Value::from(bytes.text()),
        1 => json!({"flag": bytes.text(), "value": bytes.value(4)}),
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
}
