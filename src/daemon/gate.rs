//! The daemon's gate: lets a request through, or says why not. Root may do everything; for everybody else the plan's
//! rules decide ([`policy`](super::policy)), and what they may do how often is counted here.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use super::answer::Denied;
use super::peer::{Names, Peer};
use super::policy::{self, Effect, Rate, Used};
use crate::apply::state::State;
use crate::attr_path::AttrPath;
use crate::commands::change::{Context, planned};
use crate::commands::{exit_of, place};
use crate::exit::Exit;
use crate::messages;
use crate::overrides::Change;
use crate::plan::{DaemonSpec, Method};
use crate::request::Request;

/// When each part of a rule last let each user through.
#[derive(Debug, Default)]
pub struct Gate {
    uses: BTreeMap<(u32, Used), VecDeque<Instant>>,
}

/// A request that may go on.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Admitted {
    /// Only these services may be applied for it; all where `None`.
    pub only: Option<BTreeSet<String>>,
}

impl Gate {
    /// Lets a request through.
    pub fn admit(
        &mut self,
        request: &Request,
        peer: Peer,
        names: &Names,
        context: &Context<'_>,
    ) -> Result<Admitted, Denied> {
        if peer.is_root() {
            return Ok(Admitted::default());
        }
        let nobody = policy::nobody();
        let spec = context.plan.daemon.as_ref().unwrap_or(&nobody);
        let method = match request {
            Request::Append(_) => Method::Append,
            Request::Unset(_) => Method::Unset,
            Request::Rollback(_) => Method::Rollback,
            Request::Reset(_) => Method::Reset,
            Request::Apply(one) => return applied(&one.services, spec, names, context),
            Request::Confirm(_) => return confirmed(names, context),
        };
        only_root(request, names)?;
        let effects = effects(request, context)?;
        let used = policy::judge(spec, names, method, &effects)?;
        if used.is_empty() {
            return Err(Denied::NotAllowed(format!("{} has nothing to go back from there", names.user)));
        }
        self.count(peer.user, &used, spec, Instant::now())?;
        let services = effects.iter().filter_map(|effect| place::find(context.plan, &effect.path).ok());
        Ok(Admitted { only: Some(services.map(|place| place.service_name.to_owned()).collect()) })
    }

    /// Counts one use of each part of a rule, or none of them.
    fn count(&mut self, caller: u32, parts: &[Used], spec: &DaemonSpec, now: Instant) -> Result<(), Denied> {
        let limited: Vec<(&Used, Rate, &str)> = parts
            .iter()
            .filter_map(|one| {
                let rate = spec.allow.get(&one.rule)?.options.get(&one.pattern)?.rate.as_deref()?;
                // One that can't be read was refused when the system was built.
                Some((one, Rate::parse(rate).ok()?, rate))
            })
            .collect();
        for (one, rate, text) in &limited {
            let times = self.uses.entry((caller, (*one).clone())).or_default();
            while times.front().is_some_and(|first| now.duration_since(*first) >= rate.period) {
                times.pop_front();
            }
            if let (true, Some(first)) = (times.len() >= rate.times as usize, times.front()) {
                let retry = rate.period.saturating_sub(now.duration_since(*first));
                return Err(Denied::TooOften { reason: format!("{}: only {text} are allowed", one.pattern), retry });
            }
        }
        for (one, ..) in limited {
            self.uses.entry((caller, one.clone())).or_default().push_back(now);
        }
        Ok(())
    }
}

/// What is read with root's rights, or run, is for root to say.
fn only_root(request: &Request, names: &Names) -> Result<(), Denied> {
    let Request::Append(one) = request else { return Ok(()) };
    let what = match (&one.expression, &one.secret_file) {
        (Some(_), _) => "give a Nix expression",
        (_, Some(_)) => "name a secret's file",
        (None, None) => return Ok(()),
    };
    Err(Denied::NotAllowed(format!("{} may not {what}; only root may", names.user)))
}

/// What a request would change.
fn effects(request: &Request, context: &Context<'_>) -> Result<Vec<Effect>, Denied> {
    let refused = |error: anyhow::Error| match exit_of(&error) {
        Exit::Refused => Denied::OutOfBounds(messages::chain(&error)),
        _ => Denied::NotAllowed(messages::chain(&error)),
    };
    let log = context.log();
    let changes = planned(request, context).map_err(refused)?;
    let before = log.fold().map_err(|error| refused(error.into()))?;
    let after = log.preview(&changes).map_err(|error| refused(error.into()))?;
    let mut effects = policy::effects(&before.overlay, &after.overlay);
    // What is taken back where nothing is has to be allowed as well.
    let gone = changes.iter().filter_map(|change| match change {
        Change::Unset(path) => Some(Effect { path: path.clone(), value: None }),
        _ => None,
    });
    effects.extend(gone);
    Ok(effects)
}

fn applied(services: &[String], spec: &DaemonSpec, names: &Names, context: &Context<'_>) -> Result<Admitted, Denied> {
    let may = |service: &str| {
        let options = context.plan.services.get(service).into_iter().flat_map(|service| service.options.keys());
        let options: Vec<AttrPath> = options.filter_map(|option| AttrPath::parse(option).ok()).collect();
        policy::may_apply(spec, names, &options)
    };
    if let Some(service) = services.iter().find(|service| !may(service)) {
        return Err(Denied::NotAllowed(format!(
            "{} may not apply what is recorded for {service} (dynamicism.daemon.allow)",
            names.user
        )));
    }
    if services.is_empty() {
        let own: Vec<&String> = context.plan.services.keys().filter(|service| may(service)).collect();
        let own = own.iter().map(|one| one.as_str()).collect::<Vec<_>>().join(" ");
        let hint =
            if own.is_empty() { String::new() } else { format!("; name the services, as in `dynix apply {own}`") };
        return Err(Denied::NotAllowed(format!("{} may not apply everything{hint}", names.user)));
    }
    Ok(Admitted { only: Some(services.iter().cloned().collect()) })
}

/// Who put a change on trial may end it.
fn confirmed(names: &Names, context: &Context<'_>) -> Result<Admitted, Denied> {
    let trial = State::load(&context.paths.state()).ok().and_then(|state| state.trial);
    match trial {
        Some(trial) if trial.by != names.by() => {
            Err(Denied::NotAllowed(format!("the change that awaits its confirmation is not {}'s", names.user)))
        }
        _ => Ok(Admitted::default()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    #[test]
    fn more_often_than_allowed_is_refused_until_the_time_is_over() {
        let spec: DaemonSpec =
            serde_json::from_value(json!({"allow": {"r": {"options": {"a": {"rate": "2/min"}}}}})).unwrap();
        let used = [Used { rule: "r".to_owned(), pattern: "a".to_owned() }];
        let (mut gate, now) = (Gate::default(), Instant::now());
        let mut count = |user, seconds| gate.count(user, &used, &spec, now + Duration::from_secs(seconds));
        assert_eq!((count(1, 0), count(1, 10)), (Ok(()), Ok(())));
        let Err(Denied::TooOften { retry, .. }) = count(1, 20) else { panic!("it is let through") };
        assert_eq!(retry, Duration::from_secs(40));
        assert_eq!(count(2, 20), Ok(()));
        assert_eq!((count(1, 60), count(1, 61).is_err(), count(1, 70)), (Ok(()), true, Ok(())));
    }
}
