//! Attribute paths: the names of NixOS options, as in `services.harmonia.settings.workers`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A path of attribute names, outermost first. Written in Nix's syntax: names that are not identifiers are quoted
/// (`services.nginx.virtualHosts."example.org".root`).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AttrPath(pub Vec<String>);

impl fmt::Display for AttrPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}
