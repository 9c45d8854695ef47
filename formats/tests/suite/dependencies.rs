//! What the writers rely on in `serde_json`, whichever features other crates ask of it.

use serde_json::{Value, json};

#[test]
fn names_are_sorted_and_numbers_are_numbers() {
    // `preserve_order` would keep the order of the text.
    let value: Value = serde_json::from_str(r#"{"b": 1, "a": 2}"#).unwrap();
    assert_eq!(value.to_string(), r#"{"a":2,"b":1}"#);
    // `arbitrary_precision` gives other serialisers a map with a private name.
    assert_eq!(toml::to_string(&json!({"float": 1.5})).unwrap(), "float = 1.5\n");
    // Without `float_roundtrip` the last digit of some floats is another one.
    for text in ["976667.0984404924", "5.0040711196312005e-251"] {
        assert_eq!(serde_json::from_str::<Value>(text).unwrap().to_string(), text);
    }
}
