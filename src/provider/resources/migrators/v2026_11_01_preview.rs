//! Wire form of a migrator in `2026-11-01-preview`.

use livedata_model::spec::SourceKind;
use serde_json::{Map, Value, json};

use super::model::LocationData;
use super::{Migrator, Source};
use crate::observed::MigratorStatus;
use crate::wire::{Findings, Reader};

const MOST_BYTES_PER_SECOND: u64 = 1 << 50;
const MOST_RUNNING: u64 = 1000;

/// `properties` as given; required ones that are absent have become findings.
pub struct Wire {
    pub source_kind: Option<SourceKind>,
    pub source_uri: Option<String>,
    pub source_user: Option<String>,
    pub max_bytes_per_second: Option<u64>,
    pub max_running_migrations: Option<u64>,
    pub location_data: Option<LocationData>,
    pub findings: Findings,
}

pub fn read(mut properties: Reader<'_>) -> Wire {
    properties.read_only(&["status"]);
    let mut wire = Wire {
        source_kind: None,
        source_uri: None,
        source_user: None,
        max_bytes_per_second: None,
        max_running_migrations: properties.count("maxRunningMigrations", MOST_RUNNING),
        location_data: None,
        findings: properties.findings().clone(),
    };
    if properties.required("source")
        && let Some(mut source) = properties.object("source")
    {
        if source.required("kind") {
            let words = [("Hdfs", SourceKind::Hdfs), ("LocalDirectory", SourceKind::LocalDirectory)];
            wire.source_kind = source.word("kind", &words);
        }
        wire.source_uri = source.required_text("uri");
        wire.source_user = source.text("user");
        source.finish();
    }
    if let Some(mut policy) = properties.object("bandwidthPolicy") {
        wire.max_bytes_per_second = policy.count("maxBytesPerSecond", MOST_BYTES_PER_SECOND);
        policy.finish();
    }
    if let Some(mut place) = properties.object("locationData") {
        wire.location_data = place.required_text("name").map(|name| LocationData {
            name,
            city: place.text("city"),
            district: place.text("district"),
            country_or_region: place.text("countryOrRegion"),
        });
        place.read_only(&["city", "district", "countryOrRegion"]);
        place.finish();
    }
    properties.finish();
    wire
}

pub fn write(model: &Migrator, status: &MigratorStatus) -> Map<String, Value> {
    let Source { kind, uri, user } = &model.source;
    let mut source =
        Map::from_iter([("kind".to_owned(), json!(kind.as_str())), ("uri".to_owned(), json!(uri))]);
    if let Some(user) = user {
        source.insert("user".to_owned(), json!(user));
    }
    let mut properties = Map::from_iter([("source".to_owned(), Value::Object(source))]);
    if let Some(most) = model.max_bytes_per_second {
        properties.insert("bandwidthPolicy".to_owned(), json!({ "maxBytesPerSecond": most }));
    }
    if let Some(most) = model.max_running_migrations {
        properties.insert("maxRunningMigrations".to_owned(), json!(most));
    }
    if let Some(place) = &model.location_data {
        properties.insert("locationData".to_owned(), json!(place));
    }
    properties.insert("status".to_owned(), json!(status));
    properties
}
