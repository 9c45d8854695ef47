//! `dynix man`: the manual pages, from the same definitions as `--help`.
//!
//! The sections are those that man-pages(7) has, in its order.

use std::io;

use clap::CommandFactory;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::cli::arguments::Cli;
use crate::exit::Exit;

/// Files, each with what it is.
const FILES: [(&str, &str); 5] = [
    ("/etc/nixos/dynamic.nix", "the recorded overrides; append-only. /var/lib/dynix/dynamic.nix where that can't be"),
    ("/etc/dynix/plan.json", "the plan that nixos-rebuild compiled from the modules"),
    ("/run/dynix", "rendered generations and the state of what is in effect"),
    ("/var/lib/dynix", "the values that are known to work, for the next boot"),
    ("/var/cache/dynix", "caches of the log, of expressions and of proofs; may be removed at any time"),
];

/// Variables, each with what it says.
const ENVIRONMENT: [(&str, &str); 9] = [
    (
        "DYNIX_ROOT, DYNIX_PLAN, DYNIX_OVERRIDES, DYNIX_SOCKET",
        "the values of the options of these names. Under sudo(8) and the like they are an error",
    ),
    (
        "DYNIX_PAGER, SYSTEMD_PAGER, PAGER",
        "the pager for long output on a terminal; the first that is set. An empty one, or cat, means none. Default: less(1)",
    ),
    (
        "SYSTEMD_PAGERSECURE",
        "1: only less is used, and it runs and opens nothing. 0: any pager is. Where it is not set, it is as 1 where dynix \
         has rights that the user of the session has not: under sudo(8), for example",
    ),
    ("LESS", "the options of less(1). Default: FRX"),
    ("VISUAL, EDITOR", "the editor that dynix-edit(1) opens; the first that is set"),
    ("NO_COLOR", "if it is set, there are no colours (--color always has them all the same)"),
    ("TERM", "with dumb there are no colours, no pager and no sign of what is waited for"),
    ("SUDO_USER", "who called dynix as root: the user that records name"),
    ("JOURNAL_STREAM", "set by systemd: messages begin with their priority"),
];

/// Verbs that belong together, for SEE ALSO.
const FAMILIES: [&[&str]; 6] = [
    &["set", "append", "import", "edit", "unset", "apply", "confirm"],
    &["undo", "redo", "reject", "rollback", "reset", "unset", "log"],
    &["get", "status", "log", "history", "diff", "options", "services"],
    &["export", "prune", "status", "verify", "prove"],
    &["render", "recognise", "generate"],
    &["daemon", "metrics"],
];

/// The verb whose page comes with the program that does it.
const ELSEWHERE: &str = "fleet";

/// Every page: file name and content.
pub fn pages() -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut command = Cli::command();
    // Gives every subcommand its full name and the global options.
    command.build();
    let names: Vec<String> = command
        .get_subcommands()
        .filter(|one| !one.is_hide_set() && one.get_name() != "help")
        .map(|one| one.get_name().to_owned())
        .collect();
    let mut pages = vec![("dynix.1".to_owned(), page(&command, "dynix", &names)?)];
    let is_own = |name: &str| name != ELSEWHERE && names.iter().any(|one| one == name);
    for subcommand in command.get_subcommands().filter(|one| is_own(one.get_name())) {
        let name = format!("dynix-{}", subcommand.get_name());
        let related = related(subcommand.get_name(), &names);
        pages.push((format!("{name}.1"), page(subcommand, &name, &related)?));
    }
    Ok(pages)
}

/// The verbs of the same families.
fn related(verb: &str, names: &[String]) -> Vec<String> {
    let mut found: Vec<String> = FAMILIES
        .iter()
        .filter(|family| family.contains(&verb))
        .flat_map(|family| family.iter())
        .filter(|one| **one != verb && names.iter().any(|name| name == *one))
        .map(|one| (*one).to_owned())
        .collect();
    found.sort();
    found.dedup();
    found
}

fn page(command: &clap::Command, name: &str, related: &[String]) -> io::Result<Vec<u8>> {
    let is_main = name == "dynix";
    let (notes, examples) = extra(command);
    // The sections below have what stands after the help.
    let plain = command.clone().name(name.to_owned()).after_help("").after_long_help("");
    let page = Man::new(plain).title(name.to_uppercase()).manual("dynix");
    let mut text = Vec::new();
    page.render_title(&mut text)?;
    page.render_name_section(&mut text)?;
    let usage = command.clone().render_usage().to_string();
    let mut rest = Roff::new();
    rest.control("SH", ["SYNOPSIS"]);
    for line in usage.lines().map(|line| line.trim_start_matches("Usage:").trim()).filter(|line| !line.is_empty()) {
        rest.control("PP", []).text([roman(line)]);
    }
    rest.to_writer(&mut text)?;
    page.render_description_section(&mut text)?;
    let mut rest = Roff::new();
    for paragraph in notes.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty()) {
        rest.control("PP", []).text([roman(paragraph.split_whitespace().collect::<Vec<_>>().join(" "))]);
    }
    rest.to_writer(&mut text)?;
    if is_main {
        page.render_subcommands_section(&mut text)?;
    }
    page.render_options_section(&mut text)?;
    let mut rest = Roff::new();
    rest.control("SH", ["EXIT STATUS"]);
    for (exit, meaning) in Exit::MEANINGS {
        rest.control("TP", []).text([bold((exit as u8).to_string())]).text([roman(meaning)]);
    }
    rest.control("SH", ["ENVIRONMENT"]);
    for (names, meaning) in ENVIRONMENT {
        rest.control("TP", []).text([bold(names)]).text([roman(meaning)]);
    }
    rest.control("SH", ["FILES"]);
    for (path, meaning) in FILES {
        rest.control("TP", []).text([bold(path)]).text([roman(meaning)]);
    }
    if !examples.is_empty() {
        rest.control("SH", ["EXAMPLES"]).control("nf", []);
        for line in examples.lines() {
            rest.text([roman(line)]);
        }
        rest.control("fi", []);
    }
    rest.control("SH", ["SEE ALSO"]);
    let first = if is_main { Vec::new() } else { vec!["dynix(1)".to_owned()] };
    let others = related.iter().map(|one| format!("dynix-{one}(1)"));
    let further = is_main.then(|| "nixos-rebuild(8), systemctl(1), varlinkctl(1)".to_owned());
    rest.text([roman(first.into_iter().chain(others).chain(further).collect::<Vec<_>>().join(", "))]);
    rest.to_writer(&mut text)?;
    if is_main {
        page.render_version_section(&mut text)?;
    }
    Ok(text)
}

/// What stands after the help of a verb: notes, and the examples. The exit codes have a section of their own.
fn extra(command: &clap::Command) -> (String, String) {
    let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let (mut notes, mut examples, mut is_example) = (String::new(), String::new(), false);
    for part in text.split("\n\n") {
        match part.split_once('\n') {
            Some(("Examples:" | "Example:", rest)) => {
                examples.push_str(rest);
                examples.push('\n');
                is_example = true;
            }
            Some(("Exit codes:", _)) => {}
            _ if is_example && part.starts_with("  ") => {
                examples.push('\n');
                examples.push_str(part);
                examples.push('\n');
            }
            _ => {
                notes.push_str(part);
                notes.push_str("\n\n");
            }
        }
    }
    (notes, examples)
}

/// Writes the pages.
pub fn run(arguments: &crate::cli::arguments::Man) -> anyhow::Result<Exit> {
    use anyhow::Context as _;
    let pages = pages().context("cannot write the man pages")?;
    let Some(directory) = &arguments.directory else {
        let (_, main) = &pages[0];
        return super::print(main);
    };
    for (name, text) in &pages {
        crate::host::fs::atomic::write(
            &directory.join(name),
            text,
            0o644,
            crate::host::fs::atomic::Durability::Volatile,
        )?;
    }
    Ok(Exit::Done)
}
