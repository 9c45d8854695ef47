//! How a person asks a service manager about a unit: the words of systemctl(1), for messages. Pure.

use super::users::Named;

/// The service manager to ask, as seen by the person who reads the message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Asking {
    /// The system's.
    #[default]
    System,
    /// The reader's own.
    Own,
    /// That of the user with this number; only root and the user can.
    Of(u32),
}

impl Asking {
    /// The command that does `verb` with a unit, where units without a user are those of this manager.
    #[must_use]
    pub fn systemctl(self, verb: &str, unit: &str) -> String {
        let (asking, unit) = match Named::read(unit) {
            Named::Main => (self, unit),
            Named::Every(name) => (Self::Own, name),
            Named::Of(uid, name) => (Self::Of(uid), name),
        };
        match asking {
            Self::System => format!("systemctl {verb} {unit}"),
            Self::Own => format!("systemctl --user {verb} {unit}"),
            Self::Of(uid) => format!("systemctl --user --machine={uid}@ {verb} {unit}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_reach_the_manager_that_has_the_unit() {
        for (asking, unit, words) in [
            (Asking::System, "a.service", "systemctl status a.service"),
            (Asking::System, "user/a.service", "systemctl --user status a.service"),
            (Asking::System, "user@1000/a.service", "systemctl --user --machine=1000@ status a.service"),
            (Asking::Own, "a.service", "systemctl --user status a.service"),
            (Asking::Of(7), "a.service", "systemctl --user --machine=7@ status a.service"),
        ] {
            assert_eq!(asking.systemctl("status", unit), words);
        }
    }
}
