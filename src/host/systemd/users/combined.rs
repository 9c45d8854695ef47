//! What several managers say of one unit, as one answer: pure. The worst of those counts for whom the unit is wanted.

use crate::host::systemd::answers;
use crate::host::systemd::{JobFault, Observed, UnitStatus};

/// The state of a unit that no manager has: it reads its files when it is started.
pub(super) fn absent(unit: &str) -> UnitStatus {
    UnitStatus {
        unit: unit.to_owned(),
        load_state: "loaded".to_owned(),
        active_state: "inactive".to_owned(),
        job: None,
        was_stopped: false,
    }
}

/// The same state under another name.
pub(super) fn called(unit: &str, status: UnitStatus) -> UnitStatus {
    UnitStatus { unit: unit.to_owned(), ..status }
}

/// The same observation under another name.
pub(super) fn seen(unit: &str, observed: Observed) -> Observed {
    Observed { status: called(unit, observed.status), ..observed }
}

/// What there is to see where no manager is.
pub(super) fn unobserved(unit: &str) -> Observed {
    answers::bare(absent(unit), None)
}

/// How bad a state is, the worst first. A user's own unit that can't be acted on is that user's concern.
fn rank(status: &UnitStatus) -> u8 {
    match status {
        status if status.load_state == "not-found" => 4,
        status if !status.is_wanted() || !status.is_usable() => 3,
        status if status.active_state == "failed" => 0,
        status if !status.is_up() => 1,
        _ => 2,
    }
}

/// The state of a unit for all users. That one of them has no such unit does not matter if another has it.
pub(super) fn status(unit: &str, all: impl Iterator<Item = UnitStatus>) -> UnitStatus {
    let worst = all.min_by_key(rank).map(|status| called(unit, status));
    worst.map_or_else(
        || absent(unit),
        |status| {
            if rank(&status) == 3 { UnitStatus { was_stopped: status.was_stopped, ..absent(unit) } } else { status }
        },
    )
}

/// The same in more detail; the restarts are those of all.
pub(super) fn observed(unit: &str, all: impl Iterator<Item = Observed>) -> Observed {
    let all: Vec<Observed> = all.collect();
    let restarts = all.iter().filter_map(|one| one.restarts).reduce(u32::saturating_add);
    let since = all.iter().filter_map(|one| one.active_since).max();
    let Some(worst) = all.into_iter().min_by_key(|one| rank(&one.status)) else { return unobserved(unit) };
    let active_since = worst.active_since.and(since);
    Observed { restarts: worst.restarts.and(restarts), active_since, ..seen(unit, worst) }
}

/// A fault with the name of the user whose unit has it.
pub(super) fn of_user(name: &str, fault: JobFault) -> JobFault {
    let told = |reason: String| format!("user {name}: {reason}");
    match fault {
        JobFault::Refused(reason) => JobFault::Refused(told(reason)),
        JobFault::Hindered(reason) => JobFault::Hindered(told(reason)),
        JobFault::Stopped(reason) => JobFault::Stopped(told(reason)),
        JobFault::Failed(reason) => JobFault::Failed(told(reason)),
        JobFault::Interrupted => JobFault::Interrupted,
    }
}

/// The worse of two results of one job.
pub(super) fn worse(one: Result<(), JobFault>, other: Result<(), JobFault>) -> Result<(), JobFault> {
    let rank = |result: &Result<(), JobFault>| match result {
        Err(JobFault::Interrupted) => 0,
        Err(JobFault::Failed(_)) => 1,
        Err(JobFault::Refused(_)) => 2,
        Err(JobFault::Hindered(_)) => 3,
        // One who stopped the unit has it as they want it.
        Err(JobFault::Stopped(_)) | Ok(()) => 4,
    };
    if rank(&other) < rank(&one) { other } else { one }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(active: &str, load: &str) -> UnitStatus {
        UnitStatus { load_state: load.to_owned(), active_state: active.to_owned(), ..absent("a.service") }
    }

    #[test]
    fn the_worst_of_those_who_want_it_counts() {
        let active = |all: &[UnitStatus]| status("user/a.service", all.iter().cloned()).active_state;
        let (up, down, failed) = (state("active", "loaded"), state("inactive", "loaded"), state("failed", "loaded"));
        assert_eq!(active(&[]), "inactive");
        assert_eq!(active(&[down.clone(), up.clone()]), "active");
        assert_eq!(active(&[up.clone(), failed.clone(), down.clone()]), "failed");
        assert_eq!(active(&[up.clone(), state("activating", "loaded")]), "activating");
        // A user who masks a unit, or broke it, has it alone.
        let masked = status("user/a.service", [state("inactive", "masked")].into_iter());
        assert_eq!((masked.load_state.as_str(), masked.unit.as_str()), ("loaded", "user/a.service"));
        assert_eq!(active(&[state("active", "bad-setting"), up.clone()]), "active");
        // Nobody has it: a mistake. One does not: theirs.
        let nowhere = status("user/a.service", [state("inactive", "not-found")].into_iter());
        assert_eq!(nowhere.load_state, "not-found");
        assert_eq!(status("user/a.service", [state("inactive", "not-found"), up].into_iter()).load_state, "loaded");
    }

    #[test]
    fn what_a_user_stopped_is_no_fault() {
        let failed = || Err(JobFault::Failed("a".to_owned()));
        let stopped = || Err(JobFault::Stopped("b".to_owned()));
        assert_eq!(worse(Ok(()), stopped()), Ok(()));
        assert_eq!(worse(stopped(), failed()), failed());
        assert_eq!(worse(failed(), Ok(())), failed());
        assert_eq!(worse(failed(), Err(JobFault::Interrupted)), Err(JobFault::Interrupted));
    }
}
