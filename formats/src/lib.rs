//! Native serialisers for the formats of nixpkgs' `pkgs.formats`: JSON values in, the bytes that nixpkgs writes out.
//!
//! Each format is one file and one line in [`registry`]. A format is a name, the dialects in which the generators of
//! different nixpkgs revisions write it, its parameters, and one function that appends to a buffer. The build of a
//! system compares the output for the static settings with what Nix generated. So the writers are faithful: they write
//! what nixpkgs writes, even where that reads back as something else. [`ambiguities`] names such values, and refuses
//! them where they come from an override.

pub mod attr_path;
mod cdn;
pub mod command_line;
mod configobj;
pub mod conventions;
mod dovecot_conf;
mod edn;
mod elixir_conf;
pub mod environment;
pub mod flags;
mod git_ini;
mod hocon;
mod ini;
mod ini_with_global_section;
mod java_properties;
mod json;
mod kdl;
mod key_value;
mod knot_conf;
mod libconfig;
mod lines;
mod lua;
pub mod nix;
mod nix_conf;
mod nix_text;
mod number;
mod parameters;
mod php;
mod plist;
mod postfix_conf;
mod postgresql_conf;
mod python_vars;
pub mod quote;
mod registry;
mod spec;
mod sshd_conf;
mod systemd;
mod toml;
mod tomlkit;
mod unbound_conf;
mod walk;
mod xml;
mod yaml;

pub use parameters::{Kind, Parameter, SpecError};
pub use registry::{all, dialects, find};
pub use spec::FormatSpec;

use serde_json::{Map, Value};

use crate::attr_path::AttrPath;

/// A value that the format can't hold, or parameters that the format doesn't have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", Location(path))]
pub struct RenderError {
    /// The path in the value, outermost name first; list elements by their index.
    pub path: AttrPath,
    /// The problem, in the format's own terms.
    pub message: String,
}

/// Writes `path: `, or nothing for the value as a whole.
struct Location<'a>(&'a AttrPath);

impl std::fmt::Display for Location<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.0.is_empty() { Ok(()) } else { write!(f, "{}: ", self.0) }
    }
}

impl RenderError {
    /// An error of the present value; the writers above it add their names with [`At::at`] and [`At::at_index`].
    fn here(message: impl Into<String>) -> Self {
        Self { path: AttrPath(Vec::new()), message: message.into() }
    }
}

impl From<SpecError> for RenderError {
    fn from(error: SpecError) -> Self {
        Self::here(error.to_string())
    }
}

/// Adds the place to an error on its way up, so that writing itself keeps no path.
trait At {
    /// Below the attribute `name`.
    fn at(self, name: &str) -> Self;
    /// Below the list element `index`.
    fn at_index(self, index: usize) -> Self;
}

impl<T> At for Result<T, RenderError> {
    fn at(self, name: &str) -> Self {
        self.map_err(|mut error| {
            error.path.0.insert(0, name.to_owned());
            error
        })
    }

    fn at_index(self, index: usize) -> Self {
        self.map_err(|mut error| {
            error.path.0.insert(0, index.to_string());
            error
        })
    }
}

type Validate = fn(&Settings) -> Result<(), SpecError>;

/// A format of the registry.
pub struct Format {
    /// As in `pkgs.formats`.
    pub name: &'static str,
    /// A summary in one line.
    pub summary: &'static str,
    /// The dialects, the one of current nixpkgs first; none if all revisions write alike.
    pub dialects: &'static [&'static str],
    /// Its parameters.
    pub parameters: &'static [Parameter],
    /// Rules between parameters.
    validate: Option<Validate>,
    write: fn(&mut Vec<u8>, &Settings, &Value) -> Result<(), RenderError>,
    misread: fn(&Settings, &Value) -> Vec<RenderError>,
}

/// The dialect and parameters of one rendering, already checked.
struct Settings<'a> {
    /// One of the format's dialects; empty if it has none.
    dialect: &'a str,
    /// Only names and kinds that the format declares; an absent one has its default.
    parameters: &'a Map<String, Value>,
}

impl Settings<'_> {
    fn is_set(&self, name: &str) -> bool {
        self.parameters.get(name) == Some(&Value::Bool(true))
    }

    fn string(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).and_then(Value::as_str)
    }
}

/// The bytes that nixpkgs writes for `value`.
///
/// ```
/// # use dynix_formats::{self as format, FormatSpec};
/// let spec = FormatSpec { name: "toml".to_owned(), dialect: None, parameters: serde_json::Map::new() };
/// let text = format::render(&spec, &serde_json::json!({ "workers": 20, "bind": "[::]:5000" }))?;
/// assert_eq!(text, b"bind = \"[::]:5000\"\nworkers = 20\n");
/// # Ok::<(), format::RenderError>(())
/// ```
pub fn render(spec: &FormatSpec, value: &Value) -> Result<Vec<u8>, RenderError> {
    let (format, settings) = resolve(spec)?;
    let mut out = Vec::with_capacity(1024);
    (format.write)(&mut out, &settings, value)?;
    Ok(out)
}

/// Whether `spec` names a format, one of its dialects, and parameters that it knows with values that they allow.
pub fn check(spec: &FormatSpec) -> Result<(), SpecError> {
    resolve(spec).map(|_| ())
}

/// Refuses values that [`render`] writes as nixpkgs does, but that read back as something else: a newline in an INI
/// value starts another line. It gives the first such value that `unchanged`, the static value, does not have at the
/// same place, because the build wrote the static value itself.
pub fn ambiguities(spec: &FormatSpec, unchanged: &Value, value: &Value) -> Result<(), RenderError> {
    let (format, settings) = resolve(spec)?;
    let known = (format.misread)(&settings, unchanged);
    let new = (format.misread)(&settings, value).into_iter().find(|found| !known.contains(found));
    new.map_or(Ok(()), Err)
}

/// Whether there is anything in `value` that [`ambiguities`] would compare: there hardly ever is.
pub fn has_ambiguities(spec: &FormatSpec, value: &Value) -> Result<bool, RenderError> {
    let (format, settings) = resolve(spec)?;
    Ok(!(format.misread)(&settings, value).is_empty())
}

fn resolve(spec: &FormatSpec) -> Result<(&'static Format, Settings<'_>), SpecError> {
    let format = find(&spec.name).ok_or_else(|| SpecError::unknown_format(&spec.name))?;
    let dialect = match &spec.dialect {
        None => format.dialects.first().copied().unwrap_or_default(),
        Some(dialect) => format
            .dialects
            .iter()
            .copied()
            .find(|known| known == dialect)
            .ok_or_else(|| SpecError::unknown_dialect(format, dialect))?,
    };
    parameters::check(format, &spec.parameters)?;
    let settings = Settings { dialect, parameters: &spec.parameters };
    format.validate.map_or(Ok(()), |validate| validate(&settings))?;
    Ok((format, settings))
}

/// For formats in which every value that can be written reads back as itself.
fn never_misread(_: &Settings, _: &Value) -> Vec<RenderError> {
    Vec::new()
}
