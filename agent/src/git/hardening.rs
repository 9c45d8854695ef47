//! The configuration that git has in place of a system's and a user's. Pure.

/// What git may do: transfer objects by known protocols, check them, and nothing else.
const FIXED: &str = "\
[core]
\thooksPath = /dev/null
\taskPass =
\tfsmonitor = false
\tdeltaBaseCacheLimit = 16m
[credential]
\tinteractive = false
\tuseHttpPath = true
[fetch]
\trecurseSubmodules = false
\twriteCommitGraph = false
\tfsckObjects = true
[submodule]
\trecurse = false
[transfer]
\tfsckObjects = true
\tcredentialsInUrl = die
[protocol]
\tversion = 2
\tallow = never
[protocol \"file\"]
\tallow = always
[protocol \"ssh\"]
\tallow = always
[protocol \"https\"]
\tallow = always
[protocol \"http\"]
\tallow = always
[protocol \"git\"]
\tallow = always
[http]
\tsslVerify = true
\tlowSpeedLimit = 100
\tlowSpeedTime = 20
[gc]
\tauto = 0
[maintenance]
\tauto = false
[pack]
\tthreads = 1
[index]
\tthreads = 1
[gpg]
\tminTrustLevel = fully
[gpg \"x509\"]
\tprogram = false
[log]
\tmailmap = false
\tshowSignature = false
[i18n]
\tlogOutputEncoding = UTF-8
[uploadpack]
\tallowFilter = true
\tallowAnySHA1InWant = true
";

/// What depends on the configuration of a source.
#[derive(Debug, Default)]
pub(super) struct Hardening<'a> {
    /// Repositories on this machine. Others may own them; what is there is data, as it is from a network.
    pub local: Vec<&'a str>,
    /// The file of those who may sign with SSH keys.
    pub allowed_signers: Option<&'a str>,
    /// Whether keys of GPG may sign.
    pub gpg: bool,
}

impl Hardening<'_> {
    /// As a file.
    pub fn text(&self) -> String {
        let mut text = FIXED.to_owned();
        let mut line = |line: String| text.extend([line.as_str(), "\n"]);
        line(format!("[gpg \"ssh\"]\n\tallowedSignersFile = {}", quoted(self.allowed_signers.unwrap_or("/dev/null"))));
        if !self.gpg {
            line("[gpg \"openpgp\"]\n\tprogram = false".to_owned());
        }
        if !self.local.is_empty() {
            line("[safe]".to_owned());
        }
        for path in &self.local {
            let path = path.trim_end_matches('/');
            for path in [path.to_owned(), format!("{path}/.git"), format!("{path}.git")] {
                line(format!("\tdirectory = {}", quoted(&path)));
            }
        }
        text
    }
}

/// A value of git's configuration (git-config(1), Syntax).
pub(super) fn quoted(value: &str) -> String {
    let mut quoted = String::from("\"");
    for ch in value.chars() {
        match ch {
            '"' | '\\' => quoted.extend(['\\', ch]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            ch => quoted.push(ch),
        }
    }
    quoted.push('"');
    quoted
}
