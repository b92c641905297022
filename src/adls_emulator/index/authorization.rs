//! What authorization keeps: roles of identities, access policies of filesystems, and settings of the whole emulator.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::writer::Writing;
use crate::authorization::{Identity, Role};
use crate::service_error::ServiceError;

/// Whose tokens are taken.
pub(crate) const TOKEN_ISSUERS: &str = "token issuers";
/// What user delegation keys are computed with.
pub(crate) const DELEGATION_SECRET: &str = "delegation secret";

pub(crate) fn setting(connection: &Connection, name: &str) -> Result<Option<Vec<u8>>, ServiceError> {
    let mut statement = connection.prepare_cached("SELECT value FROM settings WHERE name = ?1")?;
    Ok(statement.query_row([name], |row| row.get(0)).optional()?)
}

pub(crate) fn save_setting(writing: &mut Writing<'_>, name: &str, value: &[u8]) -> Result<(), ServiceError> {
    writing
        .connection
        .prepare_cached("INSERT OR REPLACE INTO settings (name, value) VALUES (?1, ?2)")?
        .execute(params![name, value])?;
    Ok(())
}

/// The most that the identity has by itself or by one of its groups.
pub(crate) fn role_of(
    connection: &Connection,
    account: &str,
    identity: &Identity,
) -> Result<Option<Role>, ServiceError> {
    let mut statement =
        connection.prepare_cached("SELECT role FROM roles WHERE account = ?1 AND principal = ?2")?;
    let mut most = None;
    for principal in identity.principals() {
        let found: Option<String> =
            statement.query_row(params![account, principal.to_lowercase()], |row| row.get(0)).optional()?;
        most = most.max(found.and_then(|role| Role::parse(&role)));
    }
    Ok(most)
}

/// By principal.
pub(crate) fn roles(connection: &Connection, account: &str) -> Result<Vec<(String, Role)>, ServiceError> {
    let mut statement = connection
        .prepare_cached("SELECT principal, role FROM roles WHERE account = ?1 ORDER BY principal")?;
    let rows = statement.query_map([account], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
    let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(rows.into_iter().filter_map(|(principal, role)| Some((principal, Role::parse(&role)?))).collect())
}

/// Replaces all roles of the account.
pub(crate) fn save_roles(
    writing: &mut Writing<'_>,
    account: &str,
    roles: &[(String, Role)],
) -> Result<(), ServiceError> {
    forget_roles(writing, account)?;
    let mut statement = writing
        .connection
        .prepare_cached("INSERT OR REPLACE INTO roles (account, principal, role) VALUES (?1, ?2, ?3)")?;
    for (principal, role) in roles {
        statement.execute(params![account, principal.to_lowercase(), role.as_str()])?;
    }
    Ok(())
}

pub(super) fn forget_roles(writing: &mut Writing<'_>, account: &str) -> Result<(), ServiceError> {
    writing.connection.prepare_cached("DELETE FROM roles WHERE account = ?1")?.execute([account])?;
    Ok(())
}

/// In the form of `Policies::to_text`; empty when none were set.
pub(crate) fn policies(connection: &Connection, root: i64) -> Result<String, ServiceError> {
    let mut statement = connection.prepare_cached("SELECT policies FROM policies WHERE root = ?1")?;
    Ok(statement.query_row([root], |row| row.get(0)).optional()?.unwrap_or_default())
}

pub(crate) fn save_policies(writing: &mut Writing<'_>, root: i64, text: &str) -> Result<(), ServiceError> {
    writing
        .connection
        .prepare_cached("INSERT OR REPLACE INTO policies (root, policies) VALUES (?1, ?2)")?
        .execute(params![root, text])?;
    Ok(())
}

pub(super) fn forget_policies(connection: &Connection, root: i64) -> Result<(), ServiceError> {
    connection.prepare_cached("DELETE FROM policies WHERE root = ?1")?.execute([root])?;
    Ok(())
}
