//! The simulated container against a target in memory: what the engine asks of a target has the same answers at both. The
//! client and the emulator are compared with the same target in `livedata-adls`, so the simulation stands for them.
//!
//! `LIVEDATA_TARGET_HISTORIES` and `LIVEDATA_TARGET_FROM` say how many seeds and from which one.

#![expect(clippy::unwrap_used, reason = "a test: a panic is its way to fail")]

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use livedata_engine::Place;
use livedata_filesystem::conformance::ReadableTarget;
use livedata_filesystem::conformance::histories::{Answers, History, Repertoire, play};
use livedata_filesystem::{
    Attributes, Condition, Error, ErrorKind, Etag, Flush, Result, Target, TargetEntry, TargetPage,
    TargetPath, Upload,
};
use livedata_sim::adls::{Adls, Object, Refused, key};

/// The simulation asks its container as a worker would; here that is the trait. What a container keeps beyond that, properties,
/// is kept beside it.
#[derive(Default)]
struct Simulated {
    adls: Mutex<Adls>,
    properties: Mutex<BTreeMap<u64, BTreeMap<String, String>>>,
}

fn at(path: &TargetPath) -> String {
    key(&Place::Tree(path.as_str().to_owned()))
}

fn refused<T>(kind: ErrorKind, path: &TargetPath) -> Result<T> {
    Err(Error::new(kind, "use", path.as_str(), "refused"))
}

/// The directories that a place is in, but for the root.
fn above(place: &str) -> impl Iterator<Item = &str> {
    let parent = |place: &str| place.rfind('/');
    std::iter::successors(Some(place), move |place| place.get(..parent(place)?))
        .skip(1)
        .filter(|above| above.contains('/'))
}

fn is_file(adls: &Adls, at: &str) -> bool {
    adls.objects.contains_key(at) && !adls.is_directory(at)
}

impl Simulated {
    fn lock(&self) -> MutexGuard<'_, Adls> {
        self.adls.lock().unwrap()
    }

    /// `attributes` of an object is the number of its properties.
    fn entry(&self, object: &Object, properties: bool) -> TargetEntry {
        let known = self.properties.lock().unwrap();
        TargetEntry {
            is_directory: object.content.is_none(),
            length_bytes: object.length_bytes,
            etag: Etag(object.etag.clone()),
            properties: known.get(&object.attributes).filter(|_| properties).cloned().unwrap_or_default(),
        }
    }

    fn keep(&self, properties: &BTreeMap<String, String>) -> u64 {
        let mut known = self.properties.lock().unwrap();
        let number = known.len() as u64 + 1;
        known.insert(number, properties.clone());
        number
    }

    fn create(
        &self,
        path: &TargetPath,
        with: &Attributes,
        on: &Condition,
        content: Option<u64>,
    ) -> Result<Etag> {
        assert_eq!(*on, Condition::Absent, "the engine replaces by renames only");
        let (mut adls, attributes) = (self.lock(), self.keep(&with.properties));
        let place = at(path);
        let parents: Vec<String> = above(&place).map(str::to_owned).collect();
        if adls.objects.contains_key(&place) || parents.iter().any(|above| is_file(&adls, above)) {
            return refused(ErrorKind::Conflict, path);
        }
        let mut make = |at: String, content, attributes| {
            let etag = adls.fresh_etag(0);
            let object = Object {
                content,
                length_bytes: 0,
                etag: etag.clone(),
                node: None,
                version: None,
                attributes,
                modified_ms: 0,
            };
            adls.objects.entry(at).or_insert(object);
            Etag(etag)
        };
        for above in parents {
            make(above, None, 0);
        }
        Ok(make(place, content, attributes))
    }
}

#[async_trait]
impl Target for Simulated {
    async fn create_directory(&self, path: &TargetPath, with: &Attributes, on: &Condition) -> Result<Etag> {
        self.create(path, with, on, None)
    }

    async fn create_file(&self, path: &TargetPath, with: &Attributes, on: &Condition) -> Result<Etag> {
        self.create(path, with, on, Some(0))
    }

    async fn append(&self, _: &TargetPath, _: Upload, _: bool) -> Result<Option<Etag>> {
        unreachable!("the simulation copies whole files")
    }

    async fn flush(&self, _: &TargetPath, _: u64, _: Flush) -> Result<Etag> {
        unreachable!("the simulation copies whole files")
    }

    async fn rename(
        &self,
        from: &TargetPath,
        to: &TargetPath,
        condition: &Condition,
        source_etag: Option<&Etag>,
    ) -> Result<()> {
        let expected = match condition {
            Condition::Absent => None,
            Condition::Unchanged(etag) => Some(etag.0.as_str()),
            Condition::Any => unreachable!("the engine replaces nothing unseen"),
        };
        let source_etag = source_etag.map(|etag| etag.0.as_str());
        let (mut adls, place) = (self.lock(), at(to));
        match adls.rename(&at(from), &place, source_etag, expected) {
            Ok(_) => Ok(()),
            // Of a file above the simulation says that there is no directory, which is as true.
            Err(Refused::NoParent) if above(&place).any(|above| is_file(&adls, above)) => {
                refused(ErrorKind::Conflict, from)
            }
            Err(Refused::NoSource | Refused::NoParent) => refused(ErrorKind::Gone, from),
            Err(Refused::SourceDiffers | Refused::Occupied) => refused(ErrorKind::Conflict, from),
        }
    }

    async fn properties(&self, path: &TargetPath) -> Result<Option<TargetEntry>> {
        Ok(self.lock().objects.get(&at(path)).map(|object| self.entry(object, true)))
    }

    async fn list(&self, directory: &TargetPath, after: Option<&str>) -> Result<TargetPage> {
        let adls = self.lock();
        let Some(entries) = adls.list(&at(directory), after) else {
            return match adls.objects.get(&at(directory)) {
                // Of a file the service lists the file; no worker asks for that.
                Some(file) => {
                    let name = directory.as_str().rsplit('/').next().unwrap_or_default().to_owned();
                    Ok(TargetPage { entries: vec![(name, self.entry(file, false))], next: None })
                }
                None => refused(ErrorKind::Gone, directory),
            };
        };
        let entries = entries.into_iter().map(|(name, object)| (name, self.entry(object, false))).collect();
        Ok(TargetPage { entries, next: None })
    }

    async fn set_attributes(&self, path: &TargetPath, with: &Attributes, on: &Condition) -> Result<Etag> {
        let mut adls = self.lock();
        let etag = adls.fresh_etag(0);
        let Some(object) = adls.objects.get_mut(&at(path)) else { return refused(ErrorKind::Gone, path) };
        if matches!(on, Condition::Unchanged(expected) if expected.0 != object.etag) {
            return refused(ErrorKind::Conflict, path);
        }
        object.attributes = self.keep(&with.properties);
        object.etag.clone_from(&etag);
        Ok(Etag(etag))
    }

    async fn delete(&self, path: &TargetPath, _: bool, _: &Condition) -> Result<()> {
        self.lock().remove(&at(path));
        Ok(())
    }
}

#[async_trait]
impl ReadableTarget for Simulated {
    type Target = Self;

    fn target(&self) -> &Self {
        self
    }

    async fn content(&self, _: &TargetPath) -> Vec<u8> {
        Vec::new()
    }
}

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |value| value.parse().unwrap())
}

#[tokio::test]
async fn the_simulated_container_answers_as_the_target_in_memory() {
    let (from, seeds) = (number("LIVEDATA_TARGET_FROM", 0), number("LIVEDATA_TARGET_HISTORIES", 500));
    println!("{seeds} histories from seed {from}");
    let (mut all, mut wrong) = (Answers::new(), Vec::new());
    for seed in from..from + seeds {
        let history = History { seed, operations: 60, repertoire: Repertoire::Engine, lossy: false };
        match play(&Simulated::default(), &TargetPath::new("histories"), &history).await {
            Ok(answers) => {
                answers.into_iter().for_each(|(what, count)| *all.entry(what).or_default() += count)
            }
            Err(error) => wrong.push(error),
        }
    }
    println!("answers: {all:#?}");
    let first = wrong.first().map_or("", String::as_str);
    assert!(wrong.is_empty(), "{} of {seeds} histories went wrong, the first:\n{first}", wrong.len());
    assert_eq!(all.len(), 14, "every answer of every operation comes: {all:#?}");
}
