//! What dynix reports to the journal and to Prometheus.

pub mod journal;
pub mod metrics;
