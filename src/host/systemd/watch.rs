//! Watches over files that outlive the process that starts them: transient path units (systemd.path(5)), and unit files
//! for a system that is about to boot.

use camino::Utf8PathBuf;
use serde::Serialize;
use zbus::Variant;

use super::hardening;
use super::timer::tried_again;
use super::transient::{self, Properties};
use crate::host::templates::{self, TemplateError};

/// A path unit and the service that it starts: `NAME.path` and `NAME.service`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    /// The units' name, without a suffix.
    pub name: String,
    /// The description of its unit.
    pub description: String,
    /// The events that start the service: any of these.
    pub until: Vec<Until>,
    /// Program (absolute) and arguments that it runs, as root. No shell, and nothing in them is substituted.
    pub command: Vec<String>,
}

/// An event to wait for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Until {
    /// There is a file, now or later.
    Exists(Utf8PathBuf),
    /// A file that is there is written, moved, or given another owner or mode.
    Changes(Utf8PathBuf),
}

impl Until {
    /// As systemd.path(5) and org.freedesktop.systemd1(5) call it.
    fn setting(&self) -> (&'static str, &Utf8PathBuf) {
        match self {
            Self::Exists(path) => ("PathExists", path),
            Self::Changes(path) => ("PathChanged", path),
        }
    }
}

impl Watch {
    /// `NAME.path`
    #[must_use]
    pub fn unit(&self) -> String {
        format!("{}.path", self.name)
    }

    /// `NAME.service`
    #[must_use]
    pub fn service(&self) -> String {
        format!("{}.service", self.name)
    }

    pub(super) fn properties(&self) -> Properties {
        let paths: Vec<(String, String)> = self
            .until
            .iter()
            .map(Until::setting)
            .map(|(setting, path)| (setting.to_owned(), path.to_string()))
            .collect();
        vec![
            ("Description", Variant::new(self.description.clone())),
            ("Paths", Variant::new(paths)),
            ("CollectMode", Variant::new("inactive-or-failed".to_owned())),
        ]
    }

    pub(super) fn service_properties(&self) -> Properties {
        let mut properties = transient::service(&self.description, &self.command);
        properties.extend(tried_again());
        properties
    }

    /// The same as unit files, by name, for systemd to find when it starts. One more service runs `early` once at boot,
    /// after the units that commonly install secrets, and before the units in `before`.
    pub fn files(&self, early: &[String], before: &[String]) -> Result<Vec<(String, String)>, TemplateError> {
        #[derive(Serialize)]
        struct Context<'w> {
            description: &'w str,
            settings: Vec<String>,
            program: &'w str,
            arguments: &'w [String],
            before: &'w [String],
            is_boot: bool,
            boot: &'w str,
            hardening: Vec<String>,
        }
        let boot = format!("{}-boot.service", self.name);
        let context = |is_boot: bool| {
            let command = if is_boot { early } else { &self.command };
            let (program, arguments) = command.split_first().map_or(("", &[][..]), |(first, rest)| (first, rest));
            Context {
                description: &self.description,
                settings: self
                    .until
                    .iter()
                    .map(Until::setting)
                    .map(|(setting, path)| format!("{setting}={path}"))
                    .collect(),
                program,
                arguments,
                before,
                is_boot,
                boot: &boot,
                hardening: hardening::lines(),
            }
        };
        let service = include_str!("../../../templates/secrets.service");
        Ok(vec![
            (self.unit(), templates::unit(include_str!("../../../templates/secrets.path"), &context(false))?),
            (self.service(), templates::unit(service, &context(false))?),
            (boot.clone(), templates::unit(service, &context(true))?),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unit_files_say_what_the_transient_units_say() {
        let watch = Watch {
            name: "dynix-secrets".to_owned(),
            description: "100% there".to_owned(),
            until: vec![Until::Exists("/run/a b/50%".into()), Until::Changes("/run/c".into())],
            command: ["/bin/dynix", "apply", "--retry", "vault"].map(str::to_owned).to_vec(),
        };
        let early = ["/bin/dynix", "apply", "--before-units", "vault"].map(str::to_owned);
        let files = watch.files(&early, &["vault.service".to_owned()]).unwrap();
        let text: Vec<String> = files.into_iter().map(|(name, text)| format!("{name}\n{text}")).collect();
        insta::assert_snapshot!(text.join("--\n"));
    }
}
