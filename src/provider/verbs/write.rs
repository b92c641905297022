//! PUT and PATCH: wire → input → validation → admission → mutation → one transaction of resource and operation.

use livedata_arm::{ArmError, Plan, ProvisioningState, ResourceId, SystemData, Tags, merge_patch};
use serde_json::{Map, Value};

use super::reconcile::last_generation;
use super::{check_idle, check_preconditions, envelope, existing, shown_state};
use crate::core::Core;
use crate::document::{self, Document, Loaded};
use crate::errors::{self, Outcome};
use crate::kind::ResourceKind;
use crate::moves;
use crate::operation_routes::follow;
use crate::operations::{Operation, Verb};
use crate::request::{Request, Response};
use crate::resources::migrators;
use crate::view::View;
use crate::wire::{Findings, Reader};

/// A document of any resource type, read.
struct Parsed<K: ResourceKind> {
    location: Option<String>,
    /// `None`: the version does not know tags on this type; they stay.
    tags: Option<Tags>,
    plan: Option<Plan>,
    provisioning_state: Option<String>,
    input: K::Input,
}

pub async fn put<K: ResourceKind>(core: &Core, request: &Request, id: &ResourceId) -> Outcome<Response> {
    let body = request.document()?;
    let stored = document::load(core.store.as_ref(), K::DESCRIPTION.collection, &id.key()).await?;
    check_preconditions(request, stored.as_ref().map(|stored| stored.document.etag()).as_deref())?;
    let parsed = parse::<K>(&request.view, &body, stored.as_ref())?;
    let written = write::<K>(core, request, id, stored, parsed, Verb::Put).await?;
    let status = if written.created { 201 } else { 200 };
    let response = Response::json(status, envelope::<K>(core, &request.view, &written.document).await?)
        .with("etag", written.document.etag());
    Ok(match &written.operation {
        Some(operation) => follow(core, request, operation, response),
        None => response,
    })
}

/// Of a PUT, all that the document alone and what is stored of the resource tell.
pub async fn validate<K: ResourceKind>(
    core: &Core,
    request: &Request,
    id: &ResourceId,
    body: &Map<String, Value>,
) -> Outcome<Result<(), ArmError>> {
    let stored = document::load::<K::Spec>(core.store.as_ref(), K::DESCRIPTION.collection, &id.key()).await?;
    let parsed = match parse::<K>(&request.view, body, stored.as_ref()) {
        Ok(parsed) => parsed,
        Err(error) => return Ok(Err(error)),
    };
    Ok(match &stored {
        Some(stored) => check_unchanged(&request.view, &stored.document, &parsed),
        None => Ok(()),
    })
}

/// The patch is merged into the document as it is sent, and the outcome is written like a PUT (rules 47–53): a secret,
/// which is never sent, keeps its stored value.
pub async fn patch<K: ResourceKind>(core: &Core, request: &Request, id: &ResourceId) -> Outcome<Response> {
    let mut body = request.document()?;
    let stored = match existing::<K>(core, id).await {
        // Rule 108: nothing there is 404, whatever the condition says.
        Err(failure) => return Err(failure),
        Ok(stored) => stored,
    };
    let view = &request.view;
    check_preconditions(request, Some(&stored.document.etag()))?;
    if view.version.is_public() {
        narrow::<K>(&stored.document.spec, &mut body)?;
    }
    let Value::Object(mut whole) = envelope::<K>(core, view, &stored.document).await? else {
        return Ok(Response::empty(200));
    };
    let nothing = Map::new();
    let change = body.get("properties").and_then(Value::as_object).unwrap_or(&nothing);
    if let Some(Value::Object(shown)) = whole.get_mut("properties") {
        K::before_patch(&stored.document.spec, shown, change);
    }
    for (name, change) in &body {
        match name.as_str() {
            // Tags are replaced as a whole (rule 47).
            "tags" | "plan" => drop(whole.insert(name.clone(), change.clone())),
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
    let parsed = parse::<K>(view, &whole, Some(&stored))?;
    let written = write::<K>(core, request, id, Some(stored), parsed, Verb::Patch).await?;
    let body = || envelope::<K>(core, view, &written.document);
    match &written.operation {
        Some(operation) if view.version.is_public() => {
            Ok(follow(core, request, operation, Response::json(202, body().await?)))
        }
        Some(operation) => Ok(follow(core, request, operation, Response::empty(202))),
        None => Ok(Response::json(200, body().await?).with("etag", written.document.etag())),
    }
}

/// The public version lets a PATCH change what its description names, and tags.
fn narrow<K: ResourceKind>(stored: &K::Spec, body: &mut Map<String, Value>) -> Result<(), ArmError> {
    let Some(Value::Object(properties)) = body.get_mut("properties") else { return Ok(()) };
    K::public_patch(stored, properties)?;
    let findings = Findings::default();
    for name in properties.keys().filter(|name| !K::DESCRIPTION.public_patch.contains(&name.as_str())) {
        let target = format!("properties.{name}");
        let message = format!("The property '{target}' cannot be changed by PATCH in this api-version.");
        findings.add(&errors::UNKNOWN_PROPERTY, target, message);
    }
    findings.verdict()
}

fn parse<K: ResourceKind>(
    view: &View,
    body: &Map<String, Value>,
    stored: Option<&Loaded<K::Spec>>,
) -> Result<Parsed<K>, ArmError> {
    let findings = Findings::default();
    let mut reader = Reader::new("", body, &findings);
    // Names come from the address, never from the body (rule 13).
    reader.read_only(&["id", "name", "type", "etag", "systemData"]);
    // Proxy resources have neither; `az resource create` sends the group's location all the same.
    let location = reader.text("location");
    check_location(location.as_deref(), &findings);
    let tags = read_tags(&mut reader);
    let mut plan = None;
    if K::DESCRIPTION.is_tracked() {
        reader.required("location");
        plan = read_plan(&mut reader);
    }
    let properties = if reader.required("properties") { reader.object("properties") } else { None };
    let mut provisioning_state = None;
    let input = properties.and_then(|mut properties| {
        provisioning_state = properties.text("provisioningState");
        K::read(view, properties, stored.map(|stored| &stored.document.spec))
    });
    reader.finish();
    findings.verdict()?;
    let input = input.ok_or_else(|| errors::INVALID_REQUEST_CONTENT.error("The document cannot be read."))?;
    let tags = K::DESCRIPTION.shows_tags(view.version).then_some(tags);
    Ok(Parsed { location, tags, plan, provisioning_state, input })
}

/// It becomes a part of the addresses of operations.
fn check_location(location: Option<&str>, findings: &Findings) {
    const LONGEST: usize = 64;
    let good = |text: &str| {
        (1..=LONGEST).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b' ')
            && text.bytes().any(|byte| byte != b' ')
    };
    if let Some(text) = location.filter(|text| !good(text)) {
        let message =
            format!("'{text}' is not a location: use letters, digits and blanks, at most {LONGEST}.");
        findings.add(&errors::INVALID_PROPERTY_VALUE, "location", message);
    }
}

/// Rule 25.
fn read_plan(reader: &mut Reader<'_>) -> Option<Plan> {
    let mut plan = reader.object("plan")?;
    let read = (plan.required_text("name"), plan.required_text("publisher"), plan.required_text("product"));
    let (promotion_code, version) = (plan.text("promotionCode"), plan.text("version"));
    plan.finish();
    let (Some(name), Some(publisher), Some(product)) = read else { return None };
    Some(Plan { name, publisher, product, promotion_code, version })
}

/// Rule 23.
fn read_tags(reader: &mut Reader<'_>) -> Tags {
    const MOST: usize = 50;
    let findings = reader.findings().clone();
    let given = match reader.value("tags") {
        None => return Tags::new(),
        Some(Value::Object(given)) => given,
        Some(_) => {
            findings.add(&errors::INVALID_PROPERTY_VALUE, "tags", "Tags are an object of names and texts.");
            return Tags::new();
        }
    };
    let mut tags = Tags::new();
    for (name, value) in given {
        let bad_name = name.is_empty()
            || name.len() > 512
            || name.contains(['<', '>', '%', '&', '\\', '?', '/'])
            || name.contains(char::is_control);
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
        check_unchanged(&request.view, &stored.document, &parsed)?;
    }
    let change = request.custom_provider.clone().unwrap_or_default();
    let mut change =
        change.expect(description.collection, id.key(), stored.as_ref().map(|stored| stored.version));
    let mut location = parsed.location.clone().unwrap_or_default();
    if let Some(parent) = id.parent() {
        let parent = migrators::parent(core, &parent).await?;
        if stored.is_none() {
            // A deletion of the parent that begins meanwhile raises its version: no child slips in behind it.
            change = change.expect(migrators::COLLECTION, parent.document.key(), Some(parent.version));
            change = moves::resting(core, &parent.document.key(), change).await?;
        }
        // Only the public version shows a place of its own on what hangs below a migrator.
        if location.is_empty() || !request.view.version.is_public() {
            location = parent.document.location;
        }
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
    let (tags, plan) = (parsed.tags, parsed.plan);
    let created = stored.is_none();

    let mut document = match stored {
        Some(Loaded { document: mut stored, .. }) => {
            let tags = tags.unwrap_or_else(|| stored.tags.clone());
            let same_spec = stored.spec == spec;
            let same = same_spec && stored.tags == tags && stored.plan == plan;
            if same && stored.provisioning == ProvisioningState::Succeeded && K::is_settled(&spec) {
                if stored.id != id.to_string() {
                    // The casing that was given last (rule 12): nothing else has changed, and nobody is to be told.
                    stored.id = id.to_string();
                    let change = document::put(change, description.collection, &id.key(), &stored)?;
                    core.store.commit(change).await?;
                }
                return Ok(Written { document: stored, created, operation: None });
            }
            stored.revision += u64::from(!same);
            stored.generation += u64::from(!same_spec);
            stored.system_data = changed_by(stored.system_data, request.system_data.clone());
            let trace = request.trace.clone();
            let document = Document { id: id.to_string(), spec, tags, plan, trace, ..stored };
            if verb == Verb::Patch && same_spec && document.provisioning == ProvisioningState::Succeeded {
                // Nothing for a controller: tags are nobody's desired state.
                let change = document::put(change, description.collection, &id.key(), &document)?;
                core.store.commit(change).await?;
                return Ok(Written { document, created, operation: None });
            }
            document
        }
        None => Document {
            id: id.to_string(),
            guid,
            location,
            tags: tags.unwrap_or_default(),
            plan,
            revision: 1,
            generation: 1 + last,
            spec,
            applied: None,
            provisioning: ProvisioningState::Accepted,
            operation: None,
            system_data: request.system_data.clone(),
            trace: request.trace.clone(),
            created_at: now.unix_timestamp(),
        },
    };
    let location = normal_location(&document.location);
    let operation = Operation::begin(&document.id, &id.subscription, &location, verb, request, now);
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
    view: &View,
    stored: &Document<K::Spec>,
    parsed: &Parsed<K>,
) -> Result<(), ArmError> {
    let moved = parsed
        .location
        .as_deref()
        .is_some_and(|given| normal_location(given) != normal_location(&stored.location));
    if K::DESCRIPTION.shows_tags(view.version) && moved {
        return Err(fixed("location"));
    }
    let state = shown_state(view, stored.provisioning);
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
