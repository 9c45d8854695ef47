//! Checks the template of a drop-in: it has to give a unit file, and no value may give one of another structure.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::attr_path::AttrPath;
use crate::host::systemd::quote;
use crate::host::templates;
use crate::plan::Service;

/// The problems of a template. `values` has the static values of the service's options.
pub fn check(template: &str, service: &Service, values: &BTreeMap<String, Value>) -> Vec<String> {
    let mut problems = Vec::new();
    problems.extend(interpolated_names(template));
    problems.extend(unknown_options(template, service));
    match templates::drop_in(template, values) {
        Err(error) => problems.push(format!("the template fails on the static values: {error}")),
        Ok(text) => problems.extend(no_unit_file(&text)),
    }
    problems
}

/// Whether a template's text can follow the option `name`.
pub fn speaks_of(template: &str, name: &str) -> bool {
    let Ok(option) = AttrPath::parse(name) else { return false };
    mentioned(template).iter().any(|one| one.starts_with(&option) || option.starts_with(one))
}

/// The units whose drop-ins can follow what is at `path`.
pub fn followers<'s>(path: &'s AttrPath, service: &'s Service) -> impl Iterator<Item = &'s str> {
    let follows = |template: &str| mentioned(template).iter().any(|one| one.starts_with(path) || path.starts_with(one));
    service.drop_ins.iter().filter(move |(_, template)| follows(template)).map(|(unit, _)| unit.as_str())
}

/// The paths that a template reads.
fn mentioned(template: &str) -> Vec<AttrPath> {
    let names = templates::names(template).unwrap_or_default();
    names.iter().map(|name| AttrPath(name.split('.').map(str::to_owned).collect())).collect()
}

/// Options that the service does not have, also in a branch that the static values do not take.
fn unknown_options(template: &str, service: &Service) -> Vec<String> {
    let options: Vec<AttrPath> = service.options.keys().filter_map(|name| AttrPath::parse(name).ok()).collect();
    let is_known = |path: &AttrPath| {
        let at_top = options.iter().any(|option| option.0.first() == path.0.first());
        // Functions of minijinja are at the top as well.
        !at_top || options.iter().any(|option| option.starts_with(path) || path.starts_with(option))
    };
    let mut unknown: Vec<AttrPath> = mentioned(template).into_iter().filter(|path| !is_known(path)).collect();
    unknown.sort();
    unknown.iter().map(|path| format!("the template speaks of {path}, which is no option of the service")).collect()
}

/// An interpolation in the place of a line's name or section: a value would choose the directive. An interpolation
/// after `NAME=` can't leave its line, whatever it is.
fn interpolated_names(template: &str) -> Option<String> {
    let text = without_tags(template);
    let line = text.lines().position(|line| line.find("{{").is_some_and(|at| !line[..at].contains('=')))?;
    Some(format!("line {} of the template has a value where a name stands; a value can only follow NAME=", line + 1))
}

/// The template without its `{% %}` and `{# #}`, all of which write nothing; line breaks within them are kept.
fn without_tags(template: &str) -> String {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(start) = ["{%", "{#"].iter().filter_map(|tag| rest.find(tag)).min() {
        let (before, tag) = rest.split_at(start);
        text.push_str(before);
        let close = if tag.starts_with("{%") { "%}" } else { "#}" };
        let end = tag.find(close).map_or(tag.len(), |end| end + close.len());
        text.extend(tag[..end].chars().filter(|&ch| ch == '\n'));
        rest = &tag[end..];
    }
    text.push_str(rest);
    text
}

/// Why systemd would not take `text` for a unit file (systemd.syntax(7)).
fn no_unit_file(text: &str) -> Option<String> {
    let mut has_section = false;
    let mut continues = false;
    for (index, line) in text.lines().enumerate() {
        let is_continued = std::mem::replace(&mut continues, quote::continues_line(line));
        let line = line.trim();
        if is_continued || line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        let is_section = line.starts_with('[') && line.ends_with(']');
        let is_assignment = line.split_once('=').is_some_and(|(name, _)| {
            !name.is_empty() && name.trim_end().bytes().all(|byte| byte.is_ascii_alphanumeric())
        });
        let problem = match (is_section, is_assignment) {
            (true, _) => {
                has_section = true;
                continue;
            }
            (false, true) if has_section => continue,
            (false, true) => "stands before any section, as in [Service]",
            (false, false) => "is neither [SECTION] nor NAME=VALUE",
        };
        return Some(format!("what the template gives is no unit file: line {}, {line:?}, {problem}", index + 1));
    }
    continues.then(|| "what the template gives is no unit file: its last line ends in a backslash".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_can_only_follow_a_name() {
        for bad in [
            "{{ a }}",
            "[Service]\n  {{ a }}=b",
            "A{{ b }}=c",
            "[{{ a }}]",
            "A=b\n{%- if a %}\n{{ a }}{% endif %}",
            "{# = #}{{ a }}",
            "{% set b = 1 %}{{ a }}",
        ] {
            assert!(interpolated_names(bad).is_some(), "{bad}");
        }
        for good in [
            "A={{ a }}",
            "A=x {{ a }} {{ b }}\nB=1",
            "{% if a %}A={{ a }}{% endif %}",
            "{% for a in b -%}\nA={{ a }}\n{% endfor %}",
        ] {
            assert_eq!(interpolated_names(good), None, "{good}");
        }
        assert!(interpolated_names("A=1\n{#\n#}\n{{ a }}").unwrap().starts_with("line 4 "));
    }

    #[test]
    fn a_unit_file_has_sections_with_assignments() {
        for good in ["", "# x\n; y\n\n[Service]\nA=\nAb = c\n", "[A]\nB=c \\\n # not a comment \\\n d\n"] {
            assert_eq!(no_unit_file(good), None, "{good}");
        }
        for bad in ["A=b", "[A\nB=c", "[A]\nB", "[A]\n=b", "[A]\nB c=d", "[A]\nB=c\\"] {
            assert!(no_unit_file(bad).is_some(), "{bad}");
        }
    }
}
