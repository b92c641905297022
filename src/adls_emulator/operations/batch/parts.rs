//! The body of a batch: requests of HTTP/1.1 without bodies, each in a part of a multipart message (RFC 2046).

use actix_web::http::Method;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

/// A request as it stands in its part.
#[derive(Debug)]
pub(super) struct Part {
    pub content_id: Option<String>,
    pub method: Method,
    pub target: String,
    pub headers: HeaderMap,
}

/// `None`: it is not such a message, or the end of it is missing.
pub(super) fn parse(body: &str, boundary: &str) -> Option<Vec<Part>> {
    let delimiter = format!("--{boundary}");
    let mut parts = Vec::new();
    // What comes before the first delimiter and after the last one means nothing.
    for text in body.split(delimiter.as_str()).skip(1) {
        if text.starts_with("--") {
            return Some(parts);
        }
        parts.push(part(text)?);
    }
    None
}

fn part(text: &str) -> Option<Part> {
    let mut lines = text.lines();
    if !lines.next()?.trim().is_empty() {
        return None;
    }
    let (mut content_id, mut holds_request) = (None, false);
    for line in lines.by_ref().take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':')?;
        match name.to_ascii_lowercase().as_str() {
            "content-id" => content_id = Some(value.trim().to_owned()),
            "content-type" => holds_request = value.trim().eq_ignore_ascii_case("application/http"),
            _ => {}
        }
    }
    let mut request = lines.next()?.split(' ');
    let (method, target, version) = (request.next()?, request.next()?, request.next()?);
    if !holds_request || !version.starts_with("HTTP/1.") || request.next().is_some() {
        return None;
    }
    let mut headers = HeaderMap::new();
    for line in lines.take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':')?;
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        headers.append(name, HeaderValue::from_str(value.trim()).ok()?);
    }
    let method = Method::from_bytes(method.as_bytes()).ok()?;
    Some(Part { content_id, method, target: target.to_owned(), headers })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "--b\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\nContent-ID: 0\r\n\r\n\
        DELETE /lake/a?x=1 HTTP/1.1\r\nx-ms-date: now\r\nContent-Length: 0\r\n\r\n\r\n\
        --b\r\nContent-Type: application/http\r\n\r\nPUT /lake/b?comp=tier HTTP/1.1\r\nx-ms-access-tier: Cool\r\n\
        --b--\r\n";

    #[test]
    fn parts_are_requests() {
        let parts = parse(TWO, "b").unwrap();
        let [first, second] = parts.as_slice() else { panic!("{parts:?}") };
        assert_eq!((first.method.as_str(), first.target.as_str()), ("DELETE", "/lake/a?x=1"));
        assert_eq!((first.content_id.as_deref(), second.content_id.as_deref()), (Some("0"), None));
        assert_eq!(first.headers.get("x-ms-date").unwrap(), "now");
        assert_eq!(second.headers.get("x-ms-access-tier").unwrap(), "Cool");
        assert!(parse("--b--\r\n", "b").unwrap().is_empty());
    }

    #[test]
    fn what_is_cut_or_of_another_form_is_refused() {
        assert!(parse(TWO, "other").is_none());
        // Anything shorter lacks the end, and with it maybe a part of what was meant.
        for length in 0..TWO.len() - "--\r\n".len() {
            assert!(parse(&TWO[..length], "b").is_none(), "{length}");
        }
        for (right, wrong) in [
            ("application/http", "text/plain"),
            ("HTTP/1.1", "SPDY"),
            ("DELETE /lake/a?x=1 ", "DELETE "),
            ("Content-Length: 0", "no header"),
            ("--b\r\n", "--bb\r\n"),
        ] {
            assert!(parse(&TWO.replace(right, wrong), "b").is_none(), "{wrong}");
        }
    }
}
