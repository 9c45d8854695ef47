//! `dynix append`: turns its arguments into a request.

use serde_json::Value;

use crate::cli::arguments;
use crate::system::Refused;
use crate::system::request::Append;
use crate::types;

/// The request of the command line.
pub fn request(arguments: &arguments::Append) -> Result<Append, Refused> {
    let arguments::Append { path, value, secret_file, reading, list, replace, duration, build, recording, .. } =
        arguments;
    let mut request = Append {
        path: path.clone(),
        secret_file: secret_file.clone(),
        list: list.edit(),
        replace: *replace,
        duration: *duration,
        apply: recording.apply,
        build: *build,
        confirm: recording.confirm,
        message: recording.telling.message.clone(),
        ..Append::default()
    };
    let Some(text) = value.clone() else { return Ok(request) };
    if reading.expr {
        request.expression = Some(text);
    } else if reading.string || reading.json {
        let value = if reading.string { Ok(Value::String(text)) } else { types::read_json(&text) };
        request.value = Some(value.map_err(|error| Refused(format!("{path}: {error}")))?);
    } else {
        request.text = Some(text);
    }
    Ok(request)
}
