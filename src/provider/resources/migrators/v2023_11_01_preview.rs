//! Wire form of a migrator in `2023-11-01-preview`.
//!
//! The public contract has no source, and lets only PATCH set the bandwidth and the number of running migrations. Here a PUT may,
//! too; one that says nothing of them leaves them as they are.

use livedata_model::spec::MetadataMode;
use serde::{Deserialize, Serialize};

use super::Migrator;
use super::model::Kerberos;
use super::v2026_11_01_preview::{MOST_BYTES_PER_SECOND, MOST_RUNNING};
use crate::errors;
use crate::observed::MigratorStatus;
use crate::wire::Findings;
use crate::wire_type;

wire_type! {
    pub struct Properties {
        provisioning_state: String,
        metadata_agent_mode: AgentMode,
        download_location: String,
        version: String,
        latest_available_version: String,
        kerberos: Kerberos,
        meta_kerberos: Kerberos,
        allowance: Allowance,
        migrator_status: Details,
        bandwidth_policy: BandwidthPolicy,
        /// 0: as many as there are.
        max_running_migrations: i32,
    }
}

wire_type! {
    pub struct Allowance {
        #[serde(rename = "remainingData")]
        remaining_megabytes: i64,
    }
}

wire_type! {
    pub struct BandwidthPolicy {
        #[serde(rename = "maxBytesPerSec")]
        max_bytes_per_second: i64,
    }
}

wire_type! {
    pub struct Details {
        status: UpOrDown,
        seen_at: String,
        consecutive_errors: i32,
        install_state: InstallState,
        meta_install_state: InstallState,
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum AgentMode {
    Scanning,
    Listening,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum UpOrDown {
    Up,
    Down,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum InstallState {
    NotInstalled,
    InstalledNoSourceDetected,
    InstalledAndOperational,
}

/// What this version cannot say is as it is stored.
pub fn into_model(wire: Properties, stored: Option<&Migrator>, findings: &Findings) -> Migrator {
    let kept = stored.cloned();
    // 0 is no limit.
    let limit = |target: &str, number: i64, most: u64| {
        let read = u64::try_from(number).ok().filter(|number| *number <= most);
        if read.is_none() {
            let message = format!("The property '{target}' must be a whole number from 0 to {most}.");
            findings.add(&errors::INVALID_PROPERTY_VALUE, target, message);
        }
        read.filter(|number| *number > 0)
    };
    let bandwidth = wire.bandwidth_policy.and_then(|policy| policy.max_bytes_per_second);
    let running = wire.max_running_migrations.map(i64::from);
    Migrator {
        source: kept.as_ref().and_then(|kept| kept.source.clone()),
        kerberos: wire.kerberos,
        metadata_kerberos: wire.meta_kerberos,
        metadata_mode: match wire.metadata_agent_mode {
            Some(AgentMode::Scanning) => MetadataMode::Scanning,
            Some(AgentMode::Listening) | None => MetadataMode::Listening,
        },
        max_bytes_per_second: match bandwidth {
            Some(most) => limit("properties.bandwidthPolicy.maxBytesPerSec", most, MOST_BYTES_PER_SECOND),
            None => kept.as_ref().and_then(|kept| kept.max_bytes_per_second),
        },
        bandwidth_windows: kept.as_ref().map(|kept| kept.bandwidth_windows.clone()).unwrap_or_default(),
        max_running_migrations: match running {
            Some(most) => limit("properties.maxRunningMigrations", most, MOST_RUNNING)
                .and_then(|most| u32::try_from(most).ok()),
            None => kept.as_ref().and_then(|kept| kept.max_running_migrations),
        },
        location_data: kept.and_then(|kept| kept.location_data),
    }
}

pub fn of_model(model: &Migrator, status: &MigratorStatus) -> Properties {
    let install_state = match (status.is_installed(), status.seen_at()) {
        (false, _) => InstallState::NotInstalled,
        (true, None) => InstallState::InstalledNoSourceDetected,
        (true, Some(_)) => InstallState::InstalledAndOperational,
    };
    Properties {
        metadata_agent_mode: Some(match model.metadata_mode {
            MetadataMode::Scanning => AgentMode::Scanning,
            MetadataMode::Listening => AgentMode::Listening,
        }),
        version: status.agent_version().map(str::to_owned),
        latest_available_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        kerberos: model.kerberos.clone(),
        meta_kerberos: model.metadata_kerberos.clone(),
        migrator_status: Some(Details {
            status: Some(if status.is_up() { UpOrDown::Up } else { UpOrDown::Down }),
            seen_at: status.seen_at().map(str::to_owned),
            install_state: Some(install_state),
            ..Details::default()
        }),
        bandwidth_policy: model.max_bytes_per_second.map(|most| BandwidthPolicy {
            max_bytes_per_second: Some(i64::try_from(most).unwrap_or(i64::MAX)),
        }),
        max_running_migrations: model.max_running_migrations.and_then(|most| i32::try_from(most).ok()),
        ..Properties::default()
    }
}
