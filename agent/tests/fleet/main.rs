//! A fleet with real engines: etcd of one member and of three, on loopback.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // in tests, a panic is the report

mod agents;
mod both;
mod cli;
mod docs;
mod engine;
mod hosts;
mod machine;
#[path = "../shared/ports.rs"]
mod ports;
mod rollouts;
mod security;
mod source;
