//! What a client asks for: *validation* of the parameters of `…/metrics`, and nothing else.
//!
//! `az monitor metrics list` encodes its time span twice and names no time zone: both are understood.

use livedata_arm::ArmError;
use percent_encoding::percent_decode_str;
use time::{Duration, OffsetDateTime};

use super::catalogue::{Aggregation, Metric};
use crate::clock::parse_rfc3339;
use crate::request::Request;
use crate::{duration, errors};

/// Time grains, in minutes; what is kept is a point for each minute.
pub const GRAINS: [i64; 8] = [1, 5, 15, 30, 60, 360, 720, 1440];
const DEFAULT_SPAN: Duration = Duration::HOUR;
const MOST_METRICS: usize = 20;
/// Of all metrics together: the answer stays well below the 8 MB that ARM lets through (rule 100).
const MOST_POINTS: i64 = 40_000;

#[derive(Debug)]
pub struct Query {
    pub metrics: Vec<&'static Metric>,
    pub start: OffsetDateTime,
    pub end: OffsetDateTime,
    pub grain: Grain,
    /// None: the primary one of each metric.
    pub aggregations: Vec<Aggregation>,
    /// Only which series there are, not what is in them.
    pub metadata_only: bool,
}

/// The length of what one returned point stands for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Grain {
    Minutes(i64),
    /// The whole time span.
    Full,
}

impl Grain {
    pub fn show(self) -> String {
        match self {
            Self::Minutes(minutes) => duration::format(u64::try_from(minutes * 60).unwrap_or(0)),
            Self::Full => "FULL".to_owned(),
        }
    }
}

impl Query {
    /// Minutes since 1970 of each point's beginning, and the first minute after the last.
    pub fn buckets(&self) -> (Vec<i64>, i64) {
        let minute = |at: OffsetDateTime| at.unix_timestamp().div_euclid(60);
        let end = minute(self.end - Duration::NANOSECOND) + 1;
        match self.grain {
            Grain::Full => (vec![minute(self.start)], end),
            Grain::Minutes(grain) => {
                let first = minute(self.start).div_euclid(grain) * grain;
                let count = usize::try_from((end - first + grain - 1) / grain).unwrap_or(0);
                ((0..).map(|at| first + at * grain).take(count).collect(), end)
            }
        }
    }
}

fn bad(target: &str, message: impl Into<String>) -> ArmError {
    errors::BAD_REQUEST.at(target, message)
}

/// `resource_type` is as the client calls it, e.g. `LiveData.Platform/migrators`.
pub fn parse(
    request: &Request,
    resource_type: &str,
    known: &'static [Metric],
    now: OffsetDateTime,
) -> Result<Query, ArmError> {
    let given = |name| request.parameter(name).filter(|text| !text.is_empty());
    check_namespace(request, resource_type)?;
    let metrics = metrics(given("metricnames"), resource_type, known)?;
    let (start, end) = match given("timespan") {
        Some(text) => time_span(text)?,
        None => (now - DEFAULT_SPAN, now),
    };
    let grain = grain(given("interval"))?;
    let aggregations = aggregations(given("aggregation"))?;
    if let Some(filter) = given("$filter") {
        let first = metrics.first().map_or("", |metric| metric.name);
        let message = format!(
            "Metric: {first} does not support the requested dimension combination: '{filter}'. It has no dimensions; leave $filter away."
        );
        return Err(bad("$filter", message));
    }
    if let Some(top) = given("top")
        && !top.parse::<u32>().is_ok_and(|top| top > 0)
    {
        return Err(bad("top", format!("'top' must be a positive number, not '{top}'.")));
    }
    if let Some(order) = given("orderby") {
        check_order(order)?;
    }
    let metadata_only = match given("resultType") {
        None => false,
        Some(text) if text.eq_ignore_ascii_case("Data") => false,
        Some(text) if text.eq_ignore_ascii_case("Metadata") => true,
        Some(text) => {
            return Err(bad("resultType", format!("'resultType' is Data or Metadata, not '{text}'.")));
        }
    };
    let query = Query { metrics, start, end, grain, aggregations, metadata_only };
    check_size(&query)?;
    Ok(query)
}

/// The only namespace of metrics that a resource has is its type.
pub fn check_namespace(request: &Request, resource_type: &str) -> Result<(), ArmError> {
    match request.parameter("metricnamespace").filter(|text| !text.is_empty()) {
        Some(text) if !text.eq_ignore_ascii_case(resource_type) => {
            let message =
                format!("Failed to find metric namespace '{text}'. This resource has '{resource_type}'.");
            Err(bad("metricnamespace", message))
        }
        _ => Ok(()),
    }
}

fn metrics(
    names: Option<&str>,
    resource_type: &str,
    known: &'static [Metric],
) -> Result<Vec<&'static Metric>, ArmError> {
    let Some(first) = known.first() else {
        return Err(bad("metricnames", format!("Resources of type {resource_type} have no metrics.")));
    };
    let Some(names) = names else { return Ok(vec![first]) };
    let mut found: Vec<&'static Metric> = Vec::new();
    for name in names.split(',').map(str::trim) {
        let metric = known.iter().find(|metric| metric.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
            let valid: Vec<&str> = known.iter().map(|metric| metric.name).collect();
            let message = format!(
                "Failed to find metric configuration for resource type: {resource_type}, metric: {name}. Valid metrics: {}",
                valid.join(",")
            );
            bad("metricnames", message)
        })?;
        if !found.iter().any(|other| other.name == metric.name) {
            found.push(metric);
        }
    }
    if found.len() > MOST_METRICS {
        return Err(bad("metricnames", format!("One request takes at most {MOST_METRICS} metrics.")));
    }
    Ok(found)
}

fn time_span(text: &str) -> Result<(OffsetDateTime, OffsetDateTime), ArmError> {
    let wrong = || {
        let message =
            format!("'timespan' must be two ISO 8601 times, the earlier one first: START/END, not '{text}'.");
        bad("timespan", message)
    };
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| wrong())?;
    let (start, end) = decoded.split_once('/').ok_or_else(wrong)?;
    let (start, end) = (instant(start).ok_or_else(wrong)?, instant(end).ok_or_else(wrong)?);
    if start < end { Ok((start, end)) } else { Err(wrong()) }
}

/// Without a zone it is UTC. The sign of a zone that was not encoded has become a blank.
fn instant(text: &str) -> Option<OffsetDateTime> {
    let text = text.trim().replace(' ', "+");
    let at = parse_rfc3339(&text).or_else(|| parse_rfc3339(&format!("{text}Z")))?;
    // Beyond, the arithmetic of time spans would end.
    (1970..=9000).contains(&at.year()).then_some(at)
}

fn grain(text: Option<&str>) -> Result<Grain, ArmError> {
    let Some(text) = text else { return Ok(Grain::Minutes(1)) };
    if text.eq_ignore_ascii_case("FULL") {
        return Ok(Grain::Full);
    }
    let minutes = duration::parse(text)
        .filter(|seconds| seconds % 60 == 0)
        .and_then(|seconds| i64::try_from(seconds / 60).ok())
        .filter(|minutes| GRAINS.contains(minutes));
    minutes.map(Grain::Minutes).ok_or_else(|| {
        let allowed: Vec<String> = GRAINS.map(|grain| Grain::Minutes(grain).show()).to_vec();
        let message = format!(
            "Detected invalid time grain input '{text}'. Allowed time grains for the given resource are: {}, FULL.",
            allowed.join(", ")
        );
        bad("interval", message)
    })
}

fn aggregations(text: Option<&str>) -> Result<Vec<Aggregation>, ArmError> {
    let mut found = Vec::new();
    for name in text.unwrap_or("").split(',').map(str::trim).filter(|name| !name.is_empty()) {
        if name.eq_ignore_ascii_case("None") {
            continue;
        }
        let aggregation = Aggregation::parse(name).ok_or_else(|| {
            let message = format!(
                "Detected invalid aggregation '{name}'. Allowed are: Average, Minimum, Maximum, Total, Count."
            );
            bad("aggregation", message)
        })?;
        if !found.contains(&aggregation) {
            found.push(aggregation);
        }
    }
    Ok(found)
}

/// With one series there is nothing to be put in order.
fn check_order(text: &str) -> Result<(), ArmError> {
    let mut words = text.split_whitespace();
    let aggregation = words.next().is_some_and(|word| {
        // "sum" is the service's own word for Total here.
        word.eq_ignore_ascii_case("sum") || Aggregation::parse(word).is_some()
    });
    let direction =
        words.next().is_none_or(|word| word.eq_ignore_ascii_case("asc") || word.eq_ignore_ascii_case("desc"));
    if aggregation && direction && words.next().is_none() {
        return Ok(());
    }
    Err(bad("orderby", format!("'orderby' is an aggregation and asc or desc, not '{text}'.")))
}

fn check_size(query: &Query) -> Result<(), ArmError> {
    let Grain::Minutes(grain) = query.grain else { return Ok(()) };
    let each = (query.end - query.start).whole_minutes() / grain + 1;
    let points = each.saturating_mul(i64::try_from(query.metrics.len()).unwrap_or(i64::MAX));
    if points <= MOST_POINTS {
        return Ok(());
    }
    let message = format!(
        "The request asks for {points} points; at most {MOST_POINTS} are returned. Ask for a shorter time span, a longer interval or fewer metrics."
    );
    Err(bad("timespan", message))
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn time_spans_as_az_and_as_others_write_them() {
        let expected = (datetime!(2026-11-26 17:00 UTC), datetime!(2026-11-26 18:00 UTC));
        for text in [
            "2026-11-26T17:00:00Z/2026-11-26T18:00:00Z",
            "2026-11-26T17:00:00/2026-11-26T18:00:00.000",
            "2026-11-26T17%3A00%3A00%2F2026-11-26T18%3A00%3A00",
            "2026-11-26T19:00:00+02:00/2026-11-26T18:00:00 00:00",
        ] {
            assert_eq!(time_span(text).unwrap(), expected, "{text}");
        }
        for text in [
            "2026-11-26T17:00:00Z",
            "2026-11-26T17:00:00Z/",
            "2026-11-26T17:00:00Z/2026-11-26T17:00:00Z",
            "2026-11-26T18:00:00Z/2026-11-26T17:00:00Z",
            "yesterday/today",
            "%ff/%fe",
            "9999-12-31T00:00:00Z/9999-12-31T23:59:59Z",
        ] {
            assert_eq!(time_span(text).unwrap_err().code, "BadRequest", "{text}");
        }
    }

    #[test]
    fn only_known_time_grains() {
        for (text, expected) in [
            ("PT1M", Grain::Minutes(1)),
            ("PT60M", Grain::Minutes(60)),
            ("PT1H", Grain::Minutes(60)),
            ("P1D", Grain::Minutes(1440)),
            ("full", Grain::Full),
        ] {
            assert_eq!(grain(Some(text)).unwrap(), expected);
        }
        for text in ["PT2M", "PT90S", "1m", "P1M", "PT0S", "P99999999999D", "-PT1M"] {
            assert_eq!(grain(Some(text)).unwrap_err().target.as_deref(), Some("interval"), "{text}");
        }
    }

    #[test]
    fn points_begin_at_whole_grains_and_cover_the_span() {
        let query = |start, end, grain| Query {
            metrics: Vec::new(),
            start,
            end,
            grain,
            aggregations: Vec::new(),
            metadata_only: false,
        };
        let (start, end) = (datetime!(2026-11-26 17:02:30 UTC), datetime!(2026-11-26 17:11 UTC));
        let minute = datetime!(2026-11-26 17:00 UTC).unix_timestamp() / 60;
        let (buckets, after) = query(start, end, Grain::Minutes(5)).buckets();
        assert_eq!((buckets, after), (vec![minute, minute + 5, minute + 10], minute + 11));
        let (buckets, after) = query(start, end, Grain::Full).buckets();
        assert_eq!((buckets, after), (vec![minute + 2], minute + 11));
    }
}
