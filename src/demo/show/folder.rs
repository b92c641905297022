//! Where the demo's data is.

use std::path::{Path, PathBuf};

use super::Error;

pub enum Folder {
    Own(PathBuf),
    Temporary(tempfile::TempDir),
}

impl Folder {
    pub fn of(given: Option<&Path>) -> Result<Self, Error> {
        let Some(folder) = given else {
            return tempfile::tempdir().map(Self::Temporary).map_err(Error::Folder);
        };
        std::fs::create_dir_all(folder).map_err(Error::Folder)?;
        if std::fs::read_dir(folder).map_err(Error::Folder)?.next().is_some() {
            return Err(Error::NotEmpty(folder.to_owned()));
        }
        Ok(Self::Own(folder.to_owned()))
    }

    pub fn path(&self) -> &Path {
        match self {
            Self::Own(path) => path,
            Self::Temporary(folder) => folder.path(),
        }
    }

    /// Of a temporary one nothing is left.
    pub fn remove(self) -> Result<(), Error> {
        match self {
            Self::Own(_) => Ok(()),
            Self::Temporary(folder) => folder.close().map_err(Error::Folder),
        }
    }

    pub fn keep(self) -> PathBuf {
        match self {
            Self::Own(folder) => folder,
            Self::Temporary(folder) => folder.keep(),
        }
    }
}
