//! The service manager that is talked to: the system's, over the system bus, or a user's, over its own socket.
//!
//! A user manager (systemd --user) listens at systemd/private in the user's runtime directory, as systemctl(1) uses it. It
//! needs no bus of the session, and answers the user and root (`bus_check_peercred` and `sd_bus_query_sender_privilege` in
//! systemd's sources).

use std::os::unix::net::UnixStream;
use std::time::Duration;

use async_io::Timer as Sleep;
use camino::{Utf8Path, Utf8PathBuf};
use futures_lite::FutureExt;
use rustix::net::sockopt::socket_peercred;

use super::bus::Asked;
use super::{Asking, ManagerError, direct};

/// How long systemd may take to answer. A daemon-reload of a large system takes seconds; a longer call hangs.
const PATIENCE: Duration = Duration::from_secs(90);
/// The same for a manager of a user whom nobody has to wait for.
const PATIENCE_WITH_USERS: Duration = Duration::from_secs(15);
/// How long it may take to greet: its user may have stopped it.
const GREETING: Duration = Duration::from_secs(5);

/// A service manager.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// That of the system.
    #[default]
    System,
    /// That of a user.
    User(UserManager),
}

/// The manager of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserManager {
    /// The user.
    pub uid: u32,
    /// `$XDG_RUNTIME_DIR/systemd/private`
    pub socket: Utf8PathBuf,
}

impl UserManager {
    /// The manager of `uid` with this runtime directory.
    #[must_use]
    pub fn at(uid: u32, runtime: &Utf8Path) -> Self {
        Self { uid, socket: runtime.join("systemd/private") }
    }

    /// Whether it runs, as far as its socket tells.
    #[must_use]
    pub fn is_there(&self) -> bool {
        use std::os::unix::fs::FileTypeExt;
        std::fs::symlink_metadata(&self.socket).is_ok_and(|found| found.file_type().is_socket())
    }

    /// Whether it is that of the user whose process this is.
    fn is_own(&self) -> bool {
        self.uid == rustix::process::geteuid().as_raw()
    }

    /// The socket belongs to its user, who may have put anything there: what listens has to be a process of that user.
    fn stream(&self) -> std::io::Result<UnixStream> {
        let stream = UnixStream::connect(&self.socket)?;
        let other = socket_peercred(&stream)?.uid.as_raw();
        if other == self.uid {
            return Ok(stream);
        }
        Err(std::io::Error::other(format!("a process of user {other} listens at {}", self.socket)))
    }
}

impl Reach {
    /// Connects to it.
    pub async fn connect(&self) -> Result<zbus::Connection, ManagerError> {
        let Self::User(user) = self else {
            let builder = zbus::connection::Builder::system().method_timeout(PATIENCE);
            return builder.build().await.to("connect to the system bus");
        };
        let operation = || format!("reach the manager of user {}", user.uid);
        let stream = user
            .stream()
            .and_then(direct::fit)
            .map_err(|error| zbus::Error::InputOutput(error.into()))
            .to(operation())?;
        let patience = if user.is_own() { PATIENCE } else { PATIENCE_WITH_USERS };
        let connecting = zbus::connection::Builder::unix_stream(stream).p2p().method_timeout(patience).build();
        let too_late = async {
            Sleep::after(GREETING).await;
            Err(zbus::Error::InputOutput(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))
        };
        connecting.or(too_late).await.to(operation())
    }

    /// The manager's name on the connection. Signals are taken only from there.
    #[must_use]
    pub fn destination(&self) -> &'static str {
        match self {
            Self::System => "org.freedesktop.systemd1",
            Self::User(_) => direct::UNIQUE,
        }
    }

    /// How the user whose process this is asks it.
    #[must_use]
    pub fn asking(&self) -> Asking {
        match self {
            Self::System => Asking::System,
            Self::User(user) if user.is_own() => Asking::Own,
            Self::User(user) => Asking::Of(user.uid),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn what_listens_at_a_users_socket_has_to_be_that_users() {
        let runtime = tempfile::tempdir().unwrap();
        let runtime = Utf8Path::from_path(runtime.path()).unwrap();
        std::fs::create_dir(runtime.join("systemd")).unwrap();
        let _listening = UnixListener::bind(runtime.join("systemd/private")).unwrap();
        let own = rustix::process::geteuid().as_raw();
        assert!(UserManager::at(own, runtime).stream().is_ok());
        let another = UserManager::at(own + 1, runtime);
        assert!(another.is_there());
        let problem = another.stream().unwrap_err().to_string();
        assert_eq!(problem, format!("a process of user {own} listens at {runtime}/systemd/private"));
    }

    #[test]
    fn a_user_asks_the_own_manager_without_its_number() {
        let own = rustix::process::geteuid().as_raw();
        let asking = |uid| Reach::User(UserManager::at(uid, Utf8Path::new("/run/user/1"))).asking();
        assert_eq!((asking(own), asking(own + 1)), (Asking::Own, Asking::Of(own + 1)));
        assert_eq!(Reach::System.asking(), Asking::System);
    }
}
