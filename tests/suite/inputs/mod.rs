//! What has to hold for any input whatever: each check takes bytes, and panics where something is wrong.
//!
//! The fuzz targets (fuzz/) run these; so does `cargo test`, on the inputs in fuzz/corpus and on random ones
//! (`properties.rs`).

pub mod answers;
pub mod attr_path;
pub mod description;
pub mod flags;
pub mod log;
pub mod parameters;
pub mod policy;
pub mod render;
pub mod request;
pub mod state;
pub mod values;
pub mod wire;

use serde_json::{Map, Value};

/// A check of some input.
pub type Check = fn(&[u8]);

/// Each by the name of its fuzz target.
pub const CHECKS: &[(&str, Check)] = &[
    ("answers", answers::check),
    ("attr_path", attr_path::check),
    ("description", description::check),
    ("flags", flags::check),
    ("log", log::check),
    ("parameters", parameters::check),
    ("policy", policy::check),
    ("render", render::check),
    ("request", request::check),
    ("state", state::check),
    ("values", values::check),
    ("wire", wire::check),
];

/// Makes values of bytes: any bytes give some value, and similar bytes a similar one.
pub struct Bytes<'b>(pub &'b [u8]);

/// Strings that mean something to one format or another.
const HARSH: &[&str] = &[
    "", " ", "\t", "\n", "\r", "\\", "'", "\"", "`", "$", "%", ";", "#", "=", ":", "-", "[", "]", "{", "}", "null",
    "true", "no", "0", "1e3", "0x1", ".inf", "~", "<<", "${", "''", "\u{1}", "\u{7f}", "\u{85}", "\u{2028}",
    "\u{feff}", "é", "😀",
];
const DEEPEST: u32 = 6;

impl Bytes<'_> {
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn number(&mut self) -> u64 {
        (0..8).fold(0, |number, _| number << 8 | u64::from(self.byte()))
    }

    pub fn text(&mut self) -> String {
        let mut text = String::new();
        for _ in 0..self.byte() % 12 {
            match self.byte() {
                ascii @ b' '..=b'~' => text.push(char::from(ascii)),
                other => text.push_str(HARSH[usize::from(other) % HARSH.len()]),
            }
        }
        text
    }

    pub fn value(&mut self, depth: u32) -> Value {
        match self.byte() % 10 {
            0 => Value::Null,
            1 => Value::Bool(self.byte().is_multiple_of(2)),
            2 => Value::from(i64::from(self.byte()) - 128),
            3 => Value::from(self.number().cast_signed()),
            4 => Value::from(f64::from_bits(self.number())),
            5 if depth < DEEPEST => (0..self.byte() % 5).map(|_| self.value(depth + 1)).collect(),
            6 | 7 if depth < DEEPEST => Value::Object(self.table(depth)),
            _ => Value::from(self.text()),
        }
    }

    pub fn table(&mut self, depth: u32) -> Map<String, Value> {
        (0..self.byte() % 5).map(|_| (self.text(), self.value(depth + 1))).collect()
    }
}
