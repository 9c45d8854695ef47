//! The files of a host and what they say. Pure.

use dynix::system::import::{Written, read};
use serde_json::{Map, Value};

/// Most bytes of one: the log takes no larger record (docs/log.md).
pub(super) const LARGEST: u64 = 1 << 20;
/// The languages, by the ends of names.
const LANGUAGES: [(&str, Written); 3] = [("nix", Written::Nix), ("toml", Written::Toml), ("json", Written::Json)];

/// A place where a file of a host can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The directory below that of the source, or none.
    pub directory: Option<&'static str>,
    /// The name without its end.
    pub stem: String,
}

impl Place {
    /// The names that the file can have.
    pub fn names(&self) -> impl Iterator<Item = String> + '_ {
        LANGUAGES.iter().map(|(end, _)| format!("{}.{end}", self.stem))
    }

    /// As people say it.
    pub fn shown(&self, name: &str) -> String {
        self.directory.map_or_else(|| name.to_owned(), |directory| format!("{directory}/{name}"))
    }
}

/// The places of a host, later ones win.
pub(super) fn places(host: &str, groups: &[String]) -> Vec<Place> {
    let all = Place { directory: None, stem: "all".to_owned() };
    let groups = groups.iter().map(|group| Place { directory: Some("groups"), stem: group.clone() });
    let host = Place { directory: Some("hosts"), stem: host.to_owned() };
    std::iter::once(all).chain(groups).chain([host]).collect()
}

/// What a file says.
pub(super) fn values(path: &str, bytes: &[u8]) -> Result<Map<String, Value>, String> {
    let written = LANGUAGES.iter().find(|(end, _)| path.rsplit_once('.').is_some_and(|(_, found)| found == *end));
    let Some((_, written)) = written else { return Err(format!("{path}: no such language")) };
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()].split(|byte| *byte == b'\n').count();
        format!("{path}: line {line} is not UTF-8")
    })?;
    match read(text, *written) {
        Ok(Value::Object(values)) => Ok(values),
        Ok(_) => Err(format!("{path}: it is no set of options")),
        Err(problem) => Err(format!("{path}: {problem}")),
    }
}

/// What was read, in a few words.
pub(super) fn told(read: &[(String, super::oid::Oid)], places: &[Place]) -> String {
    let names: Vec<&str> = read.iter().map(|(path, _)| path.as_str()).collect();
    if names.is_empty() {
        return "no file is for this host".to_owned();
    }
    let mut told = names.join(", ");
    if let Some(host) = places.last()
        && !host.names().any(|name| names.contains(&host.shown(&name).as_str()))
    {
        told.extend([" (and no ", &host.shown(&format!("{}.nix", host.stem)), ")"]);
    }
    told
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_host_has_its_groups_in_order() {
        let shown: Vec<String> = places("web3", &["web".to_owned(), "canary".to_owned()])
            .iter()
            .flat_map(|place| place.names().map(|name| place.shown(&name)).collect::<Vec<_>>())
            .collect();
        assert_eq!(
            shown.join(" "),
            "all.nix all.toml all.json groups/web.nix groups/web.toml groups/web.json groups/canary.nix \
             groups/canary.toml groups/canary.json hosts/web3.nix hosts/web3.toml hosts/web3.json"
        );
    }

    #[test]
    fn each_language_says_the_same_and_what_is_wrong_has_its_line() {
        let expected = json!({"services": {"x": {"settings": {"a": 1}}}});
        for (path, text) in [
            ("all.nix", "{ services.x.settings.a = 1; }"),
            ("all.nix", "{ lib, ... }: {\n  # why\n  services.x.settings.a = lib.mkForce 1;\n}\n"),
            ("all.toml", "[services.x.settings]\na = 1\n"),
            ("all.json", "{\"services\": {\"x\": {\"settings\": {\"a\": 1}}}}"),
        ] {
            assert_eq!(values(path, text.as_bytes()).map(Value::Object), Ok(expected.clone()), "{text}");
        }
        let problems: Vec<String> = [
            ("all.nix", "{\n  services.x = ;\n}\n"),
            ("all.nix", "{\n  services.x.a = 1;\n  services.x.b = pkgs.hello;\n}\n"),
            ("all.nix", "{\n  services.x = 1;\n  services.x = 2;\n}\n"),
            ("all.nix", "[ 1 ]"),
            ("all.toml", "a = 1\nb = \n"),
            ("all.json", "{\n \"a\": 1,\n}"),
            ("all.json", "[1]"),
        ]
        .into_iter()
        .map(|(path, text)| super::super::words::plain(&values(path, text.as_bytes()).unwrap_err()))
        .collect();
        insta::assert_snapshot!(problems.join("\n"));
        assert_eq!(values("all.nix", b"{\n\xff}").unwrap_err(), "all.nix: line 2 is not UTF-8");
    }
}
