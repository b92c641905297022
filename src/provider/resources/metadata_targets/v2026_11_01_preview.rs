//! Wire form of a metadata target in `2026-11-01-preview`: that of the public version, and a status.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::v2023_11_01_preview::Properties as Public;
use crate::observed::WireCondition;

#[derive(Debug, Serialize)]
pub struct Properties {
    #[serde(flatten)]
    public: Public,
    status: Value,
}

/// As it is read: what the provider alone writes is passed over.
pub fn into_public(wire: WithStatus) -> Public {
    wire.0
}

pub fn of_public(public: Public, conditions: &[WireCondition]) -> Properties {
    Properties { public, status: json!({ "conditions": conditions }) }
}

#[derive(Deserialize)]
#[serde(transparent)]
pub struct WithStatus(Public);
