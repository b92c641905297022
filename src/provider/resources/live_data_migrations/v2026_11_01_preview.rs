//! Wire form of a migration in `2026-11-01-preview`.

use std::ops::RangeInclusive;

use livedata_model::pattern::Pattern;
use livedata_model::rules::{ActionPolicy, IdentityKind, IdentityMapping, Priority};
use livedata_model::spec::{DeletePolicy, DriftPolicy, MassDeleteLimit, Mode};
use serde_json::{Map, Value, json};

use super::{Migration, Policies};
use crate::document::Document;
use crate::duration;
use crate::observed::MigrationStatus;
use crate::view::View;
use crate::wire::{Findings, Reader};

const DAY_SECONDS: u64 = 86_400;
const DELETES: RangeInclusive<u64> = 0..=1_000_000_000_000;
const PERCENT: RangeInclusive<u64> = 0..=100;
/// Shorter ones would not see a mass of deletes, longer ones would see nothing else.
const WINDOW: RangeInclusive<u64> = 60..=30 * DAY_SECONDS;
const RETENTION: RangeInclusive<u64> = 0..=365 * DAY_SECONDS;
pub const RECURRENCE: RangeInclusive<u64> = 0..=365 * DAY_SECONDS;
const MOST_BARRIERS: usize = 64;
const MOST_BYTES_PER_SECOND: u64 = 1 << 50;
/// A document stays far below what a page of a list may have.
const MOST_IDENTITIES: usize = 256;
pub const MOST_EXCLUSIONS: usize = 64;

pub const ACTIONS: [(&str, ActionPolicy); 3] = [
    ("Overwrite", ActionPolicy::Overwrite),
    ("SkipIfSizeMatch", ActionPolicy::SkipIfSizeMatch),
    ("SkipIfContentMatch", ActionPolicy::SkipIfContentMatch),
];
const PRIORITIES: [(&str, Priority); 3] =
    [("Low", Priority::Low), ("Normal", Priority::Normal), ("High", Priority::High)];

/// `properties` as given; required ones that are absent have become findings.
pub struct Wire {
    pub path: Option<String>,
    pub target_id: Option<String>,
    pub target_path: Option<String>,
    pub mode: Option<Mode>,
    pub auto_start: Option<bool>,
    /// What is left out is at its default.
    pub policies: Policies,
    /// What the version calls the recurrence period.
    pub recurrence_target: &'static str,
    pub view: View,
    pub findings: Findings,
}

pub fn read(view: &View, mut properties: Reader<'_>) -> Wire {
    properties.read_only(&["status", "generation", "observedGeneration"]);
    let wire = Wire {
        path: properties.required_text("path"),
        target_id: properties.required_text("targetId"),
        target_path: properties.text("targetPath"),
        mode: properties.word(
            "mode",
            &[("Live", Mode::Live), ("OneTime", Mode::OneTime), ("Recurring", Mode::Recurring)],
        ),
        auto_start: properties.boolean("autoStart"),
        policies: read_policies(&mut properties),
        recurrence_target: "properties.recurrencePeriod",
        view: view.clone(),
        findings: properties.findings().clone(),
    };
    properties.finish();
    wire
}

fn read_policies(properties: &mut Reader<'_>) -> Policies {
    let defaults = Policies::default();
    let delete =
        properties.word("deletePolicy", &[("Mirror", DeletePolicy::Mirror), ("Keep", DeletePolicy::Keep)]);
    let drift = properties.word(
        "driftPolicy",
        &[("Overwrite", DriftPolicy::Overwrite), ("Keep", DriftPolicy::Keep), ("Halt", DriftPolicy::Halt)],
    );
    let mut mass_delete_limit = defaults.mass_delete_limit;
    if let Some(mut limit) = properties.object("massDeleteLimit") {
        let percent = limit.number("percent", PERCENT).and_then(|percent| u32::try_from(percent).ok());
        mass_delete_limit = MassDeleteLimit {
            count: limit.number("count", DELETES).unwrap_or(mass_delete_limit.count),
            percent: percent.unwrap_or(mass_delete_limit.percent),
            window_seconds: limit.duration("window", WINDOW).unwrap_or(mass_delete_limit.window_seconds),
        };
        limit.finish();
    }
    let barriers =
        properties.texts("barriers", MOST_BARRIERS, |text| Pattern::parse(text).map(|_| text.to_owned()));
    Policies {
        delete: delete.unwrap_or(defaults.delete),
        drift: drift.unwrap_or(defaults.drift),
        mass_delete_limit,
        trash_retention_seconds: properties
            .duration("trashRetention", RETENTION)
            .unwrap_or(defaults.trash_retention_seconds),
        barriers: barriers.unwrap_or(defaults.barriers),
        action: properties.word("actionPolicy", &ACTIONS).unwrap_or_default(),
        priority: properties.word("priority", &PRIORITIES).unwrap_or_default(),
        recurrence_seconds: properties.duration("recurrencePeriod", RECURRENCE),
        max_bytes_per_second: read_bandwidth(properties),
        identities: read_identities(properties),
        exclusions: read_exclusions(properties),
    }
}

fn read_bandwidth(properties: &mut Reader<'_>) -> Option<u64> {
    let mut policy = properties.object("bandwidthPolicy")?;
    let most = policy.number("maxBytesPerSecond", 0..=MOST_BYTES_PER_SECOND);
    policy.finish();
    // 0 is no limit.
    most.filter(|most| *most > 0)
}

fn read_identities(properties: &mut Reader<'_>) -> Vec<IdentityMapping> {
    let mappings = properties.objects("identityMapping", MOST_IDENTITIES, |mapping| {
        let words = [("User", IdentityKind::User), ("Group", IdentityKind::Group)];
        let kind = mapping.required("kind").then(|| mapping.word("kind", &words)).flatten();
        let (source, target) = (mapping.required_element("source"), mapping.required_element("target"));
        Some(IdentityMapping { kind: kind?, source: source?, target: target? })
    });
    mappings.unwrap_or_default()
}

fn read_exclusions(properties: &mut Reader<'_>) -> Vec<String> {
    let names =
        properties.objects("exclusions", MOST_EXCLUSIONS, |exclusion| exclusion.required_element("name"));
    names.unwrap_or_default()
}

pub fn write(view: &View, document: &Document<Migration>, status: &MigrationStatus) -> Map<String, Value> {
    let migration = &document.spec;
    let policies = &migration.policies;
    let limit = policies.mass_delete_limit;
    let limit = json!({
        "count": limit.count, "percent": limit.percent, "window": duration::format(limit.window_seconds)
    });
    let exclusions: Vec<Value> = policies.exclusions.iter().map(|name| json!({ "name": name })).collect();
    let identities: Vec<Value> = policies
        .identities
        .iter()
        .map(|one| json!({ "kind": one.kind.as_str(), "source": one.source, "target": one.target }))
        .collect();
    let mut properties = Map::from_iter([
        ("path".to_owned(), json!(migration.path)),
        ("targetId".to_owned(), json!(view.show(&migration.target_id))),
        ("targetPath".to_owned(), json!(migration.target_path)),
        ("mode".to_owned(), json!(migration.mode.as_str())),
        ("autoStart".to_owned(), json!(migration.auto_start)),
        ("deletePolicy".to_owned(), json!(policies.delete.as_str())),
        ("driftPolicy".to_owned(), json!(policies.drift.as_str())),
        ("massDeleteLimit".to_owned(), limit),
        ("trashRetention".to_owned(), json!(duration::format(policies.trash_retention_seconds))),
        ("barriers".to_owned(), json!(policies.barriers)),
        ("generation".to_owned(), json!(document.generation)),
        ("observedGeneration".to_owned(), json!(status.observed_generation)),
        ("actionPolicy".to_owned(), json!(policies.action.as_str())),
        ("priority".to_owned(), json!(policies.priority.as_str())),
        ("exclusions".to_owned(), json!(exclusions)),
        ("identityMapping".to_owned(), json!(identities)),
        ("status".to_owned(), json!(status)),
    ]);
    if let Some(seconds) = policies.recurrence_seconds {
        properties.insert("recurrencePeriod".to_owned(), json!(duration::format(seconds)));
    }
    if let Some(most) = policies.max_bytes_per_second {
        properties.insert("bandwidthPolicy".to_owned(), json!({ "maxBytesPerSecond": most }));
    }
    properties
}
