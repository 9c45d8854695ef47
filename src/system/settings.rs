//! Each setting of a service with its type and its built, present and default value.

use std::collections::BTreeSet;

use anyhow::Context as _;
use serde::Serialize;
use serde_json::Value;

use super::{System, effective, lookup};
use crate::attr_path::AttrPath;
use crate::reconcile::view::View;
use crate::render::secrets::Secrets;
use crate::types::{Below, Schema, Type};

/// How far below an option names are listed that only its type has.
const DEPTH: usize = 12;

/// One setting.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Setting {
    /// The option, and names below it.
    pub path: String,
    /// The description of its type.
    pub r#type: String,
    /// The built value.
    pub r#static: Option<Value>,
    /// The recorded value.
    pub effective: Option<Value>,
    /// The default of its type.
    pub default: Option<Value>,
    /// Whether it may change at run time.
    pub dynamic: bool,
}

impl System<'_> {
    /// The settings of a service that have `pattern`, in any case, in their path, type or values.
    pub fn settings(&self, service: &str, pattern: &str) -> anyhow::Result<Vec<Setting>> {
        let System { plan, .. } = self;
        let services = [service.to_owned()];
        let only = lookup::services(plan, &services)?;
        let View { folded, .. } = self.view(only.as_ref())?;
        let secrets = Secrets::new(plan);
        let wanted = pattern.to_lowercase();
        let mut settings = Vec::new();
        for name in plan.services.get(service).into_iter().flat_map(|service| service.options.keys()) {
            let place = lookup::find(plan, &lookup::parse(name)?)?;
            let whole = effective(&place, &folded.overlay)?;
            let kind = place.option.schema.kind().map_err(Clone::clone);
            let kind = kind.with_context(|| format!("the plan's type of {name}"))?;
            let built = &place.option.static_value;
            for below_option in paths_below(&place.option.schema, &[built, &whole]) {
                let path = place.path.join(&below_option);
                let at = |value: &Value| {
                    let value = below_option.within(value)?;
                    Some(secrets.shown(&path, value))
                };
                let setting = Setting {
                    path: path.to_string(),
                    r#type: type_of(kind, &below_option),
                    r#static: at(built),
                    effective: at(&whole),
                    default: default_of(kind, &below_option),
                    dynamic: place.option.may_change(below_option.names()),
                };
                if is_wanted(&setting, &wanted) {
                    settings.push(setting);
                }
            }
        }
        Ok(settings)
    }
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
    // A set that only contains other settings is not one itself.
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
