//! Summarises how two values differ, in few words.

use serde_json::Value;
use similar::{ChangeTag, TextDiff};

/// The most changes that are listed for one thing.
const MOST: usize = 6;
/// The longest single change.
const LONGEST: usize = 160;

/// The text for a difference in hashes only.
pub const ANOTHER_BUILD: &str = "(another build)";

/// The name of a thing for people.
#[must_use]
pub fn named(kind: &str, name: &str) -> String {
    match (kind, name) {
        (_, "*") => format!("what there is of {kind}"),
        ("assertion", _) => "whether its assertions let the configuration be built".to_owned(),
        ("rest", _) => "the rest of the system".to_owned(),
        ("warning", _) => "its warnings".to_owned(),
        ("unit" | "option" | "value", _) => name.to_owned(),
        ("etc", _) => format!("/etc/{name}"),
        ("package", _) => format!("the installed package {name}"),
        ("unitPackage", _) => format!("the package of units {name}"),
        ("activation", _) => format!("the activation script {name}"),
        ("userActivation", _) => format!("the user activation script {name}"),
        ("sysctl", _) => format!("the kernel setting {name}"),
        (kind, _) => format!("the {kind} {name}"),
    }
}

/// How `after` differs from `before`.
#[must_use]
pub fn changes(before: &Value, after: &Value) -> Vec<String> {
    let mut told = Vec::new();
    tell(&mut told, before, after);
    let more = told.len().saturating_sub(MOST);
    told.truncate(MOST);
    if more > 0 {
        told.push(format!("and {more} more"));
    }
    told
}

/// Changes of what is called `name`.
pub fn under(name: &str, changes: Vec<String>) -> impl Iterator<Item = String> {
    changes.into_iter().map(move |change| format!("{name} {change}"))
}

fn tell(told: &mut Vec<String>, before: &Value, after: &Value) {
    match (before, after) {
        (before, after) if before == after => {}
        (Value::Null, after) => told.push(format!("{} is new", brief(after))),
        (before, Value::Null) => told.push(format!("{} is gone", brief(before))),
        (Value::Object(before), Value::Object(after)) => {
            let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
            names.sort();
            names.dedup();
            for name in names {
                let value = |of: &serde_json::Map<String, Value>| of.get(name).cloned().unwrap_or(Value::Null);
                let below = changes(&value(before), &value(after));
                if matches!(name.as_str(), "text" | "source") {
                    // The text itself shows its subject; then its store path adds nothing.
                    let has_text = before.get("text").is_some_and(Value::is_string);
                    told.extend(below.into_iter().filter(|_| name == "text" || !has_text));
                } else {
                    told.extend(under(name, below));
                }
            }
        }
        (Value::String(before), Value::String(after)) if before.contains('\n') || after.contains('\n') => {
            lines(told, before, after);
        }
        (Value::String(before), Value::String(after)) => told.push(words(before, after)),
        (Value::Array(before), Value::Array(after)) => {
            let gone = before.iter().filter(|one| !after.contains(one));
            let new = after.iter().filter(|one| !before.contains(one));
            match (gone.collect::<Vec<_>>().as_slice(), new.collect::<Vec<_>>().as_slice()) {
                ([gone], [new]) => tell(told, gone, new),
                ([], []) => told.push("another order".to_owned()),
                (gone, new) => {
                    told.extend(gone.iter().map(|one| format!("without {}", brief(one))));
                    told.extend(new.iter().map(|one| format!("with {}", brief(one))));
                }
            }
        }
        (before, after) => told.push(format!("{} -> {}", brief(before), brief(after))),
    }
}

/// Lists the lines that differ; a replaced line is one change.
fn lines(told: &mut Vec<String>, before: &str, after: &str) {
    let diff = TextDiff::from_lines(before, after);
    let (mut gone, mut new) = (Vec::new(), Vec::new());
    let tell = |told: &mut Vec<String>, gone: &mut Vec<&str>, new: &mut Vec<&str>| {
        if gone.len() == new.len() {
            told.extend(gone.drain(..).zip(new.drain(..)).map(|(gone, new)| words(gone, new)));
        } else {
            told.extend(gone.drain(..).map(|line| format!("without {}", cut(&readable(line)))));
            told.extend(new.drain(..).map(|line| format!("with {}", cut(&readable(line)))));
        }
    };
    for change in diff.iter_all_changes() {
        let line = change.value().trim_end();
        match change.tag() {
            ChangeTag::Equal => tell(told, &mut gone, &mut new),
            ChangeTag::Delete if !line.is_empty() => gone.push(line),
            ChangeTag::Insert if !line.is_empty() => new.push(line),
            _ => {}
        }
    }
    tell(told, &mut gone, &mut new);
}

/// Two texts of one line: the part that they share in front appears once, to the last name that they share.
fn words(before: &str, after: &str) -> String {
    let (before, after) = (readable(before), readable(after));
    if before == after {
        return format!("{} {ANOTHER_BUILD}", cut(&before));
    }
    let is_end = |character: char| matches!(character, '=' | ' ' | ':');
    let shared = before.char_indices().zip(after.chars()).take_while(|((_, one), other)| one == other);
    let start = shared.filter(|((_, one), _)| is_end(*one)).map(|((index, _), _)| index + 1).last().unwrap_or(0);
    let (front, before) = before.split_at(start);
    let after = &after[start..];
    let front = front.rsplit_once('\u{20}').map_or(front, |(long, last)| if last.is_empty() { long } else { front });
    let front = front.trim_end_matches(['=', ':', ' ']);
    let one = |text: &str| if text.is_empty() { "nothing".to_owned() } else { cut(text) };
    let change = format!("{} -> {}", one(before), one(after));
    if front.is_empty() { change } else { format!("{} {change}", cut(front)) }
}

/// Without the hashes of store paths.
fn readable(text: &str) -> String {
    const STORE: &str = "/nix/store/";
    const HASH: usize = 33;
    let mut rest = text;
    let mut out = String::with_capacity(text.len());
    while let Some(found) = rest.find(STORE) {
        let (front, back) = rest.split_at(found);
        out.push_str(front);
        rest = match back.get(STORE.len() + HASH..) {
            Some(name) if back.as_bytes().get(STORE.len() + HASH - 1) == Some(&b'-') => name,
            _ => {
                out.push_str(STORE);
                &back[STORE.len()..]
            }
        };
    }
    out.push_str(rest);
    out
}

fn brief(value: &Value) -> String {
    match value {
        Value::String(text) => cut(&readable(text.trim_end())),
        other => cut(&other.to_string()),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_differ_in_few_words() {
        assert_eq!(changes(&json!([22, 8080]), &json!([22, 80])), ["8080 -> 80"]);
        assert_eq!(changes(&json!([1]), &json!([1, 2, 3])), ["with 2", "with 3"]);
        assert_eq!(
            changes(&json!({"shell": "/bin/sh", "uid": 1}), &json!({"shell": "/bin/zsh", "uid": 1})),
            ["shell /bin/sh -> /bin/zsh"]
        );
        assert_eq!(changes(&json!(null), &json!({"a": 1})), [r#"{"a":1} is new"#]);
    }

    #[test]
    fn a_line_in_the_place_of_another_is_one_change() {
        let before =
            "[Service]\nUser=a\nExecStart=/nix/store/00000000000000000000000000000000-x/bin/x --threads 4 -v\n";
        let after = "[Service]\nUser=a\nExecStart=/nix/store/11111111111111111111111111111111-x/bin/x --threads 8 -v\n";
        assert_eq!(
            changes(&json!({"text": before}), &json!({"text": after})),
            ["ExecStart=x/bin/x --threads 4 -v -> 8 -v"]
        );
        let after = "[Service]\nUser=a\nAmbientCapabilities=CAP_X\nExecStart=/nix/store/00000000000000000000000000000000-x/bin/x --threads 4 -v\n";
        assert_eq!(changes(&json!(before), &json!(after)), ["with AmbientCapabilities=CAP_X"]);
    }

    #[test]
    fn only_another_build_says_so() {
        let path = |digit: &str| json!(format!("/nix/store/{}-firewall-start", digit.repeat(32)));
        assert_eq!(changes(&path("0"), &path("1")), ["firewall-start (another build)"]);
    }

    #[test]
    fn a_long_list_is_cut() {
        let after: Vec<u64> = (0..50).collect();
        let told = changes(&json!([]), &json!(after));
        assert_eq!((told.len(), told[MOST].as_str()), (MOST + 1, "and 44 more"));
    }
}
