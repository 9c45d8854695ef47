//! The overrides: the append-only log in /etc/nixos/dynamic.nix, and its fold.
//!
//! Takes [`Draft`]s to record and gives the [`Overlay`] of all records that count; docs/overrides.md has the format.
//! Every prefix of whole lines of the file is a valid Nix expression: a function applied to its records. Nothing ever
//! rewrites or drops a record.
//!
//! From the file inwards: `log` (the file, its lock, its cache) → `reader` (blocks and lines, ids) → `scan` (one
//! literal line, at memory speed) or `hand` (all of Nix's syntax) → `fold` along the `chain` of records that count →
//! [`Overlay`]. `writer` adds the text that `record` makes, and the readers read it back. `expressions` asks the
//! evaluator, and `values` keeps its answers.

mod cache;
mod chain;
mod entry;
mod error;
mod expressions;
mod extent;
mod fold;
mod hand;
mod history;
mod layers;
mod limits;
mod log;
mod overlay;
mod page;
mod periods;
mod reader;
mod record;
mod scan;
mod text;
mod values;
mod writer;

pub use chain::Unknown;
pub use entry::tree;
pub use error::LogError;
pub use expressions::ExpressionError;
pub use hand::paths as expression_paths;
pub use history::Fate;
pub use layers::{Layers, Order};
pub use limits::{Unrecordable, message, source};
pub use log::{Folded, HEADER, LogFile};
pub use overlay::{Conflict, Overlay, Override};
pub use page::{Most, Page};
pub use periods::{Ending, History, Period};
pub use reader::Torn;
pub use record::{Draft, Kind, Layer, Record, leaves_at};
pub use text::{Code, Text, written};
pub use writer::{Marking, Written};
