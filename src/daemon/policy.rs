//! Who may do what (`dynamicism.daemon.allow`): pure.
//!
//! Takes the plan's rules, a caller and what a request would change; gives whether that is allowed, and if not, why. What
//! a request would change is the difference of two folds of the log, so that a rollback is judged by what comes back
//! with it, and not by its name.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::peer::Names;
use crate::attr_path::AttrPath;
use crate::overrides::Overlay;
use crate::plan::rule::Pattern;
use crate::plan::{Bounds, DaemonSpec, Method, Rule};
use crate::varlink::answer::Denied;

/// A daemon that only root may ask for anything.
#[must_use]
pub fn nobody() -> DaemonSpec {
    DaemonSpec { allow: BTreeMap::new(), window: 0.02, idle: 60.0, connections_per_user: 256 }
}

/// One thing that a request would change.
#[derive(Clone, Debug, PartialEq)]
pub struct Effect {
    /// Where.
    pub path: AttrPath,
    /// The value that comes; `None` where one goes.
    pub value: Option<Value>,
}

/// What is different between two folds of the log.
#[must_use]
pub fn effects(before: &Overlay, after: &Overlay) -> Vec<Effect> {
    let (was, is) = (before.leaves(), after.leaves());
    let comes = is.iter().filter(|(path, one)| !was.iter().any(|(other, same)| other == path && same == one));
    let goes = was.iter().filter(|(path, _)| !is.iter().any(|(other, _)| other == path));
    let comes = comes.map(|(path, one)| Effect { path: path.clone(), value: Some(one.value.clone()) });
    comes.chain(goes.map(|(path, _)| Effect { path: path.clone(), value: None })).collect()
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

/// Judges what a caller wants to change. Gives the parts of rules that allow it.
pub fn judge(spec: &DaemonSpec, names: &Names, method: Method, effects: &[Effect]) -> Result<Vec<Used>, Denied> {
    let mut used = Vec::new();
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
        let Some((rule, pattern, _)) = covering.iter().find(|(.., bounds)| is_within(bounds, effect)) else {
            let bounds: Vec<String> = covering.iter().map(|(.., bounds)| Within(bounds).to_string()).collect();
            return Err(Denied::OutOfBounds(format!(
                "{}: {} may only set {} (dynamicism.daemon.allow)",
                effect.path,
                names.user,
                bounds.join(" or ")
            )));
        };
        used.push(Used { rule: (*rule).clone(), pattern: (*pattern).clone() });
    }
    used.sort();
    used.dedup();
    Ok(used)
}

/// Whether a caller may apply what is recorded for a service with these options.
#[must_use]
pub fn may_apply(spec: &DaemonSpec, names: &Names, options: &[AttrPath]) -> bool {
    entries(spec, names).any(|(_, pattern, bounds)| {
        let pattern = Pattern::parse(pattern);
        bounds.methods.contains(&Method::Apply)
            && pattern.is_ok_and(|pattern| options.iter().any(|option| pattern.meets(option)))
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
    let number = value.as_f64();
    let above = bounds.minimum.is_none_or(|minimum| number.is_some_and(|number| number >= minimum));
    let below = bounds.maximum.is_none_or(|maximum| number.is_some_and(|number| number <= maximum));
    above && below && bounds.values.as_ref().is_none_or(|values| values.contains(value))
}

/// What a caller may do instead.
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

/// A method in words.
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

/// Bounds in words.
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
        assert_eq!(judged(&set("a.workers", json!(1))).unwrap()[0].pattern, "a.workers");
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
    fn a_rollback_is_what_comes_and_goes_with_it() {
        let (mut before, mut after) = (Overlay::default(), Overlay::default());
        before.put(&["a", "same"], json!(1), 1);
        before.put(&["a", "goes"], json!(2), 2);
        before.put(&["a", "changes"], json!(3), 3);
        after.put(&["a", "same"], json!(1), 1);
        after.put(&["a", "changes"], json!(3), 2);
        after.put(&["a", "comes"], json!(4), 1);
        let found: Vec<(String, Option<Value>)> =
            effects(&before, &after).into_iter().map(|one| (one.path.to_string(), one.value)).collect();
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
