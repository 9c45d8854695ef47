//! Who is at the other end of a connection: what the kernel says of it, never what it says itself.

use std::os::unix::net::UnixStream;

use rustix::net::sockopt::socket_peercred;

/// The user that made a connection (unix(7), `SO_PEERCRED`): who it was when it connected, whoever holds it now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The effective user.
    pub user: u32,
    /// The effective group.
    pub group: u32,
}

impl Peer {
    /// The peer of a connection.
    pub fn of(stream: &UnixStream) -> std::io::Result<Self> {
        let credentials = socket_peercred(stream)?;
        Ok(Self { user: credentials.uid.as_raw(), group: credentials.gid.as_raw() })
    }

    /// Whether it may do everything.
    #[must_use]
    pub fn is_root(self) -> bool {
        self.user == 0
    }

    /// Its name and the names of its groups, by the system's databases: the group it has now and those that its user is a
    /// member of. A process that gave up groups has no fewer here.
    #[must_use]
    pub fn names(self) -> Names {
        if self.is_root() {
            return Names { user: "root".to_owned(), groups: Vec::new() };
        }
        let user = uzers::get_user_by_uid(self.user);
        let groups = user.as_ref().and_then(|user| uzers::get_user_groups(user.name(), self.group));
        let own = uzers::get_group_by_gid(self.group);
        let groups = groups.unwrap_or_default().into_iter().chain(own);
        Names {
            user: user.map_or_else(|| self.user.to_string(), |user| user.name().to_string_lossy().into_owned()),
            groups: groups.map(|group| group.name().to_string_lossy().into_owned()).collect(),
        }
    }
}

/// What a peer is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Its user; the number where there is no name.
    pub user: String,
    /// Its groups.
    pub groups: Vec<String>,
}

impl Names {
    /// As records say it.
    #[must_use]
    pub fn by(&self) -> String {
        format!("{} via daemon", self.user)
    }
}
