//! Each setting of a service with its type and its built, present and default value.

use std::collections::BTreeSet;

use anyhow::Context as _;
use serde::Serialize;
use serde_json::Value;

use super::{System, effective, lookup};
use crate::attr_path::AttrPath;
use crate::plan::documentation::{Documentation, Documented};
use crate::reconcile::view::View;
use crate::render::secrets::Secrets;
use crate::types::{Below, Schema, Type};

/// How far below an option names are listed that only its type has.
const DEPTH: usize = 12;

/// The settings of a service.
#[derive(Debug, Default)]
pub struct Settings {
    /// The settings themselves.
    pub settings: Vec<Setting>,
    /// The options that have settings below them, with what is said of the options.
    pub options: Vec<(String, Documented)>,
}

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
    /// What it is for, in NixOS's Markdown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// A default that is no plain value, as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_text: Option<String>,
    /// An example, as Nix writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub example: Option<String>,
    /// The source files that declare it, or the option that it is below.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub declared_in: Vec<String>,
    /// The source files that define the option's value.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub defined_in: Vec<String>,
}

impl Setting {
    /// Whether it is below this option, which is another one.
    #[must_use]
    pub fn is_below(&self, option: &str) -> bool {
        self.path.strip_prefix(option).is_some_and(|rest| rest.starts_with('.'))
    }
}

impl System<'_> {
    /// The settings of a service that have `pattern`, in any case, in their path, type, values or description.
    pub fn settings(&self, service: &str, pattern: &str) -> anyhow::Result<Settings> {
        let System { plan, .. } = self;
        let services = [service.to_owned()];
        let only = lookup::services(plan, &services)?;
        let View { folded, .. } = self.view(only.as_ref())?;
        let secrets = Secrets::new(plan);
        let wanted = pattern.to_lowercase();
        let documentation = Documentation::load(self.paths.plan())?;
        let mut found = Settings::default();
        for name in plan.services.get(service).into_iter().flat_map(|service| service.options.keys()) {
            let place = lookup::find(plan, &lookup::parse(name)?)?;
            let whole = effective(&place, &folded.overlay)?;
            let kind = place.option.schema.kind().map_err(Clone::clone);
            let kind = kind.with_context(|| format!("the plan's type of {name}"))?;
            let built = &place.option.static_value;
            let of_option = documentation.of(name, &AttrPath::default());
            let before = found.settings.len();
            let mut is_itself = false;
            for below_option in paths_below(&place.option.schema, &[built, &whole]) {
                is_itself |= below_option.names().is_empty();
                let said = documentation.of(name, &below_option).cloned().unwrap_or_default();
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
                    description: said.description,
                    default_text: said.default,
                    example: said.example,
                    declared_in: match (said.declared_in, of_option) {
                        (own, Some(option)) if own.is_empty() => option.declared_in.clone(),
                        (own, _) => own,
                    },
                    defined_in: place.option.defined_in.clone(),
                };
                if is_wanted(&setting, &wanted) {
                    found.settings.push(setting);
                }
            }
            if let (Some(said), false) = (of_option, is_itself || before == found.settings.len()) {
                found.options.push((name.clone(), said.clone()));
            }
        }
        Ok(found)
    }
}

/// Whether the pattern is in its path, its type, one of its values, or what is said of it.
fn is_wanted(setting: &Setting, pattern: &str) -> bool {
    let values = [&setting.r#static, &setting.effective].into_iter().flatten().map(ToString::to_string);
    [setting.path.clone(), setting.r#type.clone()]
        .into_iter()
        .chain(values)
        .chain(setting.description.clone())
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
