//! The log's file: finds, reads and folds it. [`super::writer`] adds to it.

use std::cell::RefCell;
use std::fs::File;
use std::io::Write;
use std::ops::ControlFlow;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::time::{Duration, SystemTime};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{MemfdFlags, OFlags};
use rustix::time::{ClockId, clock_gettime};

use super::LogError;
use super::cache::{Cache, FileState, Good, LogStamp};
use super::entry::{Entry, Operation, tree};
use super::expressions::{self, ExpressionError, Wanted, With};
use super::fold::{self, FoldResult, Source, State};
use super::layers::{Layers, Order};
use super::limits;
use super::overlay::Overlay;
use super::reader::{End, Place, Torn};
use super::record::{Draft, Kind, Record, leaves_at};
use super::values::Values;
use crate::attr_path::AttrPath;
use crate::host::evaluator::Evaluator;
use crate::host::fs::lock::{self, Lock, LockError};
use crate::host::fs::{Context, Directory, Untrusted};
use crate::host::paths::Paths;
use crate::{nix, time};

/// How a new log begins.
pub const HEADER: &str = "\
# Overrides on top of the built NixOS configuration; one record a line, appended by dynix, oldest first.
{ overrides, config, lib, pkgs, ... }: overrides
";
/// The parameters of [`HEADER`]'s function.
const PARAMETERS: &str = "{ overrides, config, lib, pkgs, ... }";
/// How long another process that appends is waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// How often a log that changes under our eyes is read again.
pub(super) const TRIES: u32 = 5;
/// How long a reader without the lock waits before it reads again; each time longer.
const RETRY: Duration = Duration::from_millis(10);

/// The fold of the log.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Folded {
    /// The overrides that hold: the host's own and those of the sources.
    pub overlay: Overlay,
    /// The layers of the sources.
    pub layers: Layers,
    /// The id of the last record; 0 if there is none.
    pub last_id: u64,
    /// Warnings for people about the file.
    pub warnings: Vec<String>,
    /// A last line that was not written whole: it does not count, and the next append cuts it off.
    pub torn: Option<Torn>,
    /// Records that hold and are expressions without a value: they count as not recorded.
    pub unevaluated: Vec<ExpressionError>,
    ends: Vec<(u64, String)>,
    /// The host's own overrides, where they are not all.
    own: Option<Overlay>,
    order: Order,
}

impl Folded {
    /// The records that hold and whose time is over.
    #[must_use]
    pub fn expired(&self, now: SystemTime) -> Vec<u64> {
        let over = |until: &str| time::read(until).is_ok_and(|until| until <= now);
        self.ends.iter().filter(|(_, until)| over(until)).map(|(id, _)| *id).collect()
    }

    /// The overrides with `change` at the end, as [`LogFile::preview`] gives them; `None` for a rollback, a rejection
    /// or an expression.
    pub fn with(&self, change: &Draft) -> Result<Option<Overlay>, LogError> {
        limits::check(change)?;
        let kind = match change {
            Draft::Set(path, value) => Kind::Set(leaves_at(path.clone(), nix::normalized(value.clone()))),
            Draft::SetAll(values) => Kind::Set(leaves_at(AttrPath::default(), nix::normalized(tree(values)))),
            Draft::Replace(path, value) => Kind::Replace(path.clone(), nix::normalized(value.clone())),
            Draft::Unset(path) => Kind::Unset(path.clone()),
            Draft::Rollback(_) | Draft::Reject { .. } | Draft::Expression { .. } | Draft::Layer(_) => return Ok(None),
        };
        let mut overlay = self.own().clone();
        overlay.fold(&Record { id: self.last_id + 1, time: None, by: None, until: None, message: None, kind });
        Ok(Some(if self.own.is_some() { self.layers.around(&overlay, &self.order) } else { overlay }))
    }

    /// Whether any source says a value.
    #[must_use]
    pub fn is_layered(&self) -> bool {
        self.own.is_some() && !self.layers.around(&Overlay::default(), &self.order).is_empty()
    }

    /// The host's own overrides, without those of the sources.
    #[must_use]
    pub fn own(&self) -> &Overlay {
        self.own.as_ref().unwrap_or(&self.overlay)
    }

    /// The ends of records that hold: id and time (RFC 3339).
    #[must_use]
    pub fn ends(&self) -> &[(u64, String)] {
        &self.ends
    }
}

/// One look at the log's file.
pub(super) struct Look {
    pub file: File,
    /// The state of the file when the read begins.
    pub now: FileState,
    /// The last bytes then.
    end: Vec<u8>,
    /// When it began, by the kernel's tick.
    began: (i64, i64),
    /// Whether this is the first read, without waiting for a writer.
    is_first: bool,
    held: Option<Lock>,
}

impl Look {
    /// All records of the log.
    pub fn source<'s>(&'s self, log: &'s LogFile) -> Source<'s> {
        Source { file: &self.file, path: &log.path, size: self.now.size, until: None, further: &[], digest: None }
    }

    /// The same file, for another pass.
    pub fn again(&self) -> std::io::Result<Self> {
        let file = self.file.try_clone()?;
        Ok(Self { file, held: None, end: self.end.clone(), now: self.now.clone(), ..*self })
    }

    /// Whether what was there then is there still: the file is the same, or something was added to it.
    pub fn is_steady(&self, after: &FileState) -> bool {
        *after == self.now || after.size > self.now.size && last_bytes(&self.file, self.now.size) == self.end
    }
}

/// The last bytes before `size`: enough to see whether the text before was moved.
fn last_bytes(file: &File, size: u64) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(size.min(64)).unwrap_or_default()];
    let at = size - bytes.len() as u64;
    // A later read reports bytes that can't be read.
    let _ = file.read_exact_at(&mut bytes, at);
    bytes
}

/// The override log.
#[derive(Clone, Debug)]
pub struct LogFile {
    pub(super) path: Utf8PathBuf,
    pub(super) cache: Cache,
    evaluator: Option<Evaluator>,
    pub(super) values: Values,
    /// Whether this process has the log's lock already, so that nothing here asks for it.
    locked: bool,
    order: Order,
}

impl LogFile {
    /// The log at `path`, with its cache in the directory `cache`. It touches nothing yet.
    #[must_use]
    pub fn new(path: &Utf8Path, cache: &Utf8Path, evaluator: Option<Evaluator>) -> Self {
        let (path, notes) = (path.to_owned(), Cache::new(cache, path));
        Self { path, cache: notes, evaluator, values: Values::new(cache), locked: false, order: Order::default() }
    }

    /// The same, with the stored values of expressions for the system at `paths`.
    #[must_use]
    pub fn keeping_for(self, paths: &Paths) -> Self {
        Self { values: self.values.for_system(paths), ..self }
    }

    /// The same, with the layers of these sources.
    #[must_use]
    pub fn with_layers(self, order: Order) -> Self {
        Self { order, ..self }
    }

    /// The same for an apply: an expression that failed before is tried again.
    #[must_use]
    pub fn trying_again(self) -> Self {
        Self { values: self.values.trying_again(), ..self }
    }

    /// Where the layers of the sources are.
    pub(super) fn order(&self) -> &Order {
        &self.order
    }

    /// The same, for a caller that holds its lock.
    pub(super) fn with_lock(&self) -> Self {
        Self { locked: true, ..self.clone() }
    }

    /// The path of the file.
    #[must_use]
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// The overrides that hold. A log that is not there has no records.
    pub fn fold(&self) -> Result<Folded, LogError> {
        self.fold_with(&[])
    }

    /// The fold of the log with `changes` at its end. It writes nothing.
    pub fn preview(&self, changes: &[Draft]) -> Result<Folded, LogError> {
        changes.iter().try_for_each(limits::check)?;
        self.fold_with(&changes.iter().map(Entry::from_draft).collect::<Vec<_>>())
            .and_then(|folded| self.with_values(folded, changes.len()))
    }

    /// A fold with `new` records at its end, each of which has to have a value.
    fn with_values(&self, folded: Folded, new: usize) -> Result<Folded, LogError> {
        let last = folded.last_id.saturating_sub(new as u64);
        match folded.unevaluated.iter().find(|one| one.id > last) {
            Some(one) => Err(LogError::Expression { path: self.path.to_string(), source: one.clone() }),
            None => Ok(folded),
        }
    }

    /// The state right after record `id`; 0 for none at all.
    pub fn fold_at(&self, id: u64) -> Result<Folded, LogError> {
        let missing = || LogError::NoSuchRecord { path: self.path.to_string(), id };
        if id == 0 {
            return Ok(Folded::default());
        }
        let outcome = self.steadily(|look| {
            let source = Source { until: Some(id), ..look.source(self) };
            self.folding(&source, None)
        })?;
        match outcome {
            Some((outcome, left_out)) if outcome.state.ids.last() == id => Ok(self.folded(outcome, left_out)),
            _ => Err(missing()),
        }
    }

    fn fold_with(&self, further: &[Entry<'static>]) -> Result<Folded, LogError> {
        let folded = self.steadily(|look| {
            let stamp = self.cache.stamp(&look.file, &look.now);
            let lost = if stamp.is_none() { self.cache.last_known_id() } else { 0 };
            let base = stamp.as_ref().and_then(|stamp| self.cache.checkpoint(&look.file, stamp));
            let source = Source { further, ..look.source(self) };
            let (outcome, left_out) = self.folding(&source, base.as_ref())?;
            // A torn end may be an append under way: read again under the lock.
            if outcome.end.torn.is_some() && look.is_first {
                return Err(self.unsteady());
            }
            // Further records add nothing to the facts about the log itself, except for the checkpoint.
            if further.is_empty() || stamp.is_some() {
                self.remember(look, stamp, &outcome);
            }
            let mut folded = self.folded(outcome, left_out);
            if lost > folded.last_id {
                folded.warnings.push(format!(
                    "{} ends with record {}, and had record {lost} before: somebody cut it",
                    self.path, folded.last_id
                ));
            }
            Ok(folded)
        })?;
        folded.map_or_else(|| self.fold_nothing(further), Ok)
    }

    /// Reads the log as it is at one moment. If somebody changes it meanwhile, it is read again. If it makes no sense,
    /// it is read again after nobody adds to it. `None` if there is no log.
    pub(super) fn steadily<T>(
        &self,
        mut read: impl FnMut(&Look) -> Result<T, LogError>,
    ) -> Result<Option<T>, LogError> {
        let mut result = Err(self.unsteady());
        for attempt in 0..TRIES {
            let is_first = attempt == 0;
            let held = if is_first || self.locked { None } else { self.lock(PATIENCE, |_| {}).ok() };
            if !is_first && !self.locked && held.is_none() {
                // Who may not take the lock gives who has it the time to finish.
                std::thread::sleep(RETRY * attempt);
            }
            let Some(look) = self.look(is_first, held)? else { return Ok(None) };
            let seen = read(&look);
            let makes_no_sense =
                matches!(seen, Err(LogError::Unsteady { .. } | LogError::Syntax { .. } | LogError::Chain { .. }));
            let is_steady = look.is_steady(&self.state_of(&look.file)?);
            result = match seen {
                Err(_) if makes_no_sense && (is_first || !is_steady) => seen,
                Ok(_) if !is_steady => Err(self.unsteady()),
                seen => return seen.map(Some),
            };
        }
        result.map(Some)
    }

    fn look(&self, is_first: bool, held: Option<Lock>) -> Result<Option<Look>, LogError> {
        let began = clock_gettime(ClockId::RealtimeCoarse);
        let Some(file) = self.open_to_read()? else { return Ok(None) };
        let now = self.state_of(&file)?;
        let end = last_bytes(&file, now.size);
        Ok(Some(Look { file, now, end, began: (began.tv_sec, began.tv_nsec), is_first, held }))
    }

    pub(super) fn unsteady(&self) -> LogError {
        LogError::Unsteady { path: self.path.to_string() }
    }

    /// Changes on top of a log that is not there.
    fn fold_nothing(&self, further: &[Entry<'static>]) -> Result<Folded, LogError> {
        if further.is_empty() {
            return Ok(Folded::default());
        }
        // In memory: the caller controls the directory of temporary files (TMPDIR).
        let file = rustix::fs::memfd_create("dynamic.nix", MemfdFlags::CLOEXEC).at("begin", &self.path)?;
        let mut file = File::from(file);
        file.write_all(HEADER.as_bytes()).at("begin", &self.path)?;
        let source =
            Source { file: &file, path: &self.path, size: HEADER.len() as u64, until: None, further, digest: None };
        let (outcome, left_out) = self.folding(&source, None)?;
        Ok(self.folded(outcome, left_out))
    }

    /// The fold, and the expressions that have no value.
    fn folding(
        &self,
        source: &Source<'_>,
        base: Option<&State>,
    ) -> Result<(FoldResult, Vec<ExpressionError>), LogError> {
        let left_out = RefCell::default();
        let outcome = fold::fold(source, base, &|wanted, end| self.evaluate(wanted, end, &left_out))?;
        Ok((outcome, left_out.into_inner()))
    }

    fn folded(&self, outcome: FoldResult, unevaluated: Vec<ExpressionError>) -> Folded {
        let State { ids, overlay, layers, ends, .. } = outcome.state;
        let (overlay, own) =
            if layers.is_empty() { (overlay, None) } else { (layers.around(&overlay, &self.order), Some(overlay)) };
        let torn = outcome.end.torn;
        let warning = |torn: &Torn| {
            format!(
                "{}, line {}: the last line is torn and counts as not written; the next append cuts it off",
                self.path, torn.line
            )
        };
        let warnings = torn.iter().map(warning).collect();
        let pending = |id: u64| outcome.pending.iter().filter(move |(one, _)| *one == id).map(|(_, path)| path.clone());
        let unevaluated = unevaluated
            .into_iter()
            .map(|one| ExpressionError { paths: pending(one.id).collect(), ..one })
            .filter(|one| !one.paths.is_empty())
            .collect();
        let order = self.order.clone();
        Folded { overlay, layers, last_id: ids.last(), warnings, torn, unevaluated, ends, own, order }
    }

    /// Stores the findings for the next run. That needs the lock, and is skipped if another process holds it.
    fn remember(&self, look: &Look, stamp: Option<LogStamp>, outcome: &FoldResult) {
        if outcome.end.torn.is_some() || stamp.is_some() && outcome.checkpoint.is_none() {
            return;
        }
        // A change right after a log was read could give it the very same times.
        if stamp.is_none() && !look.now.is_older_than(look.began) {
            return;
        }
        let is_ours = self.locked || look.held.is_some();
        let held = if is_ours { None } else { self.lock(Duration::ZERO, |_| {}).ok() };
        if (is_ours || held.is_some()) && self.state_of(&look.file).ok().as_ref() == Some(&look.now) {
            let good = || good(&outcome.state, &outcome.end);
            let stamp = stamp.or_else(|| self.cache.remember(&look.file, look.now.clone(), good()));
            if let (Some(stamp), Some(checkpoint)) = (stamp, &outcome.checkpoint) {
                self.cache.remember_fold(&look.file, &stamp, checkpoint.clone());
            }
        }
    }

    /// A new expression has to have a value before it is recorded.
    pub(super) fn try_expressions(&self, entries: &[Entry<'static>]) -> Result<(), LogError> {
        if !entries.iter().any(|entry| matches!(entry.operation, Operation::Expression(_))) {
            return Ok(());
        }
        self.fold_with(entries).and_then(|folded| self.with_values(folded, entries.len())).map(drop)
    }

    /// Evaluates the records; those that have no value go into `left_out`.
    pub(super) fn evaluate(
        &self,
        wanted: &[Wanted],
        end: &End,
        left_out: &RefCell<Vec<ExpressionError>>,
    ) -> Result<Vec<Option<Kind>>, LogError> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let parameters = match &end.parameters {
            Some(parameters) => parameters.clone(),
            // The fold began at a checkpoint.
            None => self.parameters()?,
        };
        let with = With {
            parameters: &parameters,
            evaluator: self.evaluator.as_ref(),
            directory: self.directory(),
            last: end.place.id,
            values: &self.values,
        };
        let (mut kinds, mut faults) = (Vec::with_capacity(wanted.len()), Vec::new());
        for found in expressions::kinds(wanted, with) {
            kinds.push(found.map_err(|fault| faults.push(fault)).ok());
        }
        left_out.replace(faults);
        Ok(kinds)
    }

    /// The parameters of the log's function, read again.
    fn parameters(&self) -> Result<String, LogError> {
        let Some(file) = self.open_to_read()? else { return Ok(PARAMETERS.to_owned()) };
        let size = self.state_of(&file)?.size;
        let end = super::reader::Reader::new(&file, &self.path, size, Place::default())
            .read(|_, _| Ok(ControlFlow::Break(())))?;
        Ok(end.parameters.unwrap_or_else(|| PARAMETERS.to_owned()))
    }

    pub(super) fn directory(&self) -> &Utf8Path {
        match self.path.parent() {
            Some(parent) if !parent.as_str().is_empty() => parent,
            _ => Utf8Path::new("."),
        }
    }

    pub(super) fn open_to_read(&self) -> Result<Option<File>, LogError> {
        self.open(OFlags::RDONLY)
    }

    pub(super) fn open(&self, access: OFlags) -> Result<Option<File>, LogError> {
        let not_a_file = |kind, hint| LogError::NotAFile { path: self.path.to_string(), kind, hint };
        let directory = || not_a_file("a directory", "move it away to begin a new log");
        let Some((parent, name)) = Directory::above(&self.path)? else { return Ok(None) };
        let file = match parent.open_file(name, access) {
            Ok(Some(file)) => file,
            Ok(None) => return Ok(None),
            Err(error) if error.source.kind() == std::io::ErrorKind::IsADirectory => return Err(directory()),
            Err(error) if error.is(Untrusted::Link) => {
                return Err(not_a_file("a symbolic link", "name the file that it leads to with --overrides"));
            }
            Err(error) => return Err(error.into()),
        };
        let metadata = file.metadata().at("look at", &self.path)?;
        if metadata.is_dir() {
            return Err(directory());
        }
        if !metadata.is_file() {
            return Err(not_a_file("a device, pipe or socket", "move it away to begin a new log"));
        }
        let Err(error) = parent.check_file(&file, name) else { return Ok(Some(file)) };
        match error.untrusted() {
            Some(Untrusted::Owner { .. } | Untrusted::Writable { .. }) => {
                let (uid, mode) = (metadata.uid(), metadata.mode() & 0o7777);
                Err(LogError::NotTrusted { path: self.path.to_string(), uid, mode })
            }
            _ => Err(error.into()),
        }
    }

    /// Only one process at a time adds to the log. The lock has a file of its own, which only those who may add to the
    /// log can open: everybody may read the log, and who can open a file can lock it for ever (flock(2)).
    pub(super) fn lock(&self, patience: Duration, waiting: impl FnOnce(&str)) -> Result<Lock, LockError> {
        let name = self.path.file_name().unwrap_or("dynamic.nix");
        lock::acquire(&self.directory().join(format!(".{name}.lock")), patience, waiting)
    }

    pub(super) fn state_of(&self, file: &File) -> Result<FileState, LogError> {
        Ok(FileState::from_metadata(&file.metadata().at("look at", &self.path)?))
    }
}

fn good(state: &State, end: &End) -> Good {
    Good { lineage: None, place: end.place, ids: state.ids.clone(), open_line: end.open_line }
}
