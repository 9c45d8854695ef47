//! The agent of a fleet: it brings overrides from outside of a host to its dynix daemon, and says what became of them.
//!
//! A *source* ([`sources`]) is a place that overrides come from: etcd ([`etcd`]) or Git. Each gives a *layer*: all
//! values that it has for this host. The core loop hands a layer to the daemon, which takes it whole or refuses it whole.

pub mod config;
pub mod git;
pub mod layer;
pub mod sources;
