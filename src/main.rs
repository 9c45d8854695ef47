//! The `dynix` binary.

fn main() {}
