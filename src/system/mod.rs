//! The opened system and its verbs, for every face.

pub mod request;
