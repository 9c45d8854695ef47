//! etcd as a source of overrides, and where hosts report.

pub mod client;
mod codec;
pub mod entry;
pub mod error;
pub mod floor;
pub mod keys;
pub mod message;
pub mod mirror;
pub mod reporter;
pub mod source;
pub mod targets;
