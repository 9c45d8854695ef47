//! Visits every part of a value with its path, for checks. The writers have their own recursion.

use serde_json::Value;

use crate::attr_path::AttrPath;

/// One part of a value.
pub enum Part<'a> {
    /// The name of an attribute; its path ends in it.
    Name(&'a str),
    /// A value, before what is in it.
    Value(&'a Value),
}

impl<'a> Part<'a> {
    /// The name, or the value if it is a string.
    pub fn text(&self) -> Option<&'a str> {
        match self {
            Self::Name(name) => Some(name),
            Self::Value(value) => value.as_str(),
        }
    }
}

/// Visits `value` and everything in it, in order.
pub fn for_each(value: &Value, visit: &mut dyn FnMut(&AttrPath, Part)) {
    walk(value, &mut AttrPath::default(), visit);
}

fn walk(value: &Value, path: &mut AttrPath, visit: &mut dyn FnMut(&AttrPath, Part)) {
    visit(path, Part::Value(value));
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                path.0.push(index.to_string());
                walk(item, path, visit);
                path.0.pop();
            }
        }
        Value::Object(attrs) => {
            for (name, item) in attrs {
                path.0.push(name.clone());
                visit(path, Part::Name(name));
                walk(item, path, visit);
                path.0.pop();
            }
        }
        _ => {}
    }
}
