//! Addresses of remotes: which may be used, and which are on this machine. Pure.

/// How a remote is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// A repository on this machine.
    Local(String),
    /// Over TLS or SSH, which say who the server is.
    Known,
    /// Over a network that anybody can write to.
    Open,
}

/// Reads an address.
pub(super) fn address(url: &str) -> Result<Address, String> {
    if url.chars().any(char::is_control) || url.starts_with('-') {
        return Err(format!("{url:?} is no address"));
    }
    if url.starts_with('/') {
        return Ok(Address::Local(url.to_owned()));
    }
    if let Some((scheme, rest)) = url.split_once("://") {
        return match scheme {
            "file" if rest.starts_with('/') => Ok(Address::Local(rest.to_owned())),
            "https" | "ssh" if !has_password(rest) => Ok(Address::Known),
            "http" | "git" if !has_password(rest) => Ok(if is_loopback(rest) { Address::Known } else { Address::Open }),
            "http" | "https" | "git" | "ssh" => {
                Err("a password in an address can be read by all; name its file with passwordFile".to_owned())
            }
            _ => Err(format!("{url:?}: use https, ssh, http, git, file or an absolute path")),
        };
    }
    // git's short form of ssh, `host:path` (git-fetch(1), GIT URLS); `::` names a helper program.
    match url.split_once(':') {
        Some((host, path)) if !host.is_empty() && !host.contains('/') && !path.is_empty() && !path.starts_with(':') => {
            Ok(Address::Known)
        }
        _ => Err(format!("{url:?} is neither a URL nor an absolute path")),
    }
}

fn authority(rest: &str) -> &str {
    rest.split('/').next().unwrap_or_default()
}

fn has_password(rest: &str) -> bool {
    authority(rest).rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
}

fn is_loopback(rest: &str) -> bool {
    let authority = authority(rest);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    ["127.0.0.1", "localhost", "[::1]"]
        .iter()
        .any(|one| host.strip_prefix(one).is_some_and(|port| port.is_empty() || port.starts_with(':')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_to_a_repository_is_known() {
        let local = |path: &str| Ok(Address::Local(path.to_owned()));
        for (url, expected) in [
            ("/srv/config.git", local("/srv/config.git")),
            ("file:///srv/config.git", local("/srv/config.git")),
            ("https://git.example.org/config.git", Ok(Address::Known)),
            ("https://me@git.example.org/config.git", Ok(Address::Known)),
            ("ssh://git@git.example.org:22/config.git", Ok(Address::Known)),
            ("git@git.example.org:config.git", Ok(Address::Known)),
            ("http://git.example.org/config.git", Ok(Address::Open)),
            ("http://localhost.example.org/config.git", Ok(Address::Open)),
            ("http://127.0.0.1:8080/config.git", Ok(Address::Known)),
            ("http://[::1]/config.git", Ok(Address::Known)),
            ("git://git.example.org/config.git", Ok(Address::Open)),
        ] {
            assert_eq!(address(url), expected, "{url}");
        }
    }

    #[test]
    fn what_runs_programs_or_shows_secrets_is_refused() {
        for url in [
            "ext::sh -c true",
            "--upload-pack=true",
            "config.git",
            "./config.git",
            "ftp://a/b",
            "file://srv/a",
            "https://me:secret@host/a",
            "fd::3",
            "a:",
            ":b",
            "https://a\nb",
            "",
        ] {
            assert!(address(url).is_err(), "{url}");
        }
    }
}
