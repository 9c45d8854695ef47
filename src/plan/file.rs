//! A service's files: their format, their value as a function of options, and how units get them.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::FormatSpec;
use crate::attr_path::AttrPath;
use crate::format::command_line;

/// A file under /etc.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EtcFile {
    /// Its path below /etc.
    pub target: Utf8PathBuf,
    /// Its path in the store.
    pub source: Utf8PathBuf,
    /// `symlink`, `direct-symlink`, or the octal mode of a copy.
    pub mode: String,
}

/// One rendered file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct File {
    /// How the text is written.
    pub format: FormatSpec,
    /// The value that is written.
    pub value: ValueSpec,
    /// The file that Nix generated for the static values, for the proof.
    #[serde(rename = "static")]
    pub static_file: Utf8PathBuf,
    /// Octal permissions, as in `"0444"`.
    #[serde(default = "default_mode")]
    pub mode: String,
    /// User name or number.
    #[serde(default = "default_owner")]
    pub owner: String,
    /// Group name or number.
    #[serde(default = "default_owner")]
    pub group: String,
    /// How the running unit sees the file.
    pub attach: Attach,
    /// What is before and after the value's text; `None` if there is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub around: Option<Around>,
    /// The units that read it; `None` for all units of the service.
    #[serde(default)]
    pub units: Option<Vec<String>>,
    /// How `generate` found it, for people; absent in a description, and for a file that was described.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// The result of the proof by `generate`; absent in a description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
}

/// What stays as it is around the text of a value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Around {
    /// The text before; in a description, `None` lets `generate` find it.
    #[serde(default)]
    pub head: Option<String>,
    /// The text after; likewise.
    #[serde(default)]
    pub tail: Option<String>,
}

impl Around {
    /// The whole text.
    #[must_use]
    pub fn put(&self, text: Vec<u8>) -> Vec<u8> {
        let of = |part: &Option<String>| part.clone().unwrap_or_default().into_bytes();
        [of(&self.head), text, of(&self.tail)].concat()
    }
}

impl File {
    /// Whether everybody may read this file.
    #[must_use]
    pub fn is_public(&self) -> bool {
        u32::from_str_radix(&self.mode, 8).is_ok_and(|mode| mode & 0o004 != 0)
    }

    /// Whether `unit` reads this file.
    #[must_use]
    pub fn is_read_by(&self, unit: &str) -> bool {
        self.units.as_ref().is_none_or(|units| units.iter().any(|one| one == unit))
    }
}

fn default_mode() -> String {
    "0444".to_owned()
}

fn default_owner() -> String {
    "root".to_owned()
}

/// A file's value, put together from effective option values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum ValueSpec {
    /// The effective value of an option, by full name.
    Option(String),
    /// This value as it is.
    Literal(Value),
    /// What the static file has at this path, as it is; in a plan it is a literal.
    Built(AttrPath),
    /// An attribute set.
    Attrs(BTreeMap<String, ValueSpec>),
    /// A list; elements that are [`ValueSpec::When`] with a false condition are left out.
    List(Vec<ValueSpec>),
    /// `then` if the condition's value is `true`, otherwise nothing (in a list) or null.
    When {
        /// Gives a boolean.
        condition: Box<ValueSpec>,
        /// The value.
        then: Box<ValueSpec>,
    },
    /// One attribute of a value (`{"select": {"from": {"option": "services.x.settings"}, "path": ["a", "b"]}}`); null
    /// if it is missing.
    Select {
        /// The attribute set.
        from: Box<ValueSpec>,
        /// Names below it.
        path: AttrPath,
    },
    /// A value without what is empty.
    Prune {
        /// The value.
        from: Box<ValueSpec>,
        /// The values that are left out.
        drop: Vec<Drop>,
        /// The places where they are left out.
        within: Within,
    },
    /// Attribute sets on top of each other, the later on top, below each name as well (`lib.recursiveUpdate`).
    Merge(Vec<ValueSpec>),
    /// A set of sets as one set, whose names are the paths: `{ server.port = 1; }` as `{ X__SERVER__PORT = 1; }`.
    Flatten {
        /// The attribute set.
        from: Box<ValueSpec>,
        /// The text before each name.
        #[serde(default)]
        prefix: String,
        /// The text between the names of a path.
        separator: String,
        /// Whether the names are written in upper case (`lib.toUpper`).
        #[serde(default)]
        upper: bool,
    },
    /// The attributes of a set as a list of texts: `{ TZ = "UTC"; }` as `[ "TZ=UTC" ]`. Null is left out.
    Entries {
        /// The attribute set.
        from: Box<ValueSpec>,
        /// The text between name and value.
        separator: String,
    },
}

/// A property for which a value can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Drop {
    /// It is null.
    Null,
    /// It is an empty attribute set, or one of which nothing is left.
    Set,
    /// It is an empty list.
    List,
    /// It is an empty string.
    String,
}

/// The places where values are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Within {
    /// The attributes of the set itself.
    Top,
    /// Also those of attribute sets within attribute sets (`lib.filterAttrsRecursive`).
    Sets,
    /// Also those of attribute sets within lists.
    All,
}

/// How a running unit sees a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Attach {
    /// `BindReadOnlyPaths=-/run/dynix/SERVICE/current/FILE:PATH` in each unit that reads it.
    Bind(Utf8PathBuf),
    /// The text is an environment file with one variable of words; the stub replaces `ExecStart`.
    Environment {
        /// Name of the variable.
        variable: String,
        /// Program (absolute path) and leading arguments, before the variable's words.
        command: Vec<String>,
        /// Further environment that the start script had set (`PATH`).
        #[serde(default)]
        environment: BTreeMap<String, String>,
        /// All words of the unit's own `ExecStart=`, if that is no start script.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "words")]
        built: Option<Vec<String>>,
    },
    /// The text is an environment file whose variables come on top of the unit's own.
    Variables {
        /// The unit's own variables for the static values.
        built: BTreeMap<String, String>,
        /// The `EnvironmentFile=` of each unit that has some which are to stay on top.
        #[serde(default)]
        files: BTreeMap<String, OwnFiles>,
    },
    /// `LoadCredential=ID:/run/dynix/SERVICE/current/FILE`, with the static text as the fallback if that file is
    /// missing.
    Credential(String),
    /// The link at this path under /etc leads to the file, for every reader.
    Etc(Utf8PathBuf),
}

/// The values of a unit's own `EnvironmentFile=`, as they are written: systemd reads them in order, the later on top.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OwnFiles {
    /// Those below the dynamic file.
    pub below: Vec<String>,
    /// The files on top of it.
    pub above: Vec<String>,
}

impl Attach {
    /// Whether it is the unit itself that says the static values, and no file.
    #[must_use]
    pub fn is_of_the_unit(&self) -> bool {
        matches!(self, Self::Variables { .. } | Self::Environment { built: Some(_), .. })
    }
}

/// Words; a description may have the text of `ExecStart=` instead.
fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Given {
        Words(Vec<String>),
        Text(String),
    }
    match Option::deserialize(deserializer)? {
        None => Ok(None),
        Some(Given::Words(words)) => Ok(Some(words)),
        Some(Given::Text(text)) => command_line::systemd(&text)
            .map(Some)
            .map_err(|problem| D::Error::custom(format!("ExecStart={text}: {problem}"))),
    }
}

/// How equal the rendered static file is to what Nix generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProofLevel {
    /// Byte for byte (for flags: word for word).
    Bytes,
    /// An independent parser reads the same data from both.
    Data,
}

/// Proof of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Proof {
    /// See [`ProofLevel`].
    pub level: ProofLevel,
    /// SHA-256 of what Nix generated, lower-case hex.
    pub nix: String,
    /// SHA-256 of what our serialiser writes for the static values.
    pub rendered: String,
    /// Parameters of the format that the description leaves open and the static values do not show, and `prune` if they
    /// do not show what is left out. A value that depends on one of them is refused ([`crate::render::undecided`]).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undecided: Vec<String>,
}
