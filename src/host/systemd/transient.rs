//! Transient services that run dynix itself, as systemd-run(1) starts them.

use zbus::Variant;

use super::hardening;

/// Properties of a transient unit; the names are those of org.freedesktop.systemd1(5).
pub(super) type Properties = Vec<(&'static str, Variant<'static>)>;

/// Those of a service that runs `command` (an absolute program and its arguments, which nothing is substituted in), of which
/// nothing is left once it is done.
pub(super) fn service(description: &str, command: &[String]) -> Properties {
    let program = command.first().cloned().unwrap_or_default();
    let command = (program, command.to_vec(), vec!["no-env-expand".to_owned()]);
    let mut properties = vec![
        ("Description", Variant::new(description.to_owned())),
        ("Type", Variant::new("exec".to_owned())),
        ("ExecStartEx", Variant::new(vec![command])),
        ("CollectMode", Variant::new("inactive-or-failed".to_owned())),
    ];
    properties.extend(hardening::properties());
    properties
}
