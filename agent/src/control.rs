//! The socket of the running agent, for those of its group: a word, and its answer.

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use camino::{Utf8Path, Utf8PathBuf};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;

use crate::run::Nudges;

/// How long either side has.
const PATIENCE: Duration = Duration::from_secs(5);
const FETCH: &[u8] = b"fetch\n";
const DONE: &[u8] = b"done\n";

fn path(directory: &Utf8Path) -> Utf8PathBuf {
    directory.join("agent.sock")
}

/// Listens; a socket that an agent before this one left is replaced.
pub fn listen(directory: &Utf8Path) -> anyhow::Result<UnixListener> {
    let path = path(directory);
    std::fs::create_dir_all(directory).with_context(|| format!("cannot make {directory}"))?;
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => bail!("cannot remove {path}: {error}"),
        _ => {}
    }
    let listener = UnixListener::bind(&path).with_context(|| format!("cannot listen at {path}"))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o660))
        .with_context(|| format!("cannot open {path} to its group"))?;
    Ok(listener)
}

/// Answers one after the other, for as long as the agent runs.
pub async fn answer(listener: UnixListener, nudges: Arc<Nudges>) {
    loop {
        let Ok((mut stream, _)) = listener.accept().await else {
            tokio::time::sleep(PATIENCE).await;
            continue;
        };
        // Who is slow gets no answer.
        let _ = tokio::time::timeout(PATIENCE, async {
            let mut word = [0; FETCH.len()];
            stream.read_exact(&mut word).await?;
            if word == FETCH {
                nudges.all();
                stream.write_all(DONE).await?;
            }
            Ok::<_, std::io::Error>(())
        })
        .await;
    }
}

/// Has the running agent look at once.
pub fn fetch(directory: &Utf8Path) -> anyhow::Result<()> {
    let path = path(directory);
    let mut stream = UnixStream::connect(&path)
        .with_context(|| format!("cannot reach the agent at {path}; `systemctl status dynix-agent` says how it is"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(FETCH).context("cannot ask the agent")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).context("cannot hear the agent")?;
    if answer != DONE {
        bail!("the agent does not understand it; it may be of another version");
    }
    Ok(())
}
