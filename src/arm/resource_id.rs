//! Resource ids: `/subscriptions/{s}/resourceGroups/{g}/providers/{ns}/{type}/{name}[/{type}/{name}]*`.
//!
//! Ids compare ignoring case (rules 10, 11) while every part keeps the casing that a caller gave (rule 12). Doubled and
//! trailing slashes are collapsed before parsing: `az resource create` sends `providers/NS//type/name`.

use std::fmt;
use std::str::FromStr;

/// A namespace and its type path, e.g. `Contoso.Things` + `["widgets", "parts"]`.
#[derive(Clone, Debug)]
pub struct ResourceType {
    pub namespace: String,
    pub types: Vec<String>,
}

impl ResourceType {
    /// `namespace/type/child`, in the casing held here.
    pub fn full(&self) -> String {
        format!("{}/{}", self.namespace, self.types.join("/"))
    }
}

impl PartialEq for ResourceType {
    fn eq(&self, other: &Self) -> bool {
        self.full().eq_ignore_ascii_case(&other.full())
    }
}

/// The id of one resource in a resource group.
#[derive(Clone, Debug)]
pub struct ResourceId {
    pub subscription: String,
    pub resource_group: String,
    pub resource_type: ResourceType,
    /// As many as types; the last one is the resource's own name.
    pub names: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
#[error(
    "'{0}' is not a resource id: expected /subscriptions/{{s}}/resourceGroups/{{g}}/providers/{{namespace}}/{{type}}/{{name}}"
)]
pub struct ParseResourceIdError(pub String);

impl ResourceId {
    pub fn name(&self) -> &str {
        self.names.last().map_or("", String::as_str)
    }

    /// The id of the resource that this one is a child of; `None` for top-level resources.
    pub fn parent(&self) -> Option<ResourceId> {
        if self.names.len() < 2 {
            return None;
        }
        let mut parent = self.clone();
        parent.names.pop();
        parent.resource_type.types.pop();
        Some(parent)
    }

    /// The id of a child of this one.
    #[must_use]
    pub fn child(&self, child_type: &str, name: &str) -> ResourceId {
        let mut child = self.clone();
        child.resource_type.types.push(child_type.to_owned());
        child.names.push(name.to_owned());
        child
    }

    /// Lower-case form: the key under which a resource is stored, compared and locked.
    pub fn key(&self) -> String {
        self.to_string().to_lowercase()
    }
}

impl PartialEq for ResourceId {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for ResourceId {}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "/subscriptions/{}/resourceGroups/{}/providers/{}",
            self.subscription, self.resource_group, self.resource_type.namespace
        )?;
        self.resource_type
            .types
            .iter()
            .zip(&self.names)
            .try_for_each(|(kind, name)| write!(f, "/{kind}/{name}"))
    }
}

impl FromStr for ResourceId {
    type Err = ParseResourceIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParseResourceIdError(text.to_owned());
        let segments: Vec<&str> = text.split('/').filter(|segment| !segment.is_empty()).collect();
        let [s, subscription, g, resource_group, p, namespace, rest @ ..] = segments.as_slice() else {
            return Err(wrong());
        };
        let literals = s.eq_ignore_ascii_case("subscriptions")
            && g.eq_ignore_ascii_case("resourceGroups")
            && p.eq_ignore_ascii_case("providers");
        if !literals || rest.is_empty() || !rest.len().is_multiple_of(2) {
            return Err(wrong());
        }
        Ok(Self {
            subscription: (*subscription).to_owned(),
            resource_group: (*resource_group).to_owned(),
            resource_type: ResourceType {
                namespace: (*namespace).to_owned(),
                types: rest.iter().step_by(2).map(|kind| (*kind).to_owned()).collect(),
            },
            names: rest.iter().skip(1).step_by(2).map(|name| (*name).to_owned()).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_ignoring_case_and_keeps_casing() {
        let given: ResourceId =
            "/subscriptions/S/resourcegroups/RG/PROVIDERS/Ns.X//things/One/Parts/two/".parse().unwrap();
        assert_eq!(
            given.to_string(),
            "/subscriptions/S/resourceGroups/RG/providers/Ns.X/things/One/Parts/two"
        );
        assert_eq!(given, given.to_string().to_uppercase().parse().unwrap());
        assert_eq!(given.parent().unwrap().name(), "One");
        assert_eq!(given.parent().unwrap().child("parts", "TWO"), given);
    }

    #[test]
    fn refuses_what_is_not_an_id() {
        for bad in [
            "",
            "/",
            "/subscriptions/s",
            "/subscriptions/s/resourceGroups/g/providers/n",
            "/subscriptions/s/resourceGroups/g/providers/n/t",
            "/a/b/c/d/e/f/g/h",
        ] {
            assert!(bad.parse::<ResourceId>().is_err(), "{bad}");
        }
    }
}
