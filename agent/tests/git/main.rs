//! The Git source with the real `git`: repositories on disk, over HTTP (git-http-backend) and SSH (sshd), signatures of
//! ssh-keygen and GPG.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // in tests, a panic is the report
#![allow(clippy::format_push_string)]

mod bad_input;
mod branches;
mod http;
#[path = "../shared/ports.rs"]
mod ports;
mod remotes;
mod sha256;
mod signatures;
mod size;
mod state;
mod support;
mod time;
mod webhook;
