//! Option types: the rules for values, as the NixOS module system has them.
//!
//! [`compile`](mod@compile) makes a [`Type`] from the schema in a description. It judges values ([`Mismatch`]),
//! describes what it allows, and gives the type of what is below a name ([`Part`]). [`number`] knows what 64 bits hold.
//! Pure.

mod compile;
mod describe;
mod judge;
mod kind;
pub mod number;
mod part;
mod pattern;
mod read;
mod schema;

pub use compile::{SchemaError, compile};
pub use describe::brief;
pub use judge::{Fault, Mismatch, kind_of};
pub use kind::Type;
pub use part::{Below, ELEMENT, Part};
pub use pattern::{Pattern, PatternError};
pub use read::{UnreadableValue, read_json};
pub use schema::Schema;
