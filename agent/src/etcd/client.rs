//! The client of etcd: members, calls and streams. gRPC by tonic, TLS by rustls.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use http::uri::PathAndQuery;
use prost::Message;
use tokio::sync::{RwLock, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::client::Grpc;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Status, Streaming};

use super::codec::{LIMIT, Protobuf};
use super::error::Error;
use super::message::{
    AuthenticateRequest, AuthenticateResponse, CompactionRequest, CompactionResponse, KeyValue, LeaseGrantRequest,
    LeaseGrantResponse, LeaseKeepAliveRequest, LeaseKeepAliveResponse, LeaseRevokeRequest, LeaseRevokeResponse,
    RangeRequest, RangeResponse, TxnRequest, TxnResponse, WatchCreateRequest, WatchRequest, WatchResponse, WatchUnion,
};
use crate::config;

/// How long a member has for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a member has to be there.
const CONNECT: Duration = Duration::from_secs(2);
/// How often a silent connection is tried. etcd hangs up on who does it more often than every 5 s
/// (`--grpc-keepalive-min-time`).
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// The members of an etcd.
#[derive(Clone, Debug)]
pub struct Client {
    members: Arc<[Member]>,
    at: Arc<AtomicUsize>,
}

/// One member.
#[derive(Clone, Debug)]
pub struct Member {
    endpoint: String,
    channel: Channel,
    login: Option<Arc<Login>>,
}

struct Login {
    name: String,
    password: String,
    token: RwLock<Option<MetadataValue<Ascii>>>,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The events of some ranges. They end with the stream.
#[derive(Debug)]
pub struct Watch {
    answers: Streaming<WatchResponse>,
    /// The stream is open for as long as there may be another request.
    _requests: mpsc::Sender<WatchRequest>,
}

/// A lease that is kept.
#[derive(Debug)]
pub struct KeptLease {
    answers: Streaming<LeaseKeepAliveResponse>,
    requests: mpsc::Sender<LeaseKeepAliveRequest>,
    id: i64,
}

/// Where a range ends that has everything that begins with `prefix`.
#[must_use]
pub fn end_of(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    vec![0]
}

impl Client {
    /// Reads what it needs; connects when it is asked for something. Clients with different seeds begin with different
    /// members.
    pub fn new(config: &config::Etcd, seed: &str) -> anyhow::Result<Self> {
        if config.endpoints.is_empty() {
            bail!("no endpoint of etcd is named");
        }
        let read = |path: &camino::Utf8PathBuf| std::fs::read(path).with_context(|| format!("cannot read {path}"));
        let text = |path: &camino::Utf8PathBuf| -> anyhow::Result<String> {
            Ok(String::from_utf8(read(path)?)?.trim_end_matches('\n').to_owned())
        };
        let mut tls = ClientTlsConfig::new();
        if let Some(path) = &config.certificate_authority {
            tls = tls.ca_certificate(Certificate::from_pem(read(path)?));
        }
        match (&config.certificate, &config.key) {
            (Some(certificate), Some(key)) => tls = tls.identity(Identity::from_pem(read(certificate)?, read(key)?)),
            (None, None) => {}
            _ => bail!("a client certificate needs both `certificate` and `key`"),
        }
        let login = match (&config.user_file, &config.password_file) {
            (Some(user), Some(password)) => {
                Some(Arc::new(Login { name: text(user)?, password: text(password)?, token: RwLock::new(None) }))
            }
            (None, None) => None,
            _ => bail!("a user of etcd needs both `userFile` and `passwordFile`"),
        };
        let members = config.endpoints.iter().map(|endpoint| {
            let is_tls = endpoint.starts_with("https://");
            if !is_tls && config.certificate_authority.is_some() {
                bail!("{endpoint} is not https, and a certificate authority is named");
            }
            if is_tls && config.certificate_authority.is_none() {
                bail!("{endpoint} is https, and no certificate authority is named");
            }
            let mut channel = Endpoint::from_shared(endpoint.clone())
                .with_context(|| format!("{endpoint:?} is no URL"))?
                .connect_timeout(CONNECT)
                .http2_keep_alive_interval(KEEP_ALIVE)
                .keep_alive_timeout(PATIENCE)
                .keep_alive_while_idle(true)
                .tcp_nodelay(true);
            if is_tls {
                channel = channel.tls_config(tls.clone()).context("cannot use the certificates")?;
            }
            Ok(Member { endpoint: endpoint.clone(), channel: channel.connect_lazy(), login: login.clone() })
        });
        let members: Vec<Member> = members.collect::<anyhow::Result<_>>()?;
        let mut hasher = DefaultHasher::new();
        seed.hash(&mut hasher);
        let at = usize::try_from(hasher.finish() >> 33).unwrap_or_default() % members.len();
        Ok(Self { members: members.into(), at: Arc::new(AtomicUsize::new(at)) })
    }

    /// The same members, and a choice of its own.
    #[must_use]
    pub fn another(&self) -> Self {
        let at = self.at.load(Ordering::Relaxed);
        Self { members: self.members.clone(), at: Arc::new(AtomicUsize::new(at)) }
    }

    /// The member that is used now.
    #[must_use]
    pub fn member(&self) -> &Member {
        &self.members[self.at.load(Ordering::Relaxed) % self.members.len()]
    }

    /// Uses another member from now on.
    pub fn next(&self) {
        self.at.fetch_add(1, Ordering::Relaxed);
    }

    /// How many members are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are none; there always are.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Calls a method, of one member after the other until one answers. What is asked more than once has to be
    /// harmless: a comparison sees to that.
    async fn call<Q, A>(&self, method: &'static str, request: Q) -> Result<A, Error>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        let mut tried = 0;
        loop {
            match self.member().call(method, request.clone()).await {
                Err(error @ Error::Unreachable(_)) => {
                    self.next();
                    tried += 1;
                    if tried >= self.members.len() {
                        return Err(error);
                    }
                }
                done => return done,
            }
        }
    }

    /// Reads a range, as all members together know it.
    pub async fn range(&self, request: RangeRequest) -> Result<RangeResponse, Error> {
        self.call("/etcdserverpb.KV/Range", request).await
    }

    /// All keys that begin with `prefix`.
    pub async fn all(&self, prefix: &str) -> Result<RangeResponse, Error> {
        let key = prefix.as_bytes().to_vec();
        self.range(RangeRequest { range_end: end_of(&key), key, ..RangeRequest::default() }).await
    }

    /// One key.
    pub async fn get(&self, key: &str) -> Result<Option<KeyValue>, Error> {
        let key = key.as_bytes().to_vec();
        Ok(self.range(RangeRequest { key, ..RangeRequest::default() }).await?.kvs.pop())
    }

    /// A transaction.
    pub async fn transaction(&self, request: TxnRequest) -> Result<TxnResponse, Error> {
        self.call("/etcdserverpb.KV/Txn", request).await
    }

    /// Begins a lease.
    pub async fn grant(&self, seconds: i64) -> Result<i64, Error> {
        let request = LeaseGrantRequest { ttl: seconds, id: 0 };
        let answer: LeaseGrantResponse = self.call("/etcdserverpb.Lease/LeaseGrant", request).await?;
        if answer.error.is_empty() { Ok(answer.id) } else { Err(Error::Other(answer.error)) }
    }

    /// Ends a lease, and what is under it.
    pub async fn revoke(&self, id: i64) -> Result<(), Error> {
        let _: LeaseRevokeResponse = self.call("/etcdserverpb.Lease/LeaseRevoke", LeaseRevokeRequest { id }).await?;
        Ok(())
    }

    /// Forgets what was before a revision.
    pub async fn compact(&self, revision: i64) -> Result<(), Error> {
        let request = CompactionRequest { revision, physical: true };
        let _: CompactionResponse = self.call("/etcdserverpb.KV/Compact", request).await?;
        Ok(())
    }
}

impl Member {
    /// Its URL.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    async fn token(&self) -> Result<Option<MetadataValue<Ascii>>, Error> {
        let Some(login) = &self.login else { return Ok(None) };
        if let Some(token) = login.token.read().await.clone() {
            return Ok(Some(token));
        }
        let mut kept = login.token.write().await;
        if let Some(token) = kept.clone() {
            return Ok(Some(token));
        }
        let request = AuthenticateRequest { name: login.name.clone(), password: login.password.clone() };
        let answer: AuthenticateResponse =
            self.unary("/etcdserverpb.Auth/Authenticate", request, None).await.map_err(Error::from)?;
        let token: MetadataValue<Ascii> =
            answer.token.parse().map_err(|_| Error::Other("it gives a token that is no text".to_owned()))?;
        *kept = Some(token.clone());
        Ok(Some(token))
    }

    /// Whether another token may help; the old one is forgotten.
    async fn forgets(&self, status: &Status) -> bool {
        // A token ends with time, and with the member that gave it.
        let ended = ["invalid auth token", "auth revision"].iter().any(|word| status.message().contains(word));
        if let (true, Some(login)) = (ended, &self.login) {
            *login.token.write().await = None;
            return true;
        }
        false
    }

    async fn unary<Q, A>(
        &self,
        method: &'static str,
        message: Q,
        token: Option<MetadataValue<Ascii>>,
    ) -> Result<A, Status>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let mut grpc = Grpc::new(self.channel.clone()).max_decoding_message_size(LIMIT);
        let call = async {
            grpc.ready().await.map_err(|error| Status::from_error(Box::new(error)))?;
            let mut request = Request::new(message);
            if let Some(token) = token {
                request.metadata_mut().insert("token", token);
            }
            grpc.unary(request, PathAndQuery::from_static(method), Protobuf::<Q, A>::default()).await
        };
        match tokio::time::timeout(PATIENCE, call).await {
            Ok(answer) => Ok(answer?.into_inner()),
            Err(_) => Err(Status::deadline_exceeded(format!("{} does not answer", self.endpoint))),
        }
    }

    async fn call<Q, A>(&self, method: &'static str, message: Q) -> Result<A, Error>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        let token = self.token().await?;
        match self.unary(method, message.clone(), token).await {
            Err(status) if self.forgets(&status).await => {
                let token = self.token().await?;
                Ok(self.unary(method, message, token).await?)
            }
            done => Ok(done?),
        }
    }

    /// Reads ranges as they were at one revision; `serializable` is what this member knows alone.
    pub async fn read(&self, request: TxnRequest) -> Result<TxnResponse, Error> {
        self.call("/etcdserverpb.KV/Txn", request).await
    }

    async fn stream<Q, A>(&self, method: &'static str, first: Vec<Q>) -> Result<(mpsc::Sender<Q>, Streaming<A>), Error>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let (requests, receiver) = mpsc::channel(first.len().max(4));
        for request in first {
            // There is room for all of them.
            let _ = requests.try_send(request);
        }
        let token = self.token().await?;
        let mut grpc = Grpc::new(self.channel.clone()).max_decoding_message_size(LIMIT);
        let call = async {
            grpc.ready().await.map_err(|error| Status::from_error(Box::new(error)))?;
            let mut request = Request::new(ReceiverStream::new(receiver));
            if let Some(token) = token {
                request.metadata_mut().insert("token", token);
            }
            // A member that has lost the others ends the stream, instead of being silent on it.
            request.metadata_mut().insert("hasleader", MetadataValue::from_static("true"));
            grpc.streaming(request, PathAndQuery::from_static(method), Protobuf::<Q, A>::default()).await
        };
        match tokio::time::timeout(PATIENCE, call).await {
            Ok(Ok(answers)) => Ok((requests, answers.into_inner())),
            Ok(Err(status)) => {
                self.forgets(&status).await;
                Err(status.into())
            }
            Err(_) => Err(Error::Unreachable(format!("{} does not answer", self.endpoint))),
        }
    }

    /// Watches the ranges of some prefixes from a revision on. All of them are watched when this is back.
    pub async fn watch(&self, prefixes: &[String], from: i64) -> Result<Watch, Error> {
        let creates = prefixes.iter().map(|prefix| {
            let key = prefix.as_bytes().to_vec();
            let create = WatchCreateRequest { range_end: end_of(&key), key, start_revision: from };
            WatchRequest { request_union: Some(WatchUnion::Create(create)) }
        });
        let (requests, answers) = self.stream("/etcdserverpb.Watch/Watch", creates.collect()).await?;
        Ok(Watch { answers, _requests: requests })
    }

    /// Keeps a lease.
    pub async fn keep(&self, id: i64) -> Result<KeptLease, Error> {
        let first = vec![LeaseKeepAliveRequest { id }];
        let (requests, answers) = self.stream("/etcdserverpb.Lease/LeaseKeepAlive", first).await?;
        Ok(KeptLease { answers, requests, id })
    }
}

impl Watch {
    /// The next answer with an event; its revision.
    pub async fn changed(&mut self) -> Result<i64, Error> {
        loop {
            let answer = self.answers.message().await?;
            let Some(answer) = answer else { return Err(Error::Unreachable("it ended the watch".to_owned())) };
            if answer.compact_revision > 0 {
                return Err(Error::Compacted(answer.compact_revision));
            }
            if answer.canceled {
                let reason = answer.cancel_reason.trim_start_matches("etcdserver: ").to_owned();
                return Err(if reason.contains("permission denied") {
                    Error::Denied(reason)
                } else {
                    Error::Unreachable(format!("it ended the watch: {reason}"))
                });
            }
            let newest = answer.events.iter().filter_map(|event| Some(event.kv.as_ref()?.mod_revision)).max();
            if let Some(revision) = newest {
                return Ok(revision);
            }
        }
    }
}

impl KeptLease {
    /// Waits for the answer to the last request: the seconds that the lease has. `None`: it is over.
    pub async fn answer(&mut self) -> Result<Option<u64>, Error> {
        let answer = tokio::time::timeout(PATIENCE, self.answers.message()).await;
        let answer = answer.map_err(|_| Error::Unreachable("it does not answer".to_owned()))??;
        let Some(answer) = answer else { return Err(Error::Unreachable("it ended the lease's stream".to_owned())) };
        Ok(u64::try_from(answer.ttl).ok().filter(|left| *left > 0))
    }

    /// Asks for another while.
    pub async fn renew(&mut self) -> Result<Option<u64>, Error> {
        let ask = LeaseKeepAliveRequest { id: self.id };
        self.requests.send(ask).await.map_err(|_| Error::Unreachable("the lease's stream ended".to_owned()))?;
        self.answer().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_has_an_end() {
        assert_eq!(end_of(b"/a/"), b"/a0");
        assert_eq!(end_of(&[1, 255, 255]), [2]);
        assert_eq!(end_of(&[255]), [0]);
    }
}
