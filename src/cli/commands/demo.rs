//! `dynix demo`: shows dynix's main job on three services, in a temporary root, and compares every result with the
//! expected one.
//!
//! The descriptions are those of gotosocial, harmonia and distccd as NixOS evaluates them. The units are only named:
//! the demo touches none.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use clap::Parser;
use serde_json::Value;

use super::{append, change, screen};
use crate::build::{self, Input};
use crate::cli::arguments::{Cli, Command, Demo, Lazy};
use crate::exit::Exit;
use crate::host::digest::sha256;
use crate::host::fs::{self, atomic, generation};
use crate::host::paths::Paths;
use crate::host::process;
use crate::plan::{Attach, Plan};
use crate::reconcile::report::Report;
use crate::system::System;
use crate::system::caller::Caller;
use crate::system::record::Recorded;
use crate::system::request::{self, Request};
use crate::varlink::client::Ask;

/// A bundled description, and the file that Nix generated for its static values.
struct Bundled {
    description: &'static str,
    path: &'static str,
    text: &'static str,
}

macro_rules! bundled {
    ($service:literal, $path:literal) => {
        Bundled {
            description: include_str!(concat!("../../../descriptions/", $service, ".json")),
            path: $path,
            text: include_str!(concat!("../../../descriptions/", $path)),
        }
    };
}

const SERVICES: [Bundled; 3] = [
    bundled!("gotosocial", "nix/store/mszchqn2n3cbjnshdrxq8s3p0dk5ssy5-config.yml"),
    bundled!("harmonia", "nix/store/v4zhciszya763yqrxfl4r06j25qg5ljh-harmonia.toml"),
    bundled!("distccd", "nix/store/b5vzbzcbrl54f927nvs8fiwyjg354r53-start-distccd"),
];

/// One override, and what it has to come to.
struct Step {
    path: &'static str,
    value: &'static str,
    service: &'static str,
    file: &'static str,
    /// The earlier text in the file, or on the command line, and the expected one.
    change: (&'static str, &'static str),
    unit: &'static str,
}

const STEPS: [Step; 5] = [
    Step {
        path: "services.gotosocial.settings.application-name",
        value: "yay!",
        service: "gotosocial",
        file: "config.yml",
        change: ("application-name: gotosocial-for-machine\n", "application-name: yay!\n"),
        unit: "gotosocial.service",
    },
    Step {
        path: "services.harmonia.settings.workers",
        value: "20",
        service: "harmonia",
        file: "harmonia.toml",
        change: ("workers = 4\n", "workers = 20\n"),
        unit: "harmonia.service",
    },
    Step {
        path: "services.harmonia.settings.max_connection_rate",
        value: "100",
        service: "harmonia",
        file: "harmonia.toml",
        change: ("max_connection_rate = 256\n", "max_connection_rate = 100\n"),
        unit: "harmonia.service",
    },
    Step {
        path: "services.distccd.maxJobs",
        value: "4",
        service: "distccd",
        file: "flags",
        change: ("--jobs\n12\n", "--jobs\n4\n"),
        unit: "distccd.service",
    },
    Step {
        path: "services.distccd.logLevel",
        value: "error",
        service: "distccd",
        file: "flags",
        change: ("--log-level\nwarning\n", "--log-level\nerror\n"),
        unit: "distccd.service",
    },
];

/// Runs the demonstration.
pub fn run(arguments: &Demo) -> anyhow::Result<Exit> {
    let directory = tempfile::Builder::new().prefix("dynix-demo.").tempdir().context("cannot create a directory")?;
    let root =
        Utf8PathBuf::try_from(directory.path().to_owned()).context("the temporary directory's path is no text")?;
    say(&format!("Everything happens below {root}; no unit of this machine is touched.\n\n"))?;
    build(&root)?;
    let global = command_line(&root, &["status"])?.global;
    let session = super::session(&global)?;
    let system = session.open()?;
    let coloured = screen::colours(global.color);
    let mut expected = texts(&system.plan, &system.paths)?;
    for step in &STEPS {
        say(&format!("$ dynix append {} '{}' --apply\n", step.path, step.value))?;
        let before = texts(&system.plan, &system.paths)?;
        let start = Instant::now();
        let recorded_line = record(step, &root, &system)?;
        let recorded = start.elapsed();
        say(&recorded_line)?;
        let report = system.apply(&system.request(Some([step.service.to_owned()].into())))?;
        let applied = start.elapsed();
        let after = texts(&system.plan, &system.paths)?;
        let key = (step.service.to_owned(), step.file.to_owned());
        say(&screen::diff(step.file, ("before", &before[&key]), ("now", &after[&key]), coloured))?;
        check(step, &report, &mut expected, &after)?;
        say(&format!(
            "would restart {}; {:.1} ms ({:.1} ms to record durably, {:.1} ms to apply)\n\n",
            step.unit,
            applied.as_secs_f64() * 1e3,
            recorded.as_secs_f64() * 1e3,
            applied.saturating_sub(recorded).as_secs_f64() * 1e3
        ))?;
    }
    go_static(&root, &system)?;
    if arguments.keep {
        let _ = directory.keep();
        say(&format!("It is all in {root}; try `dynix --root {root} log`.\n"))?;
    }
    Ok(Exit::Done)
}

fn say(text: &str) -> anyhow::Result<()> {
    super::print(text.as_bytes()).map(drop)
}

fn command_line(root: &Utf8Path, words: &[&str]) -> anyhow::Result<Cli> {
    let root = ["dynix", "--root", root.as_str()];
    Ok(Cli::try_parse_from(root.iter().chain(words))?)
}

/// Build time: one description of all three, its static files, and the generated plan.
fn build(root: &Utf8Path) -> anyhow::Result<()> {
    let mut services = serde_json::Map::new();
    for one in &SERVICES {
        let description: Value = serde_json::from_str(one.description)?;
        if let Value::Object(described) = &description["services"] {
            services.extend(described.clone());
        }
        atomic::write(&root.join(one.path), one.text.as_bytes(), 0o444, atomic::Durability::Volatile)?;
    }
    let description = serde_json::json!({ "version": 1, "services": services }).to_string();
    let start = Instant::now();
    let plan = root.join("etc/dynix/plan.json");
    let input = Input { description: &description, static_root: root, dynix: &process::this_program()?, plan: &plan };
    let tree = build::generate(&input)?;
    tree.write(&root.join("etc/dynix"))?;
    say("$ dynix generate --description description.json --out etc/dynix\n")?;
    for (path, ..) in tree.files() {
        say(&format!("  {path}\n"))?;
    }
    let took = start.elapsed().as_secs_f64() * 1e3;
    say(&format!("every static file proven equal to what Nix generated; {took:.1} ms\n\n"))
}

/// The text that each service reads now: that of its file, or the words of its command line, one a line.
fn texts(plan: &Plan, paths: &Paths) -> anyhow::Result<BTreeMap<(String, String), String>> {
    let mut texts = BTreeMap::new();
    for (name, service) in &plan.services {
        let current = generation::current(&paths.service(name))?;
        for (file_name, file) in &service.files {
            let dynamic = paths.service(name).join("current").join(file_name);
            let path = if current.is_some() { dynamic } else { paths.below_root(&file.static_file) };
            let bytes = fs::read(&path)?.with_context(|| format!("{path} is not there"))?;
            let text = String::from_utf8(bytes)?;
            let text = match &file.attach {
                Attach::Bind(_) | Attach::Variables { .. } | Attach::Credential(_) | Attach::Etc(_) => text,
                Attach::Environment { .. } if current.is_none() => {
                    let script = build::script::read(&text).map_err(anyhow::Error::msg)?;
                    lines(script.words.iter().skip(1).map(String::as_str))
                }
                Attach::Environment { .. } => unquoted(&text),
            };
            texts.insert((name.clone(), file_name.clone()), text);
        }
    }
    Ok(texts)
}

/// The words of a flags file, which need no quotes of their own here.
fn unquoted(text: &str) -> String {
    let value = text.trim_end().split_once('=').map_or("", |(_, value)| value).trim_matches('"');
    lines(value.split(' '))
}

fn lines<'w>(words: impl Iterator<Item = &'w str>) -> String {
    words.flat_map(|word| [word, "\n"]).collect()
}

/// Records the value of a step, and gives the line about it.
fn record(step: &Step, root: &Utf8Path, system: &System<'_>) -> anyhow::Result<String> {
    let Command::Append(Lazy(arguments)) = command_line(root, &["append", step.path, step.value])?.command else {
        bail!("append is no command");
    };
    let request = Request::Append(append::request(&arguments)?);
    let recorded = system.record(&request, &Caller::trusted(&system.session.user()))?;
    Recorded::line(&recorded.records, &recorded.what, &recorded.changed).context("nothing was recorded")
}

fn check(
    step: &Step,
    report: &Report,
    expected: &mut BTreeMap<(String, String), String>,
    after: &BTreeMap<(String, String), String>,
) -> anyhow::Result<()> {
    let key = (step.service.to_owned(), step.file.to_owned());
    let (old, new) = step.change;
    let text = expected.get(&key).map_or("", String::as_str);
    ensure!(text.matches(old).count() == 1, "{} does not have {old:?} once", step.file);
    let changed = text.replace(old, new);
    expected.insert(key, changed);
    ensure!(after == expected, "the files are not what is expected: {after:#?}");
    let units: Vec<String> = report.left_to_do.iter().map(|action| action.step().to_string()).collect();
    ensure!(units == [format!("restart {}", step.unit)], "the units are not what is expected: {units:?}");
    Ok(())
}

fn go_static(root: &Utf8Path, system: &System<'_>) -> anyhow::Result<()> {
    let System { plan, paths, session } = system;
    say("$ dynix reset\n")?;
    let Command::Reset(Lazy(arguments)) = command_line(root, &["reset"])?.command else { bail!("reset is no command") };
    let request = Request::Reset(request::Reset { services: arguments.services, ..request::Reset::default() });
    ensure!(
        change::run(&request, change::Manner::default(), &Ask::default(), session)? == Exit::Done,
        "the reset failed"
    );
    for (name, service) in &plan.services {
        ensure!(generation::current(&paths.service(name))?.is_none(), "{name} is not on its static files");
        for (file_name, file) in &service.files {
            let path = paths.below_root(&file.static_file);
            let digest = fs::read(&path)?.map(|bytes| sha256(&bytes));
            let proven = file.proof.as_ref().map(|proof| proof.nix.clone());
            ensure!(digest.is_some() && digest == proven, "{path} is not what Nix generated");
            let rendered = build::proof::prove(service, file, &fs::read(&path)?.unwrap_or_default());
            let (_, proof, _) = rendered.map_err(anyhow::Error::msg)?;
            let level = match proof.level {
                crate::plan::ProofLevel::Bytes => "byte for byte",
                crate::plan::ProofLevel::Data => "as data",
            };
            say(&format!("{name}/{file_name}: the static one again, proven {level} ({})\n", &proof.nix[..12]))?;
        }
    }
    Ok(())
}
