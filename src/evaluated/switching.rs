//! Runs NixOS's own switch-to-configuration for a stand-in.

use std::time::{Duration, Instant};

use anyhow::bail;
use camino::Utf8Path;

use super::stand_in::{self, StandIn};
use crate::host::fs;
use crate::host::process::{self, Output};

/// Until it is given up: units may take their time to stop and to start.
const DEADLINE: Duration = Duration::from_secs(30 * 60);
/// How long to wait for another switch.
pub const PATIENCE: Duration = Duration::from_secs(600);
const RETRY: Duration = Duration::from_millis(200);
/// Its message if another switch is under way.
const LOCKED: &str = "Could not acquire lock";
/// Its message if a check of the new system (`system.preSwitchChecks`) fails. It has done nothing then.
const REFUSED: &str = "Pre-switch checks failed";

/// The action that it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Do it.
    Test,
    /// Say what would be done.
    DryActivate,
}

/// The beginning of the names of units that it runs in.
const OWN: &str = "dynix-switch-";
/// Its exit code if units have failed, whether it touched them or not.
const UNITS_FAILED: i32 = 4;
/// What it says before the names of units that are in a failed state.
const FAILED: &str = "the following units failed: ";
/// What it says of a job that failed, before the name of its unit.
const JOBS: [&str; 4] = ["Failed to start ", "Failed to stop ", "Failed to restart ", "Failed to reload "];

const SYSTEMCTL: &str = "/run/current-system/systemd/bin/systemctl";
/// Until a reload of systemd is given up: generators run in it.
const RELOAD: Duration = Duration::from_secs(120);

/// The result of a switch.
#[derive(Clone, Debug)]
pub struct Switched {
    /// Whether it says that all is well.
    pub is_well: bool,
    /// The units that it names where these are all that it says is wrong; `None` if there is more.
    pub failed: Option<Vec<String>>,
    /// Whether a check before it refused it, and it did nothing.
    pub is_refused: bool,
    /// Its output, line by line.
    pub said: Vec<String>,
}

/// Runs the switch-to-configuration of the system in `directory`. It takes its own lock; dynix waits if another process
/// holds that. `may_go_on` is asked before each try. `is_checked`: whether NixOS's checks before a switch may refuse it.
pub fn run(
    directory: &Utf8Path,
    what: What,
    is_checked: bool,
    may_go_on: &dyn Fn() -> anyhow::Result<()>,
) -> anyhow::Result<Switched> {
    let word = match what {
        What::Test => "test",
        What::DryActivate => "dry-activate",
    };
    let start = Instant::now();
    loop {
        may_go_on()?;
        let output = process::run(&command(directory, word, is_checked), DEADLINE)?;
        let words = output.words();
        if words.contains(LOCKED) && start.elapsed() < PATIENCE {
            std::thread::sleep(RETRY);
            continue;
        }
        return switched(&output, &words);
    }
}

fn switched(output: &Output, words: &str) -> anyhow::Result<Switched> {
    if !output.status.success() && !process::is_verdict(output.status) {
        bail!("switch-to-configuration did not come to its end ({}): {words}", output.status)
    }
    let said = lines(words);
    let is_refused = said.iter().any(|line| line == REFUSED);
    let failed = (output.status.code() == Some(UNITS_FAILED)).then(|| failed(&said));
    Ok(Switched { is_well: output.status.success(), failed, is_refused, said })
}

fn lines(words: &str) -> Vec<String> {
    words.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// The units that are named as failed.
fn failed(said: &[String]) -> Vec<String> {
    let lines = said.iter().map(|line| line.trim_start_matches("warning: "));
    let named = lines.flat_map(|line| {
        let of_a_job = JOBS.iter().find_map(|words| line.strip_prefix(words));
        let names = line.strip_prefix(FAILED).or(of_a_job.map(|rest| rest.split(':').next().unwrap_or(rest)));
        names.into_iter().flat_map(|names| names.split(", "))
    });
    named.map(str::to_owned).collect()
}

/// The command runs in a unit of its own, as in nixos-rebuild: it outlives its caller, and the caller's limits do not
/// apply.
fn command(directory: &Utf8Path, word: &str, is_checked: bool) -> Vec<String> {
    const SYSTEMD_RUN: &str = "/run/current-system/systemd/bin/systemd-run";
    let unit = format!("--unit={OWN}{}", std::process::id());
    let program = directory.join("bin/switch-to-configuration");
    [
        SYSTEMD_RUN,
        "--quiet",
        "--collect",
        "--pipe",
        "--wait",
        "--no-ask-password",
        "--service-type=exec",
        &unit,
        // Files below /run need not survive a power cut.
        "--setenv=NIXOS_NO_SYNC=1",
        if is_checked { "--setenv=NIXOS_NO_CHECK=" } else { "--setenv=NIXOS_NO_CHECK=1" },
        program.as_str(),
        word,
    ]
    .map(str::to_owned)
    .to_vec()
}

/// The output of NixOS's checks before a switch (`system.preSwitchChecks`) where one of them refuses the stand-in:
/// switch-to-configuration of `system` runs them first, as the words of a variable.
pub fn refused_before(system: &Utf8Path, stand_in: &StandIn) -> anyhow::Result<Option<Vec<String>>> {
    let program = fs::read_limited(&system.join(stand_in::SWITCH), fs::OWN)?.unwrap_or_default();
    let wrapper = String::from_utf8_lossy(&program);
    let Some(checks) = pre_switch_checks(&wrapper) else { return Ok(None) };
    let mut command: Vec<String> = checks.split_whitespace().map(str::to_owned).collect();
    command.extend([stand_in.directory.to_string(), "test".to_owned()]);
    let output = process::run(&command, DEADLINE)?;
    Ok((!output.status.success()).then(|| lines(&output.words())))
}

/// The command of the checks, from the text of the wrapper (nixpkgs, makeWrapper's `--set`).
fn pre_switch_checks(wrapper: &str) -> Option<&str> {
    let value = wrapper.lines().find_map(|line| line.trim().strip_prefix("export PRE_SWITCH_CHECK="))?;
    Some(value.trim().trim_matches(['\'', '"'])).filter(|value| !value.is_empty())
}

/// Makes systemd read its units anew.
pub fn reload_systemd() -> anyhow::Result<()> {
    let output = process::run(&[SYSTEMCTL, "daemon-reload"].map(str::to_owned), RELOAD)?;
    if !output.status.success() {
        bail!("systemd does not reload: {}", output.words())
    }
    Ok(())
}

/// Whether switch-to-configuration ran in this unit.
#[must_use]
pub fn is_own(unit: &str) -> bool {
    unit.starts_with(OWN)
}

/// Units that have failed.
pub fn failed_units() -> anyhow::Result<Vec<String>> {
    units("failed")
}

/// These, and those that systemd starts over and over: NixOS counts them as failed, too.
pub fn failing_units() -> anyhow::Result<Vec<String>> {
    units("failed,auto-restart")
}

fn units(states: &str) -> anyhow::Result<Vec<String>> {
    let states = format!("--state={states}");
    let list = [SYSTEMCTL, "list-units", &states, "--plain", "--no-legend"];
    let output = process::run(&list.map(str::to_owned), Duration::from_secs(60))?;
    if !output.status.success() {
        bail!("systemctl does not say which units have failed: {}", output.words())
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checks_before_a_switch_are_found() {
        let wrapper = |line: &str| format!("#! /bin/sh -e\nexport OUT='/o'\n{line}\nexec -a \"$0\" x \"$@\"\n");
        let checks = |line: &str| pre_switch_checks(&wrapper(line)).map(str::to_owned);
        assert_eq!(
            checks("export PRE_SWITCH_CHECK='/nix/store/x-checks/bin/y'"),
            Some("/nix/store/x-checks/bin/y".into())
        );
        assert_eq!(checks("export PRE_SWITCH_CHECK=/x"), Some("/x".into()));
        assert_eq!(checks("export PRE_SWITCH_CHECK=''"), None);
        assert_eq!(checks(""), None);
    }

    #[test]
    fn the_units_that_failed_are_read() {
        let said = [
            "starting the following units: a.service",
            "Failed to start a.service",
            "Failed to reload b.service: Unit b.service not found.",
            "warning: the following units failed: a.service, c@x.service",
            "* a.service - A",
        ];
        let said: Vec<String> = said.map(str::to_owned).to_vec();
        assert_eq!(failed(&said), ["a.service", "b.service", "a.service", "c@x.service"]);
        assert!(failed(&["all is well".to_owned()]).is_empty());
    }
}
