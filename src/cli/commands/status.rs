//! `dynix status`: prints what is static, what is overridden by whom and when, what is in effect, and what is only
//! recorded.

use std::fmt::Write as _;

use super::screen::{self, Paint, Screen};
use crate::cli::arguments;
use crate::evaluated::SYSTEM;
use crate::exit::Exit;
use crate::host::messages;
use crate::reconcile::state::{FailureKind, LastFailure};
use crate::reconcile::trial::NOT_CONFIRMED;
use crate::system::session::Session;
use crate::system::status::Status;
use crate::types::brief;

/// Prints the status.
pub fn run(arguments: &arguments::Status, screen: Screen, session: &Session) -> anyhow::Result<Exit> {
    let (status, warnings) = session.open()?.status()?;
    warnings.iter().for_each(messages::warn);
    if arguments.json {
        super::print_json(&status)?;
    } else {
        screen.show(&painted(&messages::visible(&text(&status)), screen.paint()))?;
    }
    Ok(if arguments.exit_code && status.is_any() { Exit::Found } else { Exit::Done })
}

/// The same text with colours: names, what is not in effect, and what went wrong.
fn painted(text: &str, paint: Paint) -> String {
    const PENDING: [&str; 3] = ["recorded, not applied", "`dynix apply` would change it", "built in by now"];
    let line = |line: &str| {
        let is_failure = line.starts_with("  2") && line.contains("Z: ") || line.starts_with("does not hold: ");
        let line = match line.split_once(": ") {
            _ if is_failure => return paint.failure(line),
            Some((name, rest)) if !line.starts_with(' ') => format!("{}: {rest}", paint.name(name)),
            _ => line.to_owned(),
        };
        PENDING.iter().fold(line, |line, words| line.replace(words, &paint.notice(words)))
    };
    text.lines().flat_map(|one| [line(one), "\n".to_owned()]).collect()
}

fn text(status: &Status) -> String {
    let mut text = String::new();
    // Writing to a String can't fail.
    for (name, service) in &status.services {
        let place = match service.generation {
            Some(generation) => format!("on generation {generation}"),
            None if name != SYSTEM => "on its static files".to_owned(),
            None if service.changes.is_empty() => "as built".to_owned(),
            None => format!("changed {}", service.changes.join(", ")),
        };
        let units: Vec<String> = service.units.iter().map(|(unit, state)| format!("; {unit} is {state}")).collect();
        let watched = service.watched.map(|left| format!("; watched for {} s more", left.ceil()));
        let pending = match (service.postponed, service.pending) {
            (true, _) => "; what is recorded is tried once the boot is over",
            (false, true) => "; `dynix apply` would change it",
            (false, false) => "",
        };
        let _ = writeln!(text, "{name}: {place}{}{}{pending}", units.concat(), watched.unwrap_or_default());
        if let Some(LastFailure { result, reason, time }) = &service.last_failure {
            let went = match result {
                FailureKind::RolledBack => "it did not work on new values and went back to these",
                FailureKind::RollbackFailed => {
                    "it worked neither on new values nor on what it had before, and went static"
                }
                FailureKind::NotConfirmed => "new values were not confirmed and it went back to these",
                FailureKind::Unseen => "these are in place, and it does not run on them",
            };
            let reason = if reason == NOT_CONFIRMED { String::new() } else { format!(": {reason}") };
            let _ = writeln!(text, "  {time}: {went}{reason}");
        }
        for one in &service.overrides {
            let built = one.r#static.as_ref().map_or_else(|| "not set".to_owned(), brief);
            let built = if name == SYSTEM { String::new() } else { format!(" (built: {built})") };
            let _ = writeln!(text, "  {} = {}{built}", one.path, brief(&one.value));
            let mut notes = vec![format!("record {}", one.record)];
            notes.extend(one.by.as_ref().map(|by| format!("by {by}")));
            notes.extend(one.revision.as_ref().map(|revision| format!("revision {revision}")));
            notes.extend(one.time.clone());
            notes.extend(one.until.as_deref().map(screen::remaining));
            if one.built_in {
                notes.push("built in by now; `dynix prune` ends it".to_owned());
            }
            if !one.applied {
                notes.push("recorded, not applied".to_owned());
            }
            let said = one.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
            let _ = writeln!(text, "    {}{said}", notes.join(", "));
        }
        for unit in &service.drop_ins {
            let _ = writeln!(text, "  drop-in for {unit}");
        }
    }
    if let Some(awaiting) = &status.awaiting {
        let _ = writeln!(text, "{awaiting}");
    }
    for one in &status.left_out {
        let _ = writeln!(text, "does not hold: {} (record {}): {}", one.path, one.id, one.reason);
    }
    for (service, awaited) in &status.awaited {
        for one in awaited {
            let _ = writeln!(text, "{service} stays as it is: {}: {}", one.path, one.reason);
        }
    }
    if let Some(verified) = &status.verified {
        let _ = writeln!(text, "as of record {}:", verified.record);
        verified.text().lines().for_each(|line| {
            let _ = writeln!(text, "  {line}");
        });
    }
    text
}
