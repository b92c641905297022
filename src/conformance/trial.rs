//! One run of the suite against an endpoint: what checks are made with.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::{self, LocalBoxFuture};
use futures::stream::{self, StreamExt as _};
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::client::Client;
use crate::exchange::Exchange;
use crate::profile::{Kind, Profile, Verb, names_in, substituted};
use crate::verdict::{Outcome, Stop, not_applicable};

pub struct Trial {
    pub client: Client,
    pub profile: Profile,
    /// In the name of everything that this run makes.
    run: String,
    made: AtomicUsize,
    /// By path of the type.
    standing: HashMap<String, OnceCell<Resource>>,
}

/// A resource that was made, or is about to be.
#[derive(Clone, Debug)]
pub struct Resource {
    pub id: String,
    pub name: String,
    /// What a PUT sends.
    pub body: Value,
}

/// A resource that has just been made.
pub struct Made {
    pub resource: Resource,
    /// Its PUT.
    pub put: Arc<Exchange>,
}

impl Trial {
    pub fn new(client: Client, profile: Profile) -> Self {
        let random = uuid::Uuid::new_v4().simple().to_string();
        let standing = profile.types.iter().map(|kind| (kind.path.clone(), OnceCell::new())).collect();
        Self {
            client,
            run: format!("cnf{}", random.get(..6).unwrap_or_default()),
            made: AtomicUsize::new(0),
            standing,
            profile,
        }
    }

    pub fn limit(&self) -> Duration {
        Duration::from_secs(self.profile.operation_limit_seconds)
    }

    pub fn kinds(&self) -> impl Iterator<Item = &Kind> {
        self.profile.types.iter()
    }

    pub fn with(&self, verb: Verb) -> impl Iterator<Item = &Kind> {
        self.kinds().filter(move |kind| kind.has(verb))
    }

    /// The first tracked type without a parent.
    pub fn tracked(&self) -> Outcome<&Kind> {
        let found = self.kinds().find(|kind| kind.tracked && kind.parent().is_none());
        found.map_or_else(|| not_applicable("no type is tracked and at the top"), Ok)
    }

    /// Types directly below another.
    pub fn children<'a>(&'a self, of: &'a Kind) -> impl Iterator<Item = &'a Kind> {
        self.kinds().filter(move |kind| kind.parent() == Some(&of.path))
    }

    /// A parent that has children, and its first child.
    pub fn family(&self) -> Outcome<(&Kind, &Kind)> {
        let parent = self.tracked()?;
        match self.children(parent).next() {
            Some(child) => Ok((parent, child)),
            None => not_applicable("the profile has no type below another"),
        }
    }

    pub fn group(&self) -> String {
        format!("/subscriptions/{}/resourceGroups/{}", self.profile.subscription, self.profile.resource_group)
    }

    /// `/subscriptions/{id}/providers/{namespace}`.
    pub fn in_subscription(&self, subscription: &str) -> String {
        format!("/subscriptions/{subscription}/providers/{}", self.profile.namespace)
    }

    pub fn type_of(&self, kind: &Kind) -> String {
        format!("{}/{}", self.profile.namespace, kind.path)
    }

    /// A name that nothing has.
    pub fn name(&self) -> String {
        format!("{}n{}", self.run, self.made.fetch_add(1, Ordering::Relaxed))
    }

    /// Path of the collection that a type's resources are in.
    pub fn collection(&self, kind: &Kind, parent: Option<&str>) -> String {
        match parent {
            Some(parent) => format!("{parent}/{}", kind.last()),
            None => format!("{}/providers/{}/{}", self.group(), self.profile.namespace, kind.path),
        }
    }

    /// The resource of a type that checks share, which none of them changes.
    pub fn standing<'a>(&'a self, kind: &'a Kind) -> LocalBoxFuture<'a, Outcome<&'a Resource>> {
        Box::pin(async move {
            let Some(cell) = self.standing.get(&kind.path) else {
                return not_applicable(format!("the profile has no type '{}'", kind.path));
            };
            let made = async || self.make(kind).await.map(|made| made.resource);
            cell.get_or_try_init(made).await
        })
    }

    /// The parent that resources of a type are made under: one that checks share.
    pub async fn parent(&self, kind: &Kind) -> Outcome<Option<String>> {
        let Some(parent) = kind.parent().and_then(|path| self.profile.kind(path)) else { return Ok(None) };
        Ok(Some(self.standing(parent).await?.id.clone()))
    }

    /// A resource that does not exist, under the parent that checks share.
    pub async fn plan(&self, kind: &Kind) -> Outcome<Resource> {
        let parent = self.parent(kind).await?;
        self.plan_under(kind, parent.as_deref(), &self.name()).await
    }

    pub async fn plan_under(&self, kind: &Kind, parent: Option<&str>, name: &str) -> Outcome<Resource> {
        self.plan_with(kind, parent, name, &kind.body).await
    }

    /// With a body of the profile, its texts resolved.
    pub async fn plan_with(
        &self,
        kind: &Kind,
        parent: Option<&str>,
        name: &str,
        body: &Value,
    ) -> Outcome<Resource> {
        let mut siblings = HashMap::new();
        for path in names_in(body).into_iter().filter(|path| path.contains('/')) {
            let Some(sibling) = self.profile.kind(&path) else {
                return not_applicable(format!("the profile has no type '{path}'"));
            };
            if let Entry::Vacant(vacant) = siblings.entry(path) {
                vacant.insert(Box::pin(self.sibling(sibling, parent)).await?);
            }
        }
        let body = substituted(body, &mut |variable| match variable {
            "name" => Some(name.to_owned()),
            "parent" => parent.map(str::to_owned),
            "subscription" => Some(self.profile.subscription.clone()),
            "resource-group" => Some(self.profile.resource_group.clone()),
            "location" => Some(self.profile.location.clone()),
            path => siblings.get(path).cloned(),
        });
        Ok(Resource { id: format!("{}/{name}", self.collection(kind, parent)), name: name.to_owned(), body })
    }

    /// The id of a resource that another refers to.
    async fn sibling(&self, kind: &Kind, parent: Option<&str>) -> Outcome<String> {
        let shared = match kind.parent().and_then(|path| self.profile.kind(path)) {
            Some(owner) => self.standing.get(&owner.path).and_then(OnceCell::get).map(|owner| &owner.id),
            None => None,
        };
        if shared.map(String::as_str) == parent {
            return Ok(self.standing(kind).await?.id.clone());
        }
        Ok(self.make_under(kind, parent).await?.resource.id)
    }

    /// Makes one and waits until it is there.
    pub async fn make(&self, kind: &Kind) -> Outcome<Made> {
        let parent = self.parent(kind).await?;
        self.make_under(kind, parent.as_deref()).await
    }

    pub async fn make_under(&self, kind: &Kind, parent: Option<&str>) -> Outcome<Made> {
        let resource = self.plan_under(kind, parent, &self.name()).await?;
        let put = self.write(&resource.id, &resource.body).await.map_err(Stop::before_the_check)?;
        Ok(Made { resource, put })
    }

    /// PUT, and wait; both must go well.
    pub async fn write(&self, id: &str, body: &Value) -> Outcome<Arc<Exchange>> {
        let put = self.client.put(id, body).send().await?;
        put.status_is(&[200, 201], "PUT of a valid body")?;
        self.settle(&put).await?;
        Ok(put)
    }

    /// Waits for what an exchange began, which must go well.
    pub async fn settle(&self, begun: &Exchange) -> Outcome {
        let Some(end) = self.client.finish(begun, self.limit()).await? else { return Ok(()) };
        let well = match end.text("/status") {
            Some(status) => status == "Succeeded",
            None => end.is_success(),
        };
        end.wants(well, "the operation to succeed")
    }

    /// A GET that must find the resource.
    pub async fn read(&self, id: &str) -> Outcome<Arc<Exchange>> {
        let got = self.client.get(id).send().await?;
        got.status_is(&[200], "GET of a resource that exists")?;
        Ok(got)
    }

    /// All ids of a list, page after page.
    pub async fn list(&self, collection: &str) -> Outcome<Vec<String>> {
        let mut page = self.client.get(collection).send().await?;
        let mut ids = Vec::new();
        loop {
            page.status_is(&[200], "GET of a collection")?;
            ids.extend(ids_of(&page)?);
            let Some(next) = page.text("/nextLink") else { return Ok(ids) };
            page = self.client.follow(next, crate::exchange::Purpose::Resource).send().await?;
        }
    }

    /// Deletes what the run has made; ids of what is still there then.
    pub async fn clean_up(&self, at_once: usize) -> Vec<String> {
        let exchanges = self.client.exchanges();
        let puts = exchanges.iter().filter(|one| one.method == "PUT" && one.is_success());
        let made: BTreeSet<&str> =
            puts.map(|put| put.path()).filter(|path| path.contains("/providers/")).collect();
        // Children go with their parents.
        let is_below =
            |path: &str, other: &str| path.strip_prefix(other).is_some_and(|rest| rest.starts_with('/'));
        let roots = made.iter().filter(|path| !made.iter().any(|other| is_below(path, other)));
        let still_there = roots.map(|path| async move {
            let gone = async {
                let deleted = self.client.delete(path).send().await?;
                self.client.finish(&deleted, self.limit()).await?;
                self.client.get(path).send().await
            };
            let gone = gone.await.is_ok_and(|got| got.status != 200);
            (!gone).then(|| (*path).to_owned())
        });
        stream::iter(still_there).buffer_unordered(at_once).filter_map(future::ready).collect().await
    }
}

/// Ids of one page of a list.
pub fn ids_of(page: &Exchange) -> Outcome<Vec<String>> {
    let Some(value) = page.json.get("value").and_then(Value::as_array) else {
        return Err(page.failure("an array `value`"));
    };
    let id = |item: &Value| item.get("id").and_then(Value::as_str).map(str::to_owned);
    value
        .iter()
        .map(|item| id(item).ok_or_else(|| page.failure("every item of `value` has an `id`")))
        .collect()
}
