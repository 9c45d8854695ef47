//! The formats that an option's type and a file's name suggest.
//!
//! The types of `pkgs.formats` have descriptions whose words stay the same within wrappers ("null or ...", "open
//! submodule of ..."). These words say which format to try first, and decide between formats that write the same text.
//! They prove nothing: `JSON value` is also the type of settings that are written as YAML or TOML.

use camino::Utf8Path;
use serde_json::{Map, Value};

/// Words of a type's description, and the formats whose type it is, the likelier one first (pkgs/pkgs-lib/formats.nix
/// and below formats/). The more particular words come first.
const BY_TYPE: &[(&str, &[&str])] = &[
    ("YAML 1.1 value", &["yaml_1_1"]),
    ("YAML 1.2 value", &["yaml_1_2"]),
    ("YAML value", &["yaml_1_1", "yaml_1_2"]),
    ("TOML value", &["toml"]),
    ("HOCON value", &["hocon"]),
    ("libconfig value", &["libconfig"]),
    ("PHP value", &["php"]),
    ("lua value", &["lua"]),
    ("Python value", &["pythonVars"]),
    ("Elixir value", &["elixirConf"]),
    ("XML value", &["xml"]),
    ("Property list (plist) value", &["plist"]),
    ("CDN value", &["cdn"]),
    ("EDN value", &["edn"]),
    ("ConfigObj", &["configobj"]),
    ("KDL document", &["kdl"]),
    ("Nix config atom", &["nixConf"]),
    ("JSON value", &["json", "hcl1"]),
    ("or attribute set of (INI atom", &["gitIni"]),
    ("section of an INI file", &["ini", "systemd", "iniWithGlobalSection"]),
    ("INI atom", &["ini", "systemd", "gitIni"]),
    ("atom (null, bool, int, float or string)", &["keyValue"]),
];

/// The formats that files with an extension have.
const BY_EXTENSION: &[(&str, &[&str])] = &[
    ("json", &["json"]),
    ("toml", &["toml"]),
    ("yaml", &["yaml_1_1", "yaml_1_2", "json"]),
    ("yml", &["yaml_1_1", "yaml_1_2", "json"]),
    ("ini", &["ini", "iniWithGlobalSection"]),
    ("hcl", &["hcl1", "json"]),
    ("lua", &["lua"]),
    ("php", &["php"]),
    ("py", &["pythonVars"]),
    ("exs", &["elixirConf"]),
    ("edn", &["edn"]),
    ("kdl", &["kdl"]),
    ("xml", &["xml"]),
    ("plist", &["plist"]),
    ("properties", &["javaProperties"]),
    ("env", &["keyValue"]),
];

/// The formats that the type of an option speaks for, by its description.
#[must_use]
pub fn by_type(description: &str) -> &'static [&'static str] {
    BY_TYPE.iter().find(|(words, _)| description.contains(words)).map_or(&[], |(_, formats)| formats)
}

/// The hint of an option's type about lists in an INI file or in lines of keys and values: each element has a line, or
/// they are joined. (A type without lists gives no hint: an option that is declared beside it may take some.)
#[must_use]
pub fn lists(description: &str) -> Option<Map<String, Value>> {
    let has_lines = if description.contains("for duplicate keys") {
        true
    } else if description.contains("or a non-empty list of them") {
        false
    } else {
        return None;
    };
    Some(Map::from_iter([("listsAsDuplicateKeys".to_owned(), has_lines.into())]))
}

/// The formats that the name of a file speaks for.
#[must_use]
pub fn by_name(path: &Utf8Path) -> &'static [&'static str] {
    let extension = path.extension().unwrap_or_default();
    BY_EXTENSION.iter().find(|(one, _)| *one == extension).map_or(&[], |(_, formats)| formats)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format;

    #[test]
    fn every_format_is_one_that_there_is() {
        let all = BY_TYPE.iter().chain(BY_EXTENSION).flat_map(|(_, formats)| *formats);
        for name in all {
            assert!(format::find(name).is_some(), "{name}");
        }
    }

    #[test]
    fn the_particular_words_win() {
        let ini = "attribute set of section of an INI file (attrs of INI atom (null, bool, int, float or string))";
        let git = "attribute set of attribute set of (INI atom (...) or attribute set of (INI atom (...)))";
        for (description, first) in [
            ("open submodule of (TOML value)", Some("toml")),
            (ini, Some("ini")),
            (git, Some("gitIni")),
            ("attribute set of (atom (null, bool, int, float or string))", Some("keyValue")),
            ("attribute set of anything", None),
        ] {
            assert_eq!(by_type(description).first().copied(), first, "{description}");
        }
    }
}
