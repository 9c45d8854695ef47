//! One binary for all integration tests; a file for each behaviour.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // in tests, a panic is the report

mod append;
mod apply;
mod bad_input;
mod blameless;
mod bundled;
mod concurrency;
mod confirmation;
mod daemon;
mod dependencies;
mod description;
mod engine;
mod expressions;
mod faults;
mod find;
mod fold;
mod formats_flags;
mod generate;
mod generate_refusals;
mod inputs;
mod interface;
mod known_good;
mod log;
mod machine;
mod messages;
mod pages;
mod properties;
mod real_nix;
mod real_units;
mod recognise;
mod security_claims;
mod security_files;
mod security_limits;
mod security_secrets;
mod security_surroundings;
mod security_units;
mod security_values;
mod sound;
mod start_script;
mod state_versions;
mod support;
mod trial;
mod types;
mod undecided;
mod verdicts;
