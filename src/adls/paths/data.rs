//! File content: append, flush, read.

use azure_core::http::{Body, Method};
use futures::StreamExt;
use livedata_filesystem::{ByteStream, Condition, Error, ErrorKind, Etag, Flush, Result, TargetPath, Upload};

use super::{PathProperties, required_etag};
use crate::connection::etag;
use crate::fault::Code;
use crate::retry::Failure;
use crate::{Filesystem, encoding};

/// What becomes of appended bytes in the same request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AfterAppend {
    /// They wait, invisible, for a flush.
    Wait,
    /// They become the end of the file, and the service tells its event subscribers that the file is complete.
    FlushAndClose,
}

/// `length_bytes` from `offset`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Range {
    pub offset: u64,
    pub length_bytes: u64,
}

/// A file as it is being read.
pub struct Content {
    /// `length_bytes` is the length of this reply, not of the file, when a range was asked for.
    pub properties: PathProperties,
    pub bytes: ByteStream,
}

impl Filesystem {
    /// Uploads bytes at a position, with a CRC-64 that the service checks. The etag is there when they were flushed.
    ///
    /// Sending the same bytes to the same position again is harmless. When a repetition is refused because the first one
    /// flushed, whose answer this call or an earlier one missed, the file's length decides: callers must be a file's
    /// only writers.
    pub async fn append(
        &self,
        path: &TargetPath,
        upload: Upload,
        after: AfterAppend,
    ) -> Result<Option<Etag>> {
        let end = upload.position + upload.data.len() as u64;
        if upload.data.is_empty() {
            // The service refuses an append without bytes.
            return match after {
                AfterAppend::Wait => Ok(None),
                AfterAppend::FlushAndClose => self.flush(path, end, Flush::Complete).await.map(Some),
            };
        }
        let position = upload.position.to_string();
        let mut query = vec![("action", "append"), ("position", position.as_str())];
        if after == AfterAppend::FlushAndClose {
            query.extend([("flush", "true"), ("close", "true")]);
        }
        let mut call = self.call("append", Method::Patch, path, &query)?;
        call.header("x-ms-content-crc64", encoding::crc64(&upload.data));
        call.header("content-type", "application/octet-stream");
        call.header("content-length", upload.data.len().to_string());
        call.request.set_body(Body::Bytes(upload.data));
        match self.send(call).await {
            Ok(_) if after == AfterAppend::Wait => Ok(None),
            Ok(response) => match etag(response.headers()) {
                Some(etag) => Ok(Some(etag)),
                // Not every version of the service puts it into this answer.
                None => self.flushed_etag(path).await.map(Some),
            },
            Err(failure)
                if after == AfterAppend::FlushAndClose
                    && (failure.outcome_unknown || failure.code == Code::InvalidFlushPosition) =>
            {
                self.find_flushed(path, end, failure).await.map(Some)
            }
            Err(failure) => Err(failure.into()),
        }
    }

    /// Makes everything up to `length_bytes` durable and visible. A flush that has already happened succeeds.
    pub async fn flush(&self, path: &TargetPath, length_bytes: u64, flush: Flush) -> Result<Etag> {
        let position = length_bytes.to_string();
        let mut query = vec![("action", "flush"), ("position", position.as_str())];
        query.push(match flush {
            Flush::Prefix => ("retainUncommittedData", "true"),
            Flush::Complete => ("close", "true"),
        });
        let call = self.call("flush", Method::Patch, path, &query)?;
        let (operation, subject) = (call.operation, call.subject.clone());
        match self.send(call).await {
            Ok(response) => required_etag(response.headers(), operation, &subject),
            Err(failure)
                if failure.outcome_unknown
                    || failure.code == Code::InvalidFlushPosition
                    || failure.error.kind() == ErrorKind::Conflict =>
            {
                self.find_flushed(path, length_bytes, failure).await
            }
            Err(failure) => Err(failure.into()),
        }
    }

    /// Reads a file or a range of it. `Conflict` if the condition does not hold, `Changed` if the range lies behind the
    /// end. The stream ends with `Unreachable` if the connection breaks: go on from there with another range.
    pub async fn read(
        &self,
        path: &TargetPath,
        range: Option<Range>,
        condition: &Condition,
    ) -> Result<Content> {
        let mut call = self.call("read", Method::Get, path, &[])?;
        if let Some(range) = range {
            let Some(last) =
                (range.offset + range.length_bytes).checked_sub(1).filter(|_| range.length_bytes > 0)
            else {
                let message = "a range must hold at least one byte";
                return Err(Error::new(ErrorKind::Fatal, call.operation, call.subject, message));
            };
            call.header("range", format!("bytes={}-{last}", range.offset));
        }
        call.condition(condition);
        let (operation, subject) = (call.operation, call.subject.clone());
        let response = self.open(call).await?;
        let properties = PathProperties::from_headers(response.headers(), operation, &subject)?;
        let bytes = response
            .into_body()
            .map(move |piece| {
                piece.map_err(|error| {
                    let message = "the connection to the storage endpoint broke in the middle of the content";
                    Error::new(ErrorKind::Unreachable, operation, subject.clone(), message).with_source(error)
                })
            })
            .boxed();
        Ok(Content { properties, bytes })
    }

    /// Whether the file has the length that the flush would have given it.
    async fn find_flushed(&self, path: &TargetPath, length_bytes: u64, failure: Failure) -> Result<Etag> {
        match self.properties(path).await {
            Ok(Some(found)) if !found.is_directory && found.length_bytes == length_bytes => Ok(found.etag),
            Ok(_) => Err(failure.into()),
            Err(look) => Err(failure.unresolved("flush", self.subject(path), look)),
        }
    }

    async fn flushed_etag(&self, path: &TargetPath) -> Result<Etag> {
        match self.properties(path).await? {
            Some(found) => Ok(found.etag),
            None => Err(Error::new(
                ErrorKind::Gone,
                "append",
                self.subject(path),
                "the file vanished right after its bytes were flushed",
            )),
        }
    }
}
