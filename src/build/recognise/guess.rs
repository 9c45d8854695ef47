//! Reads the values of text parameters off a text. It renders the format with a mark in the parameter's place. The part
//! of the text at the place of the mark is the value.

use std::collections::HashMap;

use serde_json::Value;

use super::fit::assign;
use crate::format;
use crate::plan::FormatSpec;

/// Marked lines that are looked for, and guesses that are worth a try.
const LOOKED_FOR: usize = 200;
const WORTH_A_TRY: usize = 8;

/// The possible values of `parameter` in `text`, the most frequent first. `spec` has the parameters so far; those of
/// `given` are fixed.
pub fn guesses(given: &FormatSpec, spec: &FormatSpec, parameter: &str, value: &Value, text: &str) -> Vec<String> {
    let Some(mark) = ('\u{e000}'..'\u{f8ff}').find(|&mark| !text.contains(mark)) else { return Vec::new() };
    let with_mark = assign(given, spec, parameter, &mark.to_string().into());
    let rendered = with_mark.iter().filter_map(|spec| String::from_utf8(format::render(spec, value).ok()?).ok());
    let rendered: Vec<String> = rendered.collect();
    let Some(marked) = rendered.iter().find(|rendered| rendered.contains(mark)) else {
        // If the parameter shows nowhere, as between the elements of empty lists, any value will do.
        return rendered.first().map(|_| " ".to_owned()).into_iter().collect();
    };
    let mut counts: HashMap<&str, usize> = HashMap::new();
    let lines = marked.lines().filter(|line| line.contains(mark)).take(LOOKED_FOR);
    for parts in lines.map(|line| line.split(mark).collect::<Vec<_>>()) {
        for guess in text.lines().filter_map(|line| between(line, &parts)) {
            *counts.entry(guess).or_default() += 1;
        }
    }
    // It may have several lines itself.
    counts.extend(between(text, &marked.split(mark).collect::<Vec<_>>()).map(|guess| (guess, 1)));
    let mut guesses: Vec<_> = counts.into_iter().collect();
    guesses.sort_by(|(a, times_a), (b, times_b)| times_b.cmp(times_a).then(a.cmp(b)));
    guesses.into_iter().take(WORTH_A_TRY).map(|(guess, _)| guess.to_owned()).collect()
}

/// The text between the `parts` of `line`, if it is the same everywhere.
fn between<'l>(line: &'l str, parts: &[&str]) -> Option<&'l str> {
    let [first, .., last] = parts else { return None };
    let rest = line.strip_prefix(first)?;
    let guess = match parts {
        [_, _] => rest.strip_suffix(last)?,
        [_, second, ..] if !second.is_empty() => &rest[..rest.find(second)?],
        _ => return None,
    };
    (parts.join(guess) == line).then_some(guess)
}

#[cfg(test)]
mod tests {
    use super::between;

    #[test]
    fn what_is_between_is_the_same_everywhere() {
        assert_eq!(between("key = 1", &["key", "1"]), Some(" = "));
        assert_eq!(between("key=a, b, c", &["key=a", "b", "c"]), Some(", "));
        assert_eq!(between("key=a, b; c", &["key=a", "b", "c"]), None);
        assert_eq!(between("other = 1", &["key", "1"]), None);
        // Not enough room for both.
        assert_eq!(between("aa", &["aa", "a"]), None);
    }
}
