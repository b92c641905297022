//! `kill -9` under load: what was acknowledged is there afterwards, and of what was on its way either all or nothing.
//!
//! A few kills here; `LIVEDATA_KILLS` has another number, `LIVEDATA_SEED` another history.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use reqwest::Method;
use tokio::sync::Notify;

use crate::client::Client;
use crate::durability::Process;

const WORKERS: usize = 8;
const NAMES: u64 = 10;

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    /// Mostly small, now and then more than what is taken in at once.
    fn data(&mut self) -> Vec<u8> {
        let length = if self.below(20) == 0 { 300_000 + self.below(500_000) } else { 1 + self.below(20_000) };
        let start = self.below(251);
        (0..length).map(|at| ((start + at) % 251) as u8).collect()
    }
}

#[derive(Clone, Debug, Default)]
struct File {
    content: Vec<u8>,
    /// Appended and not flushed.
    pending: Vec<u8>,
}

/// The files of one worker, by their numbers.
type Model = BTreeMap<u64, File>;

/// One request.
enum Step {
    Create { file: u64 },
    Append { file: u64, data: Vec<u8>, flush: bool },
    Flush { file: u64 },
    Put { file: u64, data: Vec<u8> },
    Rename { from: u64, to: u64 },
    Delete { file: u64 },
}

impl Step {
    fn pick(random: &mut Random, model: &Model) -> Self {
        let any = random.below(NAMES);
        let known =
            model.keys().nth(usize::try_from(random.below(NAMES)).unwrap() % model.len().max(1)).copied();
        let Some(file) = known else { return Self::Create { file: any } };
        match random.below(12) {
            0..=2 => Self::Create { file: any },
            3..=5 => Self::Append { file, data: random.data(), flush: true },
            6..=7 => Self::Append { file, data: random.data(), flush: false },
            8 => Self::Flush { file },
            9 => Self::Put { file: any, data: random.data() },
            10 if file != any => Self::Rename { from: file, to: any },
            _ => Self::Delete { file },
        }
    }

    fn told(&self) -> String {
        match self {
            Self::Create { file } => format!("create {file}"),
            Self::Append { file, data, flush } => {
                format!("append {} bytes to {file}, flush {flush}", data.len())
            }
            Self::Flush { file } => format!("flush {file}"),
            Self::Put { file, data } => format!("put {file} with {} bytes", data.len()),
            Self::Rename { from, to } => format!("rename {from} to {to}"),
            Self::Delete { file } => format!("delete {file}"),
        }
    }

    fn apply(&self, model: &mut Model) {
        match self {
            Self::Create { file } => drop(model.insert(*file, File::default())),
            Self::Append { file, data, flush } => {
                let file = model.get_mut(file).unwrap();
                file.pending.extend_from_slice(data);
                if *flush {
                    file.content.append(&mut file.pending);
                }
            }
            Self::Flush { file } => {
                let file = model.get_mut(file).unwrap();
                file.content.append(&mut file.pending);
            }
            Self::Put { file, data } => {
                model.insert(*file, File { content: data.clone(), pending: Vec::new() });
            }
            Self::Rename { from, to } => {
                let file = model.remove(from).unwrap();
                model.insert(*to, file);
            }
            Self::Delete { file } => drop(model.remove(file)),
        }
    }

    /// Whether it was acknowledged; the server may die meanwhile.
    async fn ask(&self, client: &Client, folder: &str, model: &Model) -> bool {
        let path = |file: &u64| format!("{folder}/f{file}");
        let length = |file: &u64| model[file].content.len() + model[file].pending.len();
        let mut headers = Vec::new();
        let source;
        let (method, target, body, expected) = match self {
            Self::Create { file } => (Method::PUT, format!("{}?resource=file", path(file)), Vec::new(), 201),
            Self::Append { file, data, flush } => {
                let target = format!("{}?action=append&position={}&flush={flush}", path(file), length(file));
                (Method::PATCH, target, data.clone(), 202)
            }
            Self::Flush { file } => {
                let target = format!("{}?action=flush&position={}", path(file), length(file));
                (Method::PATCH, target, Vec::new(), 200)
            }
            Self::Put { file, data } => {
                headers.push(("x-ms-blob-type", "BlockBlob"));
                (Method::PUT, path(file), data.clone(), 201)
            }
            Self::Rename { from, to } => {
                source = format!("/{}", path(from));
                headers.push(("x-ms-rename-source", source.as_str()));
                (Method::PUT, path(to), Vec::new(), 201)
            }
            Self::Delete { file } => {
                (Method::DELETE, format!("{}?recursive=false", path(file)), Vec::new(), 200)
            }
        };
        match client.attempt(method, &target, &headers, body).await {
            Ok(reply) => {
                reply.expect(expected);
                true
            }
            Err(_) => false,
        }
    }
}

struct Worker {
    folder: String,
    random: Random,
    model: Model,
    /// What was asked when the server died.
    on_its_way: Option<Step>,
}

impl Worker {
    async fn work(mut self, client: Client, acknowledged: Arc<(AtomicU64, Notify)>) -> Self {
        loop {
            let step = Step::pick(&mut self.random, &self.model);
            if !step.ask(&client, &self.folder, &self.model).await {
                self.on_its_way = Some(step);
                return self;
            }
            step.apply(&mut self.model);
            acknowledged.0.fetch_add(1, Ordering::Relaxed);
            acknowledged.1.notify_one();
        }
    }

    /// Holds what is there against what was acknowledged, with or without what was on its way; the model is one of the two then.
    /// Whether that had been done; otherwise the files that are there, with their lengths.
    async fn check(&mut self, client: &Client) -> Result<bool, BTreeMap<u64, usize>> {
        let found = self.found(client).await;
        let before = self.model.clone();
        let mut after = before.clone();
        if let Some(step) = self.on_its_way.take() {
            step.apply(&mut after);
        }
        let pending = |model: &Model| model.values().map(|file| file.pending.len()).sum::<usize>();
        // Where both are the same to a reader, the one with more to flush tells them apart.
        let mut candidates = [(before, false), (after, true)];
        candidates.sort_by_key(|(model, _)| std::cmp::Reverse(pending(model)));
        for (model, done) in candidates {
            let same = |(name, content): (&u64, &Vec<u8>)| {
                model.get(name).is_some_and(|file| file.content == *content)
            };
            if found.len() == model.len() && found.iter().all(same) && self.flush(client, &model).await {
                return Ok(done);
            }
        }
        let found: BTreeMap<u64, usize> =
            found.into_iter().map(|(name, content)| (name, content.len())).collect();
        Err(found)
    }

    async fn found(&self, client: &Client) -> BTreeMap<u64, Vec<u8>> {
        let (filesystem, directory) = self.folder.split_once('/').unwrap();
        let listed = format!("{filesystem}?resource=filesystem&recursive=true&directory={directory}");
        let listed = client.get(&listed, &[]).await.expect(200).json();
        let mut found = BTreeMap::new();
        for path in listed["paths"].as_array().unwrap() {
            let name = path["name"].as_str().unwrap();
            let content = client.get(&format!("{filesystem}/{name}"), &[]).await.expect(200).body;
            assert_eq!(path["contentLength"], content.len().to_string(), "{name}");
            found.insert(name.rsplit_once("/f").unwrap().1.parse().unwrap(), content);
        }
        found
    }

    /// Commits what was appended: all of it is there, or this is not the model.
    async fn flush(&mut self, client: &Client, model: &Model) -> bool {
        let mut flushed = model.clone();
        for (name, file) in &mut flushed {
            if file.pending.is_empty() {
                continue;
            }
            file.content.append(&mut file.pending);
            let path = format!("{}/f{name}", self.folder);
            let target = format!("{path}?action=flush&position={}", file.content.len());
            if client.patch(&target, &[], b"").await.status != 200 {
                return false;
            }
            assert!(client.get(&path, &[]).await.expect(200).body == file.content, "{path}");
        }
        self.model = flushed;
        true
    }
}

fn variable(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |value| value.parse().unwrap())
}

#[tokio::test]
async fn what_was_acknowledged_survives_every_kill() {
    let (kills, seed) = (variable("LIVEDATA_KILLS", 4), variable("LIVEDATA_SEED", 1));
    println!("{kills} kills, LIVEDATA_SEED={seed}");
    let mut random = Random(seed);
    let folder = tempfile::tempdir().unwrap();
    let mut process = Process::start(folder.path());
    process.client.put("lake?resource=filesystem", &[]).await.expect(201);
    let mut workers = Vec::new();
    for number in 0..WORKERS {
        let path = format!("lake/worker{number}");
        process.client.put(&format!("{path}?resource=directory"), &[]).await.expect(201);
        let random = Random(random.below(u64::MAX));
        workers.push(Worker { folder: path, random, model: Model::new(), on_its_way: None });
    }
    let (mut total, mut done, mut not_done) = (0, 0, 0);
    for _ in 0..kills {
        let acknowledged = Arc::new((AtomicU64::new(0), Notify::new()));
        let tasks: Vec<_> = workers
            .drain(..)
            .map(|worker| {
                let client = Client::at(&process.client.url, &process.client.admin_url);
                tokio::spawn(worker.work(client, acknowledged.clone()))
            })
            .collect();
        let wanted = 20 + random.below(400);
        while acknowledged.0.load(Ordering::Relaxed) < wanted {
            acknowledged.1.notified().await;
        }
        process.kill();
        for task in tasks {
            workers.push(task.await.unwrap());
        }
        total += acknowledged.0.load(Ordering::Relaxed);
        process = Process::start(folder.path());
        for worker in &mut workers {
            let on_its_way = worker.on_its_way.as_ref().map(Step::told);
            match worker.check(&process.client).await {
                Ok(true) => done += 1,
                Ok(false) => not_done += 1,
                Err(found) => panic!("{}: {found:?} with or without {on_its_way:?}", worker.folder),
            }
        }
    }
    process.kill();
    println!(
        "{total} requests were acknowledged before {kills} kills and nothing of them was lost; of those on their way {done} had been \
         done and {not_done} not"
    );
}
