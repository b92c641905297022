//! What one writer owns, and knows to be there.

use std::collections::BTreeMap;

use super::Found;
use crate::lake::content::Random;

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct File {
    pub path: String,
    pub bytes: u64,
    /// Its last block is being cut in the background: it can be renamed and deleted, but not written yet.
    pub is_busy: bool,
}

#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Part {
    pub files: Vec<File>,
    pub directories: Vec<String>,
}

impl Part {
    /// Whole names at the top of the lake, dealt out in turn.
    pub fn divide(mut found: Vec<Found>, scope: &str, writers: u32) -> Vec<Self> {
        found.sort_by(|one, other| one.path.cmp(&other.path));
        let mut parts = vec![Self::default(); writers as usize];
        let mut owners = BTreeMap::new();
        for Found { path, is_directory, bytes } in found {
            let top = path.strip_prefix(scope).unwrap_or(&path).trim_start_matches('/');
            let top = top.split('/').next().unwrap_or_default().to_owned();
            let next = owners.len() % parts.len();
            let part = &mut parts[*owners.entry(top).or_insert(next)];
            match is_directory {
                true => part.directories.push(path),
                false => part.files.push(File { path, bytes, is_busy: false }),
            }
        }
        parts
    }

    pub fn add_file(&mut self, path: String, bytes: u64) {
        self.files.push(File { path, bytes, is_busy: false });
    }

    /// A file that passes, by its index.
    pub fn pick_file(&self, random: &mut Random, passes: impl Fn(&File) -> bool) -> Option<usize> {
        pick(&self.files, random, passes)
    }

    pub fn pick_directory(&self, random: &mut Random, passes: impl Fn(&str) -> bool) -> Option<String> {
        let index = pick(&self.directories, random, |path| passes(path))?;
        Some(self.directories[index].clone())
    }

    pub fn files_below(&self, directory: &str) -> usize {
        self.files.iter().filter(|file| is_below(&file.path, directory)).count()
    }

    pub fn move_directory(&mut self, from: &str, to: &str) {
        let paths = self.files.iter_mut().map(|file| &mut file.path).chain(&mut self.directories);
        for path in paths {
            if let Some(rest) =
                path.strip_prefix(from).filter(|rest| rest.is_empty() || rest.starts_with('/'))
            {
                *path = format!("{to}{rest}");
            }
        }
    }

    pub fn remove_directory(&mut self, directory: &str) {
        self.files.retain(|file| !is_below(&file.path, directory));
        self.directories.retain(|path| path != directory && !is_below(path, directory));
    }
}

/// From a random place on, the first that passes.
fn pick<T>(choices: &[T], random: &mut Random, passes: impl Fn(&T) -> bool) -> Option<usize> {
    let count = choices.len();
    let start = random.next() as usize % count.max(1);
    (0..count).map(|step| (start + step) % count).find(|index| passes(&choices[*index]))
}

pub fn is_below(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'))
}
