//! Gives an option a value through the daemon of dynix: `client PATH JSON [SOCKET]`. Says what changed, if anything did.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;

use serde_json::{Value, json};

/// What is done, or why not.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Calls a method of the daemon. A message is JSON with a NUL behind it, and each call has one reply.
fn call(daemon: &mut BufReader<UnixStream>, method: &str, parameters: &Value) -> Outcome<Value> {
    let message = json!({ "method": format!("io.dynix.Settings.{method}"), "parameters": parameters });
    daemon.get_mut().write_all(format!("{message}\0").as_bytes())?;
    let mut reply = Vec::new();
    daemon.read_until(0, &mut reply)?;
    let mut reply: Value = serde_json::from_slice(reply.strip_suffix(b"\0").ok_or("the daemon is gone")?)?;
    match reply.get("error") {
        Some(error) => Err(format!("{error}: {}", reply["parameters"]["reason"]).into()),
        None => Ok(reply["parameters"].take()),
    }
}

/// Looks, and records and applies where it differs.
pub fn set(socket: &str, path: &str, value: &Value) -> Outcome<String> {
    let mut daemon = BufReader::new(UnixStream::connect(socket)?);
    let now = call(&mut daemon, "Get", &json!({ "path": path }))?;
    if now["inEffect"] == *value && now["applied"] == true {
        return Ok(format!("{path} is {value} already"));
    }
    let changes = json!([{ "path": path, "value": value }]);
    let message = "examples/client.rs";
    let done = call(&mut daemon, "Set", &json!({ "changes": changes, "apply": true, "message": message }))?;
    let one = &done["answer"]["changed"][0];
    Ok(format!("{path}: {} -> {}", one["before"], one["after"]))
}

fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [path, value, socket @ ..] = words.as_slice() else { return Err("usage: client PATH JSON [SOCKET]".into()) };
    let socket = socket.first().map_or("/run/dynix/dynix.sock", String::as_str);
    println!("{}", set(socket, path, &serde_json::from_str(value)?)?);
    Ok(())
}
