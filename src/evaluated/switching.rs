//! Runs NixOS's own switch-to-configuration for a stand-in.

use std::time::{Duration, Instant};

use anyhow::bail;
use camino::Utf8Path;

use crate::host::process::{self, Output};

/// Until it is given up: units may take their time to stop and to start.
const DEADLINE: Duration = Duration::from_secs(30 * 60);
/// How long to wait for another switch.
const PATIENCE: Duration = Duration::from_secs(600);
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

/// The result of a switch.
#[derive(Clone, Debug)]
pub struct Switched {
    /// Whether it says that all is well.
    pub is_well: bool,
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
    let said: Vec<String> = words.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    let is_refused = said.iter().any(|line| line == REFUSED);
    Ok(Switched { is_well: output.status.success(), is_refused, said })
}

/// The command runs in a unit of its own, as in nixos-rebuild: it outlives its caller, and the caller's limits do not
/// apply.
fn command(directory: &Utf8Path, word: &str, is_checked: bool) -> Vec<String> {
    const SYSTEMD_RUN: &str = "/run/current-system/systemd/bin/systemd-run";
    let unit = format!("--unit=dynix-switch-{}", std::process::id());
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

/// Units that have failed.
pub fn failed_units() -> anyhow::Result<Vec<String>> {
    const LIST: [&str; 5] =
        ["/run/current-system/systemd/bin/systemctl", "list-units", "--state=failed", "--plain", "--no-legend"];
    let output = process::run(&LIST.map(str::to_owned), Duration::from_secs(60))?;
    if !output.status.success() {
        bail!("systemctl does not say which units have failed: {}", output.words())
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}
