//! What a metadata target must satisfy by itself.

use livedata_arm::ResourceId;
use livedata_model::spec::Secret;

use super::model::Kind;
use super::v2023_11_01_preview::{Properties, SnowflakeAuthKind, settings};
use super::{MetadataTarget, MetadataTargetInput};
use crate::errors;
use crate::view::View;
use crate::wire::Findings;

const COMMON: &[&str] = &["defaultFsOverride"];
const AZURE_SQL: &[&str] = &["sqlServerId", "sqlDatabase", "sqlUser", "hdiVersion"];
const DATABRICKS: &[&str] = &[
    "jdbcServerHostname",
    "jdbcPort",
    "jdbcHttpPath",
    "fsMountPoint",
    "convertToDeltaLake",
    "deleteAfterConversion",
    "catalog",
];
const SNOWFLAKE: &[&str] = &[
    "accountIdentifier",
    "stageDatabase",
    "stageSchema",
    "stage",
    "warehouse",
    "schema",
    "role",
    "snowflakeAuthKind",
    "user",
    "privateKeyFile",
];

pub fn check(
    view: &View,
    mut wire: Properties,
    stored: Option<&MetadataTarget>,
    findings: &Findings,
) -> Option<MetadataTargetInput> {
    let kind = findings.required("properties.metadataTargetKind", wire.metadata_target_kind)?;
    let has_secret = stored.is_some_and(|stored| stored.sealed.is_some());
    let at = |name: &str| format!("properties.{name}");
    let wrong =
        |name: &str, message: String| findings.add(&errors::INVALID_PROPERTY_VALUE, at(name), message);
    let (own, required, needs_secret): (&[&str], &[&str], bool) = match kind {
        Kind::AzureSql => (AZURE_SQL, &["sqlServerId", "sqlDatabase"], false),
        Kind::Databricks => (DATABRICKS, &["jdbcServerHostname", "jdbcPort", "jdbcHttpPath"], true),
        Kind::Snowflake => {
            wire.stage_database.get_or_insert_with(|| "WANDISCO".to_owned());
            wire.stage_schema.get_or_insert_with(|| "PUBLIC".to_owned());
            wire.schema.get_or_insert_with(|| "PUBLIC".to_owned());
            let basic = wire.snowflake_auth_kind == Some(SnowflakeAuthKind::Basic);
            let required = &["accountIdentifier", "stage", "warehouse", "snowflakeAuthKind", "user"];
            (SNOWFLAKE, required, basic)
        }
    };
    let settings = settings(&wire);
    for name in required {
        findings.required(&at(name), settings.get(*name));
    }
    for name in
        settings.keys().filter(|name| !own.contains(&name.as_str()) && !COMMON.contains(&name.as_str()))
    {
        wrong(name, format!("A metadata target of kind {kind:?} has no '{name}': leave it out."));
    }
    let mut secret = None;
    for (name, given) in
        [("sqlPassword", wire.sql_password), ("accessToken", wire.access_token), ("password", wire.password)]
    {
        match given {
            Some(given) if name == kind.secret() => secret = Some(Secret(given)),
            Some(_) => {
                wrong(name, format!("A metadata target of kind {kind:?} has no '{name}': leave it out."))
            }
            None => {}
        }
    }
    if needs_secret && secret.is_none() && !has_secret {
        findings.required(&at(kind.secret()), None::<()>);
    }
    if kind == Kind::Snowflake && wire.snowflake_auth_kind == Some(SnowflakeAuthKind::PrivateKey) {
        findings.required(&at("privateKeyFile"), wire.private_key_file.as_ref());
    }
    if let Some(port) = wire.jdbc_port.filter(|port| !(1..=65_535).contains(port)) {
        wrong("jdbcPort", format!("{port} is not a port: use 1 to 65535."));
    }
    if wire.hdi_version.as_deref().is_some_and(|version| version != "4.0") {
        wrong("hdiVersion", "The version of HDInsight is 4.0.".to_owned());
    }
    if let Some(server) = wire.sql_server_id.as_ref().filter(|_| kind == Kind::AzureSql)
        && !is_of(server, "Microsoft.Sql/servers")
    {
        wrong("sqlServerId", format!("'{server}' is not the full id of a server of Microsoft.Sql/servers."));
    }
    let data_target_id = wire.data_target_id.and_then(|id| {
        let read = view.resource_id(&id);
        if read.is_none() {
            wrong("dataTargetId", format!("'{id}' is not the full resource id of a target."));
        }
        read
    });
    let target = MetadataTarget { kind, data_target_id, settings, sealed: None };
    let keeps_secret = wire.snowflake_auth_kind != Some(SnowflakeAuthKind::PrivateKey);
    Some(MetadataTargetInput { target, secret, keeps_secret })
}

fn is_of(id: &str, kind: &str) -> bool {
    id.starts_with('/')
        && id.parse::<ResourceId>().is_ok_and(|id| id.resource_type.full().eq_ignore_ascii_case(kind))
}
