//! The log's text, record by record.
//!
//! Takes the whole text or its tail and gives every record in order. Lines of our own go through [`super::line`]; what
//! stands between them was written by people, and is given to a parser of all of Nix piece by piece: each piece has to
//! be, by itself, arguments of an application, so the whole is the chain of applications that Nix reads.

use rnix::ast::{AttrSet, Expr, HasEntry, Lambda};
use rowan::ast::AstNode;

use super::line::{self, Line, LineKind};
use super::literal;
use super::record::{Kind, Record};

/// The function that the records are the arguments of, as dynix writes it.
pub const HEADER: &str = "{ overrides, config, lib, pkgs, ... }: overrides";
/// Lines that one hand-written record may have.
const LONGEST: usize = 1000;

/// A record.
#[derive(Debug)]
pub enum Entry<'t> {
    /// A line of ours.
    Line(Line<'t>),
    /// Anything else.
    Record(Record),
}

/// How the text ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ending {
    /// Where a last line starts that is no whole record; bytes.
    pub torn: Option<usize>,
    /// The id of the last record.
    pub last_id: u64,
    /// The function's head (`{ overrides, ... }`), for the evaluator.
    pub parameters: String,
}

/// The text is no log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct SyntaxError {
    /// Where, counted from 1.
    pub line: usize,
    /// What is wrong there.
    pub problem: String,
}

/// What the text is.
#[derive(Clone, Copy, Debug)]
pub enum Part {
    /// The whole file.
    Whole,
    /// What follows a record.
    After {
        /// Its id.
        id: u64,
    },
}

/// Reads every record of `text`. `each` gets it with its id and line.
pub fn read<'t>(
    text: &'t str,
    part: Part,
    mut each: impl FnMut(Entry<'t>, u64, usize) -> Result<(), SyntaxError>,
) -> Result<Ending, SyntaxError> {
    let mut reader = Reader { text, at: 0, line: 1 };
    let mut ending = Ending::default();
    let mut give = |entry: Entry<'t>, before: &mut u64, line: usize| {
        let id = match &entry {
            Entry::Line(line) => line.id.unwrap_or(*before + 1),
            Entry::Record(record) => record.id,
        };
        if id <= *before {
            let problem = format!("record {id} comes after record {before}; ids only grow");
            return Err(SyntaxError { line, problem });
        }
        *before = id;
        each(entry, id, line)
    };
    match part {
        Part::After { id } => ending.last_id = id,
        Part::Whole => {
            let (parameters, records, line) = reader.header()?;
            ending.parameters = parameters;
            for set in &records {
                let record = written(set, ending.last_id).map_err(|problem| SyntaxError { line, problem })?;
                give(Entry::Record(record), &mut ending.last_id, line)?;
            }
        }
    }
    while let Some((line, whole)) = reader.peek() {
        if is_nothing(line) && whole {
            reader.advance(line);
        } else if let Some(record) = line::read(line) {
            give(Entry::Line(record), &mut ending.last_id, reader.line)?;
            reader.advance(line);
        } else {
            let (at, number) = (reader.at, reader.line);
            match reader.written()? {
                Written::Torn => {
                    ending.torn = Some(at);
                    break;
                }
                Written::Records(sets) => {
                    for set in &sets {
                        let record =
                            written(set, ending.last_id).map_err(|problem| SyntaxError { line: number, problem })?;
                        give(Entry::Record(record), &mut ending.last_id, number)?;
                    }
                }
            }
        }
    }
    Ok(ending)
}

fn is_nothing(line: &str) -> bool {
    let line = line.trim_start();
    line.is_empty() || line.starts_with('#')
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    line: usize,
}

enum Written {
    Records(Vec<AttrSet>),
    Torn,
}

impl<'t> Reader<'t> {
    /// The next line, and whether its end is there.
    fn peek(&self) -> Option<(&'t str, bool)> {
        let rest = &self.text[self.at..];
        match memchr::memchr(b'\n', rest.as_bytes()) {
            Some(end) => Some((&rest[..end], true)),
            None => (!rest.is_empty()).then_some((rest, false)),
        }
    }

    fn advance(&mut self, line: &str) {
        self.at = (self.at + line.len() + 1).min(self.text.len());
        self.line += 1;
    }

    /// The function's head, with the records that were written by hand right after it.
    fn header(&mut self) -> Result<(String, Vec<AttrSet>, usize), SyntaxError> {
        while let Some((line, _)) = self.peek() {
            if line == HEADER {
                self.advance(line);
                return Ok(("{ overrides, config, lib, pkgs, ... }".to_owned(), Vec::new(), self.line));
            }
            if !is_nothing(line) {
                break;
            }
            self.advance(line);
        }
        let number = self.line;
        let parsed = self.piece("", |expression| {
            let Expr::Lambda(function) = expression else { return None };
            let records = spine(function.body()?)?;
            Some((parameters(&function)?, records))
        });
        let (parameters, records) = parsed.map_err(|problem| SyntaxError {
            line: number,
            problem: format!("expected `{HEADER}`, then records: {problem}"),
        })?;
        Ok((parameters, records, number))
    }

    fn written(&mut self) -> Result<Written, SyntaxError> {
        let (number, start) = (self.line, self.at);
        let last = self.text[start..].lines().count() == 1 && !self.text.ends_with('\n');
        match self.piece("overrides ", spine) {
            Ok(records) => Ok(Written::Records(records)),
            Err(_) if last => Ok(Written::Torn),
            Err(problem) => Err(SyntaxError { line: number, problem }),
        }
    }

    /// Takes as few lines as make a whole expression of the kind that `read` wants.
    fn piece<T>(&mut self, prefix: &str, read: impl Fn(Expr) -> Option<T>) -> Result<T, String> {
        let (start, mut problem) = (self.at, String::new());
        for _ in 0..LONGEST {
            let Some((line, _)) = self.peek() else { break };
            self.advance(line);
            // A record ends with its bracket: nothing can be whole before.
            if !line.trim_end().ends_with(['}', ')', '/']) && !line.contains('#') && !prefix.is_empty() {
                continue;
            }
            let parsed = rnix::Root::parse(&format!("{prefix}{}", &self.text[start..self.at]));
            match parsed.errors().first() {
                Some(error) => problem = error.to_string(),
                None => match parsed.tree().expr().and_then(&read) {
                    Some(found) => return Ok(found),
                    None => "it is no record: expected an attribute set".clone_into(&mut problem),
                },
            }
        }
        Err(if problem.is_empty() { "it is no record".to_owned() } else { problem })
    }
}

/// The arguments of `overrides`, which have to be attribute sets.
fn spine(mut expression: Expr) -> Option<Vec<AttrSet>> {
    let mut arguments = Vec::new();
    while let Expr::Apply(application) = expression {
        arguments.push(set(application.argument()?)?);
        expression = application.lambda()?;
    }
    arguments.reverse();
    match expression {
        Expr::Ident(word) if word.ident_token()?.text() == "overrides" => Some(arguments),
        _ => None,
    }
}

fn set(expression: Expr) -> Option<AttrSet> {
    match expression {
        Expr::AttrSet(set) => Some(set),
        Expr::Paren(inner) => set(inner.expr()?),
        _ => None,
    }
}

fn parameters(function: &Lambda) -> Option<String> {
    Some(function.param()?.syntax().text().to_string())
}

/// A record that was written by hand.
fn written(set: &AttrSet, before: u64) -> Result<Record, String> {
    if let Some(attributes) = literal::attributes(set) {
        return Record::from_attributes(attributes, before);
    }
    // What it says needs the evaluator; which record it is has to be plain.
    let mut record = Record {
        id: before + 1,
        time: None,
        by: None,
        until: None,
        kind: Kind::Expression(set.syntax().text().to_string()),
    };
    for binding in set.attrpath_values() {
        let names = binding.attrpath().and_then(|path| literal::names(&path)).unwrap_or_default();
        let [name] = names.as_slice() else { continue };
        let place = match name.as_str() {
            "id" => {
                let value = binding.value().and_then(|value| literal::value(&value));
                record.id = value.and_then(|id| id.as_u64()).ok_or("its id is not a number")?;
                continue;
            }
            "time" => &mut record.time,
            "by" => &mut record.by,
            "until" => &mut record.until,
            _ => continue,
        };
        let value = binding.value().and_then(|value| literal::value(&value));
        let text = value.as_ref().and_then(|value| value.as_str());
        *place = Some(text.ok_or_else(|| format!("its {name} is not a plain string"))?.to_owned());
    }
    Ok(record)
}

impl Entry<'_> {
    /// The record. `before` is the id of the one before it.
    #[must_use]
    pub fn into_record(self, before: u64) -> Record {
        match self {
            Self::Line(line) => line.into_record(before),
            Self::Record(record) => record,
        }
    }

    /// Whether it says which records hold, rather than what their values are.
    #[must_use]
    pub fn is_about_records(&self) -> bool {
        let kind = match self {
            Self::Line(Line { kind: LineKind::Other(kind), .. }) => kind,
            Self::Record(record) => &record.kind,
            Self::Line(_) => return false,
        };
        matches!(kind, Kind::Rollback(_) | Kind::Reject { .. })
    }
}

/// Whether `text` is one Nix expression on one line, as `--expr` takes it.
pub fn is_expression(text: &str) -> Result<(), String> {
    if text.contains(['\n', '\r']) {
        return Err("it has several lines; a record is one line".to_owned());
    }
    // A comment would hide the rest of the record.
    if rnix::tokenize(text).any(|(kind, _)| kind == rnix::SyntaxKind::TOKEN_COMMENT) {
        return Err("it has a comment".to_owned());
    }
    let parsed = rnix::Root::parse(text);
    match (parsed.errors().first(), parsed.tree().expr()) {
        (None, Some(_)) => Ok(()),
        (Some(error), _) => Err(error.to_string()),
        (None, None) => Err("it is empty".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::attr_path::AttrPath;

    fn records(text: &str) -> Result<(Vec<Record>, Ending), SyntaxError> {
        let mut records: Vec<Record> = Vec::new();
        let ending = read(text, Part::Whole, |entry, id, _| {
            records.push(entry.into_record(id - 1));
            Ok(())
        })?;
        Ok((records, ending))
    }

    fn set(id: u64, path: &str, value: serde_json::Value) -> Record {
        let kind = Kind::Set(vec![(AttrPath::parse(path).unwrap(), value)]);
        Record { id, time: None, by: None, until: None, kind }
    }

    #[test]
    fn lines_of_ours_and_records_written_by_hand_mix() {
        let text = "# note\n{ overrides, config, lib, pkgs, ... }: overrides\n{ id = 1; set.a = 1; }\n\n# why\n{\n  \
                    id = 4;\n  set = { b.c = ''\n    { id = 9; set.x = 1; }\n  ''; };\n}\n{ set.d = true; } # more\n{ id = \
                    7; set.e = -5; }\n";
        let (records, ending) = records(text).unwrap();
        let expected = vec![
            set(1, "a", json!(1)),
            set(4, "b.c", json!("{ id = 9; set.x = 1; }\n")),
            set(5, "d", json!(true)),
            set(7, "e", json!(-5)),
        ];
        assert_eq!(records, expected);
        assert_eq!((ending.last_id, ending.torn), (7, None));
    }

    #[test]
    fn a_header_of_ones_own_is_kept_for_the_evaluator() {
        let text = "{ overrides, lib, ... }@all:\noverrides { set.a = lib.mkDefault 1; }\n{ id = 2; set.b = 1; }\n";
        let (records, ending) = records(text).unwrap();
        assert_eq!(ending.parameters, "{ overrides, lib, ... }@all");
        assert_eq!(records[0].kind, Kind::Expression("{ set.a = lib.mkDefault 1; }".to_owned()));
        assert_eq!(records[1], set(2, "b", json!(1)));
    }

    #[test]
    fn a_torn_last_line_is_told_from_a_whole_one() {
        let whole = format!("{HEADER}\n{{ id = 1; set.a = 1; }}\n");
        let (records_read, ending) = records(&format!("{whole}{{ id = 2; set.b = \"x")).unwrap();
        assert_eq!((records_read.len(), ending.torn), (1, Some(whole.len())));
        let (records_read, ending) = records(&format!("{whole}{{ id = 2; set.b = 2; }}")).unwrap();
        assert_eq!((records_read.len(), ending.torn), (2, None));
        let (_, ending) = records(&format!("{whole}# a note")).unwrap();
        assert_eq!(ending.torn, None);
    }

    #[test]
    fn what_is_no_log_is_refused_with_its_line() {
        for (text, line) in [
            ("", 1),
            ("{ services.a = 1; }\n", 1),
            ("{ overrides, ... }: overrides // { }\n", 1),
            ("{ overrides, config, lib, pkgs, ... }: overrides\n{ id = 1; set.a = ; }\n{ id = 2; set.a = 1; }\n", 2),
            ("{ overrides, config, lib, pkgs, ... }: overrides\n{ id = 1; set.a = 1; }\n// { }\n", 3),
            ("{ overrides, config, lib, pkgs, ... }: overrides\n{ id = 2; set.a = 1; }\n{ id = 2; set.a = 1; }\n", 3),
            ("{ overrides, config, lib, pkgs, ... }: overrides\n{ id = 2; sett.a = 1; }\n", 2),
            ("{ overrides, config, lib, pkgs, ... }: overrides\n{ id = 2; set.a._type = \"if\"; }\n", 2),
        ] {
            assert_eq!(records(text).unwrap_err().line, line, "{text}");
        }
    }

    #[test]
    fn an_expression_is_one_and_nothing_else() {
        assert_eq!(is_expression("2 * 8"), Ok(()));
        for text in ["", "1; } {", "1 # x", "1 /* x */", "1\n", ")("] {
            assert!(is_expression(text).is_err(), "{text}");
        }
    }
}
