//! Rules 92 to 104: errors, headers, limits.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::exchange::{Exchange, Purpose};
use crate::profile::Verb;
use crate::shape::{self, said};
use crate::trial::Trial;
use crate::verdict::{Outcome, not_applicable};

rules! {
    92, "Every 4xx and 5xx has {\"error\": {code, message, target?, details?, additionalInfo?}}, its code in PascalCase", "CAD", afterwards error_bodies;
    93, "Several findings are one error with details, each with the path of its property", "HCP", active several_findings;
    94, "x-ms-error-code equals error.code", "HCP", afterwards error_header;
    95, "Every answer has x-ms-request-id and Date, and Content-Type: application/json with a body", "CAD", afterwards headers;
    96, "x-ms-client-request-id is echoed when the client asks for that, and only then", "CAD; ADD", active echo;
    97, "x-ms-routing-request-id is not taken for the request's own id", "ADD", active routing_id;
    98, "Any Accept-Language is answered", "CAD", active languages;
    99, "A wrong media type is answered 415, a body that is too long 4xx, malformed JSON 400 InvalidRequestContent", "HCP; RP", active bad_bodies;
    100, "No answer is longer than 8 MB", "CAD", afterwards length;
    101, "Every call is answered within 60 s", "CAD", afterwards duration;
    102, "429 and 503 have Retry-After", "ADD", afterwards throttling;
    103, "307 goes to the client", "CAD", elsewhere "it is ARM that passes 307 on; whether a provider uses it is its own affair";
    104, "Unknown headers and parameters are tolerated; a missing referer is made up from the request", "CAD", active tolerant;
}

fn refusals(exchanges: &[Arc<Exchange>]) -> Outcome<Vec<&Arc<Exchange>>> {
    let told =
        |one: &&Arc<Exchange>| one.status >= 400 && one.method != "HEAD" && one.purpose != Purpose::Stranger;
    let found: Vec<_> = exchanges.iter().filter(told).collect();
    if found.is_empty() { not_applicable("nothing was refused") } else { Ok(found) }
}

fn is_pascal_case(code: &str) -> bool {
    code.bytes().next().is_some_and(|first| first.is_ascii_uppercase())
        && code.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// What is wrong with an error or one of its details.
fn complaint(error: &Map<String, Value>) -> Option<String> {
    const MEMBERS: [&str; 6] = ["code", "message", "target", "details", "additionalInfo", "innererror"];
    let code = error.get("code").and_then(Value::as_str).unwrap_or_default();
    if !is_pascal_case(code) {
        return Some(format!("a `code` in PascalCase, not '{code}'"));
    }
    if error.get("message").and_then(Value::as_str).is_none_or(str::is_empty) {
        return Some("a `message`".into());
    }
    if let Some(name) = error.keys().find(|name| !MEMBERS.contains(&name.as_str())) {
        return Some(format!("no `{name}` in an error"));
    }
    let details = error.get("details").and_then(Value::as_array);
    details.into_iter().flatten().filter_map(Value::as_object).find_map(complaint)
}

fn error_bodies(_trial: &Trial, exchanges: &[Arc<Exchange>]) -> Outcome {
    for one in refusals(exchanges)? {
        let Some(error) = one.json.get("error").and_then(Value::as_object) else {
            return Err(one.failure("a body {\"error\": {\"code\", \"message\"}}"));
        };
        if let Some(complaint) = complaint(error) {
            return Err(one.failure(complaint));
        }
    }
    Ok(())
}

async fn several_findings(trial: &Trial) -> Outcome {
    let mut some = false;
    for kind in trial.with(Verb::Put).filter(|kind| kind.required.len() > 1) {
        some = true;
        let resource = trial.plan(kind).await?;
        let missing = kind.required.iter().take(2);
        let body = missing.fold(resource.body.clone(), |body, pointer| shape::without(&body, pointer).0);
        let put = trial.client.put(&resource.id, &body).send().await?;
        put.refused(&[400], "a body that lacks two required properties")?;
        let details = put.json.pointer("/error/details").and_then(Value::as_array);
        let details = details.ok_or_else(|| put.failure("`details` for several findings"))?;
        put.wants(details.len() > 1, "a detail for each finding")?;
        for pointer in kind.required.iter().take(2) {
            let last = pointer.rsplit('/').next().unwrap_or_default();
            let named = details.iter().any(|detail| {
                detail.get("target").and_then(Value::as_str).is_some_and(|target| target.ends_with(last))
            });
            put.wants(named, format!("a detail whose target is the path of {pointer}"))?;
        }
    }
    if some { Ok(()) } else { not_applicable("no type of the profile has two required properties") }
}

fn error_header(_trial: &Trial, exchanges: &[Arc<Exchange>]) -> Outcome {
    refusals(exchanges)?.iter().try_for_each(|one| {
        let same = one.header("x-ms-error-code").is_some() && one.header("x-ms-error-code") == one.code();
        one.wants(
            same,
            format!("x-ms-error-code: {}, not {}", said(&one.code()), said(&one.header("x-ms-error-code"))),
        )
    })
}

fn headers(_trial: &Trial, exchanges: &[Arc<Exchange>]) -> Outcome {
    for one in exchanges.iter().filter(|one| one.purpose != Purpose::Stranger) {
        for name in ["x-ms-request-id", "date"] {
            one.wants(one.header(name).is_some(), format!("the header {name}"))?;
        }
        let json = one.header("content-type").is_some_and(|kind| kind.starts_with("application/json"));
        one.wants(one.body.is_empty() || json, "Content-Type: application/json with a body")?;
    }
    Ok(())
}

async fn echo(trial: &Trial) -> Outcome {
    const ID: &str = "x-ms-client-request-id";
    let id = &trial.standing(trial.tracked()?).await?.id;
    let mine = uuid::Uuid::new_v4().to_string();
    let plain = trial.client.get(id).header(ID, &mine).send().await?;
    plain.wants(plain.header(ID).is_none(), format!("no {ID} that was not asked for"))?;
    // Twice: it need not be unique.
    for _ in 0..2 {
        let call = trial.client.get(id).header(ID, &mine).header("x-ms-return-client-request-id", "true");
        let echoed = call.send().await?;
        echoed.wants(echoed.header(ID) == Some(mine.as_str()), format!("{ID}: {mine}"))?;
    }
    Ok(())
}

async fn routing_id(trial: &Trial) -> Outcome {
    let id = &trial.standing(trial.tracked()?).await?.id;
    let routing = format!("WESTEUROPE:20260101T000000Z:{}", uuid::Uuid::new_v4());
    let got = trial.client.get(id).header("x-ms-routing-request-id", &routing).send().await?;
    got.status_is(&[200], "GET with a routing id")?;
    let own = got.header("x-ms-request-id").is_some_and(|own| !routing.contains(own));
    got.wants(own, "an x-ms-request-id of the provider's own")
}

async fn languages(trial: &Trial) -> Outcome {
    let kind = trial.tracked()?;
    let absent = trial.plan(kind).await?;
    for language in ["de-DE", "tlh", "*;q=0", ""] {
        let got = trial.client.get(&absent.id).header("accept-language", language).send().await?;
        got.refused(&[404], "an error in this language, or in English")?;
        let told = got.text("/error/message").is_some_and(|message| !message.is_empty());
        got.wants(told, "a message")?;
    }
    Ok(())
}

const TOO_LONG: usize = (4 << 20) + 1024;

async fn bad_bodies(trial: &Trial) -> Outcome {
    let kind = trial.tracked()?;
    let resource = trial.plan(kind).await?;
    let text = resource.body.to_string();
    let put = |media_type, body: String| trial.client.put(&resource.id, &json!({})).raw(media_type, body);
    let answer = put("text/plain", text.clone()).send().await?;
    answer.refused(&[415], "a body that is not declared as JSON")?;
    for bad in ["{\"location\": ", "{\"a\" 1}", "{]"] {
        let answer = put("application/json", bad.to_owned()).send().await?;
        answer.refused(&[400], "malformed JSON")?;
        let code = answer.code() == Some("InvalidRequestContent");
        answer.wants(code, "the code InvalidRequestContent")?;
    }
    let padding = format!("{{\"padding\": \"{}\"}}", "x".repeat(TOO_LONG));
    let answer = put("application/json", padding).send().await?;
    answer.refused(&[400, 413], "a body of more than 4 MiB")?;
    trial.client.get(&resource.id).send().await?.refused(&[404], "nothing was made by refused PUTs")
}

fn length(_trial: &Trial, exchanges: &[Arc<Exchange>]) -> Outcome {
    exchanges.iter().try_for_each(|one| {
        one.wants(one.body.len() <= 8 << 20, format!("at most 8 MB, not {} bytes", one.body.len()))
    })
}

fn duration(_trial: &Trial, exchanges: &[Arc<Exchange>]) -> Outcome {
    exchanges.iter().try_for_each(|one| {
        let took = one.took.as_secs();
        one.wants(one.took <= Duration::from_secs(60), format!("an answer within 60 s, not {took} s"))
    })
}

fn throttling(_trial: &Trial, exchanges: &[Arc<Exchange>]) -> Outcome {
    let mut some = false;
    for one in exchanges.iter().filter(|one| matches!(one.status, 429 | 503)) {
        some = true;
        one.wants(one.header("retry-after").is_some(), "Retry-After with 429 and 503")?;
    }
    if some { Ok(()) } else { not_applicable("nothing was answered 429 or 503") }
}

async fn tolerant(trial: &Trial) -> Outcome {
    let kind = trial.tracked()?;
    let id = &trial.standing(kind).await?.id;
    let call = trial.client.get(&format!("{id}?conformance=1")).header("x-conformance", "1");
    call.send().await?.status_is(&[200], "unknown headers and parameters")?;
    if trial.client.is_provider() {
        let resource = trial.plan(kind).await?;
        let put = trial.client.put(&resource.id, &resource.body).without("referer").send().await?;
        put.status_is(&[201], "a request without referer")?;
        trial.settle(&put).await?;
    }
    Ok(())
}
