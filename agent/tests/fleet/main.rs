//! A fleet with real engines: etcd of one member and of three, on loopback.

mod engine;
mod source;
