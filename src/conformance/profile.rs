//! What an endpoint is described by, in TOML or JSON.
//!
//! `${NAME}` in any text stands for a variable: those of the table `variables`, which `--set NAME=VALUE` overrides, and in
//! bodies further `${name}`, `${parent}`, `${subscription}`, `${resource-group}`, `${location}` of the resource that is made,
//! and `${types/path}`, the id of a resource of that type under the same parent, which is made first.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the profile {} cannot be read", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("the profile {} is not TOML", path.display())]
    Toml { path: PathBuf, source: toml::de::Error },
    #[error("the profile {} is not JSON, or lacks something", path.display())]
    Json { path: PathBuf, source: serde_json::Error },
    #[error("the profile {} names the variable '{name}' that nobody sets; add --set {name}=VALUE", path.display())]
    Unset { path: PathBuf, name: String },
    #[error("the profile {} cannot be used: {why}", path.display())]
    Unusable { path: PathBuf, why: String },
}

/// Who answers at the endpoint.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum Speaks {
    /// A resource provider: what ARM adds to a request has to be sent.
    Provider,
    /// ARM, or something like it, before a provider.
    FrontDoor,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Profile {
    pub speaks: Speaks,
    pub namespace: String,
    pub api_version: String,
    /// Further ones that are served.
    #[serde(default)]
    pub other_versions: Vec<String>,
    pub subscription: String,
    pub resource_group: String,
    /// Where resources are moved to.
    pub other_resource_group: Option<String>,
    pub location: String,
    pub other_location: Option<String>,
    /// Longest wait for an operation.
    #[serde(default = "two_minutes")]
    pub operation_limit_seconds: u64,
    /// What follows the address of an operation's status to cancel it by POST.
    pub cancellation: Option<String>,
    /// Whether the statuses of operations are found without their subscription, too.
    #[serde(default)]
    pub operations_at_tenant: bool,
    pub types: Vec<Kind>,
    /// Rules that the endpoint breaks on purpose.
    #[serde(default)]
    pub deviations: Vec<Exception>,
    /// A file with more of them, beside the profile: what several profiles share.
    pub deviations_file: Option<PathBuf>,
    /// Rules that the endpoint is to keep and does not yet.
    #[serde(default)]
    pub open: Vec<Exception>,
}

fn two_minutes() -> u64 {
    120
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Exception {
    pub rules: Vec<u16>,
    pub reason: String,
    /// Only in this version; absent: in all.
    pub api_version: Option<String>,
    /// Only where the endpoint is this; absent: everywhere.
    pub speaks: Option<Speaks>,
}

/// See [`Profile::deviations_file`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Deviations {
    deviations: Vec<Exception>,
}

/// A resource type. Everything in texts that begin with `/` is a JSON pointer into the resource.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Kind {
    /// Below the namespace, e.g. `servers/databases`.
    pub path: String,
    #[serde(default)]
    pub tracked: bool,
    /// Without those that it has not: get, put, patch, delete, list, list-by-subscription.
    #[serde(default = "all_verbs")]
    pub verbs: Vec<Verb>,
    pub body: Value,
    /// A body that is refused at once.
    pub invalid_body: Option<Value>,
    /// A body that is accepted and whose operation fails.
    pub failing_body: Option<Value>,
    /// A merge patch that changes something within `properties`.
    pub patch: Option<Value>,
    /// Required properties.
    #[serde(default)]
    pub required: Vec<String>,
    /// A writable property of the body that may be left out and is then at its default.
    pub optional: Option<String>,
    /// A writable property of the body that is an array, not empty.
    pub array: Option<String>,
    /// Properties that are written and never read.
    #[serde(default)]
    pub secrets: Vec<String>,
    /// Properties that hold ids of resources.
    #[serde(default)]
    pub references: Vec<String>,
    /// The resource stands somewhere on premises and says so in `properties.locationData`.
    #[serde(default)]
    pub on_premises: bool,
    /// Has `GET {resource}/skus`.
    #[serde(default)]
    pub skus: bool,
    #[serde(default)]
    pub actions: Vec<Action>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    Get,
    Put,
    Patch,
    Delete,
    List,
    ListBySubscription,
}

fn all_verbs() -> Vec<Verb> {
    use Verb::{Delete, Get, List, ListBySubscription, Patch, Put};
    vec![Get, Put, Patch, Delete, List, ListBySubscription]
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Action {
    pub name: String,
    pub body: Option<Value>,
    /// Answered by 202.
    #[serde(default)]
    pub long_running: bool,
    /// A resource that has just been made is in the wrong state for it.
    #[serde(default)]
    pub wrong_state: bool,
}

impl Kind {
    pub fn has(&self, verb: Verb) -> bool {
        self.verbs.contains(&verb)
    }

    /// Path of the parent's type.
    pub fn parent(&self) -> Option<&str> {
        self.path.rsplit_once('/').map(|(parent, _)| parent)
    }

    /// The type's last segment.
    pub fn last(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
}

impl Profile {
    pub fn read(path: &Path, set: &[(String, String)]) -> Result<Self, Error> {
        let json = |source| Error::Json { path: path.to_owned(), source };
        let mut profile: Self =
            serde_json::from_value(resolved(path, document(path)?, set)?).map_err(json)?;
        if let Some(file) = &profile.deviations_file {
            let file = path.parent().unwrap_or(Path::new("")).join(file);
            let more: Deviations = serde_json::from_value(document(&file)?)
                .map_err(|source| Error::Json { path: file, source })?;
            profile.deviations.extend(more.deviations);
        }
        match profile.complaint() {
            None => Ok(profile),
            Some(why) => Err(Error::Unusable { path: path.to_owned(), why }),
        }
    }

    pub fn kind(&self, path: &str) -> Option<&Kind> {
        self.types.iter().find(|kind| kind.path == path)
    }

    fn complaint(&self) -> Option<String> {
        if !self.types.iter().any(|kind| kind.tracked && kind.parent().is_none()) {
            return Some("no type is tracked and at the top".into());
        }
        let orphan =
            self.types.iter().find(|kind| kind.parent().is_some_and(|path| self.kind(path).is_none()));
        orphan.map(|kind| format!("the parent of the type '{}' is not among the types", kind.path))
    }

    /// Why a rule may fail here.
    pub fn deviation(&self, rule: u16) -> Option<&str> {
        self.exception(&self.deviations, rule)
    }

    pub fn open(&self, rule: u16) -> Option<&str> {
        self.exception(&self.open, rule)
    }

    fn exception<'a>(&self, list: &'a [Exception], rule: u16) -> Option<&'a str> {
        let here = |one: &&Exception| {
            one.speaks.is_none_or(|speaks| speaks == self.speaks)
                && one.api_version.as_ref().is_none_or(|version| *version == self.api_version)
        };
        list.iter().filter(here).find(|one| one.rules.contains(&rule)).map(|one| one.reason.as_str())
    }
}

/// A file of TOML, or of JSON.
fn document(path: &Path) -> Result<Value, Error> {
    let text =
        std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    if path.extension().is_some_and(|extension| extension == "json") {
        return serde_json::from_str(&text).map_err(|source| Error::Json { path: path.to_owned(), source });
    }
    toml::from_str(&text).map_err(|source| Error::Toml { path: path.to_owned(), source })
}

/// What stands for something only when a resource is made.
fn is_late(name: &str) -> bool {
    matches!(name, "name" | "parent" | "subscription" | "resource-group" | "location") || name.contains('/')
}

/// The document with its variables in place.
fn resolved(path: &Path, mut document: Value, set: &[(String, String)]) -> Result<Value, Error> {
    let table = document.as_object_mut().and_then(|table| table.remove("variables"));
    let mut variables: BTreeMap<String, String> = table
        .map(serde_json::from_value)
        .transpose()
        .map_err(|source| Error::Json { path: path.to_owned(), source })?
        .unwrap_or_default();
    variables.extend(set.iter().cloned());
    let mut unset = None;
    let Value::Object(members) = document else { return Ok(document) };
    let members = members.into_iter().map(|(member, part)| {
        let part = substituted(&part, &mut |name| {
            let value = variables.get(name).cloned();
            if value.is_none() && !(member == "types" && is_late(name)) {
                unset = Some(name.to_owned());
            }
            value
        });
        (member, part)
    });
    let document = Value::Object(members.collect());
    match unset {
        None => Ok(document),
        Some(name) => Err(Error::Unset { path: path.to_owned(), name }),
    }
}

/// Every `${NAME}` that `value` knows, in all texts of a document.
pub fn substituted(document: &Value, value: &mut dyn FnMut(&str) -> Option<String>) -> Value {
    match document {
        Value::String(text) => Value::String(substituted_text(text, value)),
        Value::Array(elements) => elements.iter().map(|element| substituted(element, value)).collect(),
        Value::Object(members) => Value::Object(
            members.iter().map(|(name, member)| (name.clone(), substituted(member, value))).collect(),
        ),
        other => other.clone(),
    }
}

fn substituted_text(text: &str, value: &mut dyn FnMut(&str) -> Option<String>) -> String {
    let mut done = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, after)) = after.split_once('}') else { break };
        done.push_str(before);
        match value(name) {
            Some(value) => done.push_str(&value),
            None => done.push_str(&format!("${{{name}}}")),
        }
        rest = after;
    }
    done + rest
}

/// Names of all `${NAME}` in a document.
pub fn names_in(document: &Value) -> Vec<String> {
    let mut names = Vec::new();
    substituted(document, &mut |name| {
        names.push(name.to_owned());
        None
    });
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = r#"
speaks = "${speaks}"
namespace = "A.B"
api-version = "2026-01-01"
subscription = "${subscription}"
resource-group = "g"
location = "here"
[variables]
speaks = "provider"
"#;
    const BOXES: &str =
        "[[types]]\npath = 'boxes'\ntracked = true\nbody = { a = '${name} ${boxes/items}' }\n";

    fn read(text: &str, set: &[(&str, &str)]) -> Result<Profile, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("profile.toml");
        std::fs::write(&path, text).unwrap();
        let set: Vec<_> = set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Profile::read(&path, &set)
    }

    #[test]
    fn variables_have_defaults_and_late_ones_stay() {
        let profile = read(&format!("{HEAD}{BOXES}"), &[("subscription", "s1")]).unwrap();
        assert_eq!((profile.speaks, profile.subscription.as_str()), (Speaks::Provider, "s1"));
        assert_eq!(profile.types[0].body["a"], "${name} ${boxes/items}");
        let set = [("subscription", "s1"), ("speaks", "front-door")];
        assert_eq!(read(&format!("{HEAD}{BOXES}"), &set).unwrap().speaks, Speaks::FrontDoor);
    }

    #[test]
    fn what_is_missing_or_misspelt_is_named() {
        let said = |text: &str, set: &[(&str, &str)]| {
            let error = read(text, set).unwrap_err();
            format!("{error}: {:?}", std::error::Error::source(&error).map(ToString::to_string))
        };
        assert!(said(&format!("{HEAD}{BOXES}"), &[]).contains("--set subscription=VALUE"));
        let set = [("subscription", "s1")];
        assert!(said(&format!("{HEAD}{BOXES}trakked = true"), &set).contains("trakked"));
        let orphan = format!("{HEAD}{BOXES}[[types]]\npath = 'chests/items'\nbody = {{}}");
        assert!(said(&orphan, &set).contains("the parent of the type 'chests/items'"));
        assert!(said(&format!("types = []\n{HEAD}"), &set).contains("no type is tracked"));
        assert!(said("speaks = ", &set).contains("is not TOML"));
    }

    #[test]
    fn exceptions_may_be_for_one_kind_of_endpoint() {
        let lists = "[[open]]\nrules = [4, 5]\nspeaks = 'front-door'\nreason = 'r'\n[[deviations]]\nrules = [79]\nreason = 'd'\n";
        let profile = read(&format!("{HEAD}{BOXES}{lists}"), &[("subscription", "s1")]).unwrap();
        assert_eq!((profile.open(4), profile.deviation(79), profile.deviation(4)), (None, Some("d"), None));
    }

    #[test]
    fn deviations_of_several_profiles_are_in_a_file_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let (profile, shared) = (folder.path().join("profile.toml"), folder.path().join("shared.json"));
        std::fs::write(&profile, format!("deviations-file = 'shared.json'\n{HEAD}{BOXES}")).unwrap();
        let text = r#"{"deviations": [{"rules": [7], "reason": "old", "api-version": "2020-01-01"}, {"rules": [8], "reason": "all"}]}"#;
        std::fs::write(&shared, text).unwrap();
        let read = Profile::read(&profile, &[("subscription".into(), "s1".into())]).unwrap();
        assert_eq!((read.deviation(7), read.deviation(8)), (None, Some("all")));
        std::fs::write(&shared, "{}").unwrap();
        let error = Profile::read(&profile, &[("subscription".into(), "s1".into())]).unwrap_err();
        assert!(error.to_string().contains("shared.json"), "{error}");
    }
}
