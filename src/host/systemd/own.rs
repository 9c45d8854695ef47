//! The units that dynix itself started.

use zbus::block_on;

use super::ManagerError;
use super::bus::Asked;
use super::proxies::ManagerProxy;

/// Stops every unit whose name is one of `names` followed by a number or a suffix. It does not wait for their work.
pub fn stop(names: &[String]) -> Result<(), ManagerError> {
    let patterns: Vec<String> = names.iter().flat_map(|name| [format!("{name}-*"), format!("{name}.*")]).collect();
    block_on(async {
        let connection = zbus::Connection::system().await.to("connect to the system bus")?;
        let manager = ManagerProxy::new(&connection).await.to("reach its manager")?;
        for unit in manager.list_units_by_patterns(&[], &patterns).await.to("list units")? {
            // One that ended by itself since is stopped as well.
            let _ = manager.stop_unit(&unit.0, "replace").await;
        }
        Ok(())
    })
}
