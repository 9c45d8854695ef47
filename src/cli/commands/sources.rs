//! `dynix sources`: prints the sources, and what each says.

use std::fmt::Write as _;

use super::screen::Screen;
use crate::cli::arguments::Read;
use crate::exit::Exit;
use crate::host::messages;
use crate::system::session::Session;
use crate::system::sources::Source;
use crate::types::brief;

/// Prints them.
pub fn run(arguments: &Read, screen: Screen, session: &Session) -> anyhow::Result<Exit> {
    let sources = session.open()?.sources()?;
    if arguments.json {
        return super::print_json(&serde_json::json!({ "sources": sources }));
    }
    if sources.is_empty() {
        messages::info("this system has no sources (dynamicism.sources)");
        return Ok(Exit::Done);
    }
    screen.show(&messages::visible(&sources.iter().map(text).collect::<String>()))
}

fn text(source: &Source) -> String {
    let place = if source.over_host { ", over the host's own values" } else { "" };
    let revision = |revision: &Option<String>| revision.as_deref().map(|one| format!(" {one}")).unwrap_or_default();
    let mut text = match source.id {
        None => format!("{}{place}: it has said nothing yet\n", source.name),
        Some(id) => {
            let mut notes = vec![format!("record {id}")];
            notes.extend(source.by.as_ref().map(|by| format!("by {by}")));
            notes.extend(source.time.clone());
            if !source.applied {
                notes.push("recorded, not applied".to_owned());
            }
            let message = source.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
            format!("{}{place}:{}\n  {}{message}\n", source.name, revision(&source.revision), notes.join(", "))
        }
    };
    // Writing to a String can't fail.
    for (path, value) in source.leaves() {
        let _ = writeln!(text, "  {path} = {}", brief(&value));
    }
    if let Some(refused) = &source.refused {
        let _ = writeln!(text, "  refused{} (record {}): {}", revision(&refused.revision), refused.id, refused.reason);
    }
    text
}
