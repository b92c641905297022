//! Rules 30 to 35: who made a resource and who changed it last.

use serde_json::{Value, json};

use crate::client::system_data;
use crate::profile::Verb;
use crate::shape;
use crate::trial::Trial;
use crate::verdict::{Outcome, not_applicable};

rules! {
    30, "systemData stands at the top, comes from ARM's header and from nobody else, and is kept", "CAC; LNT RPC-SystemData-V1", active from_arm;
    31, "systemData does not change by a refused request, nor by a child's change", "CAC", active unchanged;
    32, "An operation that fails keeps the systemData of the moment it was asked for", "CAC", active of_a_failure;
    33, "createdByType and lastModifiedByType are open", "CAC", active open_types;
    34, "systemData is in no log, trace or metric", "CAC", elsewhere "logs, traces and metrics are not seen by a client";
    35, "A missing or malformed systemData header fails nothing", "HCP", active malformed;
}

const HEADER: &str = "x-ms-arm-resource-system-data";

async fn from_arm(trial: &Trial) -> Outcome {
    for kind in trial.with(Verb::Put) {
        let resource = trial.plan(kind).await?;
        let forged = json!({"createdBy": "forged", "lastModifiedBy": "forged"});
        let body = shape::with(&resource.body, "/systemData", forged);
        let mut call = trial.client.put(&resource.id, &body).odd();
        if trial.client.is_provider() {
            call = call.header(HEADER, system_data("ann@example.com"));
        }
        let put = call.send().await?;
        put.status_is(&[200, 201], "PUT of a document with systemData, which is read-only")?;
        trial.settle(&put).await?;
        for answer in [put, trial.read(&resource.id).await?] {
            let by = answer.text("/systemData/createdBy");
            let good = match trial.client.is_provider() {
                true => by == Some("ann@example.com"),
                false => by.is_some_and(|by| by != "forged"),
            };
            answer.wants(good, "systemData.createdBy as ARM says it")?;
            answer.wants(answer.text("/systemData/createdAt").is_some(), "systemData.createdAt")?;
            let inside = answer.json.pointer("/properties/systemData").is_some();
            answer.wants(!inside, "no systemData in `properties`")?;
        }
    }
    Ok(())
}

async fn system_data_of(trial: &Trial, id: &str) -> Outcome<Value> {
    Ok(trial.read(id).await?.json.get("systemData").cloned().unwrap_or_default())
}

async fn unchanged(trial: &Trial) -> Outcome {
    let (parent, child) = trial.family()?;
    let made = trial.make(parent).await?.resource;
    let before = system_data_of(trial, &made.id).await?;
    let refused =
        trial.client.put(&made.id, &json!({})).header(HEADER, system_data("eve@example.com")).send().await?;
    refused.refused(&[400], "PUT of an empty document")?;
    let kept = system_data_of(trial, &made.id).await? == before;
    refused.wants(kept, format!("the resource's systemData still to be {before}"))?;
    let below = trial.make_under(child, Some(&made.id)).await?;
    let kept = system_data_of(trial, &made.id).await? == before;
    below.put.wants(kept, format!("the parent's systemData still to be {before}"))
}

async fn of_a_failure(trial: &Trial) -> Outcome {
    let Some((kind, body)) = trial.kinds().find_map(|kind| Some((kind, kind.failing_body.as_ref()?))) else {
        return not_applicable("the profile has no body whose operation fails");
    };
    if !trial.client.is_provider() {
        return not_applicable("a front door says itself who calls, and there is one caller");
    }
    let parent = trial.parent(kind).await?;
    let failing = trial.plan_with(kind, parent.as_deref(), &trial.name(), body).await?;
    let put = trial.client.put(&failing.id, &failing.body);
    let put = put.header(HEADER, system_data("bob@example.com")).send().await?;
    put.succeeded("PUT of the body whose operation fails")?;
    trial.client.finish(&put, trial.limit()).await?;
    let got = trial.read(&failing.id).await?;
    for member in ["createdBy", "lastModifiedBy"] {
        let kept = got.text(&format!("/systemData/{member}")) == Some("bob@example.com");
        got.wants(kept, format!("systemData.{member}: bob@example.com"))?;
    }
    Ok(())
}

async fn open_types(trial: &Trial) -> Outcome {
    if !trial.client.is_provider() {
        return not_applicable("a front door says itself who calls");
    }
    let kind = trial.tracked()?;
    let resource = trial.plan(kind).await?;
    let header = system_data("ann@example.com").replace("\"User\"", "\"Robot2099\"");
    let put = trial.client.put(&resource.id, &resource.body).header(HEADER, header).send().await?;
    put.status_is(&[201], "a createdByType that nobody knows")?;
    trial.settle(&put).await?;
    let got = trial.read(&resource.id).await?;
    for member in ["createdByType", "lastModifiedByType"] {
        let kept = got.text(&format!("/systemData/{member}")) == Some("Robot2099");
        got.wants(kept, format!("systemData.{member}: Robot2099"))?;
    }
    Ok(())
}

async fn malformed(trial: &Trial) -> Outcome {
    if !trial.client.is_provider() {
        return not_applicable("a front door writes the header itself");
    }
    let kind = trial.tracked()?;
    for header in [None, Some("{"), Some(""), Some("[]"), Some("{\"createdAt\": 7}")] {
        let resource = trial.plan(kind).await?;
        let call = trial.client.put(&resource.id, &resource.body);
        let call = match header {
            None => call.without(HEADER),
            Some(value) => call.header(HEADER, value),
        };
        let put = call.send().await?;
        put.status_is(&[201], "a missing or malformed systemData header fails nothing")?;
        trial.settle(&put).await?;
    }
    Ok(())
}
