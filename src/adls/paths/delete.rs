//! Removing files and directories.

use azure_core::http::Method;
use livedata_filesystem::{Condition, ErrorKind, Result, TargetPath};

use crate::Filesystem;
use crate::connection::header;

impl Filesystem {
    /// Removes a file or, with `recursive`, a directory and all in it. What is absent already is fine. `Conflict` for a
    /// directory that is not empty, or if the condition does not hold.
    pub async fn delete(&self, path: &TargetPath, recursive: bool, condition: &Condition) -> Result<()> {
        let mut continuation: Option<String> = None;
        loop {
            let mut query = vec![("recursive", if recursive { "true" } else { "false" })];
            if let Some(token) = &continuation {
                query.push(("continuation", token));
            }
            let mut call = self.call("delete", Method::Delete, path, &query)?;
            call.condition(condition);
            match self.send(call).await {
                // A directory too large for one request is removed in steps.
                Ok(response) => match header(response.headers(), "x-ms-continuation") {
                    Some(token) if !token.is_empty() => continuation = Some(token.to_owned()),
                    _ => return Ok(()),
                },
                Err(failure) if failure.error.kind() == ErrorKind::Gone => return Ok(()),
                Err(failure) => return Err(failure.into()),
            }
        }
    }
}
