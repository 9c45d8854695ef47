//! Option types: what a value has to be, as the NixOS module system has it.
//!
//! [`compile`](mod@compile) makes a [`Type`] of the schema in a description; it judges values ([`Mismatch`]), says what it
//! allows in words, and leads to the type of what is below a name ([`Part`]). [`number`] knows what 64 bits hold. Pure.

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
pub use part::{Below, Part};
pub use pattern::{Pattern, PatternError};
pub use read::{UnreadableValue, read_json};
pub use schema::Schema;
