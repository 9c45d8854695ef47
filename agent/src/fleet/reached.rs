//! A fleet that is reached, and what there is of it.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::SystemTime;

use anyhow::{Context, bail};
use dynix::host::accounts::Database;
use dynix::time;
use serde::Serialize;

use super::arguments::{Global, Output};
use crate::config::{Config, Etcd, Source};
use crate::etcd::client::Client;
use crate::etcd::keys::{Fleet, Target};
use crate::etcd::mirror::{Floor, Mirror};
use crate::etcd::targets;
use crate::report::{Known, Report};
use crate::rollout::drive::{self, Seen};
use crate::sources::Layer;

/// A fleet, by way of etcd.
pub struct Reached {
    pub client: Client,
    pub fleet: Fleet,
    pub output: Output,
}

/// A host as it is known.
pub struct Host {
    pub known: Known,
    pub report: Option<Report>,
}

impl Reached {
    pub fn new(global: &Global) -> anyhow::Result<Self> {
        let config = config(global)?;
        let fleet = Fleet::new(&config.fleet)?;
        Ok(Self { client: Client::new(&config, &now())?, fleet, output: global.output })
    }

    /// What begins with these, as of one revision.
    pub async fn mirror(&self, prefixes: Vec<String>) -> anyhow::Result<Mirror> {
        let mut mirror = Mirror::new(prefixes);
        let mut tried = 0;
        loop {
            match mirror.advance(self.client.member(), Floor::default(), false).await {
                Ok(()) => return Ok(mirror),
                Err(error) => {
                    tried += 1;
                    if tried >= self.client.len() {
                        return Err(error.into());
                    }
                    self.client.next();
                }
            }
        }
    }

    pub async fn seen(&self) -> anyhow::Result<Seen> {
        Ok(drive::seen(&self.mirror(drive::prefixes(&self.fleet)).await?))
    }

    /// All hosts that are known, by name.
    pub async fn hosts(&self) -> anyhow::Result<BTreeMap<String, Host>> {
        let mut reports = self.seen().await?.reports;
        let prefix = self.fleet.known("");
        let known = self.client.all(&prefix).await?;
        let hosts = known.kvs.into_iter().filter_map(|kv| {
            let name = std::str::from_utf8(kv.key.get(prefix.len()..)?).ok()?.to_owned();
            let known = serde_json::from_slice(&kv.value).ok()?;
            let report = reports.remove(&name);
            Some((name, Host { known, report }))
        });
        Ok(hosts.collect())
    }

    /// What a host has of etcd.
    pub async fn layer(&self, host: &str) -> anyhow::Result<Layer> {
        let known = self.client.get(&self.fleet.known(host)).await?;
        let Some(known) = known else { bail!("no host {host:?} is known; see `dynix-fleet status`") };
        let known: Known =
            serde_json::from_slice(&known.value).context("what is known of the host is not understood")?;
        let targets = Target::of(host, &known.groups);
        let mirror = self.mirror(targets.iter().map(|target| self.fleet.target(target)).collect()).await?;
        Ok(targets::layer(&mirror, host)?)
    }

    /// Prints text for people, or the data for programs.
    pub fn print(&self, data: &impl Serialize, text: &str) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        let done = match self.output {
            Output::Text => out.write_all(text.as_bytes()),
            Output::Json => writeln!(out, "{}", serde_json::to_string_pretty(data)?),
        };
        match done {
            // Whoever reads has seen enough.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            done => done.context("cannot print"),
        }
    }
}

/// The time, as it is written down.
pub fn now() -> String {
    time::text(SystemTime::now())
}

/// Who types this.
pub fn user(given: Option<String>) -> String {
    let named = |variable: &str| std::env::var(variable).ok().filter(|name| !name.is_empty());
    given.or_else(|| named("SUDO_USER")).or_else(|| named("USER")).or_else(|| named("LOGNAME")).unwrap_or_else(|| {
        let id = rustix::process::getuid().as_raw();
        Database::Users.name_of(id).unwrap_or_else(|| format!("uid {id}"))
    })
}

fn config(global: &Global) -> anyhow::Result<Etcd> {
    let from_agent = || -> anyhow::Result<Etcd> {
        let config = Config::read(&global.config)
            .context("no --endpoint is named, and there is no agent that says where etcd is")?;
        let mut found = config.sources.into_values().filter_map(|source| match source {
            Source::Etcd(etcd) => Some(etcd),
            Source::Git(_) => None,
        });
        match (found.next(), found.next()) {
            (Some(one), None) => Ok(one),
            (None, _) => bail!("this host's agent has no etcd; say --endpoint and --fleet"),
            _ => bail!("this host's agent has several etcds; say --endpoint and --fleet"),
        }
    };
    let mut config = if global.endpoints.is_empty() {
        from_agent()?
    } else {
        let Some(fleet) = global.fleet.clone() else { bail!("--endpoint needs --fleet") };
        Etcd {
            endpoints: global.endpoints.clone(),
            fleet,
            certificate_authority: None,
            certificate: None,
            key: None,
            user_file: None,
            password_file: None,
            lease: 0,
            drive: false,
        }
    };
    config.fleet = global.fleet.clone().unwrap_or(config.fleet);
    config.certificate_authority = global.ca.clone().or(config.certificate_authority);
    config.certificate = global.cert.clone().or(config.certificate);
    config.key = global.key.clone().or(config.key);
    config.user_file = global.user_file.clone().or(config.user_file);
    config.password_file = global.password_file.clone().or(config.password_file);
    Ok(config)
}
