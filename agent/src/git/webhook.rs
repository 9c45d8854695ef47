//! Listens for a POST, which means "fetch now". Nothing that it says is believed: whoever can reach it can only make the
//! source look.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Notify, Semaphore};

/// Most bytes of a request's head, and of what follows it.
const HEAD: usize = 16 << 10;
const BODY: u64 = 32 << 20;
/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many are heard at once.
const CALLERS: usize = 16;

/// Where it listens.
#[derive(Debug)]
pub(super) enum Webhook {
    Unix(UnixListener),
    Tcp(TcpListener),
}

impl Webhook {
    /// `place` is a path, or an address of this machine and a port.
    pub async fn listen(place: &str) -> anyhow::Result<Self> {
        if place.starts_with('/') {
            // A socket that nobody listens on (any more).
            let _ = std::fs::remove_file(place);
            let listener = UnixListener::bind(place).with_context(|| format!("cannot listen on {place}"))?;
            // Who may reach it is the matter of its directory; there is nothing to learn from it.
            std::fs::set_permissions(place, std::fs::Permissions::from_mode(0o666))
                .with_context(|| format!("cannot open {place} to others"))?;
            return Ok(Self::Unix(listener));
        }
        let address: std::net::SocketAddr =
            place.parse().with_context(|| format!("webhook {place:?} is neither a path nor an address and a port"))?;
        if !address.ip().is_loopback() {
            bail!("webhook {place}: listen on 127.0.0.1 or [::1], and let a web server pass on what is from elsewhere");
        }
        Ok(Self::Tcp(TcpListener::bind(address).await.with_context(|| format!("cannot listen on {place}"))?))
    }

    /// Hears requests, and tells of each.
    pub async fn serve(self, told: Arc<Notify>) {
        let places = Arc::new(Semaphore::new(CALLERS));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let stream: std::io::Result<Box<dyn Stream>> = match &self {
                Self::Unix(listener) => listener.accept().await.map(|(stream, _)| Box::new(stream) as Box<dyn Stream>),
                Self::Tcp(listener) => listener.accept().await.map(|(stream, _)| Box::new(stream) as Box<dyn Stream>),
            };
            let Ok(stream) = stream else {
                // Out of descriptors, for one.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let told = Arc::clone(&told);
            tokio::spawn(async move {
                // Who leaves early or says nothing has no answer.
                let _ = tokio::time::timeout(PATIENCE, answer(stream, &told)).await;
                drop(place);
            });
        }
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, told: &Notify) -> std::io::Result<()> {
    let (mut head, mut block) = (Vec::new(), [0; 4096]);
    let end = loop {
        if let Some(end) = head.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        match stream.read(&mut block).await? {
            0 => return Ok(()),
            _ if head.len() > HEAD => return reply(&mut stream, "431 Request Header Fields Too Large").await,
            count => head.extend_from_slice(&block[..count]),
        }
    };
    if !head.starts_with(b"POST ") {
        return reply(&mut stream, "405 Method Not Allowed").await;
    }
    told.notify_one();
    // The rest is read, so that the other side can finish, and forgotten.
    let length = length(&head[..end]).min(BODY);
    let left = length.saturating_sub((head.len() - end) as u64);
    tokio::io::copy(&mut (&mut stream).take(left), &mut tokio::io::sink()).await?;
    reply(&mut stream, "202 Accepted").await
}

async fn reply(stream: &mut (impl AsyncWrite + Unpin), status: &str) -> std::io::Result<()> {
    let text = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await
}

fn length(head: &[u8]) -> u64 {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let value = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    value.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn said(request: &str) -> (String, bool) {
        let (mut here, there) = tokio::io::duplex(1 << 16);
        let told = Notify::new();
        let ask = async {
            here.write_all(request.as_bytes()).await.unwrap();
            here.shutdown().await.unwrap();
            let mut reply = String::new();
            here.read_to_string(&mut reply).await.unwrap();
            reply
        };
        let (reply, answered) = tokio::join!(ask, answer(there, &told));
        let _ = answered;
        let was_told = tokio::time::timeout(Duration::ZERO, told.notified()).await.is_ok();
        (reply.lines().next().unwrap_or_default().to_owned(), was_told)
    }

    #[tokio::test]
    async fn only_a_post_is_heard() {
        let long = format!("POST / HTTP/1.1\r\nx: {}", "x".repeat(40 << 10));
        for (request, reply, is_told) in [
            ("POST /hook HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 202 Accepted", true),
            ("POST / HTTP/1.1\r\n\r\n", "HTTP/1.1 202 Accepted", true),
            ("GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 405 Method Not Allowed", false),
            ("\r\n\r\n", "HTTP/1.1 405 Method Not Allowed", false),
            ("POST / HTTP/1.1\r\n", "", false),
            (&long, "HTTP/1.1 431 Request Header Fields Too Large", false),
        ] {
            assert_eq!(said(request).await, (reply.to_owned(), is_told), "{request:.40}");
        }
    }

    #[tokio::test]
    async fn only_this_machine_is_listened_to() {
        for place in ["0.0.0.0:0", "192.0.2.1:80", "nonsense", ""] {
            assert!(Webhook::listen(place).await.is_err(), "{place}");
        }
        assert!(Webhook::listen("127.0.0.1:0").await.is_ok());
    }
}
