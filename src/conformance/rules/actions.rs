//! Rules 68 to 71, and 119: actions of a resource.

use reqwest::Method;
use serde_json::json;

use crate::client::Call;
use crate::exchange::Purpose;
use crate::profile::{Action, Kind};
use crate::trial::Trial;
use crate::verdict::{Outcome, not_applicable};

rules! {
    68, "An action is POST of {resource}/{action}, in any casing; no other method reaches it", "PRX; LNT RPC-POST-V1-05", active post_only;
    69, "An action is of one resource, never of a collection; POST makes no resource", "COV RPC014/RPC010/12.2", active of_one_resource;
    70, "An action is answered 200 with a body, 204, or 202 whose result is what the synchronous answer would be", "ASY; LNT RPC-POST-V1-02/-03", active answers;
    71, "An action on a missing resource is answered 404, in a wrong state 409 with a code of its own", "PRX; HCP", active missing_and_wrong_state;
    119, "GET {resource}/skus is a list, if there are skus", "ADD", active skus;
}

fn call<'a>(trial: &'a Trial, id: &str, action: &Action) -> Call<'a> {
    let call = trial.client.post(&format!("{id}/{}", action.name));
    match &action.body {
        Some(body) => call.json(body),
        None => call,
    }
}

fn actions(trial: &Trial) -> Outcome<Vec<(&Kind, &Action)>> {
    let found: Vec<_> =
        trial.kinds().flat_map(|kind| kind.actions.iter().map(move |action| (kind, action))).collect();
    if found.is_empty() { not_applicable("the profile has no actions") } else { Ok(found) }
}

async fn post_only(trial: &Trial) -> Outcome {
    for (kind, action) in actions(trial)? {
        let id = &trial.standing(kind).await?.id;
        let path = format!("{id}/{}", action.name);
        for method in [Method::GET, Method::DELETE] {
            let answer = trial.client.call(method, &path).send().await?;
            answer.refused(&[404, 405], "an action is reached by POST only")?;
        }
    }
    for (kind, action) in actions(trial)?.into_iter().filter(|(_, action)| !action.wrong_state) {
        let made = trial.make(kind).await?.resource;
        let shouted = Action { name: action.name.to_uppercase(), ..action.clone() };
        let answer = call(trial, &made.id, &shouted).send().await?;
        answer.succeeded("an action in another casing")?;
        trial.client.finish(&answer, trial.limit()).await?;
    }
    Ok(())
}

async fn of_one_resource(trial: &Trial) -> Outcome {
    let kind = trial.tracked()?;
    let collection = trial.collection(kind, None);
    trial
        .client
        .post(&collection)
        .json(&kind.body)
        .send()
        .await?
        .refused(&[404, 405], "POST of a collection")?;
    for (kind, action) in actions(trial)? {
        let absent = trial.plan(kind).await?;
        let collection = absent.id.rsplit_once('/').map_or("", |(collection, _)| collection);
        let answer = call(trial, collection, action).send().await?;
        answer.refused(&[404, 405], "an action of a collection")?;
        call(trial, &absent.id, action).send().await?;
        trial.client.get(&absent.id).send().await?.refused(&[404], "POST made no resource")?;
    }
    Ok(())
}

async fn answers(trial: &Trial) -> Outcome {
    for (kind, action) in actions(trial)?.into_iter().filter(|(_, action)| !action.wrong_state) {
        let made = trial.make(kind).await?.resource;
        let answer = call(trial, &made.id, action).send().await?;
        if !action.long_running {
            answer.status_is(&[200, 204], "an action that is answered at once")?;
            let whole = answer.body.is_empty() == (answer.status == 204);
            answer.wants(whole, "a body with 200, none with 204")?;
            continue;
        }
        answer.status_is(&[202], "an action that goes on")?;
        let Some(result) = answer.header("location") else {
            return Err(answer.failure("Location with 202"));
        };
        trial.settle(&answer).await?;
        let end = trial.client.follow(result, Purpose::OperationResult).send().await?;
        end.status_is(&[200, 204], "the result of an action that ended well")?;
        let whole = end.body.is_empty() == (end.status == 204);
        end.wants(whole, "a body with 200, none with 204")?;
    }
    Ok(())
}

async fn missing_and_wrong_state(trial: &Trial) -> Outcome {
    for (kind, action) in actions(trial)? {
        let absent = trial.plan(kind).await?;
        let answer = call(trial, &absent.id, action).send().await?;
        answer.refused(&[404], "an action of what does not exist")?;
        if action.wrong_state {
            let made = trial.make(kind).await?.resource;
            let answer = call(trial, &made.id, action).send().await?;
            answer.refused(&[409], "an action in a wrong state")?;
            let own = answer.code().is_some_and(|code| !matches!(code, "Conflict" | "BadRequest"));
            answer.wants(own, "a code that says what is wrong, more than Conflict")?;
        }
    }
    Ok(())
}

async fn skus(trial: &Trial) -> Outcome {
    let mut some = false;
    for kind in trial.kinds().filter(|kind| kind.skus) {
        some = true;
        let got = trial.client.get(&format!("{}/skus", trial.standing(kind).await?.id)).send().await?;
        got.status_is(&[200], "the skus of a resource")?;
        got.wants(
            got.json.get("value").is_some_and(|value| value.is_array()),
            json!({"value": []}).to_string(),
        )?;
    }
    if some { Ok(()) } else { not_applicable("no type of the profile has skus") }
}
