//! The command line: its arguments, and one module per verb.

pub mod arguments;
pub mod commands;
mod lazy;
mod verb;
