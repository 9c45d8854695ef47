//! Which manager a unit belongs to, as its name in a plan says.

/// Before the name of a unit that every user's manager has.
pub const EVERY: &str = "user/";
/// Before the number of the user, a slash, and the name of the unit.
const ONE: &str = "user@";

/// A unit's manager, and the unit's name there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::host::systemd) enum Named<'u> {
    /// The one that dynix works for.
    Main,
    /// That of every user.
    Every(&'u str),
    /// That of one user.
    Of(u32, &'u str),
}

impl<'u> Named<'u> {
    /// No name of a unit has a slash (systemd.unit(5)).
    pub fn read(unit: &'u str) -> Self {
        if let Some(name) = unit.strip_prefix(EVERY) {
            return Self::Every(name);
        }
        let one = unit.strip_prefix(ONE).and_then(|rest| rest.split_once('/'));
        match one.and_then(|(uid, name)| Some((uid.parse().ok()?, name))) {
            Some((uid, name)) => Self::Of(uid, name),
            None => Self::Main,
        }
    }
}

/// Whether a unit is one of the users' managers.
#[must_use]
pub fn is_of_users(unit: &str) -> bool {
    Named::read(unit) != Named::Main
}

/// The name of a unit in its manager.
#[must_use]
pub fn bare(unit: &str) -> &str {
    match Named::read(unit) {
        Named::Main => unit,
        Named::Every(name) | Named::Of(_, name) => name,
    }
}

/// The unit of this name in every user's manager.
#[must_use]
pub fn of_users(unit: &str) -> String {
    format!("{EVERY}{unit}")
}

/// The unit of this name in the manager of one user.
pub(super) fn of_one(uid: u32, unit: &str) -> String {
    format!("{ONE}{uid}/{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_whose_unit_it_is() {
        for (name, manager, unit) in [
            ("a.service", Named::Main, "a.service"),
            ("user@1000.service", Named::Main, "user@1000.service"),
            ("user/a.service", Named::Every("a.service"), "a.service"),
            ("user@1000/a.service", Named::Of(1000, "a.service"), "a.service"),
            ("user@x/a.service", Named::Main, "user@x/a.service"),
        ] {
            assert_eq!((Named::read(name), bare(name)), (manager, unit), "{name}");
        }
        assert_eq!(Named::read(&of_one(7, "b.socket")), Named::Of(7, "b.socket"));
        assert!(is_of_users(&of_users("b.socket")) && !is_of_users("b.socket"));
    }
}
