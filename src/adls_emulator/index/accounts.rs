//! Storage accounts and their keys.

use rusqlite::{Connection, params};

use super::authorization;
use super::filesystems::{delete_filesystem, filesystems_after};
use super::service_properties::forget_service_properties;
use super::writer::Writing;
use crate::account::Account;
use crate::service_error::ServiceError;

pub(crate) fn all_accounts(connection: &Connection) -> Result<Vec<Account>, ServiceError> {
    let mut statement = connection.prepare("SELECT name, kind, hierarchical, key1, key2 FROM accounts")?;
    let rows = statement.query_map([], |row| {
        Ok(Account {
            name: row.get(0)?,
            kind: row.get(1)?,
            hierarchical_namespace: row.get(2)?,
            keys: [row.get(3)?, row.get(4)?],
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(crate) fn save_account(writing: &mut Writing<'_>, account: &Account) -> Result<(), ServiceError> {
    let [key1, key2] = &account.keys;
    writing
        .connection
        .prepare_cached(
            "INSERT OR REPLACE INTO accounts (name, kind, hierarchical, key1, key2) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![account.name, account.kind, account.hierarchical_namespace, key1, key2])?;
    Ok(())
}

/// Removes the account and detaches all of its filesystems.
pub(crate) fn forget_account(writing: &mut Writing<'_>, name: &str) -> Result<(), ServiceError> {
    for filesystem in filesystems_after(writing.connection, name, "", "", usize::MAX)? {
        delete_filesystem(writing, name, &filesystem)?;
    }
    authorization::forget_roles(writing, name)?;
    forget_service_properties(writing.connection, name)?;
    writing.connection.prepare_cached("DELETE FROM accounts WHERE name = ?1")?.execute([name])?;
    Ok(())
}
