//! `dynix set`: turns its words into a request.

use std::io::Read;

use anyhow::Context;
use camino::Utf8Path;
use serde_json::Value;

use crate::cli::arguments;
use crate::host::fs;
use crate::system::Refused;
use crate::system::request::{Assignment, Set};
use crate::types;

/// Most bytes that are read for one value: a record takes no more.
const LIMIT: u64 = 1 << 20;

/// The request of the command line.
pub fn request(arguments: &arguments::Set) -> anyhow::Result<Set> {
    let arguments::Set { words, secret_file, list, replace, duration, build, recording, .. } = arguments;
    let changes = if let Some(file) = secret_file {
        let [path] = words.as_slice() else {
            return Err(Refused("--secret-file is the value of one option: give its path alone".to_owned()).into());
        };
        vec![Assignment { path: path.clone(), secret_file: Some(file.clone()), ..Assignment::default() }]
    } else {
        let pairs = pairs(words)?;
        if pairs.iter().filter(|(_, value)| value == "-").count() > 1 && !arguments.string {
            return Err(Refused("standard input (`-`) is one value; give the others another way".to_owned()).into());
        }
        pairs.into_iter().map(|(path, value)| assignment(path, value, arguments)).collect::<Result<_, _>>()?
    };
    let changes = changes.into_iter().map(|one| Assignment { list: list.edit(), replace: *replace, ..one }).collect();
    Ok(Set {
        changes,
        duration: *duration,
        apply: recording.apply,
        build: *build,
        confirm: recording.confirm,
        message: recording.telling.message.clone(),
    })
}

/// The paths with their values: each is `PATH=VALUE`, or `PATH` and then `VALUE`.
fn pairs(words: &[String]) -> Result<Vec<(String, String)>, Refused> {
    let mut pairs = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if let Some(end) = end_of_path(word) {
            pairs.push((word[..end].to_owned(), word[end + 1..].to_owned()));
        } else if let Some(value) = words.next() {
            pairs.push((word.clone(), value.clone()));
        } else {
            return Err(Refused(format!("{word} has no value; write PATH VALUE or PATH=VALUE")));
        }
    }
    Ok(pairs)
}

/// Where the path ends in `PATH=VALUE`: at the first `=` outside of quotes, and of the brackets of an element.
#[must_use]
pub fn end_of_path(word: &str) -> Option<usize> {
    let (mut quoted, mut escaped, mut within) = (false, false, false);
    word.char_indices().find_map(|(index, ch)| {
        match ch {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '[' | ']' if !quoted => within = ch == '[',
            '=' if !quoted && !within => return Some(index),
            _ => {}
        }
        None
    })
}

fn assignment(path: String, text: String, arguments: &arguments::Set) -> anyhow::Result<Assignment> {
    let arguments::Set { string, from_json, expr, .. } = *arguments;
    let text = if string { text } else { content(&path, text)? };
    let mut one = Assignment { path, ..Assignment::default() };
    if expr {
        one.expression = Some(text);
    } else if string {
        one.value = Some(Value::String(text));
    } else if from_json {
        let value = types::read_json(&text).map_err(|error| Refused(format!("{}: {error}", one.path)))?;
        one.value = Some(value);
    } else {
        one.text = Some(text);
    }
    Ok(one)
}

/// The text of a value: that of standard input for `-`, and that of a file for `@FILE`. A line feed at its end is that of
/// the program that wrote it.
fn content(path: &str, text: String) -> anyhow::Result<String> {
    let bytes = match text.strip_prefix('@') {
        _ if text == "-" => {
            let mut bytes = Vec::new();
            std::io::stdin().lock().take(LIMIT + 1).read_to_end(&mut bytes).context("cannot read standard input")?;
            bytes
        }
        Some(file) if !file.is_empty() => fs::read(Utf8Path::new(file))?
            .ok_or_else(|| Refused(format!("{path}: there is no file {file}; --string takes {text} as text")))?,
        _ => return Ok(text),
    };
    if bytes.len() as u64 > LIMIT {
        return Err(Refused(format!("{path}: the value has more than {LIMIT} bytes")).into());
    }
    let text = String::from_utf8(bytes).map_err(|_| Refused(format!("{path}: the value is no text (UTF-8)")))?;
    Ok(text.strip_suffix('\n').map(str::to_owned).unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_values_are_told_apart() {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let read = |given: &[&str]| pairs(&words(given)).map_err(|error| error.to_string());
        let pair = |path: &str, value: &str| (path.to_owned(), value.to_owned());
        assert_eq!(read(&["a.b", "1", "c", "x=y"]), Ok(vec![pair("a.b", "1"), pair("c", "x=y")]));
        assert_eq!(read(&["a.b=1", "c=", "d=x=y"]), Ok(vec![pair("a.b", "1"), pair("c", ""), pair("d", "x=y")]));
        assert_eq!(read(&["a.\"x=y\"=1", "b", "-7"]), Ok(vec![pair("a.\"x=y\"", "1"), pair("b", "-7")]));
        assert_eq!(read(&["a.[n=x].b=1"]), Ok(vec![pair("a.[n=x].b", "1")]));
        assert_eq!(read(&["a", "1", "b"]), Err("b has no value; write PATH VALUE or PATH=VALUE".to_owned()));
    }
}
