//! The policy: what it lets through is what the rules say, as docs/daemon.md states them, and all of it.

use std::collections::{BTreeMap, BTreeSet};

use dynix::attr_path::AttrPath;
use dynix::daemon::peer::Names;
use dynix::daemon::policy::{self, Effect};
use dynix::overrides::{Draft, Overlay};
use dynix::plan::rule::{Pattern, Rate};
use dynix::plan::{DaemonSpec, Method};
use serde_json::{Map, Value, json};

use super::Bytes;

/// One path of a rule, with what it allows; the test's own words for it.
#[derive(Clone, Debug)]
pub struct Part {
    pub rule: String,
    pub users: Vec<String>,
    pub groups: Vec<String>,
    /// `None` for any name.
    pub names: Vec<Option<String>>,
    pub methods: Vec<Method>,
    pub minimum: Option<i64>,
    pub maximum: Option<i64>,
    pub values: Option<Vec<Value>>,
    /// So many times an hour.
    pub rate: Option<u32>,
}

impl Part {
    /// As the configuration says it.
    pub fn pattern(&self) -> String {
        let name = |name: &Option<String>| {
            name.as_ref().map_or_else(|| "*".to_owned(), |name| AttrPath(vec![name.clone()]).to_string())
        };
        self.names.iter().map(name).collect::<Vec<_>>().join(".")
    }

    fn is_for(&self, user: &str, groups: &[String]) -> bool {
        self.users.iter().any(|one| one == user) || self.groups.iter().any(|one| groups.contains(one))
    }

    fn covers(&self, path: &[String]) -> bool {
        self.names.len() <= path.len()
            && self.names.iter().zip(path).all(|(wanted, name)| wanted.as_ref().is_none_or(|wanted| wanted == name))
    }

    /// Whether a value may come; none may always go.
    fn allows(&self, value: Option<&Value>) -> bool {
        let Some(value) = value else { return true };
        let number = value.as_i64();
        self.minimum.is_none_or(|minimum| number.is_some_and(|number| number >= minimum))
            && self.maximum.is_none_or(|maximum| number.is_some_and(|number| number <= maximum))
            && self.values.as_ref().is_none_or(|values| values.contains(value))
    }
}

/// The rules as the plan has them.
pub fn spec(parts: &[Part]) -> Value {
    let mut rules: BTreeMap<&str, Value> = BTreeMap::new();
    for part in parts {
        let rule = rules
            .entry(&part.rule)
            .or_insert_with(|| json!({"users": part.users, "groups": part.groups, "options": {}}));
        let mut bounds = json!({"methods": part.methods});
        let mut say = |name: &str, value: Value| drop(bounds.as_object_mut().unwrap().insert(name.to_owned(), value));
        part.minimum.into_iter().for_each(|minimum| say("minimum", minimum.into()));
        part.maximum.into_iter().for_each(|maximum| say("maximum", maximum.into()));
        part.values.iter().for_each(|values| say("values", values.clone().into()));
        part.rate.into_iter().for_each(|rate| say("rate", format!("{rate}/h").into()));
        rule["options"][part.pattern()] = bounds;
    }
    json!({ "allow": rules })
}

/// A change of one place: what comes, or that something goes.
pub type Touched = (Vec<String>, Option<Value>);

/// What is different between two states of the log, for a change that edits `edited`.
pub fn touched(before: &Overlay, after: &Overlay, edited: &[AttrPath]) -> BTreeMap<Vec<String>, Option<Value>> {
    type Leaf = (Value, u64);
    let leaves = |overlay: &Overlay| -> BTreeMap<Vec<String>, Leaf> {
        overlay.leaves().into_iter().map(|(path, one)| (path.0, (one.value.clone(), one.id))).collect()
    };
    let (was, is) = (leaves(before), leaves(after));
    let mut found = BTreeMap::new();
    for path in was.keys().chain(is.keys()).collect::<BTreeSet<_>>() {
        match (was.get(path), is.get(path)) {
            (Some(one), Some(other)) if one == other => {}
            (Some((Value::Object(one), _)), Some((Value::Object(other), _))) if one != other => {
                names_of(path, one, other, &mut found);
            }
            (Some((Value::Object(one), _)), Some((Value::Object(other), _)))
                if one == other && edited.iter().any(|edit| edit.0.len() > path.len() && edit.0.starts_with(path)) => {}
            (_, Some((value, _))) => drop(found.insert(path.clone(), Some(value.clone()))),
            (_, None) => drop(found.insert(path.clone(), None)),
        }
    }
    found
}

fn names_of(
    at: &[String],
    was: &Map<String, Value>,
    is: &Map<String, Value>,
    found: &mut BTreeMap<Vec<String>, Option<Value>>,
) {
    for name in was.keys().chain(is.keys()).collect::<BTreeSet<_>>() {
        let path = [at, std::slice::from_ref(name)].concat();
        match (was.get(name), is.get(name)) {
            (Some(one), Some(other)) if one == other => {}
            (Some(Value::Object(one)), Some(Value::Object(other))) => names_of(&path, one, other, found),
            (_, value) => drop(found.insert(path, value.cloned())),
        }
    }
}

/// What is given with a change, whatever there is.
pub fn given(change: &Draft) -> Vec<Touched> {
    fn leaves(path: &[String], value: &Value) -> Vec<Touched> {
        match value {
            Value::Object(below) if below.is_empty() => vec![(path.to_vec(), None)],
            Value::Object(below) => below
                .iter()
                .flat_map(|(name, value)| leaves(&[path, std::slice::from_ref(name)].concat(), value))
                .collect(),
            value => vec![(path.to_vec(), Some(value.clone()))],
        }
    }
    match change {
        Draft::Set(path, value) => leaves(&path.0, value),
        Draft::Replace(path, value) => vec![(path.0.clone(), Some(value.clone()))],
        Draft::Unset(path) => vec![(path.0.clone(), None)],
        _ => Vec::new(),
    }
}

/// For each place the parts that allow its change; `None` where one of them may not change.
pub fn allowing<'p>(
    parts: &'p [Part],
    user: &str,
    groups: &[String],
    method: Method,
    touched: &[Touched],
) -> Option<Vec<Vec<&'p Part>>> {
    let mut all = Vec::new();
    for (path, value) in touched {
        let allows = |part: &&Part| {
            part.is_for(user, groups)
                && part.methods.contains(&method)
                && part.covers(path)
                && part.allows(value.as_ref())
        };
        let found: Vec<&Part> = parts.iter().filter(allows).collect();
        if found.is_empty() {
            return None;
        }
        all.push(found);
    }
    Some(all)
}

/// Every place that has another value, those within replaced sets as well.
pub fn values_that_differ(before: &Overlay, after: &Overlay) -> Vec<Touched> {
    fn flat(path: &[String], value: &Value, found: &mut BTreeMap<Vec<String>, Value>) {
        match value {
            Value::Object(below) if !below.is_empty() => {
                below.iter().for_each(|(name, value)| flat(&[path, std::slice::from_ref(name)].concat(), value, found));
            }
            value => drop(found.insert(path.to_vec(), value.clone())),
        }
    }
    let values = |overlay: &Overlay| {
        let mut found = BTreeMap::new();
        overlay.leaves().iter().for_each(|(path, one)| flat(&path.0, one.value, &mut found));
        found
    };
    let (was, is) = (values(before), values(after));
    let comes = is.iter().filter(|(path, value)| was.get(*path) != Some(value));
    let goes = was.keys().filter(|path| !is.contains_key(*path));
    comes
        .map(|(path, value)| (path.clone(), Some(value.clone())))
        .chain(goes.map(|path| (path.clone(), None)))
        .collect()
}

const METHODS: [Method; 5] = [Method::Append, Method::Unset, Method::Rollback, Method::Reset, Method::Apply];
const NAMES: [&str; 4] = ["a", "b", "x.y", "*"];

impl Bytes<'_> {
    fn names(&mut self) -> Vec<String> {
        (0..=self.byte() % 3).map(|_| NAMES[usize::from(self.byte()) % NAMES.len()].to_owned()).collect()
    }

    fn some(&mut self, letter: char) -> Vec<String> {
        (0..self.byte() % 3).map(|_| format!("{letter}{}", self.byte() % 3)).collect()
    }

    fn bound(&mut self) -> Option<i64> {
        match self.byte() % 4 {
            0 => Some(i64::from(self.byte() % 8)),
            1 => Some((1 << 53) + i64::from(self.byte() % 4)),
            _ => None,
        }
    }

    fn small(&mut self) -> Value {
        match self.byte() % 8 {
            0 => json!((1_i64 << 53) + i64::from(self.byte() % 4)),
            1 => json!("x"),
            2 => json!({NAMES[usize::from(self.byte()) % NAMES.len()]: self.byte() % 8}),
            3 => json!({"a": {"b": self.byte() % 8}, "x.y": 1}),
            4 => json!({}),
            5 => json!([1]),
            _ => json!(self.byte() % 8),
        }
    }

    fn parts(&mut self) -> Vec<Part> {
        let mut parts: Vec<Part> = Vec::new();
        for number in 0..=self.byte() % 3 {
            let (users, groups) = (self.some('u'), self.some('g'));
            for _ in 0..=self.byte() % 2 {
                let names = self.names();
                let names = names
                    .into_iter()
                    .map(|name| if self.byte().is_multiple_of(4) { None } else { Some(name) })
                    .collect();
                let methods = self.byte();
                let methods =
                    METHODS.into_iter().enumerate().filter(|(bit, _)| methods >> bit & 1 == 1).map(|(_, one)| one);
                let methods = methods.collect();
                let (minimum, maximum) = (self.bound(), self.bound());
                let values = (self.byte().is_multiple_of(4)).then(|| vec![self.small(), self.small()]);
                let rule = format!("rule {number}");
                let (users, groups) = (users.clone(), groups.clone());
                let part = Part { rule, users, groups, names, methods, minimum, maximum, values, rate: None };
                // The configuration has each path once.
                let same = |one: &Part| one.rule == part.rule && one.names == part.names;
                if !parts.iter().any(same) {
                    parts.push(part);
                }
            }
        }
        parts
    }

    /// A change of an overlay, which it makes.
    fn change(&mut self, overlay: &mut Overlay, id: u64) -> Draft {
        let path = AttrPath(self.names());
        match self.byte() % 4 {
            0 => {
                overlay.unset(&path);
                Draft::Unset(path)
            }
            1 => {
                let value = self.small();
                overlay.put(&path.0, value.clone(), id);
                Draft::Replace(path, value)
            }
            _ => {
                let change = Draft::Set(path, self.small());
                for (path, value) in given(&change) {
                    if let Some(value) = value {
                        overlay.put(&path, value, id);
                    }
                }
                change
            }
        }
    }
}

pub fn check(data: &[u8]) {
    let mut bytes = Bytes(data);
    let parts = bytes.parts();
    let written = spec(&parts);
    let spec: DaemonSpec = serde_json::from_value(written.clone()).unwrap_or_else(|error| panic!("{error}: {written}"));
    let user = format!("u{}", bytes.byte() % 3);
    let names = Names { user: user.clone(), groups: bytes.some('g') };
    let method = METHODS[usize::from(bytes.byte()) % METHODS.len()];
    let mut before = Overlay::default();
    for id in 1..=u64::from(bytes.byte() % 5) {
        bytes.change(&mut before, id);
    }
    let mut after = before.clone();
    let changes: Vec<Draft> = if bytes.byte().is_multiple_of(2) {
        vec![bytes.change(&mut after, 10)]
    } else {
        // A return to anything.
        (10..10 + u64::from(bytes.byte() % 4)).for_each(|id| drop(bytes.change(&mut after, id)));
        Vec::new()
    };
    let edited: Vec<AttrPath> = changes.iter().flat_map(Draft::paths).cloned().collect();
    let mut effects = policy::effects(&before, &after, &edited);
    effects.extend(changes.iter().flat_map(policy::given));
    let mut expected: Vec<Touched> = touched(&before, &after, &edited).into_iter().collect();
    expected.extend(changes.iter().flat_map(given));

    let judged = policy::judge(&spec, &names, method, &effects);
    let allowed = allowing(&parts, &user, &names.groups, method, &expected);
    let case = || format!("{written} {names:?} {method:?} {before:?} {after:?} {changes:?}");
    assert_eq!(judged.is_ok(), allowed.is_some(), "{judged:?} {}", case());
    if let Ok(used) = judged {
        for (path, value) in values_that_differ(&before, &after) {
            // Of a whole set that comes, the set is what a rule allows.
            let is_within = |part: &Part| part.covers(&path) && part.is_for(&user, &names.groups);
            assert!(parts.iter().any(is_within), "{path:?} {value:?} {}", case());
        }
        for part in used.iter().flatten() {
            let is_it = |one: &Part| one.rule == part.rule && one.pattern() == part.pattern;
            assert!(parts.iter().any(is_it), "{part:?} {}", case());
        }
    }
    for effect in &effects {
        let Effect { path, .. } = effect;
        for part in &parts {
            let pattern = Pattern::parse(&part.pattern()).unwrap();
            assert_eq!(pattern.covers(path), part.covers(&path.0), "{pattern:?} {path}");
        }
    }
    // Whatever is said in their place.
    let text = bytes.text();
    if let (Ok(pattern), Ok(path)) = (Pattern::parse(&text), AttrPath::parse(&text)) {
        assert!(path.0.is_empty() || pattern.covers(&path), "{text:?}");
    }
    let _ = Rate::parse(&text);
}
