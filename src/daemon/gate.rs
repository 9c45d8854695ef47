//! The daemon's gate: lets a request through, or says why not. Root may do everything; for everybody else the plan's
//! rules decide ([`policy`](super::policy)), and what they may do how often is counted by [`uses`](super::uses).

use std::collections::BTreeSet;

use super::answer::Denied;
use super::peer::{Names, Peer};
use super::policy::{self, Effect};
use super::uses::{self, Uses};
use crate::apply::state::State;
use crate::attr_path::AttrPath;
use crate::commands::change::{Context, planned};
use crate::commands::exit_of;
use crate::exit::Exit;
use crate::messages;
use crate::overrides::Change;
use crate::places;
use crate::plan::{DaemonSpec, Method};
use crate::request::Request;

/// Lets requests through, and counts them.
#[derive(Debug, Default)]
pub struct Gate {
    /// What was let through.
    pub uses: Uses,
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
        peer: &Peer,
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
        self.uses.count(peer.user, &used, spec, uses::now())?;
        let services = effects.iter().filter_map(|effect| places::find(context.plan, &effect.path));
        Ok(Admitted { only: Some(services.map(|place| place.service_name.to_owned()).collect()) })
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
