//! Remembers directories that nobody else can change, all the way from `/`.
//!
//! Only root or the running user could make that untrue, so one request walks each of them once. None of them is held
//! open: what is below is found by its name each time. So dynix sees a directory that root replaces.

use std::cell::RefCell;
use std::collections::BTreeMap;

use camino::Utf8Path;

use super::directory::Owners;

thread_local! {
    // By the text of a path: those of one directory that differ are walked twice, and to compare names one by one costs more.
    static KNOWN: RefCell<BTreeMap<String, Owners>> = const { RefCell::new(BTreeMap::new()) };
}

/// Notes a directory in which, and above which, others may not even make names.
pub(super) fn add(path: &Utf8Path, owners: Owners) {
    KNOWN.with_borrow_mut(|known| {
        if !known.contains_key(path.as_str()) {
            known.insert(path.to_string(), owners);
        }
    });
}

/// The owners that are trusted below a remembered directory.
pub(super) fn owners(path: &Utf8Path) -> Option<Owners> {
    KNOWN.with_borrow(|known| known.get(path.as_str()).copied())
}

/// Looks at all of them anew: for a process that lives longer than one request.
pub fn forget() {
    KNOWN.with_borrow_mut(BTreeMap::clear);
}
