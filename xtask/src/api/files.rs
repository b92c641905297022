//! Files below a folder, with their contents.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

#[derive(Default)]
pub struct Files(BTreeMap<PathBuf, Vec<u8>>);

impl Files {
    /// Those whose path below the folder is `wanted`; folders that are not are not looked into, nor are links followed.
    pub fn below(folder: &Path, wanted: impl Fn(&Path) -> bool) -> Result<Self> {
        let mut files = Self::default();
        let mut folders = vec![PathBuf::new()];
        while let Some(inner) = folders.pop() {
            let path = folder.join(&inner);
            let entries =
                std::fs::read_dir(&path).with_context(|| format!("cannot list {}", path.display()))?;
            for entry in entries {
                let entry = entry?;
                let (name, kind) = (inner.join(entry.file_name()), entry.file_type()?);
                if kind.is_dir() && !name.starts_with("node_modules") {
                    folders.push(name);
                } else if kind.is_file() && wanted(&name) {
                    let content = std::fs::read(entry.path())
                        .with_context(|| format!("cannot read {}", entry.path().display()))?;
                    files.0.insert(name, content);
                }
            }
        }
        Ok(files)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn names(&self) -> impl Iterator<Item = &Path> {
        self.0.keys().map(PathBuf::as_path)
    }

    pub fn write_to(&self, folder: &Path) -> Result<()> {
        for (name, content) in &self.0 {
            let path = folder.join(name);
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)
                    .with_context(|| format!("cannot create {}", parent.display()))?;
            }
            std::fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }

    /// What must happen to these to become the others.
    pub fn differences(&self, others: &Self) -> Vec<String> {
        let mut found = Vec::new();
        for (name, content) in &others.0 {
            match self.0.get(name) {
                None => found.push(format!("{} is missing", name.display())),
                Some(kept) if kept != content => {
                    let line = 1 + kept
                        .split(|byte| *byte == b'\n')
                        .zip(content.split(|byte| *byte == b'\n'))
                        .take_while(|(a, b)| a == b)
                        .count();
                    found.push(format!("{} differs from line {line} on", name.display()));
                }
                Some(_) => {}
            }
        }
        let surplus = self.0.keys().filter(|name| !others.0.contains_key(*name));
        found.extend(surplus.map(|name| format!("{} is not made any more", name.display())));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(list: &[(&str, &str)]) -> Files {
        Files(list.iter().map(|(name, content)| (name.into(), content.as_bytes().to_vec())).collect())
    }

    #[test]
    fn every_difference_is_told() {
        let kept = files(&[("a", "1\n2\n3\n"), ("b", "x"), ("old", "")]);
        let made = files(&[("a", "1\n2\nthree\n"), ("b", "x"), ("new", "")]);
        let expected = ["a differs from line 3 on", "new is missing", "old is not made any more"];
        assert_eq!(kept.differences(&made), expected);
        assert!(kept.differences(&kept).is_empty());
    }

    #[test]
    fn a_copy_is_equal_to_what_was_copied() {
        let folder = std::env::temp_dir().join(format!("livedata-files-{}", std::process::id()));
        let all = files(&[("top", "1"), ("deep/er/file", "2")]);
        all.write_to(&folder).unwrap();
        let read = Files::below(&folder, |_| true).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(all.differences(&read).is_empty());
    }
}
