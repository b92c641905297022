//! Rename, and how its lost answers are resolved.
//!
//! Sending a rename again is not harmless: after a first one that took effect, the second finds no source. What proves
//! the first one is the source's etag, which a rename keeps: the destination has it exactly if the rename happened.

use azure_core::http::Method;
use livedata_filesystem::{Condition, Error, ErrorKind, Etag, Result, TargetPath};

use crate::connection::{UNNAMEABLE, header};
use crate::retry::Failure;
use crate::{Filesystem, encoding};

impl Filesystem {
    /// Moves a file or a directory atomically. `condition` is about the destination; without one an existing file is
    /// replaced. With `source_etag`, `Conflict` if the source has another one; without, the source is looked at first.
    pub async fn rename(
        &self,
        from: &TargetPath,
        to: &TargetPath,
        condition: &Condition,
        source_etag: Option<&Etag>,
    ) -> Result<()> {
        let operation = "rename";
        let subject = format!("{}/{} to {}", self.name(), from.as_str(), to.as_str());
        let source_etag = match source_etag {
            Some(etag) => etag.clone(),
            None => match self.properties(from).await? {
                Some(found) => found.etag,
                None => {
                    return Err(Error::new(ErrorKind::Gone, operation, subject, "the source does not exist"));
                }
            },
        };
        let Some(encoded) = encoding::path(from.as_str()) else {
            let message = UNNAMEABLE;
            return Err(Error::new(ErrorKind::NameRefused, operation, subject, message));
        };
        let source = format!("/{}/{encoded}", encoding::component(self.name()));
        let mut continuation: Option<String> = None;
        loop {
            // In the default mode a source moves into a directory that is at the destination.
            let mut query = vec![("mode", "legacy")];
            query.extend(continuation.as_deref().map(|token| ("continuation", token)));
            let mut call = self.call(operation, Method::Put, to, &query)?;
            call.subject = subject.clone();
            call.header("x-ms-rename-source", source.clone());
            call.header("x-ms-source-if-match", source_etag.0.clone());
            if let Some(lease) = self.lease_on(from) {
                call.header("x-ms-source-lease-id", lease.id());
            }
            call.condition(condition);
            match self.send(call).await {
                // Only accounts without hierarchical namespace rename in steps.
                Ok(response) => match header(response.headers(), "x-ms-continuation") {
                    Some(token) if !token.is_empty() => continuation = Some(token.to_owned()),
                    _ => return Ok(()),
                },
                Err(failure) if failure.outcome_unknown => {
                    return self.find_renamed(to, subject, &source_etag, failure).await;
                }
                Err(failure) => return Err(failure.into()),
            }
        }
    }

    async fn find_renamed(
        &self,
        to: &TargetPath,
        subject: String,
        source_etag: &Etag,
        failure: Failure,
    ) -> Result<()> {
        match self.properties(to).await {
            Ok(Some(found)) if found.etag == *source_etag => Ok(()),
            // The last answer is the truth: nothing of ours is there.
            Ok(_) => Err(failure.into()),
            Err(look) => Err(failure.unresolved("rename", subject, look)),
        }
    }
}
