//! What is migrated: a sample lake, or something of the user's own.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use livedata_workload::SourceSide;
use livedata_workload::compare::HdfsSource;
use livedata_workload::lake::{self, Shape, Summary};
use serde_json::{Value, json};
use url::Url;

use super::Error;

/// Value of `--source`.
#[derive(Clone, Debug)]
pub enum Given {
    Directory(PathBuf),
    /// `hdfs://host:port/path`
    Hdfs(Url),
}

impl FromStr for Given {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if !text.contains("://") {
            return Ok(Self::Directory(PathBuf::from(text)));
        }
        let url = Url::parse(text).map_err(|error| format!("not a URL: {error}"))?;
        if url.scheme() != "hdfs" || url.host_str().is_none() {
            return Err("give a directory, or hdfs://host:port/path".to_owned());
        }
        Ok(Self::Hdfs(url))
    }
}

/// A source that is there.
pub struct Source {
    /// `properties.source` of the migrator.
    pub property: Value,
    /// The migration's path below it.
    pub path: String,
    pub side: SourceSide,
    /// For people.
    pub title: String,
}

impl Source {
    /// What of this machine the agent has to be allowed to read.
    pub fn local_directory(&self) -> Option<&Path> {
        match &self.side {
            SourceSide::Directory(directory) => Some(directory),
            SourceSide::Hdfs(_) => None,
        }
    }

    /// Blocks while a sample is written.
    pub fn prepare(given: Option<Given>, folder: &Path, hadoop_user: &str) -> Result<Self, Error> {
        match given {
            None => {
                let directory = folder.join("lake");
                let Summary { files, directories, bytes } = lake::make(&directory, &Shape::default())?;
                let title = format!(
                    "a sample lake: {files} files in {directories} directories, {}",
                    indicatif::DecimalBytes(bytes)
                );
                Self::directory(&directory, title)
            }
            Some(Given::Directory(directory)) => {
                let title = format!("the directory {}", directory.display());
                Self::directory(&directory, title)
            }
            Some(Given::Hdfs(url)) => Ok(Self::hdfs(&url, hadoop_user)),
        }
    }

    fn directory(directory: &Path, title: String) -> Result<Self, Error> {
        let failed = |source| Error::Source { path: directory.to_owned(), source };
        let directory = directory.canonicalize().map_err(failed)?;
        if !directory.is_dir() {
            return Err(failed(std::io::ErrorKind::NotADirectory.into()));
        }
        let uri = Url::from_directory_path(&directory)
            .map_err(|()| failed(std::io::ErrorKind::NotADirectory.into()))?;
        Ok(Self {
            property: json!({ "kind": "LocalDirectory", "uri": uri }),
            path: "/".to_owned(),
            side: SourceSide::Directory(directory),
            title,
        })
    }

    fn hdfs(url: &Url, user: &str) -> Self {
        let mut root = url.clone();
        root.set_path("");
        let path = percent_decoded(url.path());
        Self {
            property: json!({ "kind": "Hdfs", "uri": root, "user": user }),
            side: SourceSide::Hdfs(HdfsSource {
                url: root.to_string(),
                path: path.clone(),
                user: user.to_owned(),
            }),
            title: format!("{url}, read as {user}"),
            path,
        }
    }
}

fn percent_decoded(path: &str) -> String {
    let path = if path.is_empty() { "/" } else { path };
    percent_encoding::percent_decode_str(path).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_a_directory_or_an_hdfs() {
        assert!(
            matches!("/data/lake".parse(), Ok(Given::Directory(path)) if path == Path::new("/data/lake"))
        );
        assert!(matches!("hdfs://nn:8020/data".parse(), Ok(Given::Hdfs(_))));
        for wrong in ["s3://bucket/x", "hdfs:///no/host"] {
            assert!(Given::from_str(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_path_of_an_hdfs_goes_to_the_migration() {
        let source = Source::hdfs(&Url::parse("hdfs://nn:8020/data/a%20b").unwrap(), "etl");
        assert_eq!(source.path, "/data/a b");
        assert_eq!(source.property["uri"], "hdfs://nn:8020");
    }
}
