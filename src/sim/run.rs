//! One history from its seed.

mod policies;
mod settle;
mod strangers;

use std::collections::{BTreeMap, BTreeSet};

use livedata_engine::memory::MemoryState;
use livedata_engine::{
    Coverage, Edge, Effect, Engine, Input, Limits, Phase, Place, Policy, Rule, Rules, Run, State, path_of,
};

use livedata_model::feed::{Position, Reading};
use livedata_model::node::NodeId;

use crate::adls::Adls;
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
    /// Policies that were changed.
    pub policies: u64,
    /// Passes without a feed that came to their end.
    pub completed: u64,
    /// Migrations that stood still because of a stranger.
    pub halted: u64,
    /// Migrations that were started again after their end.
    pub started_again: u64,
    /// Migrations that went on without what they remembered.
    pub journals_lost: u64,
}

impl Outcome {
    pub fn add(&mut self, other: &Self) {
        self.coverage.add(&other.coverage);
        self.published += other.published;
        self.crashes += other.crashes;
        self.steps += other.steps;
        self.needless += other.needless;
        self.policies += other.policies;
        self.completed += other.completed;
        self.halted += other.halted;
        self.started_again += other.started_again;
        self.journals_lost += other.journals_lost;
    }

    /// How often what happened.
    pub fn counts(&self) -> Vec<(&'static str, u64)> {
        let mut counts = self.coverage.counts();
        counts.extend([
            ("published", self.published),
            ("crashes", self.crashes),
            ("steps", self.steps),
            ("needless", self.needless),
            ("policies", self.policies),
            ("completed", self.completed),
            ("halted", self.halted),
            ("started_again", self.started_again),
            ("journals_lost", self.journals_lost),
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
    policy: Policy,
    /// Follows the feed; otherwise it lists, copies and ends.
    live: bool,
    /// Position of the source when the present pass began.
    began: u64,
    /// Its journal may be lost.
    forgetful: bool,
    /// As `coverage.trashed` and `coverage.alive`, when the policy was last changed.
    trashed: (u64, u64),
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
    flaky: bool,
    drifting: bool,
    now_ms: i64,
    outcome: Outcome,
    budget: u32,
    /// Decides about journals, so that histories that lose none are the same as without.
    losses: Random,
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

/// Makes another generator of a seed.
const LOSSES: u64 = 0x6a6f_7572_6e61_6c73;

const STEPS: u64 = 60_000;

/// Plays the history of a seed. An error says what went wrong.
pub fn run(seed: u64, options: &Options) -> Result<Outcome, String> {
    let mut random = Random::new(seed);
    let mut hdfs = Hdfs::new();
    hdfs.asynchronous = random.one_in(3);
    // From a generator of its own: the histories of all other seeds stay what they were.
    hdfs.commits_by_rename = Random::new(!seed).one_in(4);
    let limits = Limits {
        operations: 1 + random.below(5),
        copies: 1 + random.below(2),
        listings: 1 + random.below(2),
        waiting: 3 + random.below(12),
        marks: if random.one_in(10) { 6 } else { 10_000 },
    };
    let mut simulation = Simulation {
        options,
        hdfs,
        migrations: Vec::new(),
        denied: BTreeSet::new(),
        limits,
        flaky: random.one_in(4),
        drifting: random.one_in(8),
        now_ms: 1_000,
        outcome: Outcome::default(),
        budget: 20 + random.below(120) as u32,
        random,
        losses: Random::new(seed ^ LOSSES),
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
            let policy = self.any_policy(path);
            let rules = Rules { without: self.options.without };
            let forgetful = self.losses.one_in(6);
            let mut oracle = Oracle::default();
            oracle.drifting = self.drifting;
            oracle.obeys(&policy);
            self.migrations.push(Migration {
                engine: Engine::new(self.limits, policy.clone(), rules),
                state: if forgetful { MemoryState::default() } else { MemoryState::surveyed() },
                forgetful,
                adls: Adls::default(),
                oracle,
                pending: Vec::new(),
                root,
                path,
                start: 1,
                ordered: BTreeMap::new(),
                fed: false,
                policy,
                live: !self.random.one_in(8),
                began: 0,
                trashed: (0, 0),
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

    /// A process begins.
    fn begin(&mut self, index: usize) -> Result<(), String> {
        let migration = &mut self.migrations[index];
        let Ok(effects) = migration.engine.recover(&mut migration.state, migration.start);
        migration.pending.extend(effects);
        self.resolve(index)
    }

    /// R0: the position first, then the look at the root.
    fn resolve(&mut self, index: usize) -> Result<(), String> {
        let position = self.hdfs.position(&mut self.random);
        if self.budget > 0 && self.random.one_in(3) {
            self.change();
        }
        let txid = self.hdfs.txid;
        let migration = &mut self.migrations[index];
        let Some(root) = self.hdfs.entry(migration.root, false) else { return Ok(()) };
        let start = migration.start;
        migration.began = txid;
        migration.oracle.since = (!migration.live).then_some(txid);
        let position = migration.live.then_some(position);
        self.step(index, Input::Start { start, root, position })
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
        if self.random.one_in(200) {
            return self.change_policy(index);
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
        if let Effect::Resolve { .. } = effect {
            return self.resolve(index).map(|()| true);
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
            fed: migration.live,
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
        let Ok(Run { cursor, phase: phase_after, .. }) = migration.state.run();
        let moves = effects.iter().filter(|effect| matches!(effect, Effect::Move { to: Place::Tree(_), .. }));
        let followed =
            phase == Phase::Live && moves.count() == 1 && followed < migration.engine.coverage.moved_at_once;
        let mut finished = false;
        for effect in &effects {
            match effect {
                Effect::Move { node, to: Place::Trash(_), .. } => {
                    let id = crate::hdfs::number(node);
                    let lives = self.hdfs.living(id).is_some() && self.hdfs.is_below(id, migration.root);
                    self.outcome.needless += u64::from(lives);
                    // R9. Without a window each removal is judged by itself.
                    let limit = migration.policy.mass_delete_limit;
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
                Effect::Finished => finished = true,
                _ => {}
            }
        }
        if phase_after == Phase::Failed && effects.iter().any(Effect::changes_target) {
            return Err(format!("halted: and goes on with {effects:?}"));
        }
        migration.pending.extend(effects);
        if self.options.trace {
            print_marks(index, &before, &migration.state);
        }
        if finished {
            self.completed(index)?;
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

    fn crash(&mut self, index: usize) -> Result<(), String> {
        self.die(index)?;
        if self.migrations[index].forgetful && self.losses.one_in(3) {
            return self.lose_journal(index);
        }
        self.restart(index)
    }

    /// An agent takes over that knows nothing of what was done.
    fn lose_journal(&mut self, index: usize) -> Result<(), String> {
        if self.options.trace {
            println!("  [{index}] the journal is lost");
        }
        self.outcome.journals_lost += 1;
        self.restarted(index);
        let Migration { state, oracle, adls, .. } = &mut self.migrations[index];
        *state = MemoryState::default();
        oracle.forgot = true;
        // What carries our properties is taken for ours, also where somebody appended to it: nobody knows how long it was.
        for ours in adls.objects.values().filter(|object| object.node.is_some()) {
            oracle.theirs.remove(&ours.etag);
        }
        self.begin(index)
    }

    /// The process dies. Some of what was under way takes effect without anybody hearing of it.
    fn die(&mut self, index: usize) -> Result<(), String> {
        self.outcome.crashes += 1;
        let mut pending = std::mem::take(&mut self.migrations[index].pending);
        while !pending.is_empty() && self.random.one_in(2) {
            let at = self.random.below(pending.len());
            let effect = pending.swap_remove(at);
            self.execute(index, &effect)?;
        }
        Ok(())
    }

    /// The process dies in the middle of a step: nothing of it is remembered.
    fn crash_in_commit(&mut self, index: usize, input: Input) -> Result<(), String> {
        let mut before = self.migrations[index].state.clone();
        let migration = &mut self.migrations[index];
        let coverage = migration.engine.coverage;
        let Ok(_) = migration.engine.step(&mut migration.state, input);
        migration.engine.coverage = coverage;
        if self.options.workers.cursor_alone {
            let (Ok(mut run), Ok(after)) = (before.run(), migration.state.run());
            run.cursor = after.cursor;
            let Ok(()) = before.put_run(&run);
        }
        migration.state = before;
        self.crash(index)
    }

    /// Another process.
    fn restarted(&mut self, index: usize) {
        let migration = &mut self.migrations[index];
        let coverage = migration.engine.coverage;
        migration.pending.clear();
        migration.engine =
            Engine::new(self.limits, migration.policy.clone(), Rules { without: self.options.without });
        migration.engine.coverage = coverage;
    }

    fn restart(&mut self, index: usize) -> Result<(), String> {
        if self.options.trace {
            println!("  [{index}] crash");
        }
        let now_ms = self.now_ms;
        let again = self.random.one_in(4);
        self.restarted(index);
        let migration = &mut self.migrations[index];
        migration.start += u64::from(again);
        let Ok(Run { number, .. }) = migration.state.run();
        if number == 0 {
            return self.begin(index);
        }
        let Ok(effects) = migration.engine.recover(&mut migration.state, migration.start);
        migration.pending = effects;
        self.step(index, Input::Tick { now_ms })
    }
}
