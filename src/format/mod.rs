//! Native serialisers for the formats of nixpkgs' `pkgs.formats`: JSON values in, the bytes that nixpkgs writes out.

use crate::attr_path::AttrPath;

/// A value that the format can't say, or parameters that the format doesn't know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct RenderError {
    /// Where in the value, outermost name first; list elements by their index.
    pub path: AttrPath,
    /// What is wrong, in the format's own terms.
    pub message: String,
}
