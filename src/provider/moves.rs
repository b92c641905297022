//! `POST …/resourceGroups/{group}/moveResources` and `…/validateMoveResources` (rule 116): migrators, with all that belongs to
//! them, go to another resource group, in one transaction or not at all.
//!
//! A migrator with an agent stays where it is: the agent keeps its journals by the ids of resources, and would take a new id
//! for a new migration and the old one for deleted. So does one that a custom provider made: there it has a name of its group.
//!
//! While a migrator is on its way a mark stands in [`MOVING`], and the last commit relies on it: nobody makes a child of it or a
//! key for it meanwhile, because that relies on there being no mark. A mark that a crash has left is void after
//! [`GIVEN_UP_AFTER_SECONDS`].

mod plan;
mod way;

use livedata_arm::{ArmError, ResourceId};
use livedata_store::Change;

use crate::core::Core;
use crate::document;
use crate::errors::{self, Outcome};
use crate::request::{Request, Response};
use crate::resources::migrators;
use crate::routes;
use crate::verbs::repeated;
use crate::wire::{Findings, Reader};
use way::Way;

/// By the migrator's key: when its move began, in seconds since 1970.
pub const MOVING: &str = "moving";

const GIVEN_UP_AFTER_SECONDS: i64 = 300;
/// ARM's own limit.
const MOST: usize = 800;
/// A group, a subscription, a namespace and a name at their longest, every character escaped.
const LONGEST_ID_BYTES: usize = 2048;

pub async fn validate(core: &Core, request: &Request, subscription: &str, group: &str) -> Outcome<Response> {
    let ways = read(core, request, subscription, group)?;
    plan::make(core, request, &ways).await?;
    Ok(Response::empty(204))
}

pub async fn carry_out(core: &Core, request: &Request, subscription: &str, group: &str) -> Outcome<Response> {
    let ways = read(core, request, subscription, group)?;
    // Everything that can be refused is, before anybody is kept waiting.
    plan::make(core, request, &ways).await?;
    let marks = repeated(|| mark(core, &ways)).await?;
    let moved = repeated(async || {
        let change = plan::make(core, request, &ways).await?;
        core.store.commit(marks.iter().fold(change, Mark::remove)).await?;
        Outcome::Ok(())
    });
    if let Err(failure) = moved.await {
        // If it cannot be taken back now, it is void soon.
        if let Err(error) = core.store.commit(marks.iter().fold(Change::new(), Mark::remove)).await {
            tracing::warn!(%error, "the mark of a move that was given up stays for some minutes");
        }
        return Err(failure);
    }
    for way in &ways {
        core.observed.forget(&way.from.key());
        core.observed.forget(&way.to.key());
    }
    Ok(Response::empty(200))
}

/// What making something of this migrator relies on: that it is not on its way.
pub async fn resting(core: &Core, migrator: &str, change: Change) -> Outcome<Change> {
    match standing(core, migrator).await? {
        None => Ok(change.expect(MOVING, migrator, None)),
        Some((version, true)) => Ok(change.expect(MOVING, migrator, Some(version)).remove(MOVING, migrator)),
        Some((_, false)) => Err(on_its_way(migrator).into()),
    }
}

/// A mark's version, and whether it is void.
async fn standing(core: &Core, migrator: &str) -> Outcome<Option<(u64, bool)>> {
    let Some(record) = core.store.get(MOVING, migrator).await? else { return Ok(None) };
    let begun: i64 = serde_json::from_slice(&record.body)?;
    Ok(Some((record.version, core.clock.now().unix_timestamp() - begun >= GIVEN_UP_AFTER_SECONDS)))
}

fn on_its_way(migrator: &str) -> ArmError {
    errors::ANOTHER_OPERATION_IN_PROGRESS
        .error(format!("The resource '{migrator}' is being moved to another resource group."))
}

/// Our own mark, and no other's.
struct Mark {
    migrator: String,
    version: u64,
}

impl Mark {
    fn remove(change: Change, mark: &Self) -> Change {
        change
            .expect(MOVING, mark.migrator.as_str(), Some(mark.version))
            .remove(MOVING, mark.migrator.as_str())
    }
}

/// All of them or none.
async fn mark(core: &Core, ways: &[Way]) -> Outcome<Vec<Mark>> {
    let (mut change, mut marks) = (Change::new(), Vec::new());
    let now = core.clock.now().unix_timestamp();
    for way in ways {
        let migrator = way.from.key();
        let before = match standing(core, &migrator).await? {
            Some((_, false)) => return Err(on_its_way(&migrator).into()),
            Some((version, true)) => Some(version),
            None => None,
        };
        change = change.expect(MOVING, migrator.as_str(), before);
        change = document::put(change, MOVING, &migrator, &now)?;
        marks.push(Mark { migrator, version: before.unwrap_or(0) + 1 });
    }
    core.store.commit(change).await?;
    Ok(marks)
}

fn read(core: &Core, request: &Request, subscription: &str, group: &str) -> Result<Vec<Way>, ArmError> {
    let body = request.document()?;
    let findings = Findings::default();
    let mut reader = Reader::new("", &body, &findings);
    let to = reader.required_text("targetResourceGroup").unwrap_or_default();
    let given = reader.value("resources").cloned().unwrap_or_default();
    reader.finish();
    findings.verdict()?;
    let refused = |target: &str, message: String| errors::INVALID_MOVE.at(target, message);
    let segments: Vec<&str> = to.split('/').filter(|segment| !segment.is_empty()).collect();
    let to = match segments.as_slice() {
        [s, subscription, g, group]
            if s.eq_ignore_ascii_case("subscriptions") && g.eq_ignore_ascii_case("resourceGroups") =>
        {
            routes::check_group(group)?;
            ((*subscription).to_owned(), (*group).to_owned())
        }
        _ => {
            let message = format!("'{to}' is not the id of a resource group.");
            return Err(refused("targetResourceGroup", message));
        }
    };
    let same = |one: &str, other: &str| one.to_lowercase() == other.to_lowercase();
    if same(subscription, &to.0) && same(group, &to.1) {
        let message = "The resources are in this resource group already.".to_owned();
        return Err(refused("targetResourceGroup", message));
    }
    let expected = || format!("Give the ids of 1 to {MOST} migrators that move.");
    let given = given.as_array().filter(|given| (1..=MOST).contains(&given.len()));
    let mut ways: Vec<Way> = Vec::new();
    for id in given.ok_or_else(|| refused("resources", expected()))? {
        let id = id.as_str().filter(|id| id.len() <= LONGEST_ID_BYTES);
        let id = id.and_then(|id| id.parse::<ResourceId>().ok());
        let mut id = id.ok_or_else(|| refused("resources", expected()))?;
        let is_migrator = match id.resource_type.types.as_slice() {
            [only] => only.eq_ignore_ascii_case(migrators::COLLECTION),
            _ => false,
        };
        if !is_migrator || core.namespaces.find(&id.resource_type.namespace).is_none() {
            let message = format!(
                "'{id}' is not a migrator; what belongs to a migrator moves with it, and nothing else can."
            );
            return Err(refused("resources", message));
        }
        if !same(subscription, &id.subscription) || !same(group, &id.resource_group) {
            return Err(refused("resources", format!("'{id}' is not in the resource group '{group}'.")));
        }
        id.resource_type.namespace = core.namespaces.own.to_string();
        if ways.iter().all(|way| way.from != id) {
            ways.push(Way::new(id, &to));
        }
    }
    Ok(ways)
}
