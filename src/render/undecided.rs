//! Finds whether a file depends on conventions that the built values did not show.
//!
//! A module's conventions (how it spells a boolean, joins a list, leaves out a null) are functions in Nix. The build
//! finds them by their effect on the built values; conventions that these do not show are `undecided` in the plan. This
//! module writes the file in every way that gives the built text. If all give the same text, nothing depends on the
//! convention; otherwise nobody knows what a rebuild would write. Pure. A file without undecided conventions costs
//! nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::format::conventions::{self, ANY_TEXT};
use crate::format::{self, Parameter};
use crate::nix;
use crate::plan::{Drop, File, FormatSpec, ValueSpec, Within};

/// More ways than this are not all tried: then those that differ in one thing, and in two.
const MOST: usize = 400;
/// Ways that a message shows.
const SHOWN: usize = 5;
/// Most characters of a line that a message shows.
const WIDTH: usize = 60;
/// The name of the convention for what is left out.
pub const PRUNE: &str = "prune";

/// A file of a service, and the values that it is written for.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'s> {
    /// The service's name.
    pub service: &'s str,
    /// The file's name.
    pub name: &'s str,
    /// The file.
    pub file: &'s File,
    /// The built values of all options.
    pub built: &'s BTreeMap<String, Value>,
    /// The present values.
    pub values: &'s BTreeMap<String, Value>,
    /// Whether what is written may be shown.
    pub is_secret: bool,
}

/// One way to write the file.
#[derive(Clone, Debug)]
struct Way {
    format: FormatSpec,
    value: ValueSpec,
    /// The parameters that differ from the plan's.
    set: Vec<(&'static str, Value)>,
}

/// Text, or why there is none.
type Text = Result<Vec<u8>, String>;

/// Checks whether an undecided convention changes the text. Gives notes about differences that hardly ever matter. An
/// error says what can't be known, and how to decide it.
pub fn check(subject: Subject<'_>) -> Result<Vec<String>, String> {
    let undecided = subject.file.proof.as_ref().map_or(&[][..], |proof| &proof.undecided);
    if undecided.is_empty() {
        return Ok(Vec::new());
    }
    let file = subject.file;
    let (old, new) = (file.value.evaluate(subject.built), file.value.evaluate(subject.values));
    if old.is_err() || old == new {
        return Ok(Vec::new());
    }
    let present = Way { format: file.format.clone(), value: file.value.clone(), set: Vec::new() };
    let Ok(built) = present.text(subject.built) else { return Ok(Vec::new()) };
    let text = &present.text(subject.values);
    let differs = |way: &Way| {
        let other = way.text(subject.values);
        let same = match (&other, text) {
            (Ok(one), Ok(other)) => one == other,
            (Err(_), Err(_)) => true,
            _ => false,
        };
        // A way is possible only if it gives the built text.
        (!same && way.text(subject.built).is_ok_and(|text| text == built)).then_some(other)
    };
    let mut notes = Vec::new();
    let mut problems = Vec::new();
    let mut without_difference = Vec::new();
    for names in by_topic(undecided) {
        let ways: Vec<Way> = names.iter().flat_map(|name| ways(&present, undecided, name)).collect();
        let found: Vec<(&Way, Text)> = ways.iter().filter_map(|way| Some((way, differs(way)?))).collect();
        if found.is_empty() {
            without_difference.extend(names.iter().map(|name| (*name, ways.len())));
            continue;
        }
        let (harmless, others): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|(way, _)| text.is_ok() && is_harmless(way, subject));
        let explain = |found: &[(&Way, Text)]| {
            Explanation { subject, names: &names, ways: &ways, text, built: &built, found }.to_string()
        };
        if others.is_empty() {
            notes.push(explain(&harmless));
        } else {
            problems.push(explain(&others));
        }
    }
    if problems.is_empty() {
        let several = combinations(&present, &without_difference, undecided);
        if let Some((way, other)) = several.iter().find_map(|way| Some((way, differs(way)?))) {
            let names: Vec<&str> = way.set.iter().map(|(name, _)| *name).collect();
            let found = [(way, other)];
            let explanation = Explanation { subject, names: &names, ways: &[], text, built: &built, found: &found };
            problems.push(explanation.to_string());
        }
    }
    if problems.is_empty() { Ok(notes) } else { Err(problems.join("; ")) }
}

impl Way {
    fn text(&self, values: &BTreeMap<String, Value>) -> Text {
        let value = self.value.evaluate(values).map_err(|error| error.to_string())?;
        format::render(&self.format, &value).map_err(|error| error.to_string())
    }

    fn with(&self, parameter: &'static Parameter, value: &Value, undecided: &[String]) -> Vec<Self> {
        let is_free = |name: &str| undecided.iter().any(|one| one == name);
        let formats = conventions::assign(&self.format, parameter.name, value, is_free).into_iter();
        let with = |format: FormatSpec| {
            let mut set = self.set.clone();
            set.push((parameter.name, value.clone()));
            Self { format, set, ..self.clone() }
        };
        formats.map(with).collect()
    }

    /// How a message names it.
    fn label(&self) -> String {
        let parameter = |(name, value): &(&str, Value)| match value {
            Value::String(text) if text == ANY_TEXT => format!("{name} = \"…\""),
            Value::String(text) => format!("{name} = {}", nix::quoted(text)),
            Value::Array(drop) if drop.is_empty() => "nothing left out".to_owned(),
            Value::Array(drop) => {
                let drop: Vec<String> = drop.iter().map(|one| one.to_string().replace('"', "")).collect();
                format!("without {}", drop.join(", "))
            }
            value => format!("{name} = {value}"),
        };
        self.set.iter().map(parameter).collect::<Vec<_>>().join(" and ")
    }
}

/// The ways that differ in what is undecided by this name.
fn ways(present: &Way, undecided: &[String], name: &str) -> Vec<Way> {
    if name == PRUNE {
        let from = if let ValueSpec::Prune { from, .. } = &present.value { from.as_ref() } else { &present.value };
        let whole = Way { value: from.clone(), set: vec![(PRUNE, Value::Array(Vec::new()))], ..present.clone() };
        let pruned = from.pruned().map(|value| {
            let drop = if let ValueSpec::Prune { drop, .. } = &value { serde_json::json!(drop) } else { Value::Null };
            Way { value, set: vec![(PRUNE, drop)], ..present.clone() }
        });
        return std::iter::once(whole).chain(pruned).collect();
    }
    let parameters = format::find(&present.format.name).map_or(&[][..], |format| format.parameters);
    let Some(parameter) = parameters.iter().find(|parameter| parameter.name == name) else { return Vec::new() };
    conventions::candidates(parameter.kind).iter().flat_map(|value| present.with(parameter, value, undecided)).collect()
}

/// The ways that differ in several things at once: all of them, or only those that differ in two if there are too many.
/// `dimensions` are the names of the undecided conventions, and how many ways each has by itself.
fn combinations(present: &Way, dimensions: &[(&str, usize)], undecided: &[String]) -> Vec<Way> {
    let all: usize = dimensions.iter().map(|(_, ways)| ways + 1).fold(1, usize::saturating_mul);
    let depth = if all <= MOST { dimensions.len() } else { 2 };
    let mut reached = vec![present.clone()];
    let mut found = Vec::new();
    for (name, _) in dimensions {
        let open = reached.iter().filter(|way| way.set.len() < depth);
        let further: Vec<Way> = open
            .flat_map(|way| {
                ways(way, undecided, name)
                    .into_iter()
                    .map(move |next| Way { set: way.set.iter().chain(next.set.last()).cloned().collect(), ..next })
            })
            .collect();
        found.extend(further.iter().filter(|way| way.set.len() > 1).cloned());
        reached.extend(further);
    }
    found
}

/// Whether the difference is one that hardly ever matters: the same number, quotes that only shell scripts need, and
/// whether something empty is there.
fn is_harmless(way: &Way, subject: Subject<'_>) -> bool {
    let value = subject.file.value.evaluate(subject.values);
    way.set.iter().all(|(name, to)| match *name {
        "floats" => {
            value.as_ref().is_ok_and(|value| all_floats(value, |float| format!("{float:.6}").parse() == Ok(float)))
        }
        // Without a plain string in the built text, more quoting than the shell's would be possible.
        "strings" => to == "shell" && subject.file.format.parameters.get("strings").is_none_or(|is| is == "plain"),
        PRUNE => {
            let without_nulls = |spec: &ValueSpec| {
                let value = spec.evaluate(subject.values).ok()?;
                Some(ValueSpec::prune(&value, &[Drop::Null], Within::All))
            };
            // Without its nulls, it would still be another.
            without_nulls(&way.value) != without_nulls(&subject.file.value)
        }
        _ => false,
    })
}

fn all_floats(value: &Value, holds: fn(f64) -> bool) -> bool {
    match value {
        Value::Number(number) if number.is_f64() => number.as_f64().is_some_and(holds),
        Value::Array(items) => items.iter().all(|item| all_floats(item, holds)),
        Value::Object(attributes) => attributes.values().all(|one| all_floats(one, holds)),
        _ => true,
    }
}

/// The names, those that are about the same together.
fn by_topic(undecided: &[String]) -> Vec<Vec<&str>> {
    let mut topics: Vec<Vec<&str>> = Vec::new();
    for name in undecided {
        match topics.iter_mut().find(|names| topic(names[0]) == topic(name)) {
            Some(names) => names.push(name),
            None => topics.push(vec![name]),
        }
    }
    topics
}

/// What is not known, what each way would write, and where to decide it.
struct Explanation<'e> {
    subject: Subject<'e>,
    names: &'e [&'e str],
    ways: &'e [Way],
    text: &'e Text,
    built: &'e Vec<u8>,
    found: &'e [(&'e Way, Text)],
}

impl std::fmt::Display for Explanation<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<String> = self.names.iter().map(|name| format!("`{name}`")).collect();
        let names = names.join(" and ");
        write!(f, "undecided: the built values do not show {} ({names})", topic(self.names[0]))?;
        if !self.subject.is_secret {
            let readings = self.readings();
            write!(f, "; it would be {}", readings.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", "))?;
            if readings.len() > SHOWN {
                write!(f, ", or one of {} more", readings.len() - SHOWN)?;
            }
        }
        write!(f, "; look up what the module of {} writes, and say it in {}", self.subject.service, self.place())
    }
}

impl Explanation<'_> {
    /// The text of each way, once.
    fn readings(&self) -> Vec<String> {
        let mut readings: Vec<String> = Vec::new();
        let built = Ok(self.built.clone());
        let (others, present) = match self.text {
            Ok(_) => {
                let is_present = |way: &&Way| way.text(self.subject.values) == *self.text;
                let label = self.ways.iter().find(is_present).map_or_else(|| "as it is".to_owned(), Way::label);
                readings.push(format!("{} ({label})", shown(self.text, &self.found[0].1)));
                (self.text, true)
            }
            Err(_) => (&built, false),
        };
        for (way, other) in self.found {
            let line = shown(other, others);
            let is_new = |one: &String| !one.starts_with(&format!("{line} ("));
            if readings.iter().skip(usize::from(present)).all(is_new) {
                readings.push(format!("{line} ({})", way.label()));
            }
        }
        readings
    }

    /// The place in which to decide it.
    fn place(&self) -> String {
        let quoted = |name: &str| if nix::is_plain_name(name) { name.to_owned() } else { nix::quoted(name) };
        let service = quoted(self.subject.service);
        let names = self.names.join(" or .");
        match (self.names, self.subject.file.found.is_some()) {
            ([PRUNE], _) => format!(
                "dynamicism.for.{service}.value = {{ prune = {{ from = ...; drop = [ \"null\" ]; within = \"sets\"; }}; }}, \
                 with drop = [ ] where nothing is left out (`find.value` in the description)"
            ),
            (_, true) => format!("dynamicism.for.{service}.parameters.{names} (`find.parameters` in the description)"),
            (_, false) => format!(
                "dynamicism.for.{service}.files.{}.format.parameters.{names} (`format.parameters` in the description)",
                quoted(self.subject.name)
            ),
        }
    }
}

/// The topic of a parameter.
fn topic(name: &str) -> &'static str {
    match name {
        "listsAsDuplicateKeys" | "listToValue" | "join" => "how a list is written",
        "separator" => "what stands between a name and its value",
        "escapeKeys" => "whether a key has the separator escaped",
        "booleans" => "how true and false are written",
        "nulls" => "how null is written",
        "strings" => "how a string is quoted",
        "floats" => "how a number with a fraction is written",
        "sectionNames" => "whether brackets in a section's name are escaped",
        "dashes" => "what stands before a flag's name",
        "unquotedTags" => "whether a string that begins with ! is made a tag",
        PRUNE => "whether what is null or empty is left out",
        _ => "how it is written",
    }
}

/// The first line that one text has and the other has not.
fn shown(text: &Text, other: &Text) -> String {
    let text = match text {
        Ok(text) => String::from_utf8_lossy(text),
        Err(problem) => return format!("an error: {problem}"),
    };
    let other = other.as_ref().map(|other| String::from_utf8_lossy(other)).unwrap_or_default();
    // The comma before the next element is not part of the line.
    let bare = |line: &'_ str| line.trim_end_matches(',').to_owned();
    let theirs: BTreeSet<String> = other.lines().map(bare).collect();
    let Some(line) = text.lines().map(bare).find(|line| !theirs.contains(line)) else { return "no line".to_owned() };
    // Only the part around the difference, if the text is long.
    let shared = |their: &&String| their.chars().zip(line.chars()).take_while(|(one, other)| one == other).count();
    let common = theirs.iter().max_by_key(shared).map_or(0, |nearest| shared(&nearest));
    let line = line.trim_start().replace(ANY_TEXT, "…");
    let length = line.chars().count();
    let from = if length > WIDTH { common.saturating_sub(WIDTH / 3) } else { 0 };
    let part: String = line.chars().skip(from).take(WIDTH).collect();
    format!("`{}{part}{}`", if from > 0 { "…" } else { "" }, if length > from + WIDTH { "…" } else { "" })
}
