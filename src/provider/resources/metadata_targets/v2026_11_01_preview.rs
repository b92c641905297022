//! Wire form of a metadata target in `2026-11-01-preview`: that of the public version, and a status, which is never read.

use serde::Serialize;
use serde_json::{Value, json};

use super::v2023_11_01_preview::Properties as Public;
use crate::observed::WireCondition;

#[derive(Debug, Serialize)]
pub struct Properties {
    #[serde(flatten)]
    public: Public,
    status: Value,
}

pub fn of_public(public: Public, conditions: &[WireCondition]) -> Properties {
    Properties { public, status: json!({ "conditions": conditions }) }
}
