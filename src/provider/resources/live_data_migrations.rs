//! Migrations: one directory of the source to one area of a target.

pub mod admission;
mod input;
mod model;
mod mutation;
pub mod v2023_11_01_preview;
mod v2026_11_01_preview;
mod validation;

use async_trait::async_trait;
use livedata_arm::{ProvisioningState, ResourceId};
use livedata_model::command::CommandKind;
use livedata_model::rules::Exclusion;
use livedata_model::spec::MigrationSpec;
use livedata_store::Change;
use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::core::Core;
use crate::document::{self, Document, Loaded};
use crate::errors::{self, Outcome};
use crate::kind::{Action, Description, Effect, Names, ResourceKind, Settled};
use crate::request::Request;
use crate::resources::exclusion_templates;
use crate::resources::targets::{self, Target};
use crate::view::{Version, View};
use crate::wire::{self, Reader};
use crate::{areas, commands, failed_paths, observed};

pub use model::{Migration, MigrationInput, Policies};
pub use validation::canonical;

pub const COLLECTION: &str = "live_data_migrations";

pub struct LiveDataMigrations;

#[async_trait]
impl ResourceKind for LiveDataMigrations {
    type Input = MigrationInput;
    type Spec = Migration;
    /// Where it writes.
    type Admitted = model::Place;

    const DESCRIPTION: Description = Description {
        path: &["migrators", "liveDataMigrations"],
        collection: COLLECTION,
        display: "migrations of a migrator",
        actions: &[
            Action {
                name: "start",
                alias: None,
                description: "Starts a migration, or runs a finished one again",
                since: Version::V2023_11_01,
            },
            Action {
                name: "stop",
                alias: None,
                description: "Stops a migration; it keeps its place",
                since: Version::V2023_11_01,
            },
            Action {
                name: "reset",
                alias: None,
                description: "Makes a stopped or finished migration as new; data at the target stays",
                since: Version::V2023_11_01,
            },
            Action {
                name: "rescan",
                alias: None,
                description: "Looks at the migration, or at what is below a path of it, again",
                since: Version::V2026_11_01,
            },
            Action {
                name: "retryFailed",
                alias: None,
                description: "Tries the paths that were given up again",
                since: Version::V2026_11_01,
            },
            Action {
                name: "approveDeletes",
                alias: None,
                description: "Lets the deletes that are held happen",
                since: Version::V2026_11_01,
            },
            Action {
                name: "listFailedPaths",
                alias: None,
                description: "Lists the paths that were given up",
                since: Version::V2026_11_01,
            },
        ],
        public_patch: &["exclusions", "recurringPeriodSeconds", "priority"],
        names: Names::Usual,
    };

    fn read(view: &View, properties: Reader<'_>, stored: Option<&Migration>) -> Option<MigrationInput> {
        if view.version.is_public() {
            let findings = properties.findings().clone();
            let wire = v2023_11_01_preview::into_wire(view, properties.typed()?, stored, findings);
            return validation::check(wire);
        }
        validation::check(v2026_11_01_preview::read(view, properties))
    }

    async fn admit(
        core: &Core,
        id: &ResourceId,
        stored: Option<&Document<Migration>>,
        input: &MigrationInput,
        change: Change,
    ) -> Outcome<(Change, model::Place)> {
        let change = admission::check_exclusions(core, id, input, change).await?;
        match stored {
            Some(stored) => {
                admission::check_unchanged(&stored.spec, input)?;
                Ok((change, stored.spec.place()))
            }
            None => admission::reserve(core, id, input, change).await,
        }
    }

    fn mutate(
        _core: &Core,
        _guid: &str,
        stored: Option<&Migration>,
        input: MigrationInput,
        place: model::Place,
    ) -> Outcome<Migration> {
        Ok(mutation::intent(stored, place, input))
    }

    async fn write(core: &Core, view: &View, document: &Document<Migration>) -> Outcome<Map<String, Value>> {
        let status = observed::migration_status(core, document).await?;
        if view.version.is_public() {
            let exclusions = exclusion_templates::expanded(core, document).await?;
            let wire = v2023_11_01_preview::of_model(view, document, status.now, exclusions);
            return wire::properties(&wire);
        }
        Ok(v2026_11_01_preview::write(view, document, &status))
    }

    /// The public contract removes what has been stopped only.
    async fn admit_delete(
        core: &Core,
        view: &View,
        loaded: &Loaded<Migration>,
        change: Change,
    ) -> Outcome<Change> {
        if view.version.is_public() {
            let status = observed::migration_status(core, &loaded.document).await?;
            admission::check_settled(&loaded.document, status.now)?;
        }
        Ok(change)
    }

    /// Waits for the target: an agent can do nothing with a migration whose target it is not told.
    async fn settle(
        core: &Core,
        document: &Document<Migration>,
        _since: OffsetDateTime,
    ) -> Outcome<Settled<Migration>> {
        let key = document.spec.target_id.to_lowercase();
        let target = document::load::<Target>(core.store.as_ref(), targets::COLLECTION, &key).await?;
        Ok(match target.map(|target| target.document) {
            Some(target) if target.applied.is_some() => Settled::Applied(document.spec.clone()),
            Some(target)
                if !target.provisioning.is_terminal()
                    && target.provisioning != ProvisioningState::Deleting =>
            {
                Settled::NotYet
            }
            _ => Settled::Failed(admission::not_ready(&document.spec.target_id)),
        })
    }

    async fn erase(core: &Core, document: &Document<Migration>, change: Change) -> Outcome<Change> {
        let areas = areas::load_key(core, document.spec.area.clone()).await?;
        let change = areas.release(&document.id, change)?;
        let change = commands::erase(core, &document.key(), change).await?;
        let change = failed_paths::erase(core.store.as_ref(), &document.key(), change).await?;
        Ok(change.remove(observed::MIGRATIONS, document.key()))
    }

    async fn act(
        core: &Core,
        loaded: &Loaded<Migration>,
        action: &'static str,
        request: &Request,
        change: Change,
    ) -> Outcome<Effect<Migration>> {
        let document = &loaded.document;
        let status = observed::migration_status(core, document).await?;
        let kind = match action {
            "start" => {
                let finished = status.now.is_settled();
                let started = mutation::started(&document.spec, document.generation, finished);
                return Ok(Effect::Intent(started, change));
            }
            "stop" => return Ok(Effect::Intent(mutation::stopped(&document.spec), change)),
            "reset" => {
                let input = input::reset(request)?;
                admission::check_settled(document, status.now)?;
                let (change, place) = match input.reset_path_mapping {
                    true => admission::replace(core, document, change).await?,
                    false => (change, document.spec.place()),
                };
                let action = input.action.unwrap_or(document.spec.policies.action);
                let reset = mutation::reset(&document.spec, document.generation, place, action);
                return Ok(Effect::Intent(reset, change));
            }
            "listFailedPaths" => {
                input::none(request)?;
                return Ok(Effect::Answer(failed_paths::page(core, document, request).await?));
            }
            "rescan" => {
                let path = input::rescan(request, &document.spec)?;
                CommandKind::Rescan { path }
            }
            "retryFailed" => {
                input::none(request)?;
                CommandKind::RetryFailed
            }
            "approveDeletes" => {
                input::none(request)?;
                CommandKind::ApproveDeletes
            }
            _ => {
                return Err(errors::INVALID_RESOURCE_TYPE
                    .error(format!("There is no action '{action}'."))
                    .into());
            }
        };
        admission::check_command(document, &status, &kind)?;
        let trace = request.trace.clone();
        Ok(Effect::Command(commands::give(core, loaded, kind, trace, change).await?))
    }

    async fn acted(core: &Core, view: &View, document: &Document<Migration>) -> Outcome<Option<Value>> {
        if !view.version.is_public() {
            return Ok(None);
        }
        let status = observed::migration_status(core, document).await?;
        let migration_status = Some(status.now.into());
        Ok(Some(serde_json::to_value(v2023_11_01_preview::StatusResponse { migration_status })?))
    }
}

/// What the agent is told; `guid` was made with the resource.
pub fn desired(guid: &str, spec: &Migration, exclusions: Vec<Exclusion>) -> MigrationSpec {
    MigrationSpec {
        target: spec.target_id.to_lowercase(),
        source_path: spec.path.clone(),
        target_path: spec.target_path.clone(),
        mode: spec.mode,
        run: spec.run,
        start_count: spec.start_count,
        reset_count: spec.reset_count,
        incarnation: guid.to_owned(),
        delete_policy: spec.policies.delete,
        drift_policy: spec.policies.drift,
        mass_delete_limit: spec.policies.mass_delete_limit,
        trash_retention_seconds: spec.policies.trash_retention_seconds,
        barriers: spec.policies.barriers.clone(),
        exclusions,
        action_policy: spec.policies.action,
        priority: spec.policies.priority,
        recurrence_seconds: spec.policies.recurrence_seconds,
        max_bytes_per_second: spec.policies.max_bytes_per_second,
        identities: spec.policies.identities.clone(),
    }
}
