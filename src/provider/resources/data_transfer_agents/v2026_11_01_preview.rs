//! Wire form of a data transfer agent in `2026-11-01-preview`.

use serde_json::{Value, json};

use super::DataTransferAgent;
use super::model::Given;
use crate::observed::WireCondition;
use crate::wire::Findings;
use crate::wire_type;

wire_type! {
    pub struct Properties {
        provisioning_state: String,
        access_token: String,
        host: String,
        port: i64,
        bandwidth_policy: BandwidthPolicy,
        capacity: i64,
        status: Value,
    }
}

wire_type! {
    pub struct BandwidthPolicy {
        max_bytes_per_second: i64,
    }
}

pub fn into_given(wire: Properties, findings: &Findings) -> Given {
    Given {
        host: findings.required("properties.host", wire.host),
        port: findings.required("properties.port", wire.port),
        access_token: wire.access_token,
        max_bytes_per_second: wire.bandwidth_policy.and_then(|policy| policy.max_bytes_per_second),
        bandwidth_target: "properties.bandwidthPolicy.maxBytesPerSecond",
        capacity: wire.capacity,
    }
}

pub fn of_model(agent: &DataTransferAgent, conditions: &[WireCondition]) -> Properties {
    Properties {
        host: agent.host.clone(),
        port: agent.port.map(i64::from),
        bandwidth_policy: agent.max_bytes_per_second.map(|most| BandwidthPolicy {
            max_bytes_per_second: Some(i64::try_from(most).unwrap_or(i64::MAX)),
        }),
        capacity: agent.capacity.map(i64::from),
        // None has ever been spoken to: the migrator's agent copies by itself.
        status: Some(json!({ "state": "Disconnected", "conditions": conditions })),
        ..Properties::default()
    }
}
