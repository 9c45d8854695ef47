//! The records of the log that somebody asks for.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::ControlFlow;
use std::time::SystemTime;

use super::caller::is_of;
use super::{Refused, System, lookup};
use crate::attr_path::AttrPath;
use crate::evaluated::SYSTEM;
use crate::overrides::{Folded, Kind, Record, expression_paths};
use crate::plan::allowed;
use crate::reconcile::concerns;
use crate::render::secrets::Secrets;
use crate::time;

/// Which records are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// About this service, or this path.
    pub about: Option<String>,
    /// By this user, with or without the daemon.
    pub by: Option<String>,
    /// Made since then.
    pub since: Option<SystemTime>,
    /// Only the last ones.
    pub last: Option<usize>,
}

/// A record, and whether it counts.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The record, without its secrets.
    pub record: Record,
    /// Whether it counts: no rollback and no rejection leaves it out.
    pub holds: bool,
    /// Why it was rejected.
    pub rejected: Option<String>,
}

/// What is asked about.
pub(super) enum About {
    /// Everything.
    All,
    /// A service.
    Service(String),
    /// A path, what is above it and what is below.
    Path(AttrPath),
}

impl System<'_> {
    /// Shows the records that `filter` takes, oldest first, to `see`, until that has seen enough. Only as many as are asked
    /// for are in memory at a time.
    pub fn records(&self, filter: &Filter, mut see: impl FnMut(&Shown) -> bool) -> anyhow::Result<()> {
        let about = self.about(filter.about.as_deref())?;
        let secrets = Secrets::new(&self.plan);
        let mut last: VecDeque<Shown> = VecDeque::new();
        let mut of: BTreeMap<u64, bool> = BTreeMap::new();
        self.log().each(|record, fate| {
            let is_about = self.is_about(&record, &about, &of);
            if !matches!(about, About::All) {
                of.insert(record.id, is_about);
            }
            if !is_about || !is_by(&record, filter) || !is_since(&record, filter) {
                return ControlFlow::Continue(());
            }
            let holds = fate.counts && !matches!(record.kind, Kind::Rollback(_) | Kind::Reject { .. });
            let rejected = fate.rejected.map(str::to_owned);
            let shown = Shown { record: secrets.shown_record(record), holds, rejected };
            match filter.last {
                None if !see(&shown) => return ControlFlow::Break(()),
                None => {}
                Some(most) => {
                    last.push_back(shown);
                    if last.len() > most {
                        last.pop_front();
                    }
                }
            }
            ControlFlow::Continue(())
        })?;
        let _ = last.iter().try_for_each(|shown| see(shown).then_some(()));
        Ok(())
    }

    /// What a service's name, or a path, asks about.
    pub(super) fn about(&self, text: Option<&str>) -> anyhow::Result<About> {
        let Some(text) = text else { return Ok(About::All) };
        if self.plan.services.contains_key(text) || text == SYSTEM && allowed::any(&self.plan) {
            return Ok(About::Service(text.to_owned()));
        }
        let path = lookup::parse(text)?;
        if path.names().len() < 2 {
            // The error about a service that is not there says what there is.
            lookup::services(&self.plan, &[text.to_owned()])?;
            return Err(Refused(format!("{text} is no service and no path")).into());
        }
        Ok(About::Path(path))
    }

    /// Whether a path is what is asked about.
    pub(super) fn takes(&self, about: &About, path: &AttrPath) -> bool {
        match about {
            About::All => true,
            About::Service(service) => self.is_of(service, path),
            About::Path(asked) => path.starts_with(asked) || asked.starts_with(path),
        }
    }

    /// Whether a path is one of a service, or of the options of no service.
    fn is_of(&self, service: &str, path: &AttrPath) -> bool {
        if service == SYSTEM { allowed::is_evaluated(&self.plan, path) } else { concerns(&self.plan, service, path) }
    }

    /// Whether a path is one of these services, or of any.
    pub(super) fn is_of_any(&self, only: Option<&BTreeSet<String>>, path: &AttrPath) -> bool {
        only.is_none_or(|only| only.iter().any(|service| self.is_of(service, path)))
    }

    /// Warns of the records without a value, of those that are about such a path.
    pub(super) fn warn_of_unevaluated(&self, folded: &Folded, is_about: impl Fn(&AttrPath) -> bool) {
        for one in folded.unevaluated.iter().filter(|one| one.paths.iter().any(&is_about)) {
            self.session.progress().warn(&format!("left out: {one}"));
        }
    }

    fn is_about(&self, record: &Record, about: &About, of: &BTreeMap<u64, bool>) -> bool {
        let takes = |path: &AttrPath| self.takes(about, path);
        match (&record.kind, about) {
            // A rollback is about whatever it takes back; what an expression is about is in its text.
            (_, About::All) | (Kind::Rollback(_), _) => true,
            (Kind::Reject { id, .. }, _) => of.get(id).copied().unwrap_or(true),
            (Kind::Expression(text), _) => expression_paths(text).iter().any(takes),
            _ => record.paths().into_iter().any(takes),
        }
    }
}

fn is_by(record: &Record, filter: &Filter) -> bool {
    let Some(wanted) = &filter.by else { return true };
    record.by.as_deref().is_some_and(|by| is_of(by, wanted))
}

fn is_since(record: &Record, filter: &Filter) -> bool {
    let Some(since) = filter.since else { return true };
    record.time.as_deref().and_then(|text| time::read(text).ok()).is_some_and(|made| made >= since)
}
