//! The interface `io.dynix.Settings` (src/varlink/io.dynix.Settings.varlink), and `org.varlink.service`, which every
//! Varlink service has.
//!
//! Takes calls, gives requests; takes results, gives replies. Pure.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::answer::{Answer, Denied};
use super::wire::{Call, Reply};
use crate::exit::Exit;
use crate::system::request::{
    Append, Apply, Confirm, Prune, Redo, Reject, Request, Reset, Rollback, Set, SetLayer, Undo, Unset,
};

/// The interface's name.
pub const NAME: &str = "io.dynix.Settings";
/// The interface as it is served.
pub const DESCRIPTION: &str = include_str!("io.dynix.Settings.varlink");

/// The interface that every service has (varlink.org/Service).
const SERVICE: &str = "org.varlink.service";
const SERVICE_DESCRIPTION: &str = "\
# The Varlink Service Interface is provided by every varlink service. It describes the service and the interfaces it implements.
interface org.varlink.service

# Get a list of all the interfaces a service provides and information about the implementation.
method GetInfo() -> (
  vendor: string,
  product: string,
  version: string,
  url: string,
  interfaces: []string
)

# Get the description of an interface that is implemented by this service.
method GetInterfaceDescription(interface: string) -> (description: string)

# The requested interface was not found.
error InterfaceNotFound (interface: string)

# The requested method was not found
error MethodNotFound (method: string)

# The interface defines the requested method, but the service does not implement it.
error MethodNotImplemented (method: string)

# One of the passed parameters is invalid.
error InvalidParameter (parameter: string)

# Client is denied access
error PermissionDenied ()

# Method is expected to be called with 'more' set to true, but wasn't
error ExpectedMore ()
";

/// The request in a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Asked {
    /// Something that is known without a look.
    Known(Reply),
    /// A change.
    Change(Box<Request>),
    /// A look.
    Read(Query),
    /// All that changes from now on.
    Monitor,
}

/// A question that changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// The value at a path.
    Get(String),
    /// The overrides, and what is in effect.
    Status,
    /// Records.
    Log(LogQuery),
    /// The sources, and what each says.
    Sources,
    /// The metrics.
    Metrics,
}

/// Which records are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogQuery {
    /// Behind this one.
    pub after: u64,
    /// The newest ones before this one, rather than the oldest ones behind the other.
    pub before: Option<u64>,
    /// How many at most.
    pub limit: usize,
    /// Only about this service, or this path.
    pub about: Option<String>,
    /// Only by this user.
    pub by: Option<String>,
}

/// Parses a call, or gives the reply that says why not.
pub fn understand(call: Call) -> Result<Asked, Reply> {
    let Some((interface, method)) = call.method.rsplit_once('.') else {
        return Err(service_error("MethodNotFound", "method", &call.method));
    };
    if call.upgrade {
        return Err(service_error("InvalidParameter", "parameter", "upgrade"));
    }
    if let Some(fault) = &call.fault {
        return Err(service_error("InvalidParameter", "parameter", fault));
    }
    let parameters = Parameters(call.parameters.unwrap_or_else(|| json!({})));
    if !parameters.0.is_object() {
        return Err(service_error("InvalidParameter", "parameter", "parameters"));
    }
    match (interface, method) {
        (SERVICE, "GetInfo") => Ok(Asked::Known(Reply::new(json!({
            "vendor": "dynix",
            "product": "dynix",
            "version": env!("CARGO_PKG_VERSION"),
            // As the units name it (systemd.unit(5), Documentation=).
            "url": "man:dynix-daemon(1)",
            "interfaces": [NAME, SERVICE],
        })))),
        (SERVICE, "GetInterfaceDescription") => description(&parameters.text("interface")?),
        (NAME, "Append") => parameters.read::<Append>().map(|one| Request::Append(one).into()),
        (NAME, "Set") => parameters.read::<Set>().map(|one| Request::Set(one).into()),
        (NAME, "SetLayer") => parameters.read::<SetLayer>().map(|one| Request::SetLayer(one).into()),
        (NAME, "Undo") => parameters.read::<Undo>().map(|one| Request::Undo(one).into()),
        (NAME, "Redo") => parameters.read::<Redo>().map(|one| Request::Redo(one).into()),
        (NAME, "Reject") => parameters.read::<Reject>().map(|one| Request::Reject(one).into()),
        (NAME, "Prune") => parameters.read::<Prune>().map(|one| Request::Prune(one).into()),
        (NAME, "Unset") => parameters.read::<Unset>().map(|one| Request::Unset(one).into()),
        (NAME, "Rollback") => parameters.read::<Rollback>().map(|one| Request::Rollback(one).into()),
        (NAME, "Reset") => parameters.read::<Reset>().map(|one| Request::Reset(one).into()),
        (NAME, "Apply") => parameters.read::<Apply>().map(|one| Request::Apply(one).into()),
        (NAME, "Confirm") => parameters.read::<Confirm>().map(|one| Request::Confirm(one).into()),
        (NAME, "Get") => Ok(Asked::Read(Query::Get(parameters.text("path")?))),
        (NAME, "Status") => Ok(Asked::Read(Query::Status)),
        (NAME, "Log") => {
            let after = parameters.number("after")?.unwrap_or_default();
            let limit = parameters.number("limit")?.unwrap_or(100).clamp(1, 1000);
            Ok(Asked::Read(Query::Log(LogQuery {
                after,
                before: parameters.number("before")?,
                limit: usize::try_from(limit).unwrap_or(1000),
                about: parameters.optional_text("about")?,
                by: parameters.optional_text("by")?,
            })))
        }
        (NAME, "Sources") => Ok(Asked::Read(Query::Sources)),
        (NAME, "Metrics") => Ok(Asked::Read(Query::Metrics)),
        (NAME, "Monitor") if call.more => Ok(Asked::Monitor),
        (NAME, "Monitor") => Err(Reply::error("org.varlink.service.ExpectedMore", json!({}))),
        (SERVICE | NAME, _) => Err(service_error("MethodNotFound", "method", &call.method)),
        _ => Err(service_error("InterfaceNotFound", "interface", interface)),
    }
}

impl From<Request> for Asked {
    fn from(request: Request) -> Self {
        Self::Change(Box::new(request))
    }
}

/// The method of a change, and its parameters.
#[must_use]
pub fn call(request: &Request) -> Call {
    let (method, parameters) = match request {
        Request::Append(one) => ("Append", json!(one)),
        Request::Set(one) => ("Set", json!(one)),
        Request::SetLayer(one) => ("SetLayer", json!(one)),
        Request::Undo(one) => ("Undo", json!(one)),
        Request::Redo(one) => ("Redo", json!(one)),
        Request::Reject(one) => ("Reject", json!(one)),
        Request::Prune(one) => ("Prune", json!(one)),
        Request::Unset(one) => ("Unset", json!(one)),
        Request::Rollback(one) => ("Rollback", json!(one)),
        Request::Reset(one) => ("Reset", json!(one)),
        Request::Apply(one) => ("Apply", json!(one)),
        Request::Confirm(one) => ("Confirm", json!(one)),
    };
    let method = format!("{NAME}.{method}");
    Call { method, parameters: Some(parameters), oneway: false, more: false, upgrade: false, fault: None }
}

fn description(interface: &str) -> Result<Asked, Reply> {
    let text = match interface {
        NAME => DESCRIPTION,
        SERVICE => SERVICE_DESCRIPTION,
        _ => return Err(service_error("InterfaceNotFound", "interface", interface)),
    };
    Ok(Asked::Known(Reply::new(json!({ "description": text }))))
}

fn service_error(name: &str, key: &str, value: &str) -> Reply {
    Reply::error(&format!("{SERVICE}.{name}"), json!({ key: value }))
}

struct Parameters(Value);

impl Parameters {
    fn read<T: DeserializeOwned>(mut self) -> Result<T, Reply> {
        // A null parameter counts as missing, except for a value, which may be null.
        if let Some(parameters) = self.0.as_object_mut() {
            parameters.retain(|name, value| name == "value" || !value.is_null());
        }
        let given = self.0.clone();
        serde_json::from_value(self.0)
            .map_err(|error| service_error("InvalidParameter", "parameter", &culprit::<T>(&given, &error.to_string())))
    }

    fn text(&self, name: &str) -> Result<String, Reply> {
        let text = self.0.get(name).and_then(Value::as_str).map(str::to_owned);
        text.ok_or_else(|| service_error("InvalidParameter", "parameter", name))
    }

    fn optional_text(&self, name: &str) -> Result<Option<String>, Reply> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(_) => self.text(name).map(Some),
        }
    }

    fn number(&self, name: &str) -> Result<Option<u64>, Reply> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match value.as_u64() {
                Some(number) => Ok(Some(number)),
                None => Err(service_error("InvalidParameter", "parameter", name)),
            },
        }
    }
}

/// The name of the parameter that is wrong; the problem itself if it is none of them.
fn culprit<T: DeserializeOwned>(given: &Value, problem: &str) -> String {
    // serde names a field that is missing, or that nobody knows.
    let told = ["missing field `", "unknown field `"].into_iter().find_map(|words| problem.split_once(words));
    if let Some((name, _)) = told.and_then(|(_, rest)| rest.split_once('`'))
        && (given.get(name).is_some() || problem.starts_with("missing"))
    {
        return name.to_owned();
    }
    let without = |name: &String| {
        let mut rest = given.clone();
        rest.as_object_mut().map(|rest| rest.remove(name));
        serde_json::from_value::<T>(rest).err().is_none_or(|error| error.to_string() != problem)
    };
    let names = given.as_object().into_iter().flat_map(|parameters| parameters.keys());
    names.into_iter().find(|name| without(name)).cloned().unwrap_or_else(|| problem.to_owned())
}

/// The reply with the result of a change.
#[must_use]
pub fn answered(answer: &Answer) -> Reply {
    let (name, reason) = match answer.exit() {
        Exit::Done => return Reply::new(json!({ "answer": answer })),
        Exit::Refused => ("Refused", answer.reason()),
        Exit::RolledBack => ("RolledBack", answer.reason()),
        Exit::RollbackFailed => ("RollbackFailed", answer.reason()),
        Exit::Unseen => ("Unseen", answer.reason()),
        Exit::Failed | Exit::Usage | Exit::Unsound | Exit::Found => ("Failed", answer.reason()),
    };
    Reply::error(&format!("{NAME}.{name}"), json!({ "reason": reason, "answer": answer }))
}

/// The reply for a request without effect.
#[must_use]
pub fn denied(denied: &Denied) -> Reply {
    match denied {
        Denied::NotAllowed(reason) => error("NotAllowed", &json!({ "reason": reason })),
        Denied::OutOfBounds(reason) => error("Refused", &json!({ "reason": reason })),
        Denied::TooOften { reason, retry } => {
            let retry = u64::try_from(retry.as_micros()).unwrap_or(u64::MAX);
            error("TooOften", &json!({ "reason": reason, "retryUSec": retry }))
        }
        Denied::Busy(_) => error("Busy", &json!({ "reason": denied.to_string() })),
        Denied::Stopping => error("Stopping", &json!({})),
        Denied::Lost => error("Lost", &json!({})),
    }
}

/// A look that failed.
#[must_use]
pub fn failed(exit: Exit, reason: &str) -> Reply {
    let name = if exit == Exit::Refused { "Refused" } else { "Failed" };
    error(name, &json!({ "reason": reason }))
}

/// The reply to a question.
#[must_use]
pub fn found(what: &impl Serialize) -> Reply {
    Reply::new(json!(what))
}

fn error(name: &str, parameters: &Value) -> Reply {
    Reply::error(&format!("{NAME}.{name}"), parameters.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(method: &str, parameters: Value) -> Result<Asked, Reply> {
        let method = method.to_owned();
        understand(Call {
            method,
            parameters: Some(parameters),
            oneway: false,
            more: false,
            upgrade: false,
            fault: None,
        })
    }

    #[test]
    fn a_request_comes_out_as_it_went_in() {
        let append = Append { path: "a.b".to_owned(), value: Some(Value::Null), apply: true, ..Append::default() };
        let requests = [
            Request::Append(append),
            Request::Unset(Unset { path: "a".to_owned(), ..Unset::default() }),
            Request::Rollback(Rollback { id: Some(3), ..Rollback::default() }),
            Request::Reset(Reset::default()),
            Request::Apply(Apply { services: vec!["x".to_owned()], ..Apply::default() }),
            Request::Confirm(Confirm { revert: true, of: None }),
        ];
        for request in requests {
            assert_eq!(understand(call(&request)), Ok(Asked::Change(Box::new(request))));
        }
    }

    #[test]
    fn every_method_of_the_interface_is_understood() {
        let methods: Vec<&str> =
            DESCRIPTION.lines().filter_map(|line| line.strip_prefix("method ")?.split('(').next()).collect();
        assert_eq!(methods.len(), 18);
        for method in methods {
            let parameters = json!({ "path": "a" });
            let asked = ask(&format!("{NAME}.{method}"), parameters);
            let unknown = format!("{SERVICE}.MethodNotFound");
            assert!(asked.err().and_then(|reply| reply.error) != Some(unknown), "{method}");
        }
    }

    #[test]
    fn a_page_has_at_most_1000_records() {
        let limit = |parameters| match ask("io.dynix.Settings.Log", parameters) {
            Ok(Asked::Read(Query::Log(LogQuery { limit, .. }))) => limit,
            other => panic!("{other:?}"),
        };
        assert_eq!([json!({}), json!({"limit": 0}), json!({"limit": 5})].map(limit), [100, 1, 5]);
        assert_eq!(limit(json!({"limit": u64::MAX})), 1000);
    }

    #[test]
    fn a_wrong_parameter_is_named() {
        for (method, parameters, name) in [
            ("Append", json!({"path": "a", "vlaue": 1}), "vlaue"),
            ("Append", json!({"value": 1}), "path"),
            ("Append", json!({"path": "a", "apply": "yes"}), "apply"),
            ("Rollback", json!({"id": -1}), "id"),
            ("Set", json!({"changes": [{"path": 1}]}), "changes"),
            ("Set", json!({"changes": [{"pth": "a"}]}), "changes"),
            ("Set", json!({"changes": {"path": "a"}}), "changes"),
            ("Set", json!({}), "changes"),
            ("Reject", json!({"id": 1}), "message"),
            ("Log", json!({"after": "x"}), "after"),
            ("Log", json!({"before": -1}), "before"),
            ("Log", json!({"about": 1}), "about"),
            ("Log", json!({"by": ["x"]}), "by"),
            ("Get", json!({"path": null}), "path"),
            ("Append", json!(["a"]), "parameters"),
            ("Status", json!("a"), "parameters"),
        ] {
            let reply = ask(&format!("{NAME}.{method}"), parameters.clone()).unwrap_err();
            assert_eq!(reply.parameters, json!({ "parameter": name }), "{method} {parameters}");
        }
    }

    #[test]
    fn what_is_not_understood_is_said() {
        let error = |method: &str, parameters| ask(method, parameters).unwrap_err().error.unwrap();
        assert_eq!(error("nothing", json!({})), "org.varlink.service.MethodNotFound");
        assert_eq!(error("io.dynix.Settings.Nothing", json!({})), "org.varlink.service.MethodNotFound");
        assert_eq!(error("io.dynix.Other.Get", json!({})), "org.varlink.service.InterfaceNotFound");
        assert_eq!(error("io.dynix.Settings.Get", json!({})), "org.varlink.service.InvalidParameter");
        assert_eq!(
            error("io.dynix.Settings.Append", json!({"path": "a", "vlaue": 1})),
            "org.varlink.service.InvalidParameter"
        );
        assert_eq!(error("io.dynix.Settings.Log", json!({"after": "x"})), "org.varlink.service.InvalidParameter");
        assert_eq!(error("io.dynix.Settings.Append", json!([])), "org.varlink.service.InvalidParameter");
        assert_eq!(error("io.dynix.Settings.Monitor", json!({})), "org.varlink.service.ExpectedMore");
    }
}
