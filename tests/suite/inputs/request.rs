//! Parameters of requests: what is understood is the same once it was written and read again.

use dynix::varlink::interface::{self, Asked, NAME};
use dynix::varlink::wire::Call;

const METHODS: [&str; 11] =
    ["Append", "Unset", "Rollback", "Reset", "Apply", "Confirm", "Get", "Status", "Log", "Monitor", "Metrics"];

pub fn check(data: &[u8]) {
    let Some((method, text)) = data.split_first() else { return };
    let method = format!("{NAME}.{}", METHODS[usize::from(*method) % METHODS.len()]);
    let Ok(parameters) = serde_json::from_slice(text) else { return };
    let call = Call { method, parameters: Some(parameters), oneway: false, more: true, upgrade: false, fault: None };
    match interface::understand(call) {
        Ok(Asked::Change(request)) => {
            assert_eq!(interface::understand(interface::call(&request)), Ok(Asked::Change(request)));
        }
        Ok(_) => {}
        Err(reply) => assert!(reply.error.is_some(), "{reply:?}"),
    }
}
