//! `dynix options`: each setting of a service with its type and its built, present and default value.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::Context as _;
use serde::Serialize;
use serde_json::Value;

use super::session::Session;
use super::{append, place, print, print_json, screen};
use crate::attr_path::AttrPath;
use crate::cli::arguments::Options;
use crate::exit::Exit;
use crate::reconcile::state::State;
use crate::reconcile::view::{View, view};
use crate::render::secrets::Secrets;
use crate::types::{Below, Schema, Type};

/// How far below an option names are listed that only its type has.
const DEPTH: usize = 12;

/// One setting.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Setting {
    path: String,
    r#type: String,
    r#static: Option<Value>,
    effective: Option<Value>,
    default: Option<Value>,
    /// Whether it may change at run time.
    dynamic: bool,
}

/// Prints them.
pub fn run(arguments: &Options, session: &Session) -> anyhow::Result<Exit> {
    let (plan, paths) = session.load()?;
    let only = place::services(&plan, std::slice::from_ref(&arguments.service))?;
    let state = State::load(&paths.state())?;
    let View { folded, .. } = view(&plan, &paths, &session.log(&plan, &paths), &state.on_trial(), only.as_ref())?;
    let secrets = Secrets::of(&plan);
    let wanted = arguments.pattern.as_deref().unwrap_or_default().to_lowercase();
    let mut settings = Vec::new();
    for name in plan.services[&arguments.service].options.keys() {
        let place = place::find(&plan, &place::parse(name)?)?;
        let effective = append::effective(&place, &folded)?;
        let kind = place.option.schema.kind().map_err(Clone::clone);
        let kind = kind.with_context(|| format!("the plan's type of {name}"))?;
        let built = &place.option.static_value;
        for below_option in paths_below(&place.option.schema, &[built, &effective]) {
            let path = place.path.join(&below_option);
            let at = |value: &Value| {
                let value = below_option.names().iter().try_fold(value, |value, name| value.get(name))?;
                Some(secrets.shown(&path, value))
            };
            let setting = Setting {
                path: path.to_string(),
                r#type: type_of(kind, &below_option),
                r#static: at(built),
                effective: at(&effective),
                default: default_of(kind, &below_option),
                dynamic: place.option.may_change(below_option.names()),
            };
            if is_wanted(&setting, &wanted) {
                settings.push(setting);
            }
        }
    }
    if arguments.json {
        return print_json(&settings);
    }
    print(for_people(&settings).as_bytes())
}

/// Whether the pattern is in its path, its type or one of its values.
fn is_wanted(setting: &Setting, pattern: &str) -> bool {
    let values = [&setting.r#static, &setting.effective].into_iter().flatten().map(ToString::to_string);
    [setting.path.clone(), setting.r#type.clone()]
        .into_iter()
        .chain(values)
        .any(|text| text.to_lowercase().contains(pattern))
}

/// The paths of all settings below an option: of its values' leaves, and of the names that its type has. Lists are leaves.
#[must_use]
pub fn paths_below(schema: &Schema, values: &[&Value]) -> BTreeSet<AttrPath> {
    let mut found = BTreeSet::new();
    for value in values {
        of_value(value, &AttrPath::default(), &mut found);
    }
    found.extend(schema.kind().map(|kind| kind.paths(DEPTH)).unwrap_or_default());
    // What only leads to others is none itself.
    let inner: BTreeSet<AttrPath> = found
        .iter()
        .filter(|path| found.range((*path).clone()..).nth(1).is_some_and(|next| next.names().starts_with(path.names())))
        .cloned()
        .collect();
    found.retain(|path| !inner.contains(path));
    found
}

fn of_value(value: &Value, path: &AttrPath, found: &mut BTreeSet<AttrPath>) {
    match value {
        Value::Object(attributes) if !attributes.is_empty() => {
            for (name, value) in attributes {
                of_value(value, &path.child(name), found);
            }
        }
        _ => drop(found.insert(path.clone())),
    }
}

fn type_of(kind: &Type, path: &AttrPath) -> String {
    match kind.below(path.names()) {
        Below::Part(part) => part.describe(),
        Below::NoSuchName { .. } => "nothing".to_owned(),
    }
}

fn default_of(kind: &Type, path: &AttrPath) -> Option<Value> {
    match kind.below(path.names()) {
        Below::Part(part) => part.default(),
        Below::NoSuchName { .. } => None,
    }
}

fn for_people(settings: &[Setting]) -> String {
    let mut text = String::new();
    for setting in settings {
        // Writing to a String can't fail.
        let _ = writeln!(text, "{}: {}", setting.path, setting.r#type);
        let shown = |value: &Option<Value>| value.as_ref().map_or_else(|| "not set".to_owned(), screen::value);
        let _ = writeln!(text, "  built {}", shown(&setting.r#static));
        if setting.effective != setting.r#static {
            let _ = writeln!(text, "  recorded {}", shown(&setting.effective));
        }
        if setting.default.is_some() {
            let _ = writeln!(text, "  default {}", shown(&setting.default));
        }
        if !setting.dynamic {
            text.push_str("  may not change at run time\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_are_those_of_the_values_and_of_the_type() {
        let schema = json!({
            "type": "object",
            "properties": { "port": { "type": "integer", "default": 80 }, "log": { "$ref": "#/$defs/log" } },
            "$defs": { "log": { "properties": { "level": { "enum": ["info", "debug"] } } } },
        });
        let value = json!({ "log": { "file": null }, "list": [{ "a": 1 }], "empty": {} });
        let schema = Schema::from(schema);
        let paths: Vec<String> = paths_below(&schema, &[&value]).iter().map(ToString::to_string).collect();
        let kind = schema.kind().unwrap();
        assert_eq!(paths, ["empty", "list", "log.file", "log.level", "port"]);
        let path = |name: &str| AttrPath::parse(name).unwrap();
        assert_eq!(type_of(kind, &path("log.level")), r#"one of "info", "debug""#);
        assert_eq!(type_of(kind, &path("other")), "anything");
        assert_eq!(default_of(kind, &path("port")), Some(json!(80)));
    }
}
