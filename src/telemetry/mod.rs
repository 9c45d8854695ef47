//! What the journal and Prometheus are told.

pub mod journal;
pub mod metrics;
