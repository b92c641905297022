//! Faults on demand, for tests of clients: what the admin endpoint (`/faults`) or a request's own `x-emulator-fault` header asks
//! for happens to requests that are authenticated, around their operation.
//!
//! A [`Rule`] says which requests (by operation, path, method, account), what ([`Effect`]), and how often. Rules do not exclude
//! each other: delays add up, of several errors the first rule's counts, every ceiling has to be kept. Rules live until they are
//! removed or the emulator stops.
//!
//! Beside them an account may have [`Limits`], whose excess is answered with `ServerBusy` as the service answers it.

mod bodies;
mod connection;
mod effect;
mod limits;
mod pacer;
mod plan;
mod rule;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::request::Call;
use crate::service_error::ServiceError;
pub(crate) use connection::Connection;
use effect::Effect;
use limits::AccountLimits;
pub(crate) use limits::Limits;
pub(crate) use plan::Plan;
use rule::Subject;
pub(crate) use rule::{Rule, RuleReply, RuleRequest};

const HEADER: &str = "x-emulator-fault";

/// The rules and limits of one emulator.
pub(crate) struct Faults {
    /// By id, in whose order they apply.
    rules: RwLock<Arc<BTreeMap<String, Arc<Rule>>>>,
    limits: Mutex<HashMap<String, Arc<AccountLimits>>>,
    /// Whether requests may ask for faults of their own.
    header: bool,
}

impl Faults {
    pub(crate) fn new(header: bool) -> Self {
        Self { rules: RwLock::default(), limits: Mutex::default(), header }
    }

    fn rules(&self) -> Arc<BTreeMap<String, Arc<Rule>>> {
        self.rules.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<String, Arc<Rule>>)) {
        let mut rules = self.rules.write().unwrap_or_else(PoisonError::into_inner);
        let mut changed = BTreeMap::clone(&rules);
        change(&mut changed);
        *rules = Arc::new(changed);
    }

    pub(crate) fn put(&self, id: &str, rule: Rule) {
        self.change(|rules| drop(rules.insert(id.to_owned(), Arc::new(rule))));
    }

    pub(crate) fn remove(&self, id: &str) -> bool {
        let mut found = false;
        self.change(|rules| found = rules.remove(id).is_some());
        found
    }

    pub(crate) fn clear(&self) {
        self.change(BTreeMap::clear);
    }

    pub(crate) fn get(&self, id: &str) -> Option<RuleReply> {
        self.rules().get(id).map(|rule| rule.describe(id))
    }

    pub(crate) fn all(&self) -> Vec<RuleReply> {
        self.rules().iter().map(|(id, rule)| rule.describe(id)).collect()
    }

    pub(crate) fn set_limits(&self, account: &str, limits: Limits) {
        let mut all = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        if limits == Limits::default() {
            all.remove(account);
        } else {
            all.insert(account.to_owned(), Arc::new(AccountLimits::new(limits)));
        }
    }

    pub(crate) fn limits(&self, account: &str) -> Limits {
        self.limits_of(account).map(|limits| limits.limits).unwrap_or_default()
    }

    fn limits_of(&self, account: &str) -> Option<Arc<AccountLimits>> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner).get(account).cloned()
    }

    /// What is to happen to this request; an error is its answer already.
    pub(crate) fn plan(&self, call: &Call, operation: &'static str) -> Result<Plan, ServiceError> {
        let limits = self.limits_of(&call.location.account);
        if let Some(limits) = &limits {
            limits
                .admit(call.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0))?;
        }
        let mut plan = Plan::new(limits);
        let rules = self.rules();
        if !rules.is_empty() {
            let subject = Subject::of(call, operation);
            for (id, rule) in rules.iter() {
                if let Some(effect) = rule.strike(&subject) {
                    plan.add(id, effect);
                }
            }
        }
        if let Some(text) = call.header(HEADER) {
            plan.add(HEADER, self.asked_for(text)?);
        }
        Ok(plan)
    }

    fn asked_for(&self, text: &str) -> Result<Arc<Effect>, ServiceError> {
        if !self.header {
            let reason = "this emulator was started without --fault-header";
            return Err(ServiceError::invalid_header(HEADER, reason));
        }
        let effect: Effect = serde_json::from_str(text)
            .map_err(|error| ServiceError::invalid_header(HEADER, &error.to_string()))?;
        effect.check().map_err(|reason| ServiceError::invalid_header(HEADER, &reason))?;
        Ok(Arc::new(effect))
    }
}
