//! Overrides from a Git repository: `all.nix`, `groups/GROUP.nix` and `hosts/HOST.nix`.
//!
//! [`run`] looks at the remotes, each in its period, and when it is told to. [`source`] says how a commit becomes a layer.
//! The engine is the program `git` ([`program`], [`hardening`]); it keeps a repository that can be thrown away ([`mirror`]).
//! What must not be lost is the commit that main may not go back behind ([`state`]).

mod address;
mod files;
mod graph;
mod hardening;
mod mirror;
mod oid;
mod program;
mod remote;
mod schedule;
mod signers;
mod source;
mod state;
mod trees;
mod webhook;
mod words;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use camino::Utf8Path;
use dynix::host::fs::atomic::{self, Durability};
use dynix::host::fs::read_limited;
use dynix::host::messages;
use tokio::sync::mpsc::{self, Sender};
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use self::address::Address;
use self::hardening::Hardening;
use self::mirror::{Mirror, Tips};
use self::oid::Oid;
use self::program::Program;
use self::remote::{Remote, private_directory};
use self::signers::Signers;
use self::source::Source;
use self::state::{Kept, State, Testing};
use crate::config;
use crate::sources::{Event, Identity, With};

/// The least time between the beginnings of two looks, however often "now" is said.
const APART: Duration = Duration::from_millis(250);
/// The file of the kernel with a name of this boot (random(4)).
const BOOT: &str = "/proc/sys/kernel/random/boot_id";

/// Runs a source until it is cancelled.
///
/// `known` is the revision that the host's log has of this source: if the state is lost, main does not go back behind it.
/// `nudge` means that the remotes are looked at now.
pub async fn run(
    config: config::Git,
    identity: Identity,
    known: Option<String>,
    events: Sender<Event>,
    nudge: Arc<Notify>,
    cancel: CancellationToken,
) {
    let running = async {
        match prepared(&config, identity.clone(), known.as_deref(), events.clone()) {
            Ok(source) => looking(source, config.webhook.as_deref(), nudge).await,
            Err(error) => {
                // Only another configuration, or a hand, helps.
                let reason = messages::chain(&error);
                let _ = events.send(Event::Trouble { with: With::Source, reason }).await;
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        () = cancel.cancelled() => {}
        () = running => {}
    }
}

fn prepared(
    config: &config::Git,
    identity: Identity,
    known: Option<&str>,
    events: Sender<Event>,
) -> anyhow::Result<Source> {
    let signers = Signers::new(config.allowed_signers.as_deref(), config.gpg_keyring.as_deref());
    let remotes = config
        .remotes
        .iter()
        .map(|(name, remote)| Remote::new(name, remote, &identity.runtime, signers.is_some()))
        .collect::<anyhow::Result<Vec<Remote>>>()?;
    if remotes.is_empty() {
        bail!("it has no remotes");
    }
    let since = config.since_commit.as_deref().map(Oid::parse).transpose().context("sinceCommit")?;
    let directory = directory(&config.directory)?;
    private_directory(&identity.state)?;
    private_directory(&identity.runtime)?;
    let home = identity.runtime.join("home");
    private_directory(&home)?;
    let program = Program {
        repository: mirror::place(&identity.state),
        configuration: identity.runtime.join("gitconfig"),
        keyring: identity.runtime.join("gnupg"),
        home,
    };
    let local = |remote: &Remote| match &remote.address {
        Address::Local(path) => Some(path.clone()),
        _ => None,
    };
    let local: Vec<String> = remotes.iter().filter_map(local).collect();
    let hardening = Hardening {
        local: local.iter().map(String::as_str).collect(),
        allowed_signers: config.allowed_signers.as_deref().map(Utf8Path::as_str),
        gpg: config.gpg_keyring.is_some(),
    };
    atomic::write(&program.configuration, hardening.text().as_bytes(), 0o600, Durability::Volatile)?;
    let boot = boot(&identity.runtime)?;
    let kept = Kept::new(&identity.state);
    let state = match kept.read()? {
        Some(state) => state,
        None => remembered(known, since.as_ref()),
    };
    let mirror = Mirror::new(program, &remotes);
    Ok(Source {
        identity,
        directory,
        mirror,
        signers,
        since,
        kept,
        state,
        boot,
        events,
        standing: BTreeMap::new(),
        unsettled: remotes.iter().map(|remote| remote.name.clone()).collect(),
        remotes,
        troubles: BTreeMap::new(),
        off_main: BTreeMap::new(),
        faults: 0,
        said: None,
        layer: None,
    })
}

/// What is known without the state: what the host's log says. In which boot a testing commit of it was taken is not known.
fn remembered(known: Option<&str>, since: Option<&Oid>) -> State {
    let Some((commit, main)) = known.and_then(state::understood) else { return State::default() };
    messages::warn(format!("what the source remembered is lost; the host's log says {}", main.short()));
    let testing = (commit != main).then_some(Testing { commit, boot: None });
    State { main: Some(main), since: since.cloned(), testing, ..State::default() }
}

/// The name of this boot. Where the kernel's can't be read (`ProcSubset=pid`), it is one in what does not outlive a boot.
fn boot(runtime: &Utf8Path) -> anyhow::Result<String> {
    if let Ok(boot) = std::fs::read_to_string(BOOT) {
        return Ok(boot.trim().to_owned());
    }
    let path = runtime.join("boot");
    if let Some(boot) = read_limited(&path, 100)? {
        return String::from_utf8(boot).with_context(|| format!("{path} is no text"));
    }
    let boot = format!("{:016x}{:016x}", random(), random());
    atomic::write(&path, boot.as_bytes(), 0o600, Durability::Volatile)?;
    Ok(boot)
}

/// The parts of a directory in the repository.
fn directory(path: &str) -> anyhow::Result<Vec<String>> {
    let parts: Vec<String> = path.split('/').filter(|part| !matches!(*part, "" | ".")).map(str::to_owned).collect();
    if path.starts_with('/') || parts.iter().any(|part| part == "..") {
        bail!("directory {path:?} is not below the top of the repository");
    }
    Ok(parts)
}

/// A look at a remote, and where to say whether it went well.
struct Look {
    remote: Remote,
    result: anyhow::Result<Tips>,
    went_well: oneshot::Sender<bool>,
}

async fn looking(mut source: Source, webhook: Option<&str>, nudge: Arc<Notify>) {
    // Without a network, the host has what was fetched before: that ends a testing commit of another boot.
    from_before(&mut source).await;
    let (looks, mut heard) = mpsc::channel(source.remotes.len());
    let (now, _) = watch::channel(());
    let mut tasks = JoinSet::new();
    for remote in source.remotes.clone() {
        tasks.spawn(looking_at(remote, source.mirror.clone(), looks.clone(), now.subscribe()));
    }
    if let Some(place) = webhook {
        match webhook::Webhook::listen(place).await {
            Ok(webhook) => drop(tasks.spawn(webhook.serve(Arc::clone(&nudge)))),
            // The periods still hold.
            Err(error) => messages::error(messages::chain(&error)),
        }
    }
    loop {
        tokio::select! {
            Some(Look { remote, result, went_well }) = heard.recv() => {
                // The task waits for it.
                let _ = went_well.send(source.take(&remote, result).await);
            }
            () = nudge.notified() => drop(now.send(())),
        }
    }
}

async fn from_before(source: &mut Source) {
    if source.state.main.is_none() || !source.mirror.exists() {
        return;
    }
    for remote in source.remotes.clone() {
        if let Ok(tips) = source.mirror.tips(&remote).await {
            source.standing.insert(remote.name, tips);
        }
    }
    if let Err(source::Held::Failed(error)) = source.choose().await {
        messages::info(format!("what was fetched before is of no use: {}", messages::chain(&error)));
    }
    source.troubles.clear();
}

/// Looks at one remote in its period. Other remotes do not wait for it.
async fn looking_at(remote: Remote, mirror: Mirror, looks: Sender<Look>, mut now: watch::Receiver<()>) {
    let mut failures = 0;
    loop {
        let begun = Instant::now();
        now.mark_unchanged();
        let result = mirror.look(&remote).await;
        let (went_well, answer) = oneshot::channel();
        if looks.send(Look { remote: remote.clone(), result, went_well }).await.is_err() {
            return;
        }
        failures = if answer.await.unwrap_or(false) { 0 } else { failures + 1 };
        let next = Instant::now() + schedule::wait(remote.period, failures, chance());
        tokio::select! {
            () = sleep_until(next) => {}
            Ok(()) = now.changed() => sleep_until(begun + APART).await,
        }
    }
}

/// A number from 0 to 1.
fn chance() -> f64 {
    f64::from(u32::try_from(random() >> 32).unwrap_or_default()) / f64::from(u32::MAX)
}

fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_has_one_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(directory.path()).unwrap();
        assert_eq!(boot(path).unwrap(), boot(path).unwrap());
    }
}
