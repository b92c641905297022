//! Deleting a resource group: empties it through the providers, then removes it.
//!
//! Intent is stored first (group in state `Deleting` and a deletion record, in one transaction), so a front door that
//! was killed goes on at its next start. A provider may refuse to delete a resource that another one still needs
//! (rule 56); such a resource is asked again on the next pass, until the time is up and the deletion fails.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use livedata_arm::{ArmError, ErrorDetail};
use livedata_store::Change;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;
use uuid::Uuid;

use super::record::{self, GroupState};
use super::{GROUPS, group_key, still_deleting};
use crate::app::App;
use crate::clock;
use crate::custom_providers;
use crate::dispatch::method_not_allowed;
use crate::forward::OnBehalfOf;
use crate::registration;
use crate::reply::{Outcome, Reply, arm_error};
use crate::request::{Incoming, Method};
use crate::sign_in::Caller;
use crate::storage;
use crate::upstream::Upstream;

/// Collection; keys are operation ids.
const DELETIONS: &str = "front-door.deletions";
const GIVE_UP_AFTER: Duration = Duration::from_secs(600);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How long the result of a finished deletion can be asked for.
const KEPT_FOR: time::Duration = time::Duration::days(7);
const PAGE: usize = 500;

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Deletion {
    group: String,
    /// In whose name the contained resources are deleted.
    app_id: String,
    state: State,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum State {
    Running,
    Succeeded { ended_at: i64 },
    Failed { ended_at: i64, error: ErrorDetail },
}

/// Stores the intent, starts the work and returns the operation id; a deletion under way is joined.
pub(super) async fn begin(app: &Arc<App>, caller: &Caller, name: &str) -> Result<String, ArmError> {
    let Some((version, mut group)) = record::find(app, name).await? else {
        return Err(record::not_found(name));
    };
    if let GroupState::Deleting { operation } = group.state {
        return Ok(operation);
    }
    let operation = Uuid::new_v4().to_string();
    group.state = GroupState::Deleting { operation: operation.clone() };
    let deletion =
        Deletion { group: group.name.clone(), app_id: caller.app_id.clone(), state: State::Running };
    let key = group_key(app, name);
    let change = Change::new().expect(GROUPS, key.clone(), Some(version)).put(GROUPS, key, group.body()).put(
        DELETIONS,
        operation.clone(),
        body(&deletion),
    );
    app.store.commit(change).await.map_err(arm_error)?;
    spawn(app, operation.clone(), deletion);
    Ok(operation)
}

/// Takes up what an earlier run left unfinished and forgets results that nobody will ask for any more.
pub(crate) async fn resume(app: &Arc<App>) -> Result<(), livedata_store::Error> {
    let oldest = (clock::now() - KEPT_FOR).unix_timestamp();
    let mut after: Option<String> = None;
    loop {
        let page = app.store.list(DELETIONS, "", after.as_deref(), PAGE).await?;
        after = page.last().map(|record| record.key.clone());
        let full = page.len() == PAGE;
        for record in page {
            let deletion = read(&record.body)?;
            match deletion.state {
                State::Running => spawn(app, record.key, deletion),
                State::Succeeded { ended_at } | State::Failed { ended_at, .. } if ended_at < oldest => {
                    app.store.commit(Change::new().remove(DELETIONS, record.key)).await?;
                }
                State::Succeeded { .. } | State::Failed { .. } => {}
            }
        }
        if !full {
            return Ok(());
        }
    }
}

/// What `Location` of a deletion answers.
pub(crate) async fn deletion_result(app: &App, request: &Incoming, operation: &str) -> Outcome {
    if request.method != Method::Get {
        return Err(method_not_allowed(request));
    }
    let Some(record) = app.store.get(DELETIONS, &operation.to_lowercase()).await? else {
        let message = format!("There is no operation '{operation}'; results are kept for seven days.");
        return Err(ArmError::new(404, "OperationNotFound", message).into());
    };
    match read(&record.body)?.state {
        State::Running => Ok(still_deleting(app, operation)),
        State::Succeeded { .. } => Ok(Reply::empty(200)),
        State::Failed { error, .. } => {
            let mut refusal = ArmError::new(409, error.code, error.message);
            refusal.details = error.details;
            Err(refusal.into())
        }
    }
}

fn spawn(app: &Arc<App>, operation: String, deletion: Deletion) {
    let owned = Arc::clone(app);
    let work = async move {
        let cancel = owned.background.cancel.clone();
        // Cancelled work has stored nothing that a later run cannot start from.
        let _ = cancel.run_until_cancelled(run(&owned, operation, deletion)).await;
    };
    app.background.tasks.spawn_on(work, &app.background.runtime);
}

async fn run(app: &App, operation: String, deletion: Deletion) {
    let deadline = Instant::now() + GIVE_UP_AFTER;
    let behalf = OnBehalfOf::background(&deletion.app_id, app);
    let mut accepted = HashSet::new();
    let mut pause = FIRST_PAUSE;
    loop {
        let pass = empty(app, &deletion.group, &behalf, &mut accepted).await;
        let end = match pass {
            Ok(0) => finish(app, &operation, &deletion).await,
            Ok(left) if Instant::now() >= deadline => {
                let message = format!("{left} resources were still there when the time was up.");
                fail(app, &operation, &deletion, ArmError::new(409, "ResourceGroupDeletionTimeout", message))
                    .await
            }
            Err(error) if Instant::now() >= deadline => fail(app, &operation, &deletion, error).await,
            Ok(_) | Err(_) => Ok(false),
        };
        match end {
            Ok(true) => return,
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(group = %deletion.group, %error, "the end of a deletion could not be stored")
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// One pass over the group: asks for the deletion of everything in it. Returns how many resources are still there.
async fn empty(
    app: &App,
    group: &str,
    behalf: &OnBehalfOf,
    accepted: &mut HashSet<String>,
) -> Result<usize, ArmError> {
    let mut left = 0;
    let mut refused = None;
    for upstream in &app.upstreams {
        if !registration::is_registered(app, &upstream.namespace).await? {
            continue;
        }
        for provided in upstream.resource_types.iter().filter(|provided| provided.is_tracked()) {
            let Some(version) = provided.preferred_api_version() else { continue };
            for resource in upstream.list(app, Some(group), &provided.resource_type, version, behalf).await? {
                left += 1;
                let Some(id) = resource.get("id").and_then(Value::as_str) else { continue };
                if accepted.contains(id) {
                    continue;
                }
                match delete(upstream, id, version, behalf).await {
                    Ok(()) => {
                        accepted.insert(id.to_owned());
                    }
                    Err(error) => refused = Some(error),
                }
            }
        }
    }
    if left == 0 {
        storage::delete_all_in(app, group).await?;
        custom_providers::delete_all_in(app, group).await?;
    }
    match refused {
        Some(error) => Err(error),
        None => Ok(left),
    }
}

async fn delete(upstream: &Upstream, id: &str, version: &str, behalf: &OnBehalfOf) -> Result<(), ArmError> {
    let target = format!("{id}?api-version={version}");
    let answer = upstream
        .call(reqwest::Method::DELETE, &target, behalf.headers(&target, true), Default::default())
        .await?;
    match answer.status {
        200..=299 | 404 => Ok(()),
        _ => Err(answer.into_error(id)),
    }
}

async fn finish(app: &App, operation: &str, deletion: &Deletion) -> Result<bool, livedata_store::Error> {
    let ended =
        Deletion { state: State::Succeeded { ended_at: clock::now().unix_timestamp() }, ..deletion.clone() };
    let change =
        Change::new().remove(GROUPS, group_key(app, &deletion.group)).put(DELETIONS, operation, body(&ended));
    app.store.commit(change).await.map(|()| true)
}

/// The group becomes usable again, so that its user can look into it and delete it once more.
async fn fail(
    app: &App,
    operation: &str,
    deletion: &Deletion,
    cause: ArmError,
) -> Result<bool, livedata_store::Error> {
    tracing::warn!(group = %deletion.group, %cause, "a resource group could not be deleted");
    let error = ErrorDetail {
        code: "ResourceGroupDeletionBlocked".to_owned(),
        message: format!("Deletion of resource group '{}' failed: {}", deletion.group, cause.message),
        target: None,
        details: vec![cause.into_detail()],
    };
    let ended_at = clock::now().unix_timestamp();
    let ended = Deletion { state: State::Failed { ended_at, error }, ..deletion.clone() };
    let mut change = Change::new().put(DELETIONS, operation, body(&ended));
    let key = group_key(app, &deletion.group);
    if let Some(record) = app.store.get(GROUPS, &key).await?
        && let Ok(mut group) = serde_json::from_slice::<super::GroupRecord>(&record.body)
    {
        group.state = GroupState::Succeeded;
        change = change.expect(GROUPS, key.clone(), Some(record.version)).put(GROUPS, key, group.body());
    }
    app.store.commit(change).await.map(|()| true)
}

fn body(deletion: &Deletion) -> Vec<u8> {
    serde_json::to_vec(deletion).unwrap_or_default()
}

fn read(body: &[u8]) -> Result<Deletion, livedata_store::Error> {
    serde_json::from_slice(body).map_err(|error| livedata_store::Error::Damaged(error.to_string()))
}
