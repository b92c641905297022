//! One writer: draws an operation, does it, remembers what is there afterwards.

use std::collections::BTreeMap;

use super::part::{Part, is_below};
use super::{Error, FileSystem};
use crate::lake::content::Random;

/// How often of a hundred each kind is drawn. What finds nothing to work on becomes a create. Somewhat less than half of it
/// brings new content.
const KINDS: [(&str, u64); 20] = [
    ("create", 12),
    ("append", 7),
    ("overwrite", 5),
    ("truncate", 4),
    ("rename file", 13),
    ("rename directory", 7),
    ("rename onto", 4),
    ("delete file", 6),
    ("delete directory", 1),
    ("recreate", 2),
    ("swap", 3),
    ("move out", 4),
    ("move in", 4),
    ("chmod", 9),
    ("setfacl", 5),
    ("setxattr", 5),
    ("make directory", 4),
    ("concat", 1),
    ("commit", 2),
    ("table version", 2),
];

/// Mostly small.
const SIZES: [u64; 12] = [0, 1, 100, 100, 1000, 1000, 1000, 5000, 5000, 20_000, 70_000, 300_000];
const LARGEST_APPENDED: u64 = 2 << 20;
/// A directory with more files is not deleted or moved out, or little would be left.
const LARGEST_REMOVED: usize = 50;
/// So that a lake does not grow without an end; below it, nothing is deleted.
const MOST_FILES: usize = 20_000;
const FEWEST_FILES: usize = 10;
/// Users that exist nowhere: numbers need no names.
const USERS: [u32; 3] = [2001, 2002, 2003];

/// What the name of a writer's own directory begins with.
pub const HOME: &str = "writer-";

pub struct Writer<F> {
    files: F,
    inside: Part,
    /// What was moved out of the lake.
    outside: Part,
    scope: String,
    /// Of this writer alone.
    home: String,
    outside_home: String,
    /// In every name that it makes: which run of a lake, which writer.
    label: String,
    random: Random,
    names: u64,
    /// The log's next version, by table.
    tables: BTreeMap<String, u64>,
    pub operations: BTreeMap<&'static str, u64>,
    pub changes: u64,
}

impl<F: FileSystem> Writer<F> {
    pub fn new(
        files: F,
        inside: Part,
        scope: &str,
        outside: &str,
        (run, number): (u32, u32),
        seed: u64,
    ) -> Self {
        let label = format!("{run}-{number}");
        let mut random = Random::new(seed ^ (u64::from(number) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        // Seeds that differ in few bits start differently.
        let random = Random::new(random.next());
        Self {
            files,
            inside,
            outside: Part::default(),
            scope: scope.trim_end_matches('/').to_owned(),
            home: format!("{}/{HOME}{label}", scope.trim_end_matches('/')),
            outside_home: format!("{}/{HOME}{label}", outside.trim_end_matches('/')),
            label,
            random,
            names: 0,
            tables: BTreeMap::new(),
            operations: BTreeMap::new(),
            changes: 0,
        }
    }

    pub async fn settle_in(&mut self) -> Result<(), Error> {
        self.files.make_directory(&self.outside_home).await?;
        let home = self.home.clone();
        if !self.inside.directories.contains(&home) {
            self.make_directory(&home).await?;
        }
        Ok(())
    }

    pub async fn step(&mut self) -> Result<(), Error> {
        let mut drawn = self.random.next() % KINDS.iter().map(|(_, share)| share).sum::<u64>();
        let mut kind = "create";
        for (candidate, share) in KINDS {
            if drawn < share {
                kind = candidate;
                break;
            }
            drawn -= share;
        }
        let is_done = self.operate(kind).await?;
        if !is_done {
            kind = "create";
            self.create().await?;
        }
        *self.operations.entry(kind).or_default() += 1;
        Ok(())
    }

    /// False if there is nothing to do it to.
    async fn operate(&mut self, kind: &str) -> Result<bool, Error> {
        let done = match kind {
            "append" => self.append().await?,
            "overwrite" => self.overwrite().await?,
            "truncate" => self.truncate().await?,
            "rename file" => self.rename_file().await?,
            "rename directory" => self.rename_directory().await?,
            "rename onto" => self.rename_onto().await?,
            "delete file" => self.delete_file().await?,
            "delete directory" => self.delete_directory().await?,
            "recreate" => self.recreate().await?,
            "swap" => self.swap().await?,
            "move out" => self.move_out().await?,
            "move in" => self.move_in().await?,
            "chmod" => Some(self.chmod().await?),
            "setfacl" => self.setfacl().await?,
            "setxattr" => self.setxattr().await?,
            "make directory" => {
                let path = self.new_path("dir");
                Some(self.make_directory(&path).await?)
            }
            "concat" if F::HAS_CONCAT => Some(self.concat().await?),
            "concat" => None,
            "commit" => Some(self.commit().await?),
            "table version" => Some(self.table_version().await?),
            _ if self.inside.files.len() < MOST_FILES => Some(self.create().await?),
            _ => self.delete_file().await?,
        };
        Ok(done.is_some())
    }

    async fn create(&mut self) -> Result<(), Error> {
        let path = self.new_path("file");
        let content = self.content();
        self.write(path, content).await
    }

    async fn append(&mut self) -> Result<Option<()>, Error> {
        let small = |file: &super::part::File| !file.is_busy && file.bytes < LARGEST_APPENDED;
        let Some(index) = self.inside.pick_file(&mut self.random, small) else { return Ok(None) };
        let content = self.content();
        let length = content.len() as u64;
        self.files.append(&self.inside.files[index].path, content).await?;
        self.inside.files[index].bytes += length;
        Ok(self.changed(1))
    }

    async fn overwrite(&mut self) -> Result<Option<()>, Error> {
        let Some(index) = self.pick_file() else { return Ok(None) };
        let file = self.inside.files.swap_remove(index);
        let content = self.content();
        self.write(file.path, content).await?;
        Ok(Some(()))
    }

    async fn truncate(&mut self) -> Result<Option<()>, Error> {
        let cuttable = |file: &super::part::File| !file.is_busy && file.bytes > 0;
        let Some(index) = self.inside.pick_file(&mut self.random, cuttable) else { return Ok(None) };
        let bytes = self.random.next() % self.inside.files[index].bytes;
        self.files.truncate(&self.inside.files[index].path, bytes).await?;
        self.inside.files[index].bytes = bytes;
        self.inside.files[index].is_busy = true;
        Ok(self.changed(1))
    }

    async fn rename_file(&mut self) -> Result<Option<()>, Error> {
        let Some(index) = self.pick_file() else { return Ok(None) };
        let to = self.new_path("renamed");
        self.files.rename(&self.inside.files[index].path, &to).await?;
        self.inside.files[index].path = to;
        Ok(self.changed(1))
    }

    async fn rename_directory(&mut self) -> Result<Option<()>, Error> {
        let Some(from) = self.pick_directory(usize::MAX) else { return Ok(None) };
        let Some(parent) =
            self.inside.pick_directory(&mut self.random, |path| path != from && !is_below(path, &from))
        else {
            return Ok(None);
        };
        let to = format!("{parent}/{}", self.new_name("moved"));
        self.files.rename(&from, &to).await?;
        self.moved(&from, &to);
        self.inside.move_directory(&from, &to);
        Ok(self.changed(1))
    }

    async fn rename_onto(&mut self) -> Result<Option<()>, Error> {
        let (Some(from), Some(to)) = (self.pick_file(), self.pick_file()) else { return Ok(None) };
        if from == to {
            return Ok(None);
        }
        let path = self.inside.files[to].path.clone();
        self.files.rename(&self.inside.files[from].path, &path).await?;
        self.inside.files[from].path = path;
        self.inside.files.swap_remove(to);
        Ok(self.changed(1))
    }

    async fn delete_file(&mut self) -> Result<Option<()>, Error> {
        if self.inside.files.len() <= FEWEST_FILES {
            return Ok(None);
        }
        let Some(index) = self.pick_file() else { return Ok(None) };
        let file = self.inside.files.swap_remove(index);
        self.files.delete(&file.path).await?;
        Ok(self.changed(1))
    }

    async fn delete_directory(&mut self) -> Result<Option<()>, Error> {
        let Some(path) = self.pick_directory(LARGEST_REMOVED) else { return Ok(None) };
        self.files.delete(&path).await?;
        self.gone(&path);
        self.inside.remove_directory(&path);
        Ok(self.changed(1))
    }

    async fn recreate(&mut self) -> Result<Option<()>, Error> {
        let Some(index) = self.pick_file() else { return Ok(None) };
        let file = self.inside.files.swap_remove(index);
        self.files.delete(&file.path).await?;
        let content = self.content();
        self.write(file.path, content).await?;
        Ok(self.changed(1))
    }

    /// Files or directories; with a third name in between, as programs do it.
    async fn swap(&mut self) -> Result<Option<()>, Error> {
        let between = self.new_path("between");
        if self.random.next().is_multiple_of(2) {
            let (Some(one), Some(other)) = (self.pick_file(), self.pick_file()) else { return Ok(None) };
            if one == other {
                return Ok(None);
            }
            let paths = [one, other].map(|index| self.inside.files[index].path.clone());
            self.swap_names(&paths[0], &paths[1], &between).await?;
            let [first, second] = paths;
            self.inside.files[one].path = second;
            self.inside.files[other].path = first;
        } else {
            let Some(one) = self.pick_directory(usize::MAX) else { return Ok(None) };
            let home = self.home.clone();
            let Some(other) = self.inside.pick_directory(&mut self.random, |path| {
                path != one && path != home && !is_below(path, &one) && !is_below(&one, path)
            }) else {
                return Ok(None);
            };
            // In a place that none of the two renames moves.
            let between = format!("{home}/{}", self.new_name("between"));
            if is_below(&home, &one) || is_below(&home, &other) {
                return Ok(None);
            }
            self.swap_names(&one, &other, &between).await?;
            for (from, to) in [(&one, &between), (&other, &one), (&between, &other)] {
                self.moved(from, to);
                self.inside.move_directory(from, to);
            }
        }
        Ok(self.changed(3))
    }

    async fn swap_names(&self, one: &str, other: &str, between: &str) -> Result<(), Error> {
        self.files.rename(one, between).await?;
        self.files.rename(other, one).await?;
        self.files.rename(between, other).await
    }

    async fn move_out(&mut self) -> Result<Option<()>, Error> {
        if self.inside.files.len() <= FEWEST_FILES {
            return Ok(None);
        }
        let name = self.new_name("out");
        let to = format!("{}/{name}", self.outside_home);
        if self.random.next().is_multiple_of(2)
            && let Some(from) = self.pick_directory(LARGEST_REMOVED)
        {
            self.files.rename(&from, &to).await?;
            self.gone(&from);
            self.inside.move_directory(&from, &to);
            let is_out = |path: &str| path == to || is_below(path, &to);
            self.outside.files.extend(self.inside.files.extract_if(.., |file| is_out(&file.path)));
            self.outside.directories.extend(self.inside.directories.extract_if(.., |path| is_out(path)));
        } else {
            let Some(index) = self.pick_file() else { return Ok(None) };
            self.files.rename(&self.inside.files[index].path, &to).await?;
            let mut file = self.inside.files.swap_remove(index);
            file.path = to;
            self.outside.files.push(file);
        }
        Ok(self.changed(1))
    }

    async fn move_in(&mut self) -> Result<Option<()>, Error> {
        let to = self.new_path("in");
        let depth = self.outside_home.matches('/').count() + 1;
        let is_top = |path: &str| path.matches('/').count() == depth;
        if let Some(from) = self.outside.pick_directory(&mut self.random, is_top) {
            self.files.rename(&from, &to).await?;
            self.outside.move_directory(&from, &to);
            let is_in = |path: &str| path == to || is_below(path, &to);
            self.inside.files.extend(self.outside.files.extract_if(.., |file| is_in(&file.path)));
            self.inside.directories.extend(self.outside.directories.extract_if(.., |path| is_in(path)));
        } else {
            let Some(index) = self.outside.pick_file(&mut self.random, |_| true) else { return Ok(None) };
            self.files.rename(&self.outside.files[index].path, &to).await?;
            let mut file = self.outside.files.swap_remove(index);
            file.path = to;
            self.inside.files.push(file);
        }
        Ok(self.changed(1))
    }

    async fn chmod(&mut self) -> Result<(), Error> {
        let (path, permissions) = match self.pick_file().filter(|_| !self.random.next().is_multiple_of(4)) {
            Some(index) => {
                let choices = [0o600, 0o640, 0o644, 0o660, 0o664, 0o755];
                (self.inside.files[index].path.clone(), self.random.pick(&choices))
            }
            None => (self.any_directory(), self.random.pick(&[0o700, 0o750, 0o755, 0o775, 0o1777])),
        };
        self.files.set_permissions(&path, permissions).await?;
        self.changes += 1;
        Ok(())
    }

    async fn setfacl(&mut self) -> Result<Option<()>, Error> {
        let Some(index) = self.pick_file() else { return Ok(None) };
        let (user, rights) = (self.random.pick(&USERS), self.random.pick(&[4, 5, 6, 7]));
        self.files.grant(&self.inside.files[index].path, user, rights).await?;
        Ok(self.changed(1))
    }

    async fn setxattr(&mut self) -> Result<Option<()>, Error> {
        let Some(index) = self.pick_file() else { return Ok(None) };
        let name = self.random.pick(&["user.origin", "user.owner", "user.checked"]);
        let value = self.random.next().to_string();
        self.files.set_attribute(&self.inside.files[index].path, name, value.as_bytes()).await?;
        Ok(self.changed(1))
    }

    async fn concat(&mut self) -> Result<(), Error> {
        let directory = self.any_directory();
        let mut paths = Vec::new();
        for _ in 0..3 {
            let path = format!("{directory}/{}", self.new_name("piece"));
            let mut content = vec![0; 1000];
            self.random.fill(&mut content);
            self.files.write(&path, content).await?;
            paths.push(path);
        }
        let whole = paths.remove(0);
        self.files.concat(&whole, &paths).await?;
        self.inside.add_file(whole, 3000);
        self.changes += 4;
        Ok(())
    }

    /// As Hadoop's file output committer: attempts write below `_temporary`, the job renames, `_SUCCESS` ends it.
    async fn commit(&mut self) -> Result<(), Error> {
        let job = self.new_path("job");
        let attempt = format!("{job}/_temporary/0/task_{}", self.names);
        self.make_directory(&job).await?;
        self.files.make_directory(&attempt).await?;
        let count = 1 + self.random.next() % 5;
        let mut lengths = Vec::new();
        for number in 0..count {
            let content = self.content();
            lengths.push(content.len() as u64);
            self.files.write(&format!("{attempt}/part-{number:05}.parquet"), content).await?;
        }
        for (number, bytes) in lengths.into_iter().enumerate() {
            let name = format!("part-{number:05}.parquet");
            let to = format!("{job}/{name}");
            self.files.rename(&format!("{attempt}/{name}"), &to).await?;
            self.inside.add_file(to, bytes);
        }
        self.files.delete(&format!("{job}/_temporary")).await?;
        self.changes += 2 * count + 2;
        self.write(format!("{job}/_SUCCESS"), Vec::new()).await
    }

    /// Data first, then the version of the log that names it.
    async fn table_version(&mut self) -> Result<(), Error> {
        let count = self.tables.len() as u64;
        let chosen = (self.random.next() % (count + 1)) as usize;
        let table = match self.tables.keys().nth(chosen.min(3)) {
            Some(table) => table.clone(),
            None => {
                let table = self.new_path("table");
                self.make_directory(&table).await?;
                self.make_directory(&format!("{table}/_delta_log")).await?;
                table
            }
        };
        let version = self.tables.get(&table).copied().unwrap_or_default();
        let data = self.new_name("data");
        let content = self.content();
        self.write(format!("{table}/{data}"), content).await?;
        let log = format!("{{\"add\":{{\"path\":\"{data}\"}}}}\n").into_bytes();
        self.write(format!("{table}/_delta_log/{version:020}.json"), log).await?;
        self.tables.insert(table, version + 1);
        Ok(())
    }

    async fn write(&mut self, path: String, content: Vec<u8>) -> Result<(), Error> {
        let bytes = content.len() as u64;
        self.files.write(&path, content).await?;
        self.inside.add_file(path, bytes);
        self.changes += 1;
        Ok(())
    }

    async fn make_directory(&mut self, path: &str) -> Result<(), Error> {
        self.files.make_directory(path).await?;
        self.inside.directories.push(path.to_owned());
        self.changes += 1;
        Ok(())
    }

    fn changed(&mut self, count: u64) -> Option<()> {
        self.changes += count;
        Some(())
    }

    /// A table that moves is the same table; its log goes on.
    fn moved(&mut self, from: &str, to: &str) {
        let tables = std::mem::take(&mut self.tables);
        self.tables = tables
            .into_iter()
            .map(|(path, version)| match path.strip_prefix(from) {
                Some(rest) if rest.is_empty() || rest.starts_with('/') => (format!("{to}{rest}"), version),
                _ => (path, version),
            })
            .collect();
    }

    /// Nothing is written any more to tables that are gone or outside, or whose log is.
    fn gone(&mut self, directory: &str) {
        self.tables.retain(|table, _| table != directory && !is_below(table, directory));
    }

    fn pick_file(&mut self) -> Option<usize> {
        self.inside.pick_file(&mut self.random, |_| true)
    }

    /// One that may move or vanish: not this writer's home, nor a table's log.
    fn pick_directory(&mut self, most_files: usize) -> Option<String> {
        let (home, part) = (&self.home, &self.inside);
        part.pick_directory(&mut self.random, |path| {
            path != home
                && !is_below(home, path)
                && !path.ends_with("/_delta_log")
                && (most_files == usize::MAX || part.files_below(path) <= most_files)
        })
    }

    fn any_directory(&mut self) -> String {
        let home = &self.home;
        self.inside
            .pick_directory(&mut self.random, |path| !path.ends_with("/_delta_log"))
            .unwrap_or_else(|| home.clone())
    }

    fn new_path(&mut self, kind: &str) -> String {
        let directory = self.any_directory();
        // Some at the top of the lake.
        let directory = match self.random.next().is_multiple_of(16) {
            true => self.scope.clone(),
            false => directory,
        };
        format!("{directory}/{}", self.new_name(kind))
    }

    /// Never used before, not by other writers either.
    fn new_name(&mut self, kind: &str) -> String {
        self.names += 1;
        let (writer, number) = (&self.label, self.names);
        match self.random.next() % 12 {
            0 => format!("{kind} {writer} {number}"),
            1 => format!("{kind}-100%-{writer}-{number}"),
            2 => format!("größe+{kind}={writer}&{number}"),
            _ => format!("{kind}-{writer}-{number}"),
        }
    }

    fn content(&mut self) -> Vec<u8> {
        let size = self.random.pick(&SIZES);
        let mut content = vec![0; (size + self.random.next() % 17).saturating_sub(8) as usize];
        self.random.fill(&mut content);
        content
    }
}
