//! Rules 72 to 91: long-running operations.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use url::Url;

use crate::exchange::{Exchange, Purpose};
use crate::profile::{Kind, Verb};
use crate::shape::{self, said};
use crate::trial::{Made, Trial};
use crate::verdict::{Outcome, not_applicable};

rules! {
    72, "PUT that goes on is answered 200 or 201 with the body and a provisioningState that is not terminal", "ASY; COV RPC025", active not_terminal;
    73, "Succeeded, Failed and Canceled are terminal, spelled so", "ASY; LNT RPC-Async-V1-03", afterwards spelling;
    74, "provisioningState is read-only and stays in every GET", "ASY; LNT RPC-Async-V1-16", active state_stays;
    75, "While an update goes on, what is visible is what was asked for", "ASY", active target_state;
    76, "202 has no body", "ASY; COV no-response-body", afterwards accepted_without_body;
    77, "202 has Location", "ASY; LNT RPC-Async-V1-07", afterwards accepted_with_location;
    78, "Location and Azure-AsyncOperation are absolute, on the referer's host, with an api-version", "ASY; COV RPC028; HCP", afterwards links;
    79, "Retry-After is a whole number of seconds, 10 to 600", "ASY", afterwards retry_after;
    80, "Location is 202 while the operation goes on, then what a synchronous call would have given", "ASY", active result;
    81, "The status of an operation is 200, also of one that failed", "ASY", active status_of_a_failure;
    82, "A status has status, a name that ends its id, ISO 8601 times, percentComplete 0 to 100; properties when Succeeded only", "ASY", afterwards status_documents;
    83, "The status of a failed or cancelled operation has error.code and error.message", "ASY; LNT RPC-Common-V1-05", afterwards failures_say_why;
    84, "Operations live beneath locations of the subscription, not beneath the resource", "ASY; COV RPC021", afterwards addresses;
    85, "Operation ids are random GUIDs, never used again", "COV RPC022", afterwards ids;
    86, "An operation is found only in its own subscription", "HCP", active other_subscription;
    87, "Records of operations outlive them by days, then 404", "HCP", elsewhere "takes seven days";
    88, "Work of more than a day is a resource of its own", "ASY", elsewhere "a matter of design: which work takes long is not seen";
    89, "A second change while one goes on is answered 409, DELETE excepted", "ASY; HCP", active second_change;
    90, "kill -9 of the provider leaves no resource that is never terminal", "RAD issue 12695", elsewhere "takes the right to kill the provider";
    91, "A cancelled operation ends Canceled, and the resource can be written again", "ASY", active cancelled;
}

async fn not_terminal(trial: &Trial) -> Outcome {
    let mut some = false;
    for kind in trial.with(Verb::Put) {
        let Made { put, .. } = trial.make(kind).await?;
        put.status_is(&[200, 201], "PUT is never answered 202")?;
        if put.header("azure-asyncoperation").is_some() {
            some = true;
            let open = put.state().is_some_and(|state| !is_terminal(state));
            put.wants(open, "a provisioningState that is not terminal while the operation goes on")?;
        }
    }
    if some { Ok(()) } else { not_applicable("no PUT goes on after its answer") }
}

fn is_terminal(state: &str) -> bool {
    matches!(state, "Succeeded" | "Failed" | "Canceled")
}

fn spelling(_trial: &Trial, exchanges: &[Arc<Exchange>]) -> Outcome {
    for one in exchanges.iter().filter(|one| one.is_success()) {
        let mut objects = Vec::new();
        shape::objects(&one.json, &mut objects);
        let states = objects.iter().filter_map(|object| object.get("provisioningState"));
        let status = one.json.get("status").filter(|_| one.purpose == Purpose::OperationStatus);
        for state in states.chain(status).filter_map(Value::as_str) {
            let meant = match state.to_lowercase().as_str() {
                "succeeded" | "completed" | "success" => Some("Succeeded"),
                "failed" | "failure" => Some("Failed"),
                "canceled" | "cancelled" => Some("Canceled"),
                _ => None,
            };
            one.wants(
                meant.is_none_or(|meant| meant == state),
                format!("'{}' instead of '{state}'", said(&meant)),
            )?;
        }
    }
    Ok(())
}

async fn state_stays(trial: &Trial) -> Outcome {
    for kind in trial.with(Verb::Put) {
        let made = trial.make(kind).await?;
        if made.put.state().is_none() {
            continue;
        }
        let id = &made.resource.id;
        let got = trial.read(id).await?;
        got.wants(got.state() == Some("Succeeded"), "provisioningState: Succeeded after the operation did")?;
        if kind.has(Verb::Patch) {
            let change = json!({"properties": {"provisioningState": "Failed"}});
            let patched = trial.client.patch(id, &change).odd().send().await?;
            patched.status_is(&[200, 202, 400], "PATCH of provisioningState is refused or ignored")?;
            trial.client.finish(&patched, trial.limit()).await?;
        }
        let got = trial.read(id).await?;
        got.wants(got.state() == Some("Succeeded"), "provisioningState: Succeeded, whatever a client wrote")?;
    }
    Ok(())
}

async fn target_state(trial: &Trial) -> Outcome {
    let mut some = false;
    for kind in trial.with(Verb::Put) {
        let Some(patch) = &kind.patch else { continue };
        some = true;
        let made = trial.make(kind).await?.resource;
        let put = trial.client.put(&made.id, &shape::merged(&made.body, patch)).send().await?;
        put.status_is(&[200], "PUT of what exists")?;
        let got = trial.read(&made.id).await?;
        for answer in [&put, &got] {
            let lost = shape::missing(patch, &answer.json, "");
            answer.wants(
                lost.is_none(),
                format!("what was asked for, at once; {} is otherwise", said(&lost)),
            )?;
        }
        trial.settle(&put).await?;
    }
    if some { Ok(()) } else { not_applicable("the profile has no patch of a type") }
}

fn accepted(exchanges: &[Arc<Exchange>]) -> Outcome<Vec<&Arc<Exchange>>> {
    let found: Vec<_> = exchanges.iter().filter(|one| one.status == 202).collect();
    if found.is_empty() { not_applicable("nothing was answered 202") } else { Ok(found) }
}

fn accepted_without_body(_trial: &Trial, exchanges: &[Arc<Exchange>]) -> Outcome {
    accepted(exchanges)?.iter().try_for_each(|one| one.wants(one.body.is_empty(), "no body with 202"))
}

fn accepted_with_location(_trial: &Trial, exchanges: &[Arc<Exchange>]) -> Outcome {
    accepted(exchanges)?
        .iter()
        .try_for_each(|one| one.wants(one.header("location").is_some(), "Location with 202"))
}

/// Addresses of operations, with the answers that gave them.
fn given_links(exchanges: &[Arc<Exchange>]) -> Outcome<Vec<(&Arc<Exchange>, &str)>> {
    let mut found = Vec::new();
    for one in exchanges.iter().filter(|one| one.is_success()) {
        let links = [one.header("location"), one.header("azure-asyncoperation")];
        found.extend(links.into_iter().flatten().map(|link| (one, link)));
    }
    if found.is_empty() { not_applicable("there was no long-running operation") } else { Ok(found) }
}

fn links(trial: &Trial, exchanges: &[Arc<Exchange>]) -> Outcome {
    let front = trial.client.front();
    for (one, link) in given_links(exchanges)? {
        if trial.client.is_provider() && !one.sent_headers.iter().any(|(name, _)| name == "referer") {
            continue;
        }
        let url = Url::parse(link).map_err(|_| one.failure(format!("an absolute URL, not '{link}'")))?;
        let same = url.origin().ascii_serialization() == front;
        one.wants(same, format!("'{link}' on {front}, the host of the client's request"))?;
        let versioned = url.query_pairs().any(|(key, _)| key.eq_ignore_ascii_case("api-version"));
        one.wants(versioned, format!("an api-version in '{link}'"))?;
    }
    Ok(())
}

fn retry_after(_trial: &Trial, exchanges: &[Arc<Exchange>]) -> Outcome {
    let mut some = false;
    for one in exchanges {
        let Some(text) = one.header("retry-after") else { continue };
        some = true;
        let seconds = text.parse::<u32>().ok();
        let good = seconds.is_some_and(|seconds| (10..=600).contains(&seconds));
        one.wants(good, "Retry-After: a whole number from 10 to 600")?;
    }
    if some { Ok(()) } else { not_applicable("nothing had a Retry-After") }
}

async fn result(trial: &Trial) -> Outcome {
    let mut some = false;
    for kind in trial.kinds() {
        let made = trial.make(kind).await?.resource;
        let change = kind.patch.clone().unwrap_or_else(|| json!({"tags": {"changed": "yes"}}));
        let mut calls = Vec::new();
        if kind.has(Verb::Patch) && (kind.patch.is_some() || kind.tracked) {
            calls.push((trial.client.patch(&made.id, &change), &[200][..]));
        }
        calls.push((trial.client.delete(&made.id), &[200, 204][..]));
        for (call, wanted) in calls {
            let answer = call.send().await?;
            let Some(location) = answer.header("location").filter(|_| answer.status == 202) else { continue };
            some = true;
            trial.settle(&answer).await?;
            let end = trial.client.follow(location, Purpose::OperationResult).send().await?;
            end.status_is(wanted, "what a synchronous call would have given")?;
            if end.status == 200 && wanted == [200] {
                let lost = shape::missing(&change, &end.json, "");
                end.wants(lost.is_none(), format!("the changed resource; {} is otherwise", said(&lost)))?;
            }
        }
    }
    if some { Ok(()) } else { not_applicable("nothing was answered 202 with Location") }
}

async fn status_of_a_failure(trial: &Trial) -> Outcome {
    let Some((kind, body)) = trial.kinds().find_map(|kind| Some((kind, kind.failing_body.as_ref()?))) else {
        let kind = trial.tracked()?;
        let made = trial.make(kind).await?;
        return match trial.client.finish(&made.put, trial.limit()).await? {
            Some(_) => Ok(()),
            None => not_applicable("PUT is answered at once"),
        };
    };
    let parent = trial.parent(kind).await?;
    let failing = trial.plan_with(kind, parent.as_deref(), &trial.name(), body).await?;
    let put = trial.client.put(&failing.id, &failing.body).send().await?;
    put.succeeded("PUT of the body whose operation fails")?;
    let Some(end) = trial.client.finish(&put, trial.limit()).await? else {
        return not_applicable("the operation of the failing body had ended with its answer");
    };
    end.status_is(&[200], "the status of a failed operation can be read")?;
    end.wants(end.text("/status") == Some("Failed"), "status: Failed, as the profile says of this body")?;
    let got = trial.read(&failing.id).await?;
    got.wants(got.state() == Some("Failed"), "provisioningState: Failed")
}

fn statuses(exchanges: &[Arc<Exchange>]) -> Outcome<Vec<&Arc<Exchange>>> {
    let found: Vec<_> =
        exchanges.iter().filter(|one| one.purpose == Purpose::OperationStatus && one.status == 200).collect();
    if found.is_empty() { not_applicable("no status of an operation was read") } else { Ok(found) }
}

fn status_documents(_trial: &Trial, exchanges: &[Arc<Exchange>]) -> Outcome {
    for one in statuses(exchanges)? {
        let Some(status) = one.text("/status") else { return Err(one.failure("`status`")) };
        if let (Some(id), Some(name)) = (one.text("/id"), one.text("/name")) {
            one.wants(id.rsplit('/').next() == Some(name), "`name` to be the last segment of `id`")?;
        }
        for member in ["startTime", "endTime"] {
            let time = one.json.get(member).filter(|time| !time.is_null());
            let good = time.is_none_or(|time| {
                time.as_str().is_some_and(|time| OffsetDateTime::parse(time, &Rfc3339).is_ok())
            });
            one.wants(good, format!("`{member}` in ISO 8601"))?;
        }
        let percent = one.json.get("percentComplete").filter(|percent| !percent.is_null());
        let good = percent
            .is_none_or(|percent| percent.as_f64().is_some_and(|percent| (0.0..=100.0).contains(&percent)));
        one.wants(good, "`percentComplete` from 0 to 100")?;
        let early = one.json.get("properties").is_some_and(|properties| !properties.is_null());
        one.wants(status == "Succeeded" || !early, "`properties` only when Succeeded")?;
    }
    Ok(())
}

fn failures_say_why(_trial: &Trial, exchanges: &[Arc<Exchange>]) -> Outcome {
    let mut some = false;
    for one in statuses(exchanges)? {
        if matches!(one.text("/status"), Some("Failed" | "Canceled")) {
            some = true;
            let told = one.code().is_some() && one.text("/error/message").is_some();
            one.wants(told, "`error` with `code` and `message`")?;
        }
    }
    if some { Ok(()) } else { not_applicable("no operation failed or was cancelled") }
}

fn operation_paths(exchanges: &[Arc<Exchange>]) -> Outcome<Vec<(&Arc<Exchange>, Vec<String>)>> {
    let links = given_links(exchanges)?.into_iter();
    let path = |link: &str| Url::parse(link).map(|url| url.path().to_owned()).unwrap_or_default();
    Ok(links.map(|(one, link)| (one, path(link).split('/').map(str::to_owned).collect())).collect())
}

fn addresses(trial: &Trial, exchanges: &[Arc<Exchange>]) -> Outcome {
    for (one, path) in operation_paths(exchanges)? {
        let segments: Vec<String> = path.iter().map(|segment| segment.to_lowercase()).collect();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let good = matches!(
            segments.as_slice(),
            ["", "subscriptions", _, "providers", namespace, "locations", _, "operationstatuses" | "operationresults", _]
                if namespace.eq_ignore_ascii_case(&trial.profile.namespace)
        );
        let wanted =
            "/subscriptions/{s}/providers/{ns}/locations/{l}/operationStatuses|operationResults/{id}";
        one.wants(good, format!("{wanted}, not {}", path.join("/")))?;
    }
    Ok(())
}

fn ids(_trial: &Trial, exchanges: &[Arc<Exchange>]) -> Outcome {
    let mut of_writes = BTreeSet::new();
    for (one, path) in operation_paths(exchanges)? {
        let id = path.last().map(|id| uuid::Uuid::parse_str(id));
        let Some(Ok(id)) = id else { return Err(one.failure("a GUID at the end of an operation's address")) };
        one.wants(id.get_version_num() == 4, format!("a random GUID, not {id}"))?;
        let begins = one.purpose == Purpose::Resource && one.header("azure-asyncoperation").is_some();
        let is_status = path.iter().any(|segment| segment.eq_ignore_ascii_case("operationStatuses"));
        // A DELETE that is repeated while it goes on may lead to the one operation there is.
        if begins && is_status && one.method != "DELETE" {
            one.wants(of_writes.insert(id), "an id that no earlier operation had")?;
        }
    }
    Ok(())
}

async fn other_subscription(trial: &Trial) -> Outcome {
    let Made { put, .. } = trial.make(trial.tracked()?).await?;
    let Some((link, purpose)) = put.operation() else {
        return not_applicable("PUT is answered at once");
    };
    let own = trial.client.follow(link, purpose).send().await?;
    own.succeeded("the operation in its own subscription")?;
    if trial.profile.operations_at_tenant {
        let at_tenant = link.replace(&format!("/subscriptions/{}", trial.profile.subscription), "");
        let found = trial.client.follow(&at_tenant, purpose).send().await?;
        found.succeeded("the operation without its subscription")?;
    }
    let elsewhere = link.replace(&trial.profile.subscription, &uuid::Uuid::new_v4().to_string());
    let other = trial.client.follow(&elsewhere, Purpose::Resource).send().await?;
    other.refused(&[404], "the operation in another subscription")
}

/// How often a change is tried to be overtaken before this is given up.
const TRIES: usize = 20;

/// The status of the operation that a PUT began, now.
async fn still_running(trial: &Trial, begun: &Exchange) -> Outcome<bool> {
    let Some((link, purpose)) = begun.operation() else { return Ok(false) };
    let look = trial.client.follow(link, purpose).send().await?;
    Ok(match look.text("/status") {
        Some(status) => !is_terminal(status),
        None => look.status == 202,
    })
}

fn slow_kinds(trial: &Trial) -> impl Iterator<Item = &Kind> {
    trial.with(Verb::Put).filter(|kind| kind.patch.is_some())
}

async fn second_change(trial: &Trial) -> Outcome {
    for kind in slow_kinds(trial) {
        let resource = trial.plan(kind).await?;
        let patch = kind.patch.clone().unwrap_or_default();
        let (one, other) = (resource.body.clone(), shape::merged(&resource.body, &patch));
        for attempt in 0..TRIES {
            let (first, second) = if attempt % 2 == 0 { (&one, &other) } else { (&other, &one) };
            let begun = trial.client.put(&resource.id, first).send();
            let overtaking = trial.client.put(&resource.id, second).send();
            // At the same moment, if one after the other is too slow.
            let (begun, overtaking) = if attempt < TRIES / 2 {
                let begun = begun.await?;
                (begun, overtaking.await?)
            } else {
                let (one, other) = futures::join!(begun, overtaking);
                let (one, other) = (one?, other?);
                if one.is_success() { (one, other) } else { (other, one) }
            };
            begun.status_is(&[200, 201], "PUT of a valid body")?;
            if overtaking.status == 409 {
                overtaking.refused(&[409], "a second change while one goes on")?;
                trial.settle(&begun).await?;
                return Ok(());
            }
            overtaking.status_is(&[200, 201, 409], "a second change")?;
            let both = still_running(trial, &begun).await? && still_running(trial, &overtaking).await?;
            overtaking.wants(!both, "409: the first change goes on")?;
            trial.client.finish(&begun, trial.limit()).await?;
            trial.settle(&overtaking).await?;
        }
    }
    not_applicable("every operation had ended before a second request arrived")
}

async fn cancelled(trial: &Trial) -> Outcome {
    let Some(suffix) = &trial.profile.cancellation else {
        return not_applicable("the profile does not say how an operation is cancelled");
    };
    for kind in slow_kinds(trial) {
        for _ in 0..TRIES {
            let resource = trial.plan(kind).await?;
            let begun = trial.client.put(&resource.id, &resource.body).send().await?;
            begun.status_is(&[201], "PUT of what does not exist")?;
            let Some((link, _)) = begun.operation() else { break };
            let (path, query) = link.split_once('?').unwrap_or((link, ""));
            let path = Url::parse(path).map(|url| url.path().to_owned()).unwrap_or_default();
            let cancel =
                trial.client.post(&format!("{path}/{suffix}?{query}")).without_version().send().await?;
            if cancel.status == 409 {
                trial.client.finish(&begun, trial.limit()).await?;
                continue;
            }
            cancel.succeeded("an operation that goes on is cancelled")?;
            let Some(end) = trial.client.finish(&begun, trial.limit()).await? else { break };
            end.wants(end.text("/status") == Some("Canceled"), "status: Canceled")?;
            let got = trial.read(&resource.id).await?;
            got.wants(got.state() == Some("Canceled"), "provisioningState: Canceled")?;
            trial.write(&resource.id, &resource.body).await?;
            return Ok(());
        }
    }
    not_applicable("every operation had ended before it could be cancelled")
}
