//! Checks the limits of the users' service managers: those of a user's own plan, and those of the system's for all users.

use crate::build::problem::{Place, Problems};
use crate::host::systemd::users::is_of_users;
use crate::plan::{Attach, OnChange, Plan, Scope, Service};

/// Finds what can't be done there.
pub fn check(plan: &Plan, problems: &mut Problems) {
    if plan.scope == Scope::User {
        of_the_system(plan, problems);
    }
    for (name, service) in &plan.services {
        let place = Place::top().keys(["services", name]);
        let concerned: Vec<&String> =
            service.units.keys().filter(|unit| plan.scope == Scope::User || is_of_users(unit)).collect();
        for unit in &concerned {
            check_unit(&place, unit, service, problems);
            if plan.scope == Scope::User && is_of_users(unit) {
                problems.add(
                    &place.keys(["units", unit]),
                    "every unit of a user's plan is one of this user; leave user/ out",
                );
            }
        }
        match plan.scope {
            Scope::User => links(&place, service, problems),
            Scope::System if !concerned.is_empty() => for_all(&place, service, problems),
            Scope::System => {}
        }
    }
}

/// What only the system has.
fn of_the_system(plan: &Plan, problems: &mut Problems) {
    let top = Place::top();
    for (key, is_there) in [
        ("daemon", plan.daemon.is_some()),
        ("metrics", plan.metrics.is_some()),
        ("options", !plan.options.is_empty()),
        ("sources", !plan.sources.is_empty()),
    ] {
        if is_there {
            problems.add(&top.key(key), "only the system has this, and no user");
        }
    }
}

fn check_unit(place: &Place, name: &str, service: &Service, problems: &mut Problems) {
    let files = || service.files.iter().filter(|(_, file)| file.is_read_by(name));
    let is_reloaded = service.units.get(name).is_some_and(|unit| unit.on_change == OnChange::Reload);
    // bus_unit_method_bind_mount, src/core/dbus-unit.c
    if is_reloaded && files().any(|(_, file)| matches!(file.attach, Attach::Bind(_))) {
        problems.add(
            &place.keys(["units", name]).key("onChange"),
            "a user's service manager can't show a running unit another file, so a reload would read the old one; say restart",
        );
    }
    for (file, _) in files().filter(|(_, file)| matches!(file.attach, Attach::Credential(_))) {
        problems.add(
            &place.keys(["files", file]).key("attach"),
            "a unit of a user's service manager has its credentials elsewhere; attach the file by bind",
        );
    }
}

/// A user can't swap links under /etc.
fn links(place: &Place, service: &Service, problems: &mut Problems) {
    for (file, _) in service.files.iter().filter(|(_, file)| matches!(file.attach, Attach::Etc(_))) {
        problems
            .add(&place.keys(["files", file]).key("attach"), "only root can swap a link under /etc; attach it by bind");
    }
}

/// One file for the units of all users.
fn for_all(place: &Place, service: &Service, problems: &mut Problems) {
    let is_read =
        |file: &crate::plan::File| service.units.keys().any(|unit| is_of_users(unit) && file.is_read_by(unit));
    for (name, _) in service.files.iter().filter(|(_, file)| is_read(file) && !file.is_public()) {
        problems.add(
            &place.keys(["files", name]).key("mode"),
            "units of all users read it, so everybody has to be able to; a secret can't be in it",
        );
    }
    for unit in service.drop_ins.keys().filter(|unit| is_of_users(unit)) {
        problems.add(
            &place.keys(["dropIns", unit]),
            "dynix does not reload the unit files of every user's manager, so a drop-in that follows a value would have no effect",
        );
    }
}
