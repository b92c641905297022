//! The examples of the public API are what the wire types of `2023-11-01-preview` say: each is read into them and written back as
//! it was. `tests/fixtures/public-2023-11-01-preview/PROVENANCE.md` says where they come from.

use std::path::PathBuf;

use livedata_arm::{OperationStatus, Plan, SystemData, Tags};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::resources::public;

/// A resource as the public version sends it, or as a client does.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Resource<P> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    resource_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    location: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tags: Option<Tags>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    plan: Option<Plan>,
    properties: P,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    system_data: Option<SystemData>,
}

/// `PATCH operationStatuses`, which is for the provider itself: a type, and nothing more.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OperationStatusUpdate {
    id: String,
    status: String,
}

fn examples(path: &str) -> Value {
    let folder =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/public-2023-11-01-preview/examples");
    serde_json::from_slice(&std::fs::read(folder.join(path)).unwrap()).unwrap()
}

#[track_caller]
fn round_trip<T: Serialize + DeserializeOwned>(text: &Value, what: &str) {
    let mut unknown = Vec::new();
    let read: T = serde_ignored::deserialize(text, |path| unknown.push(path.to_string())).unwrap();
    assert!(unknown.is_empty(), "{what}: {unknown:?} is not known");
    assert_eq!(serde_json::to_value(&read).unwrap(), *text, "{what}");
}

/// All bodies of one file; returns how many there were.
fn bodies(file: &str, request: Option<&str>) -> Vec<(String, Value)> {
    let example = examples(file);
    let mut bodies = Vec::new();
    if let Some(name) = request {
        bodies.push((format!("{file}: request"), example["parameters"][name].clone()));
    }
    let responses: &Map<String, Value> = example["responses"].as_object().unwrap();
    for (status, response) in responses {
        if let Some(body) = response.get("body") {
            bodies.push((format!("{file}: {status}"), body.clone()));
        }
    }
    bodies
}

#[track_caller]
fn all<T: Serialize + DeserializeOwned>(file: &str, request: Option<&str>, expected: usize) {
    let bodies = bodies(file, request);
    assert_eq!(bodies.len(), expected, "{file}");
    for (what, body) in bodies {
        round_trip::<T>(&body, &what);
    }
}

#[test]
fn every_public_example_is_read_and_written_back_as_it_was() {
    all::<Resource<public::migrators::Properties>>(
        "LiveDataMigrator/MigratorCreate.json",
        Some("Migrator"),
        3,
    );
    all::<Resource<public::migrators::Properties>>("LiveDataMigrator/MigratorGet.json", None, 1);
    all::<Resource<public::data_transfer_agents::Properties>>(
        "LiveDataMigrator/DataTransferAgentsCreate.json",
        Some("DataTransferAgent"),
        3,
    );
    all::<Resource<public::live_data_migrations::Properties>>(
        "LiveDataMigrator/LiveDataMigrationGet.json",
        None,
        1,
    );
    all::<Resource<public::verifications::Properties>>("LiveDataMigrator/VerificationGet.json", None, 1);
    let reset = "LiveDataMigrator/LiveDataMigrationReset.json";
    round_trip::<public::live_data_migrations::Reset>(
        &examples(reset)["parameters"]["LiveDataMigration"],
        reset,
    );
    all::<public::live_data_migrations::StatusResponse>(reset, None, 1);
    all::<OperationStatus>("Operations/OperationStatusGetError.json", None, 1);
    let patch = "Operations/OperationStatusPatch.json";
    round_trip::<OperationStatusUpdate>(&examples(patch)["parameters"]["operationStatus"], patch);
    all::<OperationStatusUpdate>(patch, None, 1);
    let list = bodies("WandiscoFusionListOperations.json", None);
    assert_eq!(list[0].1["value"], Value::Array(Vec::new()));
}

#[test]
fn a_property_that_a_type_does_not_have_is_noticed() {
    let with = serde_json::json!({"properties": {"path": "/a", "targetId": "t", "colour": "red"}});
    let mut unknown = Vec::new();
    let read: Result<Resource<public::live_data_migrations::Properties>, _> =
        serde_ignored::deserialize(&with, |path| unknown.push(path.to_string()));
    assert!(read.is_ok());
    assert_eq!(unknown, ["properties.colour"]);
}
