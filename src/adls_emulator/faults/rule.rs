//! Which requests a fault strikes, and how often.

use std::sync::{Arc, Mutex, PoisonError};

use actix_web::http::Method;
use serde::{Deserialize, Serialize};

use super::effect::{Effect, Latency};
use crate::operations::Operation;
use crate::request::Call;

/// A request, as far as rules look at it.
pub(crate) struct Subject<'a> {
    pub account: &'a str,
    pub operation: &'static str,
    pub method: &'a str,
    /// `/{filesystem}/{path}`, decoded; of a rename, the destination's.
    pub path: String,
}

impl<'a> Subject<'a> {
    pub(crate) fn of(call: &'a Call, operation: &'static str) -> Self {
        let location = &call.location;
        let mut path = format!("/{}", location.filesystem.as_deref().unwrap_or(""));
        for name in &location.path {
            path.push('/');
            path.push_str(name);
        }
        Self { account: &location.account, operation, method: call.method.as_str(), path }
    }
}

/// What is not said does not matter.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Selector {
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    /// A name as in the counters: `PathAppend`.
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<String>,
    /// After `X-HTTP-Method-Override`.
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    /// How `/{filesystem}/{path}` begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    path_prefix: Option<String>,
}

impl Selector {
    /// Why it takes in no request, whatever comes.
    fn check(&self) -> Result<(), String> {
        const METHODS: [Method; 6] =
            [Method::GET, Method::HEAD, Method::PUT, Method::PATCH, Method::POST, Method::DELETE];
        if let Some(operation) = &self.operation
            && !Operation::NAMES.contains(&operation.as_str())
        {
            let names = Operation::NAMES.join(", ");
            return Err(format!("no operation is called {operation:?}; expected one of {names}"));
        }
        if let Some(method) = &self.method
            && !METHODS.iter().any(|known| known.as_str() == method)
        {
            let names: Vec<&str> = METHODS.iter().map(Method::as_str).collect();
            return Err(format!(
                "no request has the method {method:?}; expected one of {}",
                names.join(", ")
            ));
        }
        if let Some(prefix) =
            self.path_prefix.as_ref().filter(|prefix| !matches!(prefix.chars().next(), None | Some('/')))
        {
            return Err(format!(
                "no path begins with {prefix:?}; paths are /FILESYSTEM/PATH, so begin it with /"
            ));
        }
        Ok(())
    }

    fn selects(&self, subject: &Subject<'_>) -> bool {
        let is = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found);
        is(&self.account, subject.account)
            && is(&self.operation, subject.operation)
            && is(&self.method, subject.method)
            && self.path_prefix.as_ref().is_none_or(|prefix| subject.path.starts_with(prefix))
    }
}

/// A rule as it is put.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RuleRequest {
    #[serde(default)]
    selector: Selector,
    effect: Effect,
    /// Of a selected request to be struck, in (0, 1].
    #[serde(default = "certain")]
    probability: f64,
    /// How many requests are struck at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    /// Decides which requests are struck: the same seed strikes the same ones of a sequence.
    #[serde(default)]
    seed: u64,
}

fn certain() -> f64 {
    1.0
}

pub(crate) struct Rule {
    selector: Selector,
    effect: Arc<Effect>,
    probability: f64,
    count: Option<u64>,
    seed: u64,
    state: Mutex<State>,
}

struct State {
    random: Random,
    selected: u64,
    struck: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RuleReply {
    id: String,
    selector: serde_json::Value,
    effect: serde_json::Value,
    probability: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    seed: u64,
    /// Requests that the selector took in so far.
    selected: u64,
    /// Requests of these to which the effect happened.
    struck: u64,
}

impl RuleRequest {
    /// The error says what is wrong with it.
    pub(crate) fn into_rule(self) -> Result<Rule, String> {
        let Self { selector, effect, probability, count, seed } = self;
        selector.check()?;
        effect.check()?;
        if !(probability > 0.0 && probability <= 1.0) {
            return Err("probability is above 0 and at most 1".to_owned());
        }
        if count == Some(0) {
            return Err(
                "a count of 0 strikes no request; leave it out to strike all, or delete the rule".to_owned()
            );
        }
        let state = Mutex::new(State { random: Random(seed), selected: 0, struck: 0 });
        Ok(Rule { selector, effect: Arc::new(effect), probability, count, seed, state })
    }
}

impl Rule {
    /// What happens to the request, if anything does.
    pub(super) fn strike(&self, subject: &Subject<'_>) -> Option<Arc<Effect>> {
        if !self.selector.selects(subject) {
            return None;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.selected += 1;
        // Drawn whatever the count: which requests are struck depends on the seed alone.
        let drawn = state.random.fraction() < self.probability;
        if !drawn || self.count.is_some_and(|count| state.struck >= count) {
            return None;
        }
        state.struck += 1;
        match &*self.effect {
            Effect::Latency(Latency { from_ms, to_ms: Some(to_ms) }) => {
                let span = to_ms.saturating_sub(*from_ms).saturating_add(1);
                let from_ms = from_ms.saturating_add(state.random.next() % span);
                Some(Arc::new(Effect::Latency(Latency { from_ms, to_ms: None })))
            }
            _ => Some(self.effect.clone()),
        }
    }

    pub(super) fn describe(&self, id: &str) -> RuleReply {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        RuleReply {
            id: id.to_owned(),
            selector: serde_json::json!(self.selector),
            effect: serde_json::json!(*self.effect),
            probability: self.probability,
            count: self.count,
            seed: self.seed,
            selected: state.selected,
            struck: state.struck,
        }
    }
}

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators"): all that is needed of chance here is that
/// a seed repeats it.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// In [0, 1).
    fn fraction(&mut self) -> f64 {
        // 53 bits are what a double holds exactly.
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(json: serde_json::Value) -> Result<Rule, String> {
        serde_json::from_value::<RuleRequest>(json).map_err(|error| error.to_string())?.into_rule()
    }

    fn subject(path: &str) -> Subject<'_> {
        Subject { account: "lake", operation: "PathRead", method: "GET", path: path.to_owned() }
    }

    #[test]
    fn a_seed_repeats_what_is_struck() {
        let struck = |seed: u64| {
            let rule = rule(serde_json::json!({ "effect": "lostReply", "probability": 0.3, "seed": seed }));
            let rule = rule.unwrap();
            (0..1000).map(|_| rule.strike(&subject("/fs/a")).is_some()).collect::<Vec<bool>>()
        };
        assert_eq!(struck(7), struck(7));
        assert_ne!(struck(7), struck(8));
        let share = struck(7).iter().filter(|struck| **struck).count();
        assert!((250..350).contains(&share), "{share}");
    }

    #[test]
    fn a_selector_and_a_count_narrow() {
        let json = serde_json::json!({
            "selector": { "pathPrefix": "/fs/a", "operation": "PathRead", "method": "GET", "account": "lake" },
            "effect": { "latency": { "fromMs": 1, "toMs": 9 } },
            "count": 2,
        });
        let rule = rule(json).unwrap();
        assert!(rule.strike(&subject("/fs/b")).is_none());
        let other = Subject { account: "pond", ..subject("/fs/a") };
        assert!(rule.strike(&other).is_none());
        for _ in 0..2 {
            let struck = rule.strike(&subject("/fs/ab/c"));
            assert!(matches!(
                struck.as_deref(),
                Some(Effect::Latency(Latency { from_ms: 1..=9, to_ms: None }))
            ));
        }
        assert!(rule.strike(&subject("/fs/a")).is_none());
    }

    #[test]
    fn rules_that_can_never_strike_are_refused_with_the_reason() {
        for (selector, count, reason) in [
            (serde_json::json!({ "operation": "Append" }), 1, "expected one of UserDelegationKey, "),
            (serde_json::json!({ "operation": "pathRead" }), 1, "no operation is called \"pathRead\""),
            (serde_json::json!({ "method": "get" }), 1, "expected one of GET, HEAD, "),
            (serde_json::json!({ "pathPrefix": "fs/a" }), 1, "begin it with /"),
            (serde_json::json!({}), 0, "a count of 0"),
        ] {
            let json = serde_json::json!({ "selector": selector, "effect": "lostReply", "count": count });
            let refused = rule(json).err().unwrap();
            assert!(refused.contains(reason), "{refused}");
        }
        for name in Operation::NAMES {
            let json = serde_json::json!({ "selector": { "operation": name }, "effect": "lostReply" });
            assert!(rule(json).is_ok(), "{name}");
        }
    }

    #[test]
    fn rules_that_mean_nothing_are_refused() {
        for json in [
            serde_json::json!({ "effect": "lostReply", "probability": 0 }),
            serde_json::json!({ "effect": "lostReply", "probability": 1.5 }),
            serde_json::json!({ "effect": "lostReply", "chance": 1 }),
            serde_json::json!({ "effect": "lostReplies" }),
            serde_json::json!({ "effect": { "bandwidth": {} } }),
            serde_json::json!({ "effect": { "bandwidth": { "ingressBytesPerSecond": 0 } } }),
            serde_json::json!({ "effect": { "latency": { "fromMs": 9, "toMs": 1 } } }),
            serde_json::json!({ "effect": { "error": { "kind": "teapot" } } }),
            serde_json::json!({ "effect": "lostReply", "selector": { "path": "/" } }),
        ] {
            assert!(rule(json.clone()).is_err(), "{json}");
        }
    }
}
