//! `dynix options`: prints each setting of a service with its type, its values, and what its module says of it.

use std::fmt::Write as _;

use serde_json::Value;

use super::print_list;
use super::screen::{Paint, Screen};
use crate::cli::arguments::{Options, Output};
use crate::exit::Exit;
use crate::host::messages;
use crate::plan::documentation::Documented;
use crate::system::session::Session;
use crate::system::settings::{Setting, Settings};
use crate::types::brief;

/// Prints them.
pub fn run(arguments: &Options, output: Output, screen: Screen, session: &Session) -> anyhow::Result<Exit> {
    let pattern = arguments.pattern.as_deref().unwrap_or_default();
    let found = session.open()?.settings(&arguments.service, pattern)?;
    if arguments.json {
        return print_list(output, "settings", &found.settings);
    }
    if found.settings.is_empty() {
        messages::info(format!(
            "no setting of {} has {pattern:?} in its name, type, values or description",
            arguments.service
        ));
    }
    screen.show(&for_people(&found, pattern.is_empty(), screen.paint()))
}

/// `whole`: no pattern chose among them.
fn for_people(found: &Settings, whole: bool, paint: Paint) -> String {
    let mut text = String::new();
    let mut told: Option<&str> = None;
    for setting in &found.settings {
        let option = found.options.iter().find(|(name, _)| setting.is_below(name));
        if let Some((name, said)) = option.filter(|(name, _)| whole && told != Some(name)) {
            told = Some(name);
            // Writing to a String can't fail.
            let _ = writeln!(text, "{}", paint.name(name));
            about(&mut text, said);
            declared(&mut text, &said.declared_in);
        }
        one(&mut text, setting, whole, paint);
    }
    text
}

fn one(text: &mut String, setting: &Setting, whole: bool, paint: Paint) {
    let _ = writeln!(text, "{}: {}", paint.name(&messages::visible(&setting.path)), messages::visible(&setting.r#type));
    about(text, &Documented { description: setting.description.clone(), ..Documented::default() });
    let shown = |value: &Option<Value>| value.as_ref().map_or_else(|| "not set".to_owned(), brief);
    let _ = writeln!(text, "  built {}", shown(&setting.r#static));
    if setting.effective != setting.r#static {
        let _ = writeln!(text, "  recorded {}", shown(&setting.effective));
    }
    match (&setting.default_text, &setting.default) {
        (Some(default), _) => said(text, "default", default),
        (None, Some(_)) => said(text, "default", &shown(&setting.default)),
        (None, None) => {}
    }
    if let Some(example) = &setting.example {
        said(text, "example", example);
    }
    if !setting.dynamic {
        text.push_str("  may not change at run time\n");
    }
    // What is the same for all of them stands above them.
    if setting.description.is_some() || !whole {
        declared(text, &setting.declared_in);
    }
}

/// What is said of an option: its description, and what else is not said of its settings.
fn about(text: &mut String, said: &Documented) {
    let description = said.description.as_deref().map(plain).unwrap_or_default();
    for line in messages::visible(&description).trim().lines() {
        let _ = writeln!(text, "{}", format!("  {line}").trim_end());
    }
}

fn declared(text: &mut String, files: &[String]) {
    if !files.is_empty() {
        let _ = writeln!(text, "  declared in {}", messages::visible(&files.join(", ")));
    }
}

/// A text of maybe several lines.
fn said(text: &mut String, what: &str, value: &str) {
    let value = messages::visible(value.trim_end()).replace('\n', "\n    ");
    let _ = writeln!(text, "  {what} {value}");
}

/// NixOS's Markdown without what only its manual needs: the roles in front of names (`` {option}`a.b` ``).
fn plain(markdown: &str) -> String {
    let mut parts = markdown.split('`');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for (part, begins_code) in parts.zip([true, false].into_iter().cycle()) {
        let is_role = |role: &str| !role.is_empty() && role.bytes().all(|byte| byte.is_ascii_lowercase());
        if begins_code
            && let Some((before, role)) = text.strip_suffix('}').and_then(|rest| rest.rsplit_once('{'))
            && is_role(role)
        {
            text.truncate(before.len());
        }
        text.push('`');
        text.push_str(part);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_the_manual_needs_is_left_out() {
        for (markdown, text) in [
            ("See {option}`a.b` and {file}`/etc/x`.", "See `a.b` and `/etc/x`."),
            ("{manpage}`dynix(1)`", "`dynix(1)`"),
            ("a set `{a}` `{ b }`", "a set `{a}` `{ b }`"),
            ("no code", "no code"),
            ("```\n{x}\n```", "```\n{x}\n```"),
        ] {
            assert_eq!(plain(markdown), text);
        }
    }
}
