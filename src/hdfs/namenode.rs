//! The few NameNode calls that a migration's source needs, each tried again within a budget: about files ([`files`]), about
//! what they have besides ([`extras`]), about the edit log ([`edits`]).

mod edits;
mod extras;
mod files;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use livedata_filesystem::{Error, ErrorKind, Result};
use prost::Message;
use tokio::sync::Mutex;
use tokio::time::timeout_at;
use url::Url;
use uuid::Uuid;

use crate::error::RpcError;
use crate::retry::{Attempts, RetryBudget};
use crate::rpc::{Connection, Limits, Protocol};

const DEFAULT_RPC_PORT: u16 = 8020;

#[derive(Debug)]
pub struct NameNode {
    /// `host:port`.
    address: String,
    user: String,
    limits: Limits,
    budget: RetryBudget,
    /// Held while connecting, so that many callers make one connection.
    connection: Mutex<Option<Arc<Connection>>>,
    /// How many were made.
    connections: AtomicU64,
    /// The server at the other end of the connection is Hadoop 2, which does not know `getLocatedFileInfo`.
    lacks_located_status: AtomicBool,
}

impl NameNode {
    /// `uri` is `hdfs://host[:port]`; connects at the first call.
    pub fn from_uri(uri: &Url, user: &str) -> Result<Self> {
        let refused = |reason: &str| Error::new(ErrorKind::Fatal, "connect to", uri.as_str(), reason);
        if uri.scheme() != "hdfs" {
            return Err(refused("the scheme must be `hdfs`, as in hdfs://namenode.example.com:8020"));
        }
        let host =
            uri.host_str().filter(|host| !host.is_empty()).ok_or_else(|| refused("it names no host"))?;
        if user.is_empty() {
            return Err(refused("a user name is needed"));
        }
        let address = format!("{host}:{}", uri.port().unwrap_or(DEFAULT_RPC_PORT));
        Ok(Self::new(address, user.to_owned(), RetryBudget::default()))
    }

    pub fn new(address: String, user: String, budget: RetryBudget) -> Self {
        Self {
            address,
            user,
            limits: Limits::default(),
            budget,
            connection: Mutex::new(None),
            connections: AtomicU64::new(0),
            lacks_located_status: AtomicBool::new(false),
        }
    }

    /// `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Grows with each new connection: at its other end may be another server.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    pub fn user(&self) -> &str {
        &self.user
    }

    async fn call<Answer: Message + Default>(
        &self,
        operation: &'static str,
        path: &str,
        method: &str,
        request: &impl Message,
    ) -> Result<Answer> {
        self.ask(method, request).await.map_err(|failure| failure.about(operation, path))
    }

    async fn ask<Answer: Message + Default>(
        &self,
        method: &str,
        request: &impl Message,
    ) -> std::result::Result<Answer, Failure> {
        self.ask_in(Protocol::Client, method, request).await
    }

    async fn ask_in<Answer: Message + Default>(
        &self,
        protocol: Protocol,
        method: &str,
        request: &impl Message,
    ) -> std::result::Result<Answer, Failure> {
        let mut attempts = Attempts::begin(self.budget);
        loop {
            attempts.made += 1;
            let once = timeout_at(attempts.deadline(), self.call_once(protocol, method, request));
            let error = match once
                .await
                .unwrap_or(Err(RpcError::TimedOut { seconds: self.budget.elapsed.as_secs() }))
            {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if !error.kind().is_retryable() {
                return Err(Failure { error, spent: None });
            }
            let Some(pause) = attempts.next_pause() else {
                return Err(Failure { error, spent: Some((attempts.made, attempts.elapsed())) });
            };
            tracing::debug!(%error, method, pause_ms = pause.as_millis(), "NameNode call failed, trying again");
            tokio::time::sleep(pause).await;
        }
    }

    async fn call_once<Answer: Message + Default>(
        &self,
        protocol: Protocol,
        method: &str,
        request: &impl Message,
    ) -> std::result::Result<Answer, RpcError> {
        let connection = self.connection().await?;
        let outcome = connection.call(protocol, method, request).await;
        if matches!(outcome, Err(RpcError::TimedOut { .. })) {
            self.forget(&connection).await;
        }
        Answer::decode(outcome?)
            .map_err(|error| RpcError::Malformed(format!("the answer to {method} cannot be read: {error}")))
    }

    async fn connection(&self) -> std::result::Result<Arc<Connection>, RpcError> {
        let mut current = self.connection.lock().await;
        if let Some(connection) = current.as_ref().filter(|connection| connection.is_open()) {
            return Ok(connection.clone());
        }
        let client = Uuid::new_v4().into_bytes();
        let connection = Arc::new(Connection::open(&self.address, client, &self.user, self.limits).await?);
        *current = Some(connection.clone());
        self.connections.fetch_add(1, Ordering::Relaxed);
        // It may have been upgraded meanwhile.
        self.lacks_located_status.store(false, Ordering::Relaxed);
        Ok(connection)
    }

    /// The path of a connection that does not answer may be broken: the next call takes a new one.
    async fn forget(&self, connection: &Arc<Connection>) {
        let mut current = self.connection.lock().await;
        if current.as_ref().is_some_and(|held| Arc::ptr_eq(held, connection)) {
            *current = None;
        }
    }
}

/// The last error of a call, and what its budget was spent on if that is why it is the last.
#[derive(Debug)]
struct Failure {
    error: RpcError,
    spent: Option<(u32, Duration)>,
}

impl Failure {
    fn about(self, operation: &'static str, subject: &str) -> Error {
        Error::new(self.error.kind(), operation, subject, self.message())
    }

    fn message(&self) -> String {
        match self.spent {
            Some((tries, elapsed)) => format!("{} ({tries} tries in {} s)", self.error, elapsed.as_secs()),
            None => self.error.to_string(),
        }
    }
}
