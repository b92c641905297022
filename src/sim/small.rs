//! Small worlds, and everything that can happen in them: not histories that chance makes, but all of them, enumerated by the
//! model checker stateright.
//!
//! A world is a tree of two directories at most, a choice of changes that applications may make, how many of them, and how
//! often the process may die or an answer get lost. At every moment ([`Moment`]) anything may be next: any effect that the
//! engine wants, carried out and answered, also with a change of the source in the middle of it; a change; a crash, with
//! any of what was under way done and nobody told. [`Moment::wrong`] is what the oracle says, the same that judges
//! histories: torn files, the order of publication, copies destroyed, the watermark, and whenever nothing is left to do,
//! both sides equal.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use livedata_engine::memory::MemoryState;
use livedata_engine::{Effect, Engine, Input, Limits, Phase, Policy, Rule, Rules, State};
use stateright::{Model, Property};

use crate::adls::Adls;
use crate::chance::Chance;
use crate::hdfs::{Hdfs, SCOPES};
use crate::oracle::{Excused, Oracle};
use crate::world::{Workers, World};

/// The root of the migration.
pub const ROOT: u64 = SCOPES[0].0;
/// Another directory, outside of it.
pub const OUTSIDE: u64 = SCOPES[1].0;

/// What applications may do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// A file, also over another one.
    Create,
    MakeDirectory,
    Write,
    Rename,
    /// Out of the migration, and into it.
    Cross,
    Delete,
    Permit,
    /// Edits are purged that nobody may have read.
    Purge,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    Create { parent: u64, name: &'static str },
    MakeDirectory { parent: u64, name: &'static str },
    Write { file: u64 },
    Rename { id: u64, parent: u64, name: &'static str },
    Delete { id: u64 },
    Permit { id: u64 },
    Purge,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    Change(Change),
    /// The effect of this number in [`Moment::pending`].
    Execute {
        effect: usize,
        /// In the middle of it.
        meanwhile: Option<Change>,
        /// The answer gets lost, and the worker asks again.
        lost: bool,
    },
    /// The process dies; those of the pending effects happen that have their bit here.
    Crash {
        unheard: usize,
    },
}

#[derive(Clone, Debug)]
pub struct Small {
    pub name: &'static str,
    /// What is at the source before the migration starts.
    pub make: fn(&mut Hdfs),
    /// Everything begins when the first scan is over and both sides are equal.
    pub settled: bool,
    pub names: &'static [&'static str],
    pub kinds: &'static [Kind],
    pub changes: u8,
    /// Changes also happen in the middle of effects.
    pub races: bool,
    pub crashes: u8,
    pub lost: u8,
    pub operations: usize,
    pub without: Option<Rule>,
    pub workers: Workers,
}

#[derive(Clone, Debug)]
pub struct Moment {
    hdfs: Hdfs,
    adls: Adls,
    state: MemoryState,
    engine: Engine,
    pub pending: Vec<Effect>,
    changes: u8,
    crashes: u8,
    lost: u8,
    pub wrong: Option<String>,
    /// Nothing is left to do, until something changes.
    pub at_rest: bool,
}

impl Hash for Moment {
    fn hash<H: Hasher>(&self, to: &mut H) {
        (&self.hdfs, &self.adls, &self.state, &self.engine).hash(to);
        (self.changes, self.crashes, self.lost, &self.wrong).hash(to);
        // In which order effects became pending decides nothing.
        self.pending.iter().map(fingerprint).fold(0, u64::wrapping_add).hash(to);
    }
}

/// As the checker tells them apart.
impl PartialEq for Moment {
    fn eq(&self, other: &Self) -> bool {
        fingerprint(self) == fingerprint(other)
    }
}

fn fingerprint(of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

/// What was chosen of what chance may decide.
struct Chosen {
    meanwhile: Option<Change>,
    lost: bool,
}

impl Chance for Chosen {
    fn page(&mut self) -> usize {
        1_000
    }

    fn is_not_found(&mut self) -> bool {
        false
    }

    fn reply_is_lost(&mut self) -> bool {
        std::mem::take(&mut self.lost)
    }

    fn tear_shows(&mut self) -> bool {
        false
    }

    fn meanwhile(&mut self, hdfs: &mut Hdfs) {
        if let Some(change) = self.meanwhile.take() {
            change.make(hdfs);
        }
    }

    fn position(&mut self, hdfs: &Hdfs) -> u64 {
        hdfs.txid
    }
}

impl Change {
    /// Whether there was something to change.
    fn make(self, hdfs: &mut Hdfs) -> bool {
        let before = hdfs.txid;
        match self {
            Self::Create { parent, name } => hdfs.create(parent, name),
            Self::MakeDirectory { parent, name } => {
                if hdfs.child(parent, name).is_none() {
                    hdfs.add(parent, name, false);
                }
            }
            Self::Write { file } => hdfs.close(file),
            Self::Rename { id, parent, name } => hdfs.rename(id, parent, name),
            Self::Delete { id } => hdfs.delete(id),
            Self::Permit { id } => hdfs.permit(id),
            Self::Purge => return hdfs.purge(),
        }
        hdfs.txid > before
    }
}

impl Small {
    fn engine(&self) -> Engine {
        let limits = Limits { operations: self.operations, copies: 1, listings: 1, ..Limits::default() };
        Engine::new(limits, Policy::new(SCOPES[0].1), Rules { without: self.without })
    }

    fn begin(&self) -> Moment {
        let mut hdfs = Hdfs::new();
        (self.make)(&mut hdfs);
        let mut moment = Moment {
            hdfs,
            adls: Adls::default(),
            state: MemoryState::surveyed(),
            engine: self.engine(),
            pending: Vec::new(),
            changes: self.changes,
            crashes: self.crashes,
            lost: self.lost,
            wrong: None,
            at_rest: false,
        };
        let position = Some(moment.hdfs.txid);
        if let Some(root) = moment.hdfs.entry(ROOT, false) {
            moment.step(Input::Start { start: 1, root, position });
        }
        while self.settled && !moment.at_rest && moment.wrong.is_none() {
            let Some(effect) = moment.ready().first().copied() else { break };
            self.execute(&mut moment, effect, None, false);
        }
        moment
    }

    fn execute(&self, moment: &mut Moment, effect: usize, meanwhile: Option<Change>, lost: bool) -> bool {
        let effect = moment.pending.remove(effect);
        let mut chosen = Chosen { meanwhile, lost };
        let input = self.act(moment, &effect, &mut chosen);
        if let Some(input) = input {
            moment.step(input);
        }
        chosen.meanwhile.is_none() && !chosen.lost
    }

    fn act(&self, moment: &mut Moment, effect: &Effect, chosen: &mut Chosen) -> Option<Input> {
        if let Effect::ReadFeed { after } = effect {
            return moment.hdfs.read_all(*after).map(Input::Fed);
        }
        let mut world = World {
            hdfs: &mut moment.hdfs,
            adls: &mut moment.adls,
            oracle: &mut Oracle::default(),
            chance: chosen,
            root: ROOT,
            denied: &BTreeSet::new(),
            workers: self.workers,
            fed: true,
            ordered: &mut BTreeMap::new(),
            given_up: BTreeSet::new(),
        };
        match world.execute(effect) {
            Ok(input) => input,
            Err(wrong) => {
                moment.wrong = Some(wrong);
                None
            }
        }
    }

    fn crash(&self, moment: &mut Moment, unheard: usize) {
        moment.crashes -= 1;
        let pending = std::mem::take(&mut moment.pending);
        for (at, effect) in pending.iter().enumerate() {
            if unheard & 1 << at != 0 {
                self.act(moment, effect, &mut Chosen { meanwhile: None, lost: false });
            }
        }
        moment.engine = self.engine();
        let Ok(effects) = moment.engine.recover(&mut moment.state, 1);
        moment.pending = effects;
        moment.judge();
    }

    /// All that an application may do next.
    fn possible(&self, hdfs: &Hdfs) -> Vec<Change> {
        let inside: Vec<u64> = hdfs.tree(ROOT).into_values().collect();
        let is_directory = |id: &u64| hdfs.inode(*id).is_some_and(|inode| inode.content.is_none());
        let (directories, files): (Vec<u64>, Vec<u64>) = inside.iter().partition(|id| is_directory(id));
        let parents: Vec<u64> = std::iter::once(ROOT).chain(directories).collect();
        let outside: Vec<u64> = hdfs.tree(OUTSIDE).into_values().collect();
        let places = || parents.iter().flat_map(|parent| self.names.iter().map(|name| (*parent, *name)));
        let mut possible = Vec::new();
        for kind in self.kinds {
            match kind {
                Kind::Create => {
                    possible.extend(places().map(|(parent, name)| Change::Create { parent, name }))
                }
                Kind::MakeDirectory => {
                    possible.extend(places().map(|(parent, name)| Change::MakeDirectory { parent, name }));
                }
                Kind::Write => possible.extend(files.iter().map(|file| Change::Write { file: *file })),
                Kind::Rename => {
                    possible.extend(inside.iter().flat_map(|id| {
                        places().map(|(parent, name)| Change::Rename { id: *id, parent, name })
                    }))
                }
                Kind::Cross => {
                    let out = |id: &u64| Change::Rename { id: *id, parent: OUTSIDE, name: "x" };
                    possible.extend(inside.iter().map(out));
                    possible.extend(outside.iter().flat_map(|id| {
                        places().map(|(parent, name)| Change::Rename { id: *id, parent, name })
                    }));
                }
                Kind::Delete => possible.extend(inside.iter().map(|id| Change::Delete { id: *id })),
                Kind::Permit => possible.extend(inside.iter().map(|id| Change::Permit { id: *id })),
                Kind::Purge => possible.push(Change::Purge),
            }
        }
        possible
    }
}

impl Moment {
    fn step(&mut self, input: Input) {
        let Ok(effects) = self.engine.step(&mut self.state, input);
        // What removes what nobody refers to, and what is no request, meets nothing else.
        let silent = |effect: &Effect| matches!(effect, Effect::CaughtUp | Effect::Finished);
        self.pending.extend(effects.into_iter().filter(|effect| !silent(effect)));
        self.judge();
    }

    /// Those effects that have an answer now.
    fn ready(&self) -> Vec<usize> {
        let ready = |effect: &Effect| match effect {
            Effect::ReadFeed { after } => *after < self.hdfs.txid,
            _ => true,
        };
        let pending = self.pending.iter().enumerate();
        pending.filter(|(_, effect)| ready(effect)).map(|(at, _)| at).collect()
    }

    fn judge(&mut self) {
        self.at_rest = self.ready().is_empty();
        if self.wrong.is_none() {
            self.wrong = self.verdict().err();
        }
    }

    fn verdict(&mut self) -> Result<(), String> {
        let (oracle, excused) = (Oracle::default(), Excused::default());
        let Ok(watermark) = self.engine.watermark(&mut self.state);
        if let Some(watermark) = watermark {
            oracle.watermark(&self.hdfs, &self.adls, ROOT, watermark, &excused)?;
        }
        if !self.at_rest {
            return Ok(());
        }
        let Ok(run) = self.state.run();
        let (marks, fronts) = self.state.open();
        if run.phase != Phase::Live || !marks.is_empty() || !fronts.is_empty() {
            return Err(format!("unfinished: {:?}, {marks:?}, {fronts:?}", run.phase));
        }
        oracle.equal(&self.hdfs, &self.adls, ROOT, &mut self.state, &excused)
    }

    fn is_wrong(&self, kinds: &[&str]) -> bool {
        self.wrong.as_ref().is_some_and(|wrong| kinds.iter().any(|kind| wrong.starts_with(kind)))
    }
}

/// That something happens in a world: it is no proof otherwise.
pub const REST: &str = "rest comes after all changes";

/// What the oracle's first words are about.
const KINDS: [&str; 4] = ["torn", "order", "destroyed", "watermark"];

impl Model for Small {
    type State = Moment;
    type Action = Action;

    fn init_states(&self) -> Vec<Moment> {
        vec![self.begin()]
    }

    fn actions(&self, moment: &Moment, actions: &mut Vec<Action>) {
        if moment.wrong.is_some() {
            return;
        }
        let possible = if moment.changes > 0 { self.possible(&moment.hdfs) } else { Vec::new() };
        for effect in moment.ready() {
            actions.push(Action::Execute { effect, meanwhile: None, lost: false });
            match &moment.pending[effect] {
                Effect::List { .. }
                | Effect::LookUp { .. }
                | Effect::LookCloser { .. }
                | Effect::Copy { .. }
                | Effect::Publish { .. } => {
                    let changes = possible.iter().filter(|_| self.races).copied();
                    actions.extend(changes.map(|change| Action::Execute {
                        effect,
                        meanwhile: Some(change),
                        lost: false,
                    }));
                }
                _ => {}
            }
            if moment.lost > 0 {
                actions.push(Action::Execute { effect, meanwhile: None, lost: true });
            }
        }
        actions.extend(possible.into_iter().map(Action::Change));
        if moment.crashes > 0 {
            actions.extend((0..1 << moment.pending.len()).map(|unheard| Action::Crash { unheard }));
        }
    }

    fn next_state(&self, before: &Moment, action: Action) -> Option<Moment> {
        let mut moment = before.clone();
        match action {
            Action::Change(change) => {
                moment.changes -= 1;
                let changed = change.make(&mut moment.hdfs);
                moment.judge();
                changed.then_some(moment)
            }
            Action::Execute { effect, meanwhile, lost } => {
                moment.changes -= u8::from(meanwhile.is_some());
                moment.lost -= u8::from(lost);
                // What did not come about is another action's.
                self.execute(&mut moment, effect, meanwhile, lost).then_some(moment)
            }
            Action::Crash { unheard } => {
                self.crash(&mut moment, unheard);
                Some(moment)
            }
        }
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no file is torn", |_, moment: &Moment| !moment.is_wrong(&["torn"])),
            Property::always("what vouches for others comes after them", |_, moment: &Moment| {
                !moment.is_wrong(&["order"])
            }),
            Property::always("no copy of what lives is destroyed", |_, moment: &Moment| {
                !moment.is_wrong(&["destroyed"])
            }),
            Property::always("the watermark is true", |_, moment: &Moment| !moment.is_wrong(&["watermark"])),
            Property::always("at rest both sides are equal", |_, moment: &Moment| {
                moment.wrong.is_none() || moment.is_wrong(&KINDS)
            }),
            Property::sometimes(REST, |world: &Self, moment: &Moment| {
                moment.at_rest && moment.changes == 0 && moment.crashes == 0 && world.changes > 0
            }),
        ]
    }
}
