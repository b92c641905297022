//! One file or directory as the index knows it.

use rusqlite::Row;

use crate::lease::Lease;
use crate::permissions::{AccessControl, Acl};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NodeKind {
    File,
    Directory,
}

impl NodeKind {
    pub(crate) fn is_directory(self) -> bool {
        self == Self::Directory
    }

    /// The value of `x-ms-resource-type`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Directory => "directory",
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub id: i64,
    pub name: String,
    pub kind: NodeKind,
    /// Committed bytes; what readers see.
    pub length: u64,
    pub etag: i64,
    pub modified_ms: i64,
    pub created_ms: i64,
    pub owner: String,
    pub group: String,
    pub access: AccessControl,
    /// In the form of `UserProperties::to_text`.
    pub properties: String,
    /// In the form of `ContentSettings::to_text`; empty when none was set.
    pub settings: String,
    pub lease: Lease,
    /// From then on the file counts as deleted.
    pub expires_ms: Option<i64>,
    pub encryption_context: Option<String>,
}

pub(super) const COLUMNS: &str = "id, name, is_directory, length, etag, modified_ms, created_ms, owner, \
     owning_group, mode, acl, properties, settings, lease, expires_ms, encryption_context";

impl Node {
    pub(super) fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let kind = if row.get(2)? { NodeKind::Directory } else { NodeKind::File };
        let acl: Option<String> = row.get(10)?;
        // Stored lists were valid when they were written; an unreadable one would grant nothing beyond the mode.
        let extended = acl.and_then(|text| Acl::parse(&text, kind.is_directory()).ok());
        Ok(Self {
            id: row.get(0)?,
            name: row.get(1)?,
            kind,
            length: row.get::<_, i64>(3)?.unsigned_abs(),
            etag: row.get(4)?,
            modified_ms: row.get(5)?,
            created_ms: row.get(6)?,
            owner: row.get(7)?,
            group: row.get(8)?,
            access: AccessControl { mode: row.get(9)?, extended },
            properties: row.get(11)?,
            settings: row.get(12)?,
            lease: Lease::stored(row.get_ref(13)?.as_str_or_null()?),
            expires_ms: row.get(14)?,
            encryption_context: row.get(15)?,
        })
    }

    pub(crate) fn is_expired(&self, now_ms: i64) -> bool {
        self.expires_ms.is_some_and(|at| at <= now_ms)
    }

    pub(crate) fn etag_text(&self) -> String {
        etag_text(self.etag)
    }
}

/// `0x8DE2A…`, without the quotes that headers put around it.
pub(crate) fn etag_text(etag: i64) -> String {
    format!("0x{etag:X}")
}
