//! Rules 47 to 53: PATCH.

use serde_json::{Value, json};

use crate::profile::{Kind, Verb};
use crate::shape::{self, said};
use crate::trial::Trial;
use crate::verdict::{Outcome, not_applicable};

rules! {
    47, "PATCH of tags replaces them all", "RES; COV RPC007; LNT RPC-Patch-V1-03", active tags;
    48, "`properties` are merged as RFC 7396 says: null removes, absent keeps, arrays replace", "RES", active merge;
    49, "PATCH requires nothing and defaults nothing; name, location and type cannot be patched", "LNT RPC-Patch-V1-10/-02", active nothing_required;
    50, "sku and identity can be patched", "RES; LNT RPC-Patch-V1-09/-11", active sku_and_identity;
    51, "PATCH is answered 200 with the resource, or 202 with Location; 404 where there is none", "RES; ASY; LNT RPC-Patch-V1-06", active statuses;
    52, "null on a required property is refused, not defaulted", "HCP", active null_on_required;
    53, "A validation of one property that became stricter fails no PATCH of another", "HCP", elsewhere "takes a release with another validation while a resource is stored";
}

async fn patch(trial: &Trial, id: &str, patch: &Value) -> Outcome {
    let patched = trial.client.patch(id, patch).send().await?;
    patched.status_is(&[200, 202], "PATCH of a resource that exists")?;
    trial.settle(&patched).await
}

async fn tags(trial: &Trial) -> Outcome {
    for kind in trial.with(Verb::Put).filter(|kind| kind.tracked) {
        let resource = trial.plan(kind).await?;
        trial.write(&resource.id, &shape::with(&resource.body, "/tags", json!({"a": "1", "b": "2"}))).await?;
        patch(trial, &resource.id, &json!({"tags": {"c": "3"}})).await?;
        let got = trial.read(&resource.id).await?;
        got.wants(got.json.get("tags") == Some(&json!({"c": "3"})), "`tags`: {\"c\": \"3\"}")?;
    }
    Ok(())
}

/// What of a resource a PATCH could change: its secrets are not told, its status is not the client's.
fn writable(kind: &Kind, sent: &Value, got: &Value) -> Value {
    let mut wanted = sent.clone();
    for pointer in kind.secrets.iter().map(String::as_str).chain(["/location"]) {
        wanted = shape::without(&wanted, pointer).0;
    }
    // As the server says it: its defaults and its canonical spelling.
    fn seen(wanted: &Value, got: &Value) -> Value {
        match (wanted, got) {
            (Value::Object(wanted), Value::Object(got)) => {
                let both =
                    wanted.iter().filter_map(|(name, one)| Some((name.clone(), seen(one, got.get(name)?))));
                Value::Object(both.collect())
            }
            (_, got) => got.clone(),
        }
    }
    seen(&wanted, got)
}

async fn merge(trial: &Trial) -> Outcome {
    let mut some = false;
    for kind in trial.with(Verb::Patch) {
        let made = trial.make(kind).await?.resource;
        let before = writable(kind, &made.body, &trial.read(&made.id).await?.json);
        if let Some(change) = &kind.patch {
            some = true;
            patch(trial, &made.id, change).await?;
            let got = trial.read(&made.id).await?;
            let lost = shape::missing(&shape::merged(&before, change), &got.json, "");
            got.wants(
                lost.is_none(),
                format!("{change} merged into {before}; {} is otherwise", said(&lost)),
            )?;
            trial.write(&made.id, &made.body).await?;
        }
        if let Some(pointer) = &kind.optional {
            some = true;
            patch(trial, &made.id, &shape::only(pointer, Value::Null)).await?;
            let got = trial.read(&made.id).await?;
            let gone = got.json.pointer(pointer) != before.pointer(pointer);
            got.wants(gone, format!("{pointer} at its default after null"))?;
            trial.write(&made.id, &made.body).await?;
        }
        if let Some(pointer) = &kind.array {
            some = true;
            patch(trial, &made.id, &shape::only(pointer, json!([]))).await?;
            let got = trial.read(&made.id).await?;
            let replaced = matches!(got.json.pointer(pointer), None | Some(Value::Null))
                || got.json.pointer(pointer) == Some(&json!([]));
            got.wants(replaced, format!("{pointer} replaced by the empty array"))?;
        }
    }
    if some { Ok(()) } else { not_applicable("the profile has no patch of a type") }
}

async fn nothing_required(trial: &Trial) -> Outcome {
    for kind in trial.with(Verb::Patch) {
        let made = trial.make(kind).await?.resource;
        let before = writable(kind, &made.body, &trial.read(&made.id).await?.json);
        patch(trial, &made.id, &json!({})).await?;
        // A type whose PATCH has properties that tell its kind describes no such document.
        let empty = json!({"properties": {}});
        let patched = trial.client.patch(&made.id, &empty).odd().send().await?;
        patched.status_is(&[200, 202], "an empty PATCH of `properties`")?;
        trial.settle(&patched).await?;
        let got = trial.read(&made.id).await?;
        let lost = shape::missing(&before, &got.json, "");
        got.wants(lost.is_none(), format!("an empty PATCH to change nothing; {} is otherwise", said(&lost)))?;
        let mut fixed = vec![json!({"name": "another"}), json!({"type": "Other.Namespace/things"})];
        if let Some(other) = trial.profile.other_location.as_ref().filter(|_| kind.tracked) {
            fixed.push(json!({ "location": other }));
        }
        for change in fixed {
            let patched = trial.client.patch(&made.id, &change).send().await?;
            patched.refused(&[400], "PATCH of name, location or type")?;
        }
    }
    Ok(())
}

async fn sku_and_identity(trial: &Trial) -> Outcome {
    let mut some = false;
    for kind in trial.with(Verb::Patch) {
        for member in ["sku", "identity"] {
            let Some(present) = kind.body.get(member) else { continue };
            some = true;
            let made = trial.make(kind).await?.resource;
            patch(trial, &made.id, &json!({ member: present })).await?;
        }
    }
    if some { Ok(()) } else { not_applicable("no body of the profile has a sku or an identity") }
}

/// A patch that changes something.
fn change_of(kind: &Kind) -> Value {
    match (&kind.patch, kind.tracked) {
        (Some(patch), _) => patch.clone(),
        (None, true) => json!({"tags": {"changed": "yes"}}),
        (None, false) => json!({"properties": {}}),
    }
}

async fn statuses(trial: &Trial) -> Outcome {
    for kind in trial.with(Verb::Patch) {
        let made = trial.make(kind).await?.resource;
        let patched = trial.client.patch(&made.id, &change_of(kind)).send().await?;
        patched.status_is(&[200, 202], "PATCH of a resource that exists")?;
        if patched.status == 202 {
            patched.wants(patched.header("location").is_some(), "Location with 202")?;
        } else {
            patched.wants(patched.text("/id").is_some(), "the resource in the answer")?;
        }
        trial.settle(&patched).await?;
        let absent = trial.plan(kind).await?;
        let patched = trial.client.patch(&absent.id, &change_of(kind)).send().await?;
        patched.refused(&[404], "PATCH of what does not exist")?;
    }
    Ok(())
}

async fn null_on_required(trial: &Trial) -> Outcome {
    let mut some = false;
    for kind in trial.with(Verb::Patch) {
        for pointer in &kind.required {
            some = true;
            let made = trial.make(kind).await?.resource;
            let before = trial.read(&made.id).await?;
            let patched = trial.client.patch(&made.id, &shape::only(pointer, Value::Null)).send().await?;
            patched.refused(&[400], "null on a required property")?;
            let got = trial.read(&made.id).await?;
            got.wants(
                got.json.pointer(pointer) == before.json.pointer(pointer),
                format!("{pointer} as before"),
            )?;
        }
    }
    if some { Ok(()) } else { not_applicable("the profile names no required properties") }
}
