//! What services start on: what is known to work on the system that boots, and what was built where nothing is.

use std::time::{Duration, SystemTime};

use dynix::host::fs::lock::Patience;
use dynix::host::interruption::Uninterrupted;
use dynix::host::paths::Paths;
use dynix::overrides::{Draft, LogFile};
use dynix::plan::Plan;
use dynix::reconcile::execution::Machine;
use dynix::reconcile::known_good::{self, KnownGood, Sighting};
use dynix::reconcile::locks;
use dynix::reconcile::report::Report;
use dynix::reconcile::rerun::Rerun;
use dynix::reconcile::{self, Occasion, Request};
use dynix::time::clock::SystemClock;
use serde_json::Value;

use crate::support::System;

const WORKERS: &str = "services.harmonia.settings.workers";
const RATE: &str = "services.harmonia.settings.max_connection_rate";
const FILE: &str = "run/dynix/harmonia/current/harmonia.toml";
const UNIT: &str = "etc/systemd/system/harmonia.service";
const AFTER_BOOT: &str = "run/systemd/system/multi-user.target.wants/dynix-after-boot.service";

/// A system, looked at by the library: a boot on a tree is nothing that the command line does.
struct Booting {
    system: System,
    paths: Paths,
}

impl Booting {
    fn new() -> Self {
        let system = System::new();
        system.write(UNIT, "[Service]\nExecStart=/nix/store/one/bin/harmonia\n");
        let paths = Paths::new(system.root(), None, None);
        Self { system, paths }
    }

    fn plan(&self) -> Plan {
        serde_json::from_str(&self.system.read("etc/dynix/plan.json")).unwrap()
    }

    fn log(&self) -> LogFile {
        LogFile::new(self.paths.overrides(), &self.paths.cache(), None)
    }

    fn append(&self, path: &str, value: &str) {
        self.system.run(&["append", path, value]).ends(0);
    }

    /// What is recorded for harmonia is seen to work.
    fn works(&self) {
        let (plan, folded) = (self.plan(), self.log().fold().unwrap());
        let mut known = KnownGood::load(&self.paths).unwrap();
        let values = known_good::digest(&plan, "harmonia", &folded.overlay).unwrap();
        let system = known_good::system(&plan, "harmonia", &self.paths).unwrap();
        known.note("harmonia", Sighting { system, values, record: folded.last_id });
        known.save(&self.paths).unwrap();
    }

    /// Boots; what is said of it.
    fn boot(&self) -> Report {
        std::fs::remove_dir_all(self.system.path("run")).unwrap_or_default();
        let command = vec!["/run/current-system/sw/bin/dynix".to_owned()];
        let recall = Rerun { at_once: command.clone(), command, before_boot: true };
        let machine = Machine {
            paths: &self.paths,
            manager: None,
            observer: &|_| (),
            recall: &recall,
            interruption: &Uninterrupted,
            clock: &SystemClock,
        };
        let request = Request { by: "root".to_owned(), occasion: Occasion::Boot, ..Request::default() };
        let patience = Patience::from(Duration::from_secs(10));
        let locks = locks::take(&self.paths, request.occasion, patience, |_| ()).unwrap();
        reconcile::apply(&self.plan(), &self.log(), &request, &machine, &locks, |_| ()).unwrap()
    }

    /// What harmonia reads: workers and rate; `None` for what was built.
    fn reads(&self) -> Option<(u32, u32)> {
        let text = std::fs::read_to_string(self.system.path(FILE)).ok()?;
        let number = |name: &str| {
            text.lines().find_map(|line| line.strip_prefix(&format!("{name} = "))).unwrap().parse().unwrap()
        };
        Some((number("workers"), number("max_connection_rate")))
    }

    fn state(&self) -> Value {
        serde_json::from_str(&self.system.read("run/dynix/state.json")).unwrap()
    }
}

#[test]
fn what_works_is_what_a_service_starts_on() {
    let booting = Booting::new();
    booting.append(WORKERS, "20");
    booting.works();
    let report = booting.boot();
    assert_eq!((booting.reads(), report.warnings.len()), (Some((20, 256)), 0), "{:?}", report.warnings);
    assert_eq!(booting.state()["services"]["harmonia"]["works"], true);
    assert_eq!(booting.state()["postponed"], Value::Null);
    // What does not come up all the same is looked at later.
    assert!(booting.system.path(AFTER_BOOT).exists());
    let text = booting.system.read("run/systemd/system/dynix-after-boot.service");
    assert!(text.contains("ExecStart=/run/current-system/sw/bin/dynix apply --after-boot\n"), "{text}");
}

#[test]
fn what_is_not_known_to_work_waits() {
    let booting = Booting::new();
    booting.append(WORKERS, "20");
    assert_eq!((booting.boot().warnings.len(), booting.reads()), (1, None));
    assert_eq!(booting.state()["postponed"], serde_json::json!(["harmonia"]));
    booting.works();
    booting.append(WORKERS, "21");
    let report = booting.boot();
    assert_eq!(booting.reads(), Some((20, 256)));
    assert!(report.warnings[0].contains("starts on what held after record 1"), "{:?}", report.warnings);
    // It is as if the rest had not been applied yet: an apply does that.
    let status = booting.system.run(&["status", "--json"]).ends(0).json();
    let harmonia = &status["services"]["harmonia"];
    assert_eq!(
        (&harmonia["postponed"], &harmonia["overrides"][0]["applied"]),
        (&true.into(), &false.into()),
        "{status}"
    );
    booting.system.run(&["apply"]).ends(0);
    assert_eq!((booting.reads(), &booting.state()["postponed"]), (Some((21, 256)), &Value::Null));
    // Other services are no concern of it.
    booting.append("services.distccd.maxJobs", "4");
    booting.works();
    booting.boot();
    assert_eq!(booting.reads(), Some((21, 256)));
    assert!(!booting.system.path("run/dynix/distccd/current").exists());
}

#[test]
fn what_was_taken_back_does_not_come_back() {
    for how in [&["rollback", "0"][..], &["unset", RATE], &["reset", "harmonia"]] {
        let booting = Booting::new();
        booting.append(WORKERS, "20");
        booting.append(RATE, "7");
        booting.works();
        booting.system.run(how).ends(0);
        booting.append(WORKERS, "21");
        booting.boot();
        assert_eq!(booting.reads(), None, "{how:?}");
    }
    // Rejected, for whatever reason.
    let booting = Booting::new();
    booting.append(WORKERS, "20");
    booting.works();
    booting.log().append(&[Draft::Reject { id: 1, reason: "no".to_owned() }], "root", None, |_| ()).unwrap();
    booting.append(WORKERS, "21");
    booting.boot();
    assert_eq!(booting.reads(), None);
    // What works without what is over, is known only if it was seen.
    let booting = Booting::new();
    booting.append(RATE, "7");
    booting.works();
    // Longer than two applies take on a busy machine.
    let end = SystemTime::now() + Duration::from_secs(5);
    let path = WORKERS.split('.').map(str::to_owned).collect();
    booting.log().append(&[Draft::Set(dynix::attr_path::AttrPath(path), 9.into())], "root", Some(end), |_| ()).unwrap();
    booting.works();
    booting.boot();
    assert_eq!(booting.reads(), Some((9, 7)));
    // Ends are recorded in whole seconds.
    std::thread::sleep(end.duration_since(SystemTime::now()).unwrap_or_default() + Duration::from_secs(1));
    booting.boot();
    assert_eq!(booting.reads(), Some((4, 7)));
}

#[test]
fn what_worked_on_another_system_is_not_known_on_this_one() {
    let booting = Booting::new();
    booting.append(WORKERS, "20");
    booting.works();
    // The unit runs another program, or has another drop-in.
    let drop_in = "etc/systemd/system/harmonia.service.d/memory.conf";
    for (file, text) in [(UNIT, "[Service]\nExecStart=/nix/store/two/bin/harmonia\n"), (drop_in, "[Service]\n")] {
        booting.system.write(file, text);
        booting.boot();
        assert_eq!(booting.reads(), None, "{file}");
        booting.works();
        booting.boot();
        assert_eq!(booting.reads(), Some((20, 256)), "{file}");
    }
    // The system before is not forgotten.
    std::fs::remove_file(booting.system.path(drop_in)).unwrap();
    booting.boot();
    assert_eq!(booting.reads(), Some((20, 256)));
}

#[test]
fn whatever_is_wrong_with_what_is_known_the_system_boots() {
    let booting = Booting::new();
    booting.append(WORKERS, "20");
    booting.works();
    let good = std::fs::read_to_string(booting.paths.known_good()).unwrap();
    for text in ["", "{", "[]", "{}", r#"{"version":9}"#, r#"{"version":1,"services":{"x":1}}"#] {
        std::fs::write(booting.paths.known_good(), text).unwrap();
        let report = booting.boot();
        assert_eq!(booting.reads(), None, "{text}");
        assert!(report.warnings[0].contains("known-good.json says nothing"), "{text}: {:?}", report.warnings);
    }
    // Somebody began another log: nothing of it is known, and the numbers of its records say nothing.
    std::fs::write(booting.paths.known_good(), good).unwrap();
    std::fs::remove_file(booting.system.path("etc/nixos/dynamic.nix")).unwrap();
    booting.append(WORKERS, "21");
    booting.boot();
    assert_eq!(booting.reads(), None);
}
