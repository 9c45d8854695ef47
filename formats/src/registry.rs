//! The table of all formats. A new format is a file and an entry here. `dynix render`, the plan's checks, the
//! documentation and the tests all read this table.

use super::{
    Format, cdn, configobj, dovecot_conf, edn, elixir_conf, environment, flags, git_ini, hocon, ini,
    ini_with_global_section, java_properties, json, kdl, key_value, knot_conf, libconfig, lua, nix_conf, php, plist,
    postfix_conf, postgresql_conf, python_vars, sshd_conf, systemd, toml, unbound_conf, xml, yaml,
};

static FORMATS: &[&Format] = &[
    &cdn::FORMAT,
    &configobj::FORMAT,
    &dovecot_conf::FORMAT,
    &edn::FORMAT,
    &elixir_conf::FORMAT,
    &environment::FORMAT,
    &flags::FORMAT,
    &git_ini::FORMAT,
    &json::HCL1,
    &hocon::FORMAT,
    &ini::FORMAT,
    &ini_with_global_section::FORMAT,
    &java_properties::FORMAT,
    &json::FORMAT,
    &kdl::FORMAT,
    &key_value::FORMAT,
    &knot_conf::FORMAT,
    &libconfig::FORMAT,
    &lua::FORMAT,
    &nix_conf::FORMAT,
    &php::FORMAT,
    &plist::FORMAT,
    &postfix_conf::FORMAT,
    &postgresql_conf::FORMAT,
    &python_vars::FORMAT,
    &sshd_conf::FORMAT,
    &systemd::FORMAT,
    &toml::FORMAT,
    &unbound_conf::FORMAT,
    &xml::FORMAT,
    &yaml::YAML_1_1,
    &yaml::YAML_1_2,
];

/// Every format, by name.
#[must_use]
pub fn all() -> &'static [&'static Format] {
    FORMATS
}

/// The format called `name`; `yaml` is `yaml_1_1`, as in nixpkgs.
#[must_use]
pub fn find(name: &str) -> Option<&'static Format> {
    let name = if name == "yaml" { "yaml_1_1" } else { name };
    FORMATS.iter().find(|format| format.name == name).copied()
}

/// The dialects of the format called `name`, the one of current nixpkgs first; none for formats without dialects and
/// for unknown ones.
#[must_use]
pub fn dialects(name: &str) -> &'static [&'static str] {
    find(name).map_or(&[], |format| format.dialects)
}
