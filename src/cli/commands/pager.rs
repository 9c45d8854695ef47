//! Long output on a terminal goes through a pager, as that of git and systemctl does.
//!
//! Where dynix has rights that the user who called it has not (sudo), a pager is a way out: most run commands and open
//! files. What systemd does about that is done here as well (systemd(1), `SYSTEMD_PAGERSECURE`): then only less is used,
//! with `LESSSECURE=1` (less(1)), whatever the environment names.

use std::io::{IsTerminal, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustix::process::geteuid;
use signal_hook::consts::SIGINT;

use crate::host::environment;
use crate::host::interruption;

/// Ends at once what fits on the screen, leaves it there, and lets colours through (less(1)).
const LESS: &str = "FRX";
/// The first of these that is set names the pager; an empty one, or `cat`, means none.
const NAMED_BY: [&str; 3] = ["DYNIX_PAGER", "SYSTEMD_PAGER", "PAGER"];
/// Insists on, or waives, that the pager can do nothing but page (systemd(1)).
const SECURE: &str = "SYSTEMD_PAGERSECURE";

/// Where the output goes: to a pager, or straight out. Nothing is begun before there is something to show.
pub struct Out {
    wanted: bool,
    way: Option<Way>,
}

enum Way {
    Plain(std::io::StdoutLock<'static>),
    Paged(Child, ChildStdin),
}

impl Out {
    /// By way of a pager, if `wanted`, and if a person looks at a terminal.
    #[must_use]
    pub fn new(wanted: bool) -> Self {
        Self { wanted, way: None }
    }

    fn way(&mut self) -> &mut Way {
        self.way.get_or_insert_with(|| {
            super::spinner::over();
            let is_terminal = std::io::stdout().is_terminal() && std::io::stdin().is_terminal();
            let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
            let pager = if self.wanted && is_terminal && !dumb { start() } else { None };
            pager.unwrap_or_else(|| Way::Plain(std::io::stdout().lock()))
        })
    }

    /// Nothing more comes: returns when the pager is left.
    pub fn end(self) -> std::io::Result<()> {
        match self.way {
            None => Ok(()),
            Some(Way::Plain(mut out)) => out.flush(),
            Some(Way::Paged(mut child, input)) => {
                drop(input);
                child.wait().map(drop)
            }
        }
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self.way() {
            Way::Plain(out) => out.write(bytes),
            Way::Paged(_, input) => input.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match &mut self.way {
            None => Ok(()),
            Some(Way::Plain(out)) => out.flush(),
            Some(Way::Paged(_, input)) => input.flush(),
        }
    }
}

fn start() -> Option<Way> {
    let variable = |name: &str| std::env::var(name).ok();
    let cgroup = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let secure = is_secure(variable(SECURE).as_deref(), environment::is_called_by_another(), owner(&cgroup));
    let named = NAMED_BY.into_iter().find_map(variable);
    let mut child = commands(named.as_deref(), secure).into_iter().find_map(|words| {
        let mut command = Command::new(words.first()?);
        command.args(&words[1..]).stdin(Stdio::piped());
        if secure {
            command.env("LESSSECURE", "1").env("LESS", LESS).env_remove("LESSOPEN").env_remove("LESSCLOSE");
        } else if std::env::var_os("LESS").is_none() {
            command.env("LESS", LESS);
        }
        if std::env::var_os("LESSCHARSET").is_none() {
            command.env("LESSCHARSET", "utf-8");
        }
        command.spawn().ok()
    })?;
    // Ctrl-C is for the pager; dynix ends when it does.
    interruption::handled_elsewhere(&[SIGINT]);
    let _ = signal_hook::flag::register(SIGINT, Arc::new(AtomicBool::new(false)));
    let input = child.stdin.take()?;
    Some(Way::Paged(child, input))
}

/// The programs to try, each with its arguments, for what the environment names.
fn commands(named: Option<&str>, secure: bool) -> Vec<Vec<String>> {
    let less = vec!["less".to_owned()];
    let Some(named) = named else { return vec![less] };
    let words: Vec<String> = named.split_whitespace().map(str::to_owned).collect();
    match words.first().map(String::as_str) {
        None | Some("cat") => Vec::new(),
        // Its arguments could name files to write or commands to begin with.
        Some(_) if secure => vec![less],
        Some(_) => vec![words, less],
    }
}

/// Whether the pager has to be kept from everything but paging.
fn is_secure(insisted: Option<&str>, called_by_another: bool, owner: Option<u32>) -> bool {
    match insisted.map(str::to_ascii_lowercase).as_deref() {
        Some("0" | "no" | "n" | "false" | "f" | "off") => false,
        Some(_) => true,
        None => called_by_another || owner != Some(geteuid().as_raw()),
    }
}

/// Whose login session this is, by the control group, as `sd_pid_get_owner_uid(3)` finds it; `None` for no session.
fn owner(cgroup: &str) -> Option<u32> {
    let mut slices = cgroup.split(['/', '\n']);
    slices.find_map(|name| name.strip_prefix("user-")?.strip_suffix(".slice")?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pager_is_the_one_that_is_named() {
        let words = |list: &[&[&str]]| -> Vec<Vec<String>> {
            list.iter().map(|words| words.iter().map(|word| (*word).to_owned()).collect()).collect()
        };
        assert_eq!(commands(None, false), words(&[&["less"]]));
        assert_eq!(commands(Some("most -s"), false), words(&[&["most", "-s"], &["less"]]));
        for secure in [false, true] {
            for none in ["", " ", "cat"] {
                assert_eq!(commands(Some(none), secure), words(&[]), "{none:?}");
            }
        }
        for other in ["most", "/bin/sh", "less --log-file=/etc/shadow", "/tmp/less"] {
            assert_eq!(commands(Some(other), true), words(&[&["less"]]), "{other:?}");
        }
    }

    #[test]
    fn who_gave_rights_away_gives_no_shell_with_them() {
        let own = geteuid().as_raw();
        assert!(!is_secure(None, false, Some(own)));
        assert!(is_secure(None, false, Some(own + 1)));
        assert!(is_secure(None, false, None));
        assert!(is_secure(None, true, Some(own)));
        assert!(is_secure(Some("1"), false, Some(own)));
        assert!(is_secure(Some("nonsense"), false, Some(own)));
        assert!(!is_secure(Some("0"), true, Some(own + 1)));
    }

    #[test]
    fn a_session_belongs_to_a_user() {
        for (cgroup, uid) in [
            ("0::/user.slice/user-1000.slice/session-3.scope\n", Some(1000)),
            ("0::/user.slice/user-0.slice/user@0.service/app.slice\n", Some(0)),
            ("0::/system.slice/cron.service\n", None),
            ("0::/\n", None),
            ("", None),
        ] {
            assert_eq!(owner(cgroup), uid, "{cgroup}");
        }
    }
}
