//! Metadata migrations: which databases and tables go to which metadata target.

mod admission;
mod model;
mod v2023_11_01_preview;
mod v2026_11_01_preview;
mod validation;

use async_trait::async_trait;
use livedata_arm::ResourceId;
use livedata_model::metadata::{MetadataMigrationSpec, Setting};
use livedata_model::spec::RunState;
use livedata_store::Change;
use serde_json::{Map, Value};

use crate::core::Core;
use crate::document::{Document, Loaded};
use crate::errors::{self, Outcome};
use crate::kind::{Action, Description, Effect, Names, ResourceKind};
use crate::observed;
use crate::request::Request;
use crate::view::{Version, View};
use crate::wire::{self, Reader};

pub use model::{MetadataMigration, MetadataMigrationInput};

pub const COLLECTION: &str = "metadata_migrations";

pub struct MetadataMigrations;

#[async_trait]
impl ResourceKind for MetadataMigrations {
    type Input = MetadataMigrationInput;
    type Spec = MetadataMigration;
    type Admitted = ();

    const DESCRIPTION: Description = Description {
        path: &["migrators", "metadataMigrations"],
        collection: COLLECTION,
        display: "metadata migrations of a migrator",
        actions: &[
            Action {
                name: "start",
                alias: None,
                description: "Starts a metadata migration",
                since: Version::V2023_11_01,
            },
            Action {
                name: "stop",
                alias: None,
                description: "Stops a metadata migration; it keeps its place",
                since: Version::V2023_11_01,
            },
        ],
        public_patch: &[],
        names: Names::Usual,
    };

    fn read(
        view: &View,
        properties: Reader<'_>,
        _stored: Option<&MetadataMigration>,
    ) -> Option<MetadataMigrationInput> {
        let findings = properties.findings().clone();
        let given = if view.version.is_public() {
            v2023_11_01_preview::into_given(properties.typed()?)
        } else {
            v2026_11_01_preview::into_given(properties.typed()?)
        };
        validation::check(view, given, &findings)
    }

    async fn admit(
        core: &Core,
        id: &ResourceId,
        stored: Option<&Document<MetadataMigration>>,
        input: &MetadataMigrationInput,
        change: Change,
    ) -> Outcome<(Change, ())> {
        // What has become wrong of what is kept does not stand in the way of other changes (rule 53).
        if stored.is_some_and(|stored| stored.spec.target_id == input.target_id) {
            return Ok((change, ()));
        }
        Ok((admission::check_target(core, id, input, change).await?, ()))
    }

    /// A PUT never starts or stops one that is there; the actions do.
    fn mutate(
        _core: &Core,
        _guid: &str,
        stored: Option<&MetadataMigration>,
        input: MetadataMigrationInput,
        (): (),
    ) -> Outcome<MetadataMigration> {
        let (run, start_count) = match stored {
            Some(stored) => (stored.run, stored.start_count),
            None if input.auto_start => (RunState::Running, 1),
            None => (RunState::Stopped, 0),
        };
        Ok(MetadataMigration {
            database_pattern: input.database_pattern,
            table_pattern: input.table_pattern,
            target_id: input.target_id,
            auto_start: input.auto_start,
            databricks: input.databricks,
            run,
            start_count,
        })
    }

    async fn write(
        core: &Core,
        view: &View,
        document: &Document<MetadataMigration>,
    ) -> Outcome<Map<String, Value>> {
        if view.version.is_public() {
            return wire::properties(&v2023_11_01_preview::of_model(view, &document.spec));
        }
        let conditions = observed::conditions(core, document).await?;
        wire::properties(&v2026_11_01_preview::of_model(view, &document.spec, &conditions))
    }

    async fn act(
        _core: &Core,
        loaded: &Loaded<MetadataMigration>,
        action: &'static str,
        _request: &Request,
        unchanged: Change,
    ) -> Outcome<Effect<MetadataMigration>> {
        let spec = &loaded.document.spec;
        let spec = match (action, spec.run) {
            ("start", RunState::Stopped) => MetadataMigration {
                run: RunState::Running,
                start_count: loaded.document.generation.max(spec.start_count) + 1,
                ..spec.clone()
            },
            ("stop", RunState::Running) => MetadataMigration { run: RunState::Stopped, ..spec.clone() },
            ("start" | "stop", _) => spec.clone(),
            _ => {
                return Err(errors::INVALID_RESOURCE_TYPE
                    .error(format!("There is no action '{action}'."))
                    .into());
            }
        };
        Ok(Effect::Intent(spec, unchanged))
    }

    async fn acted(
        _core: &Core,
        view: &View,
        document: &Document<MetadataMigration>,
    ) -> Outcome<Option<Value>> {
        if !view.version.is_public() {
            return Ok(None);
        }
        let state = Some(document.spec.state());
        Ok(Some(serde_json::to_value(v2023_11_01_preview::StatusResponse { state })?))
    }
}

/// What the agent is told.
pub fn desired(guid: &str, spec: &MetadataMigration) -> MetadataMigrationSpec {
    let settings = spec.databricks.iter();
    MetadataMigrationSpec {
        database_pattern: spec.database_pattern.clone(),
        table_pattern: spec.table_pattern.clone(),
        target: spec.target_id.as_ref().map(|id| id.to_lowercase()),
        run: spec.run,
        start_count: spec.start_count,
        incarnation: guid.to_owned(),
        settings: settings
            .map(|(name, value)| Setting { name: name.clone(), value: value.clone() })
            .collect(),
    }
}
