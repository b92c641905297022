//! The few NameNode calls that a migration's source needs, each tried again within a budget.

use std::sync::Arc;

use livedata_filesystem::{Error, Result};
use prost::Message;
use tokio::sync::Mutex;
use tokio::time::timeout_at;
use uuid::Uuid;

use crate::error::RpcError;
use crate::proto::{
    DirectoryListing, FileStatus, GetListingRequest, GetListingResponse, GetLocatedFileInfoRequest,
    GetLocatedFileInfoResponse,
};
use crate::retry::{Attempts, RetryBudget};
use crate::rpc::{Connection, Limits};

#[derive(Debug)]
pub struct NameNode {
    /// `host:port`.
    address: String,
    user: String,
    limits: Limits,
    budget: RetryBudget,
    /// Held while connecting, so that many callers make one connection.
    connection: Mutex<Option<Arc<Connection>>>,
}

impl NameNode {
    pub fn new(address: String, user: String) -> Self {
        Self {
            address,
            user,
            limits: Limits::default(),
            budget: RetryBudget::default(),
            connection: Mutex::new(None),
        }
    }

    /// What is at a path, with its blocks; `None` if there is nothing. `Gone` if the path starts with the id of an
    /// inode that does not exist. (`getLocatedFileInfo`, of Hadoop 3.)
    pub async fn located_status(&self, path: &str) -> Result<Option<FileStatus>> {
        let request =
            GetLocatedFileInfoRequest { source: Some(path.to_owned()), need_block_token: Some(false) };
        let answer: GetLocatedFileInfoResponse =
            self.call("look up", path, "getLocatedFileInfo", &request).await?;
        Ok(answer.status)
    }

    /// One page of a directory, with the blocks of its files, beginning after a name; `None` if it does not exist.
    pub async fn listing(&self, path: &str, start_after: Vec<u8>) -> Result<Option<DirectoryListing>> {
        let request = GetListingRequest { source: path.to_owned(), start_after, need_location: true };
        let answer: GetListingResponse = self.call("list", path, "getListing", &request).await?;
        Ok(answer.listing)
    }

    async fn call<Answer: Message + Default>(
        &self,
        operation: &'static str,
        path: &str,
        method: &str,
        request: &impl Message,
    ) -> Result<Answer> {
        let mut attempts = Attempts::begin(self.budget);
        loop {
            attempts.made += 1;
            let once = timeout_at(attempts.deadline(), self.call_once(method, request));
            let error = match once
                .await
                .unwrap_or(Err(RpcError::TimedOut { seconds: self.budget.elapsed.as_secs() }))
            {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if !error.kind().is_retryable() {
                return Err(error.about(operation, path));
            }
            let Some(pause) = attempts.next_pause() else {
                let spent =
                    format!("{error} ({} tries in {} s)", attempts.made, attempts.elapsed().as_secs());
                return Err(Error::new(error.kind(), operation, path, spent));
            };
            tracing::debug!(%error, path, pause_ms = pause.as_millis(), "NameNode call failed, trying again");
            tokio::time::sleep(pause).await;
        }
    }

    async fn call_once<Answer: Message + Default>(
        &self,
        method: &str,
        request: &impl Message,
    ) -> std::result::Result<Answer, RpcError> {
        let connection = self.connection().await?;
        let outcome = connection.call(method, request).await;
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
