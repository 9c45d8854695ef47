//! What an apply promises, on any sequence of what may happen: on a service manager and a clock in memory
//! (`dynix::host::systemd::memory`), with real files. `DYNIX_CASES=N` tries so many sequences instead of 48.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use dynix::attr_path::AttrPath;
use dynix::exit::Exit;
use dynix::host::interruption::Uninterrupted;
use dynix::host::paths::Paths;
use dynix::host::systemd::Timer;
use dynix::host::systemd::memory::{Memory, Start};
use dynix::overrides::{Draft, LogError, LogFile, Marking};
use dynix::plan::Plan;
use dynix::reconcile::execution::Machine;
use dynix::reconcile::locks;
use dynix::reconcile::report::{Outcome, Report};
use dynix::reconcile::rerun::Rerun;
use dynix::reconcile::state::{Mark, State};
use dynix::reconcile::trial::{self, NOT_CONFIRMED, Start as Window, Which};
use dynix::reconcile::watch::upkeep;
use dynix::reconcile::{self, ApplyError, Occasion, Request};
use dynix::time::clock::Clock as _;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::{Value, json};

use crate::support::{dynix, finish};

const SERVICES: [&str; 2] = ["a", "b"];
/// How long there is for a confirmation.
const WINDOW: Duration = Duration::from_secs(60);

/// How long units are watched.
const WATCH: Duration = Duration::from_secs(45);

/// What a unit does on a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Good(u8),
    Crash,
    Hang,
    /// It works, and fails after half a minute: while it is watched.
    Late,
}

impl Mode {
    fn text(self) -> String {
        match self {
            Self::Good(number) => format!("good-{number}"),
            Self::Crash => "crash".to_owned(),
            Self::Hang => "hang".to_owned(),
            Self::Late => "late".to_owned(),
        }
    }

    fn is_bad(text: &str) -> bool {
        matches!(text, "crash" | "hang")
    }
}

/// What happens.
#[derive(Clone, Debug)]
enum Event {
    Append(usize, Mode),
    AppendForAWhile(usize, Mode),
    Apply,
    ApplyOne(usize),
    OnTrial(usize, Mode),
    Confirm,
    Reset(usize),
    Pass(u16),
    Stop(usize),
    StopMeanwhile(usize),
    Start(usize),
    Mask(usize, bool),
    /// The next calls of systemd fail.
    BreakDown(usize),
    /// The owner of a service's file is gone, or there again.
    Owner(usize, bool),
    /// Nothing can be written where a service's generations go, or it can again.
    Disk(usize, bool),
}

fn event() -> impl Strategy<Value = Event> {
    let service = || 0..SERVICES.len();
    let mode = || {
        prop_oneof![
            4 => (0..4_u8).prop_map(Mode::Good),
            1 => Just(Mode::Crash),
            1 => Just(Mode::Hang),
            1 => Just(Mode::Late),
        ]
    };
    prop_oneof![
        4 => (service(), mode()).prop_map(|(service, mode)| Event::Append(service, mode)),
        1 => (service(), mode()).prop_map(|(service, mode)| Event::AppendForAWhile(service, mode)),
        4 => Just(Event::Apply),
        1 => service().prop_map(Event::ApplyOne),
        2 => (service(), mode()).prop_map(|(service, mode)| Event::OnTrial(service, mode)),
        1 => Just(Event::Confirm),
        1 => service().prop_map(Event::Reset),
        3 => (1..100_u16).prop_map(Event::Pass),
        1 => service().prop_map(Event::Stop),
        1 => service().prop_map(Event::StopMeanwhile),
        2 => service().prop_map(Event::Start),
        1 => (service(), any::<bool>()).prop_map(|(service, is)| Event::Mask(service, is)),
        1 => (1..4_usize).prop_map(Event::BreakDown),
        1 => (service(), any::<bool>()).prop_map(|(service, is)| Event::Owner(service, is)),
        1 => (service(), any::<bool>()).prop_map(|(service, is)| Event::Disk(service, is)),
    ]
}

/// Two services with a file each.
static PLAN: LazyLock<Value> = LazyLock::new(|| {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| Utf8Path::from_path(directory.path()).unwrap().join(name);
    std::fs::create_dir_all(at("static")).unwrap();
    let services = SERVICES.map(|name| {
        let value = json!({"mode": "good-static"});
        std::fs::write(at(&format!("static/{name}.json")), "{\n  \"mode\": \"good-static\"\n}\n").unwrap();
        let (option, file) = (format!("services.{name}.settings"), format!("{name}.json"));
        let attach = json!({"bind": format!("/{file}")});
        let file_spec = json!({"format": {"name": "json"}, "value": {"option": option}, "static": format!("/{file}"), "attach": attach});
        let service = json!({
            "options": {option: {"static": value, "schema": {"type": "object"}}},
            "files": {file: file_spec},
            "units": {format!("{name}.service"): {"deadline": 5}},
        });
        (name.to_owned(), service)
    });
    let services: serde_json::Map<String, Value> = services.into_iter().collect();
    let description = json!({"version": 1, "watch": WATCH.as_secs(), "services": services});
    std::fs::write(at("description.json"), description.to_string()).unwrap();
    let mut generate = dynix();
    generate.arg("generate").args(["--description", at("description.json").as_str()]);
    finish(generate.args(["--static-root", at("static").as_str(), "--out", at("out").as_str()])).ends(0);
    serde_json::from_str(&std::fs::read_to_string(at("out/plan.json")).unwrap()).unwrap()
});

fn unit(service: usize) -> String {
    format!("{}.service", SERVICES[service])
}

/// What the unit of a service would read.
fn read(root: &Utf8Path, service: &str) -> String {
    let path = root.join(format!("run/dynix/{service}/current/{service}.json"));
    let text = std::fs::read_to_string(path).unwrap_or_else(|_| "{\"mode\": \"good-static\"}".to_owned());
    serde_json::from_str::<Value>(&text).unwrap()["mode"].as_str().unwrap().to_owned()
}

struct World<'w> {
    memory: &'w Memory<'w>,
    paths: Paths,
    log: LogFile,
    recall: Rerun,
    plan: Value,
    /// Records with what they set.
    recorded: BTreeMap<u64, (usize, String)>,
    /// Units that nobody stopped.
    wanted: BTreeSet<String>,
    /// Values that nobody confirmed, with the time when their window is over.
    unconfirmed: Vec<(usize, String, Duration)>,
}

impl World<'_> {
    fn plan(&self) -> Plan {
        serde_json::from_value(self.plan.clone()).unwrap()
    }

    fn with<T>(&self, occasion: Occasion, run: impl FnOnce(&Machine<'_>, &locks::Locks) -> T) -> T {
        // Nobody else is at it, whatever programs other tests are starting at this moment.
        let locks = locks::take(&self.paths, occasion, Duration::ZERO.into(), |_| ()).unwrap();
        let machine = Machine {
            paths: &self.paths,
            manager: Some(self.memory),
            observer: &|_| (),
            recall: &self.recall,
            interruption: &Uninterrupted,
            clock: self.memory,
        };
        run(&machine, &locks)
    }

    fn apply(&mut self, request: &Request) -> Result<Report, ApplyError> {
        let (plan, log) = (self.plan(), self.log.clone());
        let on_trial = State::load(&self.paths.state()).unwrap().trial.is_some() || request.trial.is_some();
        let report = self
            .with(request.occasion, |machine, locks| reconcile::apply(&plan, &log, request, machine, locks, |_| ()));
        if let Ok(report) = &report {
            self.check(report, request, on_trial);
        }
        report
    }

    /// What `dynix watch` does, which runs whenever something is watched.
    fn watch(&mut self) {
        let (plan, log) = (self.plan(), self.log.clone());
        let report = self.with(Occasion::Asked, |machine, locks| {
            let is_due = upkeep::inspect(&plan, machine).is_ok_and(|glance| glance.is_due);
            if is_due { upkeep::settle(&plan, &log, machine, locks).unwrap_or_default() } else { Report::default() }
        });
        self.check_rejected(&report);
        // What failed is on trial no more, and something else may be soon.
        if State::load(&self.paths.state()).unwrap().trial.is_none() {
            self.unconfirmed.clear();
        }
        // What could not be brought up again (it is masked, say) is named here, and not by every apply after that.
        let said: String = report.services.values().filter_map(Outcome::reason).collect();
        self.wanted.retain(|unit| self.memory.is_up(unit) || !said.contains(unit.as_str()));
    }

    /// Nothing good is rejected: among the records of a service that are rejected together there is a bad one.
    fn check_rejected(&self, report: &Report) {
        let mut rejected: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
        for (service, mode) in report.rejected.iter().filter_map(|id| self.recorded.get(id)) {
            rejected.entry(*service).or_default().push(mode);
        }
        for (service, modes) in rejected {
            assert!(modes.iter().any(|mode| Mode::is_bad(mode) || *mode == "late"), "{service}: {modes:?}: {report:?}");
        }
    }

    /// What holds after every apply.
    fn check(&self, report: &Report, request: &Request, on_trial: bool) {
        self.check_rejected(report);
        // All that was up is up, or named.
        for unit in &self.wanted {
            let service = unit.strip_suffix(".service").unwrap_or_default();
            let said: String = report.services.values().filter_map(Outcome::reason).collect();
            let fine = self.memory.is_up(unit) || said.contains(unit) || read(self.paths.root(), service) == "late";
            let provider_is_late = unit == "dependent.service" && read(self.paths.root(), "a") == "late";
            let failed = report.services.get(service).is_some_and(|outcome| outcome.exit() >= Exit::RollbackFailed);
            assert!(fine || failed || provider_is_late, "{unit} is down: {report:?}");
        }
        // What is in effect is the fold of the log.
        let is_whole = request.services.is_none() && request.occasion == Occasion::Asked;
        if report.exit() != Exit::Done || on_trial || !is_whole {
            return;
        }
        let folded = self.log.fold().unwrap().overlay;
        let effective = folded.effective(&json!({})).unwrap();
        for service in SERVICES {
            let wanted = effective["services"][service]["settings"]["mode"].as_str().unwrap_or("good-static");
            assert_eq!(read(self.paths.root(), service), wanted, "{service}: {report:?}");
        }
    }

    fn append(&mut self, service: usize, mode: Mode, until: Option<Duration>, trial: &mut Option<Window>) {
        let path = AttrPath(["services", SERVICES[service], "settings", "mode"].map(str::to_owned).to_vec());
        let change = [Draft::Set(path, json!(mode.text()))];
        let until = until.map(|time| self.memory.now() + time);
        let marking = Marking { by: "me", until, message: None, rejected: trial.is_some().then_some(NOT_CONFIRMED) };
        let written = self.log.decide(&marking, |_| (), |_| Ok::<_, LogError>(change.to_vec())).unwrap();
        let record = written.records[0];
        if let Some(window) = trial {
            window.marks.push(Mark { record, mark: written.rejections[0] });
        }
        self.recorded.insert(record, (service, mode.text()));
    }

    fn request(services: Option<&[&str]>) -> Request {
        let services = services.map(|some| some.iter().map(|one| (*one).to_owned()).collect());
        Request { services, by: "me".to_owned(), ..Request::default() }
    }

    fn happen(&mut self, event: &Event) {
        match event {
            Event::Append(service, mode) => self.append(*service, *mode, None, &mut None),
            Event::AppendForAWhile(service, mode) => {
                self.append(*service, *mode, Some(Duration::from_secs(40)), &mut None);
            }
            Event::Apply => drop(self.apply(&Self::request(None))),
            Event::ApplyOne(service) => drop(self.apply(&Self::request(Some(&[SERVICES[*service]])))),
            Event::OnTrial(service, mode) => {
                if State::load(&self.paths.state()).unwrap().trial.is_some() {
                    return;
                }
                let mut window = Some(Window { window: WINDOW, marks: Vec::new(), only_own: false });
                self.append(*service, *mode, None, &mut window);
                let request = Request { trial: window, ..Self::request(Some(&[SERVICES[*service]])) };
                let end = self.memory.monotonic() + WINDOW;
                if self.apply(&request).is_ok_and(|report| report.awaiting.is_some()) {
                    self.unconfirmed.push((*service, mode.text(), end));
                }
            }
            Event::Confirm => {
                let (plan, log) = (self.plan(), self.log.clone());
                let confirmed = self.with(Occasion::Asked, |machine, locks| {
                    let found = State::load(&machine.paths.state()).unwrap().trial.map(|trial| trial.timer);
                    trial::confirm(&plan, &log, (found.as_deref(), "me"), machine, locks, |_| ()).is_ok()
                });
                if confirmed {
                    self.unconfirmed.clear();
                }
            }
            Event::Reset(service) => {
                let path = AttrPath(["services", SERVICES[*service]].map(str::to_owned).to_vec());
                self.log.append(&[Draft::Unset(path)], "me", None, |_| ()).unwrap();
                let request = Request { occasion: Occasion::Reset, ..Self::request(Some(&[SERVICES[*service]])) };
                drop(self.apply(&request));
            }
            Event::Pass(seconds) => self.pass(Duration::from_secs(u64::from(*seconds))),
            Event::Stop(service) => {
                self.memory.stop(&unit(*service));
                self.wanted.remove(&unit(*service));
                if *service == 0 {
                    self.wanted.remove("dependent.service");
                }
            }
            Event::StopMeanwhile(service) => {
                self.memory.stop_meanwhile(&unit(*service));
                self.wanted.remove(&unit(*service));
                if *service == 0 {
                    self.wanted.remove("dependent.service");
                }
                drop(self.apply(&Self::request(None)));
                self.memory.stop(&unit(*service));
            }
            Event::Start(service) => {
                self.memory.start(&unit(*service));
                if self.memory.is_up(&unit(*service)) {
                    self.wanted.insert(unit(*service));
                }
                if *service == 0 && self.memory.is_up("a.service") {
                    self.memory.start("dependent.service");
                    self.wanted.insert("dependent.service".to_owned());
                }
            }
            Event::Mask(service, is_masked) => self.memory.mask(&unit(*service), *is_masked),
            Event::BreakDown(calls) => self.memory.break_down(*calls),
            Event::Owner(service, is_there) => {
                let name = SERVICES[*service];
                let owner = if *is_there { "root" } else { "nobody-there" };
                self.plan["services"][name]["files"][format!("{name}.json")]["owner"] = owner.into();
            }
            Event::Disk(service, works) => {
                let place = self.paths.service(SERVICES[*service]);
                if *works && place.is_file() {
                    std::fs::remove_file(place).unwrap();
                } else if !*works && !place.exists() {
                    std::fs::create_dir_all(place.parent().unwrap()).unwrap();
                    std::fs::write(place, "").unwrap();
                }
            }
        }
    }

    /// Time passes, and what timers start runs: again after a while where it fails, as systemd does it.
    fn pass(&mut self, time: Duration) {
        let end = self.memory.monotonic() + time;
        let mut again: Vec<Timer> = Vec::new();
        while self.memory.monotonic() < end {
            let left = end.saturating_sub(self.memory.monotonic()).min(Duration::from_secs(1));
            let timer = self.memory.pass(left);
            self.watch();
            let Some(timer) = timer else { continue };
            for timer in std::mem::take(&mut again).into_iter().chain([timer]) {
                if !self.woken(&timer) {
                    again.push(timer);
                }
            }
        }
        // The machine works again at last, and so does what is tried again.
        self.memory.break_down(0);
        for timer in again {
            self.woken(&timer);
        }
        for (service, mode, end) in &self.unconfirmed {
            let is_over = self.memory.monotonic() > *end;
            let is_there = State::load(&self.paths.state()).unwrap().trial.is_some();
            assert!(!is_over || !is_there, "{service}: {mode} is on trial beyond its window");
        }
        let now = self.memory.monotonic();
        self.unconfirmed.retain(|(_, _, end)| *end >= now);
    }

    /// What a timer starts; whether it is done with that.
    fn woken(&mut self, timer: &Timer) -> bool {
        let words: Vec<&str> = timer.command.iter().skip(1).map(String::as_str).collect();
        match words.as_slice() {
            ["confirm", "--revert", "--of", name] => {
                let (plan, log) = (self.plan(), self.log.clone());
                let reverted = self.with(Occasion::Asked, |machine, locks| {
                    trial::revert(&plan, &log, Which::Of(name), NOT_CONFIRMED, machine, locks)
                });
                reverted.is_ok_and(|report| report.exit() != Exit::Failed)
            }
            ["apply", "--expired"] => {
                let request = Request { occasion: Occasion::Expiry, ..Self::request(None) };
                self.apply(&request).is_ok_and(|report| report.exit() != Exit::Failed)
            }
            ["apply", "--retry", services @ ..] => {
                let request = Request { occasion: Occasion::Retry, ..Self::request(Some(services)) };
                self.apply(&request).is_ok_and(|report| report.exit() != Exit::Failed)
            }
            other => panic!("nobody knows {other:?}"),
        }
    }
}

/// The same sequences each time, where nobody asks for more of them.
fn seed() -> RngSeed {
    if std::env::var_os("DYNIX_CASES").is_some() { RngSeed::Random } else { RngSeed::Fixed(25) }
}

fn cases() -> u32 {
    std::env::var("DYNIX_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(48)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), rng_seed: seed(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_an_apply_promises_holds_whatever_happens(events in prop::collection::vec(event(), 1..25)) {
        let directory = tempfile::tempdir().unwrap();
        let root: Utf8PathBuf = Utf8Path::from_path(directory.path()).unwrap().to_owned();
        let at = root.clone();
        let memory = Memory::new(move |unit| match read(&at, unit.strip_suffix(".service").unwrap()).as_str() {
            "crash" => Start::Fails,
            "hang" => Start::Hangs,
            "late" => Start::FailsAfter(Duration::from_secs(30)),
            _ => Start::Good,
        });
        memory.add("a.service", &["dependent.service"]);
        memory.add("b.service", &[]);
        memory.add("dependent.service", &[]);
        let wanted: BTreeSet<String> = ["a.service", "b.service", "dependent.service"].map(str::to_owned).into();
        for unit in &wanted {
            memory.start(unit);
        }
        let paths = Paths::new(&root, None, None);
        std::fs::create_dir_all(root.join("etc/nixos")).unwrap();
        let log = LogFile::new(paths.overrides(), &paths.cache(), None);
        let command = vec!["dynix".to_owned()];
        let recall = Rerun { at_once: command.clone(), command, before_boot: false };
        let mut world = World {
            memory: &memory, paths, log, recall, plan: PLAN.clone(), recorded: BTreeMap::new(), wanted,
            unconfirmed: Vec::new(),
        };
        for event in &events {
            world.happen(event);
            world.watch();
        }
        // In the end all works again: nothing is left to do but what a bad value still asks for.
        memory.break_down(0);
        for service in 0..SERVICES.len() {
            world.happen(&Event::Mask(service, false));
            world.happen(&Event::Owner(service, true));
            world.happen(&Event::Disk(service, true));
        }
        world.pass(WINDOW * 2);
        for _ in 0..2 {
            world.happen(&Event::Apply);
            world.pass(WATCH * 3);
        }
        let report = world.apply(&World::request(None)).unwrap();
        for (service, outcome) in &report.services {
            // A bad value came into effect while its unit was stopped, so nobody watched; that it failed then is said.
            let mode = read(&root, service);
            let is_bad = Mode::is_bad(&mode) || mode == "late";
            let is_said = outcome.reason().is_some_and(|reason| reason.contains("has failed"));
            prop_assert!(is_bad && is_said && !memory.is_up(&format!("{service}.service")), "{:?}", report);
        }
        let state = State::load(&world.paths.state()).unwrap();
        prop_assert!(state.services.values().all(|one| one.watch.is_none()), "{:?}", state);
        // What works is known to: a boot would start on it.
        for (service, one) in &state.services {
            let is_good = read(&root, service).starts_with("good") && memory.is_up(&format!("{service}.service"));
            prop_assert!(one.works || one.in_effect.is_static() || !is_good, "{service}: {:?}", one);
        }
    }
}
