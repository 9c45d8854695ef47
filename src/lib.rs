//! dynix changes the settings of a running NixOS system in milliseconds, without a rebuild.
//!
//! Two flows, each readable from top to bottom in the file tree:
//!
//! * **Build time** (inside `nixos-rebuild`), in [`build`]: `description.json` → checks → proof that our serialisers
//!   write the very files that Nix generated → an in-memory tree (stub drop-ins, `plan.json`, scripts) → files.
//! * **Run time** (on the machine): [`overrides`] (the append-only log and its fold) → effective values → [`types`]
//!   (are they of their types?) → [`format`] (the crate `dynix-formats`: native config text) → [`apply`] (a new generation, swapped in; actions on units).
//!
//! [`plan`] is the contract between both flows. [`cli`] has the command line's types and [`commands`] one module per verb;
//! [`daemon`] does for programs what they do for people. [`verify`] asks whether a rebuild would give the same system.
//! Effects live at the edges: [`fs`] (files), [`systemd`] (D-Bus), [`evaluator`] (Nix).

/// The formats: a crate of its own, which others can use.
pub use dynix_formats as format;
pub use dynix_formats::{attr_path, nix};

pub mod apply;
pub mod build;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod daemon;
pub mod duration;
pub mod evaluator;
pub mod exit;
pub mod fs;
pub mod interruption;
pub mod journal;
pub mod messages;
pub mod metrics;
pub mod order;
pub mod overrides;
pub mod paths;
pub mod places;
pub mod plan;
pub mod process;
pub mod request;
pub mod secrets;
pub mod surroundings;
pub mod systemd;
pub mod templates;
pub mod time;
pub mod timings;
pub mod types;
pub mod value_spec;
pub mod verify;
