//! Rules 59 to 67: GET, lists and their pages.

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};
use url::Url;

use crate::exchange::{Exchange, Purpose};
use crate::profile::{Kind, Verb};
use crate::shape::said;
use crate::trial::{Trial, ids_of};
use crate::verdict::{Outcome, not_applicable};

rules! {
    59, "GET is answered 200 or 404, and is never a long-running operation", "LNT RPC-Get-V1-01/-02/-14", active get;
    60, "Tracked types are listed by group and by subscription, nested types below their parent", "RES; LNT RPC-Get-V1-11", active scopes;
    61, "A list has `value` and `nextLink` and nothing else; an empty one is 200 {\"value\": []}", "LNT RPC-Get-V1-09; RES", active list_members;
    62, "On the last page nextLink is absent or null, never empty", "RES", afterwards last_page;
    63, "nextLink is absolute on the referer's host, keeps $filter, and adds an opaque $skipToken", "RES", active next_link;
    64, "$top bounds the page; a bad $top or $skipToken is answered 400", "RES", active top;
    65, "Going through pages finds each resource once, whatever is added or removed meanwhile", "RES", active stable;
    66, "A list in a subscription that nobody registered is empty or 404", "RES", active unregistered;
    67, "HEAD is answered like GET, without the body", "HTTP", active head;
}

async fn get(trial: &Trial) -> Outcome {
    for kind in trial.with(Verb::Get) {
        let got = trial.read(&trial.standing(kind).await?.id).await?;
        let follows = got.header("location").or(got.header("azure-asyncoperation"));
        got.wants(follows.is_none(), "no operation to follow in the answer to GET")?;
        let absent = trial.plan(kind).await?;
        trial.client.get(&absent.id).send().await?.refused(&[404], "GET of what does not exist")?;
    }
    Ok(())
}

async fn scopes(trial: &Trial) -> Outcome {
    for kind in trial.with(Verb::List) {
        let made = trial.make(kind).await?;
        let id = &made.resource.id;
        let collection = id.rsplit_once('/').map_or("", |(collection, _)| collection);
        let mut collections = vec![collection.to_owned()];
        if kind.tracked && kind.parent().is_none() && kind.has(Verb::ListBySubscription) {
            collections.push(format!("{}/{}", trial.in_subscription(&trial.profile.subscription), kind.path));
        }
        for collection in collections {
            let ids = trial.list(&collection).await?;
            let found = ids.iter().any(|found| found.eq_ignore_ascii_case(id));
            made.put.wants(found, format!("the resource in the list {collection}"))?;
        }
    }
    Ok(())
}

async fn list_members(trial: &Trial) -> Outcome {
    let kind = trial.tracked()?;
    trial.standing(kind).await?;
    let page = trial.client.get(&trial.collection(kind, None)).send().await?;
    page.status_is(&[200], "GET of a collection")?;
    let own = page
        .json
        .as_object()
        .and_then(|page| page.keys().find(|name| !matches!(name.as_str(), "value" | "nextLink")).cloned());
    page.wants(
        own.is_none() && page.json.get("value").is_some_and(Value::is_array),
        format!("`value` and `nextLink` only, without {}", said(&own)),
    )?;
    let Ok((parent, child)) = trial.family() else { return Ok(()) };
    let made = trial.make(parent).await?.resource;
    let page = trial.client.get(&trial.collection(child, Some(&made.id))).send().await?;
    page.status_is(&[200], "GET of an empty collection")?;
    page.wants(page.json.get("value") == Some(&json!([])), "{\"value\": []}")
}

fn last_page(_trial: &Trial, exchanges: &[Arc<Exchange>]) -> Outcome {
    let found = exchanges.iter().find(|one| one.text("/nextLink") == Some(""));
    found.map_or(Ok(()), |one| Err(one.failure("no empty nextLink")))
}

/// A collection with three resources; only this check has them if there are types below others.
async fn shelf(trial: &Trial) -> Outcome<(&Kind, Option<String>, Vec<String>)> {
    let found = trial.family().ok().filter(|(_, child)| child.has(Verb::List));
    let (kind, parent) = match found {
        Some((parent, child)) => (child, Some(trial.make(parent).await?.resource.id)),
        None => (trial.tracked()?, None),
    };
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(trial.make_under(kind, parent.as_deref()).await?.resource.id);
    }
    Ok((kind, parent, ids))
}

async fn next_link(trial: &Trial) -> Outcome {
    let (kind, parent, _) = shelf(trial).await?;
    let collection = trial.collection(kind, parent.as_deref());
    let page = trial.client.get(&format!("{collection}?$top=1&$filter=")).send().await?;
    page.status_is(&[200], "GET of a page")?;
    let Some(link) = page.text("/nextLink") else {
        return Err(page.failure("nextLink, because there are three resources and $top is 1"));
    };
    let url = Url::parse(link).map_err(|_| page.failure("nextLink to be an absolute URL"))?;
    let front = trial.client.front();
    let origin = url.origin().ascii_serialization();
    page.wants(front == origin, format!("nextLink on {front}, the host of the client's request"))?;
    let has = |name: &str| url.query_pairs().any(|(key, _)| key.eq_ignore_ascii_case(name));
    page.wants(has("$filter"), "the client's $filter in nextLink")?;
    page.wants(has("$skipToken"), "$skipToken in nextLink")?;
    page.wants(has("api-version"), "api-version in nextLink")?;
    let same = url.path().eq_ignore_ascii_case(&collection);
    page.wants(same, "nextLink to lead to the same collection")
}

async fn top(trial: &Trial) -> Outcome {
    let (kind, parent, _) = shelf(trial).await?;
    let collection = trial.collection(kind, parent.as_deref());
    for most in [1, 2] {
        let page = trial.client.get(&format!("{collection}?$top={most}")).send().await?;
        page.status_is(&[200], "GET of a page")?;
        let count = ids_of(&page)?.len();
        page.wants(count <= most, format!("at most {most} in the page, not {count}"))?;
    }
    for bad in ["$top=-1", "$top=many", "$top=1.5", "$skipToken=no-such-token"] {
        let page = trial.client.get(&format!("{collection}?{bad}")).send().await?;
        page.refused(&[400], "a $top that is no number, or a $skipToken that is not the server's")?;
    }
    Ok(())
}

async fn stable(trial: &Trial) -> Outcome {
    let (kind, parent, mut standing) = shelf(trial).await?;
    let leaving = standing.split_off(2);
    let collection = trial.collection(kind, parent.as_deref());
    let mut page = trial.client.get(&format!("{collection}?$top=1")).send().await?;
    let mut found = Vec::new();
    let mut disturbed = false;
    loop {
        page.status_is(&[200], "GET of a page")?;
        found.extend(ids_of(&page)?.into_iter().map(|id| id.to_lowercase()));
        if !disturbed {
            disturbed = true;
            trial.make_under(kind, parent.as_deref()).await?;
            for id in &leaving {
                let deleted = trial.client.delete(id).send().await?;
                trial.settle(&deleted).await?;
            }
        }
        let Some(next) = page.text("/nextLink") else { break };
        page = trial.client.follow(next, Purpose::Resource).send().await?;
    }
    for id in standing {
        let count = found.iter().filter(|found| **found == id.to_lowercase()).count();
        page.wants(count == 1, format!("{id} once in all pages, not {count} times"))?;
    }
    Ok(())
}

async fn unregistered(trial: &Trial) -> Outcome {
    let kind = trial.tracked()?;
    let nowhere = uuid::Uuid::new_v4().to_string();
    let group = trial.collection(kind, None).replace(&trial.profile.subscription, &nowhere);
    for collection in [format!("{}/{}", trial.in_subscription(&nowhere), kind.path), group] {
        let page = trial.client.get(&collection).send().await?;
        page.status_is(&[200, 404], "a list in a subscription that nobody registered")?;
        if page.status == 200 {
            page.wants(page.json.get("value") == Some(&json!([])), "an empty list")?;
        }
    }
    Ok(())
}

async fn head(trial: &Trial) -> Outcome {
    let kind = trial.tracked()?;
    let absent = trial.plan(kind).await?;
    let mut some = false;
    for id in [&trial.standing(kind).await?.id, &absent.id] {
        let got = trial.client.get(id).send().await?;
        let head = trial.client.call(Method::HEAD, id).send().await?;
        if head.status == 405 {
            continue;
        }
        some = true;
        head.status_is(&[got.status], "HEAD is answered like GET")?;
        head.wants(head.body.is_empty(), "no body in the answer to HEAD")?;
        for name in ["etag", "content-type"] {
            head.wants(head.header(name) == got.header(name), format!("the header {name} as of GET"))?;
        }
    }
    if some { Ok(()) } else { not_applicable("HEAD is not taken (405)") }
}
