//! `kill -9` under load: what was acknowledged is there afterwards, and of what was on its way either all or nothing.
//!
//! A few kills here; `LIVEDATA_KILLS` has another number, `LIVEDATA_SEED` another history.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::Method;
use tokio::sync::Notify;

use crate::client::{ACCOUNT, ADMIN_TOKEN, Client};
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

#[derive(Clone, Debug, Default, PartialEq)]
struct File {
    content: Vec<u8>,
    /// Appended and not flushed, or put as blocks and not committed.
    pending: Vec<u8>,
    /// Made by the Blob endpoint, to which nothing is appended unless it is an append blob.
    by_blob: bool,
    /// An append blob: what it takes is committed.
    appends: bool,
    /// Blocks put since the last list, by number.
    blocks: Vec<u64>,
    properties: String,
    /// Where it is known.
    permissions: Option<&'static str>,
}

impl File {
    /// What a reader can tell from another.
    fn looks_like(&self, found: &Self) -> bool {
        self.content == found.content
            && self.appends == found.appends
            && self.properties == found.properties
            && (self.permissions.is_none() || self.permissions == found.permissions)
    }
}

/// What one worker has made. Files below [`BLOCKS`] are written, moved and deleted, those below [`LOGS`] made of blocks, the others
/// append blobs: even ones of the Blob endpoint, odd ones of the Data Lake endpoint.
#[derive(Clone, Debug, Default)]
struct Model {
    files: BTreeMap<u64, File>,
    /// Kept after their deletion, by the ids of the deletions.
    deleted: BTreeMap<String, (u64, File)>,
    blocks_put: u64,
}

const BLOCKS: u64 = 100;
const LOGS: u64 = 200;
const MODES: [(&str, &str); 3] = [("0600", "rw-------"), ("0644", "rw-r--r--"), ("0751", "rwxr-x--x")];
/// The id of a deletion of which no answer came.
const UNTOLD: &str = "";

/// One request.
enum Step {
    Create { file: u64, properties: &'static str },
    Append { file: u64, data: Vec<u8>, flush: bool },
    Flush { file: u64 },
    Put { file: u64, data: Vec<u8> },
    Rename { from: u64, to: u64 },
    Delete { file: u64 },
    Undelete { id: String, from: u64, to: u64 },
    SetProperties { file: u64, properties: &'static str },
    SetAccessControl { file: u64, mode: usize },
    PutBlock { file: u64, number: u64, data: Vec<u8> },
    PutBlockList { file: u64 },
    MakeLog { file: u64 },
    AppendToLog { file: u64, data: Vec<u8> },
}

impl Step {
    fn pick(random: &mut Random, model: &Model) -> Self {
        let properties = ["a=MQ==", "a=Mg==,b=Mw=="][usize::try_from(random.below(2)).unwrap()];
        if random.below(4) == 0 {
            return Self::pick_of_blocks(random, model);
        }
        if random.below(6) == 0 {
            return Self::pick_of_logs(random, model);
        }
        let any = random.below(NAMES);
        let known: Vec<u64> = model.files.keys().copied().filter(|file| *file < BLOCKS).collect();
        let undelete = model.deleted.iter().find(|(_, (_, file))| file.pending.is_empty());
        if let Some((id, (from, _))) = undelete.filter(|_| random.below(8) == 0 && !known.contains(&any)) {
            return Self::Undelete { id: id.clone(), from: *from, to: any };
        }
        if known.is_empty() {
            return Self::Create { file: any, properties };
        }
        let file = known[usize::try_from(random.below(NAMES)).unwrap() % known.len()];
        match random.below(14) {
            3..=7 if model.files[&file].by_blob => Self::Put { file, data: random.data() },
            3..=5 => Self::Append { file, data: random.data(), flush: true },
            6 => Self::Append { file, data: random.data(), flush: false },
            7 => Self::Flush { file },
            8 => Self::Put { file: any, data: random.data() },
            9 if file != any => Self::Rename { from: file, to: any },
            9 | 10 => Self::Delete { file },
            11 => Self::SetProperties { file, properties },
            12 => Self::SetAccessControl { file, mode: usize::try_from(random.below(3)).unwrap() },
            _ => Self::Create { file: any, properties },
        }
    }

    fn pick_of_blocks(random: &mut Random, model: &Model) -> Self {
        let file = BLOCKS + random.below(3);
        let put = model.files.get(&file).map_or(0, |file| file.blocks.len());
        if put > 0 && random.below(3) == 0 {
            return Self::PutBlockList { file };
        }
        Self::PutBlock { file, number: model.blocks_put, data: random.data() }
    }

    fn pick_of_logs(random: &mut Random, model: &Model) -> Self {
        let file = LOGS + random.below(2);
        if !model.files.contains_key(&file) || random.below(15) == 0 {
            return Self::MakeLog { file };
        }
        Self::AppendToLog { file, data: random.data() }
    }

    fn told(&self) -> String {
        match self {
            Self::Create { file, properties } => format!("create {file} with {properties:?}"),
            Self::Append { file, data, flush } => {
                format!("append {} bytes to {file}, flush {flush}", data.len())
            }
            Self::Flush { file } => format!("flush {file}"),
            Self::Put { file, data } => format!("put {file} with {} bytes", data.len()),
            Self::Rename { from, to } => format!("rename {from} to {to}"),
            Self::Delete { file } => format!("delete {file}"),
            Self::Undelete { id, from, to } => format!("undelete {from} of {id} to {to}"),
            Self::SetProperties { file, properties } => format!("set {properties:?} at {file}"),
            Self::SetAccessControl { file, mode } => format!("set {} at {file}", MODES[*mode].0),
            Self::PutBlock { file, number, data } => {
                format!("put block {number} of {file} with {} bytes", data.len())
            }
            Self::PutBlockList { file } => format!("put the block list of {file}"),
            Self::MakeLog { file } => format!("make the append blob {file}"),
            Self::AppendToLog { file, data } => {
                format!("append {} bytes to the append blob {file}", data.len())
            }
        }
    }

    /// `deletion` is the id that was told, if this is one.
    fn apply(&self, model: &mut Model, deletion: &str) {
        let files = &mut model.files;
        match self {
            Self::Create { file, properties } => {
                let (properties, permissions) = ((*properties).to_owned(), Some("rw-r-----"));
                files.insert(*file, File { properties, permissions, ..File::default() });
            }
            Self::Append { file, data, flush } => {
                let file = files.get_mut(file).unwrap();
                file.pending.extend_from_slice(data);
                if *flush {
                    file.content.append(&mut file.pending);
                }
            }
            Self::Flush { file } => {
                let file = files.get_mut(file).unwrap();
                file.content.append(&mut file.pending);
            }
            Self::Put { file, data } => {
                files.insert(*file, File { content: data.clone(), by_blob: true, ..File::default() });
            }
            Self::Rename { from, to } => {
                let file = files.remove(from).unwrap();
                files.insert(*to, file);
            }
            Self::Delete { file } => {
                let deleted = files.remove(file).unwrap();
                model.deleted.insert(deletion.to_owned(), (*file, deleted));
            }
            Self::Undelete { id, to, .. } => {
                let (_, file) = model.deleted.remove(id).unwrap();
                files.insert(*to, file);
            }
            Self::SetProperties { file, properties } => {
                files.get_mut(file).unwrap().properties = (*properties).to_owned();
            }
            Self::SetAccessControl { file, mode } => {
                files.get_mut(file).unwrap().permissions = Some(MODES[*mode].1);
            }
            Self::PutBlock { file, number, data } => {
                let new = File { by_blob: true, ..File::default() };
                let file = files.entry(*file).or_insert(new);
                file.pending.extend_from_slice(data);
                file.blocks.push(*number);
                model.blocks_put = number + 1;
            }
            Self::PutBlockList { file } => files.get_mut(file).unwrap().commit_blocks(),
            Self::MakeLog { file } => {
                files.insert(*file, File { appends: true, by_blob: file % 2 == 0, ..File::default() });
            }
            Self::AppendToLog { file, data } => files.get_mut(file).unwrap().content.extend_from_slice(data),
        }
    }

    /// The id of a deletion, or nothing, if it was acknowledged; the server may die meanwhile.
    async fn ask(&self, client: &Client, folder: &str, model: &Model) -> Option<String> {
        let path = |file: &u64| format!("{folder}/f{file}");
        let length = |file: &u64| model.files[file].content.len() + model.files[file].pending.len();
        let mut headers = Vec::new();
        let source;
        let (method, target, body, expected) = match self {
            Self::Create { file, properties } => {
                headers.push(("x-ms-properties", *properties));
                (Method::PUT, format!("{}?resource=file", path(file)), Vec::new(), 201)
            }
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
            Self::Undelete { id, from, to } => {
                let (_, below) = folder.split_once('/').unwrap();
                source = format!("{below}/f{from}?deletionid={id}");
                headers.push(("x-ms-undelete-source", source.as_str()));
                (Method::PUT, format!("{}?comp=undelete", path(to)), Vec::new(), 200)
            }
            Self::SetProperties { file, properties } => {
                headers.push(("x-ms-properties", *properties));
                (Method::PATCH, format!("{}?action=setProperties", path(file)), Vec::new(), 200)
            }
            Self::SetAccessControl { file, mode } => {
                headers.push(("x-ms-permissions", MODES[*mode].0));
                (Method::PATCH, format!("{}?action=setAccessControl", path(file)), Vec::new(), 200)
            }
            Self::PutBlock { file, number, data } => {
                let id = BASE64.encode(format!("{number:08}")).replace('=', "%3D");
                (Method::PUT, format!("{}?comp=block&blockid={id}", path(file)), data.clone(), 201)
            }
            Self::PutBlockList { file } => {
                let body = block_list(&model.files[file].blocks);
                (Method::PUT, format!("{}?comp=blocklist", path(file)), body, 201)
            }
            Self::MakeLog { file } if file % 2 == 0 => {
                headers.push(("x-ms-blob-type", "AppendBlob"));
                (Method::PUT, path(file), Vec::new(), 201)
            }
            Self::MakeLog { file } => {
                (Method::PUT, format!("{}?resource=file&blobType=appendblob", path(file)), Vec::new(), 201)
            }
            Self::AppendToLog { file, data } if file % 2 == 0 => {
                source = length(file).to_string();
                headers.push(("x-ms-blob-condition-appendpos", source.as_str()));
                (Method::PUT, format!("{}?comp=appendblock", path(file)), data.clone(), 201)
            }
            Self::AppendToLog { file, data } => {
                let target = format!("{}?action=append&position={}", path(file), length(file));
                (Method::PATCH, target, data.clone(), 202)
            }
        };
        let reply = client.attempt(method, &target, &headers, body).await.ok()?.expect(expected);
        Some(reply.header("x-ms-deletion-id").to_owned())
    }
}

fn block_list(numbers: &[u64]) -> Vec<u8> {
    let listed: String = numbers
        .iter()
        .map(|number| format!("<Latest>{}</Latest>", BASE64.encode(format!("{number:08}"))))
        .collect();
    format!("<BlockList>{listed}</BlockList>").into_bytes()
}

impl File {
    /// The list names only what was put since the last one.
    fn commit_blocks(&mut self) {
        self.content = std::mem::take(&mut self.pending);
        self.blocks.clear();
        // The list says nothing of them, whatever was there.
        self.properties = String::new();
        self.permissions = None;
    }

    /// As a reader sees it: not at all before its first block list.
    fn is_there(&self) -> bool {
        !(self.content.is_empty() && self.by_blob && !self.blocks.is_empty())
    }
}

struct Worker {
    folder: String,
    random: Random,
    model: Model,
    /// What was asked when the server died.
    on_its_way: Option<Step>,
}

/// What is there.
struct Found {
    files: BTreeMap<u64, File>,
    deleted: Vec<(u64, String)>,
}

impl Found {
    fn is(&self, model: &Model) -> bool {
        let there: Vec<_> = model.files.iter().filter(|(_, file)| file.is_there()).collect();
        let same = |(number, file): &(&u64, &File)| {
            self.files.get(number).is_some_and(|found| file.looks_like(found))
        };
        let kept = |(id, (number, _)): (&String, &(u64, File))| {
            self.deleted.iter().any(|(found, told)| found == number && (told == id || id == UNTOLD))
        };
        there.len() == self.files.len()
            && there.iter().all(same)
            && model.deleted.len() == self.deleted.len()
            && model.deleted.iter().all(kept)
    }
}

impl Worker {
    async fn work(mut self, client: Client, acknowledged: Arc<(AtomicU64, Notify)>) -> Self {
        loop {
            let step = Step::pick(&mut self.random, &self.model);
            let Some(deletion) = step.ask(&client, &self.folder, &self.model).await else {
                self.on_its_way = Some(step);
                return self;
            };
            step.apply(&mut self.model, &deletion);
            acknowledged.0.fetch_add(1, Ordering::Relaxed);
            acknowledged.1.notify_one();
        }
    }

    /// Holds what is there against what was acknowledged, with or without what was on its way; the model is one of the two then.
    /// Whether that had been done; otherwise what is there, with lengths.
    async fn check(&mut self, client: &Client) -> Result<bool, String> {
        let found = self.found(client).await;
        let before = self.model.clone();
        let mut after = before.clone();
        if let Some(step) = self.on_its_way.take() {
            step.apply(&mut after, UNTOLD);
        }
        let pending = |model: &Model| model.files.values().map(|file| file.pending.len()).sum::<usize>();
        // Where both are the same to a reader, the one with more to commit tells them apart.
        let mut candidates = [(before, false), (after, true)];
        candidates.sort_by_key(|(model, _)| std::cmp::Reverse(pending(model)));
        for (mut model, done) in candidates {
            if found.is(&model) && self.commit(client, &model).await {
                if let Some(deleted) = model.deleted.remove(UNTOLD) {
                    let new = |(_, id): &&(u64, String)| !model.deleted.contains_key(id);
                    let (_, id) = found.deleted.iter().find(new).unwrap();
                    self.model.deleted.remove(UNTOLD);
                    self.model.deleted.insert(id.clone(), deleted);
                }
                return Ok(done);
            }
        }
        let files: BTreeMap<u64, (usize, String, _)> = found
            .files
            .into_iter()
            .map(|(name, file)| (name, (file.content.len(), file.properties, file.permissions)))
            .collect();
        let expected: BTreeMap<u64, (usize, &str, _)> = self
            .model
            .files
            .iter()
            .map(|(name, file)| (*name, (file.content.len(), file.properties.as_str(), file.permissions)))
            .collect();
        let deleted: Vec<_> = self.model.deleted.keys().collect();
        Err(format!(
            "{files:?}, deleted {:?}; before it was {expected:?}, deleted {deleted:?}",
            found.deleted
        ))
    }

    async fn found(&self, client: &Client) -> Found {
        let (filesystem, directory) = self.folder.split_once('/').unwrap();
        let listed = format!("{filesystem}?resource=filesystem&recursive=true&directory={directory}");
        let listed = client.get(&listed, &[]).await.expect(200).json();
        let mut files = BTreeMap::new();
        for path in listed["paths"].as_array().unwrap() {
            let name = path["name"].as_str().unwrap();
            let read = client.get(&format!("{filesystem}/{name}"), &[]).await.expect(200);
            assert_eq!(path["contentLength"], read.body.len().to_string(), "{name}");
            let permissions = [&MODES[..], &[("0640", "rw-r-----")]].concat();
            let permissions =
                permissions.iter().map(|(_, told)| *told).find(|told| path["permissions"] == *told);
            let file = File {
                properties: read.header("x-ms-properties").to_owned(),
                appends: read.header("x-ms-blob-type") == "AppendBlob",
                content: read.body,
                permissions,
                ..File::default()
            };
            files.insert(name.rsplit_once("/f").unwrap().1.parse().unwrap(), file);
        }
        let list = format!("{filesystem}?restype=container&comp=list&showonly=deleted&prefix={directory}/");
        let xml = client.get(&list, &[]).await.expect(200).text();
        assert!(
            xml.contains("<NextMarker />") || xml.contains("<NextMarker></NextMarker>"),
            "more than a page"
        );
        let text = |blob: &str, name: &str| {
            let (_, after) = blob.split_once(&format!("<{name}>")).unwrap();
            after.split('<').next().unwrap().to_owned()
        };
        let deleted = xml
            .split("<Blob>")
            .skip(1)
            .map(|blob| {
                let name = text(blob, "Name");
                (name.rsplit_once("/f").unwrap().1.parse().unwrap(), text(blob, "DeletionId"))
            })
            .collect();
        Found { files, deleted }
    }

    /// Commits what was appended or put as blocks: all of it is there, or this is not the model.
    async fn commit(&mut self, client: &Client, model: &Model) -> bool {
        let mut committed = model.clone();
        for (name, file) in &mut committed.files {
            if file.pending.is_empty() {
                continue;
            }
            let path = format!("{}/f{name}", self.folder);
            let status = if file.blocks.is_empty() {
                file.content.append(&mut file.pending);
                let target = format!("{path}?action=flush&position={}", file.content.len());
                client.patch(&target, &[], b"").await.status
            } else {
                let list = block_list(&file.blocks);
                file.commit_blocks();
                client.send(Method::PUT, &format!("{path}?comp=blocklist"), &[], list).await.status
            };
            if !status.is_success() {
                return false;
            }
            assert!(client.get(&path, &[]).await.expect(200).body == file.content, "{path}");
        }
        self.model = committed;
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
    let keep = format!("/accounts/{ACCOUNT}");
    process.client.admin(Method::PUT, &keep, ADMIN_TOKEN, r#"{"deleteRetentionDays":7}"#).await.expect(200);
    process.client.put("lake?resource=filesystem", &[]).await.expect(201);
    let mut workers = Vec::new();
    for number in 0..WORKERS {
        let path = format!("lake/worker{number}");
        process.client.put(&format!("{path}?resource=directory"), &[]).await.expect(201);
        let random = Random(random.below(u64::MAX));
        workers.push(Worker { folder: path, random, model: Model::default(), on_its_way: None });
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
                Err(found) => panic!("{}: {found}; with or without {on_its_way:?}", worker.folder),
            }
        }
    }
    process.kill();
    println!(
        "{total} requests were acknowledged before {kills} kills and nothing of them was lost; of those on their way {done} had been \
         done and {not_done} not"
    );
}
