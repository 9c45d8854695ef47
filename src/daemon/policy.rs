//! Says which user may do what (`dynamicism.daemon.allow`): pure.
//!
//! Takes the plan's rules, a caller and the changes of a request; gives whether they are allowed, and if not, why. The
//! changes of a request are the difference of two folds of the log. So a rollback is judged by the values that it
//! brings back, not by its name.

use std::cmp::Ordering;
use std::fmt;

use serde_json::{Map, Number, Value};

use super::peer::Names;
use crate::attr_path::AttrPath;
use crate::overrides::{Draft, Layer, Overlay, Override};
use crate::plan::rule::Pattern;
use crate::plan::{Bounds, DaemonSpec, Method, Rule};
use crate::types::number::compare;
use crate::varlink::answer::Denied;

/// One thing that a request would change.
#[derive(Clone, Debug, PartialEq)]
pub struct Effect {
    /// The path of the value.
    pub path: AttrPath,
    /// The new value; `None` if a value is removed.
    pub value: Option<Value>,
}

/// The effects between two folds of the log. `edited` is the path of the change, if it has one.
#[must_use]
pub fn effects(before: &Overlay, after: &Overlay, edited: &[AttrPath]) -> Vec<Effect> {
    let (was, is) = (before.leaves(), after.leaves());
    let mut effects = Vec::new();
    for (path, one) in &is {
        match was.iter().find(|(other, _)| other == path) {
            Some((_, same)) if same == one => {}
            // A replaced set is edited in place: its changed names are the effects.
            Some((_, Override { value: Value::Object(was), .. })) if one.value.is_object() => {
                let found = effects.len();
                if let Value::Object(is) = one.value {
                    within(path, was, is, &mut effects);
                }
                let is_edited = || edited.iter().any(|edit| edit.0.len() > path.0.len() && edit.starts_with(path));
                if effects.len() == found && !is_edited() {
                    effects.push(Effect { path: path.clone(), value: Some(one.value.clone()) });
                }
            }
            _ => effects.push(Effect { path: path.clone(), value: Some(one.value.clone()) }),
        }
    }
    let goes = was.iter().filter(|(path, _)| !is.iter().any(|(other, _)| other == path));
    effects.extend(goes.map(|(path, _)| Effect { path: path.clone(), value: None }));
    effects
}

/// The differences between two sets at `path`.
fn within(path: &AttrPath, was: &Map<String, Value>, is: &Map<String, Value>, effects: &mut Vec<Effect>) {
    let below = |name: &String| path.join(&AttrPath(vec![name.clone()]));
    for (name, value) in is {
        match (was.get(name), value) {
            (Some(same), _) if same == value => {}
            (Some(Value::Object(was)), Value::Object(is)) => within(&below(name), was, is, effects),
            _ => effects.push(Effect { path: below(name), value: Some(value.clone()) }),
        }
    }
    let goes = was.keys().filter(|name| !is.contains_key(*name));
    effects.extend(goes.map(|name| Effect { path: below(name), value: None }));
}

/// The effects of a change itself, whatever the present values are: the caller needs the right to all of them.
#[must_use]
pub fn given(change: &Draft) -> Vec<Effect> {
    let effect = |path: &AttrPath, value: Option<&Value>| Effect { path: path.clone(), value: value.cloned() };
    match change {
        Draft::Set(path, value) => {
            let mut leaves = Vec::new();
            collect(path, value, &mut leaves);
            leaves
        }
        Draft::SetAll(values) | Draft::Layer(Layer { values, .. }) => {
            let mut leaves = Vec::new();
            for (path, value) in values {
                collect(path, value, &mut leaves);
            }
            leaves
        }
        Draft::Replace(path, value) => vec![effect(path, Some(value))],
        Draft::Unset(path) => vec![effect(path, None)],
        // Only root may record expressions. The other changes are judged by the folds.
        Draft::Expression { .. } | Draft::Rollback(_) | Draft::Reject { .. } => Vec::new(),
    }
}

/// The leaves of a value that is set (docs/overrides.md); an empty set is none, and has to be theirs all the same.
fn collect(path: &AttrPath, value: &Value, effects: &mut Vec<Effect>) {
    match value {
        Value::Object(attributes) if !attributes.is_empty() => {
            for (name, value) in attributes {
                collect(&path.join(&AttrPath(vec![name.clone()])), value, effects);
            }
        }
        Value::Object(_) => effects.push(Effect { path: path.clone(), value: None }),
        _ => effects.push(Effect { path: path.clone(), value: Some(value.clone()) }),
    }
}

/// A part of a rule that lets something through, for counting how often.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Used {
    /// The rule.
    pub rule: String,
    /// Its pattern.
    pub pattern: String,
}

/// Judges whether there is anything that a caller may change in this way.
pub fn may_at_all(spec: &DaemonSpec, names: &Names, method: Method) -> Result<(), Denied> {
    if entries(spec, names).any(|(.., bounds)| bounds.methods.contains(&method)) {
        return Ok(());
    }
    Err(Denied::NotAllowed(format!("{} may not {} anything{}", names.user, Verb(method), hint(spec, names))))
}

/// Judges what a caller wants to change. Gives for each effect the parts of rules that allow it, any of which is enough.
pub fn judge(spec: &DaemonSpec, names: &Names, method: Method, effects: &[Effect]) -> Result<Vec<Vec<Used>>, Denied> {
    let mut allowed = Vec::new();
    for effect in effects {
        let covering: Vec<(&String, &String, &Bounds)> = entries(spec, names)
            .filter(|(_, pattern, bounds)| {
                bounds.methods.contains(&method)
                    && Pattern::parse(pattern).is_ok_and(|pattern| pattern.covers(&effect.path))
            })
            .collect();
        if covering.is_empty() {
            let verb = Verb(method);
            return Err(Denied::NotAllowed(format!(
                "{} may not {verb} {}{}",
                names.user,
                effect.path,
                hint(spec, names)
            )));
        }
        let within = covering.iter().filter(|(.., bounds)| is_within(bounds, effect));
        let parts: Vec<Used> =
            within.map(|(rule, pattern, _)| Used { rule: (*rule).clone(), pattern: (*pattern).clone() }).collect();
        if parts.is_empty() {
            let bounds: Vec<String> = covering.iter().map(|(.., bounds)| Within(bounds).to_string()).collect();
            return Err(Denied::OutOfBounds(format!(
                "{}: {} may only set {} (dynamicism.daemon.allow)",
                effect.path,
                names.user,
                bounds.join(" or ")
            )));
        }
        allowed.push(parts);
    }
    allowed.sort();
    allowed.dedup();
    Ok(allowed)
}

/// Whether a caller may apply what is recorded for a service with these options.
#[must_use]
pub fn may_apply(spec: &DaemonSpec, names: &Names, options: &[AttrPath]) -> bool {
    may_apply_any(spec, names, |pattern| options.iter().any(|option| pattern.meets(option)))
}

/// The same, for what a pattern has to be about.
#[must_use]
pub fn may_apply_any(spec: &DaemonSpec, names: &Names, is_about: impl Fn(&Pattern) -> bool) -> bool {
    entries(spec, names).any(|(_, pattern, bounds)| {
        bounds.methods.contains(&Method::Apply) && Pattern::parse(pattern).is_ok_and(|pattern| is_about(&pattern))
    })
}

/// The parts of rules that are for a caller.
fn entries<'s>(spec: &'s DaemonSpec, names: &'s Names) -> impl Iterator<Item = (&'s String, &'s String, &'s Bounds)> {
    let is_for =
        |rule: &Rule| rule.users.contains(&names.user) || rule.groups.iter().any(|one| names.groups.contains(one));
    let rules = spec.allow.iter().filter(move |(_, rule)| is_for(rule));
    rules.flat_map(|(name, rule)| rule.options.iter().map(move |(pattern, bounds)| (name, pattern, bounds)))
}

fn is_within(bounds: &Bounds, effect: &Effect) -> bool {
    let Some(value) = &effect.value else { return true };
    let breaks = |bound: Option<&Number>, wrong: Ordering| {
        bound.is_some_and(|bound| value.as_number().is_none_or(|number| compare(number, bound) == wrong))
    };
    let is_inside =
        !breaks(bounds.minimum.as_ref(), Ordering::Less) && !breaks(bounds.maximum.as_ref(), Ordering::Greater);
    is_inside && bounds.values.as_ref().is_none_or(|values| values.contains(value))
}

/// The advice about what a caller may do instead.
fn hint(spec: &DaemonSpec, names: &Names) -> String {
    let allowed: Vec<String> = entries(spec, names)
        .map(|(_, pattern, bounds)| {
            let methods: Vec<String> = bounds.methods.iter().map(|method| Verb(*method).to_string()).collect();
            format!("{pattern} ({})", methods.join(", "))
        })
        .collect();
    if allowed.is_empty() {
        return "; nothing is allowed to this user (dynamicism.daemon.allow)".to_owned();
    }
    format!("; allowed are {} (dynamicism.daemon.allow)", allowed.join(", "))
}

/// A method as text.
struct Verb(Method);

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Method::Append => "set",
            Method::Unset => "unset",
            Method::Rollback => "roll back",
            Method::Reset => "reset",
            Method::Apply => "apply",
        })
    }
}

/// Bounds as text.
struct Within<'b>(&'b Bounds);

impl fmt::Display for Within<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Bounds { minimum, maximum, values, .. } = self.0;
        let numbers = match (minimum, maximum) {
            (Some(minimum), Some(maximum)) => format!("numbers from {minimum} to {maximum}"),
            (Some(minimum), None) => format!("numbers from {minimum}"),
            (None, Some(maximum)) => format!("numbers up to {maximum}"),
            (None, None) => String::new(),
        };
        let values = values.as_ref().map(|values| values.iter().map(Value::to_string).collect::<Vec<_>>().join(", "));
        match (numbers.as_str(), values) {
            ("", None) => f.write_str("anything"),
            ("", Some(values)) => write!(f, "one of {values}"),
            (numbers, None) => f.write_str(numbers),
            (numbers, Some(values)) => write!(f, "{numbers} that are one of {values}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn path(text: &str) -> AttrPath {
        AttrPath::parse(text).unwrap()
    }

    fn spec(options: &Value) -> DaemonSpec {
        let rule = json!({"users": ["balancer"], "groups": ["operators"], "options": options});
        serde_json::from_value(json!({"allow": {"any name": rule}})).unwrap()
    }

    fn names(user: &str, groups: &[&str]) -> Names {
        Names { user: user.to_owned(), groups: groups.iter().map(|group| (*group).to_owned()).collect() }
    }

    fn set(at: &str, value: Value) -> [Effect; 1] {
        [Effect { path: path(at), value: Some(value) }]
    }

    #[test]
    fn bounds_hold_for_what_comes() {
        let spec = spec(&json!({"a.workers": {"minimum": 1, "maximum": 64}, "a.level": {"values": ["info", "debug"]}}));
        let judged = |effects: &[Effect]| judge(&spec, &names("balancer", &[]), Method::Append, effects);
        assert_eq!(judged(&set("a.workers", json!(1))).unwrap()[0][0].pattern, "a.workers");
        for wrong in [json!(0), json!(65), json!(64.5), json!("20"), json!(null), json!({"x": 1}), json!([1])] {
            assert!(matches!(judged(&set("a.workers", wrong.clone())), Err(Denied::OutOfBounds(_))), "{wrong}");
        }
        assert!(judged(&set("a.level", json!("debug"))).is_ok());
        assert!(matches!(judged(&set("a.level", json!("trace"))), Err(Denied::OutOfBounds(_))));
        assert!(judged(&[Effect { path: path("a.workers"), value: None }]).is_ok());
        let both = [set("a.workers", json!(2)), set("a.other", json!(2))].concat();
        assert!(matches!(judged(&both), Err(Denied::NotAllowed(_))));
    }

    #[test]
    fn only_who_is_named_may() {
        let spec = spec(&json!({"a": {"methods": ["unset"]}}));
        let judged = |names: &Names, method| judge(&spec, names, method, &set("a.b", json!(1)));
        assert!(judged(&names("somebody", &["operators"]), Method::Unset).is_ok());
        assert!(judged(&names("somebody", &[]), Method::Unset).is_err());
        let refused = judged(&names("balancer", &[]), Method::Append).unwrap_err().to_string();
        assert_eq!(refused, "balancer may not set a.b; allowed are a (unset) (dynamicism.daemon.allow)");
        assert!(!may_apply(&spec, &names("balancer", &[]), &[path("a.b")]));
    }

    #[test]
    fn bounds_are_exact_where_floats_are_not() {
        let most: i64 = 9_007_199_254_740_992;
        let spec = spec(&json!({"a": {"minimum": -most - 1, "maximum": most + 1}}));
        let judged =
            |value: i64| judge(&spec, &names("balancer", &[]), Method::Append, &set("a", json!(value))).is_ok();
        assert!(judged(most + 1) && judged(-most - 1));
        assert!(!judged(most + 2) && !judged(-most - 2));
    }

    #[test]
    fn each_rule_that_allows_something_is_enough() {
        let both = json!({"a.*": {"maximum": 5}, "a.b": {"maximum": 9}});
        let spec = spec(&both);
        let judged = judge(&spec, &names("balancer", &[]), Method::Append, &set("a.b", json!(4))).unwrap();
        let patterns: Vec<&str> = judged[0].iter().map(|used| used.pattern.as_str()).collect();
        assert_eq!(patterns, ["a.*", "a.b"]);
        let judged = judge(&spec, &names("balancer", &[]), Method::Append, &set("a.b", json!(7))).unwrap();
        assert_eq!(judged[0].len(), 1);
    }

    #[test]
    fn an_edit_of_a_replaced_set_is_of_its_names() {
        let mut before = Overlay::default();
        before.put(&["a"], json!({"b": 1, "c": {"d": 2}}), 1);
        let found = |change: Draft, edit: &dyn Fn(&mut Overlay)| {
            let mut after = before.clone();
            edit(&mut after);
            let edited: Vec<AttrPath> = change.paths().into_iter().cloned().collect();
            let effects = effects(&before, &after, &edited).into_iter();
            effects.map(|one| (one.path.to_string(), one.value)).collect::<Vec<_>>()
        };
        let put = |at: &'static [&str], value: Value| {
            let change = Draft::Set(AttrPath(at.iter().map(|name| (*name).to_owned()).collect()), value.clone());
            found(change, &move |overlay| overlay.put(at, value.clone(), 2))
        };
        assert_eq!(put(&["a", "b"], json!(5)), [("a.b".to_owned(), Some(json!(5)))]);
        assert_eq!(put(&["a", "c", "e"], json!(5)), [("a.c.e".to_owned(), Some(json!(5)))]);
        assert_eq!(put(&["a", "b"], json!(1)), []);
        // Somebody else's set that says the same is another record all the same.
        let whole = json!({"b": 1, "c": {"d": 2}});
        assert_eq!(put(&["a"], whole.clone()), [("a".to_owned(), Some(whole))]);
        let gone = found(Draft::Unset(path("a.c.d")), &|overlay| overlay.unset(&path("a.c.d")));
        assert_eq!(gone, [("a.c.d".to_owned(), None)]);
    }

    #[test]
    fn what_is_given_is_every_leaf() {
        let effect = |at: &str, value: Option<Value>| Effect { path: path(at), value };
        let set = Draft::Set(path("a"), json!({"b": 1, "c": {"d": [2]}, "e": {}}));
        let expected = [effect("a.b", Some(json!(1))), effect("a.c.d", Some(json!([2]))), effect("a.e", None)];
        assert_eq!(given(&set), expected);
        assert_eq!(given(&Draft::Replace(path("a"), json!({}))), [effect("a", Some(json!({})))]);
        assert_eq!(given(&Draft::Unset(path("a"))), [effect("a", None)]);
    }

    #[test]
    fn a_rollback_is_what_comes_and_goes_with_it() {
        let (mut before, mut after) = (Overlay::default(), Overlay::default());
        before.put(&["a", "same"], json!(1), 1);
        before.put(&["a", "goes"], json!(2), 2);
        before.put(&["a", "changes"], json!(3), 3);
        after.put(&["a", "same"], json!(1), 1);
        after.put(&["a", "changes"], json!(3), 2);
        after.put(&["a", "comes"], json!(4), 1);
        let found: Vec<(String, Option<Value>)> =
            effects(&before, &after, &[]).into_iter().map(|one| (one.path.to_string(), one.value)).collect();
        assert_eq!(
            found,
            [
                ("a.changes".to_owned(), Some(json!(3))),
                ("a.comes".to_owned(), Some(json!(4))),
                ("a.goes".to_owned(), None)
            ]
        );
    }
}
