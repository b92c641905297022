//! A local directory as source.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use aws_lc_rs::digest::{Context, Digest, SHA256};

use super::Error;
use super::tree::{Entry, Kind, Tree};

const BLOCK: usize = 256 * 1024;

fn error(path: &Path) -> impl FnOnce(std::io::Error) -> Error + '_ {
    move |error| Error::Source { path: path.display().to_string(), reason: error.to_string() }
}

pub fn walk(root: &Path) -> Result<Tree, Error> {
    let mut tree = Tree::new();
    let mut open = vec![(root.to_owned(), String::new())];
    while let Some((folder, prefix)) = open.pop() {
        for entry in std::fs::read_dir(&folder).map_err(error(&folder))? {
            let entry = entry.map_err(error(&folder))?;
            let path = entry.path();
            let name = entry.file_name().into_string().map_err(|_| Error::Source {
                path: path.display().to_string(),
                reason: "the name is not UTF-8, which no target can hold".into(),
            })?;
            let name = format!("{prefix}{name}");
            // Of the entry itself: a link is not followed.
            let metadata = entry.metadata().map_err(error(&path))?;
            let kind = if metadata.is_dir() {
                open.push((path, format!("{name}/")));
                Kind::Directory
            } else if metadata.is_file() {
                Kind::File { bytes: metadata.len() }
            } else {
                Kind::Other
            };
            let permissions = (metadata.permissions().mode() & 0o7777) as u16;
            tree.insert(name, Entry { kind, permissions });
        }
    }
    Ok(tree)
}

/// Of at most `limit` bytes and one more, so that a file which grew does not pass for the one that was listed.
pub fn digest(path: &Path, limit: u64) -> Result<Digest, Error> {
    let mut file = std::fs::File::open(path).map_err(error(path))?.take(limit.saturating_add(1));
    let mut context = Context::new(&SHA256);
    let mut block = vec![0; BLOCK];
    loop {
        match file.read(&mut block) {
            Ok(0) => return Ok(context.finish()),
            Ok(length) => context.update(&block[..length]),
            Err(failure) if failure.kind() == std::io::ErrorKind::Interrupted => {}
            Err(failure) => return Err(error(path)(failure)),
        }
    }
}
