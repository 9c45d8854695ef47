//! The last log lines of a unit: what the journal has of one run of it, for the message about its failure.
//!
//! Best effort, and bounded: lines that do not come in time are left out, long lines are cut, and nothing in them
//! reaches a terminal or a log as anything but text.

use std::time::Duration;

use camino::Utf8Path;

use crate::host::process;

/// The paths of journalctl: on NixOS, elsewhere. dynix does not search PATH, because the caller controls it.
const PROGRAMS: [&str; 2] = ["/run/current-system/sw/bin/journalctl", "/usr/bin/journalctl"];
/// How long each look may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// The most characters that are quoted.
const MOST: usize = 400;

/// The last three messages of the run of a unit that has this invocation (systemd.exec(5), `$INVOCATION_ID`).
#[must_use]
pub fn last_words(invocation: &[u8]) -> Option<String> {
    let program = PROGRAMS.into_iter().find(|program| Utf8Path::new(program).exists())?;
    let id = invocation.iter().fold(String::new(), |id, byte| format!("{id}{byte:02x}"));
    if id.len() != 32 || invocation.iter().all(|byte| *byte == 0) {
        return None;
    }
    let run = |arguments: &[&str]| {
        let command: Vec<String> = [program].iter().chain(arguments).map(|word| (*word).to_owned()).collect();
        process::run(&command, PATIENCE).ok().filter(|output| output.status.success())
    };
    // The last lines of the unit may still be on their way to the file.
    let _ = run(&["--sync"]);
    let id = format!("_SYSTEMD_INVOCATION_ID={id}");
    let output = run(&["--quiet", "--no-pager", "--output=cat", "--lines=3", &id])?;
    let words = plain(&String::from_utf8_lossy(&output.stdout));
    (!words.is_empty()).then_some(words)
}

/// Text on one line, without anything that a terminal or an editor would act on.
#[must_use]
pub fn plain(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let text = lines.join(" | ");
    let shown = text.chars().map(|ch| if is_active(ch) { char::REPLACEMENT_CHARACTER } else { ch });
    let mut shown: String = shown.take(MOST + 1).collect();
    if let Some((end, _)) = shown.char_indices().nth(MOST) {
        shown.truncate(end);
        shown.push_str("...");
    }
    shown
}

/// Control characters, and those that change the order or the look of others (Unicode Standard Annex 9; UTS 39).
fn is_active(ch: char) -> bool {
    ch.is_control()
        || matches!(ch, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(ch, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_text_comes_through() {
        assert_eq!(plain("one\n\n  two \r\nthree\n"), "one | two | three");
        assert_eq!(plain("\u{1b}[31mred\u{7}\u{202e}x\0"), "\u{fffd}[31mred\u{fffd}\u{fffd}x\u{fffd}");
        assert_eq!(plain(""), "");
        let long = plain(&"ä".repeat(5000));
        assert_eq!(long, format!("{}...", "ä".repeat(MOST)));
    }

    #[test]
    fn a_unit_that_never_ran_has_none() {
        assert_eq!(last_words(&[]), None);
        assert_eq!(last_words(&[0; 16]), None);
    }
}
