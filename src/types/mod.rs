//! Option types, as JSON Schema: read a value from the command line by its type, check a value, say what is allowed.
//!
//! Takes schemas as the plan has them and gives values or the exact place and words of a refusal. Pure. Validation
//! itself is the `jsonschema` crate's; what is ours is finding the part of a schema that speaks of one option path,
//! reading text by it, and saying it in the words of the NixOS manual.

mod check;
mod describe;
mod read;
mod subschema;

pub use check::{InvalidSchema, Mismatch, Type};
pub use describe::describe;
pub use read::{ReadAs, UnreadableValue, read};
pub use subschema::{Subschemas, below};
