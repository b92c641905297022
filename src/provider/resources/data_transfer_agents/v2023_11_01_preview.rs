//! Wire form of a data transfer agent in `2023-11-01-preview`.

use serde::{Deserialize, Serialize};

use super::DataTransferAgent;
use super::model::Given;
use crate::wire_type;

wire_type! {
    pub struct Properties {
        provisioning_state: String,
        access_token: String,
        host: String,
        port: i64,
        bandwidth_policy: BandwidthPolicy,
        version: String,
        status: Status,
    }
}

wire_type! {
    pub struct BandwidthPolicy {
        #[serde(rename = "maxBytesPerSec")]
        max_bytes_per_second: i64,
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Status {
    Connected,
    Disconnected,
    #[serde(rename = "Credentials_Error")]
    CredentialsError,
    #[serde(rename = "Not_Valid")]
    NotValid,
}

/// The capacity, which this version does not know, is as it is stored.
pub fn into_given(wire: Properties, stored: Option<&DataTransferAgent>) -> Given {
    Given {
        host: wire.host,
        port: wire.port,
        access_token: wire.access_token,
        max_bytes_per_second: wire.bandwidth_policy.and_then(|policy| policy.max_bytes_per_second),
        bandwidth_target: "properties.bandwidthPolicy.maxBytesPerSec",
        capacity: stored.and_then(|stored| stored.capacity).map(i64::from),
    }
}

pub fn of_model(agent: &DataTransferAgent) -> Properties {
    Properties {
        host: agent.host.clone(),
        port: agent.port.map(i64::from),
        bandwidth_policy: agent.max_bytes_per_second.map(|most| BandwidthPolicy {
            max_bytes_per_second: Some(i64::try_from(most).unwrap_or(i64::MAX)),
        }),
        // None has ever been spoken to: the migrator's agent copies by itself.
        status: Some(Status::Disconnected),
        ..Properties::default()
    }
}
