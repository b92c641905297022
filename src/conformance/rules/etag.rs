//! Rules 105 to 109: conditional requests.

use std::sync::Arc;

use futures::future::join_all;
use serde_json::json;

use crate::exchange::Exchange;
use crate::profile::{Kind, Verb};
use crate::shape;
use crate::trial::Trial;
use crate::verdict::{Outcome, not_applicable};

rules! {
    105, "The header ETag equals `etag` of the body", "RES", active header_and_body;
    106, "PUT of what is absent: 201 without condition and with If-None-Match: *, 412 with If-Match", "ADD", active put_absent;
    107, "PUT of what exists: 412 with If-None-Match: * or another etag, 200 with If-Match: *", "ADD", active put_existing;
    108, "PATCH of what is absent with If-Match: 404, DELETE: 204; of what exists with another etag: 412", "ADD", active patch_and_delete;
    109, "Of writers with the same If-Match one wins", "ADD", active one_winner;
}

/// The types whose resources have etags.
async fn tagged(trial: &Trial) -> Outcome<Vec<(&Kind, String)>> {
    let mut found = Vec::new();
    for kind in trial.with(Verb::Put) {
        let got = trial.read(&trial.standing(kind).await?.id).await?;
        let etag = got.header("etag").or(got.text("/etag"));
        found.extend(etag.map(|etag| (kind, etag.to_owned())));
    }
    if found.is_empty() { not_applicable("no resource has an etag") } else { Ok(found) }
}

async fn header_and_body(trial: &Trial) -> Outcome {
    for (kind, _) in tagged(trial).await? {
        let got = trial.read(&trial.standing(kind).await?.id).await?;
        let bare = |etag: &str| etag.trim_start_matches("W/").trim_matches('"').to_owned();
        if let Some(etag) = got.text("/etag") {
            let same = got.header("etag").is_some_and(|header| bare(header) == bare(etag));
            got.wants(same, "the header ETag equal to `etag`")?;
        }
    }
    Ok(())
}

async fn put_absent(trial: &Trial) -> Outcome {
    for (kind, etag) in tagged(trial).await? {
        let resource = trial.plan(kind).await?;
        let put = || trial.client.put(&resource.id, &resource.body);
        for condition in ["*", etag.as_str(), "\"x\""] {
            put()
                .header("if-match", condition)
                .send()
                .await?
                .refused(&[412], "If-Match, and nothing there")?;
        }
        let made = put().header("if-none-match", "*").send().await?;
        made.status_is(&[201], "If-None-Match: *, and nothing there")?;
        trial.settle(&made).await?;
    }
    Ok(())
}

async fn put_existing(trial: &Trial) -> Outcome {
    for (kind, _) in tagged(trial).await? {
        let made = trial.make(kind).await?.resource;
        let put = || trial.client.put(&made.id, &made.body);
        put()
            .header("if-none-match", "*")
            .send()
            .await?
            .refused(&[412], "If-None-Match: *, and it exists")?;
        put().header("if-match", "\"x\"").send().await?.refused(&[412], "If-Match of another etag")?;
        let replaced = put().header("if-match", "*").send().await?;
        replaced.status_is(&[200], "If-Match: *, and it exists")?;
        trial.settle(&replaced).await?;
        let etag = trial.read(&made.id).await?.header("etag").unwrap_or_default().to_owned();
        let replaced = put().header("if-match", etag).send().await?;
        replaced.status_is(&[200], "If-Match of the present etag")?;
        trial.settle(&replaced).await?;
    }
    Ok(())
}

async fn patch_and_delete(trial: &Trial) -> Outcome {
    for (kind, _) in tagged(trial).await? {
        let absent = trial.plan(kind).await?;
        let made = trial.make(kind).await?.resource;
        let change = json!({});
        if kind.has(Verb::Patch) {
            for condition in ["*", "\"x\""] {
                let patched =
                    trial.client.patch(&absent.id, &change).header("if-match", condition).send().await?;
                patched.refused(&[404], "PATCH of what is absent")?;
            }
            let patched = trial.client.patch(&made.id, &change).header("if-match", "\"x\"").send().await?;
            patched.refused(&[412], "PATCH with another etag")?;
        }
        if kind.has(Verb::Delete) {
            for condition in ["*", "\"x\""] {
                let deleted = trial.client.delete(&absent.id).header("if-match", condition).send().await?;
                deleted.status_is(&[204], "DELETE of what is absent")?;
            }
            let deleted = trial.client.delete(&made.id).header("if-match", "\"x\"").send().await?;
            deleted.refused(&[412], "DELETE with another etag")?;
        }
        trial.read(&made.id).await?;
    }
    Ok(())
}

const WRITERS: usize = 8;

async fn one_winner(trial: &Trial) -> Outcome {
    let tagged = tagged(trial).await?;
    let Some((kind, _)) = tagged.iter().find(|(kind, _)| kind.tracked) else {
        return not_applicable("no tracked resource has an etag");
    };
    let made = trial.make(kind).await?.resource;
    let etag = trial.read(&made.id).await?.header("etag").unwrap_or_default().to_owned();
    let bodies: Vec<_> = (0..WRITERS)
        .map(|writer| shape::with(&made.body, "/tags", json!({"writer": writer.to_string()})))
        .collect();
    let puts = bodies.iter().map(|body| trial.client.put(&made.id, body).header("if-match", &etag).send());
    let answers: Vec<Arc<Exchange>> = join_all(puts).await.into_iter().collect::<Outcome<_>>()?;
    let mut winner = None;
    for answer in &answers {
        answer.status_is(&[200, 409, 412], "one of several writers")?;
        if answer.is_success() {
            answer.wants(winner.is_none(), "412 for all writers but one")?;
            winner = Some(answer);
        }
    }
    match (winner, answers.first()) {
        (Some(winner), _) => {
            trial.settle(winner).await?;
            let got = trial.read(&made.id).await?;
            got.wants(got.json.get("tags") == winner.json.get("tags"), "the tags of the writer who won")
        }
        (None, Some(answer)) => Err(answer.failure("one writer to win")),
        (None, None) => Ok(()),
    }
}
