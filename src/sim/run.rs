//! One history from its seed.

use std::collections::{BTreeMap, BTreeSet};

use livedata_engine::memory::MemoryState;
use livedata_engine::{
    Coverage, Edge, Effect, Engine, Input, Limits, Phase, Place, Policy, Rule, Rules, Run, State, path_of,
};

use livedata_model::feed::{Position, Reading};
use livedata_model::node::NodeId;
use livedata_model::spec::MassDeleteLimit;

use crate::adls::{Adls, FOREIGN, Object};
use crate::chance::Chance;
use crate::hdfs::{Hdfs, SCOPES};
use crate::oracle::{Excused, Oracle};
use crate::random::Random;
use crate::world::{Workers, World};

/// What is different from an ordinary run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// A rule of the engine that does not hold.
    pub without: Option<Rule>,
    pub workers: Workers,
    /// Changes of the source that do not happen, by their number: for shrinking.
    pub skip: BTreeSet<u32>,
    /// Prints what happens.
    pub trace: bool,
}

/// Of a history in which nothing went wrong.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    pub coverage: Coverage,
    pub published: u64,
    pub crashes: u64,
    pub steps: u64,
    /// Objects moved to the trash although their node lived in the migration's scope at that moment.
    pub needless: u64,
}

impl Outcome {
    pub fn add(&mut self, other: &Self) {
        self.coverage.add(&other.coverage);
        self.published += other.published;
        self.crashes += other.crashes;
        self.steps += other.steps;
        self.needless += other.needless;
    }

    /// How often what happened.
    pub fn counts(&self) -> Vec<(&'static str, u64)> {
        let mut counts = self.coverage.counts();
        counts.extend([
            ("published", self.published),
            ("crashes", self.crashes),
            ("steps", self.steps),
            ("needless", self.needless),
        ]);
        counts
    }
}

struct Migration {
    engine: Engine,
    state: MemoryState,
    adls: Adls,
    oracle: Oracle,
    pending: Vec<Effect>,
    root: u64,
    path: &'static str,
    start: u64,
    /// Nodes whose rename at the source was followed at once in the live phase, and the cursor at that time.
    ordered: BTreeMap<u64, u64>,
    /// The feed was read.
    fed: bool,
}

/// The generator of a history decides.
struct Seeded<'a> {
    random: &'a mut Random,
    /// Changes that applications may still make.
    budget: &'a mut u32,
    flaky: bool,
}

impl Chance for Seeded<'_> {
    fn page(&mut self) -> usize {
        1 + self.random.below(3)
    }

    fn is_not_found(&mut self) -> bool {
        self.flaky && self.random.one_in(20)
    }

    fn reply_is_lost(&mut self) -> bool {
        self.random.one_in(12)
    }

    fn tear_shows(&mut self) -> bool {
        self.random.one_in(2)
    }

    fn meanwhile(&mut self, hdfs: &mut Hdfs) {
        while *self.budget > 0 && self.random.one_in(4) {
            *self.budget -= 1;
            hdfs.change(self.random);
        }
    }

    fn position(&mut self, hdfs: &Hdfs) -> u64 {
        hdfs.position(self.random)
    }
}

struct Simulation<'a> {
    options: &'a Options,
    random: Random,
    hdfs: Hdfs,
    migrations: Vec<Migration>,
    denied: BTreeSet<u64>,
    limits: Limits,
    policy_limit: MassDeleteLimit,
    retention_ms: i64,
    flaky: bool,
    drifting: bool,
    now_ms: i64,
    outcome: Outcome,
    budget: u32,
}

/// Something above is to be looked at with everything below, as in the first scan: nothing is promised about several files.
fn is_in_question(state: &mut MemoryState, node: &NodeId) -> bool {
    let mut at = node.clone();
    while let Ok(Some(node)) = state.node(&at) {
        let Ok(mark) = state.mark(&node.parent);
        let Ok(failed) = state.failed_at(&node.parent);
        let Ok(front) = state.front(&node.parent.directory);
        if mark.is_some_and(|mark| mark.deep) || failed.is_some() || front.is_some() {
            return true;
        }
        at = node.parent.directory;
    }
    false
}

fn print_marks(index: usize, before: &MemoryState, after: &MemoryState) {
    let ((old, _), (new, _)) = (before.open(), after.open());
    for (edge, mark) in new.iter().filter(|mark| !old.contains(mark)) {
        println!("  [{index}]   mark {edge:?} {mark:?}");
    }
    for (edge, _) in old.iter().filter(|(edge, _)| !new.iter().any(|(other, _)| other == edge)) {
        println!("  [{index}]   cleared {edge:?}");
    }
}

const STEPS: u64 = 60_000;

/// Plays the history of a seed. An error says what went wrong.
pub fn run(seed: u64, options: &Options) -> Result<Outcome, String> {
    let mut random = Random::new(seed);
    let mut hdfs = Hdfs::new();
    hdfs.asynchronous = random.one_in(3);
    let limits = Limits {
        operations: 1 + random.below(5),
        copies: 1 + random.below(2),
        listings: 1 + random.below(2),
        waiting: 3 + random.below(12),
        marks: if random.one_in(10) { 6 } else { 10_000 },
    };
    let count = if random.one_in(6) { 4 } else { 10_000 };
    let mut simulation = Simulation {
        options,
        hdfs,
        migrations: Vec::new(),
        denied: BTreeSet::new(),
        limits,
        policy_limit: MassDeleteLimit { count, percent: 100, window_seconds: u64::from(count > 100) },
        retention_ms: 5 + random.below(60) as i64,
        flaky: random.one_in(4),
        drifting: random.one_in(8),
        now_ms: 1_000,
        outcome: Outcome::default(),
        budget: 20 + random.below(120) as u32,
        random,
    };
    simulation.play()?;
    let mut outcome = simulation.outcome;
    for migration in &simulation.migrations {
        outcome.coverage.add(&migration.engine.coverage);
        outcome.published += migration.oracle.published;
    }
    Ok(outcome)
}

impl Simulation<'_> {
    fn play(&mut self) -> Result<(), String> {
        for _ in 0..self.random.below(40) {
            self.change();
        }
        let count = 1 + usize::from(self.random.one_in(4));
        for (root, path) in SCOPES.into_iter().take(count) {
            let policy = self.policy(path);
            let engine = Engine::new(self.limits, policy, Rules { without: self.options.without });
            self.migrations.push(Migration {
                engine,
                state: MemoryState::default(),
                adls: Adls::default(),
                oracle: Oracle { drifting: self.drifting, ..Oracle::default() },
                pending: Vec::new(),
                root,
                path,
                start: 1,
                ordered: BTreeMap::new(),
                fed: false,
            });
        }
        for index in 0..self.migrations.len() {
            self.begin(index)?;
        }
        while self.budget > 0 {
            self.busy_step()?;
        }
        self.settle_down()
    }

    fn policy(&self, path: &str) -> Policy {
        Policy {
            mass_delete_limit: self.policy_limit,
            trash_retention_ms: self.retention_ms,
            ..Policy::new(path)
        }
    }

    fn change(&mut self) {
        // Each change has a generator of its own, so that leaving one out does not change all the others.
        let number = self.random.number();
        self.budget = self.budget.saturating_sub(1);
        if !self.options.skip.contains(&self.budget) {
            self.hdfs.change(&mut Random::new(number));
        }
        if self.random.one_in(60) {
            let files: Vec<u64> = self.hdfs.tree(SCOPES[0].0).into_values().filter(|id| *id > 3).collect();
            self.denied.extend(self.random.pick(&files));
        }
    }

    /// R0: the position first, then the look at the root.
    fn begin(&mut self, index: usize) -> Result<(), String> {
        let position = self.hdfs.position(&mut self.random);
        if self.random.one_in(3) {
            self.change();
        }
        let migration = &self.migrations[index];
        let start = migration.start;
        let Some(root) = self.hdfs.entry(migration.root, false) else { return Ok(()) };
        let effects = {
            let migration = &mut self.migrations[index];
            let Ok(effects) = migration.engine.recover(&mut migration.state, start);
            effects
        };
        self.migrations[index].pending.extend(effects);
        self.step(index, Input::Start { start, root, position: Some(position) })
    }

    fn busy_step(&mut self) -> Result<(), String> {
        self.outcome.steps += 1;
        if self.outcome.steps > STEPS {
            return Err("the history does not end".to_owned());
        }
        if self.random.one_in(4) {
            self.change();
        }
        if self.random.one_in(12) {
            let open = self.hdfs.open_files();
            if let Some(id) = self.random.pick(&open) {
                self.hdfs.close(id);
            }
        }
        if self.random.one_in(600) {
            let _ = self.hdfs.purge();
        }
        let index = self.random.below(self.migrations.len());
        if self.random.one_in(90) {
            return self.crash(index);
        }
        if self.random.one_in(15) {
            return self.tick(index);
        }
        if self.drifting && self.random.one_in(30) {
            self.drift(index);
        }
        if self.random.one_in(200) {
            let paths: Vec<u64> = self.hdfs.tree(self.migrations[index].root).into_values().collect();
            if let Some(id) = self.random.pick(&paths) {
                let path = self.hdfs.path(id);
                return self.step(index, Input::Rescan { path });
            }
        }
        self.advance(index).map(|_| ())
    }

    fn tick(&mut self, index: usize) -> Result<(), String> {
        self.now_ms += 1 + self.random.below(10) as i64;
        self.step(index, Input::Tick { now_ms: self.now_ms })
    }

    /// Somebody else writes to the target: over a file, into a free place, or removes a file.
    fn drift(&mut self, index: usize) {
        let Migration { adls, oracle, root, .. } = &mut self.migrations[index];
        let foreign = |adls: &mut Adls, content: Option<u64>| Object {
            content,
            etag: adls.fresh_etag(0),
            node: None,
            version: None,
            attributes: 0,
            modified_ms: 0,
        };
        let is_file = |object: &Object| object.content.is_some();
        let tree = adls.objects.iter().filter(|(at, object)| at.starts_with("T/") && is_file(object));
        let files: Vec<String> = tree.map(|(at, _)| at.clone()).collect();
        let kind = self.random.below(5);
        if self.options.trace {
            println!("  [{index}] a stranger does {kind}");
        }
        match kind {
            0 => {
                let wanted: Vec<String> = self.hdfs.tree(*root).into_keys().collect();
                let Some(path) = self.random.pick(&wanted) else { return };
                let at = format!("T/{path}");
                let parent = at.rsplit_once('/').map_or("T", |(parent, _)| parent);
                if adls.is_directory(parent) && !adls.objects.contains_key(&at) {
                    let content = self.random.one_in(2).then_some(FOREIGN);
                    let object = foreign(adls, content);
                    adls.objects.insert(at, object);
                }
            }
            1 => {
                let ours = |at: &String| adls.objects.get(at).is_some_and(|object| object.node.is_some());
                let ours: Vec<String> = files.into_iter().filter(ours).collect();
                let Some(at) = self.random.pick(&ours) else { return };
                let gone = adls.objects.remove(&at).and_then(|object| object.node);
                oracle.vanished.extend(gone.iter().map(crate::hdfs::number));
            }
            _ => {
                let Some(at) = self.random.pick(&files) else { return };
                let object = foreign(adls, Some(FOREIGN));
                adls.objects.insert(at, object);
            }
        }
    }

    /// Carries out one effect, if one can be.
    fn advance(&mut self, index: usize) -> Result<bool, String> {
        let ready: Vec<usize> = (0..self.migrations[index].pending.len())
            .filter(|at| match &self.migrations[index].pending[*at] {
                Effect::ReadFeed { after } => *after < self.hdfs.txid,
                _ => true,
            })
            .collect();
        let Some(at) = self.random.pick(&ready) else { return Ok(false) };
        let effect = self.migrations[index].pending.swap_remove(at);
        if let Effect::ReadFeed { after } = effect {
            let Some(mut reading) = self.hdfs.read(after, &mut self.random) else {
                self.migrations[index].pending.push(effect);
                return Ok(false);
            };
            let first = !std::mem::replace(&mut self.migrations[index].fed, true);
            if first && self.options.workers.position_after_scan {
                reading = Reading::Events { events: Vec::new(), read_to: Position(self.hdfs.txid) };
            }
            return self.answer(index, Input::Fed(reading)).map(|()| true);
        }
        if self.options.trace {
            println!("  [{index}] {effect:?}");
        }
        if let Some(input) = self.execute(index, &effect)? {
            self.answer(index, input)?;
        }
        Ok(true)
    }

    fn answer(&mut self, index: usize, input: Input) -> Result<(), String> {
        if self.random.one_in(150) && self.budget > 0 {
            return self.crash_in_commit(index, input);
        }
        self.step(index, input)
    }

    fn execute(&mut self, index: usize, effect: &Effect) -> Result<Option<Input>, String> {
        let excused = match effect {
            Effect::Purge { .. } | Effect::Publish { .. } | Effect::Move { .. } => self.excused(index),
            _ => Excused::default(),
        };
        let migration = &mut self.migrations[index];
        migration.oracle.excused = excused;
        let given_up = migration.state.given_up();
        let given_up =
            given_up.map(|(edge, _)| (crate::hdfs::number(&edge.directory), edge.name.clone())).collect();
        let mut chance = Seeded { random: &mut self.random, budget: &mut self.budget, flaky: self.flaky };
        let mut world = World {
            hdfs: &mut self.hdfs,
            adls: &mut migration.adls,
            oracle: &mut migration.oracle,
            chance: &mut chance,
            root: migration.root,
            denied: &self.denied,
            workers: self.options.workers,
            ordered: &mut migration.ordered,
            given_up,
        };
        world.execute(effect)
    }

    fn step(&mut self, index: usize, input: Input) -> Result<(), String> {
        if self.options.trace {
            println!("  [{index}] <- {input:?}");
        }
        let migration = &mut self.migrations[index];
        let before = if self.options.trace { migration.state.clone() } else { MemoryState::default() };
        let followed = migration.engine.coverage.moved_at_once;
        let Ok(Run { phase, .. }) = migration.state.run();
        let Ok(effects) = migration.engine.step(&mut migration.state, input);
        let Ok(Run { cursor, .. }) = migration.state.run();
        let moves = effects.iter().filter(|effect| matches!(effect, Effect::Move { to: Place::Tree(_), .. }));
        let followed =
            phase == Phase::Live && moves.count() == 1 && followed < migration.engine.coverage.moved_at_once;
        for effect in &effects {
            match effect {
                Effect::Move { node, to: Place::Trash(_), .. } => {
                    let id = crate::hdfs::number(node);
                    let lives = self.hdfs.living(id).is_some() && self.hdfs.is_below(id, migration.root);
                    self.outcome.needless += u64::from(lives);
                    // R9. Without a window each removal is judged by itself.
                    let limit = self.policy_limit;
                    let Ok(objects) = migration.state.count_subtree(node, limit.count + 1);
                    if limit.window_seconds == 0 && objects > limit.count && self.budget > 0 {
                        return Err(format!(
                            "deleted: {objects} or more objects at once, and nobody approved"
                        ));
                    }
                }
                Effect::Move { node, .. } if followed && !is_in_question(&mut migration.state, node) => {
                    migration.ordered.insert(crate::hdfs::number(node), cursor);
                }
                _ => {}
            }
        }
        migration.pending.extend(effects);
        if self.options.trace {
            print_marks(index, &before, &migration.state);
        }
        if self.random.one_in(10) { self.check_watermark(index) } else { Ok(()) }
    }

    fn excused(&mut self, index: usize) -> Excused {
        let migration = &mut self.migrations[index];
        let edges: Vec<Edge> = migration.state.given_up().map(|(edge, _)| edge.clone()).collect();
        let path = |edge: &Edge| path_of(&mut migration.state, edge).unwrap_or_default();
        let paths = edges.iter().map(path).collect();
        Excused { paths, held: migration.engine.deletes_held() > 0 }
    }

    fn check_watermark(&mut self, index: usize) -> Result<(), String> {
        let excused = self.excused(index);
        let migration = &mut self.migrations[index];
        let Ok(Some(watermark)) = migration.engine.watermark(&mut migration.state) else { return Ok(()) };
        if self.drifting {
            return Ok(());
        }
        let Migration { oracle, adls, root, .. } = migration;
        oracle.watermark(&self.hdfs, adls, *root, watermark, &excused)
    }

    /// The process dies. Some of what was under way takes effect without anybody hearing of it.
    fn crash(&mut self, index: usize) -> Result<(), String> {
        self.outcome.crashes += 1;
        let mut pending = std::mem::take(&mut self.migrations[index].pending);
        while !pending.is_empty() && self.random.one_in(2) {
            let at = self.random.below(pending.len());
            let effect = pending.swap_remove(at);
            self.execute(index, &effect)?;
        }
        self.restart(index)
    }

    /// The process dies in the middle of a step: nothing of it is remembered.
    fn crash_in_commit(&mut self, index: usize, input: Input) -> Result<(), String> {
        let mut before = self.migrations[index].state.clone();
        let migration = &mut self.migrations[index];
        let Ok(_) = migration.engine.step(&mut migration.state, input);
        if self.options.workers.cursor_alone {
            let (Ok(mut run), Ok(after)) = (before.run(), migration.state.run());
            run.cursor = after.cursor;
            let Ok(()) = before.put_run(&run);
        }
        migration.state = before;
        self.crash(index)
    }

    fn restart(&mut self, index: usize) -> Result<(), String> {
        if self.options.trace {
            println!("  [{index}] crash");
        }
        let policy = self.policy(self.migrations[index].path);
        let now_ms = self.now_ms;
        let again = self.random.one_in(4);
        let migration = &mut self.migrations[index];
        let coverage = migration.engine.coverage;
        migration.start += u64::from(again);
        migration.engine = Engine::new(self.limits, policy, Rules { without: self.options.without });
        migration.engine.coverage = coverage;
        let Ok(effects) = migration.engine.recover(&mut migration.state, migration.start);
        migration.pending = effects;
        self.step(index, Input::Tick { now_ms })
    }

    /// Applications are quiet from now on: everything must come to rest, equal.
    fn settle_down(&mut self) -> Result<(), String> {
        for id in self.hdfs.open_files() {
            self.hdfs.close(id);
        }
        self.denied.clear();
        self.flaky = false;
        self.budget = 0;
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
        for index in 0..self.migrations.len() {
            self.judge(index)?;
        }
        Ok(())
    }

    fn judge(&mut self, index: usize) -> Result<(), String> {
        let excused = self.excused(index);
        let migration = &mut self.migrations[index];
        let Ok(run) = migration.state.run();
        if run.phase != Phase::Live {
            return Err(format!("phase: {:?} at the end: {}", run.phase, self.why(index)));
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
        if !excused.paths.is_empty() && self.options.without.is_none() {
            return Err(format!("given up at the end: {:?}", migration.state.given_up().next()));
        }
        let Migration { oracle, adls, root, state, .. } = migration;
        oracle.equal(&self.hdfs, adls, *root, state, &excused)
    }

    fn why(&self, index: usize) -> String {
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
