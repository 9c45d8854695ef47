//! Known values of expressions: for one run of the program, and for one system from run to run.
//!
//! A directory of the cache has a file for each expression. Its name is a digest of the expression, of all inputs of
//! the evaluation, and of the system: another system has another file. Only root can read the files, because an
//! expression may read what only root may. They are disposable: if a file is missing or unreadable, the expression is
//! evaluated again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::host::current_system;
use crate::host::digest::sha256;
use crate::host::fs::atomic::{self, Durability};
use crate::host::fs::{self, lock};
use crate::host::paths::Paths;

/// Changes whenever the meaning of these files does.
const VERSION: u32 = 2;
/// Values that are kept; the oldest go first.
const MOST: usize = 200;
/// Most bytes of one. (The text of a record has at most 1 MiB.)
const LARGEST: u64 = 256 * 1024;
/// How their names begin.
const PREFIX: &str = "value-";
/// How long another process that keeps some is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// The result of an expression.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Answer {
    /// The value of the record: an attribute set of `set` or `replace`.
    Value(Value),
    /// It has a value that can't be one, and why.
    Refused(String),
    /// It has none now, and why.
    Failed(String),
}

#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    version: u32,
    answer: Answer,
}

/// The known values.
#[derive(Clone, Debug)]
pub(super) struct Values {
    /// The directory of the stored values.
    directory: Utf8PathBuf,
    /// The system that they are kept for; `None` keeps none.
    system: Option<Paths>,
    /// Whether what failed for an earlier process is tried again.
    tries_again: bool,
    /// The findings of this run of the program, by key and whether the record is new.
    found: Arc<Mutex<BTreeMap<(String, bool), Answer>>>,
}

impl Values {
    pub fn new(cache: &Utf8Path) -> Self {
        Self { directory: cache.join("expressions"), system: None, tries_again: false, found: Arc::default() }
    }

    /// The same, with values of the system that `paths` lead to.
    pub fn for_system(self, paths: &Paths) -> Self {
        Self { system: Some(paths.clone()), ..self }
    }

    /// The same, for an apply: what failed before is tried again.
    pub fn trying_again(self) -> Self {
        Self { tries_again: true, ..self }
    }

    /// The known result of an expression. A new expression has none: somebody may give it again because its inputs have
    /// changed.
    pub fn known(&self, key: &str, is_new: bool) -> Option<Answer> {
        let found = self.found.lock().ok()?.get(&(key.to_owned(), is_new)).cloned();
        if found.is_some() || is_new {
            return found;
        }
        let bytes = fs::read_trusted(&self.place(key)?, 2 * LARGEST).ok()??;
        let kept: Kept = serde_json::from_slice(&bytes).ok()?;
        match kept.answer {
            _ if kept.version != VERSION => None,
            Answer::Failed(_) | Answer::Refused(_) if self.tries_again => None,
            Answer::Failed(problem) => Some(Answer::Failed(format!("{problem}; `dynix apply` tries it again"))),
            answer => Some(answer),
        }
    }

    /// Keeps the result of an expression. That of a new one is stored after it is recorded, see [`Self::keep_new`].
    pub fn learn(&self, key: &str, is_new: bool, answer: &Answer) {
        if let Ok(mut found) = self.found.lock() {
            found.insert((key.to_owned(), is_new), answer.clone());
        }
        if !is_new {
            self.keep(key, answer);
        }
    }

    /// Keeps what is known of the new expressions, which are being recorded.
    pub fn keep_new(&self) {
        let Ok(mut found) = self.found.lock() else { return };
        let new: Vec<(String, Answer)> = found
            .iter()
            .filter(|((_, is_new), _)| *is_new)
            .map(|((key, _), answer)| (key.clone(), answer.clone()))
            .collect();
        for (key, answer) in new {
            self.keep(&key, &answer);
            found.insert((key, false), answer);
        }
    }

    fn place(&self, key: &str) -> Option<Utf8PathBuf> {
        let system = current_system::identify(self.system.as_ref()?).ok()?;
        Some(self.directory.join(format!("{PREFIX}{}", sha256(format!("{key}\0{system}").as_bytes()))))
    }

    /// Best effort: without it, it is evaluated again.
    fn keep(&self, key: &str, answer: &Answer) {
        let Some(place) = self.place(key) else { return };
        let Ok(bytes) = serde_json::to_vec(&Kept { version: VERSION, answer: answer.clone() }) else { return };
        if bytes.len() as u64 > LARGEST {
            return;
        }
        let Ok(_lock) = lock::acquire(&self.directory.join("lock"), PATIENCE, |_| ()) else { return };
        let _ = atomic::write(&place, &bytes, 0o600, Durability::Durable);
        self.prune();
    }

    /// Removes the oldest beyond those that are kept.
    fn prune(&self) {
        let names = fs::names(&self.directory).unwrap_or_default();
        let values: Vec<&String> = names.iter().filter(|name| name.starts_with(PREFIX)).collect();
        let Some(more) = values.len().checked_sub(MOST).filter(|more| *more > 0) else { return };
        let changed = |name: &str| {
            let metadata = std::fs::symlink_metadata(self.directory.join(name));
            metadata.and_then(|found| found.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
        };
        let mut by_age: Vec<(SystemTime, &String)> = values.into_iter().map(|name| (changed(name), name)).collect();
        by_age.sort();
        for (_, name) in by_age.into_iter().take(more) {
            let _ = fs::remove(&self.directory.join(name));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use serde_json::json;

    use super::*;

    fn values() -> (tempfile::TempDir, Values) {
        let directory = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::try_from(directory.path().canonicalize().unwrap()).unwrap();
        std::fs::create_dir_all(root.join("etc/dynix")).unwrap();
        std::fs::write(root.join("etc/dynix/plan.json"), "{}").unwrap();
        let paths = Paths::new(&root, None, None);
        let values = Values::new(&paths.cache()).for_system(&paths);
        (directory, values)
    }

    fn again(values: &Values) -> Values {
        Values { found: Arc::default(), ..values.clone() }
    }

    #[test]
    fn a_value_is_kept_for_one_system_and_for_root_alone() {
        let (keep, values) = values();
        let answer = Answer::Value(json!({ "set": { "a": 1 } }));
        values.learn("a", false, &answer);
        assert_eq!(again(&values).known("a", false), Some(answer.clone()));
        assert_eq!(again(&values).known("b", false), None);
        // What is new is evaluated, whatever is known; and kept when it is recorded.
        assert_eq!(values.known("a", true), None);
        let newer = Answer::Value(json!({ "set": { "a": 2 } }));
        values.learn("a", true, &newer);
        assert_eq!(again(&values).known("a", false), Some(answer));
        values.keep_new();
        assert_eq!(again(&values).known("a", false), Some(newer.clone()));
        let place = values.place("a").unwrap();
        assert_eq!(std::fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o600);
        // Others could have written it.
        std::fs::set_permissions(&place, std::fs::Permissions::from_mode(0o666)).unwrap();
        assert_eq!(again(&values).known("a", false), None);
        std::fs::set_permissions(&place, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(again(&values).known("a", false), Some(newer));
        std::fs::write(&place, "{\"version\":2,\"answer\":").unwrap();
        assert_eq!(again(&values).known("a", false), None);
        // Another system.
        values.learn("a", false, &Answer::Failed("no".to_owned()));
        std::fs::write(keep.path().join("etc/dynix/plan.json"), "{ }").unwrap();
        assert_eq!(again(&values).known("a", false), None);
    }

    #[test]
    fn what_failed_is_tried_again_by_an_apply() {
        let (_keep, values) = values();
        values.learn("a", false, &Answer::Failed("no".to_owned()));
        let Some(Answer::Failed(problem)) = again(&values).known("a", false) else { panic!() };
        assert_eq!(problem, "no; `dynix apply` tries it again");
        assert_eq!(again(&values).trying_again().known("a", false), None);
    }

    #[test]
    fn the_oldest_go_first() {
        let (_keep, values) = values();
        for number in 0..MOST + 5 {
            values.learn(&number.to_string(), false, &Answer::Value(json!(number)));
        }
        let kept = fs::names(&values.directory).unwrap();
        assert_eq!(kept.iter().filter(|name| name.starts_with(PREFIX)).count(), MOST);
        assert_eq!(again(&values).known("0", false), None);
        assert!(again(&values).known(&(MOST + 4).to_string(), false).is_some());
        // One that is too large is not kept.
        values.learn("large", false, &Answer::Value("x".repeat(300 * 1024).into()));
        assert_eq!(again(&values).known("large", false), None);
    }
}
