//! The fold: from records to the overrides in effect.
//!
//! Takes an open log (and the state at an earlier place of it, if that is known); gives the state at its end. It makes
//! one pass if no record is undone, and otherwise a second one over the records that count.

use std::collections::HashMap;
use std::ops::ControlFlow;

use camino::Utf8Path;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::LogError;
use super::chain::{Chain, Control, Unknown};
use super::entry::{Entry, Operation, attr_path, plain_names};
use super::expressions::Wanted;
use super::hand;
use super::layers::Layers;
use super::overlay::Overlay;
use super::reader::{Digest, End, Found, Place, Reader};
use super::record::{Kind, Record, leaves_at};
use crate::attr_path::AttrPath;

/// The source of records: the log, and records that are not in it yet.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub file: &'a std::fs::File,
    pub path: &'a Utf8Path,
    pub size: u64,
    /// Fold up to this record, not to the end.
    pub until: Option<u64>,
    /// Records that follow those of the log.
    pub further: &'a [Entry<'static>],
    /// Takes what is read of the log.
    pub digest: Option<&'a Digest>,
}

/// The state right after a record: all that is needed to continue from there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    pub place: Place,
    pub ids: Ids,
    /// The host's own overrides.
    pub overlay: Overlay,
    #[serde(default, skip_serializing_if = "Layers::is_empty")]
    pub layers: Layers,
    /// The records in effect that stop to count by themselves.
    pub ends: Vec<(u64, String)>,
}

/// Which ids there are: ranges with both ends, ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Ids(Vec<(u64, u64)>);

impl Ids {
    pub fn push(&mut self, id: u64) {
        match self.0.last_mut() {
            Some((_, last)) if *last + 1 == id => *last = id,
            _ => self.0.push((id, id)),
        }
    }

    pub fn contains(&self, id: u64) -> bool {
        let index = self.0.partition_point(|(_, last)| *last < id);
        self.0.get(index).is_some_and(|(first, _)| *first <= id)
    }

    /// The greatest that is not above `id`.
    pub fn up_to(&self, id: u64) -> Option<u64> {
        let (_, last) = self.0[..self.0.partition_point(|(first, _)| *first <= id)].last()?;
        Some(id.min(*last))
    }

    pub fn last(&self) -> u64 {
        self.0.last().map_or(0, |(_, last)| *last)
    }
}

/// The result of a fold.
#[derive(Debug)]
pub(super) struct FoldResult {
    pub state: State,
    pub end: End,
    /// The state to continue from the next time, if it is worth remembering.
    pub checkpoint: Option<State>,
    /// The paths of expressions without a value, unless a later record replaces them.
    pub pending: Vec<(u64, AttrPath)>,
}

/// Evaluates records that are expressions; gives `None` for one that has no value.
pub(super) type Evaluate<'a> = &'a dyn Fn(&[Wanted], &End) -> Result<Vec<Option<Kind>>, LogError>;

/// How much of the log a checkpoint leaves to be folded again (bytes). The last records are the ones that are undone
/// most often, and undoing them must not cost a fold of the whole log.
const REFOLDED: u64 = 64 * 1024;
/// How much may be folded again before a new checkpoint is made.
const CHECKPOINT_EVERY: u64 = 2 * REFOLDED;

/// Folds the records of `source` on top of `base`, which has to be a state of this very log. `evaluate` gives the values
/// of records that are not plain data.
pub(super) fn fold(source: &Source<'_>, base: Option<&State>, evaluate: Evaluate<'_>) -> Result<FoldResult, LogError> {
    let unfolded = source.size - base.map_or(0, |base| base.place.offset);
    let mark = (unfolded > CHECKPOINT_EVERY).then(|| source.size - REFOLDED);
    let mut difference = Difference::new(base, mark);
    let end = each(source, base, |entry, found| difference.visit(source.path, entry, found))?;
    if difference.plain {
        difference.folding.settled();
        return Ok(FoldResult {
            state: difference.folding.state,
            end,
            checkpoint: difference.marked,
            pending: Vec::new(),
        });
    }
    let from = base.map_or(0, |base| base.place.id);
    let Ok(chain) = Chain::walk(difference.folding.state.place.id, &difference.controls, from) else {
        return fold(source, None, evaluate);
    };
    let wanted = difference.expressions(source, base, &chain, &|_| true)?;
    let mut kinds = evaluate(&wanted, &end)?.into_iter();
    let marked = difference.mark_in(&chain, from);
    let mut folding = Folding::from(base);
    if !chain.from_base {
        folding.clear();
    }
    let mut at_mark = None;
    each(source, base, |entry, found| {
        if marked.is_some_and(|id| found.id > id) && at_mark.is_none() {
            at_mark = Some(folding.settled().clone());
        }
        if chain.contains(found.id) {
            folding.apply(entry, found.id, &mut kinds);
        }
        folding.state.place = found.after;
        Ok(ControlFlow::Continue(()))
    })?;
    if let Some(marked) = &mut at_mark {
        marked.ids = difference.ids_at_mark.take().unwrap_or_default();
    }
    folding.settled().ids = difference.folding.state.ids;
    let state = std::mem::take(&mut folding.state);
    // The undone records are before the mark, so only the state after the record that undoes them can be continued
    // from. Evaluated values hold for one moment and are not kept, and further records may never be in the log.
    let at_end = mark.is_some() && wanted.is_empty() && source.further.is_empty();
    let checkpoint = at_mark.or_else(|| at_end.then(|| state.clone()));
    Ok(FoldResult { state, end, checkpoint, pending: folding.pending })
}

/// Checks the log after `base`, or all of it, without evaluating anything, and shows every record there to `see`.
pub(super) fn difference(
    source: &Source<'_>,
    base: Option<&State>,
    mut see: impl FnMut(&Entry<'_>, &Found),
) -> Result<(Difference, End), LogError> {
    let mut difference = Difference::new(base, None);
    let end = each(source, base, |entry, found| {
        see(&entry, &found);
        difference.visit(source.path, entry, found)
    })?;
    Ok((difference, end))
}

/// Gives every record of the source to `visit`; those of the log after `base` come first.
pub(super) fn each(
    source: &Source<'_>,
    base: Option<&State>,
    mut visit: impl FnMut(Entry<'_>, Found) -> Result<ControlFlow<()>, LogError>,
) -> Result<End, LogError> {
    let from = base.map_or_else(Place::default, |base| base.place);
    let reader = Reader::new(source.file, source.path, source.size, from).digesting(source.digest);
    let end = reader.read(|entry, found| {
        if source.until.is_some_and(|until| found.id > until) {
            return Ok(ControlFlow::Break(()));
        }
        visit(entry, found)
    })?;
    for (id, entry) in (end.place.id + 1..).zip(source.further) {
        let found = Found { id, after: Place { id, ..end.place } };
        if visit(entry.clone(), found)?.is_break() {
            break;
        }
    }
    Ok(end)
}

/// A state that records are being folded into.
#[derive(Default)]
struct Folding {
    state: State,
    /// Leaves that were set last, and are not in the overlay yet. If the same leaf is set again and again, only the
    /// last value has to go through the tree, because it replaces all earlier ones.
    leaves: HashMap<String, (Value, u64)>,
    /// See [`FoldResult::pending`].
    pending: Vec<(u64, AttrPath)>,
}

impl Folding {
    /// More leaves than this are folded in at once, so that they don't take memory twice.
    const MOST: usize = 4096;

    fn from(base: Option<&State>) -> Self {
        Self { state: base.cloned().unwrap_or_default(), leaves: HashMap::new(), pending: Vec::new() }
    }

    /// The state with all that was folded in.
    fn settled(&mut self) -> &mut State {
        let mut leaves: Vec<(String, (Value, u64))> = self.leaves.drain().collect();
        leaves.sort_unstable_by_key(|(_, (_, id))| *id);
        for (path, (value, id)) in leaves {
            self.state.overlay.put(&plain_names(&path), value, id);
        }
        &mut self.state
    }

    /// Folds in one record that counts; `kinds` has the values of the expressions among them.
    fn apply(&mut self, entry: Entry<'_>, id: u64, kinds: &mut impl Iterator<Item = Option<Kind>>) {
        if !self.pending.is_empty() {
            self.settle(&entry.operation);
        }
        match entry.operation {
            Operation::Leaf { path, value } => {
                if let Some(last) = self.leaves.get_mut(path) {
                    *last = (value, id);
                } else {
                    if self.leaves.len() >= Self::MOST {
                        self.settled();
                    }
                    self.leaves.insert(path.to_owned(), (value, id));
                }
            }
            Operation::Set { path, value: Value::Object(attributes) } => {
                let overlay = &mut self.settled().overlay;
                for (path, value) in leaves_at(attr_path(path), Value::Object(attributes)) {
                    overlay.put(&path.0, value, id);
                }
            }
            Operation::Set { path, value } | Operation::Replace { path, value } => {
                self.settled().overlay.put(&path, value, id);
            }
            Operation::Unset(path) => self.settled().overlay.unset(&attr_path(path)),
            Operation::Expression(text) => match kinds.next() {
                Some(Some(kind)) => {
                    self.settled().overlay.fold(&Record { id, time: None, by: None, until: None, message: None, kind });
                }
                _ => self.pending.extend(hand::paths(&text).into_iter().map(|path| (id, path))),
            },
            Operation::Layer { source, value, .. } => self.state.layers.put(&source, value, id),
            Operation::Rollback(_) | Operation::Reject { .. } => {}
        }
        self.state.ends.extend(entry.until.map(|until| (id, until.into_owned())));
    }

    /// An operation replaces what is pending at its path and below.
    fn settle(&mut self, operation: &Operation<'_>) {
        let above: Vec<AttrPath> = match operation {
            Operation::Leaf { path, .. } => vec![attr_path(plain_names(path))],
            Operation::Set { path, value } => {
                leaves_at(attr_path(path.clone()), value.clone()).into_iter().map(|(path, _)| path).collect()
            }
            Operation::Replace { path, .. } | Operation::Unset(path) => vec![attr_path(path.clone())],
            Operation::Expression(_) | Operation::Layer { .. } | Operation::Rollback(_) | Operation::Reject { .. } => {
                return;
            }
        };
        self.pending.retain(|(_, path)| !above.iter().any(|one| path.starts_with(one)));
    }

    /// Back to no override of the host's own.
    fn clear(&mut self) {
        self.leaves.clear();
        self.state.overlay = Overlay::default();
        self.state.ends.clear();
    }
}

/// The first pass: checks the records that refer to others, and folds as long as nothing is undone.
pub(super) struct Difference {
    folding: Folding,
    /// Whether all records fold in their order.
    plain: bool,
    controls: Vec<(u64, Control)>,
    /// The ids of those that are expressions.
    expressions: Vec<u64>,
    /// The last record of the state that it began with, if that has layers.
    layered: u64,
    mark: Option<u64>,
    marked: Option<State>,
    /// The last record that ends before the mark, and the ids up to it.
    id_at_mark: u64,
    ids_at_mark: Option<Ids>,
}

impl Difference {
    fn new(base: Option<&State>, mark: Option<u64>) -> Self {
        Self {
            folding: Folding::from(base),
            plain: true,
            controls: Vec::new(),
            expressions: Vec::new(),
            layered: base.filter(|base| !base.layers.is_empty()).map_or(0, |base| base.place.id),
            mark,
            marked: None,
            id_at_mark: 0,
            ids_at_mark: None,
        }
    }

    /// The records of a whole log that hold.
    pub fn chain(&self) -> Chain {
        // No record is before the start of a log.
        self.chain_from(0).unwrap_or_default()
    }

    /// The chain of the records after `base`, where the difference began; `None` if it depends on the records before.
    pub fn chain_from(&self, base: u64) -> Option<Chain> {
        Chain::walk(self.folding.state.place.id, &self.controls, base).ok()
    }

    /// Whether any record that `wanted` takes is an expression.
    pub fn has_expressions(&self, wanted: impl Fn(u64) -> bool) -> bool {
        self.expressions.iter().any(|id| wanted(*id))
    }

    pub fn ids(&self) -> &Ids {
        &self.folding.state.ids
    }

    pub fn into_ids(self) -> Ids {
        self.folding.state.ids
    }

    fn visit(&mut self, path: &Utf8Path, entry: Entry<'_>, found: Found) -> Result<ControlFlow<()>, LogError> {
        if self.mark.is_some_and(|mark| found.after.offset > mark) {
            self.mark = None;
            let state = self.folding.settled();
            self.id_at_mark = state.place.id;
            self.ids_at_mark = Some(state.ids.clone());
            self.marked = self.plain.then(|| state.clone());
        }
        let id = found.id;
        match &entry.operation {
            Operation::Rollback(0) => {
                self.controls.push((id, Control::Rollback(0)));
                if self.plain {
                    self.folding.clear();
                }
            }
            Operation::Rollback(to) => self.control(path, id, Control::Rollback(*to), *to)?,
            Operation::Reject { id: rejected, .. } => {
                let control = if self.is_about_source(*rejected) { Control::RejectOfSource } else { Control::Reject };
                self.control(path, id, control(*rejected), *rejected)?;
            }
            Operation::Layer { .. } => self.controls.push((id, Control::Layer)),
            Operation::Expression(_) => {
                self.plain = false;
                self.expressions.push(id);
            }
            _ => {}
        }
        if self.plain {
            self.folding.apply(entry, id, &mut std::iter::empty());
        }
        self.folding.state.ids.push(id);
        self.folding.state.place = found.after;
        Ok(ControlFlow::Continue(()))
    }

    /// Whether a record is about a source, or may be: those before the beginning are not known.
    fn is_about_source(&self, id: u64) -> bool {
        let place = self.controls.binary_search_by_key(&id, |(id, _)| *id);
        id <= self.layered || place.is_ok_and(|place| self.controls[place].1.is_about_source())
    }

    fn control(&mut self, path: &Utf8Path, id: u64, control: Control, named: u64) -> Result<(), LogError> {
        if !self.folding.state.ids.contains(named) {
            return Err(LogError::Chain { path: path.to_string(), source: Unknown { id, named } });
        }
        self.plain = false;
        self.controls.push((id, control));
        Ok(())
    }

    /// The record at the mark, if the state there is a part of the way along `chain`.
    fn mark_in(&self, chain: &Chain, from: u64) -> Option<u64> {
        self.ids_at_mark.as_ref()?;
        if self.has_expressions(|id| id <= self.id_at_mark) {
            return None;
        }
        let controls = &self.controls[..self.controls.partition_point(|(id, _)| *id <= self.id_at_mark)];
        let there = Chain::walk(self.id_at_mark, controls, from).ok()?;
        chain.begins_with(&there, self.id_at_mark).then_some(self.id_at_mark)
    }
}
