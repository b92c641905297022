//! Files and directories.

use std::sync::atomic::Ordering;

use livedata_filesystem::{Error, ErrorKind, Result};

use super::NameNode;
use crate::error::RpcError;
use crate::proto::{
    DirectoryListing, FileStatus, GetFileInfoRequest, GetFileInfoResponse, GetListingRequest,
    GetListingResponse, GetLocatedFileInfoRequest, GetLocatedFileInfoResponse, TYPE_FILE,
};

const LOOK_UP: &str = "look up";
/// How often what is at a path may change its kind between two calls before we give up.
const LOOKS: u32 = 3;

impl NameNode {
    /// What is at a path, without its blocks; `None` if there is nothing. `Gone` if the path starts with the id of an
    /// inode that does not exist.
    pub async fn status(&self, path: &str) -> Result<Option<FileStatus>> {
        let request = GetFileInfoRequest { source: path.to_owned() };
        let answer: GetFileInfoResponse = self.call(LOOK_UP, path, "getFileInfo", &request).await?;
        Ok(answer.status)
    }

    /// As [`status`](Self::status), of a file with its blocks.
    pub async fn located_status(&self, path: &str) -> Result<Option<FileStatus>> {
        if !self.lacks_located_status.load(Ordering::Relaxed) {
            let request =
                GetLocatedFileInfoRequest { source: Some(path.to_owned()), need_block_token: Some(false) };
            match self.ask::<GetLocatedFileInfoResponse>("getLocatedFileInfo", &request).await {
                Ok(answer) => return Ok(answer.status),
                Err(failure) if failure.error.is_unknown_method() => {
                    self.lacks_located_status.store(true, Ordering::Relaxed);
                }
                Err(failure) => return Err(failure.about(LOOK_UP, path)),
            }
        }
        self.located_status_of_hadoop_2(path).await
    }

    /// Hadoop 2 tells a file together with its blocks when asked to list it. (`getBlockLocations` would do, but not at the
    /// same moment as the rest, it sets the access time, and wants the right to read.) Only of what is no directory,
    /// which would be listed.
    async fn located_status_of_hadoop_2(&self, path: &str) -> Result<Option<FileStatus>> {
        for _ in 0..LOOKS {
            let status = self.status(path).await?;
            if status.as_ref().is_none_or(|status| status.file_type != TYPE_FILE) {
                return Ok(status);
            }
            let listed = self.listing(path, Vec::new()).await?;
            match listed.map(|listing| listing.entries) {
                None => return Ok(None),
                // Whatever the first answer was about, all of this one is about the file at the path.
                Some(mut entries)
                    if entries.len() == 1 && entries.first().is_some_and(|only| only.name.is_empty()) =>
                {
                    return Ok(entries.pop());
                }
                Some(_) => {}
            }
        }
        Err(Error::new(
            ErrorKind::Changed,
            LOOK_UP,
            path,
            "it is replaced again and again while it is looked up",
        ))
    }

    /// One page of a directory, with the blocks of its files, beginning after a name; `None` if it does not exist.
    pub async fn listing(&self, path: &str, start_after: Vec<u8>) -> Result<Option<DirectoryListing>> {
        let request = GetListingRequest { source: path.to_owned(), start_after, need_location: true };
        let answer: GetListingResponse = self.call("list", path, "getListing", &request).await?;
        Ok(answer.listing)
    }
}

impl RpcError {
    fn is_unknown_method(&self) -> bool {
        matches!(self, Self::Remote { class, .. } if class.ends_with("RpcNoSuchMethodException"))
    }
}
