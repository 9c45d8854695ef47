//! dynix changes the settings of a running NixOS system in milliseconds, without a rebuild.
//!
//! It has two flows. The file tree shows the steps of each:
//!
//! * **Build time** (inside `nixos-rebuild`), in [`build`]: `description.json` → checks → proof that our serialisers
//!   write exactly the files that Nix generated → an in-memory tree (stub drop-ins, `plan.json`, scripts) → files.
//! * **Run time** (on the machine): [`overrides`] (the append-only log and its fold) → desired values → [`types`] (type
//!   check) → [`format`] (the crate `dynix-formats`: native config text) → [`reconcile`] (a new generation, swapped in;
//!   actions on units).
//!
//! [`plan`] is the contract between both flows. [`system`] has the verbs as methods of an opened system; [`cli`] and
//! [`daemon`] are its two faces; [`warm`] serves dynix itself. [`verify`] checks whether a rebuild would give the same system. Effects live in
//! [`host`].

/// The formats: a crate of its own, which others can use.
pub use dynix_formats as format;
pub use dynix_formats::{attr_path, nix};

pub mod build;
pub mod cli;
pub mod daemon;
pub mod evaluated;
pub mod exit;
pub mod host;
pub mod overrides;
pub mod plan;
pub mod probe;
pub mod reconcile;
pub mod render;
pub mod system;
pub mod telemetry;
pub mod time;
pub mod types;
pub mod varlink;
pub mod verify;
pub mod warm;
