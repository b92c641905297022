//! What the header `X-MS-CustomProviders-RequestPath` says: which custom provider asks, and for what.

use std::fmt;

use livedata_arm::{ArmError, ResourceId, ResourceType};

use crate::errors;
use crate::registry;
use crate::request::Request;
use crate::verbs::Handler;

const NAMESPACE: &str = "Microsoft.CustomProviders";
const PROVIDERS: &str = "resourceProviders";
/// The last part of this type's path is that of what all others hang below.
const MIGRATORS: &str = "migrators";

/// A resource of somebody who made our endpoint known to ARM.
#[derive(Clone, Debug)]
pub struct CustomProvider {
    subscription: String,
    group: String,
    name: String,
}

pub struct Address {
    pub provider: CustomProvider,
    pub asked: Asked,
}

pub enum Asked {
    Collection(&'static dyn Handler),
    Resource(&'static dyn Handler, String),
    Action(&'static dyn Handler, String, String),
}

impl Address {
    pub fn parse(path: &str) -> Result<Self, ArmError> {
        let invalid = || {
            errors::INVALID_REQUEST_PATH.error(format!(
                "The header X-MS-CustomProviders-RequestPath is not the id of a resource of a custom provider \
                 (/subscriptions/…/resourceGroups/…/providers/{NAMESPACE}/{PROVIDERS}/…/…): '{path}'."
            ))
        };
        let segments = Request::segments_of(path);
        // Keys are made of them.
        if segments.iter().any(|segment| segment.contains('/') || segment.chars().any(char::is_control)) {
            return Err(invalid());
        }
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let [s, subscription, g, group, p, namespace, t, name, rest @ ..] = segments.as_slice() else {
            return Err(invalid());
        };
        let literals = s.eq_ignore_ascii_case("subscriptions")
            && g.eq_ignore_ascii_case("resourceGroups")
            && p.eq_ignore_ascii_case("providers")
            && namespace.eq_ignore_ascii_case(NAMESPACE)
            && t.eq_ignore_ascii_case(PROVIDERS);
        if !literals {
            return Err(invalid());
        }
        let provider = CustomProvider {
            subscription: (*subscription).to_owned(),
            group: (*group).to_owned(),
            name: (*name).to_owned(),
        };
        let asked = match rest {
            [kind] => Asked::Collection(find(kind)?),
            [kind, name] => Asked::Resource(find(kind)?, (*name).to_owned()),
            [kind, name, action] => Asked::Action(find(kind)?, (*name).to_owned(), (*action).to_owned()),
            _ => return Err(invalid()),
        };
        Ok(Self { provider, asked })
    }
}

/// The type by the last part of its path: these are flat.
fn find(kind: &str) -> Result<&'static dyn Handler, ArmError> {
    let found = registry::KINDS.iter().copied().find(|known| last_type(*known).eq_ignore_ascii_case(kind));
    found.ok_or_else(|| {
        let known: Vec<&str> = registry::KINDS.iter().map(|known| last_type(*known)).collect();
        let message =
            format!("There is no resource type or action '{kind}' here. The types are {}.", known.join(", "));
        errors::INVALID_RESOURCE_TYPE.error(message)
    })
}

pub fn last_type(kind: &'static dyn Handler) -> &'static str {
    kind.description().path.last().copied().unwrap_or_default()
}

impl CustomProvider {
    /// A custom resource's id.
    pub fn id(&self, kind: &'static dyn Handler, name: &str) -> String {
        format!("{self}/{}/{name}", last_type(kind))
    }

    /// The custom resource's id of a resource.
    pub fn id_of(&self, id: &ResourceId) -> String {
        let kind = id.resource_type.types.last().map_or("", String::as_str);
        format!("{self}/{kind}/{}", id.name())
    }

    /// The full name of the type of a custom resource.
    pub fn type_of(id: &ResourceId) -> String {
        let kind = id.resource_type.types.last().map_or("", String::as_str);
        format!("{NAMESPACE}/{PROVIDERS}/{kind}")
    }

    pub fn key(&self, kind: &'static dyn Handler, name: &str) -> String {
        self.id(kind, name).to_lowercase()
    }

    pub fn key_of_migrator(&self, name: &str) -> String {
        format!("{self}/{MIGRATORS}/{name}").to_lowercase()
    }

    /// What all keys of its resources begin with.
    pub fn prefix(&self) -> String {
        format!("{self}/").to_lowercase()
    }

    /// The resource of ours that a custom resource of a type without a parent is.
    pub fn top_level(&self, namespace: &str, kind: &'static dyn Handler, name: &str) -> ResourceId {
        ResourceId {
            subscription: self.subscription.clone(),
            resource_group: self.group.clone(),
            resource_type: ResourceType {
                namespace: namespace.to_owned(),
                types: vec![last_type(kind).to_owned()],
            },
            names: vec![name.to_owned()],
        }
    }
}

impl fmt::Display for CustomProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subscription, group, name } = self;
        write!(
            f,
            "/subscriptions/{subscription}/resourceGroups/{group}/providers/{NAMESPACE}/{PROVIDERS}/{name}"
        )
    }
}
