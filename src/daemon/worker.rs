//! The thread that changes settings, one apply at a time, as the command line does.
//!
//! Takes requests in turns; gives each caller its own answer. Requests within one window become one apply. If a service
//! does not take what several of them set together, dynix can't tell which of them is to blame. Then it rejects all of
//! them and tries each again by itself, so that nobody is refused for another user's request.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::channel::Outbox;
use super::gate::{Case, Gate};
use super::guard::{Broken, guarded};
use super::peer::{Names, Peer};
use super::server::{Message, Queues, Submission, Token};
use super::sessions::Sessions;
use crate::exit::Exit;
use crate::host::messages;
use crate::overrides::{self, LogFile};
use crate::reconcile;
use crate::reconcile::Occasion;
use crate::reconcile::report::Report;
use crate::system::caller::Caller;
use crate::system::confirm::Settled;
use crate::system::record::Recorded;
use crate::system::request::Request;
use crate::system::{self, System};
use crate::telemetry::journal::Entry;
use crate::varlink::answer::{Answer, Denied, part};
use crate::varlink::interface;

/// Most requests that become one apply.
const MOST: usize = 256;

/// The longest that a request waits for others.
const WINDOW: Duration = Duration::from_secs(60);

/// The thread that changes settings.
pub struct Worker<'w> {
    /// How the system is reached.
    sessions: Sessions,
    /// The source of requests.
    queues: &'w Queues,
    /// The way of answers to the loop.
    outbox: &'w Outbox,
    /// How long it waits for more requests before it applies.
    window: Duration,
    /// The rules for users.
    gate: Gate,
    /// The clients that still wait for an answer.
    owed: RefCell<BTreeSet<Token>>,
}

/// A request that is recorded and to be applied.
struct Pending {
    token: Token,
    peer: Peer,
    names: Names,
    request: Request,
    recorded: Recorded,
}

impl<'w> Worker<'w> {
    /// A worker without waiting clients.
    #[must_use]
    pub fn new(sessions: Sessions, queues: &'w Queues, outbox: &'w Outbox, window: Duration, gate: Gate) -> Self {
        let window = window.min(WINDOW);
        Self { sessions, queues, outbox, window, gate, owed: RefCell::default() }
    }

    /// Works until there is nothing more to do.
    pub fn run(self) {
        while let Some(first) = self.queues.changes.pop() {
            let waits = applies_together(&first.request) && applies(&first.request);
            let mut batch = vec![first];
            let deadline = Instant::now() + self.window;
            while waits && batch.len() < MOST {
                match self.queues.changes.pop_until(deadline, |next| applies_together(&next.request)) {
                    Some(next) => batch.push(next),
                    None => break,
                }
            }
            self.serve(batch);
        }
    }

    /// Works on some requests. However that ends, each of them is answered.
    fn serve(&self, batch: Vec<Submission>) {
        *self.owed.borrow_mut() = batch.iter().map(|change| change.token).collect();
        if let Err(broken) = guarded(|| self.work(batch)) {
            for token in self.owed.take() {
                self.answer(token, &faulty(&broken));
            }
        }
    }

    fn work(&self, batch: Vec<Submission>) {
        let session = self.sessions.session().ending(self.queues.ending.clone());
        let system = match session.open() {
            Ok(system) => system,
            Err(error) => {
                let answer = Answer { fault: Some(fault(&error)), ..Answer::default() };
                for change in batch {
                    self.answer(change.token, &answer);
                }
                return;
            }
        };
        let mut known: BTreeMap<Peer, Names> = BTreeMap::new();
        let mut pending = Vec::new();
        for change in batch {
            let token = change.token;
            let names = known.entry(change.peer.clone()).or_insert_with(|| change.peer.names()).clone();
            match guarded(|| self.record(change, names, &system)) {
                Ok(one) => pending.extend(one),
                Err(broken) => self.answer(token, &faulty(&broken)),
            }
        }
        if !pending.is_empty() {
            self.apply(pending, &system);
            system.verify_soon();
        }
    }

    /// Records a request, and answers it if nothing has to be applied for it.
    fn record(&self, submission: Submission, names: Names, system: &System<'_>) -> Option<Pending> {
        let Submission { token, peer, request } = submission;
        let by = names.by();
        let case = match self.gate.admit(&request, &peer, &names, system) {
            Ok(case) => case,
            Err(denied) => {
                self.deny(token, &peer, &names, &denied);
                return None;
            }
        };
        if let Request::Confirm(one) = &request {
            self.answer(token, &confirmed(system.confirm(one, case.trial(), &Caller::trusted(&by))));
            return None;
        }
        match recorded(&request, &case, &by, system) {
            Ok(recorded) if recorded.apply.is_some() => return Some(Pending { token, peer, names, request, recorded }),
            Ok(recorded) => self.answer(token, &noted(&recorded)),
            Err(error) => match error.downcast_ref::<Denied>() {
                Some(denied) => self.deny(token, &peer, &names, denied),
                None => self.answer(token, &Answer { fault: Some(fault(&error)), ..Answer::default() }),
            },
        }
        None
    }

    fn apply(&self, mut pending: Vec<Pending>, system: &System<'_>) {
        if let [one] = pending.as_mut_slice() {
            let answer = alone(&mut one.recorded, system);
            return self.answer(one.token, &answer);
        }
        let services: Option<BTreeSet<String>> = pending
            .iter()
            .map(|one| one.recorded.apply.as_ref().and_then(|request| request.services.clone()))
            .try_fold(BTreeSet::new(), |all, some| Some(all.into_iter().chain(some?).collect()));
        let by: BTreeSet<String> = pending.iter().map(|one| one.names.by()).collect();
        let by = by.into_iter().collect::<Vec<_>>().join(", ");
        let records =
            pending.iter().flat_map(|one| one.recorded.apply.iter().flat_map(|apply| &apply.records)).copied();
        let together = reconcile::Request { services, by, records: records.collect(), ..reconcile::Request::default() };
        match system.apply(&together) {
            Err(error) => {
                let fault = fault(&error);
                for one in pending {
                    self.answer(one.token, &Answer { fault: Some(fault.clone()), ..noted(&one.recorded) });
                }
            }
            Ok(report) => {
                let (again, settled): (Vec<Pending>, Vec<Pending>) =
                    pending.into_iter().partition(|one| is_rejected_with_others(one, &report));
                for one in settled {
                    let services = one.recorded.apply.as_ref().and_then(|request| request.services.as_ref());
                    let report = part(&report, services, &one.recorded.records);
                    self.answer(one.token, &Answer { report: Some(report), ..noted(&one.recorded) });
                }
                for one in again {
                    self.answer(one.token, &again_alone(&one, system));
                }
            }
        }
    }

    fn answer(&self, token: Token, answer: &Answer) {
        self.owed.borrow_mut().remove(&token);
        self.outbox.tell(Message::Reply(token, interface::answered(answer)));
    }

    fn deny(&self, token: Token, peer: &Peer, names: &Names, denied: &Denied) {
        Entry::denied(&names.user, peer.user, &denied.to_string()).send();
        self.owed.borrow_mut().remove(&token);
        self.outbox.tell(Message::Reply(token, interface::denied(denied)));
    }
}

/// Whether the request can share one apply with others: it names its services, and rolls back only if it does not work.
fn applies_together(request: &Request) -> bool {
    match request {
        Request::Append(one) => one.confirm.is_none(),
        Request::Set(one) => one.confirm.is_none(),
        Request::Unset(one) => one.confirm.is_none(),
        Request::Apply(one) => one.confirm.is_none() && !one.services.is_empty(),
        Request::Rollback(one) => !one.apply,
        Request::Undo(one) => !one.apply,
        Request::Redo(one) => !one.apply,
        Request::Reject(one) => !one.apply,
        // One that is rejected with others would count as refused.
        Request::SetLayer(_) | Request::Reset(_) | Request::Prune(_) | Request::Confirm(_) => false,
    }
}

fn applies(request: &Request) -> bool {
    match request {
        Request::Append(one) => one.apply,
        Request::Set(one) => one.apply,
        Request::SetLayer(one) => one.apply,
        Request::Unset(one) => one.apply,
        Request::Rollback(one) => one.apply,
        Request::Undo(one) => one.apply,
        Request::Redo(one) => one.apply,
        Request::Reject(one) => one.apply,
        Request::Reset(_) | Request::Apply(_) => true,
        Request::Prune(_) | Request::Confirm(_) => false,
    }
}

/// Whether its records were rejected by an apply of several requests. One whose records are the only ones that were
/// rejected is to blame itself.
fn is_rejected_with_others(one: &Pending, report: &Report) -> bool {
    let own = &one.recorded.records;
    report.rejected.iter().any(|id| own.contains(id)) && report.rejected.iter().any(|id| !own.contains(id))
}

fn alone(recorded: &mut Recorded, system: &System<'_>) -> Answer {
    let answer = noted(recorded);
    let Some(request) = recorded.apply.take() else { return answer };
    match system.apply(&request) {
        Ok(report) => Answer { report: Some(report), ..answer },
        Err(error) => Answer { fault: Some(fault(&error)), ..answer },
    }
}

/// Records and applies it once more, by itself.
fn again_alone(one: &Pending, system: &System<'_>) -> Answer {
    let by = one.names.by();
    let case = Case::again(&one.request, &one.peer, &one.names, system).map_err(anyhow::Error::from);
    match case.and_then(|case| recorded(&one.request, &case, &by, system)) {
        Err(error) => Answer { fault: Some(fault(&error)), ..noted(&one.recorded) },
        Ok(mut recorded) => {
            let mut answer = alone(&mut recorded, system);
            let records: Vec<String> = one.recorded.records.iter().map(u64::to_string).collect();
            answer.notes.insert(
                0,
                format!("record {} was rejected with those of others; it is tried again by itself", records.join(", ")),
            );
            answer
        }
    }
}

/// Records the permitted changes. A user with limited rights applies only their own changes, and ends no trial.
fn recorded(request: &Request, case: &Case<'_>, by: &str, system: &System<'_>) -> anyhow::Result<Recorded> {
    let judge = |log: &LogFile, changes: &[overrides::Draft]| case.judge(log, changes);
    let mut recorded = system.record(request, &Caller::judged(by, &judge))?;
    if let (Some(apply), Some(only)) = (&mut recorded.apply, case.only()) {
        apply.services.get_or_insert(only);
        apply.trial.iter_mut().for_each(|trial| trial.only_own = true);
        apply.occasion = Occasion::Asked;
    }
    Ok(recorded)
}

fn noted(recorded: &Recorded) -> Answer {
    let (records, what, notes) = (recorded.records.clone(), recorded.what.clone(), recorded.notes());
    Answer { records, what, changed: recorded.changed.clone(), notes, ..Answer::default() }
}

fn confirmed(outcome: anyhow::Result<Settled>) -> Answer {
    match outcome {
        Ok(settled) => Answer { report: Some(settled.report), confirmed: settled.confirmed, ..Answer::default() },
        Err(error) => Answer { fault: Some(fault(&error)), ..Answer::default() },
    }
}

fn fault(error: &anyhow::Error) -> (Exit, String) {
    (system::exit_of(error), messages::chain(error))
}

fn faulty(broken: &Broken) -> Answer {
    Answer { fault: Some((Exit::Failed, broken.to_string())), ..Answer::default() }
}

#[cfg(test)]
mod tests {
    use camino::Utf8Path;
    use serde_json::{Value, json};

    use super::*;
    use crate::build::{Input, generate};
    use crate::daemon::channel::{Mailbox, connect};
    use crate::daemon::uses::Uses;
    use crate::system::request::{Append, Rollback};
    use crate::system::session::Location;

    const WORKERS: &str = "services.harmonia.settings.workers";

    /// A tree where one user may do something.
    fn tree() -> tempfile::TempDir {
        let repository = Utf8Path::new(env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(repository.join("descriptions/harmonia.json")).unwrap();
        let mut description: Value = serde_json::from_str(&text).unwrap();
        let rule = json!({"users": ["3001"], "options": {WORKERS: {"rate": "9/h"}}});
        description["daemon"] = json!({"allow": {"limited": rule}});
        let input = Input {
            description: &description.to_string(),
            static_root: &repository.join("descriptions"),
            dynix: Utf8Path::new("/bin/dynix"),
            plan: Utf8Path::new("/etc/dynix/plan.json"),
        };
        let tree = generate(&input).unwrap();
        let (_, plan, _) = tree.files().find(|(path, ..)| *path == "plan.json").unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(directory.path().join("etc/dynix")).unwrap();
        std::fs::write(directory.path().join("etc/dynix/plan.json"), plan).unwrap();
        directory
    }

    #[test]
    fn a_request_that_panics_is_answered_and_so_are_the_others() {
        let directory = tree();
        let root = Utf8Path::from_path(directory.path()).unwrap();
        let location = Location { root: Some(root.to_owned()), ..Location::default() };
        let sessions = Sessions { location, ..Sessions::default() };
        let (queues, Ok(([outbox, _other], Mailbox { messages, .. }))) = (Queues::default(), connect()) else {
            panic!()
        };
        let uses = Uses::load(&root.join("run/dynix/uses.json")).unwrap();
        let worker = Worker::new(sessions, &queues, &outbox, Duration::ZERO, Gate { uses: uses.into() });
        let of = |token, user, request| Submission { token, peer: Peer { user, groups: Vec::new() }, request };
        let append = || Request::Append(Append { path: WORKERS.into(), value: Some(json!(5)), ..Append::default() });
        let answers = |batch| {
            worker.serve(batch);
            let heard = messages.try_iter().map(|messages| match messages {
                Message::Reply(token, reply) => {
                    (token, reply.error.unwrap_or_default(), reply.parameters["reason"].to_string())
                }
                other => panic!("{other:?}"),
            });
            heard.collect::<Vec<_>>()
        };
        // Whoever counts while somebody else does panics.
        let counting = worker.gate.uses.borrow_mut();
        let heard =
            answers(vec![of(1, 0, append()), of(2, 3001, append()), of(3, 0, Request::Rollback(Rollback::default()))]);
        assert_eq!(
            heard.iter().map(|(token, error, _)| (*token, error.as_str())).collect::<Vec<_>>(),
            [(1, ""), (2, "io.dynix.Settings.Failed"), (3, "")]
        );
        assert!(heard[1].2.contains("a fault of dynix itself: "), "{heard:?}");
        drop(counting);
        assert_eq!(answers(vec![of(4, 3001, append())])[0].1, "");
    }
}
