//! Secrets: values that no log, message or readable file may hold.
//!
//! A description marks paths of an option as secret. There the log has a reference to a file that only some may read,
//! `{ _secret = "/run/secrets/password"; }` as in nixpkgs (nixos/lib/utils.nix), never the secret itself: everybody can
//! read the log, and it keeps every record for ever. dynix reads the file when it needs the value, and puts its content
//! only into the rendered file.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::attr_path::AttrPath;
use crate::host::fs;
use crate::host::paths::Paths;
use crate::overrides::{Kind, Layer, Record};
use crate::plan::{self, OptionSpec, Plan, Service, ValueSpec};

/// The only name in a set that refers to a secret.
pub const REFERENCE: &str = "_secret";
/// The text that is shown instead.
pub const SHOWN: &str = "(secret)";
/// Most bytes that a secret may have.
pub const LIMIT: u64 = 64 << 10;

/// A reference to the file at `path`.
#[must_use]
pub fn reference(path: &Utf8Path) -> Value {
    serde_json::json!({ REFERENCE: path })
}

/// The file that a value refers to.
fn referred(value: &Value) -> Option<&Utf8Path> {
    let attributes = value.as_object().filter(|attributes| attributes.len() == 1)?;
    attributes.get(REFERENCE)?.as_str().map(Utf8Path::new).filter(|path| path.is_absolute())
}

impl OptionSpec {
    /// Whether what is at `below` is a secret, or a part of one.
    #[must_use]
    pub fn is_secret(&self, below: &AttrPath) -> bool {
        self.secret.iter().any(|mark| below.starts_with(mark))
    }

    /// Whether what is at `below` is a secret, or holds one.
    #[must_use]
    pub fn concerns_secret(&self, below: &AttrPath) -> bool {
        self.secret.iter().any(|mark| below.starts_with(mark) || mark.starts_with(below))
    }
}

impl Service {
    /// Whether any of its values is a secret. Then the output of its programs is not shown.
    #[must_use]
    pub fn has_secrets(&self) -> bool {
        self.options.values().any(|option| !option.secret.is_empty())
    }
}

impl plan::File {
    /// Whether a secret of its service goes into it.
    #[must_use]
    pub fn holds_secret(&self, service: &Service) -> bool {
        holds_secret(&self.value, &AttrPath::default(), service)
    }
}

/// Whether what is at `below` of a value, or below that, is a secret or holds one.
fn holds_secret(spec: &ValueSpec, below: &AttrPath, service: &Service) -> bool {
    match spec {
        ValueSpec::Literal(_) | ValueSpec::Built(_) => false,
        ValueSpec::Option(name) => service.options.get(name).is_some_and(|option| option.concerns_secret(below)),
        ValueSpec::Attrs(attributes) => attributes.values().any(|one| holds_secret(one, &AttrPath::default(), service)),
        ValueSpec::List(elements) => elements.iter().any(|one| holds_secret(one, &AttrPath::default(), service)),
        // Whether a secret is there shows as well.
        ValueSpec::When { condition, then } => [condition, then].iter().any(|one| holds_secret(one, below, service)),
        ValueSpec::Select { from, path } => holds_secret(from, &path.join(below), service),
        ValueSpec::Prune { from, .. } => holds_secret(from, below, service),
        // Their names are no longer those of the option.
        ValueSpec::Flatten { from, .. } | ValueSpec::Entries { from, .. } => {
            holds_secret(from, &AttrPath::default(), service)
        }
        ValueSpec::Merge(layers) => layers.iter().any(|layer| holds_secret(layer, below, service)),
    }
}

/// A value that may not be in a secret's place, or a secret that can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct Unrevealed {
    /// The path below the option.
    pub path: AttrPath,
    /// Why; without the value.
    pub problem: String,
    /// The file that may be good at another try. `None` if the record is at fault.
    pub file: Option<File>,
}

/// The file of a secret that can't be used now.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct File {
    /// The path in the record.
    pub path: Utf8PathBuf,
    /// Whether there is a file, so that it has to change before it can be used.
    pub is_there: bool,
}

/// A secret that a service waits for: until it can be used, the service stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Awaited {
    /// The path whose value it is.
    pub path: AttrPath,
    /// The file that it is read from.
    pub file: File,
    /// Why it can't be used.
    pub reason: String,
}

/// Why there is no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoSecret {
    /// The problem as text.
    pub problem: String,
    /// Whether there is a file.
    pub is_there: bool,
}

/// Reads what references refer to.
pub trait Reveal {
    /// The secret in the file at `path`, or why there is none.
    fn reveal(&self, path: &Utf8Path) -> Result<String, NoSecret>;
}

/// The files of a machine.
#[derive(Clone, Debug)]
pub struct SecretFiles {
    root: Utf8PathBuf,
}

impl SecretFiles {
    /// Those below the root of `paths`.
    #[must_use]
    pub fn new(paths: &Paths) -> Self {
        Self { root: paths.root().to_owned() }
    }

    fn read(&self, path: &Utf8Path) -> Result<Vec<u8>, NoSecret> {
        let below = self.root.join(path.strip_prefix("/").unwrap_or(path));
        let place = fs::resolve(&self.root, &below).map_err(|error| unusable(&error.to_string()))?;
        match fs::read_private(&place, LIMIT) {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => Err(NoSecret { problem: "it is not there".to_owned(), is_there: false }),
            Err(error) => Err(unusable(&error.to_string())),
        }
    }
}

fn unusable(problem: &str) -> NoSecret {
    NoSecret { problem: problem.to_owned(), is_there: true }
}

impl Reveal for SecretFiles {
    fn reveal(&self, path: &Utf8Path) -> Result<String, NoSecret> {
        let secret = self.read(path).and_then(|bytes| {
            let mut secret = String::from_utf8(bytes).map_err(|_| unusable("what it holds is no text (UTF-8)"))?;
            // Editors and `echo` end a file with a line feed that is no part of what it says.
            if secret.ends_with('\n') {
                secret.pop();
            }
            // Its writer has made the file, and has yet to write the content.
            if secret.is_empty() { Err(unusable("it is empty")) } else { Ok(secret) }
        });
        let in_full = |problem| format!("the secret in {path} can't be used: {problem}");
        secret.map_err(|none| NoSecret { problem: in_full(none.problem), ..none })
    }
}

/// An option's value with its secrets in the place of their references. A built value stays; nothing else is possible
/// at a path that is marked.
pub fn reveal(option: &OptionSpec, mut value: Value, files: &dyn Reveal) -> Result<Value, Unrevealed> {
    for mark in &option.secret {
        let built = mark.within(&option.static_value);
        let found = mark.names().iter().try_fold(&mut value, |value, name| value.get_mut(name));
        if let Some(found) = found {
            put_secrets(found, built, files).map_err(|(problem, file)| Unrevealed {
                path: mark.clone(),
                problem,
                file,
            })?;
        }
    }
    Ok(value)
}

/// The file of a secret at `path` of an option's value, or of the first one below or above that.
#[must_use]
pub fn file_at(option: &OptionSpec, value: &Value, path: &AttrPath) -> Option<Utf8PathBuf> {
    let mut marks = option.secret.iter().filter(|mark| path.starts_with(mark) || mark.starts_with(path));
    marks.find_map(|mark| files_within(mark.within(value)?).first().map(|file| (*file).to_owned()))
}

/// The files that a value of an option refers to.
#[must_use]
pub fn files_of(option: &OptionSpec, value: &Value) -> BTreeSet<Utf8PathBuf> {
    let values = option.secret.iter().filter_map(|mark| mark.within(value));
    values.flat_map(files_within).map(Utf8Path::to_owned).collect()
}

/// The files within a value, in its order.
fn files_within(value: &Value) -> Vec<&Utf8Path> {
    if let Some(file) = referred(value) {
        return vec![file];
    }
    match value {
        Value::Object(attributes) => attributes.values().flat_map(files_within).collect(),
        Value::Array(elements) => elements.iter().flat_map(files_within).collect(),
        _ => Vec::new(),
    }
}

fn put_secrets(value: &mut Value, built: Option<&Value>, files: &dyn Reveal) -> Result<(), (String, Option<File>)> {
    if built == Some(value) || is_nothing(value) {
        return Ok(());
    }
    if let Some(file) = referred(value) {
        let secret = files.reveal(file).map_err(|none| {
            let file = File { path: file.to_owned(), is_there: none.is_there };
            (none.problem, Some(file))
        })?;
        *value = Value::String(secret);
        return Ok(());
    }
    match value {
        Value::Object(attributes) => attributes
            .iter_mut()
            .try_for_each(|(name, value)| put_secrets(value, built.and_then(|built| built.get(name)), files)),
        Value::Array(elements) => elements.iter_mut().try_for_each(|value| put_secrets(value, None, files)),
        _ => {
            let problem = "it is marked as secret, and the log may only name the file that holds it (--secret-file)";
            Err((problem.to_owned(), None))
        }
    }
}

/// Whether a value reveals nothing.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        _ => false,
    }
}

/// Whether a built value may be at a secret's path: everybody can read it in the Nix store.
#[must_use]
pub fn may_be_built(value: &Value) -> bool {
    match value {
        Value::Object(attributes) => attributes.values().all(may_be_built),
        Value::Array(elements) => elements.iter().all(may_be_built),
        other => is_nothing(other),
    }
}

/// The secret paths of a whole plan, to keep what is there from being shown.
#[derive(Clone, Debug, Default)]
pub struct Secrets(BTreeSet<AttrPath>);

impl Secrets {
    /// Those of all options.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let options = plan.services.values().flat_map(|service| &service.options);
        let paths = options.filter_map(|(name, option)| Some((AttrPath::parse(name).ok()?, option)));
        Self(paths.flat_map(|(path, option)| option.secret.iter().map(move |mark| path.join(mark))).collect())
    }

    /// Whether what is at `path` is a secret, or holds one.
    #[must_use]
    pub fn concern(&self, path: &AttrPath) -> bool {
        self.0.iter().any(|mark| path.starts_with(mark) || mark.starts_with(path))
    }

    /// The part of the value at `path` that everybody may see.
    #[must_use]
    pub fn shown(&self, path: &AttrPath, value: &Value) -> Value {
        let mut value = value.clone();
        for mark in &self.0 {
            if path.starts_with(mark) {
                // The value within a reference is the path of a file.
                let within = path.names().last().is_some_and(|name| name == REFERENCE);
                if !(within && value.as_str().is_some_and(|path| path.starts_with('/'))) {
                    hide(&mut value);
                }
            } else if let Some(rest) = mark.strip_prefix(path)
                && let Some(found) = rest.names().iter().try_fold(&mut value, |value, name| value.get_mut(name))
            {
                hide(found);
            }
        }
        value
    }

    /// The part of a record that everybody may see.
    #[must_use]
    pub fn shown_record(&self, mut record: Record) -> Record {
        if self.0.is_empty() {
            return record;
        }
        match &mut record.kind {
            Kind::Set(leaves) | Kind::Layer(Layer { values: leaves, .. }) => {
                for (path, value) in leaves {
                    *value = self.shown(path, value);
                }
            }
            Kind::Replace(path, value) => *value = self.shown(path, value),
            // The value of an expression is not known here.
            Kind::Expression(text) => "(an expression, not shown where values are secret)".clone_into(text),
            Kind::Unset(_) | Kind::Rollback(_) | Kind::Reject { .. } => {}
        }
        record
    }
}

fn hide(value: &mut Value) {
    match value {
        Value::Object(_) if referred(value).is_some() => {}
        Value::Object(attributes) => attributes.values_mut().for_each(hide),
        Value::Array(elements) => elements.iter_mut().for_each(hide),
        other if is_nothing(other) => {}
        other => *other = Value::String(SHOWN.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    struct Fixed;

    impl Reveal for Fixed {
        fn reveal(&self, path: &Utf8Path) -> Result<String, NoSecret> {
            let none = || NoSecret { problem: format!("no {path}"), is_there: false };
            if path == "/secret" { Ok("hunter2".to_owned()) } else { Err(none()) }
        }
    }

    fn option() -> OptionSpec {
        serde_json::from_value(json!({
            "static": {"name": "x", "db": {"password": null, "keys": {}}},
            "schema": {},
            "secret": [["db", "password"], ["db", "keys"]],
        }))
        .unwrap()
    }

    #[test]
    fn references_give_way_to_what_they_refer_to_and_nothing_else_may_stand_there() {
        let value = |password: Value| json!({"name": "y", "db": {"password": password, "keys": {"a": null}}});
        let revealed = reveal(&option(), value(json!({"_secret": "/secret"})), &Fixed).unwrap();
        assert_eq!(revealed, value(json!("hunter2")));
        assert_eq!(reveal(&option(), value(json!(null)), &Fixed).unwrap(), value(json!(null)));
        for literal in
            [json!("hunter2"), json!(7), json!(true), json!(["hunter2"]), json!({"_secret": "/secret", "x": 1})]
        {
            let refused = reveal(&option(), value(literal.clone()), &Fixed).unwrap_err();
            assert_eq!(refused.path.to_string(), "db.password");
            assert!(!refused.problem.contains("hunter2"), "{refused}");
        }
        let refused = reveal(&option(), value(json!({"_secret": "/other"})), &Fixed).unwrap_err();
        assert_eq!(refused.problem, "no /other");
        assert_eq!(refused.file, Some(File { path: "/other".into(), is_there: false }));
        // Elsewhere it is a set as any other.
        let other = json!({"name": {"_secret": "/secret"}});
        assert_eq!(reveal(&option(), other.clone(), &Fixed).unwrap(), other);
    }

    #[test]
    fn what_is_shown_has_no_secret() {
        let secrets = Secrets([AttrPath(vec!["s".into(), "db".into()])].into());
        let path = |names: &[&str]| AttrPath(names.iter().map(|&name| name.to_owned()).collect());
        let tree =
            json!({"db": {"password": "hunter2", "user": {"_secret": "/f"}, "port": 1, "no": null}, "name": "x"});
        assert_eq!(
            secrets.shown(&path(&["s"]), &tree),
            json!({"db": {"password": SHOWN, "user": {"_secret": "/f"}, "port": SHOWN, "no": null}, "name": "x"})
        );
        assert_eq!(secrets.shown(&path(&["s", "db", "password"]), &json!("hunter2")), json!(SHOWN));
        assert_eq!(secrets.shown(&path(&["s", "db", "password", "_secret"]), &json!("/f")), json!("/f"));
        assert_eq!(secrets.shown(&path(&["s", "name"]), &json!("x")), json!("x"));
        assert_eq!(secrets.shown(&path(&[]), &json!({"s": {"db": ["hunter2"]}})), json!({"s": {"db": [SHOWN]}}));
    }
}
