//! Which address means what.

use std::sync::Arc;

use livedata_arm::{ArmError, ResourceId, ResourceType};

use crate::core::Core;
use crate::errors;
use crate::insights::{self, Asked};
use crate::kind::{Action, Names};
use crate::operations::Followed;
use crate::registry;
use crate::request::{Method, Request, Response};
use crate::subscriptions;
use crate::verbs::Handler;
use crate::view::Version;
use crate::{moves, name_availability, operation_routes, preflight, provider_operations};

const CHECK_NAME: &str = "checkNameAvailability";

/// The meaning of a path.
enum Route {
    ProviderOperations,
    Resource(&'static dyn Handler, ResourceId),
    /// The prefix of the keys of what it lists; for children also their parent.
    Collection(&'static dyn Handler, String, Option<ResourceId>),
    Action(&'static dyn Handler, ResourceId, &'static Action),
    OperationStatus(Followed),
    OperationResult(Followed),
    OperationCancel(Followed),
    /// Of this subscription.
    NameAvailability(String),
    /// Of this subscription and group.
    Preflight(String, String),
    /// Of this resource.
    Insights(Asked, &'static dyn Handler, ResourceId),
    /// Out of this subscription and group; whether it is to be done, or only judged.
    Move(String, String, MoveKind),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum MoveKind {
    CarryOut,
    Validate,
}

impl Route {
    /// The one whose state decides whether the request is taken.
    fn subscription(&self) -> Option<&str> {
        match self {
            Self::Resource(_, id) | Self::Action(_, id, _) => Some(&id.subscription),
            Self::Move(subscription, ..) => Some(subscription),
            _ => None,
        }
    }

    /// The address with what varies left out, for metrics: a small number of them.
    fn template(&self) -> String {
        const GROUP: &str = "/subscriptions/{subscription}/resourceGroups/{group}/providers/{namespace}";
        const LOCATION: &str = "/subscriptions/{subscription}/providers/{namespace}/locations/{location}";
        let named = |kind: &&'static dyn Handler| -> String {
            kind.description().path.iter().map(|word| format!("/{word}/{{name}}")).collect()
        };
        match self {
            Self::ProviderOperations => "/providers/{namespace}/operations".to_owned(),
            Self::Resource(kind, _) => format!("{GROUP}{}", named(kind)),
            // A group's and the whole subscription's: the same work.
            Self::Collection(kind, ..) => {
                let within = named(kind);
                format!("{GROUP}{}", within.strip_suffix("/{name}").unwrap_or(&within))
            }
            Self::Action(kind, _, action) => format!("{GROUP}{}/{}", named(kind), action.name),
            Self::OperationStatus(_) => format!("{LOCATION}/operationStatuses/{{id}}"),
            Self::OperationResult(_) => format!("{LOCATION}/operationResults/{{id}}"),
            Self::OperationCancel(_) => format!("{LOCATION}/operationStatuses/{{id}}/cancel"),
            Self::NameAvailability(_) => {
                format!("/subscriptions/{{subscription}}/providers/{{namespace}}/{CHECK_NAME}")
            }
            Self::Preflight(..) => format!("{GROUP}/deployments/{{name}}/preflight"),
            Self::Move(_, _, kind) => {
                let word = match kind {
                    MoveKind::CarryOut => "moveResources",
                    MoveKind::Validate => "validateMoveResources",
                };
                format!("/subscriptions/{{subscription}}/resourceGroups/{{group}}/{word}")
            }
            Self::Insights(asked, kind, _) => {
                format!("{GROUP}{}/providers/Microsoft.Insights/{}", named(kind), asked.name())
            }
        }
    }

    fn methods(&self) -> &'static [Method] {
        match self {
            Self::Resource(..) => &[Method::Get, Method::Head, Method::Put, Method::Patch, Method::Delete],
            Self::Action(..)
            | Self::OperationCancel(_)
            | Self::NameAvailability(_)
            | Self::Preflight(..)
            | Self::Move(..) => &[Method::Post],
            // PATCH is for the provider itself: everybody is refused, with a word of its own.
            Self::OperationStatus(_) => &[Method::Get, Method::Head, Method::Patch],
            _ => &[Method::Get, Method::Head],
        }
    }
}

pub async fn dispatch(core: &Core, mut request: Request) -> Response {
    let mut route = None;
    let response = match answer(core, &mut request, &mut route).await {
        Ok(response) => response,
        Err(error) => {
            let again = error.status == 503;
            let response = Response::error(&request.view.show_error(error));
            // Rule 102.
            if again { response.with("retry-after", core.retry_after_seconds.to_string()) } else { response }
        }
    };
    Response { route, ..response }
}

async fn answer(
    core: &Core,
    request: &mut Request,
    template: &mut Option<String>,
) -> Result<Response, ArmError> {
    if let Some(subscription) = lifecycle(request) {
        *template = Some("/subscriptions/{subscription}".to_owned());
        return Ok(subscriptions::put(core, request, &subscription).await?);
    }
    let (namespace, route, version) = match insights::of_path(&request.segments) {
        Some((asked, of)) => {
            insights::check_version(request)?;
            let (namespace, route) = insights_of(core, asked, of)?;
            (namespace, route, Version::V2026_11_01)
        }
        None => {
            let version = version(request)?;
            let (namespace, route) = parse(core, &request.segments)?;
            check_served(core, &namespace, version)?;
            (namespace, route, version)
        }
    };
    *template = Some(route.template());
    request.view = core.namespaces.view(namespace, version);
    let request = &*request;
    let methods = route.methods();
    if !methods.contains(&request.method) {
        let allowed: Vec<String> =
            methods.iter().map(|method| format!("{method:?}").to_uppercase()).collect();
        let refusal = errors::METHOD_NOT_ALLOWED.error(format!(
            "This address does not take {:?}; it takes {}.",
            request.method,
            allowed.join(", ")
        ));
        return Ok(Response::error(&refusal).with("allow", allowed.join(", ")));
    }
    if let Some(subscription) = route.subscription() {
        subscriptions::check(core, subscription, request).await?;
    }
    let done = match route {
        Route::ProviderOperations => Ok(provider_operations::list(request.view.namespace())),
        Route::OperationStatus(at) => operation_routes::status(core, request, &at).await,
        Route::OperationResult(at) => operation_routes::result(core, request, &at).await,
        Route::OperationCancel(at) => operation_routes::cancel(core, request, &at).await,
        Route::NameAvailability(subscription) => name_availability::check(core, request, &subscription).await,
        Route::Preflight(subscription, group) => preflight::check(core, request, &subscription, &group).await,
        Route::Move(subscription, group, MoveKind::Validate) => {
            moves::validate(core, request, &subscription, &group).await
        }
        Route::Move(subscription, group, MoveKind::CarryOut) => {
            moves::carry_out(core, request, &subscription, &group).await
        }
        Route::Insights(asked, kind, id) => insights::answer(core, request, asked, kind, &id).await,
        Route::Collection(kind, prefix, parent) => kind.list(core, request, &prefix, parent.as_ref()).await,
        Route::Action(_, _, action) if action.since > version => {
            Err(not_served(version.as_str(), &[action.since]).into())
        }
        Route::Action(kind, id, action) => kind.action(core, request, &id, action).await,
        Route::Resource(kind, id) => match request.method {
            Method::Put => kind.put(core, request, &id).await,
            Method::Patch => kind.patch(core, request, &id).await,
            Method::Delete => kind.delete(core, request, &id).await,
            Method::Get | Method::Head | Method::Post => kind.get(core, request, &id).await,
        },
    };
    Ok(done?)
}

/// `PUT /subscriptions/{id}` is ARM's own word, in a version of its own.
fn lifecycle(request: &Request) -> Option<String> {
    match request.segments.as_slice() {
        [s, id]
            if s.eq_ignore_ascii_case("subscriptions")
                && request.method == Method::Put
                && request.parameter("api-version") == Some(subscriptions::API_VERSION) =>
        {
            Some(id.clone())
        }
        _ => None,
    }
}

/// Rules 6 and 8.
fn version(request: &Request) -> Result<Version, ArmError> {
    let given = request.parameter("api-version").filter(|version| !version.is_empty());
    let given = given.ok_or_else(|| {
        let supported = listed(&Version::ALL);
        errors::MISSING_API_VERSION.error(format!(
            "The api-version query parameter is required. The supported versions are: {supported}."
        ))
    })?;
    Version::parse(given).ok_or_else(|| not_served(given, &Version::ALL))
}

/// The alias speaks the public version only.
fn check_served(core: &Core, namespace: &str, version: Version) -> Result<(), ArmError> {
    let served = core.namespaces.versions(namespace);
    if served.contains(&version) { Ok(()) } else { Err(not_served(version.as_str(), served)) }
}

fn not_served(given: &str, supported: &[Version]) -> ArmError {
    let supported = listed(supported);
    errors::INVALID_API_VERSION.error(format!(
        "The api-version '{given}' is not supported. The supported versions are: {supported}."
    ))
}

fn listed(versions: &[Version]) -> String {
    let versions: Vec<&str> = versions.iter().map(|version| version.as_str()).collect();
    versions.join(", ")
}

/// Metrics are a resource's; there are none of collections.
fn insights_of(core: &Core, asked: Asked, of: &[String]) -> Result<(Arc<str>, Route), ArmError> {
    match parse(core, of)? {
        (namespace, Route::Resource(kind, id)) => Ok((namespace, Route::Insights(asked, kind, id))),
        _ => {
            let of: Vec<&str> = of.iter().map(String::as_str).collect();
            Err(no_route(&of))
        }
    }
}

/// The namespace by which the caller knows us, and what the path means.
fn parse(core: &Core, segments: &[String]) -> Result<(Arc<str>, Route), ArmError> {
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let is = |given: &str, literal: &str| given.eq_ignore_ascii_case(literal);
    let ours = |given: &str| core.namespaces.find(given).ok_or_else(|| no_route(&segments));
    match segments.as_slice() {
        [p, namespace, o] if is(p, "providers") && is(o, "operations") => {
            Ok((ours(namespace)?, Route::ProviderOperations))
        }
        // The public API describes operations at this scope.
        [p, namespace, l, location, kind, id] if is(p, "providers") && is(l, "locations") => {
            let at = Followed { subscription: None, location: (*location).to_owned(), id: (*id).to_owned() };
            Ok((ours(namespace)?, operation(kind, at).ok_or_else(|| no_route(&segments))?))
        }
        [s, subscription, p, namespace, l, location, kind, id]
            if is(s, "subscriptions") && is(p, "providers") && is(l, "locations") =>
        {
            let subscription = Some((*subscription).to_owned());
            let at = Followed { subscription, location: (*location).to_owned(), id: (*id).to_owned() };
            Ok((ours(namespace)?, operation(kind, at).ok_or_else(|| no_route(&segments))?))
        }
        [s, subscription, p, namespace, l, location, kind, id, cancel]
            if is(s, "subscriptions")
                && is(p, "providers")
                && is(l, "locations")
                && is(kind, "operationStatuses")
                && is(cancel, "cancel") =>
        {
            let subscription = Some((*subscription).to_owned());
            let at = Followed { subscription, location: (*location).to_owned(), id: (*id).to_owned() };
            Ok((ours(namespace)?, Route::OperationCancel(at)))
        }
        [s, subscription, p, namespace, check]
            if is(s, "subscriptions") && is(p, "providers") && is(check, CHECK_NAME) =>
        {
            Ok((ours(namespace)?, Route::NameAvailability((*subscription).to_owned())))
        }
        [s, subscription, p, namespace, l, _location, check]
            if is(s, "subscriptions")
                && is(p, "providers")
                && is(l, "locations")
                && is(check, CHECK_NAME) =>
        {
            Ok((ours(namespace)?, Route::NameAvailability((*subscription).to_owned())))
        }
        [s, subscription, g, group, p, namespace, d, _deployment, check]
            if is(s, "subscriptions")
                && is(g, "resourceGroups")
                && is(p, "providers")
                && is(d, "deployments")
                && is(check, "preflight") =>
        {
            let route = Route::Preflight((*subscription).to_owned(), (*group).to_owned());
            Ok((ours(namespace)?, route))
        }
        // Of all namespaces: the resources say whose they are.
        [s, subscription, g, group, action]
            if is(s, "subscriptions") && is(g, "resourceGroups") && move_kind(action).is_some() =>
        {
            check_group(group)?;
            let kind = move_kind(action).ok_or_else(|| no_route(&segments))?;
            let route = Route::Move((*subscription).to_owned(), (*group).to_owned(), kind);
            Ok((Arc::clone(&core.namespaces.own), route))
        }
        [s, subscription, p, namespace, kind] if is(s, "subscriptions") && is(p, "providers") => {
            let namespace = ours(namespace)?;
            let handler = registry::find(&[kind]).ok_or_else(|| no_type(&namespace, kind))?;
            let prefix = format!("/subscriptions/{subscription}/resourcegroups/").to_lowercase();
            Ok((namespace, Route::Collection(handler, prefix, None)))
        }
        [s, subscription, g, group, p, namespace, rest @ ..]
            if is(s, "subscriptions") && is(g, "resourceGroups") && is(p, "providers") =>
        {
            let namespace = ours(namespace)?;
            let route = in_group(core, &namespace, subscription, group, rest, &segments)?;
            Ok((namespace, route))
        }
        _ => Err(no_route(&segments)),
    }
}

fn move_kind(action: &str) -> Option<MoveKind> {
    if action.eq_ignore_ascii_case("moveResources") {
        Some(MoveKind::CarryOut)
    } else if action.eq_ignore_ascii_case("validateMoveResources") {
        Some(MoveKind::Validate)
    } else {
        None
    }
}

fn operation(kind: &str, at: Followed) -> Option<Route> {
    if kind.eq_ignore_ascii_case("operationStatuses") {
        Some(Route::OperationStatus(at))
    } else if kind.eq_ignore_ascii_case("operationResults") {
        Some(Route::OperationResult(at))
    } else {
        None
    }
}

/// What follows the namespace: types and names in turn, then a type (collection) or an action.
fn in_group(
    core: &Core,
    namespace: &str,
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
            namespace: core.namespaces.own.to_string(),
            types: handler.description().path.iter().map(|kind| (*kind).to_owned()).collect(),
        },
        names: names.iter().map(|name| (*name).to_owned()).collect(),
    };
    if types.is_empty() {
        return Err(no_route(all));
    }
    check_group(group)?;
    if types.len() == names.len() {
        let handler = registry::find(&types).ok_or_else(|| no_type(namespace, &types.join("/")))?;
        check_names(&types, &names)?;
        return Ok(Route::Resource(handler, id(handler, &names)));
    }
    if let Some(handler) = registry::find(&types) {
        let last = handler.description().path.last().copied().unwrap_or_default();
        let parent = types.len().checked_sub(2).and_then(|at| types.get(..=at)).and_then(registry::find);
        let parent = parent.map(|parent| id(parent, &names));
        let scope = parent.as_ref().map_or_else(
            || {
                format!(
                    "/subscriptions/{subscription}/resourceGroups/{group}/providers/{}",
                    core.namespaces.own
                )
            },
            ToString::to_string,
        );
        return Ok(Route::Collection(handler, format!("{scope}/{last}/").to_lowercase(), parent));
    }
    let Some((action, owner)) = types.split_last() else { return Err(no_route(all)) };
    let handler = registry::find(owner).ok_or_else(|| no_type(namespace, &types.join("/")))?;
    let found = handler.description().actions.iter().find(|known| {
        known.name.eq_ignore_ascii_case(action)
            || known.alias.is_some_and(|alias| alias.eq_ignore_ascii_case(action))
    });
    match found {
        Some(found) => Ok(Route::Action(handler, id(handler, &names), found)),
        None => Err(no_type(namespace, &types.join("/"))),
    }
}

/// Rule 4.
pub fn check_group(name: &str) -> Result<(), ArmError> {
    let letter = |letter: char| letter.is_alphanumeric() || matches!(letter, '-' | '_' | '(' | ')' | '.');
    if (1..=90).contains(&name.chars().count()) && name.chars().all(letter) && !name.ends_with('.') {
        return Ok(());
    }
    Err(errors::INVALID_RESOURCE_GROUP_NAME.error(format!(
        "'{name}' cannot be a resource group: use 1 to 90 letters, digits, '-', '_', '(', ')' or '.', not ending in '.'."
    )))
}

/// Each name by the rule of its own type.
fn check_names(types: &[&str], names: &[&str]) -> Result<(), ArmError> {
    for (at, name) in names.iter().enumerate() {
        let kind = types.get(..=at).and_then(registry::find);
        let rule = kind.map_or(Names::Usual, |kind| kind.description().names);
        if !rule.allow(name) {
            let message = format!("'{name}' cannot be a resource name: use {}.", rule.rule());
            return Err(errors::INVALID_RESOURCE_NAME.error(message));
        }
    }
    Ok(())
}

fn no_type(namespace: &str, types: &str) -> ArmError {
    errors::INVALID_RESOURCE_TYPE.error(format!("There is no resource type or action '{namespace}/{types}'."))
}

fn no_route(segments: &[&str]) -> ArmError {
    errors::ROUTE_NOT_FOUND.error(format!("There is nothing at '/{}'.", segments.join("/")))
}
