//! A small data lake, made from a seed.
//!
//! Same shape, same seed: same names, sizes, permissions and bytes. Most of it is tables partitioned by day; the rest is
//! what breaks copy tools: names with `%`, `#`, `+`, `&`, spaces and characters beyond ASCII (composed and decomposed,
//! which are different names), empty files, empty folders, a deep path, one large file, permissions of every kind.

pub(crate) mod content;
mod names;

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use content::Random;

/// What to make. `Default` is a lake for a demonstration: a minute on a laptop.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Shape {
    pub seed: u64,
    /// Regular files, empty ones included.
    pub files: usize,
    /// Directories below the root.
    pub directories: usize,
    /// All files together; met up to rounding, as long as no file would need more than `largest_bytes`.
    pub total_bytes: u64,
    /// Size of the one large file.
    pub largest_bytes: u64,
}

impl Default for Shape {
    fn default() -> Self {
        Self { seed: 1, files: 3_000, directories: 300, total_bytes: 400 << 20, largest_bytes: 64 << 20 }
    }
}

/// What was made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Summary {
    pub files: usize,
    /// Below the root.
    pub directories: usize,
    pub bytes: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{} is not empty: name a folder that is empty or absent", .0.display())]
    NotEmpty(PathBuf),
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: std::io::Error },
}

impl Error {
    fn at(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Write { path: path.to_owned(), source }
    }
}

/// Writes the lake into `directory`, which is absent or empty. Blocks the thread.
pub fn make(directory: &Path, shape: &Shape) -> Result<Summary, Error> {
    std::fs::create_dir_all(directory).map_err(Error::at(directory))?;
    if std::fs::read_dir(directory).map_err(Error::at(directory))?.next().is_some() {
        return Err(Error::NotEmpty(directory.to_owned()));
    }
    let mut random = Random::new(shape.seed);
    let directories = names::directories(shape.directories);
    let files = names::files(shape.files, &directories, &mut random);
    let sizes = sizes(shape, &files, &mut random);
    for name in &directories {
        let path = directory.join(name);
        std::fs::create_dir(&path).map_err(Error::at(&path))?;
    }
    let mut bytes = 0;
    for (index, (name, size)) in files.iter().zip(sizes).enumerate() {
        let path = directory.join(name);
        write_file(&path, shape.seed, index as u64, size).map_err(Error::at(&path))?;
        let mode = random.pick(&[0o644, 0o644, 0o644, 0o640, 0o600, 0o664, 0o444, 0o755, 0o666]);
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).map_err(Error::at(&path))?;
        bytes += size;
    }
    // Last, and all writable by the owner: a directory that only its group may write could not be filled or removed.
    for name in &directories {
        let path = directory.join(name);
        let mode = random.pick(&[0o755, 0o755, 0o755, 0o750, 0o700, 0o775, 0o711, 0o1777]);
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).map_err(Error::at(&path))?;
    }
    Ok(Summary { files: files.len(), directories: directories.len(), bytes })
}

/// One large file, some empty ones, and between them sizes over three orders of magnitude.
fn sizes(shape: &Shape, files: &[String], random: &mut Random) -> Vec<u64> {
    let weights: Vec<f64> = files
        .iter()
        .enumerate()
        .map(|(index, name)| match index {
            0 => 0.0,
            _ if names::is_empty_file(name) => 0.0,
            _ => (random.fraction() * 10.0).exp2(),
        })
        .collect();
    let sum: f64 = weights.iter().sum();
    let rest = shape.total_bytes.saturating_sub(shape.largest_bytes) as f64;
    weights
        .iter()
        .enumerate()
        .map(|(index, weight)| match index {
            0 => shape.largest_bytes,
            _ if *weight == 0.0 => 0,
            _ => ((rest * weight / sum) as u64).min(shape.largest_bytes),
        })
        .collect()
}

fn write_file(path: &Path, seed: u64, index: u64, size: u64) -> std::io::Result<()> {
    let mut file = File::create_new(path)?;
    let mut content = Random::new(seed ^ index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut block = vec![0; 64 * 1024];
    let mut left = size;
    while left > 0 {
        let length = left.min(block.len() as u64) as usize;
        content.fill(&mut block[..length]);
        file.write_all(&block[..length])?;
        left -= length as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn shape() -> Shape {
        Shape { seed: 7, files: 300, directories: 60, total_bytes: 3_000_000, largest_bytes: 500_000 }
    }

    fn walk(root: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
        let mut found = BTreeMap::new();
        let mut open = vec![root.to_owned()];
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let metadata = std::fs::metadata(&path).unwrap();
                let content = if metadata.is_dir() { Vec::new() } else { std::fs::read(&path).unwrap() };
                if metadata.is_dir() {
                    open.push(path.clone());
                }
                found.insert(
                    path.strip_prefix(root).unwrap().to_owned(),
                    (metadata.permissions().mode(), content),
                );
            }
        }
        found
    }

    #[test]
    fn the_seed_decides_everything() {
        let folder = tempfile::tempdir().unwrap();
        let make = |name: &str, shape: &Shape| {
            let root = folder.path().join(name);
            (make(&root, shape).unwrap(), walk(&root))
        };
        let first = make("first", &shape());
        assert!(first == make("again", &shape()));
        assert!(first != make("other", &Shape { seed: 8, ..shape() }));
    }

    #[test]
    fn it_is_what_was_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let summary = make(folder.path(), &shape()).unwrap();
        let found = walk(folder.path());
        let (directories, files): (Vec<_>, Vec<_>) =
            found.iter().partition(|(_, (mode, _))| mode & 0o040_000 != 0);
        assert_eq!((summary.files, summary.directories), (300, 60));
        assert_eq!((files.len(), directories.len()), (300, 60));
        assert_eq!(files.iter().map(|(_, (_, content))| content.len() as u64).sum::<u64>(), summary.bytes);
        assert!(summary.bytes > 2_900_000 && summary.bytes <= 3_000_000, "{}", summary.bytes);
        assert_eq!(files.iter().map(|(_, (_, content))| content.len()).max(), Some(500_000));
        assert!(files.iter().filter(|(_, (_, content))| content.is_empty()).count() > 5);
        assert!(
            directories.iter().any(|(path, _)| !found.keys().any(|other| other.parent() == Some(path))),
            "an empty directory"
        );
        for part in ["%", "#", "+", "&", " ", "?", "\u{e9}", "e\u{301}", "日本", "year=20"] {
            assert!(found.keys().any(|path| path.to_str().unwrap().contains(part)), "no name with {part:?}");
        }
    }

    #[test]
    fn tiny_shapes_are_met_too() {
        for (files, directories) in [(0, 0), (1, 0), (5, 1), (40, 3)] {
            let folder = tempfile::tempdir().unwrap();
            let shape = Shape { files, directories, total_bytes: 1000, largest_bytes: 100, ..shape() };
            let summary = make(folder.path(), &shape).unwrap();
            assert_eq!((summary.files, summary.directories), (files, directories));
        }
    }

    #[test]
    fn a_folder_with_something_in_it_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("mine"), "").unwrap();
        assert!(matches!(make(folder.path(), &shape()), Err(Error::NotEmpty(_))));
        assert_eq!(walk(folder.path()).len(), 1);
    }
}
