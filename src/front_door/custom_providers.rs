//! `Microsoft.CustomProviders/resourceProviders`, in the one version that there ever was: somebody's endpoint as resource types
//! and actions of ARM.
//!
//! Custom resources are at `…/resourceProviders/{provider}/{type}[/{name}]`, actions at `…/{provider}/{action}` and
//! `…/{type}/{name}/{action}` (declared as `{type}/{action}`). Requests for them are passed on to the endpoint, which is told what
//! they are for by a header and sees nothing of who asked ([`endpoint`]). Nothing of custom resources is kept here, so only the
//! routing type `Proxy` is served. `validations` are kept and shown, not applied: that is the endpoint's business.
//!
//! Deleting a custom provider leaves the resources behind it to their endpoint, as in Azure.

mod document;
mod endpoint;
mod record;

use livedata_arm::ArmError;
use livedata_store::Change;
use serde_json::{Value, json};

pub(crate) use endpoint::Endpoints;

use crate::app::App;
use crate::dispatch::method_not_allowed;
use crate::groups;
use crate::reply::{Outcome, Refusal, Reply, arm_error};
use crate::request::{Incoming, Method};
use crate::subscriptions::normalised;
use document::ProviderDocument;
use record::{CustomProvider, PROVIDERS, Route};

pub(crate) const NAMESPACE: &str = "Microsoft.CustomProviders";
pub(crate) const RESOURCE_TYPE: &str = "resourceProviders";
pub(crate) const API_VERSION: &str = "2018-09-01-preview";

pub(crate) fn serves(namespace: &str) -> bool {
    namespace.eq_ignore_ascii_case(NAMESPACE)
}

/// `rest` is the path after the namespace.
pub(crate) async fn answer(app: &App, request: &Incoming, group: Option<&str>, rest: &[&str]) -> Outcome {
    if !request.api_version()?.as_str().eq_ignore_ascii_case(API_VERSION) {
        let message = format!("'{NAMESPACE}' has only the api-version {API_VERSION}.");
        return Err(ArmError::new(400, "InvalidApiVersionParameter", message).into());
    }
    let is_ours = rest.first().is_some_and(|kind| kind.eq_ignore_ascii_case(RESOURCE_TYPE));
    match (group, rest) {
        (_, [_]) if is_ours && request.method == Method::Get => {
            Ok(Reply::json(200, &json!({ "value": documents(app, group).await? })))
        }
        (_, [_]) if is_ours => Err(method_not_allowed(request)),
        (Some(group), [_, name]) if is_ours => one(app, request, group, name).await,
        (Some(group), [_, name, asked @ ..]) if is_ours => {
            let (_, provider) = record::existing(app, group, name).await?;
            let (route, path) = routed(&provider, request, asked)?;
            app.endpoints.ask(app, request, &provider, route, &path).await
        }
        _ => {
            let message = format!("'{NAMESPACE}' has only the resource type '{RESOURCE_TYPE}', in groups.");
            Err(ArmError::new(404, "InvalidResourceType", message).into())
        }
    }
}

/// Custom providers of a group, or all.
pub(crate) async fn documents(app: &App, group: Option<&str>) -> Result<Vec<Value>, ArmError> {
    let providers = record::all(app, group).await?;
    Ok(providers.iter().map(|provider| provider.document(app)).collect())
}

pub(crate) async fn delete_all_in(app: &App, group: &str) -> Result<(), ArmError> {
    for provider in record::all(app, Some(group)).await? {
        delete(app, &provider).await?;
    }
    Ok(())
}

/// Who answers for what follows the provider's name, and the path of it in the provider's own casing.
fn routed<'a>(
    provider: &'a CustomProvider,
    request: &Incoming,
    asked: &[&str],
) -> Result<(&'a Route, Vec<String>), Refusal> {
    let named =
        |routes: &'a [Route], name: &str| routes.iter().find(|route| route.name.eq_ignore_ascii_case(name));
    let unknown = |what: &str, routes: &[Route], name: &str| {
        let known: Vec<&str> = routes.iter().map(|route| route.name.as_str()).collect();
        let message = format!(
            "The custom provider '{}' has no {what} '{name}'; in its properties it has: {}.",
            provider.name,
            if known.is_empty() { "none".to_owned() } else { known.join(", ") }
        );
        ArmError::new(404, "InvalidResourceType", message)
    };
    let (types, actions) = (&provider.properties.resource_types, &provider.properties.actions);
    match (request.method, asked) {
        (Method::Get, [kind]) | (Method::Get | Method::Put | Method::Delete, [kind, _]) => {
            let route = named(types, kind).ok_or_else(|| unknown("resource type", types, kind))?;
            let path = [route.name.as_str()].into_iter().chain(asked.iter().skip(1).copied());
            Ok((route, path.map(str::to_owned).collect()))
        }
        (Method::Post, [action]) => {
            let route = named(actions, action).ok_or_else(|| unknown("action", actions, action))?;
            Ok((route, vec![route.name.clone()]))
        }
        (Method::Post, [kind, name, action]) => {
            let declared = format!("{kind}/{action}");
            let route = named(actions, &declared).ok_or_else(|| unknown("action", actions, &declared))?;
            let (kind, action) = route.name.split_once('/').unwrap_or((kind, action));
            Ok((route, vec![kind.to_owned(), (*name).to_owned(), action.to_owned()]))
        }
        (_, [_] | [_, _] | [_, _, _]) => Err(method_not_allowed(request)),
        _ => {
            let message =
                format!("There is nothing at '{}'. Custom resources have no children.", request.path);
            Err(ArmError::new(404, "NotFound", message).into())
        }
    }
}

async fn one(app: &App, request: &Incoming, group: &str, name: &str) -> Outcome {
    match request.method {
        Method::Get => {
            let (_, provider) = record::existing(app, group, name).await?;
            Ok(Reply::json(200, &provider.document(app)))
        }
        Method::Head => {
            let found = record::find(app, group, name).await?.is_some();
            Ok(Reply::empty(if found { 204 } else { 404 }))
        }
        Method::Put => put(app, request, group, name).await,
        Method::Patch => patch(app, request, group, name).await,
        Method::Delete => match record::find(app, group, name).await? {
            Some((_, provider)) => {
                delete(app, &provider).await?;
                Ok(Reply::empty(200))
            }
            None => Ok(Reply::empty(204)),
        },
        Method::Post | Method::Other => Err(method_not_allowed(request)),
    }
}

async fn put(app: &App, request: &Incoming, group: &str, name: &str) -> Outcome {
    let document: ProviderDocument = request.json()?;
    let location = document.location()?.to_owned();
    let stored = record::find(app, group, name).await?;
    let (status, version) = match &stored {
        None => {
            record::check_name(name)?;
            (201, None)
        }
        Some((version, provider)) => {
            if normalised(&provider.location) != normalised(&location) {
                let message = format!(
                    "The custom provider '{}' exists in location '{}', which cannot change.",
                    provider.name, provider.location
                );
                return Err(ArmError::new(409, "InvalidResourceLocation", message).at("location").into());
            }
            (200, Some(*version))
        }
    };
    let (tags, properties) = document.checked()?;
    let resource_group = groups::existing(app, group).await?.name;
    let provider = CustomProvider { name: name.to_owned(), resource_group, location, tags, properties };
    save(app, &provider, version).await?;
    Ok(Reply::json(status, &provider.document(app)))
}

/// Of tags alone.
async fn patch(app: &App, request: &Incoming, group: &str, name: &str) -> Outcome {
    let document: ProviderDocument = request.json()?;
    let (version, mut provider) = record::existing(app, group, name).await?;
    if document.has_properties() {
        let message = "PATCH of a custom provider changes its tags only; send the whole resource by PUT.";
        return Err(ArmError::invalid("properties", "PropertyCannotBeChanged", message).into());
    }
    if let Some(tags) = document.tags {
        provider.tags = tags;
    }
    save(app, &provider, Some(version)).await?;
    Ok(Reply::json(200, &provider.document(app)))
}

async fn save(app: &App, provider: &CustomProvider, version: Option<u64>) -> Result<(), ArmError> {
    let key = provider.key();
    let change = Change::new().expect(PROVIDERS, key.clone(), version).put(PROVIDERS, key, provider.body());
    app.store.commit(change).await.map_err(arm_error)
}

async fn delete(app: &App, provider: &CustomProvider) -> Result<(), ArmError> {
    app.store.commit(Change::new().remove(PROVIDERS, provider.key())).await.map_err(arm_error)
}
