//! Migrations: one directory of the source to one area of a target.

mod admission;
mod input;
mod model;
mod mutation;
mod v2026_11_01_preview;
mod validation;

use async_trait::async_trait;
use livedata_arm::{ProvisioningState, ResourceId};
use livedata_model::command::CommandKind;
use livedata_model::spec::MigrationSpec;
use livedata_store::Change;
use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::core::Core;
use crate::document::{self, Document, Loaded};
use crate::errors::{self, Outcome};
use crate::kind::{Action, Description, Effect, ResourceKind, Settled};
use crate::request::Request;
use crate::resources::targets::{self, Target};
use crate::wire::Reader;
use crate::{areas, commands, failed_paths, observed};

pub use model::{Migration, MigrationInput, Policies};

pub const COLLECTION: &str = "live_data_migrations";

pub struct LiveDataMigrations;

#[async_trait]
impl ResourceKind for LiveDataMigrations {
    type Input = MigrationInput;
    type Spec = Migration;
    /// Where the area is reserved.
    type Admitted = String;

    const DESCRIPTION: Description = Description {
        path: &["migrators", "liveDataMigrations"],
        collection: COLLECTION,
        display: "migrations of a migrator",
        actions: &[
            Action {
                name: "start",
                alias: None,
                description: "Starts a migration, or runs a finished one again",
            },
            Action { name: "stop", alias: None, description: "Stops a migration; it keeps its place" },
            Action {
                name: "reset",
                alias: None,
                description: "Makes a stopped or finished migration as new; data at the target stays",
            },
            Action {
                name: "rescan",
                alias: None,
                description: "Looks at the migration, or at what is below a path of it, again",
            },
            Action {
                name: "retryFailed",
                alias: None,
                description: "Tries the paths that were given up again",
            },
            Action {
                name: "approveDeletes",
                alias: None,
                description: "Lets the deletes that are held happen",
            },
            Action {
                name: "listFailedPaths",
                alias: None,
                description: "Lists the paths that were given up",
            },
        ],
    };

    fn read(properties: Reader<'_>) -> Option<MigrationInput> {
        validation::check(v2026_11_01_preview::read(properties))
    }

    async fn admit(
        core: &Core,
        id: &ResourceId,
        stored: Option<&Document<Migration>>,
        input: &MigrationInput,
        change: Change,
    ) -> Outcome<(Change, String)> {
        match stored {
            Some(stored) => {
                admission::check_unchanged(&stored.spec, input)?;
                Ok((change, stored.spec.area.clone()))
            }
            None => admission::reserve(core, id, input, change).await,
        }
    }

    fn mutate(
        _core: &Core,
        _guid: &str,
        stored: Option<&Migration>,
        input: MigrationInput,
        area: String,
    ) -> Outcome<Migration> {
        Ok(mutation::intent(stored, area, input))
    }

    async fn write(core: &Core, document: &Document<Migration>) -> Outcome<Map<String, Value>> {
        let status = observed::migration_status(core, document).await?;
        Ok(v2026_11_01_preview::write(document, &status))
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
                return Ok(Effect::Intent(mutation::started(&document.spec, document.generation, finished)));
            }
            "stop" => return Ok(Effect::Intent(mutation::stopped(&document.spec))),
            "reset" => {
                input::none(request)?;
                admission::check_settled(document, status.now)?;
                return Ok(Effect::Intent(mutation::reset(&document.spec, document.generation)));
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
        Ok(Effect::Command(commands::give(core, loaded, kind, change).await?))
    }
}

/// What the agent is told; `guid` was made with the resource.
pub fn desired(guid: &str, spec: &Migration) -> MigrationSpec {
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
    }
}
