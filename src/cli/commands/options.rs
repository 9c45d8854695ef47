//! `dynix options`: prints each setting of a service with its type and its built, present and default value.

use std::fmt::Write as _;

use serde_json::Value;

use super::{print, print_list};
use crate::cli::arguments::{Options, Output};
use crate::exit::Exit;
use crate::system::session::Session;
use crate::system::settings::Setting;
use crate::types::brief;

/// Prints them.
pub fn run(arguments: &Options, output: Output, session: &Session) -> anyhow::Result<Exit> {
    let pattern = arguments.pattern.as_deref().unwrap_or_default();
    let settings = session.open()?.settings(&arguments.service, pattern)?;
    if arguments.json {
        return print_list(output, "settings", &settings);
    }
    print(for_people(&settings).as_bytes())
}

fn for_people(settings: &[Setting]) -> String {
    let mut text = String::new();
    for setting in settings {
        // Writing to a String can't fail.
        let _ = writeln!(text, "{}: {}", setting.path, setting.r#type);
        let shown = |value: &Option<Value>| value.as_ref().map_or_else(|| "not set".to_owned(), brief);
        let _ = writeln!(text, "  built {}", shown(&setting.r#static));
        if setting.effective != setting.r#static {
            let _ = writeln!(text, "  recorded {}", shown(&setting.effective));
        }
        if setting.default.is_some() {
            let _ = writeln!(text, "  default {}", shown(&setting.default));
        }
        if !setting.dynamic {
            text.push_str("  may not change at run time\n");
        }
    }
    text
}
