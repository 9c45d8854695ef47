//! The daemon's gate: lets a request through, or says why not. Root may do everything. For other users the plan's rules
//! decide ([`policy`]), and [`uses`] counts how often each user does what.
//!
//! A request passes twice: once before anything is read for it ([`Gate::admit`]), and once with the changes that it
//! makes, while the log is still the one that they were computed from ([`Case::judge`]).

use std::cell::RefCell;
use std::collections::BTreeSet;

use anyhow::Context as _;

use super::peer::{Names, Peer};
use super::policy::{self, Effect, Used};
use super::uses::{self, Uses};
use crate::attr_path::AttrPath;
use crate::evaluated::SYSTEM;
use crate::host::messages;
use crate::host::paths::Paths;
use crate::overrides::{Draft, LogError, LogFile};
use crate::plan::allowed;
use crate::plan::options;
use crate::plan::{DaemonSpec, Method, Plan};
use crate::reconcile::state::{State, Trial};
use crate::system::request::{Assignment, Request};
use crate::system::{System, lookup};
use crate::varlink::answer::Denied;

/// Lets requests through, and counts them.
#[derive(Debug)]
pub struct Gate {
    /// The requests that were let through.
    pub uses: RefCell<Uses>,
}

/// A request on its way through.
#[derive(Debug)]
pub struct Case<'c> {
    /// The limits of the caller; `None` for root.
    limits: Option<Limits<'c>>,
    /// The services that may be applied for it, of those that limits let it concern.
    services: RefCell<BTreeSet<String>>,
    /// The timer of the change on trial that it may end.
    trial: Option<String>,
}

/// A caller with limited rights.
#[derive(Debug)]
struct Limits<'c> {
    plan: &'c Plan,
    paths: &'c Paths,
    spec: DaemonSpec,
    user: u32,
    names: &'c Names,
    method: Method,
    /// The counts of its uses; `None` for a request that was counted before.
    uses: Option<&'c RefCell<Uses>>,
    /// The uses that are already counted, because a request may be judged twice.
    counted: RefCell<BTreeSet<Used>>,
}

impl Gate {
    /// Refuses what can be refused before anything is read for a request.
    pub fn admit<'c>(
        &'c self,
        request: &Request,
        peer: &Peer,
        names: &'c Names,
        system: &'c System<'c>,
    ) -> Result<Case<'c>, Denied> {
        Case::begin(request, peer, names, system, Some(&self.uses))
    }
}

impl<'c> Case<'c> {
    /// A request that was let through and counted, and is made once more.
    pub fn again(request: &Request, peer: &Peer, names: &'c Names, system: &'c System<'c>) -> Result<Self, Denied> {
        Self::begin(request, peer, names, system, None)
    }

    fn begin(
        request: &Request,
        peer: &Peer,
        names: &'c Names,
        system: &'c System<'c>,
        uses: Option<&'c RefCell<Uses>>,
    ) -> Result<Self, Denied> {
        let free = Self { limits: None, services: RefCell::default(), trial: None };
        if matches!(request, Request::Confirm(_)) {
            return Ok(Self { trial: found(peer, names, system)?, ..free });
        }
        if peer.is_root() {
            return Ok(free);
        }
        let System { plan, paths, .. } = system;
        let mut spec = plan.daemon.clone().unwrap_or_default();
        // The bounds of a source are for what comes from it, and for nothing else.
        let source = if let Request::SetLayer(one) = request { Some(&one.source) } else { None };
        spec.allow.retain(|_, rule| rule.source.as_ref() == source);
        let method = match request {
            Request::Append(_) | Request::Set(_) | Request::SetLayer(_) => Method::Append,
            Request::Unset(_) | Request::Prune(_) => Method::Unset,
            // They are judged by what comes and goes with them.
            Request::Rollback(_) | Request::Undo(_) | Request::Redo(_) | Request::Reject(_) => Method::Rollback,
            Request::Reset(_) => Method::Reset,
            Request::Apply(_) => Method::Apply,
            Request::Confirm(_) => return Ok(free),
        };
        policy::may_at_all(&spec, names, method)?;
        only_root(request, names)?;
        let services = match request {
            Request::Apply(one) => applied(&one.services, &spec, names, plan)?,
            // There may be nothing to take away, which is for those to hear who may take it.
            Request::Unset(one) => {
                let path = lookup::parse(&one.path).map_err(|error| Denied::OutOfBounds(error.to_string()))?;
                let gone = [Effect { path, value: None }];
                policy::judge(&spec, names, method, &gone)?;
                concerned(plan, &gone)
            }
            _ => BTreeSet::new(),
        };
        let limits = Limits { plan, paths, spec, user: peer.user, names, method, uses, counted: RefCell::default() };
        Ok(Self { limits: Some(limits), services: RefCell::new(services), trial: None })
    }

    /// Says whether the changes of a request may be recorded after `log`.
    pub fn judge(&self, log: &LogFile, changes: &[Draft]) -> anyhow::Result<()> {
        let Some(limits) = &self.limits else { return Ok(()) };
        if changes.is_empty() && matches!(limits.method, Method::Append | Method::Unset) {
            return Ok(());
        }
        let state = State::load(&limits.paths.state())?;
        let trial = state.trial.as_ref().map(Trial::confirmation).unwrap_or_default();
        let mut effects = effects(log, changes, &trial)?;
        if matches!(limits.method, Method::Append | Method::Unset) {
            // The caller needs the right to every path that is set or unset, whatever its present value is.
            effects.extend(changes.iter().flat_map(policy::given));
        }
        let used = policy::judge(&limits.spec, limits.names, limits.method, &effects)?;
        // What a source says can be without any effect, below what the host says.
        if used.is_empty() && limits.method != Method::Append {
            return Err(Denied::NotAllowed(format!("{} has nothing to go back from there", limits.names.user)).into());
        }
        limits.count(used)?;
        *self.services.borrow_mut() = concerned(limits.plan, &effects);
        Ok(())
    }

    /// The timer of the change on trial that it may end, if there is one.
    pub fn trial(&self) -> Option<&str> {
        self.trial.as_deref()
    }

    /// The only services that may be applied for it; `None` for all.
    pub fn only(&self) -> Option<BTreeSet<String>> {
        self.limits.as_ref().map(|_| self.services.borrow().clone())
    }
}

impl Limits<'_> {
    fn count(&self, allowed: Vec<Vec<Used>>) -> anyhow::Result<()> {
        let Some(uses) = self.uses else { return Ok(()) };
        let mut counted = self.counted.borrow_mut();
        // A use that was already counted is not counted again, and allows nothing new.
        let new = allowed.into_iter().filter(|parts| !parts.iter().any(|one| counted.contains(one))).collect();
        let (mut uses, now) = (uses.borrow_mut(), uses::now());
        let limited = uses.check(self.user, new, &self.spec, now)?;
        uses.count(self.user, &limited, &self.spec, now).context("cannot keep how often this user asked")?;
        counted.extend(limited);
        Ok(())
    }
}

/// Only root may have files read or programs run with root's rights.
fn only_root(request: &Request, names: &Names) -> Result<(), Denied> {
    let (has_expression, has_file) = match request {
        Request::Append(one) => (one.expression.is_some(), one.secret_file.is_some()),
        Request::Set(one) => {
            let any = |has: fn(&Assignment) -> bool| one.changes.iter().any(has);
            (any(|one| one.expression.is_some()), any(|one| one.secret_file.is_some()))
        }
        _ => return Ok(()),
    };
    let what = match (has_expression, has_file) {
        (true, _) => "give a Nix expression",
        (_, true) => "name a secret's file",
        (false, false) => return Ok(()),
    };
    Err(Denied::NotAllowed(format!("{} may not {what}; only root may", names.user)))
}

/// The effects of changes: now, and after a confirmation of the trial, whose records are before them in the log.
fn effects(log: &LogFile, changes: &[Draft], trial: &[Draft]) -> Result<Vec<Effect>, LogError> {
    let mut effects = Vec::new();
    let edited: Vec<AttrPath> = changes.iter().flat_map(Draft::paths).cloned().collect();
    for confirmation in [&[], trial] {
        let confirmed = [changes, confirmation].concat();
        let (before, after) = (log.preview(confirmation)?, log.preview(&confirmed)?);
        effects.extend(policy::effects(&before.overlay, &after.overlay, &edited));
        if trial.is_empty() {
            break;
        }
    }
    Ok(effects)
}

fn concerned(plan: &Plan, effects: &[Effect]) -> BTreeSet<String> {
    let places = effects.iter().filter_map(|effect| options::find(plan, &effect.path));
    let mut concerned: BTreeSet<String> = places.map(|place| place.service_name.to_owned()).collect();
    if effects.iter().any(|effect| allowed::is_evaluated(plan, &effect.path)) {
        concerned.insert(SYSTEM.to_owned());
    }
    concerned
}

fn applied(services: &[String], spec: &DaemonSpec, names: &Names, plan: &Plan) -> Result<BTreeSet<String>, Denied> {
    let may = |service: &str| {
        if service == SYSTEM {
            return policy::may_apply_any(spec, names, |pattern| allowed::meets(plan, pattern));
        }
        let options = plan.services.get(service).into_iter().flat_map(|service| service.options.keys());
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
        let own: Vec<&String> = plan.services.keys().filter(|service| may(service)).collect();
        let own = own.iter().map(|one| one.as_str()).collect::<Vec<_>>().join(" ");
        let hint =
            if own.is_empty() { String::new() } else { format!("; name the services, as in `dynix apply {own}`") };
        return Err(Denied::NotAllowed(format!("{} may not apply everything{hint}", names.user)));
    }
    Ok(services.iter().cloned().collect())
}

/// The trial, by its timer. The user who started it may end it, and so may root.
fn found(peer: &Peer, names: &Names, system: &System<'_>) -> Result<Option<String>, Denied> {
    let state = State::load(&system.paths.state());
    if peer.is_root() {
        // The worker reports an error in the state file.
        return Ok(state.ok().and_then(|state| state.trial).map(|trial| trial.timer));
    }
    match state.map_err(|error| Denied::NotAllowed(messages::chain(&error.into())))?.trial {
        Some(trial) if trial.by != names.by() => {
            Err(Denied::NotAllowed(format!("the change that awaits its confirmation is not {}'s", names.user)))
        }
        trial => Ok(trial.map(|trial| trial.timer)),
    }
}
