//! Wire form of a migrator in `2026-11-01-preview`.

use livedata_model::spec::{BandwidthWindow, MetadataMode, SourceKind};
use serde_json::{Map, Value, json};

use super::model::{Kerberos, LocationData};
use super::schedule;
use super::validation::GivenSource;
use super::{Migrator, Source};
use crate::observed::MigratorStatus;
use crate::wire::Reader;

pub const MOST_BYTES_PER_SECOND: u64 = 1 << 50;
pub const MOST_RUNNING: u64 = 1000;

/// The document, its source apart: that is checked by itself.
pub fn read(mut properties: Reader<'_>, needs_source: bool) -> Option<(Option<GivenSource>, Migrator)> {
    properties.read_only(&["status"]);
    let (mut kerberos, mut source) = (None, None);
    if (!needs_source || properties.required("source"))
        && let Some(mut given) = properties.object("source")
    {
        source = read_source(&mut given);
        kerberos = read_kerberos(&mut given, "kerberos");
        given.finish();
    }
    let (mut max_bytes_per_second, mut bandwidth_windows) = (None, Vec::new());
    if let Some(mut policy) = properties.object("bandwidthPolicy") {
        max_bytes_per_second = policy.count("maxBytesPerSecond", MOST_BYTES_PER_SECOND);
        bandwidth_windows = read_schedule(&mut policy);
        policy.finish();
    }
    let words = [("Listening", MetadataMode::Listening), ("Scanning", MetadataMode::Scanning)];
    let migrator = Migrator {
        source: None,
        kerberos,
        metadata_kerberos: read_kerberos(&mut properties, "metadataKerberos"),
        metadata_mode: properties.word("metadataAgentMode", &words).unwrap_or_default(),
        max_bytes_per_second,
        bandwidth_windows,
        max_running_migrations: properties
            .count("maxRunningMigrations", MOST_RUNNING)
            .and_then(|most| u32::try_from(most).ok()),
        location_data: read_place(&mut properties),
    };
    properties.finish();
    Some((source, migrator))
}

fn read_source(source: &mut Reader<'_>) -> Option<GivenSource> {
    let words = [("Hdfs", SourceKind::Hdfs), ("LocalDirectory", SourceKind::LocalDirectory)];
    let kind = source.required("kind").then(|| source.word("kind", &words)).flatten();
    let uri = source.required_text("uri");
    let (user, configuration_directory) = (source.text("user"), source.text("configurationDirectory"));
    Some(GivenSource { kind: kind?, uri: uri?, user, configuration_directory })
}

fn read_kerberos(reader: &mut Reader<'_>, name: &'static str) -> Option<Kerberos> {
    let mut given = reader.object(name)?;
    let kerberos = Kerberos {
        enabled: given.boolean("enabled"),
        principal: given.text("principal"),
        keytab_location: given.text("keytabLocation"),
    };
    given.finish();
    Some(kerberos)
}

fn read_schedule(policy: &mut Reader<'_>) -> Vec<BandwidthWindow> {
    let windows = policy.objects("schedule", schedule::MOST_WINDOWS, |window| {
        let days = window.texts("days", 7, |day| schedule::day(day).ok_or("it is no day, as Monday is"));
        let from = window.required_text("from");
        let to = window.required_text("to");
        let time_zone = window.required_text("timeZone");
        let most = window.required("maxBytesPerSecond");
        let most = most.then(|| window.count("maxBytesPerSecond", MOST_BYTES_PER_SECOND)).flatten();
        Some(BandwidthWindow {
            days: days.unwrap_or_default(),
            from_minute: window.parsed("from", &from?, schedule::minute)?,
            to_minute: window.parsed("to", &to?, schedule::minute)?,
            time_zone: window.parsed("timeZone", &time_zone?, schedule::time_zone)?,
            max_bytes_per_second: most?,
        })
    });
    windows.unwrap_or_default()
}

fn read_place(properties: &mut Reader<'_>) -> Option<LocationData> {
    let mut place = properties.object("locationData")?;
    let read = place.required_text("name").map(|name| LocationData {
        name,
        city: place.text("city"),
        district: place.text("district"),
        country_or_region: place.text("countryOrRegion"),
    });
    place.read_only(&["city", "district", "countryOrRegion"]);
    place.finish();
    read
}

pub fn write(model: &Migrator, status: &MigratorStatus) -> Map<String, Value> {
    let mut properties = Map::new();
    // Where none was given, the agent's word stands; until it has spoken there is none.
    let source = model.source.clone().or_else(|| status.source().map(Source::hdfs));
    if let Some(source) = source {
        properties.insert("source".to_owned(), Value::Object(write_source(&source, model)));
    }
    if model.max_bytes_per_second.is_some() || !model.bandwidth_windows.is_empty() {
        let mut policy = Map::new();
        if let Some(most) = model.max_bytes_per_second {
            policy.insert("maxBytesPerSecond".to_owned(), json!(most));
        }
        if !model.bandwidth_windows.is_empty() {
            let windows: Vec<Value> = model.bandwidth_windows.iter().map(schedule::write).collect();
            policy.insert("schedule".to_owned(), json!(windows));
        }
        properties.insert("bandwidthPolicy".to_owned(), Value::Object(policy));
    }
    if let Some(most) = model.max_running_migrations {
        properties.insert("maxRunningMigrations".to_owned(), json!(most));
    }
    if let Some(place) = &model.location_data {
        properties.insert("locationData".to_owned(), json!(place));
    }
    if let Some(kerberos) = &model.metadata_kerberos {
        properties.insert("metadataKerberos".to_owned(), json!(kerberos));
    }
    properties.insert("metadataAgentMode".to_owned(), json!(model.metadata_mode.as_str()));
    properties.insert("status".to_owned(), json!(status));
    properties
}

fn write_source(source: &Source, model: &Migrator) -> Map<String, Value> {
    let Source { kind, uri, user, configuration_directory } = source;
    let mut written =
        Map::from_iter([("kind".to_owned(), json!(kind.as_str())), ("uri".to_owned(), json!(uri))]);
    for (name, value) in [("user", user), ("configurationDirectory", configuration_directory)] {
        if let Some(value) = value {
            written.insert(name.to_owned(), json!(value));
        }
    }
    if let Some(kerberos) = &model.kerberos {
        written.insert("kerberos".to_owned(), json!(kerberos));
    }
    written
}
