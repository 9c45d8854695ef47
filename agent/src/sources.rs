//! The seam between the core loop and its sources: what a source tells.
//!
//! A source watches by itself and sends an [`Event`] when there is something to say. It repeats nothing that it said
//! already, remembers what it needs over a restart, and returns only when it is cancelled.

use camino::Utf8PathBuf;
use serde_json::{Map, Value};

/// A layer as a source has it now. It is complete: what it does not say does not hold (any more).
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// What the source calls this state of it: a commit, a revision.
    pub revision: String,
    /// Who made the change, as the source says it.
    pub by: Option<String>,
    /// What was said about the change.
    pub message: Option<String>,
    /// The values, as nested attribute sets.
    pub values: Map<String, Value>,
}

/// What a source tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The source has this now.
    Layer(Layer),
    /// Something is wrong. The host keeps what it has.
    Trouble {
        /// What it is that something is wrong with.
        with: With,
        /// What is wrong.
        reason: String,
    },
    /// The source can be reached, and has nothing new.
    Reached,
}

/// What it is that something is wrong with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum With {
    /// This revision, which would hold, is no layer.
    Revision(String),
    /// The way to the source: nothing of it can be reached.
    Reach,
    /// Anything else: a part of the source, what it lets this host do, or what the host keeps of it.
    Source,
}

/// Who a host is to its sources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The name of the source on this host.
    pub source: String,
    /// The name of the host.
    pub host: String,
    /// The groups that it is in, outermost first: later ones win.
    pub groups: Vec<String>,
    /// Where the source may keep what has to outlive a restart; a directory of its own.
    pub state: Utf8PathBuf,
    /// Where the source may keep what need not outlive a boot; a directory of its own.
    pub runtime: Utf8PathBuf,
}
