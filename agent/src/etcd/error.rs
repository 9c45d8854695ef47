//! What can go wrong with etcd.

use tonic::{Code, Status};

/// Why etcd did not do what it was asked for.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// No member answers. Nothing is known of what was asked.
    #[error("etcd can't be reached: {0}")]
    Unreachable(String),
    /// What is watched from is not kept any more.
    #[error("etcd does not keep revision {0} any more (compacted)")]
    Compacted(i64),
    /// The user may not do it, or is none.
    #[error("etcd does not allow it: {0}")]
    Denied(String),
    /// It is more than etcd takes.
    #[error("etcd takes no request of this size: {0}")]
    TooLarge(String),
    /// Anything else that etcd says.
    #[error("etcd: {0}")]
    Other(String),
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        let said = status.message().trim_start_matches("etcdserver: ").to_owned();
        match status.code() {
            Code::PermissionDenied | Code::Unauthenticated => Self::Denied(said),
            Code::InvalidArgument if said.contains("too large") => Self::TooLarge(said),
            Code::InvalidArgument if said.starts_with("authentication failed") => Self::Denied(said),
            Code::ResourceExhausted => Self::TooLarge(said),
            Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown => {
                // The transport's own words are "transport error"; what there was is its source.
                let mut all = said;
                let mut source = std::error::Error::source(&status);
                while let Some(error) = source {
                    let text = error.to_string();
                    if !all.contains(&text) {
                        all = format!("{all}: {text}");
                    }
                    source = error.source();
                }
                Self::Unreachable(all)
            }
            _ => Self::Other(said),
        }
    }
}
