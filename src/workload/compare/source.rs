//! The side that was migrated from.

use std::fmt;
use std::path::PathBuf;

use aws_lc_rs::digest::{Context, SHA256};
use futures::StreamExt;
use hdfs_native::client::FileStatus;
use hdfs_native::{Client, ClientBuilder, HdfsError};

use super::tree::{Entry, Kind, Tree};
use super::{Error, local};

#[derive(Clone, Debug)]
pub enum SourceSide {
    Directory(PathBuf),
    Hdfs(HdfsSource),
}

#[derive(Clone, Debug)]
pub struct HdfsSource {
    /// `hdfs://host:port`, without a path.
    pub url: String,
    /// Absolute.
    pub path: String,
    /// Who reads; must be allowed to read everything.
    pub user: String,
}

impl fmt::Display for SourceSide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => write!(f, "{}", path.display()),
            Self::Hdfs(source) => write!(f, "{}{}", source.url.trim_end_matches('/'), source.path),
        }
    }
}

impl SourceSide {
    pub(super) fn open(&self) -> Result<Reader, Error> {
        match self {
            Self::Directory(path) => Ok(Reader::Directory(path.clone())),
            Self::Hdfs(source) => {
                let client = ClientBuilder::new()
                    .with_url(&source.url)
                    .with_user(&source.user)
                    .build()
                    .map_err(error(&source.url))?;
                Ok(Reader::Hdfs { client, root: source.path.trim_end_matches('/').to_owned() })
            }
        }
    }
}

fn error(path: &str) -> impl FnOnce(HdfsError) -> Error + '_ {
    move |error| Error::Source { path: path.to_owned(), reason: error.to_string() }
}

#[derive(Clone)]
pub enum Reader {
    Directory(PathBuf),
    /// `root` has no slash at the end; the file system's root is the empty string.
    Hdfs {
        client: Client,
        root: String,
    },
}

impl Reader {
    pub async fn walk(&self) -> Result<Tree, Error> {
        match self {
            Self::Directory(path) => {
                let path = path.clone();
                blocking(move || local::walk(&path)).await
            }
            Self::Hdfs { client, root } => walk_hdfs(client, root).await,
        }
    }

    /// SHA-256 of the file's content, which is `bytes` long according to the listing.
    pub async fn digest(&self, path: &str, bytes: u64) -> Result<Vec<u8>, Error> {
        match self {
            Self::Directory(root) => {
                let path = root.join(path);
                blocking(move || local::digest(&path, bytes)).await.map(|digest| digest.as_ref().to_vec())
            }
            Self::Hdfs { client, root } => {
                let path = format!("{root}/{path}");
                let reader = client.read(&path).await.map_err(error(&path))?;
                let mut content = Box::pin(reader.read_range_stream(0, reader.file_length()));
                let mut context = Context::new(&SHA256);
                while let Some(part) = content.next().await {
                    context.update(&part.map_err(error(&path))?);
                }
                Ok(context.finish().as_ref().to_vec())
            }
        }
    }
}

async fn walk_hdfs(client: &Client, root: &str) -> Result<Tree, Error> {
    let shown = if root.is_empty() { "/" } else { root };
    if !client.get_file_info(shown).await.map_err(error(shown))?.isdir {
        return Err(Error::Source {
            path: shown.to_owned(),
            reason: "this is a file; name a directory".into(),
        });
    }
    let entries = client.list_status_iter(shown, true);
    let mut tree = Tree::new();
    while let Some(status) = entries.next().await {
        let FileStatus { path, length, isdir, permission, .. } = status.map_err(error(shown))?;
        let kind = if isdir { Kind::Directory } else { Kind::File { bytes: length as u64 } };
        let name =
            path.strip_prefix(root).and_then(|path| path.strip_prefix('/')).ok_or_else(|| Error::Source {
                path: path.clone(),
                reason: format!("listed below {shown}, where it does not belong"),
            })?;
        tree.insert(name.to_owned(), Entry { kind, permissions: permission });
    }
    Ok(tree)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::Interrupted(error.to_string()))?
}
