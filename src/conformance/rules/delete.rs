//! Rules 54 to 58: DELETE.

use serde_json::Value;

use crate::profile::{Verb, names_in};
use crate::trial::Trial;
use crate::verdict::{Outcome, not_applicable};

rules! {
    54, "DELETE is answered 200 or 202, of what does not exist 204, without bodies", "RES; LNT RPC-Delete-V1-01/-02/-04", active statuses;
    55, "DELETE is honoured in any state: while creating, after a failure", "COV RPC023", active any_state;
    56, "DELETE that waits for another resource is refused; 2xx means deleted", "ADD", active dependent;
    57, "DELETE of a parent takes its proxy children with it, or is refused 409", "ADD", active cascade;
    58, "While a DELETE goes on GET shows Deleting; afterwards 404, and the list has it no more", "ASY", active gone;
}

async fn statuses(trial: &Trial) -> Outcome {
    for kind in trial.with(Verb::Delete) {
        let made = trial.make(kind).await?.resource;
        let deleted = trial.client.delete(&made.id).send().await?;
        deleted.status_is(&[200, 202], "DELETE of what exists")?;
        deleted.wants(deleted.body.is_empty(), "no body in the answer to DELETE")?;
        trial.settle(&deleted).await?;
        let again = trial.client.delete(&made.id).send().await?;
        again.status_is(&[204], "DELETE of what does not exist")?;
        again.wants(again.body.is_empty(), "no body in the answer to DELETE")?;
    }
    Ok(())
}

async fn any_state(trial: &Trial) -> Outcome {
    for kind in trial.with(Verb::Delete) {
        let parent = trial.parent(kind).await?;
        let mut bodies = vec![(&kind.body, false)];
        bodies.extend(kind.failing_body.as_ref().map(|body| (body, true)));
        for (body, wait) in bodies {
            let resource = trial.plan_with(kind, parent.as_deref(), &trial.name(), body).await?;
            let put = trial.client.put(&resource.id, &resource.body).send().await?;
            put.succeeded("PUT of a valid body")?;
            if wait {
                trial.client.finish(&put, trial.limit()).await?;
            }
            let deleted = trial.client.delete(&resource.id).send().await?;
            deleted.status_is(&[200, 202, 204], "DELETE while the resource is made, or after that failed")?;
            trial.settle(&deleted).await?;
            trial.client.get(&resource.id).send().await?.refused(&[404], "what was deleted is gone")?;
        }
    }
    Ok(())
}

async fn dependent(trial: &Trial) -> Outcome {
    let mut some = false;
    for kind in trial.with(Verb::Put) {
        for path in names_in(&kind.body).into_iter().filter(|name| name.contains('/')) {
            some = true;
            let parent = match kind.parent().and_then(|path| trial.profile.kind(path)) {
                Some(owner) => Some(trial.make(owner).await?.resource.id),
                None => None,
            };
            let made = trial.make_under(kind, parent.as_deref()).await?.resource;
            let Some(used) = id_in(&made.body, &path) else { continue };
            let deleted = trial.client.delete(&used).send().await?;
            if deleted.is_success() {
                trial.settle(&deleted).await?;
                trial.client.get(&used).send().await?.refused(&[404], "DELETE said that it is gone")?;
            } else {
                deleted.refused(&[400, 409, 412], "DELETE of what another resource needs is refused")?;
                trial.read(&used).await?;
            }
        }
    }
    if some { Ok(()) } else { not_applicable("no type of the profile needs another") }
}

/// The text in a body that is the id of a resource of a type.
fn id_in(body: &Value, path: &str) -> Option<String> {
    let last = format!("/{}/", path.rsplit('/').next()?);
    match body {
        Value::String(text) => {
            (text.starts_with("/subscriptions/") && text.contains(&last)).then(|| text.clone())
        }
        Value::Array(elements) => elements.iter().find_map(|element| id_in(element, path)),
        Value::Object(members) => members.values().find_map(|member| id_in(member, path)),
        _ => None,
    }
}

async fn cascade(trial: &Trial) -> Outcome {
    let (parent, child) = trial.family()?;
    let made = trial.make(parent).await?.resource;
    let below = trial.make_under(child, Some(&made.id)).await?.resource;
    let deleted = trial.client.delete(&made.id).send().await?;
    deleted.status_is(&[200, 202, 409], "DELETE of a parent that has children")?;
    if deleted.status == 409 {
        trial.read(&below.id).await?;
        return Ok(());
    }
    trial.settle(&deleted).await?;
    let got = trial.client.get(&below.id).send().await?;
    got.refused(&[404], "the child of a parent that was deleted")?;
    // Nothing of it may come back with a parent of the same name.
    trial.write(&made.id, &made.body).await?;
    let got = trial.client.get(&below.id).send().await?;
    got.refused(&[404], "a child that was deleted with its parent, under a new one of its name")
}

async fn gone(trial: &Trial) -> Outcome {
    for kind in trial.with(Verb::Delete) {
        let made = trial.make(kind).await?.resource;
        let deleted = trial.client.delete(&made.id).send().await?;
        deleted.succeeded("DELETE of what exists")?;
        let meanwhile = trial.client.get(&made.id).send().await?;
        meanwhile.status_is(&[200, 404], "GET while a DELETE goes on")?;
        if meanwhile.status == 200 {
            meanwhile.wants(meanwhile.state() == Some("Deleting"), "provisioningState: Deleting")?;
        }
        trial.settle(&deleted).await?;
        trial.client.get(&made.id).send().await?.refused(&[404], "GET after a DELETE")?;
        if kind.has(Verb::List) {
            let collection = made.id.rsplit_once('/').map_or("", |(collection, _)| collection);
            let ids = trial.list(collection).await?;
            let listed = ids.iter().any(|id| id.eq_ignore_ascii_case(&made.id));
            deleted.wants(!listed, "the list without what was deleted")?;
        }
    }
    Ok(())
}
