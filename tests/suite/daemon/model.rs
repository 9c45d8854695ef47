//! A model of the policy: any users and rules, any sequence of requests, and root working beside them, on the real daemon's
//! worker with files of its own and a service manager in memory. What a limited user changes is only what a rule lets it
//! change, and what a rule lets it change is never refused. A sequence that fails is made as short as can be.
//! `DYNIX_CASES=N` tries so many instead of 24.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write as _;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use dynix::attr_path::AttrPath;
use dynix::daemon::peer::Peer;
use dynix::host::systemd::memory::{Memory, Start};
use dynix::overrides::{Draft, Kind, LogFile, Overlay};
use dynix::plan::Method;
use dynix::reconcile::state::State;
use dynix::varlink::wire::Reply;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::{Value, json};

use super::handler::{Handler, error};
use super::{JOBS, WORKERS};
use crate::inputs::policy::{Part, Touched, allowing, given, spec, touched, values_that_differ};
use crate::support::{System, description};

const SETTINGS: &str = "services.harmonia.settings";
const PATHS: [&str; 6] = [
    WORKERS,
    "services.harmonia.settings.priority",
    "services.harmonia.settings.max_connection_rate",
    JOBS,
    "services.distccd.nice",
    SETTINGS,
];
const SERVICES: [&str; 2] = ["harmonia", "distccd"];
/// The first is root.
const USERS: [u32; 4] = [0, 3001, 3002, 3003];
/// What rules may be about; `*` is any name.
const PATTERNS: [&[&str]; 8] = [
    &["services", "harmonia", "settings", "workers"],
    &["services", "harmonia", "settings"],
    &["services", "*", "settings", "priority"],
    &["services", "*", "maxJobs"],
    &["services", "distccd", "*"],
    &["services", "harmonia", "settings", "*"],
    &["services", "distccd", "nice"],
    &["services", "*"],
];
const METHODS: [Method; 5] = [Method::Append, Method::Unset, Method::Rollback, Method::Reset, Method::Apply];
/// Nothing here takes so long.
const WINDOW: u64 = 3_600_000_000;

/// Two groups that the system has a name for.
static GROUPS: LazyLock<Vec<(u32, String)>> = LazyLock::new(|| {
    let text = std::fs::read_to_string("/etc/group").unwrap_or_default();
    let groups = text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?.parse().ok()?);
        (number != 0).then(|| (number, name.to_owned()))
    });
    groups.take(2).collect()
});

/// What somebody asks the daemon for.
#[derive(Clone, Debug)]
enum Ask {
    Append {
        path: usize,
        value: u8,
        replace: bool,
    },
    Unset(usize),
    /// So many records back; one where none is said.
    Rollback(Option<u64>),
    Reset(Option<usize>),
    Apply(Option<usize>),
    Confirm {
        revert: bool,
    },
}

/// What happens.
#[derive(Clone, Debug)]
enum Event {
    /// A user (as a bit set its groups) asks; it may want that applied, and on trial.
    Ask { user: usize, groups: u8, ask: Ask, apply: bool, confirm: bool },
    /// Root changes the log without the daemon: at once, or while the next request waits for the log.
    Root { ask: Ask, meanwhile: bool },
}

fn ask() -> impl Strategy<Value = Ask> {
    let path = || 0..PATHS.len();
    prop_oneof![
        6 => (path(), 0..10_u8, prop::bool::weighted(0.2))
            .prop_map(|(path, value, replace)| Ask::Append { path, value, replace }),
        2 => path().prop_map(Ask::Unset),
        2 => prop::option::of(0..6_u64).prop_map(Ask::Rollback),
        2 => prop::option::of(0..SERVICES.len()).prop_map(Ask::Reset),
        2 => prop::option::of(0..SERVICES.len()).prop_map(Ask::Apply),
        1 => any::<bool>().prop_map(|revert| Ask::Confirm { revert }),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0..USERS.len(), 0..4_u8, ask(), any::<bool>(), prop::bool::weighted(0.2))
            .prop_map(|(user, groups, ask, apply, confirm)| Event::Ask { user, groups, ask, apply, confirm }),
        2 => (ask(), prop::bool::weighted(0.3)).prop_map(|(ask, meanwhile)| Event::Root { ask, meanwhile }),
    ]
}

fn part() -> impl Strategy<Value = Part> {
    let bounds = (prop::option::of(0..4_i64), prop::option::of(4..9_i64), prop::bool::weighted(0.2));
    let rate = prop::option::weighted(0.3, 1..4_u32);
    (0..PATTERNS.len(), 1..32_u8, bounds, rate).prop_map(|(pattern, methods, (minimum, maximum, listed), rate)| Part {
        rule: String::new(),
        users: Vec::new(),
        groups: Vec::new(),
        names: PATTERNS[pattern].iter().map(|name| (*name != "*").then(|| (*name).to_owned())).collect(),
        methods: METHODS
            .into_iter()
            .enumerate()
            .filter(|(bit, _)| methods >> bit & 1 == 1)
            .map(|(_, one)| one)
            .collect(),
        minimum,
        maximum,
        values: listed.then(|| vec![json!(2), json!(5), json!(7)]),
        rate,
    })
}

/// Rules, each for some users and groups.
fn rules() -> impl Strategy<Value = Vec<Part>> {
    let rule = (0..8_u8, 0..4_u8, prop::collection::vec(part(), 1..4));
    prop::collection::vec(rule, 1..4).prop_map(|rules| {
        let mut parts: Vec<Part> = Vec::new();
        for (number, (users, groups, own)) in rules.into_iter().enumerate() {
            let mut users: Vec<String> =
                (0..3).filter(|bit| users >> bit & 1 == 1).map(|bit| USERS[bit + 1].to_string()).collect();
            if users.is_empty() {
                users.push(USERS[1].to_string());
            }
            let groups = chosen(groups).into_iter().map(|(_, name)| name);
            let groups: Vec<String> = groups.collect();
            for part in own {
                let rule = format!("rule-{number}");
                if !parts.iter().any(|one| one.rule == rule && one.names == part.names) {
                    parts.push(Part { rule, users: users.clone(), groups: groups.clone(), ..part });
                }
            }
        }
        // As the plan has them, in the order of their names.
        parts.sort_by_key(|part| (part.rule.clone(), part.pattern()));
        parts
    })
}

fn chosen(groups: u8) -> Vec<(u32, String)> {
    GROUPS.iter().enumerate().filter(|(bit, _)| groups >> bit & 1 == 1).map(|(_, group)| group.clone()).collect()
}

fn path(text: &str) -> AttrPath {
    AttrPath::parse(text).unwrap()
}

impl Ask {
    fn value(path: usize, value: u8) -> Value {
        match PATHS[path] {
            SETTINGS => json!({"workers": value, "priority": 1 + value % 3}),
            // The option's type has more to say of these.
            JOBS => json!(1 + value),
            _ => json!(value),
        }
    }

    fn method(&self) -> Option<Method> {
        Some(match self {
            Self::Append { .. } => Method::Append,
            Self::Unset(_) => Method::Unset,
            Self::Rollback(_) => Method::Rollback,
            Self::Reset(_) => Method::Reset,
            Self::Apply(_) => Method::Apply,
            Self::Confirm { .. } => return None,
        })
    }

    fn call(&self, apply: bool, confirm: bool, last: u64) -> (&'static str, Value) {
        let (method, mut parameters) = match self {
            Self::Append { path, value, replace } => {
                let value = Self::value(*path, *value);
                ("Append", json!({"path": PATHS[*path], "value": value, "replace": replace}))
            }
            Self::Unset(path) => ("Unset", json!({"path": PATHS[*path]})),
            Self::Rollback(back) => ("Rollback", json!({"id": back.map(|back| last.saturating_sub(back))})),
            Self::Reset(service) => ("Reset", json!({"services": service.map(|one| vec![SERVICES[one]])})),
            Self::Apply(service) => ("Apply", json!({"services": service.map(|one| vec![SERVICES[one]])})),
            Self::Confirm { revert } => return ("Confirm", json!({"revert": revert})),
        };
        if matches!(self, Self::Append { .. } | Self::Unset(_) | Self::Rollback(_)) {
            parameters["apply"] = json!(apply || confirm);
        }
        if confirm {
            parameters["confirmUSec"] = json!(WINDOW);
        }
        (method, parameters)
    }
}

struct World {
    system: System,
    log: LogFile,
    parts: Vec<Part>,
    /// How often each user made use of each part that has a rate, by the names of rule and path.
    used: BTreeMap<(u32, String, String), u32>,
    /// A change of root's own that is made while the next request waits.
    meanwhile: Option<Ask>,
}

/// What the model makes of a request.
#[derive(Debug, PartialEq)]
enum Verdict {
    /// It is let through, and counted so often.
    Let(Vec<(String, String)>),
    /// No rule allows it.
    Kept,
    /// The rules allow it, and not so often.
    TooOften,
}

impl World {
    fn new(parts: Vec<Part>) -> Self {
        let mut description = description();
        description["services"].as_object_mut().unwrap().remove("gotosocial");
        description["watch"] = json!(0);
        description["daemon"] = spec(&parts);
        let system = System::of(&description);
        let log = LogFile::new(&system.path("etc/nixos/dynamic.nix"), &system.path("var/cache/dynix"), None);
        std::fs::create_dir_all(system.path("etc/nixos")).unwrap();
        Self { system, log, parts, used: BTreeMap::new(), meanwhile: None }
    }

    fn state(&self) -> State {
        State::load(&self.system.path("run/dynix/state.json")).unwrap()
    }

    fn overlay(&self, behind: &[Draft]) -> Overlay {
        self.log.preview(behind).unwrap().overlay
    }

    fn last(&self) -> u64 {
        self.log.fold().unwrap().last_id
    }

    /// The records that a request comes to.
    fn changes(&self, ask: &Ask, last: u64) -> Vec<Draft> {
        match ask {
            Ask::Append { path: at, value, replace } => {
                let (at, value) = (path(PATHS[*at]), Ask::value(*at, *value));
                vec![if *replace { Draft::Replace(at, value) } else { Draft::Set(at, value) }]
            }
            Ask::Unset(at) => {
                let at = path(PATHS[*at]);
                let is_there =
                    |leaf: &AttrPath, value: &Value| leaf.starts_with(&at) || at.starts_with(leaf) && value.is_object();
                let overlay = self.overlay(&[]);
                let any = overlay.leaves().iter().any(|(leaf, one)| is_there(leaf, one.value));
                if any { vec![Draft::Unset(at)] } else { Vec::new() }
            }
            Ask::Rollback(Some(back)) => vec![Draft::Rollback(last.saturating_sub(*back))],
            Ask::Rollback(None) => self.log.one_back().unwrap().map(Draft::Rollback).into_iter().collect(),
            Ask::Reset(service) => {
                let overlay = self.overlay(&self.state().on_trial());
                if overlay.is_empty() {
                    return Vec::new();
                }
                let Some(service) = service else { return vec![Draft::Rollback(0)] };
                let plan: Value = serde_json::from_str(&self.system.read("etc/dynix/plan.json")).unwrap();
                let options = plan["services"][SERVICES[*service]]["options"].as_object().unwrap().clone();
                let options = options.keys().map(|option| path(option));
                options.filter(|option| !overlay.below(option).is_empty()).map(Draft::Unset).collect()
            }
            Ask::Apply(_) | Ask::Confirm { .. } => Vec::new(),
        }
    }

    /// What a limited user is to be answered.
    fn verdict(&self, peer: &Peer, ask: &Ask, last: u64) -> Verdict {
        let user = peer.user.to_string();
        let groups: Vec<String> =
            GROUPS.iter().filter(|(number, _)| peer.groups.contains(number)).map(|(_, name)| name.clone()).collect();
        let by = format!("{user} via daemon");
        let Some(method) = ask.method() else {
            let others = self.state().trial.is_some_and(|trial| trial.by != by);
            return if others { Verdict::Kept } else { Verdict::Let(Vec::new()) };
        };
        let is_for = |part: &&Part| part.users.contains(&user) || part.groups.iter().any(|one| groups.contains(one));
        let own: Vec<&Part> = self.parts.iter().filter(is_for).filter(|part| part.methods.contains(&method)).collect();
        if own.is_empty() {
            return Verdict::Kept;
        }
        if let Ask::Apply(service) = ask {
            let about = |part: &&Part| {
                part.names[1].as_deref().is_none_or(|name| Some(name) == service.map(|one| SERVICES[one]))
            };
            let may =
                service.is_some() && own.iter().any(|part| about(part) && meets(part, SERVICES[service.unwrap()]));
            return if may { Verdict::Let(Vec::new()) } else { Verdict::Kept };
        }
        let allowing = |touched: &[Touched]| allowing(&self.parts, &user, &groups, method, touched);
        if let Ask::Unset(at) = ask
            && allowing(&[(path(PATHS[*at]).0, None)]).is_none()
        {
            return Verdict::Kept;
        }
        let changes = self.changes(ask, last);
        if changes.is_empty() && matches!(ask, Ask::Unset(_)) {
            return Verdict::Let(Vec::new());
        }
        let edited: Vec<AttrPath> = changes.iter().flat_map(Draft::paths).cloned().collect();
        let confirmed = self.state().trial.map(|trial| trial.confirmation()).unwrap_or_default();
        let mut all: BTreeSet<String> = BTreeSet::new();
        let mut places: Vec<Touched> = Vec::new();
        for behind in [Vec::new(), confirmed] {
            let (before, after) = (self.overlay(&behind), self.overlay(&[changes.clone(), behind].concat()));
            places.extend(touched(&before, &after, &edited));
        }
        if matches!(method, Method::Append | Method::Unset) {
            places.extend(changes.iter().flat_map(given));
        }
        places.retain(|place| all.insert(format!("{place:?}")));
        let Some(allowed) = allowing(&places) else { return Verdict::Kept };
        if allowed.is_empty() {
            return Verdict::Kept;
        }
        // Each place needs one of its parts: one without a rate, or one that is used anyway, or the first that is left.
        let mut counted: Vec<(String, String)> = Vec::new();
        let mut places: Vec<Vec<(String, String, Option<u32>)>> = allowed
            .into_iter()
            .map(|parts| parts.into_iter().map(|part| (part.rule.clone(), part.pattern(), part.rate)).collect())
            .collect();
        places.sort();
        places.dedup();
        for parts in places {
            if parts
                .iter()
                .any(|(rule, pattern, rate)| rate.is_none() || counted.contains(&(rule.clone(), pattern.clone())))
            {
                continue;
            }
            let is_left = |(rule, pattern, rate): &&(String, String, Option<u32>)| {
                let times = self.used.get(&(peer.user, rule.clone(), pattern.clone())).copied().unwrap_or_default();
                rate.is_some_and(|rate| times < rate)
            };
            match parts.iter().find(is_left) {
                Some((rule, pattern, _)) => counted.push((rule.clone(), pattern.clone())),
                None => return Verdict::TooOften,
            }
        }
        Verdict::Let(counted)
    }

    /// Root's own change, of which no daemon knows.
    fn by_root(&self, ask: &Ask) {
        let changes = self.changes(ask, self.last());
        self.log.append(&changes, "root", None, |_| ()).unwrap();
    }

    /// A request, while root does something if that is due.
    fn asked(&mut self, handler: &Handler, peer: &Peer, method: &str, parameters: Value) -> Reply {
        let Some(ask) = self.meanwhile.take() else { return handler.ask_as(peer.clone(), method, parameters) };
        let place = self.system.path("etc/nixos/.dynamic.nix.lock");
        let lock = File::options().create(true).truncate(false).write(true).open(place).unwrap();
        lock.lock().unwrap();
        handler.say_as(peer.clone(), method, parameters);
        // What is judged too early is judged by now.
        std::thread::sleep(Duration::from_millis(30));
        // As `dynix append` writes it, which asks for the lock.
        let (at, value) = match ask {
            Ask::Append { path, value, .. } if PATHS[path] != SETTINGS => (PATHS[path], Ask::value(path, value)),
            _ => (JOBS, json!(3)),
        };
        let log = self.system.path("etc/nixos/dynamic.nix");
        if log.exists() {
            let record = format!("{{ time = \"2026-11-29T10:00:00Z\"; by = \"root\"; set.{at} = {value}; }}\n");
            File::options().append(true).open(log).unwrap().write_all(record.as_bytes()).unwrap();
        }
        lock.unlock().unwrap();
        handler.hear().1
    }

    fn step(&mut self, handler: &Handler, event: &Event) -> Result<(), TestCaseError> {
        let Event::Ask { user, groups, ask, apply, confirm } = event else {
            let Event::Root { ask, meanwhile } = event else { return Ok(()) };
            if *meanwhile {
                self.meanwhile = Some(ask.clone());
            } else {
                self.by_root(ask);
            }
            return Ok(());
        };
        let peer = Peer { user: USERS[*user], groups: chosen(*groups).into_iter().map(|(number, _)| number).collect() };
        let (last, before, state) = (self.last(), self.log.records().unwrap().len(), self.state());
        // A rollback to a record by its number is one to a state, whatever root does meanwhile; the model knows no more of
        // what comes between than that it is not the user's.
        let is_alone = self.meanwhile.is_none();
        let verdict = self.verdict(&peer, ask, last);
        let confirm = *confirm && !matches!(ask, Ask::Confirm { .. });
        let (method, parameters) = ask.call(*apply, confirm, last);
        let reply = self.asked(handler, &peer, method, parameters);
        if peer.user == 0 {
            prop_assert!(!matches!(error(&reply), Some("NotAllowed" | "TooOften")), "{:?}", reply);
            return Ok(());
        }
        if is_alone {
            self.is_as_the_rules_say(&peer, &verdict, (&state, confirm), &reply)?;
        } else if let Verdict::Let(_) = verdict {
            // What root did meanwhile may have used up what the model counts: it is begun anew.
            self.forget_rates(&peer);
        }
        self.changes_nothing_else(&peer, before, &state)
    }

    /// Every use of the user is taken as made: nothing is said of rates from then on.
    fn forget_rates(&mut self, peer: &Peer) {
        for part in &mut self.parts {
            if part.users.contains(&peer.user.to_string()) || !part.groups.is_empty() {
                // Neither more nor less than what is known.
                part.rate = part.rate.map(|_| u32::MAX);
            }
        }
    }

    fn is_as_the_rules_say(
        &mut self,
        peer: &Peer,
        verdict: &Verdict,
        (state, confirm): (&State, bool),
        reply: &Reply,
    ) -> Result<(), TestCaseError> {
        let said = error(reply);
        let unknown_rates = self.parts.iter().any(|part| part.rate == Some(u32::MAX));
        match verdict {
            Verdict::Kept => prop_assert!(matches!(said, Some("NotAllowed" | "Refused" | "Failed")), "{:?}", reply),
            Verdict::TooOften => prop_assert!(matches!(said, Some("TooOften" | "Failed")), "{:?}", reply),
            Verdict::Let(_) if said == Some("TooOften") && unknown_rates => {}
            Verdict::Let(counted) => {
                // One trial at a time; and what others have not applied yet is on nobody's.
                let is_taken = state.trial.is_some();
                let reason = reply.parameters["reason"].as_str().unwrap_or_default();
                let has_reason = is_taken && reason.contains("awaits its confirmation")
                    || confirm && reason.contains("would be on trial as well")
                    || reason.contains("nothing awaits a confirmation");
                prop_assert!(said.is_none() || said == Some("Failed") && has_reason, "{:?}", reply);
                let is_judged = !(confirm && is_taken);
                for (rule, pattern) in counted.iter().filter(|_| is_judged) {
                    *self.used.entry((peer.user, rule.clone(), pattern.clone())).or_default() += 1;
                }
            }
        }
        Ok(())
    }

    /// Whatever was answered: each record of the user changes only what it may, takes back only its own by name, and
    /// others' trials go on.
    fn changes_nothing_else(&self, peer: &Peer, before: usize, state: &State) -> Result<(), TestCaseError> {
        let by = format!("{} via daemon", peer.user);
        let groups: Vec<String> =
            GROUPS.iter().filter(|(number, _)| peer.groups.contains(number)).map(|(_, name)| name.clone()).collect();
        let records = self.log.records().unwrap();
        let author = |id: u64| records.iter().find(|one| one.id == id).and_then(|one| one.by.clone());
        for record in records.iter().skip(before).filter(|one| one.by.as_ref() == Some(&by)) {
            if let Kind::Reject { id, .. } = &record.kind {
                prop_assert_eq!(author(*id), Some(by.clone()), "{:?}", record);
                continue;
            }
            let fold = |id: u64| self.log.fold_at(id).unwrap().overlay;
            for (place, value) in values_that_differ(&fold(record.id - 1), &fold(record.id)) {
                let is_own = |part: &Part| {
                    part.users.contains(&peer.user.to_string()) || part.groups.iter().any(|one| groups.contains(one))
                };
                let covers = |part: &Part| {
                    part.names.len() <= place.len()
                        && part.names.iter().zip(&place).all(|(name, is)| name.as_ref().is_none_or(|name| name == is))
                };
                let allows = self.parts.iter().any(|part| is_own(part) && covers(part));
                prop_assert!(allows, "{:?} changes {:?} to {:?}", record, place, value);
            }
        }
        let now = self.state();
        if let Some(trial) = state.trial.as_ref().filter(|trial| trial.by != by) {
            prop_assert_eq!(now.trial.as_ref().map(|one| &one.timer), Some(&trial.timer));
        }
        Ok(())
    }
}

/// Whether a part is about anything of a service.
fn meets(part: &Part, service: &str) -> bool {
    let of = |text: &str| path(text).0;
    let options: &[&str] = if service == "harmonia" {
        &[SETTINGS]
    } else {
        &[JOBS, "services.distccd.nice", "services.distccd.port", "services.distccd.stats.enable"]
    };
    options
        .iter()
        .any(|option| part.names.iter().zip(of(option)).all(|(name, is)| name.as_ref().is_none_or(|name| *name == is)))
}

/// The same each time, unless more are asked for.
fn seed() -> RngSeed {
    if std::env::var_os("DYNIX_CASES").is_some() { RngSeed::Random } else { RngSeed::Fixed(26) }
}

fn cases() -> u32 {
    let given = std::env::var("DYNIX_CASES").ok().filter(|text| !text.is_empty());
    given.map_or(24, |text| text.parse().expect("DYNIX_CASES is a number"))
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(),
        max_shrink_iters: 400,
        failure_persistence: None,
        rng_seed: seed(),
        ..ProptestConfig::default()
    })]

    #[test]
    fn whoever_asks_for_whatever_changes_what_it_may_and_all_of_that(
        parts in rules(),
        events in prop::collection::vec(event(), 1..25),
    ) {
        let mut world = World::new(parts);
        let memory = Memory::new(|_| Start::Good);
        for service in SERVICES {
            memory.add(&format!("{service}.service"), &[]);
            memory.start(&format!("{service}.service"));
        }
        let handler = Handler::with(&world.system, Some(Arc::new(memory)));
        for event in &events {
            world.step(&handler, event)?;
        }
    }
}
