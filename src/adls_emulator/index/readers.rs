//! A small set of read connections. As many exist as queries ever ran at once, up to what the blocking pools allow.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rusqlite::Connection;

use super::schema;
use crate::service_error::ServiceError;

/// Connections kept for the next query; more are opened for a burst and closed after it.
const KEPT: usize = 8;

pub(super) struct Readers {
    path: PathBuf,
    /// `None` once closed.
    idle: Mutex<Option<Vec<Connection>>>,
}

impl Readers {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), idle: Mutex::new(Some(Vec::new())) }
    }

    pub(super) fn run<T>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        let kept = match self.idle.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Some(idle) => idle.pop(),
            None => return Err(ServiceError::stopping()),
        };
        let mut connection = match kept {
            Some(connection) => connection,
            None => schema::open(&self.path)?,
        };
        // One transaction, so that a query of several statements sees one state.
        let transaction = connection.transaction()?;
        let answer = query(&transaction);
        drop(transaction);
        if let Some(idle) = self.idle.lock().unwrap_or_else(PoisonError::into_inner).as_mut()
            && idle.len() < KEPT
        {
            idle.push(connection);
        }
        answer
    }

    pub(super) fn close(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}
