//! The user at the other end of a connection, as the kernel says and never as the client says.

use std::os::unix::net::UnixStream;

use rustix::net::sockopt::socket_peercred;

use crate::host::accounts::Database;
use crate::system::caller::by_daemon;

/// The user who made a connection (unix(7), `SO_PEERCRED`): the user at that time, whoever holds the connection now.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Peer {
    /// The effective user.
    pub user: u32,
    /// The effective group, and the supplementary ones of the process.
    pub groups: Vec<u32>,
}

impl Peer {
    /// The peer of a connection.
    ///
    /// `SO_PEERGROUPS` would have its groups as they were when it connected. No safe interface has that option, so they are
    /// read from /proc when the connection is taken (`proc_pid_status(5)`): of the process that has the id of the one that
    /// connected, and only while its user is that one's. A process that is gone by then has its effective group alone.
    pub fn from_stream(stream: &UnixStream) -> std::io::Result<Self> {
        let credentials = socket_peercred(stream)?;
        let (user, group) = (credentials.uid.as_raw(), credentials.gid.as_raw());
        // Root may do everything, so its groups do not matter.
        let status = match user {
            0 => String::new(),
            _ => std::fs::read_to_string(format!("/proc/{}/status", credentials.pid.as_raw_nonzero()))
                .unwrap_or_default(),
        };
        let mut groups: Vec<u32> = [group].into_iter().chain(supplementary(&status, user)).collect();
        groups.sort_unstable();
        groups.dedup();
        Ok(Self { user, groups })
    }

    /// Whether it may do everything.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.user == 0
    }

    /// Its name and the names of its groups, by the system's databases. Which groups it has, they are not asked: a process
    /// that gave up groups does not have them, and one that systemd gave some (`SupplementaryGroups=`) does.
    #[must_use]
    pub fn names(&self) -> Names {
        if self.is_root() {
            return Names { user: "root".to_owned(), groups: Vec::new() };
        }
        Names {
            user: Database::Users.name_of(self.user).unwrap_or_else(|| self.user.to_string()),
            groups: self.groups.iter().filter_map(|group| Database::Groups.name_of(*group)).collect(),
        }
    }
}

/// The supplementary groups in a process's status; none if its effective user is another.
fn supplementary(status: &str, user: u32) -> Vec<u32> {
    let numbers = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.split_ascii_whitespace().filter_map(|number| number.parse().ok()).collect::<Vec<u32>>()
    };
    // Real, effective, saved set, file system.
    if numbers("Uid:").get(1) == Some(&user) { numbers("Groups:") } else { Vec::new() }
}

/// The names of a peer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Its user; the number if there is no name.
    pub user: String,
    /// Its groups.
    pub groups: Vec<String>,
}

impl Names {
    /// The name for records.
    #[must_use]
    pub fn by(&self) -> String {
        by_daemon(&self.user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_those_of_the_process_that_is_its_users() {
        let status = "Name:\tx\nUid:\t7\t1000\t7\t7\nGid:\t5\t5\t5\t5\nGroups:\t27 100 \nNStgid:\t1\n";
        assert_eq!(supplementary(status, 1000), [27, 100]);
        assert_eq!(supplementary(status, 7), [0; 0]);
        assert_eq!(supplementary("", 1000), [0; 0]);
        assert_eq!(supplementary("Uid:\t0\t1\t0\t0\nGroups:\t\n", 1), [0; 0]);
    }

    #[test]
    fn the_peer_of_a_pair_is_this_process() {
        let (one, _other) = UnixStream::pair().unwrap();
        let peer = Peer::from_stream(&one).unwrap();
        assert_eq!(peer.user, rustix::process::geteuid().as_raw());
        assert!(peer.groups.contains(&rustix::process::getegid().as_raw()));
    }
}
