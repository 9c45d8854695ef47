//! `dynix layer`: turns what a source says into a request.

use serde_json::{Map, Value};

use super::{import, input};
use crate::cli::arguments;
use crate::system::Refused;
use crate::system::import::read;
use crate::system::request::SetLayer;

/// The request of the command line.
pub fn request(arguments: arguments::Layer) -> anyhow::Result<SetLayer> {
    let arguments::Layer { source, file, revision, by, format, apply, telling, .. } = arguments;
    let file = file.as_deref().filter(|file| *file != "-");
    let text = input::text(file)?;
    let values = if text.trim().is_empty() {
        Map::new()
    } else {
        match read(&text, import::form(format, file))? {
            Value::Object(values) => values,
            _ => {
                return Err(Refused(
                    "what a source says is a set of values, as in { services.x.settings.y = 1; }".to_owned(),
                )
                .into());
            }
        }
    };
    Ok(SetLayer { source, revision, values, by, message: telling.message, apply })
}
