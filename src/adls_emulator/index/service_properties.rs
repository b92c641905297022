//! The properties of an account's Blob service: as XML sections that are told again, and for how many days deleted paths are
//! kept, which is the one that acts.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::writer::Writing;
use crate::service_error::ServiceError;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ServiceProperties {
    /// The sections that were ever set, each a whole XML element.
    pub sections: Vec<String>,
    /// Zero when deleted paths are gone at once.
    pub delete_retention_days: u32,
}

/// Between two sections; no XML text holds it.
const BETWEEN: char = '\0';

pub(crate) fn service_properties(
    connection: &Connection,
    account: &str,
) -> Result<ServiceProperties, ServiceError> {
    let find = "SELECT sections, delete_days FROM service_properties WHERE account = ?1";
    let stored = connection.prepare_cached(find)?.query_row([account], |row| {
        let sections: String = row.get(0)?;
        let sections = sections.split(BETWEEN).filter(|section| !section.is_empty()).map(str::to_owned);
        Ok(ServiceProperties { sections: sections.collect(), delete_retention_days: row.get(1)? })
    });
    Ok(stored.optional()?.unwrap_or_default())
}

pub(crate) fn delete_retention_days(connection: &Connection, account: &str) -> Result<u32, ServiceError> {
    let find = "SELECT delete_days FROM service_properties WHERE account = ?1";
    let days = connection.prepare_cached(find)?.query_row([account], |row| row.get(0)).optional()?;
    Ok(days.unwrap_or(0))
}

pub(crate) fn save_service_properties(
    writing: &mut Writing<'_>,
    account: &str,
    properties: &ServiceProperties,
) -> Result<(), ServiceError> {
    let sections = properties.sections.join(&BETWEEN.to_string());
    writing
        .connection
        .prepare_cached(
            "INSERT OR REPLACE INTO service_properties (account, sections, delete_days) VALUES (?1, ?2, ?3)",
        )?
        .execute(params![account, sections, properties.delete_retention_days])?;
    Ok(())
}

pub(super) fn forget_service_properties(connection: &Connection, account: &str) -> Result<(), ServiceError> {
    connection.prepare_cached("DELETE FROM service_properties WHERE account = ?1")?.execute([account])?;
    Ok(())
}
