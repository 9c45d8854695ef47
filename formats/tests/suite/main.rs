//! One binary for all tests of what the formats write: fixtures of the real tools, and independent readers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // in tests, a panic is the report

mod cdn;
mod configobj;
mod dependencies;
mod edn;
mod errors;
mod fixtures;
mod kdl;
mod programs;
mod readers;
mod xml;
