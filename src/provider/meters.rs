//! The provider's instruments, in OpenTelemetry's terms; `docs/telemetry.md` tells their names as Prometheus has them.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Instant;

use async_trait::async_trait;
use livedata_model::report::MigrationReport;
use livedata_store::{Change, Error, Record, Result, Store, Write};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Counter, Histogram, Meter};
use serde::Deserialize;

use crate::core::{Core, migrator_key};
use crate::errors::Outcome;
use crate::operations::{self, State, Verb};

/// Of durations in seconds, as the semantic conventions of HTTP advise.
const BOUNDARIES: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// How many operations in progress are counted; more are shown as this many.
const MOST_COUNTED: usize = 10_000;

/// Requests by method, address and status.
pub struct Requests(Histogram<f64>);

impl Requests {
    pub fn new(meter: &Meter) -> Self {
        Self(
            meter
                .f64_histogram("http.server.request.duration")
                .with_unit("s")
                .with_description("Time from a request's head to its answer")
                .with_boundaries(BOUNDARIES.to_vec())
                .build(),
        )
    }

    pub fn answered(
        &self,
        listener: &'static str,
        method: &str,
        route: Option<&str>,
        status: u16,
        began: Instant,
    ) {
        // What a client makes up is no word of ours: the number of series must stay small.
        let known =
            ["GET", "HEAD", "PUT", "PATCH", "POST", "DELETE"].into_iter().find(|known| *known == method);
        let mut attributes = vec![
            KeyValue::new("http.request.method", known.unwrap_or("_OTHER")),
            KeyValue::new("http.response.status_code", i64::from(status)),
            KeyValue::new("url.scheme", "https"),
            KeyValue::new("livedata.listener", listener),
        ];
        attributes.extend(route.map(|route| KeyValue::new("http.route", route.to_owned())));
        self.0.record(began.elapsed().as_secs_f64(), &attributes);
    }
}

/// A store whose calls are counted and timed, and in whose commits the operations that begin and end are counted.
pub struct MeasuredStore {
    inner: Arc<dyn Store>,
    calls: Histogram<f64>,
    operations: Counter<u64>,
}

/// The part of an operation's record that is counted.
#[derive(Deserialize)]
struct Counted {
    verb: Verb,
    state: State,
}

impl MeasuredStore {
    pub fn new(inner: Arc<dyn Store>, meter: &Meter) -> Self {
        Self {
            inner,
            calls: meter
                .f64_histogram("livedata.store.call.duration")
                .with_unit("s")
                .with_description("Time that the store took to answer; a commit is durable by then")
                .with_boundaries(BOUNDARIES.to_vec())
                .build(),
            operations: meter
                .u64_counter("livedata.operations")
                .with_unit("{operation}")
                .with_description("Long-running operations that came to a state; InProgress: they began")
                .build(),
        }
    }

    fn called<T>(&self, call: &'static str, began: Instant, result: &Result<T>) {
        let outcome = match result {
            Ok(_) => "ok",
            Err(Error::Conflict { .. }) => "conflict",
            Err(Error::Unavailable(_) | Error::KeyUnavailable(_)) => "unavailable",
            Err(Error::Full(_)) => "full",
            Err(Error::Damaged(_)) => "damaged",
            Err(Error::Newer { .. }) => "newer",
        };
        let attributes = [KeyValue::new("call", call), KeyValue::new("outcome", outcome)];
        self.calls.record(began.elapsed().as_secs_f64(), &attributes);
    }
}

#[async_trait]
impl Store for MeasuredStore {
    async fn get(&self, collection: &str, key: &str) -> Result<Option<Record>> {
        let began = Instant::now();
        let result = self.inner.get(collection, key).await;
        self.called("get", began, &result);
        result
    }

    async fn list(
        &self,
        collection: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Record>> {
        let began = Instant::now();
        let result = self.inner.list(collection, prefix, after, limit).await;
        self.called("list", began, &result);
        result
    }

    async fn commit(&self, change: Change) -> Result<()> {
        let moved: Vec<Counted> = change
            .writes
            .iter()
            .filter_map(|write| match write {
                Write::Put { collection, body, .. } if *collection == operations::COLLECTION => {
                    serde_json::from_slice(body).ok()
                }
                _ => None,
            })
            .collect();
        let began = Instant::now();
        let result = self.inner.commit(change).await;
        self.called("commit", began, &result);
        if result.is_ok() {
            for Counted { verb, state } in moved {
                let attributes = [
                    KeyValue::new("verb", format!("{verb:?}")),
                    KeyValue::new("state", format!("{state:?}")),
                ];
                self.operations.add(1, &attributes);
            }
        }
        result
    }
}

/// Counts the operations that are not over, for an instrument that cannot wait for the store.
pub async fn count(core: &Core) -> Outcome<()> {
    let found = core.store.list(operations::WORK, "", None, MOST_COUNTED).await?;
    core.operations_in_progress.store(found.len() as u64, Ordering::Relaxed);
    Ok(())
}

/// Instruments that look when they are asked: what agents report, as far as this process holds their sessions.
pub fn observe(meter: &Meter, core: &Weak<Core>) {
    let of = core.clone();
    meter
        .u64_observable_gauge("livedata.operations.in_progress")
        .with_unit("{operation}")
        .with_description("Long-running operations that are not over")
        .with_callback(move |gauge| {
            if let Some(core) = of.upgrade() {
                gauge.observe(core.operations_in_progress.load(Ordering::Relaxed), &[]);
            }
        })
        .build();
    let of = core.clone();
    meter
        .u64_observable_gauge("livedata.agent.session")
        .with_unit("{session}")
        .with_description(
            "1 while this provider has a session with the migrator's agent, 0 while it has none",
        )
        .with_callback(move |gauge| {
            let Some(core) = of.upgrade() else { return };
            for (migrator, connected) in core.observed.sessions() {
                gauge.observe(u64::from(connected), &[KeyValue::new("migrator", migrator)]);
            }
        })
        .build();
    for reading in READINGS {
        let of = core.clone();
        meter
            .u64_observable_gauge(reading.name)
            .with_unit(reading.unit)
            .with_description(reading.description)
            .with_callback(move |gauge| {
                if let Some(core) = of.upgrade() {
                    core.observed.each_migration(|key, report| read(reading, key, report, gauge));
                }
            })
            .build();
    }
    let of = core.clone();
    meter
        .u64_observable_gauge("livedata.migration.state")
        .with_description("1: the migration is in this state")
        .with_callback(move |gauge| {
            let Some(core) = of.upgrade() else { return };
            core.observed.each_migration(|key, report| {
                let mut attributes = whose(key);
                attributes.push(KeyValue::new("state", report.state.as_str()));
                gauge.observe(1, &attributes);
            });
        })
        .build();
}

/// With the value of the label `kind`, where a gauge has several.
type Values = Vec<(Option<&'static str>, u64)>;

/// One gauge of every migration. Gauges, because progress starts over with each run and migrated bytes may go back.
struct Reading {
    name: &'static str,
    unit: &'static str,
    description: &'static str,
    of: fn(&MigrationReport) -> Values,
}

static READINGS: &[Reading] = &[
    Reading {
        name: "livedata.migration.files",
        unit: "{file}",
        description: "Files in the present run, by what became of them",
        of: |report| {
            let progress = &report.progress;
            vec![
                (Some("scanned"), progress.files_scanned),
                (Some("migrated"), progress.files_migrated),
                (Some("excluded"), progress.files_excluded),
                (Some("failed"), progress.files_failed),
            ]
        },
    },
    Reading {
        name: "livedata.migration.directories_scanned",
        unit: "{directory}",
        description: "Directories that the present run has listed",
        of: |report| vec![(None, report.progress.directories_scanned)],
    },
    Reading {
        name: "livedata.migration.size",
        unit: "By",
        description: "Bytes in the present run: found at the source, and at the target",
        of: |report| {
            vec![
                (Some("scanned"), report.progress.bytes_scanned),
                (Some("migrated"), report.progress.bytes_migrated),
            ]
        },
    },
    Reading {
        name: "livedata.migration.throughput",
        unit: "By/s",
        description: "Bytes that reach the target",
        of: |report| vec![(None, report.progress.bytes_per_second)],
    },
    Reading {
        name: "livedata.migration.files_per_second",
        unit: "",
        description: "Files that reach the target",
        of: |report| vec![(None, report.progress.files_per_second)],
    },
    Reading {
        name: "livedata.migration.lag",
        unit: "s",
        description: "Age of the oldest change of the source that is not at the target",
        of: |report| report.lag.iter().map(|lag| (None, lag.seconds)).collect(),
    },
    Reading {
        name: "livedata.migration.lag_transactions",
        unit: "{transaction}",
        description: "Transactions of the source that are not all at the target",
        of: |report| report.lag.iter().map(|lag| (None, lag.transactions)).collect(),
    },
    Reading {
        name: "livedata.migration.watermark",
        unit: "{transaction}",
        description: "Every change up to this position of the source is at the target",
        of: |report| report.lag.iter().map(|lag| (None, lag.watermark)).collect(),
    },
    Reading {
        name: "livedata.migration.remaining",
        unit: "s",
        description: "Time until the copy is complete at the present rate",
        of: |report| report.estimated_seconds.iter().map(|seconds| (None, *seconds)).collect(),
    },
];

fn read(reading: &Reading, key: &str, report: &MigrationReport, gauge: &dyn AsyncInstrument<u64>) {
    for (kind, value) in (reading.of)(report) {
        let mut attributes = whose(key);
        attributes.extend(kind.map(|kind| KeyValue::new("kind", kind)));
        gauge.observe(value, &attributes);
    }
}

fn whose(key: &str) -> Vec<KeyValue> {
    vec![
        KeyValue::new("migrator", migrator_key(key).to_owned()),
        KeyValue::new("migration", key.rsplit('/').next().unwrap_or("").to_owned()),
    ]
}
