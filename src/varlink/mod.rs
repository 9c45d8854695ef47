//! Varlink, which programs speak with the daemon: the messages, the interface `io.dynix.Settings`, and the client.

pub mod answer;
pub mod client;
pub mod interface;
pub mod wire;
