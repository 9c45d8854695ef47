//! The overrides: the append-only log in /etc/nixos/dynamic.nix and what it comes to.
//!
//! Takes [`Change`]s to record and gives the [`Overlay`] of all records that hold. Every prefix of whole lines of the
//! file is a valid Nix expression, a function applied to its records; nothing ever rewrites or drops one.
//!
//! [`record`] says what a line can say and writes it, [`line`] reads it back, [`syntax`] the whole text with what people
//! wrote in it, [`chain`] which records hold, [`overlay`] what they come to, [`log`] is the file itself.

pub mod chain;
pub mod line;
pub mod log;
pub mod overlay;
pub mod record;
pub mod syntax;

mod cache;
mod expressions;
mod limits;
mod literal;

pub use limits::Unrecordable;
pub use log::{Folded, LogError, LogFile};
pub use overlay::{Conflict, Overlay, Override};
pub use record::{Change, Kind, Record};
pub use syntax::is_expression;
