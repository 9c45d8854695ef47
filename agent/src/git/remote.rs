//! A remote: where it is, and what git needs to get in.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use anyhow::{Context, bail};
use camino::{Utf8Path, Utf8PathBuf};
use dynix::host::fs::atomic::{self, Durability};

use super::address::{Address, address};
use crate::config;

/// Most bytes of a password.
const PASSWORD: u64 = 64 << 10;

/// A remote.
#[derive(Clone, Debug)]
pub(super) struct Remote {
    pub name: String,
    pub url: String,
    pub address: Address,
    /// Seconds between two looks.
    pub period: f64,
    pub patience: Duration,
    pub main: String,
    pub testing: Option<String>,
    password_file: Option<Utf8PathBuf>,
    ssh_key: Option<Utf8PathBuf>,
    known_hosts: Option<Utf8PathBuf>,
    /// Where git reads the password.
    credentials: Utf8PathBuf,
}

impl Remote {
    /// Checks the configuration of one. `are_signed`: whether commits need signatures.
    pub fn new(name: &str, remote: &config::Remote, runtime: &Utf8Path, are_signed: bool) -> anyhow::Result<Self> {
        if !is_plain(name) {
            bail!("{name:?} can't be the name of a remote: use letters, digits, - and _");
        }
        let address = address(&remote.url).map_err(|problem| anyhow::anyhow!("remote {name}: {problem}"))?;
        if address == Address::Open && !are_signed {
            bail!(
                "remote {name}: anybody on the way can change what {} says; use https or ssh, or have commits signed",
                remote.url
            );
        }
        for branch in std::iter::once(&remote.branches.main).chain(&remote.branches.testing) {
            if !is_branch(branch) {
                bail!("remote {name}: {branch:?} is no name of a branch");
            }
        }
        Ok(Self {
            name: name.to_owned(),
            url: remote.url.clone(),
            address,
            period: remote.period,
            patience: Duration::try_from_secs_f64(remote.timeout).context("the timeout is no time")?,
            main: remote.branches.main.clone(),
            testing: remote.branches.testing.clone(),
            password_file: remote.password_file.clone(),
            ssh_key: remote.ssh_key.clone(),
            known_hosts: remote.known_hosts.clone(),
            credentials: runtime.join(format!("credentials-{name}")),
        })
    }

    /// The settings of a run that reaches it. The password is read each time, because it may be renewed.
    pub fn settings(&self) -> anyhow::Result<Vec<(String, String)>> {
        let mut settings = vec![("core.sshCommand".to_owned(), self.ssh())];
        if let Some(path) = &self.password_file {
            let bytes =
                dynix::host::fs::read_limited(path, PASSWORD)?.with_context(|| format!("there is no {path}"))?;
            let password = String::from_utf8(bytes).with_context(|| format!("{path} is no text"))?;
            let line = credentials(&self.url, password.trim_end_matches(['\r', '\n']))
                .with_context(|| format!("remote {}: a password is only for http and https", self.name))?;
            atomic::write(&self.credentials, line.as_bytes(), 0o600, Durability::Volatile)?;
            let file = shell_quoted(self.credentials.as_str());
            settings.push(("credential.helper".to_owned(), format!("store --file={file}")));
        }
        Ok(settings)
    }

    /// ssh asks nobody, reads no configuration, trusts no new host, and ends when the other side is silent.
    fn ssh(&self) -> String {
        let mut words: Vec<String> = [
            "ssh",
            "-F",
            "/dev/null",
            "-o",
            "BatchMode=yes",
            "-o",
            "StrictHostKeyChecking=yes",
            "-o",
            "IdentityAgent=none",
            "-o",
            "IdentitiesOnly=yes",
            "-o",
            "ConnectTimeout=10",
            "-o",
            "ServerAliveInterval=5",
            "-o",
            "ServerAliveCountMax=3",
            "-o",
        ]
        .map(str::to_owned)
        .into();
        let known = self.known_hosts.as_ref().map_or("/dev/null", |path| path.as_str());
        words.push(shell_quoted(&format!("UserKnownHostsFile={}", ssh_quoted(known))));
        if let Some(key) = &self.ssh_key {
            words.extend(["-o".to_owned(), shell_quoted(&format!("IdentityFile={}", ssh_quoted(key.as_str())))]);
        }
        words.join(" ")
    }
}

/// A file of git's credential-store with one line (git-credential-store(1)).
fn credentials(url: &str, password: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://").filter(|(scheme, _)| matches!(*scheme, "http" | "https"))?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, host) = authority.rsplit_once('@').unwrap_or(("git", authority));
    Some(format!("{scheme}://{user}:{}@{host}/{path}\n", percent_encoded(password)))
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let digits = format!("%{byte:02X}");
            encoded.push_str(&digits);
        }
    }
    encoded
}

fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// A value of ssh's configuration (`ssh_config(5)`), which splits at spaces and expands `%`.
fn ssh_quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('%', "%%"))
}

/// A name that can be a section of git's configuration, and a part of a reference.
fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        && !name.starts_with('-')
}

/// git-check-ref-format(1), and no pattern.
fn is_branch(name: &str) -> bool {
    let is_part =
        |part: &str| !part.is_empty() && !part.starts_with('.') && Utf8Path::new(part).extension() != Some("lock");
    let odd = |ch: char| ch.is_control() || " ~^:?*[\\".contains(ch);
    !name.starts_with('-')
        && !name.contains(odd)
        && !name.contains("..")
        && !name.contains("@{")
        && !name.ends_with('.')
        && name.split('/').all(is_part)
}

/// A directory for the user of the agent alone.
pub(super) fn private_directory(path: &Utf8Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(path).with_context(|| format!("cannot create {path}"))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))
        .with_context(|| format!("cannot set the mode of {path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_a_line_for_git() {
        assert_eq!(
            credentials("https://bot@git.example.org/a/b.git", "p@ss/w:rd").unwrap(),
            "https://bot:p%40ss%2Fw%3Ard@git.example.org/a/b.git\n"
        );
        assert_eq!(credentials("https://h/a", "x").unwrap(), "https://git:x@h/a\n");
        assert_eq!(credentials("git@host:a", "x"), None);
    }

    #[test]
    fn names_are_plain() {
        for branch in ["main", "testing-web3", "a/b", "v1.2"] {
            assert!(is_branch(branch), "{branch}");
        }
        for branch in ["", "-x", "a b", "a..b", "a/", "/a", "a:b", "*", "a@{1}", "x.lock", ".x", "a\nb", "a^"] {
            assert!(!is_branch(branch), "{branch}");
        }
        assert!(is_plain("origin-2") && !is_plain("a.b") && !is_plain("-a") && !is_plain("") && !is_plain("../x"));
    }
}
