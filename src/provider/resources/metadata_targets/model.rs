//! The one internal model of a metadata target: a kind, its settings by the names that documents give them, and its secret.

use std::collections::BTreeMap;

use livedata_model::metadata::MetadataTargetKind;
use livedata_model::spec::Secret;
use serde::{Deserialize, Serialize};

use crate::secrets::Sealed;

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct MetadataTarget {
    pub kind: Kind,
    /// The target that holds the tables' files.
    pub data_target_id: Option<String>,
    /// Texts as they are; numbers and booleans in their JSON form.
    pub settings: BTreeMap<String, String>,
    pub sealed: Option<Sealed>,
}

/// As it is sent in both versions.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Kind {
    #[serde(rename = "AzureSqlMetadataTarget")]
    AzureSql,
    #[serde(rename = "DatabricksMetadataTarget")]
    Databricks,
    #[serde(rename = "SnowflakeMetadataTarget")]
    Snowflake,
}

impl Kind {
    /// The property that holds its secret.
    pub fn secret(self) -> &'static str {
        match self {
            Self::AzureSql => "sqlPassword",
            Self::Databricks => "accessToken",
            Self::Snowflake => "password",
        }
    }
}

impl From<Kind> for MetadataTargetKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::AzureSql => Self::AzureSqlMetadataTarget,
            Kind::Databricks => Self::DatabricksMetadataTarget,
            Kind::Snowflake => Self::SnowflakeMetadataTarget,
        }
    }
}

/// A document, checked by itself. The secret is in the clear here, and nowhere later.
pub struct MetadataTargetInput {
    /// Without its secret.
    pub target: MetadataTarget,
    /// `None`: keep the stored one, if it is still of use.
    pub secret: Option<Secret>,
    pub keeps_secret: bool,
}
