//! Rules 10 to 18: casing, what a path decides, and what there is no path to.

use reqwest::Method;
use serde_json::{Value, json};

use crate::profile::Verb;
use crate::shape;
use crate::trial::{Resource, Trial};
use crate::verdict::Outcome;

rules! {
    10, "Literals of a path and the key api-version are found in any casing", "CAD; HCP", active literals;
    11, "Names in a path are found in any casing, in lists too", "CAD", active names;
    12, "Answers have the casing that the user gave last", "RES", active casing_is_kept;
    13, "Names come from the path: `id`, `name` and `type` of a body move nothing", "RES; LNT RPC-Put-V1-05", active body_names;
    14, "Point operations have no query parameter but api-version", "LNT RPC-Uri-V1-13", elsewhere "a matter of the published description; on the wire, unknown parameters are tolerated (rule 104)";
    15, "No query parameter is called sub, subId, subscription or subscriptionId", "COV RPC031", active subscription_parameters;
    16, "What does not exist is answered 404, a method that a path does not take 405, with an ARM error", "HCP; schemathesis ST204", active no_route;
    17, "Types nest at most three levels", "COV RPC030", active nesting;
    18, "The one route beneath no subscription is operations", "LNT RPC-Uri-V1-11, RPC-Operations-V1-02", active tenant_level;
}

/// The path with every other letter of its literals (or names) in upper case.
fn mixed(path: &str, literals: bool) -> String {
    // "", subscriptions, S, resourceGroups, G, providers, NAMESPACE, type, name, …; the namespace counts as a literal.
    let is_literal = |at: usize| at == 6 || at % 2 == 1;
    let swap = |text: &str| -> String {
        text.chars()
            .enumerate()
            .map(
                |(at, letter)| {
                    if at % 2 == 0 { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() }
                },
            )
            .collect()
    };
    let segments = path.split('/').enumerate();
    let segments = segments.map(|(at, segment)| match at {
        0 => String::new(),
        _ if is_literal(at) == literals => swap(segment),
        _ => segment.to_owned(),
    });
    segments.collect::<Vec<_>>().join("/")
}

async fn literals(trial: &Trial) -> Outcome {
    for kind in trial.with(Verb::Get) {
        let id = &trial.standing(kind).await?.id;
        let path = format!("{}?API-Version={}", mixed(id, true), trial.profile.api_version);
        let got = trial.client.get(&path).without_version().send().await?;
        got.status_is(&[200], "literals and the key api-version in another casing")?;
        let same = got.text("/name").is_some_and(|name| id.ends_with(name));
        got.wants(same, "the same resource")?;
    }
    Ok(())
}

async fn names(trial: &Trial) -> Outcome {
    for kind in trial.with(Verb::Get) {
        let made = trial.make(kind).await?.resource;
        let other = mixed(&made.id, false);
        let got = trial.client.get(&other).send().await?;
        got.status_is(&[200], "names in another casing")?;
        if kind.has(Verb::Put) {
            let put = trial.client.put(&other, &made.body).send().await?;
            put.status_is(&[200], "PUT of what exists, its names in another casing, replaces")?;
            trial.settle(&put).await?;
        }
        if kind.has(Verb::List) {
            let collection = other.rsplit_once('/').map_or("", |(collection, _)| collection);
            let ids = trial.list(collection).await?;
            let found = ids.iter().filter(|id| id.eq_ignore_ascii_case(&made.id)).count();
            got.wants(found == 1, format!("the list to have it once, not {found} times"))?;
        }
    }
    Ok(())
}

async fn casing_is_kept(trial: &Trial) -> Outcome {
    for kind in trial.with(Verb::Put) {
        let parent = trial.parent(kind).await?;
        let name = trial.name().replace("cnf", "CnF");
        let made = trial.plan_under(kind, parent.as_deref(), &name).await?;
        trial.write(&made.id, &made.body).await?;
        let lower = made.id.replace(&name, &name.to_lowercase());
        let got = trial.read(&lower).await?;
        got.wants(got.text("/name") == Some(name.as_str()), format!("`name` as it was given: {name}"))?;
        let ends = got.text("/id").is_some_and(|id| id.ends_with(&name));
        got.wants(ends, format!("`id` with the name as it was given: {name}"))?;
        let again = Resource { id: made.id.replace(&name, &name.to_uppercase()), ..made };
        trial.write(&again.id, &again.body).await?;
        let got = trial.read(&lower).await?;
        let last = name.to_uppercase();
        got.wants(got.text("/name") == Some(last.as_str()), format!("`name` as it was given last: {last}"))?;
    }
    Ok(())
}

async fn body_names(trial: &Trial) -> Outcome {
    for kind in trial.with(Verb::Put) {
        let resource = trial.plan(kind).await?;
        let elsewhere = trial.plan(kind).await?;
        let mut body = resource.body.clone();
        for (member, value) in [("id", &elsewhere.id), ("name", &elsewhere.name)] {
            body = shape::with(&body, &format!("/{member}"), Value::String(value.clone()));
        }
        body = shape::with(&body, "/type", json!("Other.Namespace/things"));
        let put = trial.client.put(&resource.id, &body).odd().send().await?;
        put.status_is(&[200, 201, 400], "a body whose names disagree is refused, or the path decides")?;
        if put.is_success() {
            put.wants(put.text("/name") == Some(resource.name.as_str()), "`name` from the path")?;
            trial.settle(&put).await?;
        }
        let got = trial.client.get(&elsewhere.id).send().await?;
        got.refused(&[404], "nothing where the body pointed to")?;
    }
    Ok(())
}

async fn subscription_parameters(trial: &Trial) -> Outcome {
    let kind = trial.tracked()?;
    let id = &trial.standing(kind).await?.id;
    let plain = trial.read(id).await?;
    for name in ["sub", "subId", "subscription", "subscriptionId"] {
        let got = trial.client.get(&format!("{id}?{name}={}", uuid::Uuid::nil())).send().await?;
        got.status_is(&[200], "a parameter that means nothing here")?;
        got.wants(got.text("/id") == plain.text("/id"), "the resource of the path's subscription")?;
    }
    Ok(())
}

async fn no_route(trial: &Trial) -> Outcome {
    let kind = trial.tracked()?;
    let id = &trial.standing(kind).await?.id;
    let client = &trial.client;
    let namespace = format!("{}/providers/{}", trial.group(), trial.profile.namespace);
    for path in [
        format!("{namespace}/nosuchthings"),
        format!("{namespace}/nosuchthings/x"),
        format!("{id}/nosuchthings/x"),
    ] {
        client.get(&path).send().await?.refused(&[404], "a type that does not exist")?;
    }
    client
        .post(&format!("{id}/noSuchAction"))
        .send()
        .await?
        .refused(&[404], "an action that does not exist")?;
    let collection = trial.collection(kind, None);
    for call in [
        client.post(id).json(&json!({})),
        client.patch(&collection, &json!({})),
        client.delete(&collection),
        client.put(&format!("/providers/{}/operations", trial.profile.namespace), &json!({})),
    ] {
        call.send().await?.refused(&[405], "a path that exists and does not take this method")?;
    }
    Ok(())
}

async fn nesting(trial: &Trial) -> Outcome {
    let operations = format!("/providers/{}/operations", trial.profile.namespace);
    let got = trial.client.get(&operations).send().await?;
    got.status_is(&[200], "the list of operations")?;
    for operation in got.json.get("value").and_then(Value::as_array).into_iter().flatten() {
        let name = operation.get("name").and_then(Value::as_str).unwrap_or_default();
        let parts: Vec<&str> = name.split('/').collect();
        let [_, types @ .., "write"] = parts.as_slice() else { continue };
        got.wants(types.len() <= 3, format!("at most three types in '{name}'"))?;
    }
    let deep = trial.kinds().find(|kind| kind.tracked && kind.path.split('/').count() > 3);
    got.wants(deep.is_none(), "no tracked type of the profile deeper than three levels")
}

async fn tenant_level(trial: &Trial) -> Outcome {
    let namespace = &trial.profile.namespace;
    let got = trial.client.get(&format!("/providers/{namespace}/operations")).send().await?;
    got.status_is(&[200], "the list of operations")?;
    for kind in trial.kinds() {
        let path = format!("/providers/{namespace}/{}", kind.path);
        let got = trial.client.call(Method::GET, &path).send().await?;
        got.refused(&[404], "no type beneath no subscription")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn mixes_the_casing_of_one_or_the_other() {
        let path = "/subscriptions/sub/resourceGroups/rg/providers/Name.Space/things/one";
        assert_eq!(
            super::mixed(path, true),
            "/SuBsCrIpTiOnS/sub/ReSoUrCeGrOuPs/rg/PrOvIdErS/NaMe.sPaCe/ThInGs/one"
        );
        assert_eq!(
            super::mixed(path, false),
            "/subscriptions/SuB/resourceGroups/Rg/providers/Name.Space/things/OnE"
        );
    }
}
