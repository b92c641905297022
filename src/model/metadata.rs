//! Migration of a metastore: its targets and its rules. Settings have the names that they have in ARM documents.

use crate::spec::{RunState, Secret};
use crate::{wire_struct, wire_words};

wire_words! {
    pub enum MetadataTargetKind unknown Unknown {
        1 => AzureSqlMetadataTarget,
        2 => DatabricksMetadataTarget,
        3 => SnowflakeMetadataTarget,
        4 => Unknown,
    }
}

wire_struct! {
    pub struct Setting {
        1 => name: String,
        2 => value: String,
    }
}

wire_struct! {
    pub struct SecretSetting {
        1 => name: String,
        2 => value: Secret,
    }
}

wire_struct! {
    pub struct MetadataTargetSpec {
        1 => kind: MetadataTargetKind,
        /// Id of the target resource that holds the tables' files, lower case.
        2 => data_target: Option<String>,
        3 => settings: Vec<Setting>,
        4 => secrets: Vec<SecretSetting>,
    }
}

wire_struct! {
    pub struct MetadataMigrationSpec {
        /// In the form that Hive's `SHOW DATABASES LIKE` takes.
        1 => database_pattern: String,
        2 => table_pattern: String,
        /// Id of the metadata target, lower case.
        3 => target: Option<String>,
        4 => run: RunState,
        /// 0: never started. Raised by each `start`.
        5 => start_count: u64,
        6 => incarnation: String,
        7 => settings: Vec<Setting>,
    }
}
