//! The state file: one that is read is the same once it was written and read again; any other is an error.

use camino::Utf8Path;
use dynix::reconcile::state::State;

pub fn check(data: &[u8]) {
    let directory = tempfile::tempdir().unwrap();
    let path = Utf8Path::from_path(directory.path()).unwrap().join("state.json");
    std::fs::write(&path, data).unwrap();
    let Ok(mut state) = State::load(&path) else { return };
    state.save(&path).unwrap();
    let mut saved = State::load(&path).unwrap();
    // serde_json may read a fraction as the next one to what was written.
    for one in [&mut state, &mut saved] {
        one.trial.iter_mut().for_each(|trial| trial.end = 0.0);
    }
    assert_eq!(saved, state);
}
