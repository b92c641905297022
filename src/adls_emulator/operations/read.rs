//! GET of a path: Path - Read and Blob - Get.

use std::ops::Range;

use actix_web::body::SizedStream;
use actix_web::{HttpResponse, HttpResponseBuilder};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use futures::StreamExt as _;

use super::{Context, reply};
use crate::clock;
use crate::content::structured::{self, Encoder};
use crate::content::{Digests, Reading};
use crate::index::Node;
use crate::request::{Call, Conditions, LeaseUse};
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
    let (lease, structured) = (LeaseUse::of(call)?, wants_structured(call)?);
    let asked = call.header("x-ms-range").or_else(|| call.header("range")).map(parse_range).transpose()?;
    let wants = |name: &str| call.header(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let (md5, crc64) = (wants("x-ms-range-get-content-md5"), wants("x-ms-range-get-content-crc64"));
    let content = context.service.content.clone();
    let open = move |connection: &_| {
        let node = place.node(connection)?;
        conditions.check_for_read(&node)?;
        lease.check_read(&node.lease, clock::now_ms())?;
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
    Ok(response(context, call, opened, Form { partial: asked.is_some(), md5, structured }))
}

/// How the content is to be sent.
struct Form {
    partial: bool,
    md5: bool,
    structured: bool,
}

fn wants_structured(call: &Call) -> Result<bool, ServiceError> {
    match call.header("x-ms-structured-body") {
        None => Ok(false),
        Some(form) if form.eq_ignore_ascii_case(structured::FORM) => Ok(true),
        Some(_) => {
            let reason = format!("expected {}", structured::FORM);
            Err(ServiceError::invalid_header("x-ms-structured-body", &reason))
        }
    }
}

/// The file was deleted between the look into the index and the opening.
fn gone(error: std::io::Error) -> ServiceError {
    match error.kind() {
        std::io::ErrorKind::NotFound => ServiceError::path_not_found(),
        _ => error.into(),
    }
}

fn response(context: &Context, call: &Call, opened: Opened, form: Form) -> HttpResponse {
    let Opened { node, range, reading, digests } = opened;
    let Form { partial, md5, structured } = form;
    let mut response = if partial { HttpResponse::PartialContent() } else { HttpResponse::Ok() };
    reply::describe(&mut response, &node, call.query.get("action").is_none());
    reply::access_control_list(&mut response, &node, call);
    reply::content_settings(&mut response, &node, !partial);
    if call.query.get("sig").is_some() {
        reply::settings_of_signature(&mut response, call);
    }
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
    if structured {
        response.insert_header(("x-ms-structured-body", structured::FORM));
        response.insert_header(("x-ms-structured-content-length", length.to_string()));
        return structured_body(context, response, reading, length);
    }
    match reading {
        Some(reading) => {
            response.body(SizedStream::new(length, reading.into_stream(context.counters.clone())))
        }
        None => response.body(Bytes::new()),
    }
}

fn structured_body(
    context: &Context,
    mut response: HttpResponseBuilder,
    reading: Option<Reading>,
    length: u64,
) -> HttpResponse {
    let mut encoder = Encoder::new(length);
    let Some(reading) = reading else {
        return response.body(encoder.push(&[]));
    };
    let content = reading.into_stream(context.counters.clone());
    let message = content.map(move |chunk| chunk.map(|chunk| encoder.push(&chunk)));
    response.body(SizedStream::new(structured::message_length(length), message))
}

/// `bytes=first-` or `bytes=first-last`, the two forms that the service knows.
pub(super) fn parse_range(text: &str) -> Result<(u64, Option<u64>), ServiceError> {
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
