//! Runs rules against an endpoint.

use std::collections::BTreeMap;

use futures::StreamExt as _;
use futures::stream;

use crate::report::Score;
use crate::rules::{Check, Rule, all, set_state};
use crate::trial::Trial;
use crate::verdict::{Outcome, Stop, Verdict};

/// Most of a check's time is waiting for operations, so that several may wait at a time. Each has resources of its own.
const AT_ONCE: usize = 12;

/// A run that is over.
pub struct Run {
    pub score: Score,
    /// Ids of what could not be deleted.
    pub left: Vec<String>,
}

/// Those of the numbers, or all without any. `progress` hears of each rule when its verdict is known.
pub async fn run(trial: &Trial, numbers: &[u16], progress: &dyn Fn(&Rule, &Verdict)) -> Run {
    let wanted = |rule: &Rule| numbers.is_empty() || numbers.contains(&rule.number);
    // What looks at everything needs something to look at.
    let everything = all().into_iter().any(|rule| wanted(rule) && matches!(rule.check, Check::Afterwards(_)));
    if trial.client.is_provider() {
        // ARM has registered a subscription before it sends requests of it. Rules 110 to 112 judge what comes of that.
        let _ = set_state(trial, &trial.profile.subscription, "Registered").await;
    }
    let mut verdicts = BTreeMap::new();
    let active = all().into_iter().filter_map(|rule| match rule.check {
        Check::Active(check) if everything || wanted(rule) => Some((rule, check)),
        _ => None,
    });
    let mut running = stream::iter(active)
        .map(|(rule, check)| async move { (rule, verdict(trial, check(trial).await)) })
        .buffer_unordered(AT_ONCE);
    while let Some((rule, verdict)) = running.next().await {
        if wanted(rule) {
            progress(rule, &verdict);
            verdicts.insert(rule.number, (rule, verdict));
        }
    }
    let left = trial.clean_up(AT_ONCE).await;
    let exchanges = trial.client.exchanges();
    for rule in all().into_iter().filter(|rule| wanted(rule)) {
        let verdict = match rule.check {
            Check::Active(_) => continue,
            Check::Afterwards(check) => verdict(trial, check(trial, &exchanges)),
            Check::NotFromOutside(reason) => Verdict::NotFromOutside(reason),
        };
        progress(rule, &verdict);
        verdicts.insert(rule.number, (rule, verdict));
    }
    Run { score: Score::new(&trial.profile, verdicts.into_values().collect()), left }
}

fn verdict(trial: &Trial, outcome: Outcome) -> Verdict {
    outcome
        .map_err(|stop| match stop {
            Stop::Failed(mut finding) => {
                trial.client.redact(&mut finding);
                Stop::Failed(finding)
            }
            other => other,
        })
        .into()
}
