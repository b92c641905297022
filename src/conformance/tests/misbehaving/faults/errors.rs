//! Rules 92 to 104: errors, headers, limits.

use super::*;

pub const FAULTS: &[Fault] = &[
    (
        92,
        "codes in snake case",
        told!(|_request, response| if let Some(code) =
            response.body.as_mut().and_then(|body| body.pointer_mut("/error/code"))
        {
            *code = "not_found".into()
        }),
    ),
    (
        92,
        "errors of a framework",
        told!(|_request, response| if response.status == 404 {
            response.body = Some(json!({"title": "Not Found", "status": 404}))
        }),
    ),
    (
        93,
        "one finding at a time",
        told!(|_request, response| if let Some(body) = &mut response.body {
            remove(&mut body["error"], "details")
        }),
    ),
    (94, "no x-ms-error-code", told!(|_request, response| response.set("x-ms-error-code", None))),
    (95, "no x-ms-request-id", told!(|_request, response| response.set("x-ms-request-id", None))),
    (
        95,
        "JSON as text",
        told!(|_request, response| if response.body.is_some() {
            response.set("content-type", Some("text/plain"))
        }),
    ),
    (
        96,
        "always an echo",
        told!(|request, response| response
            .set("x-ms-client-request-id", request.header("x-ms-client-request-id"))),
    ),
    (
        97,
        "the routing id is the request's",
        told!(|request, response| if let Some(id) = request.header("x-ms-routing-request-id") {
            response.set("x-ms-request-id", Some(id))
        }),
    ),
    (
        98,
        "languages that are not known are refused",
        told!(|request, response| if request.header("accept-language") == Some("tlh") {
            response = error(406, "NotAcceptable")
        }),
    ),
    (
        99,
        "any media type",
        asked!(|request| for (name, value) in &mut request.headers {
            if name == "content-type" {
                *value = "application/json".into()
            }
        }),
    ),
    (
        99,
        "malformed JSON by another name",
        told!(|_request, response| if let Some(body) = &mut response.body
            && body["error"]["code"] == "InvalidRequestContent"
        {
            body["error"]["code"] = "BadRequest".into()
        }),
    ),
    (
        100,
        "a long answer",
        told!(|request, response| if request.path.ends_with("/operations")
            && let Some(body) = &mut response.body
        {
            body["padding"] = "x".repeat(9 << 20).into()
        }),
    ),
    (
        104,
        "unknown parameters are refused",
        told!(|request, response| if request.parameter("conformance").is_some() {
            response = error(400, "UnknownParameter")
        }),
    ),
    (
        104,
        "referer is required",
        told!(|request, response| if request.header("referer").is_none() {
            response = error(400, "MissingHeader")
        }),
    ),
];
