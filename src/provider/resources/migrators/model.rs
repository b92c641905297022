//! The one internal model of a migrator.

use livedata_model::spec::{BandwidthWindow, MetadataMode, SourceKind};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Migrator {
    /// `None`: what the Hadoop configuration beside the agent names. Only the public version leaves it out.
    pub source: Option<Source>,
    /// For the source.
    #[serde(default)]
    pub kerberos: Option<Kerberos>,
    /// For the metastore.
    #[serde(default)]
    pub metadata_kerberos: Option<Kerberos>,
    #[serde(default)]
    pub metadata_mode: MetadataMode,
    pub max_bytes_per_second: Option<u64>,
    #[serde(default)]
    pub bandwidth_windows: Vec<BandwidthWindow>,
    pub max_running_migrations: Option<u32>,
    pub location_data: Option<LocationData>,
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Source {
    pub kind: SourceKind,
    /// `hdfs://host:port` or `file:///directory`, canonical.
    pub uri: String,
    pub user: Option<String>,
    /// Of the Hadoop client, on the agent's machine.
    #[serde(default)]
    pub configuration_directory: Option<String>,
}

impl Source {
    /// What an agent has found by itself.
    pub fn hdfs(uri: &str) -> Self {
        Self { kind: SourceKind::Hdfs, uri: uri.to_owned(), user: None, configuration_directory: None }
    }
}

/// As it is sent in both versions.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Kerberos {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<String>,
    /// A path on the agent's machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keytab_location: Option<String>,
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
