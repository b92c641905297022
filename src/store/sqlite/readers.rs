//! Connections that only read.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use rusqlite::Connection;

use super::{File, failed};
use crate::Result;

/// Reads are short and served from the page cache: more readers than this only compete for the processor.
const READERS: usize = 4;

#[derive(Debug)]
pub struct Readers {
    connections: [Mutex<Connection>; READERS],
    /// Whom the next one who finds all of them busy waits for.
    turn: AtomicUsize,
}

impl Readers {
    pub fn open(file: &File) -> rusqlite::Result<Self> {
        let connect = || -> rusqlite::Result<_> {
            let connection = file.connect()?;
            connection.pragma_update(None, "query_only", "on")?;
            Ok(Mutex::new(connection))
        };
        Ok(Self { connections: [connect()?, connect()?, connect()?, connect()?], turn: AtomicUsize::new(0) })
    }

    pub fn with<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        read(&self.free()).map_err(|error| failed(&error))
    }

    /// A reader that panicked has left nothing behind on its connection: a statement ends with its use.
    fn free(&self) -> MutexGuard<'_, Connection> {
        for connection in &self.connections {
            match connection.try_lock() {
                Ok(free) => return free,
                Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % READERS;
        let [first, ..] = &self.connections;
        self.connections.get(turn).unwrap_or(first).lock().unwrap_or_else(PoisonError::into_inner)
    }
}
