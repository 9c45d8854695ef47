//! The activation script of a stand-in: pure. It has the parts of a rebuild's script that differ from the running
//! system's, and the part that sets up /etc (nixpkgs, nixos/modules/system/activation/activation-script.nix).

use std::collections::BTreeSet;

/// How a part of the script begins.
const SNIPPET: &str = "#### Activation script snippet ";
/// The beginning of the text after the parts.
const END: &str = "# Make this configuration the current configuration.";
/// The part that sets up /etc.
const ETC: &str = "etc";
/// dynix's own part, which would undo the overrides in effect.
const OWN: &str = "dynix";
/// The end of a script that leaves /run/current-system as it is.
const EXIT: &str = "\nexit $_status\n";

/// A script in its parts.
#[derive(Debug, PartialEq, Eq)]
struct Script<'s> {
    head: &'s str,
    snippets: Vec<(&'s str, &'s str)>,
}

impl Script<'_> {
    fn part(&self, name: &str) -> Option<&str> {
        self.snippets.iter().find(|(other, _)| *other == name).map(|(_, part)| part.trim_end())
    }
}

/// The parts to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activation {
    /// The script.
    pub text: String,
    /// The parts that differ from those of the running system, without what sets up /etc.
    pub changed: BTreeSet<String>,
}

/// Reads a script.
fn read(text: &str) -> Option<Script<'_>> {
    let starts: Vec<usize> = text
        .match_indices(SNIPPET)
        .map(|(at, _)| at)
        .filter(|at| text[..*at].rsplit('\n').next().is_some_and(|before| before.trim().is_empty()))
        .collect();
    let end = text.find(END).unwrap_or(text.len());
    let head = &text[..*starts.first()?];
    let snippets = starts.iter().enumerate().map(|(number, start)| {
        let stop = starts.get(number + 1).copied().unwrap_or(end);
        let part = text.get(*start..stop)?;
        let name = part[SNIPPET.len()..].lines().next()?.trim_end().strip_suffix(':')?;
        Some((name, part))
    });
    Some(Script { head, snippets: snippets.collect::<Option<Vec<_>>>()? })
}

/// The places that a script speaks of.
#[derive(Clone, Copy, Debug)]
pub struct Places<'p> {
    /// The running system.
    pub system: &'p str,
    /// The stand-in that it is for.
    pub stand_in: &'p str,
    /// The directory that /etc is set up from.
    pub etc: &'p str,
}

/// The script for a stand-in. `after`: the script of a rebuild, with `@out@` for the system; `running`: the script of
/// the running system. The parts in `also` run as well, because what is in effect now has others.
pub fn stand_in(
    after: &str,
    running: &str,
    also: &BTreeSet<String>,
    places: Places<'_>,
) -> Result<Activation, &'static str> {
    let unknown = "the system's activation script has a form that is not known here";
    let after = after.replace("@out@", places.system);
    let (new, old) = (read(&after).ok_or(unknown)?, read(running).ok_or(unknown)?);
    let mut text = new.head.replace(places.system, places.stand_in);
    let mut changed = BTreeSet::new();
    let mut sets_up_etc = false;
    for (name, part) in &new.snippets {
        if *name == ETC {
            let part = with_etc(part, places.etc)
                .ok_or("its activation script sets up /etc in a way that is not known here")?;
            text.push_str(&part);
            sets_up_etc = true;
        } else if *name != OWN {
            let is_changed = old.part(name) != Some(part.trim_end());
            if is_changed {
                changed.insert((*name).to_owned());
            }
            if is_changed || also.contains(*name) {
                text.push_str(&part.replace(places.system, places.stand_in));
            }
        }
    }
    if !sets_up_etc {
        return Err("its activation script does not set up /etc");
    }
    text.push_str(EXIT);
    Ok(Activation { text, changed })
}

/// The same for what a dry activation runs, which sets up nothing.
#[must_use]
pub fn dry(after: &str, running: &str, places: Places<'_>) -> String {
    let after = after.replace("@out@", places.system);
    let (Some(new), Some(old)) = (read(&after), read(running)) else { return "#!/bin/sh\nexit 0\n".to_owned() };
    let mut text = new.head.replace(places.system, places.stand_in);
    for (name, part) in &new.snippets {
        if ![ETC, OWN].contains(name) && old.part(name) != Some(part.trim_end()) {
            text.push_str(&part.replace(places.system, places.stand_in));
        }
    }
    text.push_str(EXIT);
    text
}

/// The part that sets up /etc, from another directory than the store path that it names.
fn with_etc(part: &str, etc: &str) -> Option<String> {
    const AFTER: &str = "-etc/etc";
    let mut text = String::new();
    let mut rest = part;
    let mut found = false;
    while let Some(at) = rest.find(AFTER) {
        let stop = at + AFTER.len();
        let start = rest[..at].rfind(|ch: char| ch.is_whitespace() || matches!(ch, '"' | '\'' | '='));
        let start = start.map_or(0, |found| found + 1);
        let is_whole = !rest[stop..].starts_with(|ch: char| ch.is_alphanumeric() || matches!(ch, '-' | '.'));
        if is_whole && rest[start..at].starts_with("/nix/store/") {
            text.push_str(&rest[..start]);
            text.push_str(etc);
            found = true;
        } else {
            text.push_str(&rest[..stop]);
        }
        rest = &rest[stop..];
    }
    text.push_str(rest);
    found.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(parts: &[(&str, &str)]) -> String {
        let part = |(name, part): &(&str, &str)| {
            format!("{SNIPPET}{name}:\n_localstatus=0\n{part}\n\nif (( _localstatus > 0 )); then\n  :\nfi\n\n")
        };
        let parts: Vec<String> = parts.iter().map(part).collect();
        let end = "ln -sfn \"$(readlink -f \"$systemConfig\")\" /run/current-system\nexit $_status\n";
        format!("#!/bin/sh\nsystemConfig=@out@\n_status=0\n{}{END}\n{end}", parts.concat())
    }

    const SETUP: &str = "perl /nix/store/p-setup-etc.pl /nix/store/0123-etc/etc";
    const DYNIX: &str = ". /nix/store/g-dynix-generated/activate";
    const PLACES: Places<'static> = Places { system: "/nix/store/s", stand_in: "/run/n", etc: "/nix/store/t/etc" };

    fn running() -> String {
        script(&[("users", "perl users 1"), ("etc", SETUP), ("dynix", DYNIX), ("var", "mkdir /var")])
            .replace("@out@", "/nix/store/s")
    }

    #[test]
    fn only_what_differs_is_run_and_the_current_system_stays() {
        let new = script(&[
            ("users", "perl users 2"),
            ("etc", &SETUP.replace("0123", "4567")),
            ("dynix", DYNIX),
            ("var", "mkdir /var"),
            ("mine", "touch $systemConfig @out@/x"),
        ]);
        let made = stand_in(&new, &running(), &BTreeSet::new(), PLACES).unwrap();
        assert_eq!(made.changed.iter().collect::<Vec<_>>(), ["mine", "users"]);
        assert!(made.text.contains("systemConfig=/run/n\n") && made.text.contains("touch $systemConfig /run/n/x"));
        assert!(made.text.contains("setup-etc.pl /nix/store/t/etc\n"), "{}", made.text);
        for absent in ["dynix-generated", "mkdir /var", "/run/current-system", "-etc/etc"] {
            assert!(!made.text.contains(absent), "{absent}: {}", made.text);
        }
        let said = dry(&new, &running(), PLACES);
        assert!(said.contains("perl users 2") && !said.contains("mkdir"));
    }

    #[test]
    fn the_way_back_runs_what_was_changed() {
        let also = BTreeSet::from(["users".to_owned(), "mine".to_owned()]);
        let back = stand_in(&running(), &running(), &also, PLACES).unwrap();
        assert!(back.changed.is_empty() && back.text.contains("perl users 1"), "{}", back.text);
        assert!(!back.text.contains("mkdir") && !back.text.contains("dynix-generated"));
    }

    #[test]
    fn a_script_of_another_form_is_refused() {
        let none = BTreeSet::new();
        let of = |parts: &[(&str, &str)]| stand_in(&script(parts), &running(), &none, PLACES);
        for other in ["", "#!/bin/sh\nexit 0\n"] {
            assert!(stand_in(other, &running(), &none, PLACES).is_err(), "{other}");
        }
        assert!(of(&[("users", "x")]).is_err());
        assert!(of(&[("etc", "mount -t overlay overlay /etc")]).is_err());
        assert!(of(&[("etc", SETUP)]).is_ok());
    }
}
