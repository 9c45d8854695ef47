//! Rollouts: values that reach the hosts of a target wave by wave.
//!
//! A wave is one key beside the values of its target: the rollout's values, and a number. Each host has a place in each
//! rollout ([`order`]), and takes the values if its place is at most that number. So a wave of ten thousand hosts is as
//! small, and as whole, as a wave of one, and taking it back is one deletion.

pub mod done;
pub mod drive;
pub mod order;
pub mod state;
pub mod step;
pub mod writing;

#[cfg(test)]
mod tests;
