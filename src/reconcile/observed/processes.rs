//! Checks that the process of a unit sees the files that the unit has to read (proc(5), namespaces(7)).
//!
//! Takes a process and what it should see; gives what it sees instead, if that is known. A process keeps reading
//! another file if a drop-in removes the bind, if the unit has a bind of its own over the same path, or if a restart
//! never came. What can't be inspected (another's process, one that changed its root directory or its environment) is
//! ignored. The result has no contents of files, because they may be secret.

use std::collections::BTreeMap;
use std::fs::File as Open;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};

use crate::host::fs::{OWN, generation};
use crate::host::paths::Paths;
use crate::host::systemd::{Asking, ServiceManager};
use crate::plan::{Attach, File, Service};
use crate::reconcile::state::InEffect;

/// How long a process may take from its start until it runs the unit's program.
const START: Duration = Duration::from_secs(2);
/// How often it is looked at.
const INTERVAL: Duration = Duration::from_millis(2);

/// For each unit of a service, the files that it sees and that the service does not have in effect.
pub(in crate::reconcile) fn others<'u>(
    service: &Service,
    in_effect: &InEffect,
    units: impl Iterator<Item = &'u String>,
    directory: &Utf8Path,
    manager: &dyn ServiceManager,
) -> BTreeMap<String, String> {
    let found = units.filter_map(|unit| {
        let mut others = manager.main_processes(unit).into_iter().filter_map(Process::started).filter_map(|process| {
            let mut files = service.files.iter().filter(|(_, file)| file.is_read_by(unit));
            files.find_map(|(name, file)| {
                let dynamic = in_effect.generation.map(|number| generation::directory(directory, number).join(name));
                process.other(unit, file, dynamic.as_deref(), manager.asking())
            })
        });
        Some((unit.clone(), format!("{unit} {}", others.next()?)))
    });
    found.collect()
}

/// The units that are to read the files of a service's generation and see others, of one that is not being changed.
pub(in crate::reconcile) fn strayed(
    name: &str,
    service: &Service,
    in_effect: &InEffect,
    paths: &Paths,
    manager: &dyn ServiceManager,
) -> Vec<String> {
    if in_effect.generation.is_none() {
        return Vec::new();
    }
    others(service, in_effect, service.units.keys(), &paths.service(name), manager).into_keys().collect()
}

/// A process that runs its program.
struct Process {
    directory: Utf8PathBuf,
}

impl Process {
    /// Waits until systemd's own part of the process is over: before, it has no mount namespace of its own yet.
    /// While it is handed over (execve(2)), it has no variables for a moment; systemd gives some to every process.
    fn started(pid: u32) -> Option<Self> {
        let process = Self { directory: format!("/proc/{pid}").into() };
        let end = Instant::now() + START;
        while process.is_of_systemd()? || process.has_no_variables()? {
            if Instant::now() >= end {
                return None;
            }
            std::thread::sleep(INTERVAL);
        }
        Some(process)
    }

    fn is_of_systemd(&self) -> Option<bool> {
        let program = |directory: &Utf8Path| std::fs::read_link(directory.join("exe")).ok();
        let own = program(&self.directory)?;
        // The kernel adds to the name of a file that was removed (proc_pid_exe(5)), as in an upgrade.
        let name = own.file_name()?.to_str()?.trim_end_matches(" (deleted)");
        Some(name == "systemd-executor" || Some(&own) == program(Utf8Path::new("/proc/1")).as_ref())
    }

    fn has_no_variables(&self) -> Option<bool> {
        Some(std::fs::read(self.directory.join("environ")).ok()?.is_empty())
    }

    /// What it has instead of a file, as text.
    fn other(&self, unit: &str, file: &File, dynamic: Option<&Utf8Path>, asking: Asking) -> Option<String> {
        let cat = asking.systemctl("cat", unit);
        let expected = dynamic.unwrap_or(&file.static_file);
        match &file.attach {
            Attach::Bind(target) => self.has_another(target, expected)?.then(|| {
                format!(
                    "goes on with another {target} than {expected}: `{cat}` shows a drop-in that takes its \
                     BindReadOnlyPaths= away, or a bind of its own"
                )
            }),
            Attach::Credential(id) => {
                let target = Utf8PathBuf::from(format!("/run/credentials/{unit}/{id}"));
                self.has_another(&target, expected)?.then(|| {
                    format!(
                        "has another credential {id} than {expected}: `{cat}` shows a drop-in that takes \
                         its LoadCredential= away"
                    )
                })
            }
            Attach::Etc(target) => self.has_another(target, expected)?.then(|| {
                format!(
                    "goes on with another {target} than {expected}: `{cat}` shows that it has a file of its own \
                     there, or can't see /run/dynix"
                )
            }),
            // Files of the unit's own stay on top.
            Attach::Variables { files, .. } if files.contains_key(unit) => None,
            Attach::Variables { .. } | Attach::Environment { .. } => {
                let text = std::fs::read_to_string(dynamic?).ok()?;
                let environment = self.environment()?;
                let other = assignments(&text).into_iter().find(|(name, value)| environment.get(name) != Some(value));
                other.map(|(name, _)| {
                    format!(
                        "goes on with another variable {name} than {expected} has: `{cat}` shows a drop-in \
                         that takes its EnvironmentFile= away, or one of its own"
                    )
                })
            }
        }
    }

    /// Whether `target` is another file than `expected`; `None` if that can't be known.
    fn has_another(&self, target: &Utf8Path, expected: &Utf8Path) -> Option<bool> {
        let wanted = Open::open(expected).ok()?;
        let seen = match self.open(target) {
            Ok(seen) => seen,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return self.has_the_systems_root()?.then_some(true);
            }
            Err(_) => return None,
        };
        let identity = |file: &Open| file.metadata().ok().map(|found| (found.dev(), found.ino()));
        if identity(&wanted)? == identity(&seen)? {
            return Some(false);
        }
        Some(content(wanted)? != content(seen)?)
    }

    /// A file as the process would open it, links included.
    fn open(&self, path: &Utf8Path) -> io::Result<Open> {
        let root = Open::open(self.directory.join("root"))?;
        let relative = path.strip_prefix("/").unwrap_or(path);
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        Ok(Open::from(openat2(&root, relative.as_str(), flags, Mode::empty(), ResolveFlags::IN_ROOT)?))
    }

    /// Whether its root directory is ours. One that changed it since it was started reads nothing there any more.
    fn has_the_systems_root(&self) -> Option<bool> {
        let identity = |path: &Utf8Path| std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
        Some(identity(&self.directory.join("root"))? == identity(Utf8Path::new("/"))?)
    }

    /// The variables that the process was started with; `None` if it overwrote them, as programs do that change their
    /// title.
    fn environment(&self) -> Option<BTreeMap<String, String>> {
        let text = String::from_utf8(std::fs::read(self.directory.join("environ")).ok()?).ok()?;
        let variables: BTreeMap<String, String> = text
            .split('\0')
            .filter_map(|one| one.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        // systemd sets it for every unit (systemd.exec(5)).
        variables.contains_key("INVOCATION_ID").then_some(variables)
    }
}

fn content(file: Open) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(OWN).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// The variables of an environment file as dynix writes it (`quote::env_file_value`).
fn assignments(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once("=\"") {
        let mut value = String::new();
        let mut chars = after.char_indices();
        let end = loop {
            match chars.next() {
                None => return found,
                Some((at, '"')) => break at + 1,
                Some((_, '\\')) => value.extend(chars.next().map(|(_, escaped)| escaped)),
                Some((_, ch)) => value.push(ch),
            }
        };
        found.push((name.trim().to_owned(), value));
        rest = &after[end..];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn us() -> Process {
        Process { directory: "/proc/self".into() }
    }

    #[test]
    fn a_process_sees_a_file_or_another() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| Utf8PathBuf::try_from(directory.path().join(name)).unwrap();
        for (name, text) in [("a", "1"), ("same", "1"), ("other", "2")] {
            std::fs::write(at(name), text).unwrap();
        }
        std::os::unix::fs::symlink(at("a"), at("link")).unwrap();
        for (seen, another) in [
            ("a", Some(false)),
            ("same", Some(false)),
            ("link", Some(false)),
            ("other", Some(true)),
            ("none", Some(true)),
        ] {
            assert_eq!(us().has_another(&at(seen), &at("a")), another, "{seen}");
        }
        assert_eq!(us().has_another(&at("a"), &at("none")), None, "there is nothing to compare with");
        let gone = Process { directory: "/proc/4294967295".into() };
        assert_eq!(gone.has_another(&at("a"), &at("a")), None);
        assert!(Process::started(u32::MAX).is_none());
    }

    #[test]
    fn an_environment_file_is_read_as_it_was_written() {
        let values = ["", "a b", "\"\\$`", "two\nlines", "a=\"b"];
        let lines = values.iter().map(|value| crate::host::systemd::quote::env_file_value(value).unwrap());
        let text = lines.fold(String::new(), |text, value| text + "A=" + &value + "\n");
        let read: Vec<String> = assignments(&text).into_iter().map(|(_, value)| value).collect();
        assert_eq!(read, values);
    }
}
