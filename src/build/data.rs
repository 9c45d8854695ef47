//! Parses texts to data, to compare two texts of one format that are not equal. The parsers share nothing with our
//! writers.
//!
//! Two texts count as equal data only if every reader of the format has to agree. So a text that can be read in more
//! than one way (an anchor, a tag, a line that continues on the next) has no data here. Details that a reader may
//! notice (white space around a separator, quotes around a word that YAML could take for a number) count as data.

use std::collections::BTreeMap;

use granit_parser::{Event, Parser, ScalarStyle, YamlVersion};
use serde_json::Value;

use super::json;

/// The content of a text.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// `json`, `hcl1`
    Json(Value),
    /// `toml`
    Toml(toml::Table),
    /// `yaml_1_1`, `yaml_1_2`
    Yaml(Yaml),
    /// `ini` and its kin
    Lines(Sections),
}

/// Parses a text of the format with the name `format`; `None` if there is no parser for it, or the text can't be
/// compared.
#[must_use]
pub fn read(format: &str, text: &[u8]) -> Option<Data> {
    let text = std::str::from_utf8(text).ok()?;
    match format {
        "json" | "hcl1" => json::read(text).ok().map(Data::Json),
        "toml" => text.parse().ok().map(Data::Toml),
        "yaml" | "yaml_1_1" | "yaml_1_2" => yaml(text).map(Data::Yaml),
        "ini" | "iniWithGlobalSection" | "systemd" | "keyValue" => sections(text).map(Data::Lines),
        _ => None,
    }
}

/// A YAML document. A document that says its version is compared only with one that says the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Yaml {
    version: Option<YamlVersion>,
    root: Node,
}

#[derive(Clone, Debug, PartialEq)]
enum Node {
    /// In quotes, or of a kind that is a string to every reader.
    Text(String),
    /// A scalar that a reader may take for something other than a string.
    Plain(String),
    Sequence(Vec<Node>),
    Mapping(BTreeMap<String, Node>),
}

fn yaml(text: &str) -> Option<Yaml> {
    let mut events = Parser::new_from_str(text).map(|event| event.ok().map(|(event, _)| event));
    let mut next = || loop {
        match events.next()?? {
            Event::Comment(..) => {}
            event => return Some(event),
        }
    };
    let (Event::StreamStart, Event::DocumentStart(_, version)) = (next()?, next()?) else { return None };
    let first = next()?;
    let root = node(first, &mut next)?;
    match (next()?, next()?) {
        (Event::DocumentEnd, Event::StreamEnd) => Some(Yaml { version, root }),
        _ => None,
    }
}

/// The node that begins with `event`. No anchors and no tags: they are zero and `None`.
fn node<'t>(event: Event<'t>, next: &mut dyn FnMut() -> Option<Event<'t>>) -> Option<Node> {
    match event {
        Event::Scalar(text, style, 0, None) => Some(scalar(text.into_owned(), style)),
        Event::SequenceStart(_, 0, None) => {
            let mut elements = Vec::new();
            loop {
                match next()? {
                    Event::SequenceEnd => return Some(Node::Sequence(elements)),
                    event => elements.push(node(event, next)?),
                }
            }
        }
        Event::MappingStart(_, 0, None) => {
            let mut entries = BTreeMap::new();
            loop {
                let name = match next()? {
                    Event::MappingEnd => return Some(Node::Mapping(entries)),
                    event => match node(event, next)? {
                        Node::Text(name) => format!("text {name}"),
                        Node::Plain(name) => format!("plain {name}"),
                        _ => return None,
                    },
                };
                let first = next()?;
                let value = node(first, next)?;
                if entries.insert(name, value).is_some() {
                    return None;
                }
            }
        }
        _ => None,
    }
}

fn scalar(text: String, style: ScalarStyle) -> Node {
    if style != ScalarStyle::Plain || is_text_to_all(&text) { Node::Text(text) } else { Node::Plain(text) }
}

/// Whether an unquoted scalar is a string in YAML 1.1 and 1.2 alike. Fewer than there are: a name or path that is none
/// of the words for null, true and false; numbers and dates begin otherwise, and so do `.inf`, `=`, `<<` and `~`
/// (yaml.org/type for 1.1; YAML 1.2.2, 10.3.2).
fn is_text_to_all(text: &str) -> bool {
    const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    let starts_as_text = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/' || first == '_');
    starts_as_text && !WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// The lines of each section by name (the empty one before the first header), and there by key, as they are written.
/// Lines with one key keep their order.
pub type Sections = BTreeMap<String, BTreeMap<String, Vec<String>>>;

/// Reads lines of `[SECTION]` and `KEY=VALUE`, with comments in lines of their own.
fn sections(text: &str) -> Option<Sections> {
    let mut sections = Sections::from([(String::new(), BTreeMap::new())]);
    let mut section = String::new();
    for line in text.split('\n') {
        if line.trim().is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        // It may belong to the line before or after.
        if line.starts_with(char::is_whitespace) || line.ends_with(['\\', '\r']) {
            return None;
        }
        if line.starts_with('[') && line.ends_with(']') {
            line.clone_into(&mut section);
            if sections.insert(section.clone(), BTreeMap::new()).is_some() {
                return None;
            }
            continue;
        }
        let (key, _) = line.split_once(['=', ':', ' '])?;
        sections.get_mut(&section)?.entry(key.to_owned()).or_default().push(line.to_owned());
    }
    Some(sections)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(format: &str, one: &str, other: &str) -> bool {
        let one = read(format, one.as_bytes());
        one.is_some() && one == read(format, other.as_bytes())
    }

    #[test]
    fn yaml_is_the_same_however_it_is_laid_out() {
        assert!(same("yaml_1_1", "a: b\nc: [1, 2]\n", "# x\n'c':\n- 1\n- 2\n\"a\": 'b'\n"));
        assert!(same("yaml_1_1", "a: long text\n", "a: long\n  text\n"));
        assert!(same("yaml_1_1", "%YAML 1.1\n---\na: 1\n", "%YAML 1.1\n---\n{a: 1}\n"));
    }

    #[test]
    fn yaml_that_a_reader_may_take_otherwise_is_not_the_same() {
        for (one, other) in [
            ("a: yes", "a: 'yes'"),
            ("a: 1", "a: '1'"),
            ("a: 1", "a: 1.0"),
            ("a: 12:30", "a: '12:30'"),
            ("a: ~", "a: '~'"),
            ("a: Null", "a: null"),
            ("1: a", "'1': a"),
            ("a: [b, c]", "a: [c, b]"),
            ("%YAML 1.1\n---\na: 010", "a: 010"),
            ("a: 2026-01-01", "a: '2026-01-01'"),
            ("a: b", "a: b\nc: d"),
        ] {
            assert!(!same("yaml_1_1", one, other), "{one} {other}");
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_says_nothing() {
        for text in ["a: &x b\nc: *x", "a: !!str 1", "a: 1\na: 2", "a: 1\n---\nb: 2", "a: [", "[a]: b", ""] {
            assert_eq!(read("yaml_1_1", text.as_bytes()), None, "{text}");
        }
        for text in ["a=b\n c", "a=b\\\nc=d", "[a]\nb=c\n[a]\nd=e", "word", "a=b\r\n"] {
            assert_eq!(read("ini", text.as_bytes()), None, "{text}");
        }
        assert_eq!(read("json", br#"{"a": 1, "a": 1}"#), None);
        assert_eq!(read("flags", b"A=b"), None);
        assert_eq!(read("toml", b"a = \xff"), None);
    }

    #[test]
    fn toml_and_json_are_the_same_as_data() {
        assert!(same("toml", "a = 'x'\nb = { c = [1, 2] }\n", "a = \"x\"\n\n[b]\nc = [\n  1,\n  2,\n]\n"));
        assert!(!same("toml", "a = 1979-05-27", "a = \"1979-05-27\""));
        assert!(!same("toml", "a = 1", "a = 1.0"));
        assert!(same("json", r#"{"a":[1,2]}"#, "{ \"a\": [1, 2] }\n"));
        assert!(!same("json", r#"{"a":1}"#, r#"{"a":1.0}"#));
    }

    #[test]
    fn lines_are_the_same_in_another_order_of_keys_only() {
        assert!(same("ini", "[a]\nb=c\nd=e\n\n[f]\n", "# x\n[f]\n[a]\nd=e\nb=c\n"));
        assert!(same("keyValue", "a=b\nc=d\n", "c=d\na=b\n"));
        for (one, other) in [("a=b\na=c", "a=c\na=b"), ("a=b", "a = b"), ("[x]\na=b", "[y]\na=b"), ("a=b", "a=b\na=b")]
        {
            assert!(!same("ini", one, other), "{one} {other}");
        }
    }
}
