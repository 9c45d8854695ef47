//! Finds what is around the settings in a file: a head and a tail that stay as they are.
//!
//! Takes the format, the value and the text that Nix wrote; gives the head, the tail, and how the part between is
//! written. What the description gives stays as it is. The rest is found: the lines of the text that are the settings,
//! byte for byte. They have to be in one place only.

use serde_json::{Value, json};

use super::recognise::{Found, recognise};
use crate::format;
use crate::plan::{Around, FormatSpec, ProofLevel};

/// Places that are tried, the most alike first.
const TRIED: usize = 8;

/// A head, a tail, and what is between.
#[derive(Debug)]
pub struct Placed {
    /// The head and the tail.
    pub around: Around,
    /// What is between.
    pub found: Found,
}

/// Finds it; if that can't be, why not.
pub fn find(format: &FormatSpec, given: &Around, value: &Value, text: &[u8]) -> Result<Placed, String> {
    let text = std::str::from_utf8(text).map_err(|_| "it is no text in UTF-8".to_owned())?;
    let head = given.head.as_deref().unwrap_or_default();
    let rest = text.strip_prefix(head).ok_or("it does not begin with the head that is given")?;
    let tail = given.tail.as_deref().unwrap_or_default();
    let rest = rest.strip_suffix(tail).ok_or("it does not end with the tail that is given")?;
    let mut placed: Vec<Placed> = Vec::new();
    for (start, end) in places(format, given, value, rest) {
        let recognition = recognise(std::slice::from_ref(format), value, &rest.as_bytes()[start..end]);
        let Some(found) = recognition.found.into_iter().find(|found| found.level == ProofLevel::Bytes) else {
            continue;
        };
        let around =
            Around { head: Some(format!("{head}{}", &rest[..start])), tail: Some(format!("{}{tail}", &rest[end..])) };
        if placed.iter().all(|one| one.around != around) {
            placed.push(Placed { around, found });
        }
    }
    match placed.len() {
        1 => placed.pop().ok_or_else(String::new),
        0 => Err(format!("no lines of it are what {} gives for the option's value", super::recognise::written(format))),
        _ => Err("several places in it have the settings; give the head, or the tail".to_owned()),
    }
}

/// The places where the settings could be, by bytes, the most alike first.
fn places(format: &FormatSpec, given: &Around, value: &Value, rest: &str) -> Vec<(usize, usize)> {
    if given.head.is_some() && given.tail.is_some() {
        return vec![(0, rest.len())];
    }
    let starts: Vec<usize> = std::iter::once(0).chain(rest.match_indices('\n').map(|(at, _)| at + 1)).collect();
    let mut scored: Vec<(usize, (usize, usize))> = Vec::new();
    for rendered in renderings(format, value) {
        let lines: Vec<&str> = rendered.lines().collect();
        if lines.is_empty() {
            continue;
        }
        let is_whole = rendered.ends_with('\n');
        for (first, &start) in starts.iter().enumerate() {
            if given.head.is_some() && start > 0 {
                break;
            }
            let end = match starts.get(first + lines.len()) {
                Some(&after) => after - usize::from(!is_whole),
                None if starts.len() == first + lines.len() && !is_whole => rest.len(),
                None => continue,
            };
            if end < start || given.tail.is_some() && end != rest.len() {
                continue;
            }
            // The conventions may not be known yet, but the names are.
            let same =
                rest[start..end].lines().zip(&lines).filter(|(theirs, ours)| first_word(theirs) == first_word(ours));
            let same = same.count();
            if same > 0 {
                scored.push((same, (start, end)));
            }
        }
    }
    scored.sort_by_key(|(same, place)| (std::cmp::Reverse(*same), *place));
    scored.dedup_by_key(|(_, place)| *place);
    scored.into_iter().map(|(_, place)| place).take(TRIED).collect()
}

fn first_word(line: &str) -> &str {
    let is_of_a_word = |ch: char| ch.is_alphanumeric() || matches!(ch, '_' | '-' | '.');
    let line = line.trim_start();
    line.find(|ch| !is_of_a_word(ch)).map_or(line, |end| &line[..end])
}

/// The text in each way that has another number of lines.
fn renderings(format: &FormatSpec, value: &Value) -> Vec<String> {
    let mut formats = Vec::new();
    let dialects = format::dialects(&format.name);
    match (&format.dialect, dialects) {
        (None, [_, ..]) => {
            formats
                .extend(dialects.iter().map(|one| FormatSpec { dialect: Some((*one).to_owned()), ..format.clone() }));
        }
        _ => formats.push(format.clone()),
    }
    for (name, value) in [("nulls", json!("omit")), ("listsAsDuplicateKeys", json!(true))] {
        let with = formats.iter().filter(|format| !format.parameters.contains_key(name)).cloned().map(|mut format| {
            format.parameters.insert(name.to_owned(), value.clone());
            format
        });
        let with: Vec<FormatSpec> = with.filter(|format| format::check(format).is_ok()).collect();
        formats.extend(with);
    }
    formats.iter().filter_map(|format| String::from_utf8(format::render(format, value).ok()?).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# by NixOS\n\nport 22\nuse yes\nBanner none\nport 22\n";

    fn format(parameters: &Value) -> FormatSpec {
        serde_json::from_value(json!({"name": "keyValue", "parameters": parameters})).unwrap()
    }

    fn around(head: Option<&str>, tail: Option<&str>) -> Around {
        Around { head: head.map(str::to_owned), tail: tail.map(str::to_owned) }
    }

    fn found(given: &Around, value: &Value, text: &str) -> Result<(String, String), String> {
        let placed = find(&format(&json!({"separator": " "})), given, value, text.as_bytes())?;
        Ok((placed.around.head.unwrap(), placed.around.tail.unwrap()))
    }

    #[test]
    fn the_lines_of_the_settings_are_found_with_their_conventions() {
        let value = json!({"port": 22, "use": true});
        let placed = find(&format(&json!({})), &Around::default(), &value, TEXT.as_bytes()).unwrap();
        assert_eq!(placed.around, around(Some("# by NixOS\n\n"), Some("Banner none\nport 22\n")));
        assert_eq!(placed.found.format.parameters["booleans"], "yes/no");
        assert_eq!(placed.found.format.parameters["separator"], " ");
        // Without anything around, too.
        assert_eq!(found(&Around::default(), &value, "port 22\nuse yes\n").unwrap(), (String::new(), String::new()));
    }

    #[test]
    fn what_is_given_decides_and_has_to_be_there() {
        let value = json!({"port": 22});
        assert!(found(&Around::default(), &value, TEXT).unwrap_err().contains("several places"));
        let tail = around(None, Some(""));
        assert_eq!(found(&tail, &value, TEXT).unwrap().0, "# by NixOS\n\nport 22\nuse yes\nBanner none\n");
        let head = around(Some("# by NixOS\n\n"), None);
        assert_eq!(found(&head, &value, TEXT).unwrap().1, "use yes\nBanner none\nport 22\n");
        assert!(found(&around(Some("# by Nix\n"), None), &value, TEXT).unwrap_err().contains("does not begin"));
        assert!(found(&around(None, Some("x")), &value, TEXT).unwrap_err().contains("does not end"));
    }

    #[test]
    fn other_values_and_none_are_not_found() {
        assert!(found(&Around::default(), &json!({"port": 23, "use": true}), TEXT).is_err());
        assert!(found(&Around::default(), &json!({}), TEXT).is_err());
    }

    #[test]
    fn a_text_without_a_line_break_at_its_end_has_its_tail_from_there() {
        let format: FormatSpec = serde_json::from_value(json!({"name": "postgresqlConf"})).unwrap();
        let placed =
            find(&format, &Around::default(), &json!({"a": 1, "b": "x"}), b"# h\na = 1\nb = 'x'\n# t\n").unwrap();
        assert_eq!(placed.around, around(Some("# h\n"), Some("\n# t\n")));
        let alone = find(&format, &Around::default(), &json!({"a": 1}), b"a = 1").unwrap();
        assert_eq!(alone.around, around(Some(""), Some("")));
    }
}
