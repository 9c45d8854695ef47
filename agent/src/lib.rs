//! The agent of a fleet: it brings overrides from outside of a host to its dynix daemon, and says what became of them.
//!
//! A *source* ([`sources`]) is a place outside of the host that overrides come from: etcd ([`etcd`]) or Git. Each gives a
//! *layer*: all values that it has for this host. [`host`] hands a layer to the daemon, which takes it whole or refuses
//! it whole, and tells the source, the metrics and systemd what became of it. [`rollout`] brings values to a fleet wave by
//! wave.

pub mod config;
pub mod control;
pub mod daemon;
pub mod etcd;
pub mod file;
pub mod fleet;
pub mod git;
pub mod host;
pub mod layer;
pub mod metrics;
pub mod patience;
pub mod report;
pub mod rollout;
pub mod run;
pub mod sources;
