//! GET of a path: Path - Read and Blob - Get.

use std::ops::Range;

use actix_web::HttpResponse;
use actix_web::body::SizedStream;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;

use super::{Context, reply};
use crate::content::{Digests, Reading};
use crate::index::Node;
use crate::request::{Call, Conditions};
use crate::service_error::ServiceError;

/// The service computes checksums only over ranges up to this size.
const MAX_CHECKSUM_RANGE: u64 = 4 * 1024 * 1024;

struct Opened {
    node: Node,
    range: Range<u64>,
    reading: Option<Reading>,
    digests: Option<Digests>,
}

pub(super) async fn read(context: &Context) -> Result<HttpResponse, ServiceError> {
    let call = &context.call;
    let (place, conditions) = (context.place()?, Conditions::of(call)?);
    let asked = call.header("x-ms-range").or_else(|| call.header("range")).map(parse_range).transpose()?;
    let wants = |name: &str| call.header(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let (md5, crc64) = (wants("x-ms-range-get-content-md5"), wants("x-ms-range-get-content-crc64"));
    let content = context.service.content.clone();
    let open = move |connection: &_| {
        let node = place.node(connection)?;
        conditions.check_for_read(&node)?;
        let range = match asked {
            Some((first, _)) if first >= node.length => {
                return Err(ServiceError::invalid_range().with_length(node.length));
            }
            Some((first, last)) => {
                first..last.map_or(node.length, |last| last.saturating_add(1).min(node.length))
            }
            None => 0..node.length,
        };
        if (md5 || crc64) && (asked.is_none() || range.end - range.start > MAX_CHECKSUM_RANGE) {
            return Err(ServiceError::invalid_header(
                "x-ms-range-get-content-md5",
                "it needs a range of at most 4 MiB",
            ));
        }
        let reading = match range.is_empty() {
            true => None,
            false => Some(Reading::open(&content, node.id, range.clone()).map_err(gone)?),
        };
        let digests = match &reading {
            Some(reading) if md5 || crc64 => Some(reading.digests()?),
            _ => None,
        };
        Ok(Opened { node, range, reading, digests })
    };
    let opened = context.service.index.read(open).await?;
    Ok(response(context, call, opened, asked.is_some(), md5))
}

/// The file was deleted between the look into the index and the opening.
fn gone(error: std::io::Error) -> ServiceError {
    match error.kind() {
        std::io::ErrorKind::NotFound => ServiceError::path_not_found(),
        _ => error.into(),
    }
}

fn response(context: &Context, call: &Call, opened: Opened, partial: bool, md5: bool) -> HttpResponse {
    let Opened { node, range, reading, digests } = opened;
    let mut response = if partial { HttpResponse::PartialContent() } else { HttpResponse::Ok() };
    reply::describe(&mut response, &node, call.query.get("action").is_none());
    reply::content_settings(&mut response, &node, !partial);
    if partial {
        let content_range = format!("bytes {}-{}/{}", range.start, range.end.saturating_sub(1), node.length);
        response.insert_header(("Content-Range", content_range));
    }
    if let Some(digests) = digests {
        match digests.md5().filter(|_| md5) {
            Some(digest) => response.insert_header(("Content-MD5", BASE64.encode(digest))),
            None => response.insert_header(("x-ms-content-crc64", BASE64.encode(digests.crc64()))),
        };
    }
    let length = range.end - range.start;
    match reading {
        Some(reading) => {
            response.body(SizedStream::new(length, reading.into_stream(context.counters.clone())))
        }
        None => response.body(Bytes::new()),
    }
}

/// `bytes=first-` or `bytes=first-last`, the two forms that the service knows.
fn parse_range(text: &str) -> Result<(u64, Option<u64>), ServiceError> {
    let parse = || {
        let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
        let first: u64 = first.parse().ok()?;
        let last = if last.is_empty() { None } else { Some(last.parse::<u64>().ok()?) };
        last.is_none_or(|last| last >= first).then_some((first, last))
    };
    parse().ok_or_else(|| ServiceError::invalid_header("Range", "expected bytes=first- or bytes=first-last"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        assert_eq!(parse_range("bytes=5-").unwrap(), (5, None));
        assert_eq!(parse_range("bytes=5-5").unwrap(), (5, Some(5)));
        for text in ["bytes=-5", "bytes=6-5", "5-6", "bytes=a-b", "bytes=1-2,4-5"] {
            assert!(parse_range(text).is_err(), "{text}");
        }
    }
}
