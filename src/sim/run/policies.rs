//! What operators want of a migration, and that they change their minds.

use livedata_engine::{Coverage, Intent, Policy, State};
use livedata_model::pattern::Pattern;
use livedata_model::spec::{DeletePolicy, DriftPolicy, MassDeleteLimit};

use super::Simulation;

impl Simulation<'_> {
    pub(super) fn any_policy(&mut self, path: &str) -> Policy {
        let count = if self.random.one_in(6) { 4 } else { 10_000 };
        let limit = MassDeleteLimit { count, percent: 100, window_seconds: u64::from(count > 100) };
        let drift = match self.random.below(4) {
            0 if self.drifting => DriftPolicy::Keep,
            1 if self.drifting => DriftPolicy::Halt,
            _ => DriftPolicy::Overwrite,
        };
        let own = Pattern::parse("*/y").ok().filter(|_| self.random.one_in(10));
        Policy {
            deletes: if self.random.one_in(10) { DeletePolicy::Keep } else { DeletePolicy::Mirror },
            drift,
            mass_delete_limit: limit,
            trash_retention_ms: 5 + self.random.below(60) as i64,
            barriers: own.into_iter().collect(),
            ..Policy::new(path)
        }
    }

    /// A migration goes on under another policy.
    pub(super) fn change_policy(&mut self, index: usize) -> Result<(), String> {
        let policy = self.any_policy(self.migrations[index].path);
        self.obey(index, policy)
    }

    /// As an agent does that: with a new engine.
    pub(super) fn obey(&mut self, index: usize, policy: Policy) -> Result<(), String> {
        self.kept(index)?;
        self.die(index)?;
        self.outcome.policies += 1;
        let migration = &mut self.migrations[index];
        migration.oracle.obeys(&policy);
        migration.policy = policy;
        let Coverage { trashed, alive, .. } = migration.engine.coverage;
        let Ok(intents) = migration.state.all_intents();
        let begun =
            intents.iter().filter(|(_, intent)| matches!(intent, Intent::Move { to } if to.is_trash()));
        migration.trashed = (trashed + begun.count() as u64, alive);
        self.restart(index)
    }

    /// `deletePolicy: Keep`: nothing is removed, except that something else takes the place of what lives on elsewhere.
    pub(super) fn kept(&self, index: usize) -> Result<(), String> {
        let migration = &self.migrations[index];
        let coverage = &migration.engine.coverage;
        let (trashed, alive) =
            (coverage.trashed.saturating_sub(migration.trashed.0), coverage.alive - migration.trashed.1);
        if migration.policy.deletes == DeletePolicy::Keep && trashed > alive {
            return Err(format!("deleted: {trashed} objects, although only {alive} had to make way"));
        }
        Ok(())
    }
}
