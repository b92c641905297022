//! What may be wrong with a database file of the agent, and what to tell the operator of it.

use std::path::Path;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("it has schema version {found}, this agent knows {known}")]
    Version { found: i64, known: i64 },
    #[error("its integrity check says '{0}'")]
    Damaged(String),
    #[error("its folder cannot be made")]
    Folder(#[source] std::io::Error),
    #[error("it cannot be read or written")]
    Database(#[from] rusqlite::Error),
}

impl Error {
    /// The disk is full: nothing is lost, and work goes on when there is room.
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::Database(error) => error.sqlite_error().is_some_and(|error| {
                error.code == rusqlite::ErrorCode::DiskFull
                    // The memory shared by the readers of a write-ahead log does not fit any more.
                    || error.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE
            }),
            Self::Folder(error) => {
                matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
            }
            Self::Version { .. } | Self::Damaged(_) => false,
        }
    }

    fn is_damage(&self) -> bool {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        match self {
            Self::Damaged(_) => true,
            Self::Database(error) => {
                error.sqlite_error_code().is_some_and(|code| matches!(code, DatabaseCorrupt | NotADatabase))
            }
            Self::Version { .. } | Self::Folder(_) => false,
        }
    }

    /// What is wrong with which file, what to do, and what follows from that. `what`: what the file is, in a few words;
    /// `without`: what happens when it is moved away, as a clause.
    pub fn told(&self, what: &str, path: &Path, without: &str) -> String {
        let path = path.display();
        let causes = std::iter::successors(Some(self as &dyn std::error::Error), |error| error.source());
        let why = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
        if self.is_disk_full() {
            return format!(
                "There is no room on the agent's disk for {what}, {path}: {why}. Make room; nothing is lost, and work goes on by \
                 itself."
            );
        }
        if self.is_damage() {
            return format!("{path}, {what}, is damaged: {why}. Move it away; {without}.");
        }
        if let Self::Version { .. } = self {
            return format!(
                "{path}, {what}, is of another version of the agent: {why}. Run that version, or move the file away; {without}."
            );
        }
        format!(
            "{path}, {what}, cannot be used: {why}. See whether its folder is there and belongs to the agent's user, and whether \
             the disk works; it is tried again by itself. If it stays so, move the file away; {without}."
        )
    }
}
