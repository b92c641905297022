//! What should be: the desired state of one agent's resources.

use crate::cbor::{DecodeError, Wire};
use crate::metadata::{MetadataMigrationSpec, MetadataTargetSpec};
use crate::rules::{ActionPolicy, Exclusion, IdentityMapping, PathMappingSpec, Priority};
use crate::verification::VerificationSpec;
use crate::{wire_struct, wire_words};

wire_words! {
    pub enum SourceKind unknown Hdfs {
        1 => Hdfs,
        2 => LocalDirectory,
    }
}

wire_words! {
    pub enum Mode unknown OneTime {
        1 => Live,
        2 => OneTime,
        3 => Recurring,
    }
}

wire_words! {
    /// Whether a migration should be going on.
    pub enum RunState unknown Stopped {
        1 => Stopped,
        2 => Running,
    }
}

wire_words! {
    /// What happens at the target to what was deleted at the source.
    #[derive(Default)]
    pub enum DeletePolicy unknown Keep {
        /// It is deleted there, too.
        #[default]
        1 => Mirror,
        /// It stays.
        2 => Keep,
    }
}

wire_words! {
    /// What happens when somebody else wrote at a path of the target that the migration writes.
    #[derive(Default)]
    pub enum DriftPolicy unknown Halt {
        /// The source's version goes over it.
        #[default]
        1 => Overwrite,
        /// Theirs stays.
        2 => Keep,
        /// Nothing more is written until somebody has looked; the condition `TargetDrift` says where.
        3 => Halt,
    }
}

wire_struct! {
    /// Deletes of one window beyond either number are held until they are approved (rule R9).
    #[derive(Copy, Hash, serde::Serialize, serde::Deserialize)]
    pub struct MassDeleteLimit {
        /// Files and directories. 0: every delete is held.
        1 => count: u64,
        /// Of the files and directories that the migration knows. 100: no limit of this kind.
        2 => percent: u32,
        3 => window_seconds: u64,
    }
}

impl Default for MassDeleteLimit {
    fn default() -> Self {
        Self { count: 10_000, percent: 25, window_seconds: 3600 }
    }
}

/// How long what was deleted or overwritten at the target is kept in the trash, unless the migration says otherwise.
pub const TRASH_RETENTION_SECONDS: u64 = 7 * 24 * 3600;

wire_struct! {
    /// A weekly time with a limit of its own. `to_minute` <= `from_minute`: until that minute of the next day.
    #[derive(Hash, serde::Serialize, serde::Deserialize)]
    pub struct BandwidthWindow {
        /// ISO 8601: Monday is 1. Empty: every day.
        1 => days: Vec<u16>,
        /// Of the day, 0 to 1439.
        2 => from_minute: u16,
        3 => to_minute: u16,
        /// Of the IANA time zone database.
        4 => time_zone: String,
        5 => max_bytes_per_second: u64,
    }
}

wire_struct! {
    #[derive(Hash, serde::Serialize, serde::Deserialize)]
    pub struct Kerberos {
        1 => principal: String,
        /// A path on the agent's machine.
        2 => keytab: String,
    }
}

wire_words! {
    /// How changes of the metastore are found.
    #[derive(Default)]
    pub enum MetadataMode unknown Listening {
        #[default]
        1 => Listening,
        2 => Scanning,
    }
}

wire_struct! {
    /// The agent's own settings. Its GUID names the folder of ours at the target: `/.livedata/<guid>/`.
    pub struct MigratorSpec {
        1 => guid: String,
        2 => source_kind: SourceKind,
        /// `hdfs://host:port` or `file:///directory`: the root that migration paths are relative to. Empty: the file system
        /// that the Hadoop configuration beside the agent names.
        3 => source_uri: String,
        /// The Hadoop user that reads; `None`: the agent's own.
        4 => source_user: Option<String>,
        5 => max_bytes_per_second: Option<u64>,
        /// `None`: no limit.
        6 => max_running_migrations: Option<u32>,
        /// Instead of `max_bytes_per_second`, at the times that they name.
        7 => bandwidth_windows: Vec<BandwidthWindow>,
        /// Of the Hadoop client, on the agent's machine.
        8 => configuration_directory: Option<String>,
        9 => kerberos: Option<Kerberos>,
        10 => metadata_kerberos: Option<Kerberos>,
        11 => metadata_mode: MetadataMode = MetadataMode::Listening,
    }
}

wire_struct! {
    /// A container of an ADLS Gen2 account.
    pub struct TargetSpec {
        1 => account: String,
        2 => container: String,
        /// DFS endpoint: `https://account.dfs.core.windows.net`, or path style `http://127.0.0.1:10000/account`.
        3 => endpoint: String,
        4 => credential: Credential,
    }
}

/// A secret text: never printed. On the agent's disk it lives in its own file, apart from the rest of desired state.
#[derive(Clone, Eq, PartialEq)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Wire for Secret {
    fn to_value(&self) -> ciborium::Value {
        self.0.to_value()
    }
    fn from_value(value: ciborium::Value) -> Result<Self, DecodeError> {
        String::from_value(value).map(Self)
    }
}

wire_words! {
    /// How the agent proves who it is at the target. An agent that does not know a kind says so.
    pub enum CredentialKind unknown Unknown {
        1 => AccountKey,
        2 => SharedAccessSignature,
        3 => ServicePrincipal,
        4 => ManagedIdentity,
        5 => WorkloadIdentity,
        6 => Unknown,
    }
}

wire_struct! {
    pub struct Credential {
        1 => kind: CredentialKind,
        /// The account key (base64), the signature or the client's secret; empty for the others, and in the copy on the
        /// agent's disk, where `secrets` holds it.
        2 => secret: Secret,
        3 => client_id: Option<String>,
        4 => tenant_id: Option<String>,
        /// `https://login.microsoftonline.com` if absent.
        5 => authority: Option<String>,
    }
}

wire_struct! {
    pub struct MigrationSpec {
        /// Id of the target resource, lower case.
        1 => target: String,
        /// Canonical absolute path below the migrator's source.
        2 => source_path: String,
        /// Canonical absolute path in the container.
        3 => target_path: String,
        4 => mode: Mode,
        5 => run: RunState,
        /// 0: never started. Raised by each `start`: a migration that is `Completed` or `Failed` runs again when it grows.
        6 => start_count: u64,
        /// Made with the resource: one that is deleted and made anew under its id is another migration.
        7 => incarnation: String,
        8 => delete_policy: DeletePolicy = DeletePolicy::default(),
        9 => drift_policy: DriftPolicy = DriftPolicy::default(),
        10 => mass_delete_limit: MassDeleteLimit = MassDeleteLimit::default(),
        /// 0: nothing is kept.
        11 => trash_retention_seconds: u64 = TRASH_RETENTION_SECONDS,
        /// Patterns ([`crate::pattern`]) of files that are published last in their table directory. Empty: the built-in list.
        12 => barriers: Vec<String>,
        /// Grows with each reset: the agent then forgets the migration's journal, and its commands, and begins from nothing at
        /// the next start. `start_count` is 0 again.
        13 => reset_count: u64 = 0,
        14 => exclusions: Vec<Exclusion>,
        15 => action_policy: ActionPolicy = ActionPolicy::Overwrite,
        16 => priority: Priority = Priority::Normal,
        17 => recurrence_seconds: Option<u64>,
        18 => max_bytes_per_second: Option<u64>,
        19 => identities: Vec<IdentityMapping>,
    }
}

wire_struct! {
    /// A machine that copies for the agent.
    pub struct DataTransferAgentSpec {
        1 => host: Option<String>,
        2 => port: Option<u16>,
        3 => access_token: Option<Secret>,
        4 => max_bytes_per_second: Option<u64>,
        /// Files at the same time.
        5 => capacity: Option<u32>,
    }
}

impl MigratorSpec {
    /// Without limits, and as it comes.
    pub fn new(guid: impl Into<String>, source_kind: SourceKind, source_uri: impl Into<String>) -> Self {
        Self {
            guid: guid.into(),
            source_kind,
            source_uri: source_uri.into(),
            source_user: None,
            max_bytes_per_second: None,
            max_running_migrations: None,
            bandwidth_windows: Vec::new(),
            configuration_directory: None,
            kerberos: None,
            metadata_kerberos: None,
            metadata_mode: MetadataMode::default(),
        }
    }
}

impl Credential {
    pub fn account_key(key: impl Into<String>) -> Self {
        let secret = Secret(key.into());
        Self { kind: CredentialKind::AccountKey, secret, client_id: None, tenant_id: None, authority: None }
    }
}

impl MigrationSpec {
    /// Never started, from `path` to the same path of the target, everything else at its default.
    pub fn new(target: impl Into<String>, path: &str, mode: Mode, incarnation: impl Into<String>) -> Self {
        Self {
            target: target.into(),
            source_path: path.to_owned(),
            target_path: path.to_owned(),
            mode,
            run: RunState::Stopped,
            start_count: 0,
            incarnation: incarnation.into(),
            delete_policy: DeletePolicy::default(),
            drift_policy: DriftPolicy::default(),
            mass_delete_limit: MassDeleteLimit::default(),
            trash_retention_seconds: TRASH_RETENTION_SECONDS,
            barriers: Vec::new(),
            reset_count: 0,
            exclusions: Vec::new(),
            action_policy: ActionPolicy::default(),
            priority: Priority::default(),
            recurrence_seconds: None,
            max_bytes_per_second: None,
            identities: Vec::new(),
        }
    }
}

/// One resource as the agent should have it. `generation` grows with every change of the body; an agent refuses a lower one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Item {
    /// ARM id, lower case.
    pub id: String,
    pub generation: u64,
    pub body: Body,
    /// W3C `traceparent` of the request that made it so, for the agent's spans.
    pub trace: Option<String>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Body {
    Migrator(MigratorSpec),
    Target(TargetSpec),
    Migration(MigrationSpec),
    PathMapping(PathMappingSpec),
    DataTransferAgent(DataTransferAgentSpec),
    MetadataTarget(MetadataTargetSpec),
    MetadataMigration(MetadataMigrationSpec),
    Verification(VerificationSpec),
    /// A kind that this side does not know: kept out of everything but the report `NotSupportedByAgent`.
    Unknown,
}

wire_struct! {
    pub struct ItemOnWire {
        1 => id: String,
        2 => generation: u64,
        3 => migrator: Option<MigratorSpec>,
        4 => target: Option<TargetSpec>,
        5 => migration: Option<MigrationSpec>,
        6 => path_mapping: Option<PathMappingSpec>,
        7 => data_transfer_agent: Option<DataTransferAgentSpec>,
        8 => metadata_target: Option<MetadataTargetSpec>,
        9 => metadata_migration: Option<MetadataMigrationSpec>,
        10 => verification: Option<VerificationSpec>,
        11 => trace: Option<String>,
    }
}

impl Wire for Item {
    fn to_value(&self) -> ciborium::Value {
        let mut item = ItemOnWire {
            id: self.id.clone(),
            generation: self.generation,
            migrator: None,
            target: None,
            migration: None,
            path_mapping: None,
            data_transfer_agent: None,
            metadata_target: None,
            metadata_migration: None,
            verification: None,
            trace: self.trace.clone(),
        };
        match &self.body {
            Body::Migrator(spec) => item.migrator = Some(spec.clone()),
            Body::Target(spec) => item.target = Some(spec.clone()),
            Body::Migration(spec) => item.migration = Some(spec.clone()),
            Body::PathMapping(spec) => item.path_mapping = Some(spec.clone()),
            Body::DataTransferAgent(spec) => item.data_transfer_agent = Some(spec.clone()),
            Body::MetadataTarget(spec) => item.metadata_target = Some(spec.clone()),
            Body::MetadataMigration(spec) => item.metadata_migration = Some(spec.clone()),
            Body::Verification(spec) => item.verification = Some(spec.clone()),
            Body::Unknown => {}
        }
        item.to_value()
    }

    fn from_value(value: ciborium::Value) -> Result<Self, DecodeError> {
        let item = ItemOnWire::from_value(value)?;
        let body = if let Some(spec) = item.migrator {
            Body::Migrator(spec)
        } else if let Some(spec) = item.target {
            Body::Target(spec)
        } else if let Some(spec) = item.migration {
            Body::Migration(spec)
        } else if let Some(spec) = item.path_mapping {
            Body::PathMapping(spec)
        } else if let Some(spec) = item.data_transfer_agent {
            Body::DataTransferAgent(spec)
        } else if let Some(spec) = item.metadata_target {
            Body::MetadataTarget(spec)
        } else if let Some(spec) = item.metadata_migration {
            Body::MetadataMigration(spec)
        } else if let Some(spec) = item.verification {
            Body::Verification(spec)
        } else {
            Body::Unknown
        };
        Ok(Self { id: item.id, generation: item.generation, body, trace: item.trace })
    }
}
