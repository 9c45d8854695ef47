//! /etc/dynix/agent.json, which the NixOS module writes.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;

use crate::sources::Identity;

/// Where the module puts it.
pub const FILE: &str = "/etc/dynix/agent.json";
/// The version of the format.
const VERSION: u32 = 1;

/// What the agent of a host is told.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// The version of this format.
    pub version: u32,
    /// The name of the host.
    pub host: String,
    /// The machine that this is for (machine-id(5)); a copy of it does nothing.
    #[serde(default)]
    pub machine_id: Option<String>,
    /// The groups that it is in, outermost first: later ones win.
    #[serde(default)]
    pub groups: Vec<String>,
    /// The daemon's socket.
    pub socket: Utf8PathBuf,
    /// What has to outlive a restart.
    pub state_directory: Utf8PathBuf,
    /// What need not outlive a boot.
    pub runtime_directory: Utf8PathBuf,
    /// The textfile for Prometheus.
    #[serde(default)]
    pub metrics: Option<Utf8PathBuf>,
    /// By name.
    pub sources: BTreeMap<String, Source>,
}

/// A source.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Source {
    /// Keys of etcd.
    Etcd(Etcd),
    /// A repository.
    Git(Git),
}

/// Keys of etcd.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Etcd {
    /// URLs of its members.
    pub endpoints: Vec<String>,
    /// The fleet's name.
    pub fleet: String,
    /// PEM file of who vouches for etcd's certificates; without one, the members are not asked for any (http).
    #[serde(default)]
    pub certificate_authority: Option<Utf8PathBuf>,
    /// PEM file of the client's certificate.
    #[serde(default)]
    pub certificate: Option<Utf8PathBuf>,
    /// PEM file of its key.
    #[serde(default)]
    pub key: Option<Utf8PathBuf>,
    /// The file with the name of etcd's user.
    #[serde(default)]
    pub user_file: Option<Utf8PathBuf>,
    /// The file with its password.
    #[serde(default)]
    pub password_file: Option<Utf8PathBuf>,
    /// The seconds after which a silent host counts as dead.
    #[serde(default = "lease")]
    pub lease: u32,
    /// Whether this host may drive rollouts.
    #[serde(default = "yes")]
    pub drive: bool,
}

/// A repository.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Git {
    /// By name.
    pub remotes: BTreeMap<String, Remote>,
    /// The directory in the repository.
    #[serde(default = "here")]
    pub directory: String,
    /// The file of allowed signers (ssh-keygen(1)).
    #[serde(default)]
    pub allowed_signers: Option<Utf8PathBuf>,
    /// The keyring of GPG keys that may sign.
    #[serde(default)]
    pub gpg_keyring: Option<Utf8PathBuf>,
    /// The commit that every commit has to be on top of.
    #[serde(default)]
    pub since_commit: Option<String>,
    /// Where a webhook is listened for: the path of a socket, or an address and a port.
    #[serde(default)]
    pub webhook: Option<String>,
}

/// Another copy of a repository.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Remote {
    /// Where it is.
    pub url: String,
    /// Seconds between two looks.
    #[serde(default = "period")]
    pub period: f64,
    /// Seconds that a transfer may take.
    #[serde(default = "timeout")]
    pub timeout: f64,
    /// The file with the password or token for http and https; who it is for stands in the URL (`https://USER@HOST/`).
    #[serde(default)]
    pub password_file: Option<Utf8PathBuf>,
    /// The private key for SSH.
    #[serde(default)]
    pub ssh_key: Option<Utf8PathBuf>,
    /// The hosts that SSH knows, beside those that all programs know.
    #[serde(default)]
    pub known_hosts: Option<Utf8PathBuf>,
    /// Its branches.
    #[serde(default)]
    pub branches: Branches,
}

/// The names of the branches.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Branches {
    /// What is for all hosts, and only goes forward.
    #[serde(default = "main")]
    pub main: String,
    /// What is tried on this host.
    #[serde(default)]
    pub testing: Option<String>,
}

impl Default for Branches {
    fn default() -> Self {
        Self { main: main(), testing: None }
    }
}

fn lease() -> u32 {
    30
}

fn yes() -> bool {
    true
}

fn here() -> String {
    ".".to_owned()
}

fn period() -> f64 {
    60.0
}

fn timeout() -> f64 {
    60.0
}

fn main() -> String {
    "main".to_owned()
}

impl Config {
    /// Reads the file.
    pub fn read(path: &Utf8Path) -> anyhow::Result<Self> {
        let bytes = std::fs::read(path).with_context(|| format!("cannot read {path}"))?;
        Self::parse(&bytes).with_context(|| format!("cannot use {path}"))
    }

    fn parse(bytes: &[u8]) -> anyhow::Result<Self> {
        let config: Self = serde_json::from_slice(bytes)?;
        if config.version != VERSION {
            bail!("its version is {}, and this agent reads version {VERSION}", config.version);
        }
        if config.host.is_empty() || config.host.contains('/') {
            bail!("{:?} is no name of a host", config.host);
        }
        if let Some(group) = config.groups.iter().find(|group| group.is_empty() || group.contains('/')) {
            bail!("{group:?} is no name of a group");
        }
        Ok(config)
    }

    /// Who this host is to one of its sources.
    #[must_use]
    pub fn identity(&self, source: &str) -> Identity {
        Identity {
            source: source.to_owned(),
            host: self.host.clone(),
            groups: self.groups.clone(),
            state: self.state_directory.join(source),
            runtime: self.runtime_directory.join(source),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"{
        "version": 1, "host": "web3", "machineId": null, "groups": ["web"],
        "socket": "/run/dynix/dynix.sock", "stateDirectory": "/var/lib/dynix-agent",
        "runtimeDirectory": "/run/dynix-agent", "metrics": null,
        "sources": {
            "fleet": {
                "kind": "etcd", "endpoints": ["https://a:2379"], "fleet": "production", "certificateAuthority": null,
                "certificate": null, "key": null, "userFile": null, "passwordFile": null, "lease": 30, "drive": true
            },
            "config": {
                "kind": "git", "directory": ".", "allowedSigners": null, "gpgKeyring": null, "sinceCommit": null,
                "webhook": null, "remotes": {
                    "origin": {"url": "/a.git", "period": 1, "branches": {"main": "main", "testing": "testing-web3"}}
                }
            }
        }
    }"#;

    #[test]
    fn what_the_module_writes_is_read() {
        let config = Config::parse(WHOLE.as_bytes()).unwrap();
        assert_eq!(config.identity("fleet").state, "/var/lib/dynix-agent/fleet");
        let Source::Git(git) = &config.sources["config"] else { panic!() };
        assert_eq!(git.remotes["origin"].branches.testing.as_deref(), Some("testing-web3"));
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for (from, to) in [
            ("\"lease\"", "\"leese\""),
            ("\"version\": 1", "\"version\": 2"),
            ("\"web3\"", "\"\""),
            ("\"web3\"", "\"a/b\""),
            ("[\"web\"]", "[\"a/b\"]"),
            ("\"period\"", "\"perriod\""),
            ("\"git\"", "\"svn\""),
        ] {
            let text = WHOLE.replacen(from, to, 1);
            assert_ne!(text, WHOLE);
            assert!(Config::parse(text.as_bytes()).is_err(), "{to}");
        }
    }
}
