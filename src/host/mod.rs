//! The edges: files, systemd, other programs, the environment, signals, and messages to people.

pub mod accounts;
pub mod current_system;
pub mod digest;
pub mod editor;
pub mod environment;
pub mod evaluator;
pub mod fs;
pub mod home;
pub mod interruption;
pub mod messages;
pub mod paths;
pub mod process;
pub mod socket;
pub mod sysctl;
pub mod systemd;
pub mod templates;
pub mod timings;
pub mod warm;
