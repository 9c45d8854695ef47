//! The state of units, in more detail than [`UnitStatus`]: enough to distinguish one that works from one that does not.

use zbus::block_on;
use zbus::proxy::CacheProperties;

use super::answers;
use super::bus::{Asked, Bus};
use super::proxies::{ListedUnit, ServiceProxy, UnitProxy, listed_unit};
use super::{ManagerError, UnitStatus};

/// The state of a unit at one moment. A field that only a unit that is down has is `None` for one that is up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Its state.
    pub status: UnitStatus,
    /// `running`, `exited`, `auto-restart`, ... (systemd's `SubState`)
    pub sub_state: String,
    /// A service's `Type=`.
    pub kind: Option<String>,
    /// How often systemd started a service again since it was started by somebody (`NRestarts`).
    pub restarts: Option<u32>,
    /// Since when it is active, in microseconds of the monotonic clock.
    pub active_since: Option<u64>,
    /// How a service ended (`success`, `exit-code`, ...).
    pub result: Option<String>,
    /// The exit status of a service's main process.
    pub exit_status: Option<i32>,
    /// Whether something starts it when it is needed: a socket, a timer, a name on the bus.
    pub is_triggered: bool,
}

impl Bus {
    /// See [`super::ServiceManager::observe`].
    pub(super) fn observe(&self, units: &[String]) -> Result<Vec<Observed>, ManagerError> {
        block_on(async {
            let listed = self.list(units).await?;
            let mut observed = Vec::with_capacity(units.len());
            for unit in units {
                let found = listed.get(unit);
                let status = self.status_of(unit, found).await?;
                observed.push(match found {
                    Some(found) => self.observe_one(status, found).await?,
                    None => answers::bare(status, None),
                });
            }
            Ok(observed)
        })
    }

    async fn observe_one(&self, status: UnitStatus, listed: &ListedUnit) -> Result<Observed, ManagerError> {
        let reading = || format!("look at {}", listed.0);
        let builder = UnitProxy::builder(&self.connection).path(listed.6.clone());
        let unit = builder.cache_properties(CacheProperties::No).build().await.to(reading())?;
        let service = if listed.0.ends_with(".service") && listed.2 == "loaded" {
            let builder = ServiceProxy::builder(&self.connection).path(listed.6.clone());
            Some(builder.cache_properties(CacheProperties::No).build().await.to(reading())?)
        } else {
            None
        };
        let is_active = listed.3 == "active";
        let mut observed = answers::bare(status, Some(&listed_unit(listed)));
        if is_active {
            observed.active_since = Some(unit.active_enter_timestamp_monotonic().await.to(reading())?);
        }
        if let Some(service) = &service {
            observed.kind = Some(service.type_().await.to(reading())?);
            observed.restarts = Some(service.n_restarts().await.to(reading())?);
            if !is_active {
                observed.result = Some(service.result().await.to(reading())?);
                observed.exit_status = Some(service.exec_main_status().await.to(reading())?);
            }
        }
        if !is_active {
            let by_name = observed.kind.as_deref() == Some("dbus");
            observed.is_triggered = by_name || !unit.triggered_by().await.to(reading())?.is_empty();
        }
        Ok(observed)
    }
}
