//! Receives systemd's signals about changed units.
//!
//! A signal only says that something may be new; the reader has to look what it is. The signals have a connection of
//! their own, so that a flood of them delays no call (see [`super::job_results`]).

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use futures_lite::StreamExt;
use zbus::message::Type;
use zbus::{Connection, MatchRule, MessageStream, block_on};

use super::ManagerError;
use super::bus::Asked;
use super::proxies::ManagerProxy;
use super::reach::Reach;

/// The units that are listened for.
#[derive(Clone, Debug, Default)]
pub struct Listener(Arc<Mutex<BTreeSet<String>>>);

impl Listener {
    /// Calls `changed` whenever one of the units of [`Self::listen_for`] may have changed, and `lost` when the signals
    /// are lost.
    pub fn start(
        reach: &Reach,
        mut changed: impl FnMut() + Send + 'static,
        lost: impl FnOnce() + Send + 'static,
    ) -> Result<Self, ManagerError> {
        let listener = Self::default();
        let listening = listener.clone();
        let mut signals = block_on(signals(reach))?;
        let listen = move || {
            while let Some(Ok(signal)) = block_on(signals.next()) {
                let header = signal.header();
                let path = header.path().map(ToString::to_string).unwrap_or_default();
                let name = path.rsplit('/').next().unwrap_or_default();
                if listening.0.lock().unwrap_or_else(PoisonError::into_inner).contains(name) {
                    changed();
                }
            }
            lost();
        };
        let started = thread::Builder::new().name("units".to_owned()).spawn(listen);
        match started {
            Ok(_) => Ok(listener),
            Err(error) => {
                let operation = "listen for changes of units".to_owned();
                Err(ManagerError { operation, message: error.to_string(), is_lost: false })
            }
        }
    }

    /// From now on, signals of only these units count.
    pub fn listen_for<'u>(&self, units: impl Iterator<Item = &'u String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = units.map(|unit| label(unit)).collect();
    }
}

async fn signals(reach: &Reach) -> Result<MessageStream, ManagerError> {
    let connection = reach.connect().await?;
    subscribed(&connection).await.to("listen for changes of units")
}

async fn subscribed(connection: &Connection) -> zbus::Result<MessageStream> {
    ManagerProxy::new(connection).await?.subscribe().await?;
    let rule = MatchRule::builder()
        .msg_type(Type::Signal)
        .sender("org.freedesktop.systemd1")
        .interface("org.freedesktop.DBus.Properties")
        .member("PropertiesChanged")
        .path_namespace("/org/freedesktop/systemd1/unit")
        .build()?;
    MessageStream::for_match_rule(rule, connection, None).await
}

/// A unit's name as the last part of its object path (`bus_label_escape`, src/libsystemd/sd-bus/bus-label.c).
#[must_use]
pub fn label(unit: &str) -> String {
    let plain = |(index, byte): (usize, u8)| byte.is_ascii_alphabetic() || index > 0 && byte.is_ascii_digit();
    let escaped = |one: (usize, u8)| if plain(one) { char::from(one.1).to_string() } else { format!("_{:02x}", one.1) };
    unit.bytes().enumerate().map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_those_of_systemd() {
        assert_eq!(label("wg-quick@a.service"), "wg_2dquick_40a_2eservice");
        assert_eq!(label("9p.mount"), "_39p_2emount");
    }
}
