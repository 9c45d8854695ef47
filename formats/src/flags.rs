//! `flags`: command-line options. It is not one of `pkgs.formats`: modules write flags by hand.
//!
//! The value is a list, in the order of the command line. An item is one of
//!
//! - a word;
//! - `{ "flag": "--jobs", "value": X }`: null and false leave it out; true gives the bare flag (with `booleans`, both
//!   are values); a list repeats it for each element (with `join`, the elements are one value); anything else is its
//!   value;
//! - `{ "flags": { "jobs": X, ... } }`: the same for each attribute, in the order of their names.
//!
//! An item with `split` is text of a command line, as modules write it without quotes (`concatStringsSep " " extraFlags`):
//! its words are those that systemd, or the shell, makes of it. With `quote`, its values are in quotes there
//! (`escapeShellArg`).
//!
//! `lib.cli.toCommandLine` does the same by its `option`, `sep` and `explicitBool` (lib/cli.nix). The output is either
//! the words ([`words`]), or a line of an environment file from which systemd makes exactly these words for an unbraced
//! `$VARIABLE`.

use serde_json::{Map, Value};

use super::number;
use super::parameters::{self, Kind, Parameter};
use super::{At, Format, RenderError, Settings};
use crate::{command_line, quote};

pub(super) static FORMAT: Format = Format {
    name: "flags",
    summary: "command-line options, as one variable of a systemd environment file",
    dialects: &[],
    parameters: &[
        Parameter {
            name: "variable",
            kind: Kind::Variable,
            summary: "the variable that the line sets; without it there are words but no line",
        },
        Parameter {
            name: "separator",
            kind: Kind::Choice(SEPARATORS),
            summary: "between flag and value: \" \" gives two words (default), \"=\" and \"\" one, \"gnu\" a = after --flag and nothing after -f; an item may have its own",
        },
        Parameter {
            name: "dashes",
            kind: Kind::Choice(DASHES),
            summary: "before the names of attributes: \"gnu\" is - before one character and -- before more (default); an item may have its own",
        },
        Parameter {
            name: "booleans",
            kind: Kind::Choice(BOOLEANS),
            summary: "true and false are values, spelled so (default \"bare\": true is the flag alone, false none); an item may have its own",
        },
        Parameter {
            name: "join",
            kind: Kind::OptionalText,
            summary: "joins the elements of a list into one value; null (default) repeats the flag; an item may have its own",
        },
    ],
    validate: None,
    write,
    misread,
};

/// The possible separators between a flag and its value.
pub const SEPARATORS: &[&str] = &[" ", "=", "", "gnu"];

/// The spellings of true and false, if both are values.
pub use super::lines::SPELLINGS;

/// True is the flag alone, false none.
pub const BARE: &str = "bare";

/// The possible values for true and false.
const BOOLEANS: &[&str] =
    &[BARE, "true/false", "True/False", "TRUE/FALSE", "yes/no", "Yes/No", "on/off", "On/Off", "1/0"];

/// The possible prefixes of a name.
pub const DASHES: &[&str] = &["gnu", "--", "-"];

/// Who splits the text of an item into words.
const SPLITTERS: &[&str] = &["systemd", "shell"];

/// How the values of an item are quoted in its text: by `lib.escapeShellArg`.
const QUOTES: &[&str] = &["shell"];

/// Linux refuses a longer string among arguments and environment (`MAX_ARG_STRLEN`, execve(2)).
const LONGEST: usize = 128 * 1024 - 1;

fn write(out: &mut Vec<u8>, settings: &Settings, value: &Value) -> Result<(), RenderError> {
    let Some(variable) = settings.string("variable") else {
        return Err(RenderError::here("format flags is only written with the parameter variable"));
    };
    let mut joined = String::new();
    for_each_word(settings.parameters, value, &mut |word| {
        if !joined.is_empty() {
            joined.push(' ');
        }
        joined.push_str(&quote::variable_word(word).map_err(|error| RenderError::here(error.to_string()))?);
        Ok(())
    })?;
    if variable.len() + 1 + joined.len() > LONGEST {
        let message =
            format!("the words take {} bytes, more than the {LONGEST} of an environment variable", joined.len());
        return Err(RenderError::here(message));
    }
    let quoted = quote::env_file_value(&joined).map_err(|error| RenderError::here(error.to_string()))?;
    out.extend_from_slice(variable.as_bytes());
    out.push(b'=');
    out.extend_from_slice(quoted.as_bytes());
    out.push(b'\n');
    Ok(())
}

/// The words that `value` stands for.
///
/// ```
/// # use dynix_formats::flags;
/// let value = serde_json::json!(["--daemon", { "flag": "--jobs", "value": 4 }, { "flag": "--nice", "value": null }]);
/// assert_eq!(flags::words(&serde_json::Map::new(), &value)?, ["--daemon", "--jobs", "4"]);
/// # Ok::<(), dynix_formats::RenderError>(())
/// ```
pub fn words(parameters: &Map<String, Value>, value: &Value) -> Result<Vec<String>, RenderError> {
    parameters::check(&FORMAT, parameters)?;
    let mut words = Vec::new();
    for_each_word(parameters, value, &mut |word| {
        words.push(word.to_owned());
        Ok(())
    })?;
    Ok(words)
}

type Sink<'a> = dyn FnMut(&str) -> Result<(), RenderError> + 'a;

fn for_each_word(parameters: &Map<String, Value>, value: &Value, sink: &mut Sink) -> Result<(), RenderError> {
    let Value::Array(items) = value else {
        return Err(RenderError::here(format!(
            "flags are a list of words and of {{ flag, value }}, not {}",
            kind(value)
        )));
    };
    for (index, item) in items.iter().enumerate() {
        match item {
            Value::Object(item) => Conventions::new(parameters, item)
                .and_then(|conventions| match item.get("flags") {
                    Some(Value::Object(flags)) => flags.iter().try_for_each(|(name, value)| {
                        let flag = conventions.flag(name)?;
                        conventions.write(&flag, value, sink).at(name)
                    }),
                    Some(other) => {
                        Err(RenderError::here(format!("is {}, but has to be an attribute set", kind(other))))
                    }
                    None => write_item(&conventions, item, sink),
                })
                .at_index(index)?,
            Value::String(word) => checked(word).and_then(|()| sink(word)).at_index(index)?,
            other => {
                let message = format!("is {}, but has to be a word or {{ flag, value }}", kind(other));
                return Err(RenderError::here(message)).at_index(index);
            }
        }
    }
    Ok(())
}

fn checked(word: &str) -> Result<(), RenderError> {
    if word.contains('\0') {
        return Err(RenderError::here(quote::QuoteError::Nul.to_string()));
    }
    Ok(())
}

/// The words of a text, or why it has none.
type Splitter = fn(&str) -> Result<Vec<String>, String>;

/// How flags and their values are spelled.
struct Conventions<'a> {
    separator: Option<&'a str>,
    dashes: &'a str,
    booleans: Option<(&'a str, &'a str)>,
    join: Option<&'a str>,
    split: Option<Splitter>,
    is_quoted: bool,
}

impl<'a> Conventions<'a> {
    /// The item's own parameters, and the format's for the rest.
    fn new(parameters: &'a Map<String, Value>, item: &'a Map<String, Value>) -> Result<Self, RenderError> {
        let named: &[&str] = if item.contains_key("flags") { &["flags", "dashes"] } else { &["flag", "value"] };
        for name in item.keys() {
            if !named.contains(&name.as_str())
                && !matches!(name.as_str(), "separator" | "booleans" | "join" | "split" | "quote")
            {
                let message = "is not known here; an item has flag and value or flags and dashes, and separator, \
                               booleans, join, split and quote";
                return Err(RenderError::here(message)).at(name);
            }
        }
        let own = |name: &str| match item.get(name).or_else(|| parameters.get(name)) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(RenderError::here("has to be a string or null")).at(name),
        };
        let one_of = |name: &str, choices: &'static [&str]| match own(name)? {
            Some(given) if !choices.contains(&given) => {
                Err(RenderError::here(format!("has to be {}", Kind::Choice(choices)))).at(name)
            }
            given => Ok(given),
        };
        Ok(Self {
            separator: one_of("separator", SEPARATORS)?.filter(|separator| *separator != " "),
            dashes: one_of("dashes", DASHES)?.unwrap_or("gnu"),
            booleans: one_of("booleans", BOOLEANS)?.and_then(|both| both.split_once('/')),
            join: own("join")?,
            split: one_of("split", SPLITTERS)?
                .map(|by| if by == "shell" { command_line::shell } else { command_line::systemd } as _),
            is_quoted: one_of("quote", QUOTES)?.is_some(),
        })
    }

    /// The flag of an attribute.
    fn flag(&self, name: &str) -> Result<String, RenderError> {
        if name.is_empty() {
            return Err(RenderError::here("a flag has a name, and an attribute here has none"));
        }
        checked(name).at(name)?;
        // lib/cli.nix counts with `stringLength`, which gives bytes.
        let is_short = name.len() == 1;
        let dashes = match self.dashes {
            "gnu" if is_short => "-",
            "gnu" => "--",
            dashes => dashes,
        };
        Ok(format!("{dashes}{name}"))
    }

    /// The separator between a flag and its value in one word; `None` if they are two words.
    fn between(&self, flag: &str) -> Option<&'a str> {
        match self.separator {
            Some("gnu") => Some(if flag.starts_with("--") { "=" } else { "" }),
            separator => separator,
        }
    }

    /// A value as it is in the text.
    fn quoted(&self, text: String) -> String {
        // `lib.escapeShellArg` leaves what is only of these as it is.
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b",._+:@%/-".contains(&byte);
        if !self.is_quoted || !text.is_empty() && text.bytes().all(is_plain) {
            return text;
        }
        format!("'{}'", text.replace('\'', "'\\''"))
    }

    /// The words of one flag.
    fn write(&self, flag: &str, value: &Value, sink: &mut Sink) -> Result<(), RenderError> {
        let mut sink = |word: &str| match self.split {
            None => sink(word),
            Some(split) => split(word)
                .map_err(RenderError::here)?
                .iter()
                .try_for_each(|word| checked(word).and_then(|()| sink(word))),
        };
        let mut put = |value: &Value| match (value, self.booleans) {
            (Value::Null, _) | (Value::Bool(false), None) => Ok(()),
            (Value::Bool(true), None) => sink(flag),
            (value, booleans) => match (self.quoted(text(value, booleans)?), self.between(flag)) {
                (text, Some(separator)) => sink(&format!("{flag}{separator}{text}")),
                (text, None) => sink(flag).and_then(|()| sink(&text)),
            },
        };
        match (value, self.join) {
            (Value::Array(elements), None) => {
                elements.iter().enumerate().try_for_each(|(index, element)| put(element).at_index(index))
            }
            (Value::Array(elements), Some(_)) if elements.is_empty() => Ok(()),
            (Value::Array(elements), Some(join)) => {
                let texts =
                    elements.iter().enumerate().map(|(index, element)| text(element, self.booleans).at_index(index));
                texts.collect::<Result<Vec<_>, _>>().and_then(|texts| put(&texts.join(join).into()))
            }
            (value, _) => put(value),
        }
    }
}

/// One `{ flag, value }`.
fn write_item(conventions: &Conventions<'_>, item: &Map<String, Value>, sink: &mut Sink) -> Result<(), RenderError> {
    let Some(Value::String(flag)) = item.get("flag") else {
        return Err(RenderError::here("has to be a word such as \"--jobs\"")).at("flag");
    };
    checked(flag).at("flag")?;
    let Some(value) = item.get("value") else {
        return Err(RenderError::here("is missing; null leaves the flag out, true gives it without a value"))
            .at("value");
    };
    conventions.write(flag, value, sink).at("value")
}

/// Names of attributes that a program would split elsewhere, and empty values that it would not see.
fn misread(settings: &Settings, value: &Value) -> Vec<RenderError> {
    let mut all = Vec::new();
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        let Some((item, flags)) = item.as_object().and_then(|item| Some((item, item.get("flags")?.as_object()?)))
        else {
            continue;
        };
        let Ok(conventions) = Conventions::new(settings.parameters, item) else { continue };
        for (name, value) in flags {
            let Ok(flag) = conventions.flag(name) else { continue };
            let message = if name.starts_with('-') {
                Some("the name begins with a dash, so its flag is another one's, or none")
            } else if name.contains('=') {
                Some("the name has a =, after which a program takes the rest for the value")
            } else if conventions.between(&flag) == Some("") && has_empty(value) {
                Some("an empty value right after its flag can't be told from none")
            } else {
                None
            };
            all.extend(message.and_then(|text| Err::<(), _>(RenderError::here(text)).at(name).at_index(index).err()));
        }
    }
    all
}

fn has_empty(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Array(elements) => elements.iter().any(has_empty),
        _ => false,
    }
}

/// A value as Nix's `toString` gives it; booleans as they are spelled.
fn text(value: &Value, booleans: Option<(&str, &str)>) -> Result<String, RenderError> {
    match (value, booleans) {
        (Value::String(text), _) => checked(text).map(|()| text.clone()),
        (Value::Bool(truth), Some((yes, no))) => Ok(if *truth { yes } else { no }.to_owned()),
        (Value::Number(number), _) => number::to_text(number),
        (other, _) => Err(RenderError::here(format!("is {}, but has to be a string or a number here", kind(other)))),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an attribute set",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(item: &Value) -> Result<Vec<String>, String> {
        words(&Map::new(), &json!([item])).map_err(|error| error.to_string())
    }

    #[test]
    fn text_of_a_command_line_is_split() {
        let flag = |value: Value| of(&json!({ "flag": "--a.", "separator": "", "value": value, "split": "systemd" }));
        assert_eq!(flag(json!(["b", "c --d='e f'"])).unwrap(), ["--a.b", "--a.c", "--d=e f"]);
        assert_eq!(flag(json!([])).unwrap(), [""; 0]);
        assert_eq!(
            flag(json!(["b", "%c"])).unwrap_err(),
            "\"0\".value.\"1\": systemd would expand '%'; %% is the character itself"
        );
        let address = json!({ "flag": "--listen", "value": ["::1", 80], "join": ":", "split": "systemd" });
        assert_eq!(of(&address).unwrap(), ["--listen", "::1:80"]);
        let none = json!({ "flag": "--listen", "value": "", "split": "systemd" });
        assert_eq!(of(&none).unwrap(), ["--listen"]);
        assert_eq!(
            of(&json!({ "flag": "", "separator": "", "value": "a\\ b c", "split": "shell" })).unwrap(),
            ["a b", "c"]
        );
        assert!(of(&json!({ "flag": "", "value": "a", "split": "python" })).is_err());
    }

    #[test]
    fn quoted_values_are_one_word_but_for_what_systemd_expands() {
        let flag = |value: &str| {
            of(&json!({ "flag": "--a=", "separator": "", "value": value, "split": "systemd", "quote": "shell" }))
        };
        assert_eq!(flag("b c\"d'e").unwrap(), ["--a=b c\"d'e"]);
        assert_eq!(flag("").unwrap(), ["--a="]);
        assert!(flag("50%").is_err());
        assert!(flag("\\.").is_err());
    }
}
