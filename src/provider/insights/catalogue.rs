//! Which metrics there are: the public names, in the order and with the words of the public catalogue, and ours beside them.
//!
//! A name that nothing measures is served all the same, so that dashboards made for the public names work; its time series is
//! empty. What measures nothing, and why, is said in `docs/telemetry.md`; a test holds that page to this table.

use livedata_arm::ResourceId;

/// As Azure Monitor spells them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unit {
    Count,
    CountPerSecond,
    Bytes,
    BytesPerSecond,
    Seconds,
    MilliSeconds,
    Percent,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Aggregation {
    Average,
    Minimum,
    Maximum,
    Total,
    Count,
}

impl Aggregation {
    pub const ALL: [Self; 5] = [Self::Average, Self::Minimum, Self::Maximum, Self::Total, Self::Count];

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| format!("{known:?}").eq_ignore_ascii_case(text))
    }
}

/// What is sampled. The numbers stand in the store.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u16)]
pub enum Quantity {
    BytesMigrated = 1,
    BytesTransferred = 2,
    BytesOfInitialScan = 3,
    BytesLive = 4,
    FilesMigrated = 5,
    PathsExcluded = 6,
    PathsFailed = 7,
    DirectoriesScanned = 8,
    FilesScanned = 9,
    BytesScanned = 10,
    BytesPerSecond = 11,
    FilesPerSecond = 12,
    LagSeconds = 13,
    LagTransactions = 14,
    Watermark = 15,
    SecondsRemaining = 16,
    MigrationsRunning = 17,
    RoundTrip = 18,
    AgentLoad = 19,
    MachineLoad = 20,
}

#[derive(Debug)]
pub struct Metric {
    pub name: &'static str,
    pub display: &'static str,
    pub unit: Unit,
    pub primary: Aggregation,
    /// `None`: nothing measures it.
    pub quantity: Option<Quantity>,
    /// One of the public catalogue.
    pub public: bool,
}

const fn public(
    name: &'static str,
    display: &'static str,
    unit: Unit,
    primary: Aggregation,
    quantity: Option<Quantity>,
) -> Metric {
    Metric { name, display, unit, primary, quantity, public: true }
}

const fn ours(
    name: &'static str,
    display: &'static str,
    unit: Unit,
    primary: Aggregation,
    quantity: Quantity,
) -> Metric {
    Metric { name, display, unit, primary, quantity: Some(quantity), public: false }
}

use Aggregation::{Average, Maximum, Total};
use Unit::{Bytes, BytesPerSecond, Count, CountPerSecond, MilliSeconds, Percent, Seconds};

pub const MIGRATOR: &[Metric] = &[
    public("BytesPerSecond", "Bytes per Second.", BytesPerSecond, Average, Some(Quantity::BytesPerSecond)),
    public("DirectoriesCreatedCount", "Directories Created Count", Count, Total, None),
    public("FileMigrationCount", "Files Migration Count", Count, Total, Some(Quantity::FilesMigrated)),
    public(
        "InitialScanDataMigratedInBytes",
        "Initial Scan Data Migrated in Bytes",
        Bytes,
        Total,
        Some(Quantity::BytesOfInitialScan),
    ),
    public("LiveDataMigratedInBytes", "Live Data Migrated in Bytes", Bytes, Total, Some(Quantity::BytesLive)),
    public("MigratorCPULoad", "Migrator CPU Load", Percent, Average, Some(Quantity::AgentLoad)),
    public("NumberOfExcludedPaths", "Number of Excluded Paths", Count, Total, Some(Quantity::PathsExcluded)),
    public("NumberOfFailedPaths", "Number of Failed Paths", Count, Total, Some(Quantity::PathsFailed)),
    public("SystemCPULoad", "System CPU Load", Percent, Average, Some(Quantity::MachineLoad)),
    public(
        "TotalMigratedDataInBytes",
        "Total Migrated Data in Bytes",
        Bytes,
        Total,
        Some(Quantity::BytesMigrated),
    ),
    public("TotalTransactions", "Total Transactions", Count, Total, None),
    ours("FilesPerSecond", "Files per Second", CountPerSecond, Average, Quantity::FilesPerSecond),
    ours("LagInSeconds", "Lag in Seconds", Seconds, Maximum, Quantity::LagSeconds),
    ours("LagInTransactions", "Lag in Transactions", Count, Maximum, Quantity::LagTransactions),
    ours("RunningMigrations", "Running Migrations", Count, Average, Quantity::MigrationsRunning),
    ours(
        "AgentRoundTripInMilliseconds",
        "Round Trip to the Agent",
        MilliSeconds,
        Average,
        Quantity::RoundTrip,
    ),
];

pub const LIVE_DATA_MIGRATION: &[Metric] = &[
    public(
        "BytesMigratedByMigration",
        "Bytes Migrated by Migration",
        Bytes,
        Total,
        Some(Quantity::BytesMigrated),
    ),
    public("DataTransactionsByMigration", "Data Transactions by Migration", Count, Total, None),
    public("DirectoriesCreatedCount", "Directories Created Count", Count, Total, None),
    public("FileMigrationCount", "Files Migration Count", Count, Total, Some(Quantity::FilesMigrated)),
    public(
        "InitialScanDataMigratedInBytes",
        "Initial Scan Data Migrated in Bytes",
        Bytes,
        Total,
        Some(Quantity::BytesOfInitialScan),
    ),
    public("LiveDataMigratedInBytes", "Live Data Migrated in Bytes", Bytes, Total, Some(Quantity::BytesLive)),
    public("NumberOfExcludedPaths", "Number of Excluded Paths", Count, Total, Some(Quantity::PathsExcluded)),
    public("NumberOfFailedPaths", "Number of Failed Paths", Count, Total, Some(Quantity::PathsFailed)),
    public("RecurringScanDurationInSeconds", "Recurring Scan Duration In Seconds", Count, Total, None),
    public(
        "TotalBytesTransferred",
        "Total Bytes Transferred",
        Bytes,
        Total,
        Some(Quantity::BytesTransferred),
    ),
    public("TotalRecurringScans", "Total Recurring Scans", Count, Total, None),
    ours("DirectoriesScannedCount", "Directories Scanned Count", Count, Total, Quantity::DirectoriesScanned),
    ours("FilesScannedCount", "Files Scanned Count", Count, Total, Quantity::FilesScanned),
    ours("BytesScanned", "Bytes Scanned", Bytes, Total, Quantity::BytesScanned),
    ours("BytesPerSecond", "Bytes per Second", BytesPerSecond, Average, Quantity::BytesPerSecond),
    ours("FilesPerSecond", "Files per Second", CountPerSecond, Average, Quantity::FilesPerSecond),
    ours("LagInSeconds", "Lag in Seconds", Seconds, Maximum, Quantity::LagSeconds),
    ours("LagInTransactions", "Lag in Transactions", Count, Maximum, Quantity::LagTransactions),
    ours("Watermark", "Watermark", Count, Maximum, Quantity::Watermark),
    ours(
        "EstimatedSecondsRemaining",
        "Estimated Seconds Remaining",
        Seconds,
        Average,
        Quantity::SecondsRemaining,
    ),
];

pub const METADATA_MIGRATION: &[Metric] = &[
    public("LiveHiveAddedAfterScan", "Hive Items Added After Scan", Count, Total, None),
    public("LiveHiveDiscoveredItems", "Discovered Hive Items", Count, Total, None),
    public("LiveHiveInitiallyDiscoveredItems", "Initially Discovered Hive Items", Count, Total, None),
    public("LiveHiveInitiallyMigratedItems", "Initially Migrated Hive Items", Count, Total, None),
    public("LiveHiveMigratedItems", "Migrated Hive Items", Count, Total, None),
];

pub const DATA_TRANSFER_AGENT: &[Metric] = &[
    public("BytesPerSecond", "Bytes per Second.", BytesPerSecond, Average, None),
    public("DtaCPULoad", "DTA CPU Load", Percent, Average, None),
    public("FileMigrationCount", "Files Migration Count", Count, Total, None),
    public("MigratedDataInBytes", "Migrated Data in Bytes", Bytes, Total, None),
    public("NumberOfFailedPaths", "Number of Failed Paths", Count, Total, None),
    public("SystemCPULoad", "System CPU Load", Percent, Average, None),
];

/// Those of a resource's type; none for most types.
pub fn of(id: &ResourceId) -> &'static [Metric] {
    match id.resource_type.types.last().map(String::as_str) {
        Some("migrators") => MIGRATOR,
        Some("liveDataMigrations") => LIVE_DATA_MIGRATION,
        Some("metadataMigrations") => METADATA_MIGRATION,
        Some("dataTransferAgents") => DATA_TRANSFER_AGENT,
        _ => &[],
    }
}
