//! The text of a unit: its settings in order, and which of them systemd itself acts on.

/// One line `KEY=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// `ExecStart`
    pub key: String,
    /// The value, with continued lines joined.
    pub value: String,
}

/// The reader of a path that a setting names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reader {
    /// A program of the unit, in its mount namespace: what is bound there is what it reads.
    Program,
    /// A program that is run before the main one, and may copy what it reads.
    Preparation,
    /// A command outside the unit's namespace: it has the prefix `+` (systemd.service(5), "Command lines").
    Privileged,
    /// systemd, before there is a namespace: `EnvironmentFile=` (systemd.exec(5)).
    Environment,
    /// systemd, before there is a namespace: `LoadCredential=` and its kin.
    Credential,
    /// systemd, as the source of a mount of the unit.
    Mount,
    /// `switch-to-configuration`: the module says that the unit has to be restarted when the file changes.
    RestartTrigger,
    /// The same for a reload.
    ReloadTrigger,
    /// Nobody who reads it as a configuration: `WorkingDirectory=`, `Documentation=`.
    Nobody,
}

/// The settings of a unit file (systemd.syntax(7)).
#[must_use]
pub fn settings(text: &str) -> Vec<Setting> {
    let mut settings = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim_start().starts_with(['#', ';', '[']) {
            continue;
        }
        let mut whole = line.to_owned();
        while whole.ends_with('\\') {
            whole.pop();
            whole.push(' ');
            match lines.next() {
                Some(next) => whole.push_str(next),
                None => break,
            }
        }
        if let Some((key, value)) = whole.split_once('=') {
            settings.push(Setting { key: key.trim().to_owned(), value: value.trim().to_owned() });
        }
    }
    settings
}

/// The units that a unit with this text comes after.
#[must_use]
pub fn after(text: &str) -> Vec<String> {
    let mut units = Vec::new();
    for setting in settings(text).iter().filter(|setting| setting.key == "After") {
        if setting.value.is_empty() {
            units.clear();
        }
        units.extend(setting.value.split_whitespace().map(str::to_owned));
    }
    units
}

impl Setting {
    /// The reader of the paths in it.
    #[must_use]
    pub fn reader(&self) -> Reader {
        match self.key.as_str() {
            key if key.starts_with("Exec") && self.is_privileged() => Reader::Privileged,
            "ExecStartPre" | "ExecCondition" => Reader::Preparation,
            key if key.starts_with("Exec") => Reader::Program,
            "Environment" => Reader::Program,
            "EnvironmentFile" => Reader::Environment,
            "LoadCredential" | "LoadCredentialEncrypted" | "ImportCredential" => Reader::Credential,
            "BindPaths" | "BindReadOnlyPaths" | "ExtensionDirectories" => Reader::Mount,
            "X-Restart-Triggers" => Reader::RestartTrigger,
            "X-Reload-Triggers" => Reader::ReloadTrigger,
            _ => Reader::Nobody,
        }
    }

    /// The prefixes of a command are in any order.
    fn is_privileged(&self) -> bool {
        self.value.chars().take_while(|ch| matches!(ch, '@' | '-' | ':' | '+' | '!' | '|')).any(|ch| ch == '+')
    }
}

/// The value of the last setting with the name `key`.
#[must_use]
pub fn last<'s>(settings: &'s [Setting], key: &str) -> Option<&'s str> {
    settings.iter().rev().find(|setting| setting.key == key).map(|setting| setting.value.as_str())
}

/// Whether systemd has anything to reload the unit with (systemd.service(5)).
#[must_use]
pub fn can_reload(settings: &[Setting]) -> bool {
    let has_command = last(settings, "ExecReload").is_some_and(|command| !command.is_empty());
    has_command || last(settings, "Type") == Some("notify-reload")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_go_on_and_comments_are_none() {
        let text = "[Service]\n# ExecStart=/no\nExecStart=/a \\\n  --b\n;x=y\nEnvironment=\"A=b\"\n";
        let pairs: Vec<(String, String)> = settings(text).into_iter().map(|one| (one.key, one.value)).collect();
        assert_eq!(pairs, [("ExecStart".into(), "/a    --b".into()), ("Environment".into(), "\"A=b\"".into())]);
    }

    #[test]
    fn a_command_with_a_plus_is_outside_the_namespace() {
        for (key, value, reader) in [
            ("ExecStart", "/a", Reader::Program),
            ("ExecStart", "!/a", Reader::Program),
            ("ExecStart", "-+/a", Reader::Privileged),
            ("ExecStartPre", "+/a", Reader::Privileged),
            ("ExecStartPre", "/a +b", Reader::Preparation),
            ("ExecReload", "/a", Reader::Program),
            ("EnvironmentFile", "-/a", Reader::Environment),
            ("Documentation", "file:/a", Reader::Nobody),
        ] {
            let setting = Setting { key: key.to_owned(), value: value.to_owned() };
            assert_eq!(setting.reader(), reader, "{key}={value}");
        }
    }
}
