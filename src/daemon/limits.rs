//! The limits of the daemon, in total and for each user: pure.

use std::time::Duration;

use crate::varlink::answer::Denied;

/// Most connections at a time, of everybody.
const CONNECTIONS: usize = 1024;
/// One place of so many is for root alone.
const SHARE_OF_ROOT: usize = 16;
/// The files that the daemon may need for anything else: an apply opens files, and connects to systemd and to the
/// addresses that it probes.
const OTHER_FILES: u64 = 512;
/// So many connections there are at least.
const FEWEST: usize = 64;

/// The limits of a daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time.
    pub connections: usize,
    /// So many of them are for root alone.
    pub for_root: usize,
    /// Of one user.
    pub per_user: usize,
    /// The daemon ends if nobody was connected for this long.
    pub idle: Option<Duration>,
}

impl Limits {
    /// For a process that may have so many files open (getrlimit(2), `RLIMIT_NOFILE`); `None` for any number.
    #[must_use]
    pub fn new(files: Option<u64>, per_user: usize, idle: Option<Duration>) -> Self {
        let possible = files.and_then(|files| usize::try_from(files.saturating_sub(OTHER_FILES)).ok());
        let connections = possible.map_or(CONNECTIONS, |possible| possible.clamp(FEWEST, CONNECTIONS));
        Self { connections, for_root: connections / SHARE_OF_ROOT, per_user, idle }
    }

    /// Whether there is a place for one more connection of `user`, beside those of `others`.
    pub fn place(&self, user: u32, others: impl Iterator<Item = u32>) -> Result<(), Denied> {
        let (mut all, mut own, mut strangers) = (0, 0, 0);
        for other in others {
            all += 1;
            own += usize::from(other == user);
            strangers += usize::from(other != 0);
        }
        let full = |whose, most| {
            let connections = if most == 1 { "connection, and it is" } else { "connections, and all are" };
            Err(Denied::Busy(format!("{whose} at most {most} {connections} in use")))
        };
        let for_others = self.connections.saturating_sub(self.for_root);
        if own >= self.per_user {
            return full("each user may have", self.per_user);
        }
        if user != 0 && strangers >= for_others {
            return full("users who are not root may have", for_others);
        }
        if all >= self.connections { full("there may be", self.connections) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Those of `times` connections that get a place, one after the other.
    fn taken(limits: &Limits, users: &mut Vec<u32>, user: u32, times: usize) -> usize {
        let before = users.len();
        for _ in 0..times {
            if limits.place(user, users.iter().copied()).is_ok() {
                users.push(user);
            }
        }
        users.len() - before
    }

    #[test]
    fn root_has_places_that_nobody_else_gets() {
        let limits = Limits { connections: 10, for_root: 2, per_user: 4, idle: None };
        let mut users = Vec::new();
        assert_eq!([1, 2, 3, 0].map(|user| taken(&limits, &mut users, user, 9)), [4, 4, 0, 2]);
        let full = limits.place(3, users.iter().copied()).unwrap_err().to_string();
        assert_eq!(full, "users who are not root may have at most 8 connections, and all are in use; try again later");
        users.retain(|user| *user != 1);
        assert_eq!([0, 0, 3].map(|user| taken(&limits, &mut users, user, 2)), [2, 0, 2]);
    }

    #[test]
    fn there_are_no_more_than_there_may_be_files() {
        let limits = |files| Limits::new(files, 256, None);
        assert_eq!((limits(None).connections, limits(Some(4096)).connections), (1024, 1024));
        assert_eq!((limits(Some(1024)).connections, limits(Some(1024)).for_root), (512, 32));
        assert_eq!((limits(Some(16)).connections, limits(Some(16)).for_root), (64, 4));
    }
}
