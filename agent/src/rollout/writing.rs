//! The transactions of rollouts: each compares what it was decided on. Pure.

use crate::etcd::entry::{Change, Entry, Step};
use crate::etcd::keys::Fleet;
use crate::etcd::message::{
    CREATE, Compare, DeleteRangeRequest, EQUAL, MODIFIED, PutRequest, Request, RequestOp, TargetUnion, TxnRequest,
};
use serde::Serialize;

use super::done::Done;
use super::state::{Before, Rollout};
use super::step::Effect;

/// Puts a value as JSON.
pub fn put(key: String, value: &impl Serialize) -> RequestOp {
    leased(key, value, 0)
}

/// Puts a value as JSON, for as long as the lease is.
pub fn leased(key: String, value: &impl Serialize, lease: i64) -> RequestOp {
    // Maps have text as keys, and all floats are numbers, so every value can be written.
    let value = serde_json::to_vec(value).unwrap_or_default();
    RequestOp { request: Some(Request::Put(PutRequest { key: key.into_bytes(), value, lease })) }
}

/// Deletes a key.
#[must_use]
pub fn delete(key: String) -> RequestOp {
    let delete = DeleteRangeRequest { key: key.into_bytes(), range_end: Vec::new() };
    RequestOp { request: Some(Request::Delete(delete)) }
}

/// A key is as it was at a revision; 0: there is none.
#[must_use]
pub fn is_of(key: String, revision: i64) -> Compare {
    Compare {
        result: EQUAL,
        target: MODIFIED,
        key: key.into_bytes(),
        target_union: Some(TargetUnion::ModRevision(revision)),
    }
}

/// A key is there since a revision.
#[must_use]
pub fn is_since(key: String, revision: i64) -> Compare {
    Compare {
        result: EQUAL,
        target: CREATE,
        key: key.into_bytes(),
        target_union: Some(TargetUnion::CreateRevision(revision)),
    }
}

/// What a step puts into effect.
#[must_use]
pub fn operation(key: String, step: &Step, said: &Entry, lease: i64) -> RequestOp {
    match step {
        Step::Set(value) => leased(key, &Entry { value: value.clone(), ..said.clone() }, lease),
        Step::Unset => delete(key),
    }
}

/// The paths are as they were.
pub fn unchanged<'b>(fleet: &Fleet, rollout: &'b Rollout) -> impl Iterator<Item = Compare> + use<'b> {
    let prefix = fleet.target(&rollout.target);
    rollout.before.iter().map(move |(path, Before { revision, .. })| is_of(format!("{prefix}{path}"), *revision))
}

/// What a decision writes, if the rollout is still as it was at the revision `of`.
#[must_use]
pub fn transaction(fleet: &Fleet, next: &Rollout, effect: Effect, of: i64) -> TxnRequest {
    let prefix = fleet.target(&next.target);
    let mut compare = vec![is_of(fleet.rollout(&next.id), of)];
    let mut success = vec![put(fleet.rollout(&next.id), next)];
    match effect {
        Effect::Note => {}
        Effect::Begin => success.push(put(fleet.wave(&next.target), &next.values())),
        Effect::Finish => {
            compare.extend(unchanged(fleet, next));
            let said = Entry {
                value: serde_json::Value::Null,
                by: next.by.clone(),
                message: next.message.clone(),
                time: Some(next.time.clone()),
            };
            success.push(delete(fleet.wave(&next.target)));
            success.extend(next.steps.iter().map(|(path, step)| operation(format!("{prefix}{path}"), step, &said, 0)));
            let change = Change { by: next.by.clone(), message: next.message.clone() };
            success.push(put(fleet.change(&next.target), &change));
            success.push(put(fleet.log(&next.id), &Done::of(next)));
        }
        Effect::TakeBack => {
            success.push(delete(fleet.wave(&next.target)));
            let reason = next.reason.as_deref().unwrap_or_default();
            let change = Change {
                by: next.by.clone(),
                message: Some(format!("rollout {} is {}: {reason}", next.id, next.state)),
            };
            success.push(put(fleet.change(&next.target), &change));
            success.push(put(fleet.log(&next.id), &Done::of(next)));
        }
    }
    TxnRequest { compare, success, failure: Vec::new() }
}
