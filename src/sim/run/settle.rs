//! The end of a history: when applications are quiet everything comes to rest, and both sides are equal.

use livedata_engine::{Input, Phase, Policy, State};
use livedata_model::spec::{DeletePolicy, DriftPolicy};

use crate::adls::FOREIGN;

use super::{Migration, STEPS, Simulation};

impl Simulation<'_> {
    /// Applications are quiet from now on.
    pub(super) fn settle_down(&mut self) -> Result<(), String> {
        for id in self.hdfs.open_files() {
            self.hdfs.close(id);
        }
        self.denied.clear();
        self.flaky = false;
        self.budget = 0;
        self.rest()?;
        for index in 0..self.migrations.len() {
            self.judge(index)?;
            self.kept(index)?;
            self.relent(index)?;
        }
        self.rest()?;
        for index in 0..self.migrations.len() {
            self.judge(index)?;
        }
        Ok(())
    }

    fn rest(&mut self) -> Result<(), String> {
        for round in 0..8 {
            for index in 0..self.migrations.len() {
                while self.advance(index)? {
                    self.outcome.steps += 1;
                    if self.outcome.steps > STEPS {
                        return Err(format!("no rest: {}", self.why(index)));
                    }
                }
                if round == 0 {
                    self.step(index, Input::RetryFailed)?;
                } else if round < 7 {
                    self.step(index, Input::ApproveDeletes)?;
                    self.tick(index)?;
                }
            }
        }
        Ok(())
    }

    /// What a policy or the want of a feed left undone is done after all: the operator decides anew.
    fn relent(&mut self, index: usize) -> Result<(), String> {
        let migration = &mut self.migrations[index];
        let Ok(run) = migration.state.run();
        let plain = Policy {
            drift: DriftPolicy::Overwrite,
            deletes: DeletePolicy::Mirror,
            ..migration.policy.clone()
        };
        if migration.live
            && run.phase.is_active()
            && plain.drift == migration.policy.drift
            && plain.deletes == migration.policy.deletes
        {
            return Ok(());
        }
        self.obey(index, plain)?;
        if run.phase.is_active() {
            return self.step(index, Input::RetryFailed);
        }
        let migration = &mut self.migrations[index];
        migration.live = true;
        migration.start += 1;
        self.outcome.started_again += 1;
        self.restarted(index);
        self.begin(index)
    }

    /// Without a feed: what was there when the pass began and did not change since is at the target.
    pub(super) fn completed(&mut self, index: usize) -> Result<(), String> {
        self.outcome.completed += 1;
        let excused = self.excused(index);
        let Migration { oracle, adls, root, began, .. } = &self.migrations[index];
        if self.drifting {
            return Ok(());
        }
        oracle.unchanged(&self.hdfs, adls, *root, *began, &excused)
    }

    fn judge(&mut self, index: usize) -> Result<(), String> {
        let excused = self.excused(index);
        let migration = &mut self.migrations[index];
        let Ok(run) = migration.state.run();
        let Policy { drift, deletes, .. } = migration.policy;
        match run.phase {
            Phase::Live if migration.live => {}
            Phase::Completed if !migration.live => return Ok(()),
            Phase::Failed if self.drifting && run.counters.drifted > 0 => {
                self.outcome.halted += 1;
                return Ok(());
            }
            phase => return Err(format!("phase: {phase:?} at the end: {}", self.why(index))),
        }
        if self.drifting {
            for (at, object) in &migration.adls.objects {
                if object.content == Some(FOREIGN) {
                    migration.oracle.foreign.insert(at.get(2..).unwrap_or("").to_owned());
                }
            }
        }
        let (marks, fronts) = migration.state.open();
        if !marks.is_empty() || !fronts.is_empty() {
            return Err(format!("unfinished: {}", self.why(index)));
        }
        let strict = drift == DriftPolicy::Overwrite && deletes == DeletePolicy::Mirror;
        let asked_for = |reason: &str| {
            !strict && (reason.contains("Policy is Keep") || reason.contains("retry that first"))
        };
        let surprise = migration.state.given_up().find(|(_, failed)| !asked_for(&failed.reason));
        if let Some(given_up) = surprise
            && self.options.without.is_none()
        {
            return Err(format!("given up at the end: {given_up:?}"));
        }
        let Migration { oracle, adls, root, state, .. } = migration;
        oracle.equal(&self.hdfs, adls, *root, state, &excused)
    }

    pub(super) fn why(&self, index: usize) -> String {
        let migration = &self.migrations[index];
        let (marks, fronts) = migration.state.open();
        format!(
            "marks {:?}, fronts {}, pending {:?}, held {}",
            marks.iter().take(5).collect::<Vec<_>>(),
            fronts.len(),
            migration.pending.iter().take(3).collect::<Vec<_>>(),
            migration.engine.deletes_held()
        )
    }
}
