//! Contains panics. A panic is a bug of dynix: it ends its own request, but neither the daemon nor another request.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A request that came to a panic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a fault of dynix itself: {message}; see `dynix log` for what is recorded, `journalctl -u dynix` for where it \
     happened, and please report it"
)]
pub struct Broken {
    /// The message of the panic.
    message: String,
}

/// Runs part of a request. Data that it shares with others has to be consistent at each moment, as files are for other
/// processes.
pub fn guarded<T>(what: impl FnOnce() -> T) -> Result<T, Broken> {
    catch_unwind(AssertUnwindSafe(what)).map_err(|payload| Broken { message: message(payload.as_ref()) })
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no words").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error() {
        assert_eq!(guarded(|| 1), Ok(1));
        let number = 7;
        for broken in [guarded(|| panic!("it is {number}")), guarded(|| -> () { panic!("it is 7") })] {
            assert!(broken.unwrap_err().to_string().starts_with("a fault of dynix itself: it is 7; see `dynix log`"));
        }
    }
}
