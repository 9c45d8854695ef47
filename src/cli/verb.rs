//! Parses a command line with the definition of only the verb that is called.
//!
//! clap gives every verb a copy of all global options before it reads anything: 30 pages of memory for 27 verbs. Here
//! it has one verb. A command line that does not fit (a mistake, a request for help) goes to the whole definition.

use std::ffi::OsString;

use clap::{Args, Command as Definition, FromArgMatches, Subcommand};

use crate::cli::arguments::{Cli, Command, Global};

/// Parses `words`, the program's name first; `None` if the whole definition has to parse them.
#[must_use]
pub fn read(words: &[OsString]) -> Option<Cli> {
    let verb = words.iter().skip(1).find_map(|word| definition(word.to_str()?))?;
    let dynix = Global::augment_args(Definition::new("dynix")).subcommand_required(true).subcommand(verb);
    let matches = dynix.try_get_matches_from(words).ok()?;
    Cli::from_arg_matches(&matches).ok()
}

/// A verb's definition.
fn definition(verb: &str) -> Option<Definition> {
    if verb.starts_with('-') || verb.contains('/') || !Command::has_subcommand(verb) {
        return None;
    }
    let mut all = Command::augment_subcommands(Definition::new("dynix"));
    let found = all.get_subcommands_mut().find(|one| one.get_name() == verb)?;
    Some(std::mem::replace(found, Definition::new("")))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        ["dynix"].into_iter().chain(line.split_whitespace()).map(OsString::from).collect()
    }

    #[test]
    fn one_verb_reads_what_all_verbs_read() {
        for line in [
            "append a.b 7",
            "set a 7",
            "set a.b -7 c=d --apply --message x",
            "append a.b -7 --apply --confirm 60s",
            "--root /x append --json a.b {} --root /y",
            "append --root=/x --verbose a.b 7 --color never",
            "apply",
            "apply --dry-run --json a b",
            "apply -- append",
            "get a.b --json",
            "--plan get get a",
            "metrics",
            "completions bash",
            "reset a --json",
        ] {
            let words = words(line);
            let read = read(&words).unwrap_or_else(|| panic!("{line}"));
            assert_eq!(format!("{read:?}"), format!("{:?}", Cli::try_parse_from(&words).unwrap()), "{line}");
        }
    }

    #[test]
    fn everything_else_is_left_to_the_whole_definition() {
        for line in [
            "",
            "--version",
            "--help",
            "help",
            "help append",
            "append",
            "append --help",
            "append -h",
            "apend a 7",
            "append a 7 --nonsense",
            "--nonsense append a 7",
            "--root append apply append",
            "apply --wait=x",
        ] {
            assert!(read(&words(line)).is_none(), "{line}");
        }
    }
}
