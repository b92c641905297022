//! The folder of an installed agent: one identity, one migrator, one process at a time.
//!
//! `instance-id` names the installation and is made first, so that an enrolment that is repeated after a crash asks for the
//! same identity; `lock` is held by the process that works here.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use livedata_session::enrolment::{Enrolled, InstallKey, client};

use crate::durable;

/// What agents say of themselves.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the folder {} cannot be used; it must be this user's own, with room", folder.display())]
    Folder { folder: PathBuf, source: std::io::Error },
    #[error("another agent is running in {}; stop it, or give this one a folder of its own", .0.display())]
    InUse(PathBuf),
    #[error(
        "this agent is not enrolled yet: get an install key from the migrator's action listInstallKey and run `livedata-agent enrol --data {}` with it",
        .0.display()
    )]
    NotEnrolled(PathBuf),
    #[error("the enrolment in this agent's folder cannot be read")]
    Unreadable(#[source] livedata_session::Error),
    #[error("the agent could not be enrolled")]
    Enrolment(#[from] client::Error),
}

/// A folder that this process alone works in.
pub struct Installation {
    folder: PathBuf,
    _lock: File,
}

impl Installation {
    /// Makes the folder (mode 0700) when it is absent.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let failed = |source| Error::Folder { folder: folder.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        let mut options = OpenOptions::new();
        let lock = options.write(true).create(true).truncate(false).mode(0o600).open(folder.join("lock"));
        let lock = lock.map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { folder: folder.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(Error::InUse(folder.to_owned())),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    pub fn enrolled(&self) -> Result<Enrolled, Error> {
        let found = Enrolled::load(&self.folder).map_err(Error::Unreadable)?;
        found.ok_or_else(|| Error::NotEnrolled(self.folder.clone()))
    }

    /// Spends an install key. With a fresh key of the same migrator an enrolled agent may do so again: it gets a new
    /// certificate and stays who it is.
    pub async fn enrol(&self, key: &InstallKey) -> Result<Enrolled, Error> {
        let instance = self.instance_id()?;
        Ok(client::enrol(key, &self.folder, &instance, VERSION).await?)
    }

    fn instance_id(&self) -> Result<String, Error> {
        let failed = |source| Error::Folder { folder: self.folder.clone(), source };
        let path = self.folder.join("instance-id");
        match std::fs::read_to_string(&path) {
            Ok(text) => return Ok(text.trim().to_owned()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        let made = uuid::Uuid::new_v4().to_string();
        durable::replace(&path, made.as_bytes()).map_err(failed)?;
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_at_a_time_and_one_name_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let first = Installation::open(folder.path()).unwrap();
        assert!(matches!(Installation::open(folder.path()), Err(Error::InUse(_))));
        let name = first.instance_id().unwrap();
        drop(first);
        assert_eq!(Installation::open(folder.path()).unwrap().instance_id().unwrap(), name);
    }

    #[test]
    fn who_is_not_enrolled_is_told_how() {
        let folder = tempfile::tempdir().unwrap();
        let error = Installation::open(folder.path()).unwrap().enrolled().unwrap_err();
        assert!(error.to_string().contains("livedata-agent enrol"), "{error}");
    }
}
