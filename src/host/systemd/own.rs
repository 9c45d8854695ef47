//! The units that dynix itself started.

use zbus::block_on;

use super::ManagerError;
use super::bus::Asked;
use super::proxies::ManagerProxy;

/// Stops every unit that is there and whose name begins with one of `names` and goes on with a number or a suffix. What they
/// do is not waited for.
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
