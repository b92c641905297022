//! A history whose order somebody decides: for schedules that chance hardly ever finds.

use std::collections::{BTreeMap, BTreeSet};

use livedata_engine::memory::MemoryState;
use livedata_engine::{Effect, Engine, Input, Limits, Policy, Rule, Rules};
use livedata_model::feed::Reading;

use crate::adls::Adls;
use crate::chance::Calm;
use crate::hdfs::{Hdfs, SCOPES};
use crate::oracle::{Excused, Oracle};
use crate::world::{Workers, World};

/// One migration in a calm world: no answer is lost, nothing happens that the script does not ask for.
pub struct Scripted {
    pub hdfs: Hdfs,
    pub adls: Adls,
    pub state: MemoryState,
    pub engine: Engine,
    /// What the engine wants done and the script has not let happen, in the order in which it was asked for.
    pub pending: Vec<Effect>,
    /// Of those that happened.
    pub executed: Vec<Effect>,
    /// Directories whose rename is to come after what was changed in them before, and the position of that rename.
    pub ordered: BTreeMap<u64, u64>,
    oracle: Oracle,
    rules: Rules,
}

/// The root of the migration.
pub const ROOT: u64 = SCOPES[0].0;
/// A directory that is no part of it.
pub const ELSEWHERE: u64 = SCOPES[1].0;

impl Scripted {
    pub fn new(without: Option<Rule>) -> Self {
        let rules = Rules { without };
        Self {
            hdfs: Hdfs::new(),
            adls: Adls::default(),
            state: MemoryState::surveyed(),
            engine: Engine::new(Limits::default(), Policy::new(SCOPES[0].1), rules),
            pending: Vec::new(),
            executed: Vec::new(),
            ordered: BTreeMap::new(),
            oracle: Oracle::default(),
            rules,
        }
    }

    pub fn start(&mut self) -> Result<(), String> {
        let Some(root) = self.hdfs.entry(ROOT, false) else { return Err("there is no root".to_owned()) };
        let position = Some(self.hdfs.txid);
        self.step(Input::Start { start: 1, root, position });
        Ok(())
    }

    fn step(&mut self, input: Input) {
        let Ok(effects) = self.engine.step(&mut self.state, input);
        self.pending.extend(effects);
    }

    /// The operator wants a path of the source looked at again.
    pub fn rescan(&mut self, path: &str) {
        self.step(Input::Rescan { path: path.to_owned() });
    }

    /// Carries out the first effect that is wanted, if there is one and it has an answer by now.
    pub fn execute(&mut self, wanted: impl Fn(&Effect) -> bool) -> Result<bool, String> {
        let txid = self.hdfs.txid;
        let ready = |effect: &Effect| match effect {
            Effect::ReadFeed { after } => *after < txid,
            _ => true,
        };
        let at = self.pending.iter().position(|effect| wanted(effect) && ready(effect));
        let Some(at) = at else { return Ok(false) };
        let effect = self.pending.remove(at);
        self.executed.push(effect.clone());
        if let Some(input) = self.act(&effect)? {
            self.step(input);
        }
        Ok(true)
    }

    fn act(&mut self, effect: &Effect) -> Result<Option<Input>, String> {
        if let Effect::ReadFeed { after } = effect {
            let reading = self.hdfs.read_all(*after);
            return Ok(reading.map(|reading: Reading| Input::Fed(reading)));
        }
        let mut world = World {
            hdfs: &mut self.hdfs,
            adls: &mut self.adls,
            oracle: &mut self.oracle,
            chance: &mut Calm,
            root: ROOT,
            denied: &BTreeSet::new(),
            workers: Workers::default(),
            fed: true,
            ordered: &mut self.ordered,
            given_up: BTreeSet::new(),
        };
        world.execute(effect)
    }

    /// Everything that is wanted, until nothing of it is left.
    pub fn execute_all(&mut self, wanted: impl Fn(&Effect) -> bool) -> Result<(), String> {
        for _ in 0..10_000_000 {
            if !self.execute(&wanted)? {
                return Ok(());
            }
        }
        Err("no rest".to_owned())
    }

    /// The process dies. What is `unheard` happens nevertheless, and nobody hears of it.
    pub fn crash(&mut self, unheard: impl Fn(&Effect) -> bool) -> Result<(), String> {
        let pending = std::mem::take(&mut self.pending);
        for effect in pending.iter().filter(|effect| unheard(effect)) {
            self.act(effect)?;
        }
        self.engine = Engine::new(Limits::default(), Policy::new(SCOPES[0].1), self.rules);
        let Ok(effects) = self.engine.recover(&mut self.state, 1);
        self.pending = effects;
        Ok(())
    }

    /// Both sides are equal, and nothing is left to do.
    pub fn judge(&mut self) -> Result<(), String> {
        self.execute_all(|_| true)?;
        let (marks, fronts) = self.state.open();
        if !marks.is_empty() || !fronts.is_empty() {
            return Err(format!("unfinished: {marks:?}"));
        }
        self.oracle.equal(&self.hdfs, &self.adls, ROOT, &mut self.state, &Excused::default())
    }

    /// Every change up to there is at the target, says the engine, and it is so.
    pub fn watermark(&mut self) -> Result<Option<u64>, String> {
        let Ok(watermark) = self.engine.watermark(&mut self.state);
        if let Some(watermark) = watermark {
            self.oracle.watermark(&self.hdfs, &self.adls, ROOT, watermark, &Excused::default())?;
        }
        Ok(watermark)
    }
}
