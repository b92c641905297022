//! Applications that keep the promises of their formats.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::proof::{Voucher, block, vouching};
use crate::churn::{Error, FileSystem};
use crate::lake::content::Random;

/// Of a payload.
const SIZES: [usize; 6] = [10, 100, 1_000, 4_000, 4_000, 30_000];
/// Of one payload in so many: more than one append of an upload takes.
const LARGE: usize = 9 << 20;
const LARGE_ONES: u64 = 64;
/// Files of a kind that are written to again and again.
const REUSED: u64 = 6;
const MOST_TABLES: usize = 8;

/// What was done.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Written {
    pub files: u64,
    pub vouching: u64,
    pub tables_renamed: u64,
}

/// Writes below `scope`, which is made, until told to stop; a pause after each operation. Tables are renamed only while
/// `renames` is set: about several files, nothing is promised before the first scan is over.
pub async fn write<F: FileSystem>(
    files: &F,
    scope: &str,
    seed: u64,
    pause: Duration,
    (stop, renames): (Arc<AtomicBool>, Arc<AtomicBool>),
) -> Result<Written, Error> {
    let mut writer = Writer {
        files: files.clone(),
        scope: scope.trim_end_matches('/').to_owned(),
        random: Random::new(seed),
        names: 0,
        tables: Vec::new(),
        reused: Vec::new(),
        written: Written::default(),
    };
    for folder in ["tables", "jobs", "logs", "current"] {
        files.make_directory(&format!("{}/{folder}", writer.scope)).await?;
    }
    while !stop.load(Ordering::Relaxed) {
        writer.step(renames.load(Ordering::Relaxed)).await?;
        tokio::time::sleep(pause).await;
    }
    Ok(writer.written)
}

struct Writer<F> {
    files: F,
    scope: String,
    random: Random,
    names: u64,
    tables: Vec<Table>,
    /// Path, identity, next version; the content is replaced (or, of logs, appended to) each time.
    reused: Vec<(String, u64, u32)>,
    written: Written,
}

#[derive(Clone)]
struct Table {
    path: String,
    /// Next version of each of its logs.
    version: u64,
}

impl<F: FileSystem> Writer<F> {
    async fn step(&mut self, renames: bool) -> Result<(), Error> {
        match self.random.next() % 12 {
            0..3 => self.delta().await,
            3..5 => self.iceberg().await,
            5 => self.hudi().await,
            6..8 => self.job().await,
            8..10 => self.append_to_log().await,
            10 => self.overwrite().await,
            _ if renames => self.rename_table().await,
            _ => self.replace_data().await,
        }
    }

    /// The log's entry after the data that it adds.
    async fn delta(&mut self) -> Result<(), Error> {
        let (table, version) = self.table().await?;
        let data = [self.data(&table, "").await?, self.data(&table, "").await?];
        self.vouch(&table, &format!("_delta_log/{version:020}.json"), &data).await
    }

    /// Data, the snapshot that lists it, the metadata that names the snapshot, the hint that names the metadata.
    async fn iceberg(&mut self) -> Result<(), Error> {
        let (table, version) = self.table().await?;
        let data = self.data(&table, "").await?;
        let snapshot = self.data(&table, "metadata/").await?;
        let metadata = format!("metadata/v{version}.metadata.json");
        self.vouch(&table, &metadata, &[data, snapshot]).await?;
        let named = Voucher { path: metadata, identity: identity_of(&table, version), version: 0 };
        self.vouch(&table, "metadata/version-hint.text", &[named]).await
    }

    async fn hudi(&mut self) -> Result<(), Error> {
        let (table, version) = self.table().await?;
        let data = self.data(&table, "").await?;
        self.vouch(&table, &format!(".hoodie/{version}.commit"), &[data]).await
    }

    /// As Hadoop's output committer: attempts below `_temporary`, renamed, then `_SUCCESS`.
    async fn job(&mut self) -> Result<(), Error> {
        let name = self.name("job");
        let job = format!("{}/jobs/{}", self.scope, name);
        let attempt = format!("{job}/_temporary/0/attempt");
        self.files.make_directory(&attempt).await?;
        let mut parts = Vec::new();
        for _ in 0..1 + self.random.next() % 4 {
            let Voucher { path, identity, version } = self.data(&attempt, "").await?;
            self.files.rename(&format!("{attempt}/{path}"), &format!("{job}/{path}")).await?;
            parts.push(Voucher { path, identity, version });
        }
        self.files.delete(&format!("{job}/_temporary")).await?;
        self.vouch(&job, "_SUCCESS", &parts).await
    }

    async fn append_to_log(&mut self) -> Result<(), Error> {
        let path = format!("{}/logs/log-{}", self.scope, self.random.next() % REUSED);
        let payload = self.payload();
        let (identity, version) = self.next_version(&path);
        let content = block(identity, version, &payload);
        match version {
            0 => self.files.write(&path, content).await?,
            _ => self.files.append(&path, content).await?,
        }
        self.written.files += 1;
        Ok(())
    }

    async fn overwrite(&mut self) -> Result<(), Error> {
        let path = format!("{}/current/state-{}", self.scope, self.random.next() % REUSED);
        let payload = self.payload();
        let (identity, version) = self.next_version(&path);
        self.files.write(&path, block(identity, version, &payload)).await?;
        self.written.files += 1;
        Ok(())
    }

    /// A newer version of what a log has vouched for.
    async fn replace_data(&mut self) -> Result<(), Error> {
        let (table, _) = self.table().await?;
        let path = format!("{table}/compacted");
        let payload = self.payload();
        let (identity, version) = self.next_version(&path);
        self.files.write(&path, block(identity, version, &payload)).await?;
        self.written.files += 1;
        let voucher = Voucher { path: "compacted".to_owned(), identity, version };
        let name = self.name("_committed_");
        self.vouch(&table, &name, &[voucher]).await
    }

    async fn rename_table(&mut self) -> Result<(), Error> {
        if self.tables.is_empty() {
            return Ok(());
        }
        let index = (self.random.next() % self.tables.len() as u64) as usize;
        let name = self.name("renamed");
        let to = format!("{}/tables/{}", self.scope, name);
        let from = std::mem::replace(&mut self.tables[index].path, to.clone());
        for (path, ..) in &mut self.reused {
            if let Some(rest) = path.strip_prefix(&from).filter(|rest| rest.starts_with('/')) {
                *path = format!("{to}{rest}");
            }
        }
        self.files.rename(&from, &to).await?;
        self.written.tables_renamed += 1;
        Ok(())
    }

    /// A table and the next version of its log.
    async fn table(&mut self) -> Result<(String, u64), Error> {
        let index = (self.random.next() % MOST_TABLES as u64) as usize;
        if index >= self.tables.len() {
            let name = self.name("table");
            let path = format!("{}/tables/{}", self.scope, name);
            for log in ["_delta_log", "metadata", ".hoodie"] {
                self.files.make_directory(&format!("{path}/{log}")).await?;
            }
            self.tables.push(Table { path: path.clone(), version: 1 });
            return Ok((path, 0));
        }
        let table = &mut self.tables[index];
        table.version += 1;
        Ok((table.path.clone(), table.version - 1))
    }

    /// A new file; how it is vouched for.
    async fn data(&mut self, directory: &str, below: &str) -> Result<Voucher, Error> {
        let path = format!("{below}{}", self.name("data"));
        let (identity, payload) = (self.random.next(), self.payload());
        self.files.write(&format!("{directory}/{path}"), block(identity, 0, &payload)).await?;
        self.written.files += 1;
        Ok(Voucher { path, identity, version: 0 })
    }

    /// `path` is below the table; a metadata file is known by its table and version.
    async fn vouch(&mut self, table: &str, path: &str, vouchers: &[Voucher]) -> Result<(), Error> {
        let version = path.strip_prefix("metadata/v").and_then(|rest| rest.split('.').next()?.parse().ok());
        let identity = version.map_or_else(|| self.random.next(), |version| identity_of(table, version));
        self.files.write(&format!("{table}/{path}"), block(identity, 0, &vouching(vouchers))).await?;
        self.written.files += 1;
        self.written.vouching += 1;
        Ok(())
    }

    fn next_version(&mut self, path: &str) -> (u64, u32) {
        if let Some((_, identity, next)) = self.reused.iter_mut().find(|(known, ..)| known == path) {
            *next += 1;
            return (*identity, *next - 1);
        }
        let identity = self.random.next();
        self.reused.push((path.to_owned(), identity, 1));
        (identity, 0)
    }

    fn payload(&mut self) -> Vec<u8> {
        let is_large = self.random.next().is_multiple_of(LARGE_ONES);
        let mut payload = vec![0; if is_large { LARGE } else { self.random.pick(&SIZES) }];
        self.random.fill(&mut payload);
        payload
    }

    fn name(&mut self, kind: &str) -> String {
        self.names += 1;
        format!("{kind}-{}", self.names)
    }
}

fn identity_of(table: &str, version: u64) -> u64 {
    let mixed = table.bytes().fold(version, |mixed, byte| mixed.wrapping_mul(31).wrapping_add(byte.into()));
    Random::new(mixed).next()
}
