//! PUT and PATCH: wire → input → validation → admission → mutation → one transaction of resource and operation.

use livedata_arm::{ArmError, ProvisioningState, ResourceId, SystemData, Tags, merge_patch};
use livedata_store::Change;
use serde_json::{Map, Value};

use super::reconcile::last_generation;
use super::{check_idle, check_preconditions, envelope, existing};
use crate::core::Core;
use crate::document::{self, Document, Loaded};
use crate::errors::{self, Outcome};
use crate::kind::ResourceKind;
use crate::operation_routes::follow;
use crate::operations::{Operation, Verb};
use crate::request::{Request, Response};
use crate::resources::migrators;
use crate::wire::{Findings, Reader};

/// A document of any resource type, read.
struct Parsed<K: ResourceKind> {
    location: Option<String>,
    tags: Tags,
    provisioning_state: Option<String>,
    input: K::Input,
}

pub async fn put<K: ResourceKind>(core: &Core, request: &Request, id: &ResourceId) -> Outcome<Response> {
    let body = request.document()?;
    let stored = document::load(core.store.as_ref(), K::DESCRIPTION.collection, &id.key()).await?;
    check_preconditions(request, stored.as_ref().map(|stored| stored.document.etag()).as_deref())?;
    let parsed = parse::<K>(&body)?;
    let written = write::<K>(core, request, id, stored, parsed, Verb::Put).await?;
    let status = if written.created { 201 } else { 200 };
    let response = Response::json(status, envelope::<K>(core, &written.document).await?)
        .with("etag", written.document.etag());
    Ok(match &written.operation {
        Some(operation) => follow(core, request, operation, response),
        None => response,
    })
}

/// The patch is merged into the document as it is sent, and the outcome is written like a PUT (rules 47–53): a secret,
/// which is never sent, keeps its stored value.
pub async fn patch<K: ResourceKind>(core: &Core, request: &Request, id: &ResourceId) -> Outcome<Response> {
    let body = request.document()?;
    let stored = match existing::<K>(core, id).await {
        // Rule 108: nothing there is 404, whatever the condition says.
        Err(failure) => return Err(failure),
        Ok(stored) => stored,
    };
    check_preconditions(request, Some(&stored.document.etag()))?;
    let Value::Object(mut whole) = envelope::<K>(core, &stored.document).await? else {
        return Ok(Response::empty(200));
    };
    for (name, change) in &body {
        match name.as_str() {
            // Tags are replaced as a whole (rule 47).
            "tags" => drop(whole.insert(name.clone(), change.clone())),
            "properties" => {
                let mut properties = whole.remove("properties").unwrap_or_default();
                merge_patch::apply(&mut properties, change);
                whole.insert(name.clone(), properties);
            }
            "id" | "name" | "type" | "location" if whole.get(name) != Some(change) => {
                return Err(fixed(name).into());
            }
            _ => drop(whole.entry(name.as_str()).or_insert_with(|| change.clone())),
        }
    }
    let parsed = parse::<K>(&whole)?;
    let written = write::<K>(core, request, id, Some(stored), parsed, Verb::Patch).await?;
    match &written.operation {
        Some(operation) => Ok(follow(core, request, operation, Response::empty(202))),
        None => {
            let etag = written.document.etag();
            Ok(Response::json(200, envelope::<K>(core, &written.document).await?).with("etag", etag))
        }
    }
}

fn parse<K: ResourceKind>(body: &Map<String, Value>) -> Result<Parsed<K>, ArmError> {
    let findings = Findings::default();
    let mut reader = Reader::new("", body, &findings);
    // Names come from the address, never from the body (rule 13).
    reader.read_only(&["id", "name", "type", "etag", "systemData"]);
    // Proxy resources have neither; `az resource create` sends the group's location all the same.
    let location = reader.text("location");
    let tags = read_tags(&mut reader);
    if K::DESCRIPTION.is_tracked() {
        reader.required("location");
    }
    let properties = if reader.required("properties") { reader.object("properties") } else { None };
    let mut provisioning_state = None;
    let input = properties.and_then(|mut properties| {
        provisioning_state = properties.text("provisioningState");
        K::read(properties)
    });
    reader.finish();
    findings.verdict()?;
    let input = input.ok_or_else(|| errors::INVALID_REQUEST_CONTENT.error("The document cannot be read."))?;
    Ok(Parsed { location, tags, provisioning_state, input })
}

/// Rule 23.
fn read_tags(reader: &mut Reader<'_>) -> Tags {
    const MOST: usize = 50;
    let findings = reader.findings().clone();
    let Some(Value::Object(given)) = reader.value("tags") else { return Tags::new() };
    let mut tags = Tags::new();
    for (name, value) in given {
        let bad_name =
            name.is_empty() || name.len() > 512 || name.contains(['<', '>', '%', '&', '\\', '?', '/']);
        match value.as_str() {
            Some(text) if !bad_name && text.len() <= 256 => drop(tags.insert(name.clone(), text.to_owned())),
            _ => findings.add(
                &errors::INVALID_PROPERTY_VALUE,
                format!("tags.{name}"),
                "A tag's name has 1 to 512 characters without < > % & \\ ? / and its value is a text of at most 256.",
            ),
        }
    }
    if tags.len() > MOST {
        findings.add(&errors::INVALID_PROPERTY_VALUE, "tags", format!("A resource has at most {MOST} tags."));
    }
    tags
}

struct Written<S> {
    document: Document<S>,
    created: bool,
    /// `None`: nothing changed.
    operation: Option<Operation>,
}

async fn write<K: ResourceKind>(
    core: &Core,
    request: &Request,
    id: &ResourceId,
    stored: Option<Loaded<K::Spec>>,
    parsed: Parsed<K>,
    verb: Verb,
) -> Outcome<Written<K::Spec>> {
    let description = &K::DESCRIPTION;
    if let Some(stored) = &stored {
        check_idle(&stored.document)?;
        check_unchanged(&stored.document, &parsed, description.is_tracked())?;
    }
    let mut change =
        Change::new().expect(description.collection, id.key(), stored.as_ref().map(|stored| stored.version));
    let mut location = parsed.location.clone().unwrap_or_default();
    if let Some(parent) = id.parent() {
        let parent = migrators::parent(core, &parent).await?;
        if stored.is_none() {
            // A deletion of the parent that begins meanwhile raises its version: no child slips in behind it.
            change = change.expect(migrators::COLLECTION, parent.document.key(), Some(parent.version));
        }
        location = parent.document.location;
    }
    let now = core.clock.now();
    let (change, last) =
        if stored.is_none() { last_generation(core, &id.key(), change).await? } else { (change, 0) };
    let (change, admitted) =
        K::admit(core, id, stored.as_ref().map(|stored| &stored.document), &parsed.input, change).await?;
    let guid = stored
        .as_ref()
        .map_or_else(|| uuid::Uuid::new_v4().to_string(), |stored| stored.document.guid.clone());
    let spec =
        K::mutate(core, &guid, stored.as_ref().map(|stored| &stored.document.spec), parsed.input, admitted)?;
    let tags = if description.is_tracked() { parsed.tags } else { Tags::new() };
    let created = stored.is_none();

    let mut document = match stored {
        Some(Loaded { document: mut stored, .. }) => {
            let same = stored.spec == spec && stored.tags == tags;
            if same && stored.provisioning == ProvisioningState::Succeeded && K::is_settled(&spec) {
                return Ok(Written { document: stored, created, operation: None });
            }
            stored.revision += u64::from(!same);
            stored.generation += u64::from(stored.spec != spec);
            stored.system_data = changed_by(stored.system_data, request.system_data.clone());
            Document { id: id.to_string(), spec, tags, ..stored }
        }
        None => Document {
            id: id.to_string(),
            guid,
            location,
            tags,
            revision: 1,
            generation: 1 + last,
            spec,
            applied: None,
            provisioning: ProvisioningState::Accepted,
            operation: None,
            system_data: request.system_data.clone(),
            created_at: now.unix_timestamp(),
        },
    };
    let operation =
        Operation::begin(&document.id, &id.subscription, &normal_location(&document.location), verb, now);
    document.provisioning = ProvisioningState::Accepted;
    document.operation = Some(operation.key());
    let change = operation.record(change, &description.type_path())?;
    let change = document::put(change, description.collection, &id.key(), &document)?;
    core.store.commit(change).await?;
    core.nudge();
    Ok(Written { document, created, operation: Some(operation) })
}

/// "West US" and "westus" are the same (rule 22).
pub fn normal_location(location: &str) -> String {
    location.chars().filter(|letter| !letter.is_whitespace()).flat_map(char::to_lowercase).collect()
}

fn fixed(target: &str) -> ArmError {
    errors::PROPERTY_CHANGE_NOT_ALLOWED.at(target, format!("The property '{target}' cannot be changed."))
}

fn check_unchanged<K: ResourceKind>(
    stored: &Document<K::Spec>,
    parsed: &Parsed<K>,
    tracked: bool,
) -> Result<(), ArmError> {
    let moved = parsed
        .location
        .as_deref()
        .is_some_and(|given| normal_location(given) != normal_location(&stored.location));
    if tracked && moved {
        return Err(fixed("location"));
    }
    let state = format!("{:?}", stored.provisioning);
    if parsed.provisioning_state.as_ref().is_some_and(|given| *given != state) {
        return Err(fixed("properties.provisioningState"));
    }
    Ok(())
}

/// Creation stays as it was, whatever the header repeats of it.
fn changed_by(stored: Option<SystemData>, now: Option<SystemData>) -> Option<SystemData> {
    match (stored, now) {
        (Some(stored), Some(now)) => Some(SystemData {
            last_modified_by: now.last_modified_by,
            last_modified_by_type: now.last_modified_by_type,
            last_modified_at: now.last_modified_at,
            ..stored
        }),
        (stored, now) => stored.or(now),
    }
}
