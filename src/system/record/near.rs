//! Finds names that the built settings lack and that are close to one that they have: most are typing errors.

use serde_json::Value;
use strsim::damerau_levenshtein;

use crate::attr_path::AttrPath;

/// The first new name in `value`, which is for the path `below` an option, that is close to a built one: its path, and
/// that of the built name.
#[must_use]
pub fn unknown(built: &Value, below: &AttrPath, value: &Value) -> Option<(AttrPath, AttrPath)> {
    let mut at = built;
    for (index, name) in below.names().iter().enumerate() {
        let attributes = at.as_object()?;
        match attributes.get(name) {
            Some(next) => at = next,
            None => return near(attributes.keys(), &below.names()[..index], &below.names()[index..]),
        }
    }
    inside(at, below, value)
}

fn inside(built: &Value, above: &AttrPath, value: &Value) -> Option<(AttrPath, AttrPath)> {
    let (Value::Object(built), Value::Object(attributes)) = (built, value) else { return None };
    attributes.iter().find_map(|(name, value)| match built.get(name) {
        Some(built) => inside(built, &above.child(name), value),
        None => near(built.keys(), above.names(), std::slice::from_ref(name)),
    })
}

/// `names` are the new one and those below it.
fn near<'n>(
    built: impl Iterator<Item = &'n String>,
    above: &[String],
    names: &[String],
) -> Option<(AttrPath, AttrPath)> {
    let path = |names: &[String]| AttrPath(above.iter().chain(names).cloned().collect());
    let name = names.first()?;
    let close = |one: &&String| {
        // A name with dots in it that was written without quotes.
        let is_joined = one.contains('.') && names.join(".").starts_with(one.as_str());
        let plain = |text: &str| text.to_lowercase().replace(['-', '_'], "");
        let distance = damerau_levenshtein(name, one);
        // node1 and node2 are two names; so are a and b.
        let digits = |text: &str| text.chars().filter(|ch| !ch.is_ascii_digit()).collect::<String>();
        let is_slip = distance * 4 <= one.chars().count().max(3) && digits(name) != digits(one);
        is_joined || plain(name) == plain(one) || is_slip
    };
    let nearest = built.filter(close).min_by_key(|one| damerau_levenshtein(name, one))?;
    Some((path(names), path(std::slice::from_ref(nearest))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn slips_are_seen_and_new_names_are_not() {
        let built =
            json!({"workers": 4, "log.level": "info", "max_rate": 1, "section": {"timeout": 1}, "node1": {}, "a": 1});
        let found = |path: &[&str], value: Value| {
            let path = AttrPath(path.iter().map(|&name| name.to_owned()).collect());
            unknown(&built, &path, &value).map(|(given, near)| format!("{given} {near}"))
        };
        assert_eq!(found(&["worker"], json!(1)).as_deref(), Some("worker workers"));
        assert_eq!(found(&["log", "level"], json!("x")).as_deref(), Some("log.level \"log.level\""));
        assert_eq!(found(&["max-rate"], json!(1)).as_deref(), Some("max-rate max_rate"));
        assert_eq!(found(&["section", "timeuot"], json!(1)).as_deref(), Some("section.timeuot section.timeout"));
        assert_eq!(found(&[], json!({"section": {"timout": 1}})).as_deref(), Some("section.timout section.timeout"));
        for path in
            [&["workers"][..], &["priority"], &["node2"], &["b"], &["section", "other"], &["section", "timeout"]]
        {
            assert_eq!(found(path, json!(1)), None, "{path:?}");
        }
    }
}
