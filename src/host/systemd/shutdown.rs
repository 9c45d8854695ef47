//! Whether the machine is on its way down.

use zbus::block_on;

use super::ManagerError;
use super::proxies::ManagerProxy;

/// Whether it powers off, reboots or halts: all that is started is being stopped, for no other reason.
pub fn is_under_way() -> Result<bool, ManagerError> {
    let state = block_on(async {
        let connection = zbus::Connection::system().await?;
        ManagerProxy::new(&connection).await?.system_state().await
    });
    let state = state.map_err(|error: zbus::Error| ManagerError {
        operation: "ask for its state".to_owned(),
        message: error.to_string(),
    })?;
    Ok(state == "stopping")
}
