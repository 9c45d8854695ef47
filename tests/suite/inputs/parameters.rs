//! Requests, beyond their parsing: whatever is asked for, and by whom, there is an answer, no panic, and a log that can be read.

use std::cell::OnceCell;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use camino::Utf8Path;
use dynix::build::{Input, generate};
use dynix::daemon::channel::{Mailbox, connect};
use dynix::daemon::gate::Gate;
use dynix::daemon::peer::Peer;
use dynix::daemon::server::{Message, Queues, Submission};
use dynix::daemon::sessions::Sessions;
use dynix::daemon::uses::Uses;
use dynix::daemon::worker::Worker;
use dynix::overrides::LogFile;
use dynix::system::session::Location;
use dynix::varlink::interface::{self, Asked, NAME};
use dynix::varlink::wire::Call;
use serde_json::json;

const METHODS: [&str; 6] = ["Append", "Unset", "Rollback", "Reset", "Apply", "Confirm"];
/// May do anything with one service.
const LIMITED: u32 = 3001;
/// A log of so many records is begun anew.
const MOST: usize = 100;

/// A worker on a tree of its own, in a thread of its own.
struct Workplace {
    directory: tempfile::TempDir,
    queues: Arc<Queues>,
    mailbox: Mailbox,
}

impl Workplace {
    fn new() -> Self {
        let here = Utf8Path::new(env!("CARGO_MANIFEST_DIR"));
        // The fuzz targets are a package of their own.
        let repository = if here.ends_with("fuzz") { here.parent().unwrap() } else { here };
        let mut services = serde_json::Map::new();
        for name in ["harmonia", "distccd"] {
            let text = std::fs::read_to_string(repository.join(format!("descriptions/{name}.json"))).unwrap();
            let one: serde_json::Value = serde_json::from_str(&text).unwrap();
            services.extend(one["services"].as_object().unwrap().clone());
        }
        let methods = ["append", "unset", "rollback", "reset", "apply"];
        let rule =
            json!({"users": [LIMITED.to_string()], "options": {"services.harmonia.settings": {"methods": methods}}});
        let description = json!({"version": 1, "services": services, "daemon": {"allow": {"limited": rule}}});
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
        let root = Utf8Path::from_path(directory.path()).unwrap().to_owned();
        let location = Location { root: Some(root.clone()), ..Location::default() };
        let sessions = Sessions { location, ..Sessions::default() };
        let queues = Arc::new(Queues::default());
        let ([outbox, other], mailbox) = connect().unwrap();
        let uses = Uses::load(&root.join("run/dynix/uses.json")).unwrap();
        let theirs = queues.clone();
        thread::spawn(move || {
            let _other = other;
            Worker::new(sessions, &theirs, &outbox, Duration::ZERO, Gate { uses: uses.into() }).run();
        });
        Self { directory, queues, mailbox }
    }

    fn log(&self) -> LogFile {
        let root = Utf8Path::from_path(self.directory.path()).unwrap();
        LogFile::new(&root.join("etc/nixos/dynamic.nix"), &root.join("var/cache/dynix"), None)
    }

    fn begin_anew(&self) {
        for name in ["etc/nixos", "var", "run"] {
            let _ = std::fs::remove_dir_all(self.directory.path().join(name));
        }
    }
}

thread_local! {
    static WORKPLACE: OnceCell<Workplace> = const { OnceCell::new() };
}

pub fn check(data: &[u8]) {
    let [user, method, text @ ..] = data else { return };
    let method = format!("{NAME}.{}", METHODS[usize::from(*method) % METHODS.len()]);
    let Ok(parameters) = serde_json::from_slice(text) else { return };
    let call = Call { method, parameters: Some(parameters), oneway: false, more: false, upgrade: false, fault: None };
    let Ok(Asked::Change(request)) = interface::understand(call) else { return };
    let user = [0, LIMITED, 3002][usize::from(*user) % 3];
    WORKPLACE.with(|place| {
        let place = place.get_or_init(Workplace::new);
        let log = place.log();
        let before = log.records().unwrap().len();
        if before > MOST {
            place.begin_anew();
        }
        let before = log.records().unwrap().len();
        place
            .queues
            .changes
            .push(user, Submission { token: 0, peer: Peer { user, groups: Vec::new() }, request: *request.clone() });
        let reply = loop {
            if let Message::Reply(_, reply) = place.mailbox.messages.recv().unwrap() {
                break reply;
            }
        };
        let said = reply.parameters.to_string();
        assert!(!said.contains("a fault of dynix itself"), "{request:?}: {said}");
        let records = log.records().unwrap_or_else(|error| panic!("{request:?}: {error}"));
        log.fold().unwrap_or_else(|error| panic!("{request:?}: {error}"));
        if reply.error.as_deref().is_some_and(|error| error.ends_with("NotAllowed")) || user == 3002 {
            assert_eq!(records.len(), before, "{request:?}: {said}");
        }
        for record in records.iter().skip(before).filter(|_| user == LIMITED) {
            assert_eq!(record.by.as_deref(), Some("3001 via daemon"), "{request:?}");
            if let dynix::overrides::Kind::Set(leaves) = &record.kind {
                let all = leaves.iter().all(|(path, _)| path.to_string().starts_with("services.harmonia.settings"));
                assert!(all, "{request:?}");
            }
        }
    });
}
