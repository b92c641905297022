//! The one internal model of a migrator.

use livedata_model::spec::SourceKind;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Migrator {
    pub source: Source,
    pub max_bytes_per_second: Option<u64>,
    pub max_running_migrations: Option<u32>,
    pub location_data: Option<LocationData>,
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Source {
    pub kind: SourceKind,
    /// `hdfs://host:port` or `file:///directory`, canonical.
    pub uri: String,
    pub user: Option<String>,
}

/// Where the cluster stands (rule 36).
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LocationData {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub city: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub district: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country_or_region: Option<String>,
}
