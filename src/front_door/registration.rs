//! Which resource providers the subscription has registered.
//!
//! Writes to a namespace that is not registered are refused in the words by which `az` and the Python SDKs recognise the
//! case, register the namespace themselves and repeat the write.

use livedata_arm::ArmError;
use livedata_store::Change;
use serde_json::{Value, json};

use crate::app::App;
use crate::custom_providers;
use crate::dispatch::method_not_allowed;
use crate::forward::OnBehalfOf;
use crate::options::ProvidedType;
use crate::reply::{Outcome, Reply, arm_error};
use crate::request::{Incoming, Method};
use crate::resources;
use crate::sign_in::Caller;
use crate::storage;
use crate::upstream::Upstream;

/// Collection; keys are `{subscription}/{namespace}` in lower case, the body is the registration state.
const REGISTRATIONS: &str = "front-door.registrations";
const REGISTERED: &str = "Registered";
const UNREGISTERED: &str = "Unregistered";
/// Cannot be unregistered: without it there are no resource groups.
const RESOURCES: &str = "Microsoft.Resources";

/// A namespace in the casing of its manifest, with its types.
struct Manifest<'a> {
    namespace: &'a str,
    resource_types: Vec<ProvidedType>,
    /// What an own namespace starts with; a provider behind this front door starts unregistered.
    own: bool,
}

pub(crate) async fn list(app: &App, request: &Incoming) -> Outcome {
    if request.method != Method::Get {
        return Err(method_not_allowed(request));
    }
    let mut value = Vec::new();
    for manifest in manifests(app) {
        value.push(document(app, &manifest).await?);
    }
    Ok(Reply::json(200, &json!({ "value": value })))
}

pub(crate) async fn show(app: &App, request: &Incoming, namespace: &str) -> Outcome {
    if request.method != Method::Get {
        return Err(method_not_allowed(request));
    }
    Ok(Reply::json(200, &document(app, &find(app, namespace)?).await?))
}

pub(crate) async fn register(app: &App, request: &Incoming, namespace: &str) -> Outcome {
    set(app, request, namespace, REGISTERED).await
}

pub(crate) async fn unregister(app: &App, request: &Incoming, caller: &Caller, namespace: &str) -> Outcome {
    let manifest = find(app, namespace)?;
    if manifest.namespace == RESOURCES {
        let message = format!("'{RESOURCES}' cannot be unregistered.");
        return Err(ArmError::new(409, "Conflict", message).into());
    }
    let behalf = OnBehalfOf::of(request, caller, app);
    if !resources::of_namespace(app, manifest.namespace, None, &behalf).await?.is_empty() {
        let message = format!(
            "'{}' cannot be unregistered while the subscription has resources of it. Delete them first.",
            manifest.namespace
        );
        return Err(ArmError::new(409, "Conflict", message).into());
    }
    set(app, request, namespace, UNREGISTERED).await
}

/// Refuses unless the namespace is registered.
pub(crate) async fn require(app: &App, namespace: &str) -> Result<(), ArmError> {
    if is_registered(app, namespace).await? {
        return Ok(());
    }
    // The namespace has to be the last single-quoted text: clients find it by that.
    let name = find(app, namespace)?.namespace;
    let message = format!(
        "The subscription is not registered to use namespace '{name}'. Register it with: az provider register --namespace {name}"
    );
    Err(ArmError::new(409, "MissingSubscriptionRegistration", message))
}

pub(crate) async fn is_registered(app: &App, namespace: &str) -> Result<bool, ArmError> {
    Ok(state(app, &find(app, namespace)?).await? == REGISTERED)
}

/// The provider is registered as long as one of the namespaces is that it stands behind.
async fn tell(app: &App, upstream: &Upstream, to: &str) -> Result<(), ArmError> {
    let mut state = to;
    for other in app.upstreams.iter().filter(|other| other.is_same_provider(upstream)) {
        if is_registered(app, &other.namespace).await? {
            state = REGISTERED;
        }
    }
    upstream.introduce(&app.subscription_id, state).await
}

/// The provider hears of the subscription before its first request.
pub(crate) async fn introduce(app: &App, upstream: &Upstream) -> Result<(), ArmError> {
    let state = state(app, &find(app, &upstream.namespace)?).await?;
    // One provider may stand behind two namespaces: that one of them is not registered says nothing of the other.
    if state != REGISTERED {
        return Ok(());
    }
    upstream.introduce(&app.subscription_id, REGISTERED).await
}

pub(crate) fn unknown_namespace(namespace: &str) -> ArmError {
    let message = format!("The resource namespace '{namespace}' is invalid.");
    ArmError::new(404, "InvalidResourceNamespace", message)
}

async fn set(app: &App, request: &Incoming, namespace: &str, to: &str) -> Outcome {
    if request.method != Method::Post {
        return Err(method_not_allowed(request));
    }
    let manifest = find(app, namespace)?;
    app.store.commit(Change::new().put(REGISTRATIONS, key(app, manifest.namespace), to)).await?;
    if let Some(upstream) = app.upstream(manifest.namespace) {
        tell(app, upstream, to).await?;
    }
    Ok(Reply::json(200, &document(app, &manifest).await?))
}

async fn state(app: &App, manifest: &Manifest<'_>) -> Result<String, ArmError> {
    let record = app.store.get(REGISTRATIONS, &key(app, manifest.namespace)).await.map_err(arm_error)?;
    Ok(match record {
        Some(record) => String::from_utf8_lossy(&record.body).into_owned(),
        None if manifest.own => REGISTERED.to_owned(),
        None => "NotRegistered".to_owned(),
    })
}

async fn document(app: &App, manifest: &Manifest<'_>) -> Result<Value, ArmError> {
    let types: Vec<Value> = manifest
        .resource_types
        .iter()
        .map(|provided| {
            json!({
                "resourceType": provided.resource_type,
                "locations": provided.locations,
                "apiVersions": provided.api_versions,
                "capabilities": if provided.is_tracked() { "SupportsTags, SupportsLocation" } else { "None" },
            })
        })
        .collect();
    Ok(json!({
        "id": format!("/subscriptions/{}/providers/{}", app.subscription_id, manifest.namespace),
        "namespace": manifest.namespace,
        "registrationPolicy": if manifest.namespace == RESOURCES { "RegistrationFree" } else { "RegistrationRequired" },
        "registrationState": state(app, manifest).await?,
        "resourceTypes": types,
    }))
}

fn find<'a>(app: &'a App, namespace: &str) -> Result<Manifest<'a>, ArmError> {
    manifests(app)
        .into_iter()
        .find(|manifest| manifest.namespace.eq_ignore_ascii_case(namespace))
        .ok_or_else(|| unknown_namespace(namespace))
}

fn manifests(app: &App) -> Vec<Manifest<'_>> {
    let provided = |resource_type: &str, version: &str, locations: Vec<String>| ProvidedType {
        resource_type: resource_type.to_owned(),
        locations,
        api_versions: vec![version.to_owned()],
    };
    let mut everywhere: Vec<String> = app
        .upstreams
        .iter()
        .flat_map(|upstream| &upstream.resource_types)
        .flat_map(|provided| provided.locations.clone())
        .collect();
    everywhere.sort();
    everywhere.dedup();
    let resources = [
        "tenants",
        "providers",
        "subscriptions",
        "subscriptions/locations",
        "subscriptions/resourceGroups",
        "resources",
    ];
    let own = [
        Manifest {
            namespace: RESOURCES,
            resource_types: resources.iter().map(|name| provided(name, "2024-11-01", Vec::new())).collect(),
            own: true,
        },
        Manifest {
            namespace: storage::NAMESPACE,
            resource_types: vec![provided(storage::RESOURCE_TYPE, storage::API_VERSION, everywhere.clone())],
            own: true,
        },
        Manifest {
            namespace: custom_providers::NAMESPACE,
            resource_types: vec![provided(
                custom_providers::RESOURCE_TYPE,
                custom_providers::API_VERSION,
                everywhere,
            )],
            own: true,
        },
    ];
    let behind = app.upstreams.iter().map(|upstream| Manifest {
        namespace: &upstream.namespace,
        resource_types: upstream.resource_types.clone(),
        own: false,
    });
    own.into_iter().chain(behind).collect()
}

fn key(app: &App, namespace: &str) -> String {
    format!("{}/{namespace}", app.subscription_id).to_lowercase()
}
