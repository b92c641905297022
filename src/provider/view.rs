//! How a client sees the provider: the api-version that it speaks, and the namespace that it calls us by.
//!
//! There is one internal model, stored under one namespace. A view turns what is stored into what this client expects, and
//! what it sends into what is stored. The alias `Wandisco.Fusion` speaks the public version only.

use std::sync::Arc;

use livedata_arm::{ArmError, ErrorDetail, ResourceId};

/// In the order of their dates.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub enum Version {
    /// The public API of the original product.
    V2023_11_01,
    /// Ours, a superset.
    V2026_11_01,
}

impl Version {
    pub const ALL: [Self; 2] = [Self::V2023_11_01, Self::V2026_11_01];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2023_11_01 => "2023-11-01-preview",
            Self::V2026_11_01 => "2026-11-01-preview",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.as_str().eq_ignore_ascii_case(text))
    }

    /// Whether this is the public contract, with its own shapes (`api/deviations.toml`).
    pub const fn is_public(self) -> bool {
        matches!(self, Self::V2023_11_01)
    }
}

/// The namespaces that a provider answers to.
#[derive(Clone, Debug)]
pub struct Namespaces {
    /// Ours: what is stored, and what agents are told.
    pub own: Arc<str>,
    pub alias: Option<Arc<str>>,
}

/// The namespace of the public API.
pub const PUBLIC_NAMESPACE: &str = "Wandisco.Fusion";

impl Namespaces {
    pub fn new(own: &str, compatible: bool) -> Self {
        Self { own: own.into(), alias: compatible.then(|| PUBLIC_NAMESPACE.into()) }
    }

    /// One of ours, in our casing.
    pub fn find(&self, given: &str) -> Option<Arc<str>> {
        let all = [Some(&self.own), self.alias.as_ref()];
        all.into_iter().flatten().find(|known| known.eq_ignore_ascii_case(given)).cloned()
    }

    /// The versions that are served under this one.
    pub fn versions(&self, namespace: &str) -> &'static [Version] {
        if namespace == &*self.own { &Version::ALL } else { &[Version::V2023_11_01] }
    }

    pub fn view(&self, namespace: Arc<str>, version: Version) -> View {
        View { version, own: Arc::clone(&self.own), shown: namespace }
    }
}

#[derive(Clone, Debug)]
pub struct View {
    pub version: Version,
    own: Arc<str>,
    shown: Arc<str>,
}

impl View {
    pub fn namespace(&self) -> &str {
        &self.shown
    }

    /// A stored id as this client knows it.
    pub fn show(&self, id: &str) -> String {
        renamed(id, &self.own, &self.shown)
    }

    /// The same, in its one form; `None` if it is not the full id of a resource.
    pub fn resource_id(&self, id: &str) -> Option<String> {
        let parsed = self.take(id).parse::<ResourceId>().ok().filter(|_| id.starts_with('/'))?;
        Some(parsed.to_string())
    }

    /// What is told to this client, with ids of ours in it.
    pub fn show_error(&self, error: ArmError) -> ArmError {
        if self.own == self.shown {
            return error;
        }
        let text = |text: String| text.replace(&*self.own, &self.shown);
        let details = error.details.into_iter().map(|one| ErrorDetail { message: text(one.message), ..one });
        ArmError { message: text(error.message), details: details.collect(), ..error }
    }

    /// An id that this client sent, as it is stored. Ids of other namespaces stay as they are.
    pub fn take(&self, id: &str) -> String {
        renamed(id, &self.shown, &self.own)
    }
}

/// Replaces the namespace of an id, if it is `from`.
fn renamed(id: &str, from: &str, to: &str) -> String {
    const PROVIDERS: &str = "/providers/";
    if from == to {
        return id.to_owned();
    }
    let found = id.to_ascii_lowercase().find(PROVIDERS).map(|at| at + PROVIDERS.len());
    let (Some(head), Some(tail)) = (found.and_then(|at| id.get(..at)), found.and_then(|at| id.get(at..)))
    else {
        return id.to_owned();
    };
    let (namespace, rest) = tail.split_once('/').unwrap_or((tail, ""));
    if namespace.eq_ignore_ascii_case(from) { format!("{head}{to}/{rest}") } else { id.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_change_their_namespace_and_nothing_else() {
        let namespaces = Namespaces::new("LiveData.Platform", true);
        let alias = namespaces.find("wandisco.fusion").unwrap();
        let view = namespaces.view(alias, Version::V2023_11_01);
        let stored = "/subscriptions/S/resourceGroups/G/providers/LiveData.Platform/migrators/M";
        let shown = "/subscriptions/S/resourceGroups/G/providers/Wandisco.Fusion/migrators/M";
        assert_eq!(view.show(stored), shown);
        assert_eq!(view.take(&shown.replace("Wandisco", "WANDISCO")), stored);
        let other = "/subscriptions/S/resourceGroups/G/providers/Microsoft.Storage/storageAccounts/a";
        assert_eq!((view.show(other), view.take(other)), (other.to_owned(), other.to_owned()));
        assert_eq!(view.take("no id"), "no id");
    }

    #[test]
    fn the_alias_is_there_only_when_it_is_wanted_and_speaks_the_public_version() {
        assert!(Namespaces::new("LiveData.Platform", false).find(PUBLIC_NAMESPACE).is_none());
        let both = Namespaces::new("LiveData.Platform", true);
        assert_eq!(both.versions(PUBLIC_NAMESPACE), &[Version::V2023_11_01]);
        assert_eq!(both.versions("LiveData.Platform"), &Version::ALL);
    }
}
