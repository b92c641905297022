//! Random histories: the same operations in the same order at a target in memory and at another one, which has to give the
//! same answers and to be the same in the end. One number, the seed, decides everything.
//!
//! Etags are compared by what they tell: equal where the one in memory has equal ones, new where it has a new one.

use std::collections::{BTreeMap, HashMap, HashSet};

use bytes::Bytes;

use super::{MemoryTarget, ReadableTarget};
use crate::{Attributes, Condition, ErrorKind, Etag, Flush, Result, Target, TargetEntry, TargetPath, Upload};

/// What a history is made of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Repertoire {
    /// Everything that the trait allows but the root, and names with a meaning of their own.
    Everything,
    /// What the migration engine asks for: files arrive whole, nothing is replaced unseen.
    Engine,
}

#[derive(Clone, Copy, Debug)]
pub struct History {
    pub seed: u64,
    pub operations: usize,
    pub repertoire: Repertoire,
    /// Answers are lost on the way to the target, which asks again. A rename that finds itself done is then one that it has done.
    pub lossy: bool,
}

/// How often each operation had which answer: histories in which one never comes are too tame.
pub type Answers = BTreeMap<(&'static str, &'static str), u64>;

/// Plays a history in a directory of its own below `root`. The error says what differed, after which operations.
pub async fn play<T: ReadableTarget>(
    subject: &T,
    root: &TargetPath,
    history: &History,
) -> std::result::Result<Answers, String> {
    let mut play = Play {
        memory: MemoryTarget::default(),
        subject,
        root: root.join(&format!("history {}", history.seed)),
        history: *history,
        random: Random(history.seed),
        etags: Etags::default(),
        told: Vec::new(),
        answers: Answers::new(),
    };
    let played = play.play().await;
    let trace = || format!("seed {}:\n{}", history.seed, play.told.join("\n"));
    played.map_err(|differs| format!("{}\n{differs}", trace()))?;
    Ok(play.answers)
}

struct Play<'a, T> {
    memory: MemoryTarget,
    subject: &'a T,
    root: TargetPath,
    history: History,
    random: Random,
    etags: Etags,
    /// The operations so far.
    told: Vec<String>,
    answers: Answers,
}

#[derive(Clone, Debug)]
enum Operation {
    CreateDirectory(TargetPath, Attributes, Condition),
    CreateFile(TargetPath, Attributes, Condition),
    Append(TargetPath, Upload, bool),
    Flush(TargetPath, u64, Flush),
    Rename { from: TargetPath, to: TargetPath, condition: Condition, source: Option<Etag> },
    Properties(TargetPath),
    List(TargetPath),
    SetAttributes(TargetPath, Attributes, Condition),
    Delete(TargetPath, bool, Condition),
}

#[derive(Clone, Debug, PartialEq)]
enum Answer {
    Done,
    Changed(Etag),
    Found(Option<TargetEntry>),
    Listed(Vec<(String, TargetEntry)>),
    Refused(ErrorKind),
}

impl Answer {
    fn word(&self) -> &'static str {
        match self {
            Self::Done | Self::Changed(_) | Self::Listed(_) => "done",
            Self::Found(Some(_)) => "found",
            Self::Found(None) => "nothing",
            Self::Refused(ErrorKind::Gone) => "gone",
            Self::Refused(ErrorKind::Conflict) => "conflict",
            Self::Refused(_) => "refused",
        }
    }
}

impl Operation {
    fn word(&self) -> &'static str {
        match self {
            Self::CreateDirectory(..) => "create directory",
            Self::CreateFile(..) => "create file",
            Self::Append(_, _, false) => "append",
            Self::Append(_, _, true) => "append and flush",
            Self::Flush(..) => "flush",
            Self::Rename { .. } => "rename",
            Self::Properties(_) => "properties",
            Self::List(_) => "list",
            Self::SetAttributes(..) => "set attributes",
            Self::Delete(..) => "delete",
        }
    }

    fn paths(&self) -> Vec<&TargetPath> {
        match self {
            Self::CreateDirectory(path, ..)
            | Self::CreateFile(path, ..)
            | Self::Append(path, ..)
            | Self::Flush(path, ..)
            | Self::Properties(path)
            | Self::List(path)
            | Self::SetAttributes(path, ..)
            | Self::Delete(path, ..) => vec![path],
            Self::Rename { from, to, .. } => vec![from, to],
        }
    }

    async fn carry_out<T: Target>(&self, target: &T) -> Answer {
        let outcome: Result<Answer> = async {
            Ok(match self.clone() {
                Self::CreateDirectory(path, with, on) => {
                    Answer::Changed(target.create_directory(&path, &with, &on).await?)
                }
                Self::CreateFile(path, with, on) => {
                    Answer::Changed(target.create_file(&path, &with, &on).await?)
                }
                Self::Append(path, upload, flush) => {
                    target.append(&path, upload, flush).await?.map_or(Answer::Done, Answer::Changed)
                }
                Self::Flush(path, length, flush) => {
                    Answer::Changed(target.flush(&path, length, flush).await?)
                }
                Self::Rename { from, to, condition, source } => {
                    target.rename(&from, &to, &condition, source.as_ref()).await?;
                    Answer::Done
                }
                Self::Properties(path) => Answer::Found(target.properties(&path).await?),
                Self::List(directory) => {
                    let (mut entries, mut after) = (Vec::new(), None);
                    loop {
                        let page = target.list(&directory, after.as_deref()).await?;
                        entries.extend(page.entries);
                        after = page.next;
                        if after.is_none() {
                            break;
                        }
                    }
                    entries.sort_by(|(one, _), (other, _)| one.cmp(other));
                    Answer::Listed(entries)
                }
                Self::SetAttributes(path, with, on) => {
                    Answer::Changed(target.set_attributes(&path, &with, &on).await?)
                }
                Self::Delete(path, recursive, on) => {
                    target.delete(&path, recursive, &on).await?;
                    Answer::Done
                }
            })
        }
        .await;
        outcome.unwrap_or_else(|error| Answer::Refused(error.kind()))
    }

    /// As the subject is asked: below the root of the history, with its own etags.
    fn translated(&self, root: &TargetPath, etags: &Etags) -> Self {
        let path = |path: &TargetPath| root.join(path.as_str());
        let on = |condition: &Condition| match condition {
            Condition::Unchanged(etag) => Condition::Unchanged(etags.of(etag)),
            condition => condition.clone(),
        };
        match self {
            Self::CreateDirectory(at, with, condition) => {
                Self::CreateDirectory(path(at), with.clone(), on(condition))
            }
            Self::CreateFile(at, with, condition) => Self::CreateFile(path(at), with.clone(), on(condition)),
            Self::Append(at, upload, flush) => Self::Append(path(at), upload.clone(), *flush),
            Self::Flush(at, length, flush) => Self::Flush(path(at), *length, *flush),
            Self::Rename { from, to, condition, source } => Self::Rename {
                from: path(from),
                to: path(to),
                condition: on(condition),
                source: source.as_ref().map(|etag| etags.of(etag)),
            },
            Self::Properties(at) => Self::Properties(path(at)),
            Self::List(at) => Self::List(path(at)),
            Self::SetAttributes(at, with, condition) => {
                Self::SetAttributes(path(at), with.clone(), on(condition))
            }
            Self::Delete(at, recursive, condition) => Self::Delete(path(at), *recursive, on(condition)),
        }
    }
}

/// Which etag of the subject's stands for which of the memory's.
#[derive(Default)]
struct Etags {
    known: HashMap<Etag, Etag>,
    taken: HashSet<Etag>,
}

impl Etags {
    /// One that was never shown to anybody stands for nothing that there ever was.
    fn of(&self, memory: &Etag) -> Etag {
        self.known.get(memory).cloned().unwrap_or_else(|| Etag("\"0x0\"".to_owned()))
    }

    fn agree(&mut self, memory: &Etag, subject: &Etag) -> bool {
        if let Some(known) = self.known.get(memory) {
            return known == subject;
        }
        self.known.insert(memory.clone(), subject.clone());
        self.taken.insert(subject.clone())
    }

    fn entries_agree(&mut self, memory: &TargetEntry, subject: &TargetEntry) -> bool {
        let expected = TargetEntry { etag: subject.etag.clone(), ..memory.clone() };
        expected == *subject && self.agree(&memory.etag, &subject.etag)
    }

    fn answers_agree(&mut self, memory: &Answer, subject: &Answer) -> bool {
        match (memory, subject) {
            (Answer::Changed(memory), Answer::Changed(subject)) => self.agree(memory, subject),
            (Answer::Found(Some(memory)), Answer::Found(Some(subject))) => {
                self.entries_agree(memory, subject)
            }
            (Answer::Listed(memory), Answer::Listed(subject)) => {
                let names = |entries: &[(String, TargetEntry)]| {
                    entries.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>()
                };
                let mut pairs = memory.iter().zip(subject);
                names(memory) == names(subject)
                    && pairs.all(|((_, memory), (_, subject))| self.entries_agree(memory, subject))
            }
            (memory, subject) => memory == subject,
        }
    }
}

impl<T: ReadableTarget> Play<'_, T> {
    async fn play(&mut self) -> std::result::Result<(), String> {
        self.subject
            .target()
            .create_directory(&self.root, &Attributes::default(), &Condition::Absent)
            .await
            .map_err(|error| format!("the history cannot begin: {error}"))?;
        for index in 0..self.history.operations {
            let operation = self.next_operation(index).await;
            self.ask_knowing(&operation).await?;
        }
        for path in self.memory.paths() {
            self.ask(&Operation::Properties(path.clone())).await?;
            self.ask(&Operation::List(path.clone())).await?;
            let expected = self.memory.content(&path).await;
            let is_file = self.look(&path).await.is_some_and(|entry| !entry.is_directory);
            if is_file && self.subject.content(&self.root.join(path.as_str())).await != expected {
                return Err(format!("{} has other bytes than {expected:?}", path.as_str()));
            }
        }
        Ok(())
    }

    /// Of what a condition may speak the etag has to be known: parents that were made on the way have shown theirs to nobody.
    async fn ask_knowing(&mut self, operation: &Operation) -> std::result::Result<(), String> {
        for path in operation.paths() {
            if self.look(path).await.is_some_and(|entry| !self.etags.known.contains_key(&entry.etag)) {
                self.ask(&Operation::Properties(path.clone())).await?;
            }
        }
        self.ask(operation).await
    }

    async fn ask(&mut self, operation: &Operation) -> std::result::Result<(), String> {
        self.told.push(format!("  {operation:?}"));
        let already = self.is_done_already(operation).await;
        let memory = operation.carry_out(&self.memory).await;
        let translated = operation.translated(&self.root, &self.etags);
        let subject = translated.carry_out(self.subject.target()).await;
        if already && matches!(memory, Answer::Refused(_)) && subject == Answer::Done {
            return Ok(());
        }
        if !self.etags.answers_agree(&memory, &subject) {
            return Err(format!("the answer must be {memory:?} but is {subject:?}"));
        }
        *self.answers.entry((operation.word(), memory.word())).or_default() += 1;
        Ok(())
    }

    /// Whether what is to be moved lies where it is to go: the subject cannot tell this from an answer that it has lost.
    async fn is_done_already(&self, operation: &Operation) -> bool {
        let Operation::Rename { from, to, source, .. } = operation else { return false };
        let Some(there) = self.look(to).await.filter(|_| self.history.lossy) else { return false };
        let moved = match source {
            Some(etag) => Some(etag.clone()),
            None => self.look(from).await.map(|entry| entry.etag),
        };
        moved == Some(there.etag)
    }

    async fn look(&self, path: &TargetPath) -> Option<TargetEntry> {
        self.memory.properties(path).await.ok().flatten()
    }

    async fn next_operation(&mut self, index: usize) -> Operation {
        let path = self.some_path();
        // Of its own in each operation: by its properties a target knows again what it made when the answer was lost.
        let mut with = Attributes::default();
        with.properties.insert("index".to_owned(), format!("{} {index}", self.history.seed));
        if self.random.chance(0.5) {
            with.permissions = Some(self.other_permissions(&path));
        }
        if self.history.repertoire == Repertoire::Engine {
            return self.engine_operation(path, with).await;
        }
        match self.random.below(10) {
            0 => Operation::CreateDirectory(path.clone(), with, self.condition(&path, true).await),
            1 | 2 => Operation::CreateFile(path.clone(), with, self.condition(&path, true).await),
            3 | 4 => {
                let upload = self.upload(&path).await;
                Operation::Append(path, upload, self.random.chance(0.4))
            }
            5 => {
                let length = self.position(&path).await;
                let flush = if self.random.chance(0.5) { Flush::Prefix } else { Flush::Complete };
                Operation::Flush(path, length, flush)
            }
            6 | 7 => self.rename(path, true).await,
            8 => {
                if self.random.chance(0.3) {
                    with.properties.clear();
                }
                Operation::SetAttributes(path.clone(), with, self.condition(&path, false).await)
            }
            _ => match self.random.below(3) {
                0 => Operation::Properties(path),
                1 => Operation::List(path),
                _ => {
                    let recursive = self.random.chance(0.5);
                    Operation::Delete(path.clone(), recursive, self.condition(&path, false).await)
                }
            },
        }
    }

    async fn engine_operation(&mut self, path: TargetPath, with: Attributes) -> Operation {
        match self.random.below(8) {
            0 | 1 => Operation::CreateDirectory(path, with, Condition::Absent),
            2 | 3 => Operation::CreateFile(path, with, Condition::Absent),
            4 | 5 => self.rename(path, false).await,
            6 => {
                let etag = self.look(&path).await.map(|entry| entry.etag);
                Operation::SetAttributes(path, with, etag.map_or(Condition::Any, Condition::Unchanged))
            }
            _ => match self.random.below(3) {
                0 => Operation::Properties(path),
                1 => Operation::List(path),
                _ => Operation::Delete(path, true, Condition::Any),
            },
        }
    }

    /// `blindly`: also over whatever is there.
    async fn rename(&mut self, from: TargetPath, blindly: bool) -> Operation {
        let to = self.some_path();
        let source = match self.look(&from).await {
            Some(entry) if self.random.chance(0.6) => Some(entry.etag),
            _ if self.random.chance(0.2) => Some(self.some_etag()),
            _ => None,
        };
        let condition = match self.look(&to).await {
            // The engine sets directories aside before it moves something to their place.
            Some(entry) if (blindly || !entry.is_directory) && self.random.chance(0.5) => {
                Condition::Unchanged(entry.etag)
            }
            _ if blindly && self.random.chance(0.4) => Condition::Any,
            None if self.random.chance(0.1) => Condition::Unchanged(self.some_etag()),
            _ => Condition::Absent,
        };
        Operation::Rename { from, to, condition, source }
    }

    async fn condition(&mut self, path: &TargetPath, absent: bool) -> Condition {
        match (self.random.below(4), self.look(path).await) {
            (0, _) if absent => Condition::Absent,
            (1, Some(entry)) => Condition::Unchanged(entry.etag),
            (2, _) => Condition::Unchanged(self.some_etag()),
            _ => Condition::Any,
        }
    }

    /// One that there was, perhaps.
    fn some_etag(&mut self) -> Etag {
        let mut known: Vec<&Etag> = self.etags.known.keys().collect();
        known.sort_by(|one, other| one.0.cmp(&other.0));
        let at = self.random.below(known.len().max(1));
        known.get(at).map_or_else(|| Etag("\"0\"".to_owned()), |etag| (*etag).clone())
    }

    /// Others than it has, and than a service gives by itself, so that it shows whether they were set.
    fn other_permissions(&mut self, path: &TargetPath) -> u16 {
        let has = self.memory.permissions(path);
        loop {
            let permissions = self.random.below(0o1000) as u16;
            if has != Some(permissions) && !matches!(permissions, 0o640 | 0o750) {
                return permissions;
            }
        }
    }

    async fn position(&mut self, path: &TargetPath) -> u64 {
        let length = self.look(path).await.map_or(0, |entry| entry.length_bytes);
        match self.random.below(6) {
            0 => length.saturating_sub(1),
            1 => length + self.random.below(4) as u64,
            2 => length + 4,
            _ => length,
        }
    }

    async fn upload(&mut self, path: &TargetPath) -> Upload {
        let position = self.position(path).await;
        let length = self.random.below(6);
        let data: Vec<u8> = (0..length).map(|_| b'a' + self.random.below(26) as u8).collect();
        Upload { position, data: Bytes::from(data) }
    }

    /// One that is there more often than not.
    fn some_path(&mut self) -> TargetPath {
        const NAMES: [&str; 4] = ["a", "b%41", "c d+e", "ü"];
        let there = self.memory.paths();
        if !there.is_empty() && self.random.chance(0.6) {
            let at = self.random.below(there.len());
            return there.get(at).cloned().unwrap_or_else(|| TargetPath::new("a"));
        }
        let depth = 1 + self.random.below(3);
        let names: Vec<&str> =
            (0..depth).filter_map(|_| NAMES.get(self.random.below(NAMES.len())).copied()).collect();
        TargetPath::new(&names.join("/"))
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        (crate::chaos::next(&mut self.0) * limit as f64) as usize
    }

    fn chance(&mut self, share: f64) -> bool {
        crate::chaos::next(&mut self.0) < share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A target in memory that a test can break.
    struct Broken(MemoryTarget);

    #[async_trait::async_trait]
    impl ReadableTarget for Broken {
        type Target = MemoryTarget;

        fn target(&self) -> &MemoryTarget {
            &self.0
        }

        async fn content(&self, path: &TargetPath) -> Vec<u8> {
            let mut content = self.0.content(path).await;
            content.pop();
            content
        }
    }

    fn history(seed: u64, repertoire: Repertoire) -> History {
        History { seed, operations: 60, repertoire, lossy: false }
    }

    #[tokio::test]
    async fn a_target_agrees_with_itself_and_much_happens() {
        for (repertoire, kinds) in [(Repertoire::Everything, 27), (Repertoire::Engine, 14)] {
            let mut all = Answers::new();
            for seed in 0..200 {
                let target = MemoryTarget::default();
                let answers =
                    play(&target, &TargetPath::new("root"), &history(seed, repertoire)).await.unwrap();
                for (what, count) in answers {
                    *all.entry(what).or_default() += count;
                }
            }
            assert!(all.len() >= kinds, "too tame: {all:#?}");
        }
    }

    #[tokio::test]
    async fn a_byte_that_is_missing_is_found() {
        let mut found = 0;
        for seed in 0..20 {
            let target = Broken(MemoryTarget::default());
            let played =
                play(&target, &TargetPath::new("root"), &history(seed, Repertoire::Everything)).await;
            found += usize::from(played.is_err_and(|error| error.contains("other bytes")));
        }
        assert!(found > 5, "{found} of 20");
    }
}
