//! Which address means what.

use livedata_arm::{ArmError, ResourceId, ResourceType};

use crate::core::Core;
use crate::errors;
use crate::kind::Action;
use crate::registry;
use crate::request::{Method, Request, Response};
use crate::verbs::Handler;
use crate::{operation_routes, provider_operations};

/// The meaning of a path.
enum Route {
    ProviderOperations,
    Resource(&'static dyn Handler, ResourceId),
    /// The prefix of the keys of what it lists; for children also their parent.
    Collection(&'static dyn Handler, String, Option<ResourceId>),
    Action(&'static dyn Handler, ResourceId, &'static Action),
    OperationStatus(String),
    OperationResult(String),
}

impl Route {
    fn methods(&self) -> &'static [Method] {
        match self {
            Self::Resource(..) => &[Method::Get, Method::Head, Method::Put, Method::Patch, Method::Delete],
            Self::Action(..) => &[Method::Post],
            _ => &[Method::Get, Method::Head],
        }
    }
}

pub async fn dispatch(core: &Core, request: &Request) -> Response {
    match answer(core, request).await {
        Ok(response) => response,
        Err(error) => Response::error(&error),
    }
}

async fn answer(core: &Core, request: &Request) -> Result<Response, ArmError> {
    check_api_version(request)?;
    let route = parse(core, &request.segments)?;
    if !route.methods().contains(&request.method) {
        let allowed: Vec<String> =
            route.methods().iter().map(|method| format!("{method:?}").to_uppercase()).collect();
        let refusal = errors::METHOD_NOT_ALLOWED.error(format!(
            "This address does not take {:?}; it takes {}.",
            request.method,
            allowed.join(", ")
        ));
        return Ok(Response::error(&refusal).with("allow", allowed.join(", ")));
    }
    let done = match route {
        Route::ProviderOperations => Ok(provider_operations::list(&core.namespace)),
        Route::OperationStatus(key) => operation_routes::status(core, request, &key).await,
        Route::OperationResult(key) => operation_routes::result(core, request, &key).await,
        Route::Collection(kind, prefix, parent) => kind.list(core, request, &prefix, parent.as_ref()).await,
        Route::Action(kind, id, action) => kind.action(core, request, &id, action).await,
        Route::Resource(kind, id) => match request.method {
            Method::Put => kind.put(core, request, &id).await,
            Method::Patch => kind.patch(core, request, &id).await,
            Method::Delete => kind.delete(core, request, &id).await,
            Method::Get | Method::Head | Method::Post => kind.get(core, &id).await,
        },
    };
    Ok(done?)
}

/// Rules 6 and 8.
fn check_api_version(request: &Request) -> Result<(), ArmError> {
    let supported = registry::API_VERSIONS.join(", ");
    let Some(version) = request.parameter("api-version").filter(|version| !version.is_empty()) else {
        return Err(errors::MISSING_API_VERSION.error(format!(
            "The api-version query parameter is required. The supported versions are: {supported}."
        )));
    };
    if registry::API_VERSIONS.iter().any(|known| known.eq_ignore_ascii_case(version)) {
        return Ok(());
    }
    Err(errors::INVALID_API_VERSION.error(format!(
        "The api-version '{version}' is not supported. The supported versions are: {supported}."
    )))
}

fn parse(core: &Core, segments: &[String]) -> Result<Route, ArmError> {
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let is = |given: &str, literal: &str| given.eq_ignore_ascii_case(literal);
    let ours = |namespace: &str| namespace.eq_ignore_ascii_case(&core.namespace);
    match segments.as_slice() {
        [p, namespace, o] if is(p, "providers") && ours(namespace) && is(o, "operations") => {
            Ok(Route::ProviderOperations)
        }
        [s, subscription, p, namespace, l, location, kind, id]
            if is(s, "subscriptions") && is(p, "providers") && ours(namespace) && is(l, "locations") =>
        {
            let key = crate::operations::key(subscription, location, id);
            match *kind {
                kind if is(kind, "operationStatuses") => Ok(Route::OperationStatus(key)),
                kind if is(kind, "operationResults") => Ok(Route::OperationResult(key)),
                _ => Err(no_route(&segments)),
            }
        }
        [s, subscription, p, namespace, kind]
            if is(s, "subscriptions") && is(p, "providers") && ours(namespace) =>
        {
            let handler = registry::find(&[kind]).ok_or_else(|| no_type(core, kind))?;
            Ok(Route::Collection(
                handler,
                format!("/subscriptions/{subscription}/resourcegroups/").to_lowercase(),
                None,
            ))
        }
        [s, subscription, g, group, p, namespace, rest @ ..]
            if is(s, "subscriptions") && is(g, "resourceGroups") && is(p, "providers") && ours(namespace) =>
        {
            in_group(core, subscription, group, rest, &segments)
        }
        _ => Err(no_route(&segments)),
    }
}

/// What follows the namespace: types and names in turn, then a type (collection) or an action.
fn in_group(
    core: &Core,
    subscription: &str,
    group: &str,
    rest: &[&str],
    all: &[&str],
) -> Result<Route, ArmError> {
    let types: Vec<&str> = rest.iter().copied().step_by(2).collect();
    let names: Vec<&str> = rest.iter().copied().skip(1).step_by(2).collect();
    let id = |handler: &dyn Handler, names: &[&str]| ResourceId {
        subscription: subscription.to_owned(),
        resource_group: group.to_owned(),
        resource_type: ResourceType {
            namespace: core.namespace.clone(),
            types: handler.description().path.iter().map(|kind| (*kind).to_owned()).collect(),
        },
        names: names.iter().map(|name| (*name).to_owned()).collect(),
    };
    if types.is_empty() {
        return Err(no_route(all));
    }
    if types.len() == names.len() {
        let handler = registry::find(&types).ok_or_else(|| no_type(core, &types.join("/")))?;
        names.iter().try_for_each(|name| check_name(name))?;
        return Ok(Route::Resource(handler, id(handler, &names)));
    }
    if let Some(handler) = registry::find(&types) {
        let last = handler.description().path.last().copied().unwrap_or_default();
        let parent = types.len().checked_sub(2).and_then(|at| types.get(..=at)).and_then(registry::find);
        let parent = parent.map(|parent| id(parent, &names));
        let scope = parent.as_ref().map_or_else(
            || format!("/subscriptions/{subscription}/resourceGroups/{group}/providers/{}", core.namespace),
            ToString::to_string,
        );
        return Ok(Route::Collection(handler, format!("{scope}/{last}/").to_lowercase(), parent));
    }
    let Some((action, owner)) = types.split_last() else { return Err(no_route(all)) };
    let handler = registry::find(owner).ok_or_else(|| no_type(core, &types.join("/")))?;
    let found = handler.description().actions.iter().find(|known| {
        known.name.eq_ignore_ascii_case(action)
            || known.alias.is_some_and(|alias| alias.eq_ignore_ascii_case(action))
    });
    match found {
        Some(found) => Ok(Route::Action(handler, id(handler, &names), found)),
        None => Err(no_type(core, &types.join("/"))),
    }
}

fn check_name(name: &str) -> Result<(), ArmError> {
    let good = (1..=64).contains(&name.len())
        && name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    if good {
        return Ok(());
    }
    Err(errors::INVALID_RESOURCE_NAME.error(format!(
        "'{name}' cannot be a resource name: use 1 to 64 letters, digits, '-', '_' or '.', beginning with a letter or digit."
    )))
}

fn no_type(core: &Core, types: &str) -> ArmError {
    errors::INVALID_RESOURCE_TYPE
        .error(format!("There is no resource type or action '{}/{types}'.", core.namespace))
}

fn no_route(segments: &[&str]) -> ArmError {
    errors::ROUTE_NOT_FOUND.error(format!("There is nothing at '/{}'.", segments.join("/")))
}
