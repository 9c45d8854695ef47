//! Elements of lists: a path can lead to one, and a value can be added or removed.
//!
//! Takes a path as people write it, `scrape_configs.[job_name=node].scrape_interval` or `ports.[0]`, and the present list;
//! gives the path of the list and the list as it is to be. What is recorded is the whole list, so a rebuild gives the same.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::attr_path::AttrPath;
use crate::system::{Refused, lookup};
use crate::types::{ELEMENT, brief};

/// What becomes of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ListEdit {
    /// The value is a new element, at the end.
    Add,
    /// The elements that are the value go.
    Remove,
}

/// A step from a list.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// The element of this number, from 0; from the end if it is negative.
    Index(i64),
    /// The one element that is a set with this attribute.
    Key(String, String),
    /// A name below an element.
    Name(String),
}

/// A path that may lead into lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListPath {
    /// What comes before the first element: the option, or the list.
    pub path: AttrPath,
    /// From there on; empty for a path like any other.
    steps: Vec<Step>,
}

impl ListPath {
    /// Reads a path.
    pub fn parse(text: &str) -> Result<Self, Refused> {
        let Some(start) = bracket(text) else { return Ok(Self { path: lookup::parse(text)?, steps: Vec::new() }) };
        let refuse = |problem: &str| Refused(format!("{text}: {problem}"));
        let path = text[..start].strip_suffix('.').unwrap_or(&text[..start]);
        let (path, mut rest, mut steps) = (lookup::parse(path)?, &text[start..], Vec::new());
        while let Some(inside) = rest.strip_prefix('[') {
            let end = inside.find(']').ok_or_else(|| refuse("a [ without its ]"))?;
            steps.push(step(&inside[..end]).ok_or_else(|| {
                refuse("between [ and ] there is the number of an element, or NAME=VALUE, which one has: [0], [job_name=node]")
            })?);
            rest = &inside[end + 1..];
            let Some(after) = rest.strip_prefix('.') else { break };
            let names = &after[..bracket(after).unwrap_or(after.len())];
            rest = &after[names.len()..];
            let names = if rest.is_empty() { names } else { names.strip_suffix('.').unwrap_or(names) };
            if !names.is_empty() {
                steps.extend(lookup::parse(names)?.0.into_iter().map(Step::Name));
            }
        }
        if !rest.is_empty() {
            return Err(refuse("after ] there comes a dot, or nothing"));
        }
        Ok(Self { path, steps })
    }

    /// Whether it leads to an element, or below one.
    #[must_use]
    pub fn is_within_a_list(&self) -> bool {
        !self.steps.is_empty()
    }

    /// The names from the option's type to the type of what it leads to.
    #[must_use]
    pub fn names(&self, below: &AttrPath, edit: Option<ListEdit>) -> Vec<String> {
        let steps = self.steps.iter().map(|step| match step {
            Step::Name(name) => name.clone(),
            Step::Index(_) | Step::Key(..) => ELEMENT.to_owned(),
        });
        below.0.iter().cloned().chain(steps).chain(edit.map(|_| ELEMENT.to_owned())).collect()
    }

    /// The value that is there now.
    #[must_use]
    pub fn present<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        self.steps.iter().try_fold(value, |value, step| match step {
            Step::Name(name) => value.get(name),
            _ => value.get(element(value, step).ok()?),
        })
    }

    /// `value`, which is at [`ListPath::path`], with the change.
    pub fn changed(&self, value: &Value, new: Value, edit: Option<ListEdit>) -> Result<Value, String> {
        let mut whole = value.clone();
        let mut place = &mut whole;
        for step in &self.steps {
            place = match step {
                Step::Name(name) => match place {
                    Value::Object(attributes) => attributes.entry(name.clone()).or_insert(Value::Null),
                    other => return Err(format!("{} has no {name}: it is no set", brief(other))),
                },
                step => {
                    let index = element(place, step)?;
                    place.get_mut(index).ok_or("there is no such element")?
                }
            };
        }
        match edit {
            None => *place = new,
            Some(edit) => edit_list(place, new, edit)?,
        }
        Ok(whole)
    }
}

fn edit_list(place: &mut Value, new: Value, edit: ListEdit) -> Result<(), String> {
    if place.is_null() && edit == ListEdit::Add {
        *place = Value::Array(Vec::new());
    }
    let Value::Array(items) = place else { return Err(format!("{} is no list", brief(place))) };
    match (edit, items.contains(&new)) {
        (ListEdit::Add, true) => Err(format!("{} is in the list already", brief(&new))),
        (ListEdit::Add, false) => {
            items.push(new);
            Ok(())
        }
        (ListEdit::Remove, true) => {
            items.retain(|item| *item != new);
            Ok(())
        }
        (ListEdit::Remove, false) => Err(format!("{} is not in the list {}", brief(&new), brief(place))),
    }
}

/// The first `[` outside of quotes that begins a step.
fn bracket(text: &str) -> Option<usize> {
    let (mut quoted, mut escaped, mut begins) = (false, false, true);
    text.char_indices().find_map(|(index, ch)| {
        match ch {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '[' if !quoted && begins => return Some(index),
            _ => {}
        }
        begins = ch == '.' && !quoted;
        None
    })
}

fn step(text: &str) -> Option<Step> {
    if let Some((name, value)) = text.split_once('=') {
        let plain = |text: &str| {
            let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
            inner.to_owned()
        };
        return (!name.is_empty()).then(|| Step::Key(plain(name), plain(value)));
    }
    text.parse().ok().map(Step::Index)
}

/// The number of the element that a step leads to.
fn element(value: &Value, step: &Step) -> Result<usize, String> {
    let Value::Array(items) = value else { return Err(format!("{} is no list", brief(value))) };
    match step {
        Step::Name(name) => Err(format!("{name} is the name of an attribute, and this is a list")),
        Step::Index(index) => {
            let from = if *index < 0 { items.len() } else { 0 };
            let at = from.checked_add_signed(isize::try_from(*index).unwrap_or(isize::MAX));
            at.filter(|at| *at < items.len())
                .ok_or_else(|| format!("there is no element {index}: the list has {}", items.len()))
        }
        Step::Key(name, wanted) => {
            let is = |item: &Value| match item.get(name) {
                Some(Value::String(text)) => text == wanted,
                Some(other) => brief(other) == *wanted,
                None => false,
            };
            let found: Vec<usize> = items.iter().enumerate().filter(|(_, item)| is(item)).map(|(at, _)| at).collect();
            match found.as_slice() {
                [one] => Ok(*one),
                [] => {
                    let known: Vec<String> = items.iter().filter_map(|item| item.get(name)).map(brief).collect();
                    let known = if known.is_empty() { "none has that name".to_owned() } else { known.join(", ") };
                    Err(format!("no element has {name} = {wanted}; there are: {known}"))
                }
                several => Err(format!("{} elements have {name} = {wanted}; give the number of one", several.len())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn path(text: &str) -> ListPath {
        ListPath::parse(text).unwrap()
    }

    #[test]
    fn paths_lead_to_elements_by_number_and_by_a_name() {
        let one = path("a.b.[job_name=node].\"x.y\".[-1].[0].c");
        assert_eq!(one.path.to_string(), "a.b");
        let name = |name: &str| Step::Name(name.to_owned());
        let key = Step::Key("job_name".to_owned(), "node".to_owned());
        assert_eq!(one.steps, [key, name("x.y"), Step::Index(-1), Step::Index(0), name("c")]);
        assert_eq!(path("a.\"[0]\".b").steps, []);
        assert_eq!(path("a.[\"n\"=\"x y\"]").steps, [Step::Key("n".to_owned(), "x y".to_owned())]);
        assert_eq!(one.names(&AttrPath(vec!["b".to_owned()]), None), ["b", ELEMENT, "x.y", ELEMENT, ELEMENT, "c"]);
        for wrong in ["a.[0", "a.[]", "a.[x]", "a.[=x]", "a.[0]b", "a.[0]..b"] {
            assert!(ListPath::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_element_changes_and_the_others_stay() {
        let list = json!([{"job": "a", "n": 1}, {"job": "b"}, {"job": "b"}]);
        let changed = |text: &str, new: Value| path(text).changed(&list, new, None);
        assert_eq!(changed("l.[job=a].n", json!(2)).unwrap()[0], json!({"job": "a", "n": 2}));
        assert_eq!(changed("l.[0].new", json!(2)).unwrap()[0], json!({"job": "a", "n": 1, "new": 2}));
        assert_eq!(changed("l.[-1]", json!(5)).unwrap(), json!([{"job": "a", "n": 1}, {"job": "b"}, 5]));
        assert_eq!(path("l.[job=a].n").present(&list), Some(&json!(1)));
        assert!(changed("l.[3]", json!(1)).unwrap_err().contains("the list has 3"));
        assert!(changed("l.[job=c]", json!(1)).unwrap_err().contains("there are: \"a\", \"b\", \"b\""));
        assert!(changed("l.[job=b]", json!(1)).unwrap_err().contains("2 elements"));
        assert!(changed("l.[0].n.x", json!(1)).unwrap_err().contains("it is no set"));
        assert!(path("l.[0]").changed(&json!({}), json!(1), None).unwrap_err().contains("is no list"));
    }

    #[test]
    fn elements_are_added_and_removed() {
        let edit = |list: Value, new: Value, edit| path("l").changed(&list, new, Some(edit));
        assert_eq!(edit(json!([1]), json!(2), ListEdit::Add), Ok(json!([1, 2])));
        assert_eq!(edit(json!(null), json!(2), ListEdit::Add), Ok(json!([2])));
        assert_eq!(edit(json!([1, 2, 1]), json!(1), ListEdit::Remove), Ok(json!([2])));
        assert!(edit(json!([1]), json!(1), ListEdit::Add).unwrap_err().contains("already"));
        assert!(edit(json!([1]), json!(2), ListEdit::Remove).unwrap_err().contains("is not in the list"));
        assert!(edit(json!("x"), json!(2), ListEdit::Remove).unwrap_err().contains("is no list"));
        // Of a list within an element.
        let hosts = json!([{"job": "a", "hosts": ["x"]}]);
        let both = path("l.[job=a].hosts").changed(&hosts, json!("y"), Some(ListEdit::Add));
        assert_eq!(both, Ok(json!([{"job": "a", "hosts": ["x", "y"]}])));
    }
}
