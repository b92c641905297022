//! Azure Monitor's metrics of our resources: `{resource}/providers/Microsoft.Insights/metrics` and `…/metricDefinitions`, as
//! `az monitor metrics` and dashboards read them.
//!
//! In Azure another service answers at these addresses; here the provider does, because nobody else has the numbers. It keeps
//! the public names of `Wandisco.Fusion` ([`catalogue`]) and adds its own. What is asked for is read by [`query`], the numbers come
//! from [`series`].

mod baseline;
mod catalogue;
mod query;
pub mod series;

use std::collections::BTreeMap;

use livedata_arm::{ArmError, ResourceId};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use crate::clock::rfc3339;
use crate::core::Core;
use crate::document;
use crate::errors::{self, Outcome};
use crate::request::{Request, Response};
use crate::verbs::{Handler, normal_location};
use catalogue::{Aggregation, Metric};
use query::{GRAINS, Grain, Query};
use series::{Minutes, Point};

const NAMESPACE: &str = "Microsoft.Insights";
/// The newest first.
const API_VERSIONS: [&str; 7] = [
    "2024-02-01",
    "2023-10-01",
    "2021-05-01",
    "2019-07-01",
    "2018-01-01",
    "2017-05-01-preview",
    "2016-09-01",
];

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Asked {
    Metrics,
    Definitions,
}

impl Asked {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Definitions => "metricDefinitions",
        }
    }
}

/// What is asked for and of which resource, if the path is one of these.
pub fn of_path(segments: &[String]) -> Option<(Asked, &[String])> {
    let (of, [providers, namespace, asked]) = segments.split_last_chunk::<3>()?;
    if !providers.eq_ignore_ascii_case("providers") || !namespace.eq_ignore_ascii_case(NAMESPACE) {
        return None;
    }
    let asked = [Asked::Metrics, Asked::Definitions]
        .into_iter()
        .find(|known| known.name().eq_ignore_ascii_case(asked))?;
    Some((asked, of))
}

/// Their versions are those of that service.
pub fn check_version(request: &Request) -> Result<(), ArmError> {
    let supported = API_VERSIONS.join(", ");
    match request.parameter("api-version").filter(|version| !version.is_empty()) {
        None => Err(errors::MISSING_API_VERSION.error(format!(
            "The api-version query parameter is required. The supported versions are: {supported}."
        ))),
        Some(given) if API_VERSIONS.iter().any(|known| known.eq_ignore_ascii_case(given)) => Ok(()),
        Some(given) => Err(errors::INVALID_API_VERSION.error(format!(
            "The api-version '{given}' is not supported. The supported versions are: {supported}."
        ))),
    }
}

pub async fn answer(
    core: &Core,
    request: &Request,
    asked: Asked,
    kind: &dyn Handler,
    id: &ResourceId,
) -> Outcome<Response> {
    let collection = kind.description().collection;
    let found = document::load::<Value>(core.store.as_ref(), collection, &id.key()).await?;
    let found = found.ok_or_else(|| ArmError::not_found(&id.to_string()))?.document;
    let of = Resource {
        id: request.view.show(&found.id),
        guid: found.guid,
        resource_type: format!("{}/{}", request.view.namespace(), kind.description().type_path()),
        region: normal_location(&found.location),
        metrics: catalogue::of(id),
    };
    match asked {
        Asked::Definitions => {
            query::check_namespace(request, &of.resource_type)?;
            Ok(Response::json(200, json!({"value": of.definitions()})))
        }
        Asked::Metrics => {
            let query = query::parse(request, &of.resource_type, of.metrics, core.clock.now())?;
            Ok(Response::json(200, of.values(core, &query).await?))
        }
    }
}

/// Whose metrics these are, as the client knows it.
struct Resource {
    id: String,
    guid: String,
    resource_type: String,
    region: String,
    metrics: &'static [Metric],
}

impl Resource {
    fn definitions(&self) -> Vec<Value> {
        let availabilities: Vec<Value> = GRAINS
            .iter()
            .map(|grain| {
                let kept = u64::try_from(series::KEPT.whole_seconds()).unwrap_or(0);
                json!({"timeGrain": Grain::Minutes(*grain).show(), "retention": crate::duration::format(kept)})
            })
            .collect();
        let definition = |metric: &Metric| {
            json!({
                "id": format!("{}/providers/{NAMESPACE}/metricDefinitions/{}", self.id, metric.name),
                "resourceId": self.id,
                "namespace": self.resource_type,
                "category": if metric.public { "Migration" } else { "LiveData Platform" },
                "name": name(metric),
                "displayDescription": metric.display,
                "isDimensionRequired": false,
                "unit": format!("{:?}", metric.unit),
                "primaryAggregationType": format!("{:?}", metric.primary),
                "supportedAggregationTypes": Aggregation::ALL.map(|one| format!("{one:?}")),
                "metricAvailabilities": availabilities,
                "dimensions": [],
            })
        };
        self.metrics.iter().map(definition).collect()
    }

    async fn values(&self, core: &Core, query: &Query) -> Outcome<Value> {
        let (buckets, end) = query.buckets();
        let oldest = (core.clock.now() - series::KEPT).unix_timestamp().div_euclid(60);
        // Nothing is older than what is kept, or newer than now.
        let newest = core.clock.now().unix_timestamp().div_euclid(60) + 1;
        let first = buckets.first().copied().unwrap_or(end).max(oldest);
        let points = if query.metadata_only || first >= end.min(newest) {
            BTreeMap::new()
        } else {
            core.series.read(core.store.as_ref(), &self.guid, first, end.min(newest)).await?
        };
        let value = |metric: &&Metric| {
            json!({
                "id": format!("{}/providers/{NAMESPACE}/metrics/{}", self.id, metric.name),
                "type": "Microsoft.Insights/metrics",
                "name": name(metric),
                "displayDescription": metric.display,
                "unit": format!("{:?}", metric.unit),
                "timeseries": time_series(metric, query, &buckets, end, &points),
                "errorCode": "Success",
            })
        };
        Ok(json!({
            "cost": 0,
            "timespan": format!("{}/{}", shown(query.start), shown(query.end)),
            "interval": query.grain.show(),
            "namespace": self.resource_type,
            "resourceregion": self.region,
            "value": query.metrics.iter().map(value).collect::<Vec<_>>(),
        }))
    }
}

fn name(metric: &Metric) -> Value {
    json!({"value": metric.name, "localizedValue": metric.display})
}

fn shown(at: OffsetDateTime) -> String {
    rfc3339(at.to_offset(time::UtcOffset::UTC))
}

fn time_series(
    metric: &Metric,
    query: &Query,
    buckets: &[i64],
    end: i64,
    points: &BTreeMap<u16, Minutes>,
) -> Vec<Value> {
    // Nothing measures it: there is no series, which is not the same as one of zeros.
    let Some(quantity) = metric.quantity else { return Vec::new() };
    if query.metadata_only {
        return vec![json!({"metadatavalues": []})];
    }
    let nothing = Minutes::new();
    let minutes = points.get(&(quantity as u16)).unwrap_or(&nothing);
    let primary = [metric.primary];
    let wanted = if query.aggregations.is_empty() { &primary[..] } else { &query.aggregations[..] };
    let data: Vec<Value> = buckets
        .iter()
        .enumerate()
        .map(|(at, begin)| {
            let until = buckets.get(at + 1).copied().unwrap_or(end);
            let whole = minutes.range(*begin..until).map(|(_, point)| *point).reduce(Point::and);
            datum(*begin, whole, wanted)
        })
        .collect();
    vec![json!({"metadatavalues": [], "data": data})]
}

/// A time without samples has no value.
fn datum(minute: i64, point: Option<Point>, wanted: &[Aggregation]) -> Value {
    let at = OffsetDateTime::from_unix_timestamp(minute * 60).map(rfc3339).unwrap_or_default();
    let mut datum = Map::from_iter([("timeStamp".to_owned(), Value::String(at))]);
    for (aggregation, point) in wanted.iter().filter_map(|aggregation| Some((aggregation, point?))) {
        let (key, value) = match aggregation {
            Aggregation::Average => ("average", point.sum / point.count as f64),
            Aggregation::Minimum => ("minimum", point.least),
            Aggregation::Maximum => ("maximum", point.greatest),
            Aggregation::Total => ("total", point.sum),
            Aggregation::Count => ("count", point.count as f64),
        };
        datum.insert(key.to_owned(), json!(value));
    }
    Value::Object(datum)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::catalogue::{DATA_TRANSFER_AGENT, LIVE_DATA_MIGRATION, METADATA_MIGRATION, MIGRATOR, Metric};

    const ALL: [(&str, &[Metric]); 4] = [
        ("migrators", MIGRATOR),
        ("migrators/liveDataMigrations", LIVE_DATA_MIGRATION),
        ("migrators/metadataMigrations", METADATA_MIGRATION),
        ("migrators/dataTransferAgents", DATA_TRANSFER_AGENT),
    ];

    #[test]
    fn the_public_catalogue_is_there_as_it_was_published() {
        let text = include_str!("tests/fixtures/azure-monitor-metrics-2024-07-30/metrics.json");
        let published: Value = serde_json::from_str(text).unwrap();
        let mut count = 0;
        for (types, ours) in ALL {
            let names = published[format!("Wandisco.Fusion/{types}")].as_array().unwrap();
            count += names.len();
            let public: Vec<&Metric> = ours.iter().filter(|metric| metric.public).collect();
            assert_eq!(public.len(), names.len(), "{types}");
            for (metric, name) in public.iter().zip(names) {
                let (unit, aggregation) = (format!("{:?}", metric.unit), format!("{:?}", metric.primary));
                assert_eq!(
                    [metric.name, metric.display, unit.as_str(), aggregation.as_str()],
                    ["name", "displayName", "unit", "aggregation"].map(|key| name[key].as_str().unwrap())
                );
            }
        }
        assert_eq!(count, 33);
    }

    /// What a name means, or that nothing measures it.
    #[test]
    fn docs_name_every_metric_and_say_which_nothing_measures() {
        let page = include_str!("../../docs/telemetry.md");
        for (types, ours) in ALL {
            for metric in ours {
                let row = format!("| `{types}` | `{}` |", metric.name);
                let line = page.lines().find(|line| line.starts_with(&row));
                let line = line.unwrap_or_else(|| panic!("docs/telemetry.md has no row {row}"));
                assert_eq!(line.contains("*not measured*"), metric.quantity.is_none(), "{line}");
            }
        }
    }
}
